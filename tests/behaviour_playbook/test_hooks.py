# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hooks of tablet_replace in real ansible-playbook runs on the simulated fleet: what docs/hooks.md says of them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.vtops.vitess.tests.kind.harness import Played
from ansible_collections.vtops.vitess.tests.sim.lab import SimulatedLab

PLAYBOOK = "vtops.vitess.rolling_upgrade"
OLD, NEW = "23.0.3", "24.0.2"
PRIMARY, TABLET, SIBLING = "zone1-0000000101", "zone1-0000000102", "zone1-0000000103"
TOP = Path(__file__).resolve().parents[2]
PAGE = TOP / "docs/hooks.md"
HOOKS: dict[str, Any] = yaml.safe_load((TOP / "roles/tablet_replace/meta/argument_specs.yml").read_text())[
    "argument_specs"
]["main"]["options"]["tablet_replace_hooks"]["options"]

# What a hook can see with the role's own connection options: which hook it is, and the tablet in this moment.
WRITES_DOWN = """
- name: Look at the tablet in this moment
  vtops.vitess.fleet_info:
    tablets: ["{{ tablet_replace_tablet }}"]
  register: seen

- name: Write it down
  ansible.builtin.shell:
    cmd: cat >> {log}
    stdin: "{{ [tablet_replace_hook, tablet_replace_tablet, now.type, now.pod_uid == tablet_replace_before.pod_uid, now.claim != ''] | to_json }}"
  changed_when: false
  vars:
    now: "{{ seen.tablets[0] }}"
"""
FAILS = """
- name: Refuse to go on
  ansible.builtin.fail:
    msg: the load balancer says no
"""
SAYS_WHEN = """
- name: Take a while, and write down when it was over
  ansible.builtin.shell:
    cmd: sleep 1; date +%s.%N > {log}
  changed_when: false
"""
READS_LEASE = """
- name: Read the claim, before the next step can renew it
  ansible.builtin.get_url:
    url: {lease}
    dest: {log}
    mode: "0644"
  changed_when: false
"""
BREAKS_THE_CLAIM = """
- name: Make the claim's journal unreadable, so that it cannot be released
  ansible.builtin.uri:
    url: {lease}
    method: PATCH
    headers: {Content-Type: application/merge-patch+json}
    body_format: json
    body: {metadata: {annotations: {vtops.vitess/journal: nonsense}}}
  changed_when: false
"""
LEASE = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/vtops-shard-commerce-x-80"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    """The process of the simulated fleet."""
    with SimulatedLab(out=tmp_path_factory.mktemp("fleet")) as simulated:
        yield simulated


@pytest.fixture
def lab(fleet: SimulatedLab) -> SimulatedLab:
    """A fleet at the old version whose owners want the new one."""
    fleet.command("fleet", "--tablets", OLD)
    fleet.command("fleet", "--tablets", NEW, "--spec-only")
    return fleet


def _roll(lab: SimulatedLab, hooks: dict[str, str], *arguments: str, limit: str = TABLET) -> Played:
    options = ("--limit", limit, "-e", json.dumps({"tablet_replace_hooks": hooks}))
    return lab.play(PLAYBOOK, *options, *arguments, name="hooks", timeout_s=300)


def _write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def _report(lab: SimulatedLab) -> dict[str, Any]:
    report: dict[str, Any] = lab.ask("GET", "/simulation/report")
    return report


def _type(lab: SimulatedLab, alias: str) -> str:
    return str(_report(lab)["types"][alias])


def test_each_hook_runs_around_its_step_and_sees_the_tablet_as_the_page_says(lab: SimulatedLab, tmp_path: Path) -> None:
    log = tmp_path / "log"
    hook = _write(tmp_path / "hook.yml", WRITES_DOWN.replace("{log}", str(log)))
    played = _roll(lab, dict.fromkeys(HOOKS, hook), limit="vitess_shard_commerce_x_80")
    assert played.returncode == 0, played.text[-3000:]
    seen = [json.loads(line) for line in log.read_text().replace("][", "]\n[").splitlines()]
    # hook, type, whether the Pod is still the one before, whether the shard is claimed
    a_replica = [
        ["before_claim", "REPLICA", True, False],
        ["after_claim", "REPLICA", True, True],
        ["before_drain", "REPLICA", True, True],
        ["after_drain", "DRAINED", True, True],
        ["before_replace", "DRAINED", True, True],
        ["after_replace", "DRAINED", False, True],
        ["before_readmit", "DRAINED", False, True],
        ["after_readmit", "REPLICA", False, True],
        ["after_release", "REPLICA", False, False],
    ]
    reparented = [["before_reparent", "PRIMARY", True, True], ["after_reparent", "REPLICA", True, True]]
    the_primary = [["before_claim", "PRIMARY", True, False], ["after_claim", "PRIMARY", True, True], *reparented]
    for alias, expected in {
        TABLET: a_replica,
        SIBLING: a_replica,
        PRIMARY: [*the_primary, *a_replica[2:]],
    }.items():
        assert [[name, *rest] for name, of, *rest in seen if of == alias] == expected
    assert list(HOOKS) == [name for name, of, *_rest in seen if of == PRIMARY]
    assert _report(lab)["violations"] == []


def test_a_failing_hook_stops_the_roll_and_the_same_command_goes_on(lab: SimulatedLab, tmp_path: Path) -> None:
    hook = tmp_path / "hook.yml"
    _write(hook, FAILS)
    stopped = _roll(lab, {"after_drain": str(hook)}, limit=f"{TABLET},{SIBLING}")
    assert stopped.returncode == 2
    assert "the load balancer says no" in _last_fatal(stopped)
    assert (_type(lab, TABLET), _type(lab, SIBLING)) == ("DRAINED", "REPLICA")
    assert _report(lab)["replacements"] == []
    assert set(lab.journal()[TABLET]["steps"]) == {"drain"}
    assert lab.claims_held() == []
    _write(hook, WRITES_DOWN.replace("{log}", str(tmp_path / "log")))
    rerun = _roll(lab, dict.fromkeys(("before_claim", "after_drain"), str(hook)))
    assert rerun.returncode == 0, rerun.text[-3000:]
    assert _hooks_of(tmp_path / "log") == ["before_claim", "after_drain"]
    assert _type(lab, TABLET) == "REPLICA"
    assert [entry["pod"] for entry in _report(lab)["replacements"]] == ["commerce-x-80-1"]
    assert _report(lab)["violations"] == []


def test_a_hook_that_fails_after_the_last_step_is_not_repeated(lab: SimulatedLab, tmp_path: Path) -> None:
    hook = tmp_path / "hook.yml"
    _write(hook, FAILS)
    stopped = _roll(lab, {"after_readmit": str(hook)})
    assert stopped.returncode == 2
    assert (_type(lab, TABLET), lab.claims_held()) == ("REPLICA", [])
    rerun = _roll(lab, {"after_readmit": str(hook), "before_claim": str(hook)})
    assert (rerun.returncode, rerun.changed) == (0, 0), rerun.text[-3000:]


def test_a_claim_that_cannot_be_released_does_not_hide_why_the_roll_stopped(lab: SimulatedLab, tmp_path: Path) -> None:
    lease = lab.facts["url"] + LEASE.format(**lab.facts)
    hook = _write(tmp_path / "hook.yml", BREAKS_THE_CLAIM.replace("{lease}", lease) + FAILS)
    stopped = _roll(lab, {"after_claim": hook})
    assert stopped.returncode == 2
    assert "nonsense" in lab.kubectl("get", "lease", "-o", "json")
    assert "the load balancer says no" in _last_fatal(stopped)


def test_the_claim_is_renewed_right_after_each_hook(lab: SimulatedLab, tmp_path: Path) -> None:
    lease, over, seen = lab.facts["url"] + LEASE.format(**lab.facts), tmp_path / "over", tmp_path / "lease"
    hooks = {
        "after_claim": _write(tmp_path / "slow.yml", SAYS_WHEN.replace("{log}", str(over))),
        "before_drain": _write(
            tmp_path / "read.yml", READS_LEASE.replace("{lease}", lease).replace("{log}", str(seen)) + FAILS
        ),
    }
    assert _roll(lab, hooks).returncode == 2
    renewed = datetime.fromisoformat(json.loads(seen.read_text())["spec"]["renewTime"].replace("Z", "+00:00"))
    assert renewed.timestamp() > float(over.read_text())


@pytest.mark.parametrize(
    ("hooks", "said"),
    [
        ({"before_drian": "hook.yml"}, "before_drian"),
        ({"drain": "hook.yml"}, "drain"),
        ({"after_replace": "/nowhere/hook.yml"}, "after_replace: there is no file /nowhere/hook.yml"),
    ],
)
def test_hooks_that_could_not_run_are_refused_before_anything_is_touched(
    hooks: dict[str, str], said: str, lab: SimulatedLab
) -> None:
    refused = _roll(lab, hooks)
    assert refused.returncode == 2
    assert said in _last_fatal(refused)
    assert (lab.journal(), lab.claims_held(), _report(lab)["away"]) == ({}, [], [])


def test_a_hook_that_cannot_be_parsed_ends_the_roll_and_the_same_command_goes_on(
    lab: SimulatedLab, tmp_path: Path
) -> None:
    stopped = _roll(lab, {"after_drain": _write(tmp_path / "hook.yml", "- name: [\n")}, limit=f"{TABLET},{SIBLING}")
    assert stopped.returncode != 0
    assert (_type(lab, TABLET), _type(lab, SIBLING)) == ("DRAINED", "REPLICA")
    assert lab.claims_held() == ["vtops-shard-commerce-x-80"]
    rerun = _roll(lab, {})
    assert rerun.returncode == 0, rerun.text[-3000:]
    assert (_type(lab, TABLET), lab.claims_held()) == ("REPLICA", [])


def test_a_delegated_hook_runs_on_the_other_host_and_not_on_the_controller(lab: SimulatedLab, tmp_path: Path) -> None:
    nodes = _write(tmp_path / "nodes.ini", "node-1 ansible_host=127.0.0.1 ansible_port=1\n")
    hook = _write(
        tmp_path / "hook.yml",
        "- name: Be elsewhere\n  ansible.builtin.command: touch {log}\n  delegate_to: node-1\n".replace(
            "{log}", str(tmp_path / "here")
        ),
    )
    stopped = _roll(lab, {"after_drain": hook}, "-i", nodes, limit=f"{TABLET},{SIBLING}")
    assert stopped.returncode != 0
    assert "UNREACHABLE" in stopped.text
    assert not (tmp_path / "here").exists()
    assert (_type(lab, TABLET), _type(lab, SIBLING)) == ("DRAINED", "REPLICA")
    rerun = _roll(lab, {})
    assert rerun.returncode == 0, rerun.text[-3000:]
    assert (_type(lab, TABLET), lab.claims_held()) == ("REPLICA", [])


def test_the_pages_example_runs(lab: SimulatedLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        path = tmp_path / block[0]
        path.parent.mkdir(exist_ok=True)
        path.write_text(block[1], encoding="utf-8")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "crictl").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/pulled\n')
    (programs / "crictl").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    here = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
    node = lab.facts["tablets"][TABLET]["node"]
    nodes = _write(tmp_path / "nodes.ini", f"{node} {here} ansible_become=false\n")
    inventory = tmp_path / "lab.vitess.yml"
    inventory.write_text(lab.inventory.read_text(encoding="utf-8"), encoding="utf-8")
    options = ("--limit", TABLET, "-i", nodes)
    played = lab.play(str(tmp_path / "roll.yml"), *options, name="hooks", timeout_s=300, inventory=inventory)
    assert played.returncode == 0, played.text[-3000:]
    assert (tmp_path / "pulled").read_text() == f"pull vitess/lite:v{NEW}\n"
    assert (tmp_path / "rolled.log").read_text().startswith(f"{TABLET} of -80, left ")


def test_the_page_has_every_hook_in_order() -> None:
    assert re.findall(r"^\| `((?:before|after)_\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE) == list(HOOKS)


def _last_fatal(played: Played) -> str:
    return re.findall(r"^(?:fatal|failed): .*?(?=^\S|\Z)", played.text, re.MULTILINE | re.DOTALL)[-1]


def _hooks_of(log: Path) -> list[str]:
    return [json.loads(line)[0] for line in log.read_text().replace("][", "]\n[").splitlines()]
