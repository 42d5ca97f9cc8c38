# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the steps write into the journal for the report alone: what ran before, who acted, what was accepted, why one failed."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.claim import KEEP_PHASES, Entry
from ansible_collections.vtops.vitess.plugins.module_utils.errors import Unreachable
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import TabletType
from ansible_collections.vtops.vitess.tests.unit.factories import OLD, PRIMARY, REPLICA, SIBLING
from ansible_collections.vtops.vitess.tests.unit.fakes import World, elsewhere, held_by


@pytest.fixture
def world() -> World:
    return World()


def upgraded_replicas(world: World) -> None:
    for alias in (REPLICA, SIBLING):
        world.pods[world.tablet(alias).pod]["metadata"]["labels"][labels.REVISION] = "new"


def failing(world: World, monkeypatch: pytest.MonkeyPatch, name: str, **given: Any) -> dict[str, Any]:
    result = world.execute(name, monkeypatch, tablet=str(REPLICA), roll="nightly", **given)
    assert result["failed"] is True
    return result


def test_what_a_tablet_ran_before_and_who_took_it(world: World) -> None:
    world.run("tablet_drain")
    entry = world.journal[REPLICA]
    assert (entry.image, entry.revision, entry.rolls) == (OLD, "old", ("nightly",))


def test_each_roll_that_went_on_with_it_once(world: World) -> None:
    world.run("tablet_drain", roll="one")
    world.run("shard_claim", roll="one", state="absent")
    for step in ("pod_replace", "vtgate_readmit"):
        world.run(step, roll="two")
    assert world.journal[REPLICA].rolls == ("one", "two")


def test_whom_a_reparent_promoted_stays_with_the_drain_after_it(world: World) -> None:
    upgraded_replicas(world)
    world.run("shard_reparent", PRIMARY)
    promoted = world.journal[PRIMARY].promoted
    world.run("tablet_drain", PRIMARY)
    assert promoted == str(world.primaries["-80"])
    assert world.journal[PRIMARY].promoted == promoted
    assert ("shard_reparent", "reparent") in [phase[:2] for phase in world.journal[PRIMARY].phases]


def test_a_reparent_forgets_what_a_roll_of_long_ago_did(world: World) -> None:
    upgraded_replicas(world)
    long_ago = Entry(
        original_type=TabletType.REPLICA,
        steps={"drain": (1.0, 2.0), "readmit": (3.0, 4.0)},
        phases=(("tablet_drain", "drain", 1.0, 1.0),),
        finished=4.0,
        rolls=("long ago",),
    )
    held_by(world, Process.current(), roll="nightly", journal={PRIMARY: long_ago})
    world.run("shard_reparent", PRIMARY)
    entry = world.journal[PRIMARY]
    assert set(entry.steps) == {"reparent"}
    assert {phase[0] for phase in entry.phases} == {"shard_reparent"}
    assert entry.rolls == ("nightly",)


def test_options_that_passed_a_gate_or_cut_transactions(world: World) -> None:
    world.run("tablet_drain", accept_no_route=[str(REPLICA)], transaction_policy="skip")
    assert world.journal[REPLICA].accepted == (
        f"tablet_drain: accept_no_route: {REPLICA}",
        "tablet_drain: transaction_policy: skip",
    )


def test_an_option_that_accepts_another_tablet_is_none_of_its(world: World) -> None:
    world.run("tablet_drain", accept_no_route=[str(SIBLING)], accept_drained=[str(SIBLING)])
    assert world.journal[REPLICA].accepted == ()


def test_why_a_step_failed_and_what_to_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run("tablet_drain")
    world.recreates = False
    failure = failing(world, monkeypatch, "pod_replace", ready_timeout=5.0)["failure"]
    stop = world.journal[REPLICA].failure
    assert stop is not None
    assert (stop.step, stop.gate, stop.roll) == ("pod_replace", "pod_ready", "nightly")
    assert (stop.reason, stop.next_command) == (failure["reason"], failure["next_command"])
    assert stop.at == pytest.approx(world.clock.time(), abs=0.01)
    assert world.journal[REPLICA].in_flight


def test_a_gate_that_was_red_is_written_down_and_the_tablet_counts_as_not_taken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run("shard_claim")
    world.tablet(SIBLING).type = "DRAINED"
    failing(world, monkeypatch, "tablet_drain")
    entry = world.journal[REPLICA]
    assert entry.failure is not None
    assert entry.failure.gate == "no_foreign_drain"
    assert not entry.in_flight
    assert world.acts == []


def test_a_failure_outlives_the_drain_that_goes_on_and_not_what_finished_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run("shard_claim")
    world.config_maps["vtops-pause"] = {"metadata": {"name": "vtops-pause"}, "data": {"reason": "a disk alarm"}}
    failing(world, monkeypatch, "tablet_drain")
    world.config_maps.clear()
    for step in ("tablet_drain", "pod_replace", "vtgate_readmit"):
        world.run(step)
    entry = world.journal[REPLICA]
    assert entry.failure is not None
    assert entry.failure.gate == "roll_is_not_paused"
    assert entry.unsettled is None


def test_nothing_is_written_where_the_shard_is_not_ours(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.tablet(SIBLING).type = "DRAINED"
    failing(world, monkeypatch, "tablet_drain")
    assert world.calls == []
    held_by(world, elsewhere())
    failing(world, monkeypatch, "tablet_drain")
    assert world.calls == []


def test_check_mode_writes_no_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run("shard_claim")
    world.calls.clear()
    world.tablet(SIBLING).type = "DRAINED"
    failing(world, monkeypatch, "tablet_drain", check=True)
    assert world.calls == []


def test_a_lease_that_cannot_be_written_does_not_hide_the_failure(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run("shard_claim")
    world.tablet(SIBLING).type = "DRAINED"
    world.fail("PUT .*/leases", Unreachable("the API server is gone"), times=99)
    assert failing(world, monkeypatch, "tablet_drain")["failure"]["gate"] == "no_foreign_drain"


def test_a_step_that_is_run_again_and_again_does_not_fill_the_lease(world: World) -> None:
    world.run("tablet_drain")
    for _time in range(KEEP_PHASES):
        world.run("pod_replace")
    assert len(world.journal[REPLICA].phases) == KEEP_PHASES
