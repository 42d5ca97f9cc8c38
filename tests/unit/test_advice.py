# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import advice, gates
from ansible_collections.vtops.vitess.plugins.module_utils.errors import StepFailure, Unreachable
from ansible_collections.vtops.vitess.plugins.module_utils.operations import tablet_drain
from ansible_collections.vtops.vitess.tests.unit.factories import PRIMARY, REPLICA
from ansible_collections.vtops.vitess.tests.unit.fakes import World
from ansible_collections.vtops.vitess.tests.unit.operations.faults import DRAIN_FAULTS, Fault

TOP = Path(__file__).resolve().parents[2]
SELECTOR, LEASE = "planetscale.com/component=vtgate", "vtops-shard-commerce-x-80"
WHERE = advice.Where("zone1-0000000102", "commerce", "-80", "vitess", SELECTOR, LEASE)
READMIT = "ansible localhost -m vtops.vitess.vtgate_readmit -a 'namespace=vitess tablet=zone1-0000000102'"


@pytest.mark.parametrize("gate", sorted({g.__name__ for step in gates.EVERY_STEP for g in step}))
def test_every_gate_has_a_command_that_shows_what_is_wrong(gate: str) -> None:
    assert gate in advice.LOOKS
    command = advice.look(gate, WHERE)
    assert "{" not in command
    assert len(command) < 70  # it shares one line with the reason


def test_what_no_gate_names_is_looked_at_as_a_whole() -> None:
    assert advice.look(None, WHERE) == "vtctldclient GetTablets --keyspace commerce --shard -80"


@pytest.mark.parametrize("fault", DRAIN_FAULTS, ids=lambda f: f"{f.gate}: {f.name}")
def test_a_refusal_says_what_to_type_and_not_only_to_run_it_again(fault: Fault) -> None:
    world = World()
    fault.breaks(world)
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain", **fault.params)
    assert failure.value.next_command == (fault.corrects or advice.look(failure.value.gate, WHERE))
    assert failure.value.resume_command.startswith("run the same playbook again")
    assert len(failure.value.message()) < 200
    assert failure.value.message().endswith(f"| next: {failure.value.next_command}")
    assert len(str(failure.value.as_dict())) < 2000


def test_a_module_that_was_called_by_hand_names_itself() -> None:
    world = World()
    world.fail("GetTablets", Unreachable("no route"))
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain", roll=None)
    assert failure.value.resume_command == (
        "ansible localhost -m vtops.vitess.tablet_drain -a 'namespace=vitess tablet=zone1-0000000102'"
    )


def test_a_tablet_that_was_taken_has_a_command_that_only_brings_it_back() -> None:
    world = World()
    world.run("tablet_drain")
    world.recreates = False
    with pytest.raises(StepFailure) as failure:
        world.run("pod_replace", ready_timeout=5.0)
    assert failure.value.next_command == "kubectl -n vitess describe pod commerce-x-80-102"
    assert failure.value.resume_command == (
        f"run the same playbook again: it goes on from here. To only bring the tablet back: {READMIT}"
    )


def test_a_tablet_that_was_not_taken_is_not_brought_back() -> None:
    world = World()
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain", PRIMARY)
    assert failure.value.next_command == "vtctldclient GetTablets --keyspace commerce --shard -80"
    assert failure.value.resume_command == "run the same playbook again"


def test_where_no_pod_of_the_shard_is_found_the_options_that_look_for_them_are_named() -> None:
    world = World()
    session = world.session("tablet_drain", REPLICA)
    session.cluster.scope = replace(session.cluster.scope, tablet_selector="no=tablet")
    with pytest.raises(StepFailure) as failure:
        tablet_drain.run(session)
    assert "no Pod found" in failure.value.reason
    assert failure.value.message().endswith("| next: correct tablet_selector or tablet_namespaces")


def test_where_one_tablets_pod_is_not_found_the_options_that_look_for_it_are_named() -> None:
    world = World()
    del world.pods["commerce-x-80-102"]
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain")
    assert failure.value.gate == "owner_is_supported"
    assert failure.value.next_command == "correct tablet_selector or tablet_namespaces"


def test_a_sibling_whose_pod_is_gone_is_no_reason_to_doubt_the_options() -> None:
    world = World()
    del world.pods["commerce-x-80-103"]
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain")
    assert failure.value.gate == "no_other_tablet_away"
    assert failure.value.next_command == "vtctldclient GetTablets --keyspace commerce --shard -80"


def test_a_vtgate_that_does_not_answer_is_named_once() -> None:
    world = World()
    world.vtgates[1].down = True
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain")
    assert failure.value.reason == "vtgate-1: connection refused"


# -- docs/operating.md

PAGE = (TOP / "docs/operating.md").read_text(encoding="utf-8")
CODE = "".join(path.read_text(encoding="utf-8") for path in (TOP / "plugins/module_utils").rglob("*.py"))
GATES = {gate.__name__ for step in gates.EVERY_STEP for gate in step}
NAMED = GATES | set(re.findall(r'\bgate="(\w+)"', CODE)) | set(advice.LOOKS)


@pytest.mark.parametrize("name", sorted(NAMED))
def test_the_page_says_what_to_do_about_every_failure_that_has_a_name(name: str) -> None:
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]
    (row,) = [cells for cells in rows if f"`{name}`" in cells[0]]
    assert all(len(cell.strip(" |")) > 3 for cell in row[1:])


def test_the_page_names_no_failure_that_there_is_not() -> None:
    tables = PAGE.partition("## Where the new Pod may go")[0]
    assert {
        name for cell in re.findall(r"^\| (`.*?) \| ", tables, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    } == NAMED
