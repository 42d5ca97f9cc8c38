# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real ansible-playbook, real module processes on the other end of a connection that is not local, on the simulated fleet."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vtops.vitess.tests.kind.harness import TOP
from ansible_collections.vtops.vitess.tests.sim.lab import SimulatedLab

TABLET = "zone1-0000000102"
LEASE = "vtops-shard-commerce-x-80"

# Runs commands in the test's process, which is no child of ansible-playbook: as sshd on another host is none.
CONNECTION = '''
import json, socket
from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
name: elsewhere
short_description: A shell that ansible-playbook did not start
description: For a test.
author: vtops contributors
options:
  agent:
    description: Its socket.
    vars: [{name: elsewhere_agent}]
"""

class Connection(Local):
    transport = "elsewhere"

    def exec_command(self, cmd, in_data=None, sudoable=True):
        with socket.socket(socket.AF_UNIX) as agent:
            agent.connect(self.get_option("agent"))
            agent.sendall(json.dumps({"cmd": cmd, "in": (in_data or b"").decode()}).encode() + b"\\n")
            with agent.makefile() as answer:
                said = json.loads(answer.readline())
        return said["rc"], said["out"].encode(), said["err"].encode()
'''


class Agent:
    """The other host's shell."""

    def __init__(self, path: str) -> None:
        self.commands: list[str] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self.listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _address = self.listener.accept()
            except OSError:
                return
            with client, client.makefile("rw") as wire:
                asked = json.loads(wire.readline())
                self.commands.append(asked["cmd"])
                done = subprocess.run(
                    ["/bin/sh", "-c", asked["cmd"]],
                    input=asked["in"],
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=120,
                    env={key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE")},
                )
                wire.write(json.dumps({"rc": done.returncode, "out": done.stdout, "err": done.stderr}) + "\n")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    with SimulatedLab(speed=4.0, out=tmp_path_factory.mktemp("fleet")) as simulated:
        yield simulated


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    running = Agent(str(tmp_path / "agent"))
    yield running
    running.close()


def play(
    lab: SimulatedLab, directory: Path, inventory: Any, plays: Any, *arguments: str
) -> subprocess.CompletedProcess:
    (directory / "hosts.json").write_text(json.dumps(inventory))
    (directory / "play.yml").write_text(json.dumps(plays))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    return subprocess.run(
        [program, "-i", str(directory / "hosts.json"), str(directory / "play.yml"), *arguments],
        env={**lab.environment(), "ANSIBLE_CONNECTION_PLUGINS": str(directory)},
        cwd=TOP,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def connection_of(lab: SimulatedLab) -> dict[str, str]:
    return {name: lab.facts[name] for name in ("kubeconfig", "context", "namespace")}


def a_lease(lab: SimulatedLab) -> dict[str, Any]:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{lab.facts['namespace']}/leases/{LEASE}"
    lease: dict[str, Any] = lab.ask("GET", path)
    return lease


def test_the_modules_of_a_roll_on_another_host_hold_one_claim_and_tell_of_their_waits(
    lab: SimulatedLab, agent: Agent, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere.py").write_text(CONNECTION)
    inventory = {
        "all": {
            "hosts": {
                TABLET: {
                    "ansible_connection": "elsewhere",
                    "ansible_python_interpreter": sys.executable,
                    "elsewhere_agent": str(tmp_path / "agent"),
                }
            }
        }
    }
    steps = ["shard_claim", "tablet_drain", "pod_replace", "vtgate_readmit"]
    tasks = [
        {"name": step, f"vtops.vitess.{step}": {"tablet": TABLET, "roll": "remote"}, "register": step} for step in steps
    ]
    keep = {"name": "Keep", "ansible.builtin.copy": {"content": "{{ vars_kept }}", "dest": str(tmp_path / "results")}}
    kept = "{{ {" + ", ".join(f"'{step}': {step}" for step in steps) + "} | to_json }}"
    keep |= {"vars": {"vars_kept": kept}, "delegate_to": "localhost"}
    plays = [
        {
            "hosts": TABLET,
            "gather_facts": False,
            "module_defaults": {"group/vtops.vitess.vitess": connection_of(lab)},
            "tasks": [*tasks, keep],
        }
    ]
    played = play(lab, tmp_path, inventory, plays)
    assert played.returncode == 0, played.stdout[-3000:] + played.stderr[-2000:]
    assert sum("AnsiballZ_" in command and "VTOPS_EXECUTOR=" in command for command in agent.commands) >= len(steps)
    results = json.loads((tmp_path / "results").read_text())
    assert [results[step]["changed"] for step in steps] == [True] * 4
    lease = a_lease(lab)
    # Taken once, by ansible-playbook: a step whose holder was another one would have taken it over.
    assert lease["spec"]["leaseTransitions"] == 0
    assert lease["spec"]["holderIdentity"].startswith("remote@")
    waits = results["pod_replace"]["progress"]
    assert waits[0].startswith(f"{TABLET}: pod_replace: waiting for the new Pod")
    assert f"  {waits[0]}" in played.stdout.splitlines()


def planned(
    lab: SimulatedLab, directory: Path, tablets: dict[str, Any], *arguments: str
) -> subprocess.CompletedProcess:
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = {
        "all": {
            "hosts": {"a-host-that-is-no-tablet": here},
            "children": {"vitess_tablets": {"hosts": {TABLET: here}, "vars": tablets}},
        }
    }
    role = {"name": "vtops.vitess.rolling_upgrade", "tasks_from": "plan"}
    plays = [{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.include_role": role}]}]
    return play(lab, directory, inventory, plays, *arguments)


NOWHERE = {"kubeconfig": "/nowhere", "namespace": "vitess"}


@pytest.mark.parametrize("way", ["inventory", "extra variable", "group variable that adds to the inventory's"])
def test_the_plan_is_made_at_the_cluster_that_the_roll_is_told(way: str, lab: SimulatedLab, tmp_path: Path) -> None:
    tablets: dict[str, Any] = {"vitess_cluster": connection_of(lab) if way == "inventory" else NOWHERE}
    arguments: list[str] = []
    if way == "extra variable":
        arguments = ["-e", json.dumps({"rolling_upgrade_cluster": connection_of(lab)})]
    elif way != "inventory":
        adds = "{{ vitess_cluster | combine(" + json.dumps(connection_of(lab)) + ") }}"
        tablets["rolling_upgrade_cluster"] = adds
    played = planned(lab, tmp_path, tablets, *arguments)
    assert played.returncode == 0, played.stdout[-3000:] + played.stderr[-2000:]
    assert f"1. {TABLET} commerce/-80 REPLICA" in played.stdout
