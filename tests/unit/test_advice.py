# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import advice, gates
from ansible_collections.vtops.vitess.plugins.module_utils.errors import StepFailure, Unreachable
from ansible_collections.vtops.vitess.tests.unit.factories import PRIMARY
from ansible_collections.vtops.vitess.tests.unit.fakes import World
from ansible_collections.vtops.vitess.tests.unit.operations.faults import DRAIN_FAULTS, Fault

SELECTOR, LEASE = "planetscale.com/component=vtgate", "vtops-shard-commerce-x-80"
WHERE = advice.Where("zone1-0000000102", "commerce", "-80", "vitess", SELECTOR, LEASE)
READMIT = "ansible localhost -m vtops.vitess.vtgate_readmit -a 'namespace=vitess tablet=zone1-0000000102'"


@pytest.mark.parametrize("gate", sorted({g.__name__ for g in (*gates.DRAIN, *gates.REPLACE, *gates.REPARENT)}))
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
    assert failure.value.next_command == advice.look(failure.value.gate, WHERE)
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
