# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.errors import StepFailure
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process
from ansible_collections.vtops.vitess.tests.unit.factories import PRIMARY, REPLICA, SIBLING
from ansible_collections.vtops.vitess.tests.unit.fakes import World, gone, held_by


@pytest.fixture
def world() -> World:
    return World()


def test_claims_a_free_shard(world: World) -> None:
    result = world.run("shard_claim")
    assert result["changed"] is True
    assert (result["before"]["holder"], result["after"]["holder"]) == ("", world.holder)
    assert world.holder.startswith("nightly@")


def test_a_second_claim_of_the_same_roll_changes_nothing(world: World) -> None:
    world.run("shard_claim")
    assert world.run("shard_claim")["changed"] is False


@pytest.mark.parametrize("state", ["present", "absent", "query"])
def test_check_mode_writes_nothing_at_all(world: World, state: str) -> None:
    world.run("shard_claim")
    world.calls.clear()
    result = world.run("shard_claim", check=True, state=state)
    assert world.calls == []
    assert result["changed"] is (state == "absent")


def test_check_mode_predicts_a_claim(world: World) -> None:
    assert world.run("shard_claim", check=True)["changed"] is True
    assert world.calls == []


def test_names_the_holder_of_a_shard_that_is_taken(world: World) -> None:
    held_by(world, Process.current())
    with pytest.raises(StepFailure, match="held by other@") as failure:
        world.run("shard_claim")
    assert failure.value.gate == "claim"


def test_takes_over_from_a_dead_roll(world: World) -> None:
    held_by(world, gone())
    result = world.run("shard_claim")
    assert result["changed"] is True
    assert result["after"]["transitions"] == result["before"]["transitions"] + 1


def replicas(world: World, revision: str) -> None:
    for alias in (REPLICA, SIBLING):
        world.pods[world.tablet(alias).pod]["metadata"]["labels"][labels.REVISION] = revision


def test_a_primary_waits_unclaimed_for_its_shards_other_tablets(world: World) -> None:
    world.clock.at(40.0, lambda: replicas(world, "new"))
    begun = world.clock.monotonic()
    result = world.run("shard_claim", PRIMARY, replicas_wait=60.0)
    assert result["changed"] is True
    assert 40 <= world.clock.monotonic() - begun < 43
    assert any(
        "zone1-0000000102, zone1-0000000103 of commerce/-80 comes before its primary" in text for text in world.reported
    )


def test_a_primary_that_waited_in_vain_claims_nothing(world: World) -> None:
    with pytest.raises(StepFailure, match="comes before its primary") as failure:
        world.run("shard_claim", PRIMARY, replicas_wait=30.0)
    assert failure.value.gate == "primary_comes_last"
    assert world.leases == {}


def test_a_replica_waits_for_nobody(world: World) -> None:
    begun = world.clock.monotonic()
    assert world.run("shard_claim", replicas_wait=60.0)["changed"] is True
    assert world.clock.monotonic() - begun < 1


def test_releases_and_keeps_the_journal(world: World) -> None:
    world.run("tablet_drain")
    result = world.run("shard_claim", state="absent")
    assert (result["changed"], world.holder) == (True, "")
    assert result["after"]["in_flight"] == [str(REPLICA)]
    assert result["journal"][str(REPLICA)]["original_type"] == "REPLICA"
    assert result["claim"]["held"] is False


def test_never_releases_what_another_roll_holds(world: World) -> None:
    held_by(world, Process.current())
    result = world.run("shard_claim", state="absent")
    assert result["changed"] is False
    assert world.calls == []
    assert world.holder.startswith("other@")


def test_releases_what_a_dead_roll_left_held(world: World) -> None:
    """Killed between its last proof and its release: a rerun has nothing else to do there."""
    held_by(world, gone())
    result = world.run("shard_claim", state="absent")
    assert (result["changed"], world.holder) == (True, "")


def test_a_second_release_changes_nothing(world: World) -> None:
    world.run("shard_claim")
    world.run("shard_claim", state="absent")
    world.calls.clear()
    assert world.run("shard_claim", state="absent")["changed"] is False
    assert world.calls == []


def test_says_who_holds_it_and_writes_nothing(world: World) -> None:
    held_by(world, gone())
    result = world.run("shard_claim", state="query")
    assert result["before"]["holder"].startswith("other@")
    assert result["changed"] is False
    assert world.calls == []
