# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""tablet_recover: every red gate stops it before it acts, and what it does is written down first."""

from __future__ import annotations

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import gates
from ansible_collections.vtops.vitess.plugins.module_utils.errors import StepFailure
from ansible_collections.vtops.vitess.tests.unit.factories import PRIMARY, REPLICA
from ansible_collections.vtops.vitess.tests.unit.fakes import NAMESPACE, World
from ansible_collections.vtops.vitess.tests.unit.operations.faults import (
    RECOVER_FAULTS,
    Fault,
    needs_every_gate,
    with_a_dead_mysqld,
)

POD = "commerce-x-80-102"
EVICTION = f"POST /api/v1/namespaces/{NAMESPACE}/pods/{POD}/eviction"
NOW = {"process_wait": 0.0, "owner_wait": 30.0}


@pytest.fixture
def world() -> World:
    """mysqld of REPLICA is dead under a living vttablet."""
    return with_a_dead_mysqld()


def test_evicts_the_pod_after_it_wrote_down_that_it_is_about_to(world: World) -> None:
    written: list[bool] = []
    world.before(
        EVICTION, lambda: written.append(world.journal[REPLICA].in_flight and "recover" in world.journal[REPLICA].steps)
    )
    result = world.run("tablet_recover", **NOW)
    assert (written, result["did"], result["diagnosis"]["cause"]) == ([True], "replace_pod", "mysqld_dead")
    assert world.acts == [EVICTION]
    assert world.journal[REPLICA].steps["recover"][1] is not None


@pytest.mark.parametrize("fault", RECOVER_FAULTS, ids=lambda f: f"{f.gate}: {f.name}")
def test_a_red_gate_stops_it_before_it_acts(world: World, fault: Fault) -> None:
    fault.breaks(world)
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_recover", **NOW, **fault.params)
    assert fault.is_named_by(failure.value), failure.value.as_dict()
    assert world.acts == []
    assert REPLICA not in world.journal or not world.journal[REPLICA].in_flight


def test_every_gate_of_a_recovery_is_shown_red_here() -> None:
    # What the diagnosis refuses before: test_a_lost_node_without_a_fence_is_never_acted_on.
    shown = [*RECOVER_FAULTS, Fault("node_is_alive_or_fenced", "", "")]
    needs_every_gate(gates.RECOVER, shown)


def test_never_acts_on_the_primary() -> None:
    world = World()
    world.tablet(PRIMARY).mysqld_error = "errno 2002: no socket"
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_recover", PRIMARY, primary_wait=5.0)
    assert failure.value.gate == "mysqld_dead"
    assert "EmergencyReparentShard" in failure.value.next_command
    assert (world.acts, world.calls) == ([], [])
