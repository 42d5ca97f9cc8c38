# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker: used as it is where it answers, started and stopped by the lab where nothing else does."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

from . import machine, places
from .console import LabError, output, run, say, wait_until

RECORD = places.RUN / "dockerd.json"
LOG = places.RUN / "dockerd.log"
RUNTIME_SHIM = places.LAB / "image" / "node" / "runc-without-sys-resource"
# The nodes talk over kind's own bridge and with this host only: no firewall rules or default bridge are left behind.
WITHOUT_TRACES = ("--iptables=false", "--ip6tables=false", "--bridge=none")
# Another Docker may have left FORWARD at DROP, which would hold what the nodes send each other over that bridge.
BRIDGED = (
    "FORWARD",
    "-m",
    "physdev",
    "--physdev-is-bridged",
    "-m",
    "comment",
    "--comment",
    "vtops-lab",
    "-j",
    "ACCEPT",
)
STALE_PIDS = (Path("/run/docker.pid"), Path("/run/docker/containerd/containerd.pid"))


def answers() -> bool:
    with contextlib.suppress(LabError):
        return run(["docker", "version", "--format", "{{.Server.Version}}"], check=False, timeout=20).returncode == 0
    return False


def ensure() -> bool:
    """Has Docker answering; returns whether it had to be started, so that no container can be running yet."""
    machine.need({"docker": "docker.io"})
    if answers():
        return False
    machine.need({"dockerd": "docker.io"})
    if Path("/run/systemd/system").exists():
        say("starting docker.service")
        run(["systemctl", "start", "docker"])
    else:
        _start()
    wait_until("Docker answers", lambda: "" if answers() else f"no answer yet, see {LOG}", timeout=60, every=0.3)
    return True


def _start() -> None:
    if os.geteuid() != 0:
        raise LabError("missing: a running Docker; start it, or run this as root")
    command = ["dockerd", "--data-root", str(places.ENGINE), "--storage-driver", "overlay2", *WITHOUT_TRACES]
    if machine.lacks_sys_resource():
        machine.need({"jq": "jq"})
        # dockerd keeps the path: it must not be in a tree that may go away while containers run.
        shim = places.RUN / RUNTIME_SHIM.name
        places.RUN.mkdir(parents=True, exist_ok=True)
        shim.write_bytes(RUNTIME_SHIM.read_bytes())
        shim.chmod(0o755)
        say("this machine has no CAP_SYS_RESOURCE: containers run without it")
        command += ["--add-runtime", f"without-sys-resource={shim}", "--default-runtime", "without-sys-resource"]
    # Of a dockerd that was killed: the number in them may be another process by now, and would be taken for it.
    for stale in STALE_PIDS:
        stale.unlink(missing_ok=True)
    places.RUN.mkdir(parents=True, exist_ok=True)
    with LOG.open("wb") as log:
        daemon = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    RECORD.write_text(json.dumps({"pid": daemon.pid, "started": _start_time(daemon.pid)}))
    say(f"started dockerd, pid {daemon.pid}")
    _let_nodes_talk()


def _let_nodes_talk() -> None:
    if "-P FORWARD DROP" in output(["iptables", "-S", "FORWARD"], check=False):
        present = run(["iptables", "-C", *BRIDGED], check=False).returncode == 0
        if not present:
            run(["iptables", "-I", *BRIDGED])


def stop() -> None:
    """Stops the dockerd that the lab started, and only that one."""
    pid = _own_pid()
    if pid is None:
        return
    # Bridges and their addresses outlive a dockerd that still has networks.
    for network in output(["docker", "network", "ls", "--quiet", "--filter", "type=custom"], check=False).split():
        run(["docker", "network", "rm", network], check=False)
    os.kill(pid, signal.SIGTERM)
    wait_until(
        "dockerd stops", lambda: "" if _own_pid() is None else f"pid {pid} is still there", timeout=60, every=0.3
    )
    RECORD.unlink(missing_ok=True)
    if run(["iptables", "-C", *BRIDGED], check=False).returncode == 0:
        run(["iptables", "-D", *BRIDGED])
    say(f"stopped dockerd, pid {pid}")


def _own_pid() -> int | None:
    with contextlib.suppress(OSError, ValueError, KeyError):
        record = json.loads(RECORD.read_text())
        if record["started"] == _start_time(record["pid"]):
            return int(record["pid"])
    return None


def _start_time(pid: int) -> str:
    """Tells a process from a later one with the same pid; a zombie counts as gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
