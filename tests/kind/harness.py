# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A roll on the lab under probe and witness: what the tests on kind, the demo and the benchmark share."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]
LAB_JSON = TOP / "build/lab/lab.json"
OUT = TOP / "build/kind"
# A roll has a machine of its own elsewhere. Here it shares two cores with the fleet that it rolls, and would be given a
# twentieth of what the fleet's containers are given: root may say otherwise, to the scheduler's group of a session too.
OWN_SHARE = ["sh", "-c", 'echo -14 2>/dev/null >/proc/self/autogroup; exec nice -n -14 "$@"', "roll"]
RECAP = re.compile(
    r"^(?P<host>\S+)\s*: ok=(?P<ok>\d+)\s+changed=(?P<changed>\d+)\s+unreachable=(?P<unreachable>\d+)\s+failed=(?P<failed>\d+)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Played:
    """One ansible-playbook run. seconds: wall time."""

    returncode: int
    text: str
    seconds: float

    @property
    def changed(self) -> int:
        """Sum of changed over all hosts of the recap."""
        return sum(int(match["changed"]) for match in RECAP.finditer(self.text))

    @property
    def hosts(self) -> list[str]:
        """Hosts of the recap."""
        return [match["host"] for match in RECAP.finditer(self.text)]


@dataclass
class Lab:
    """The lab that is up, as build/lab/lab.json describes it. out: where inventory, logs and ledgers of its runs go."""

    facts: dict[str, Any] = field(default_factory=lambda: json.loads(LAB_JSON.read_text(encoding="utf-8")))
    out: Path = OUT

    def command(self, *arguments: str) -> None:
        """Run tests/lab/lab. Raises CalledProcessError."""
        subprocess.run([str(TOP / "tests/lab/lab"), *arguments], check=True, stdin=subprocess.DEVNULL)

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl against the lab's namespace; its output."""
        line = ["kubectl", "--kubeconfig", self.facts["kubeconfig"], "-n", self.facts["namespace"], *arguments]
        return subprocess.run(line, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout

    def vtctldclient(self, *arguments: str) -> str:
        """Run vtctldclient in the vtctld Pod; its output."""
        pod = self.kubectl(
            "get", "pod", "-l", self.facts["vtctld_selector"], "-o", "jsonpath={.items[0].metadata.name}"
        )
        return self.kubectl("exec", pod, "--", "/vt/bin/vtctldclient", "--server", "localhost:15999", *arguments)

    @property
    def inventory(self) -> Path:
        """An inventory file for the collection's plugin."""
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / "lab.vitess.yml"
        config = {
            "plugin": "vtops.vitess.fleet",
            "kubeconfig": self.facts["kubeconfig"],
            "context": self.facts["context"],
            "namespace": self.facts["namespace"],
        }
        path.write_text("".join(f"{key}: {value}\n" for key, value in config.items()), encoding="utf-8")
        return path

    def tablets(self) -> list[dict[str, Any]]:
        """The topology's tablet records."""
        records: list[dict[str, Any]] = json.loads(self.vtctldclient("GetTablets", "--format", "json"))
        return records

    def images(self) -> set[str]:
        """The images that the tablets' vttablet containers run."""
        found = json.loads(self.kubectl("get", "pod", "-l", self.facts["tablet_selector"], "-o", "json"))["items"]
        return {c["image"] for pod in found for c in pod["spec"]["containers"] if c["name"] == "vttablet"}

    def claims_held(self) -> list[str]:
        """Leases of the collection that somebody holds."""
        items = json.loads(
            self.kubectl("get", "lease", "-l", "app.kubernetes.io/managed-by=vtops.vitess", "-o", "json")
        )["items"]
        return [item["metadata"]["name"] for item in items if item["spec"].get("holderIdentity")]

    def journal(self) -> dict[str, Any]:
        """The claims' journals, by alias."""
        items = json.loads(
            self.kubectl("get", "lease", "-l", "app.kubernetes.io/managed-by=vtops.vitess", "-o", "json")
        )["items"]
        texts = [item["metadata"]["annotations"].get("vtops.vitess/journal") or "{}" for item in items]
        return {alias: entry for text in texts for alias, entry in json.loads(text).items()}

    # -- the pause switch

    def pause(self, reason: str) -> None:
        """As an operator does it."""
        self.kubectl("create", "configmap", "vtops-pause", f"--from-literal=reason={reason}")

    def unpause(self) -> None:
        """Also where nobody paused it."""
        self.kubectl("delete", "configmap", "vtops-pause", "--ignore-not-found")

    # -- the witness

    def begin_witness(self, out: Path) -> None:
        """Start the witness; what it sees is kept below that directory."""
        _tool("witness", "start", "--lab", str(LAB_JSON), "--out", str(out / "witness"))

    def end_witness(self, out: Path) -> dict[str, Any]:
        """Stop it; its summary."""
        return _tool("witness", "stop", "--out", str(out / "witness"), "--json")

    # -- ansible-playbook

    def environment(self) -> dict[str, str]:
        """What ansible-playbook runs with."""
        return {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(TOP / "build/collections"),
            "ANSIBLE_HOME": str(TOP / "build/ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def start_playbook(
        self,
        playbook: str,
        *arguments: str,
        log: Path,
        inventory: Path | None = None,
        prefix: list[str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start ansible-playbook in a session of its own, its output in a file. prefix: a command that runs it."""
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        share = OWN_SHARE if os.geteuid() == 0 else []
        line = [*share, *(prefix or []), program, "-i", str(inventory or self.inventory), playbook, *arguments]
        with log.open("wb") as out:
            return subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self.environment(),
                start_new_session=True,
                cwd=self.out,
            )

    def play(
        self,
        playbook: str,
        *arguments: str,
        name: str = "play",
        timeout_s: float = 1800.0,
        inventory: Path | None = None,
        prefix: list[str] | None = None,
    ) -> Played:
        """Run ansible-playbook to its end."""
        self.out.mkdir(parents=True, exist_ok=True)
        log = self.out / f"{name}.log"
        started = time.monotonic()
        process = self.start_playbook(playbook, *arguments, log=log, inventory=inventory, prefix=prefix)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        return Played(code, log.read_text(encoding="utf-8", errors="replace"), time.monotonic() - started)


def until(look: Any, what: str, timeout_s: float, every_s: float = 0.2) -> Any:
    """Poll until look() is true. Raises TimeoutError."""
    ends = time.monotonic() + timeout_s
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > ends:
            raise TimeoutError(f"{what}: not after {timeout_s:.0f} s")
        time.sleep(every_s)


@dataclass
class Ledger:
    """What probe and witness saw; filled when the watching ends."""

    probe: dict[str, Any] = field(default_factory=dict)
    witness: dict[str, Any] = field(default_factory=dict)
    out: Path = OUT

    def narrow(self, start: float, end: float) -> None:
        """Take the witness' lower bound over that time only; seconds since the epoch."""
        self.witness = _tool(
            "witness", "summary", "--out", str(self.out / "witness"), "--json", "--from", str(start), "--to", str(end)
        )


def _tool(name: str, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [str(TOP / "tests/tools" / name), *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHON": sys.executable},
    )
    if done.returncode not in (0, 2) or not done.stdout.strip():
        raise RuntimeError(f"{name} {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@contextmanager
def watched(lab: Lab, name: str, rate: float = 25.0) -> Iterator[Ledger]:
    """Probe and witness beside what is inside; rate is requests/s per kind and vtgate."""
    out = lab.out / name
    vtgates = [f"--vtgate={g['name']}={g['host']}:{g['port']}" for g in lab.facts["vtgates"]]
    table = ["--keyspace", lab.facts["keyspace"], "--table", lab.facts["table"]]
    ledger = Ledger(out=out)
    lab.begin_witness(out)
    _tool(
        "probe",
        "start",
        "--ledger",
        str(out / "probe"),
        *vtgates,
        *table,
        "--rate",
        str(rate),
        "--stay-with",
        str(os.getpid()),
    )
    try:
        yield ledger
    finally:
        ledger.witness = lab.end_witness(out)
        reparents = out / "reparents.json"
        reparents.write_text(
            json.dumps([{k: r[k] for k in ("keyspace", "shard", "start", "end")} for r in ledger.witness["reparents"]])
        )
        _tool("probe", "stop", "--ledger", str(out / "probe"))
        ledger.probe = _tool(
            "probe",
            "summary",
            "--ledger",
            str(out / "probe"),
            *vtgates,
            *table,
            "--reparents",
            str(reparents),
            "--clock-margin",
            "0.05",
        )
        (out / "ledger.json").write_text(json.dumps({"probe": ledger.probe, "witness": ledger.witness}, indent=2))
