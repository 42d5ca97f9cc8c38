# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole rolls on fleets of several shapes: every tablet is replaced, clients see nothing, and a second roll has nothing to do."""

from __future__ import annotations

import pytest

from ansible_collections.vtops.vitess.tests.behaviour.conftest import Make
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig
from ansible_collections.vtops.vitess.tests.sim.layout import (
    Layout,
    ShardPlan,
    TabletPlan,
    VtgatePlan,
    like_the_lab,
    many,
    one_shard,
)
from ansible_collections.vtops.vitess.tests.sim.vtgate import Buffer

TWO_CELLS = Layout(
    shards=(
        ShardPlan(
            "-",
            (
                TabletPlan(101),
                TabletPlan(102),
                TabletPlan(103),
                TabletPlan(201, "zone2"),
                TabletPlan(202, "zone2"),
            ),
        ),
    ),
    vtgates=(VtgatePlan("vtgate-0", ("zone1", "zone2")), VtgatePlan("vtgate-1", ("zone1", "zone2"))),
    durability="cross_cell",
)
SHAPES = {
    "one shard": one_shard(),
    "two shards": like_the_lab(),
    "two RDONLYs": one_shard(3, 2),
    "five replicas": one_shard(5),
    "not held": one_shard(held=False),
    "stable addresses": one_shard(stable_addresses=True),
    "a patch release": one_shard(old="24.0.1", new="24.0.2"),
    "no durability policy": one_shard(durability="none"),
    "RDONLYs ack": one_shard(3, 2, durability="semi_sync_with_rdonly_ack"),
    "two cells, cross_cell": TWO_CELLS,
    "a vtgate of one cell": Layout(
        shards=TWO_CELLS.shards,
        vtgates=(VtgatePlan("vtgate-0", ("zone1", "zone2")), VtgatePlan("vtgate-z1", ("zone1",))),
        durability="cross_cell",
    ),
    "v24 vtgates": one_shard(
        vtgates=(VtgatePlan("vtgate-0", version="24.0.2"), VtgatePlan("vtgate-1", version="24.0.2"))
    ),
    "five vtgates": many(3, 5),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_roll_replaces_every_tablet_and_no_client_sees_it(name: str, make: Make) -> None:
    rig = make(SHAPES[name])
    rolled = rig.roll()
    assert rolled.failure is None
    assert sorted(rig.upgraded()) == sorted(rig.types())
    assert rig.claims_held() == []
    rig.assert_unharmed()
    assert max(rig.simulation.referee.most_away.values()) == 1
    acts = list(rig.acts)
    again = rig.roll()
    assert (again.failure, again.changed, rig.acts) == (None, 0, acts)


def test_a_roll_at_the_labs_times(make: Make) -> None:
    rig = make(like_the_lab(), lab_times=True)
    assert rig.roll().failure is None
    rig.assert_unharmed()


def test_types_are_as_before_but_for_the_primary(make: Make) -> None:
    rig = make(one_shard(3, 2))
    before = sorted(rig.types().values())
    rig.roll()
    assert sorted(rig.types().values()) == before
    assert rig.types()[101] == "REPLICA"


def test_one_planned_reparent_per_shard_after_all_its_replicas(make: Make) -> None:
    rig = make(like_the_lab())
    rig.roll()
    for shard, primary in (("-80", "0000000101"), ("80-", "0000000201")):
        mine = [a for a in rig.acts if a.startswith("PlannedReparentShard") and f" {shard} " in a]
        assert len(mine) == 1
        evicted = [
            a
            for a in rig.acts
            if a.startswith("Evict") and a[6:-2] == f"commerce-{'x-80' if shard == '-80' else '80-x'}"
        ]
        assert len(evicted) == 3
        assert rig.acts.index(mine[0]) > rig.acts.index(evicted[1])
        assert rig.acts.index(mine[0]) < rig.acts.index(evicted[2])
        assert primary not in mine[0]


def test_rdonly_comes_before_replica(make: Make) -> None:
    rig = make(one_shard(3, 2))
    rig.roll()
    evicted = [act.rpartition("-")[2] for act in rig.acts if act.startswith("Evict")]
    assert evicted == ["3", "4", "1", "2", "0"]


def test_check_mode_changes_nothing_and_foretells_the_roll(rig: Rig) -> None:
    plan = rig.execute("roll_plan", tablets=[rig.alias(uid) for uid in (101, 102, 103)])
    for step in plan["plan"]:
        uid = rig.simulation.tablet(step["tablet"]).uid
        predicted = [*step["predicted"], step["tablet"]]
        for name in ("shard_claim", "shard_reparent", "tablet_drain", "pod_replace", "vtgate_readmit"):
            given = (
                {}
                if name == "shard_claim"
                else {"predicted": step["predicted"] if name == "shard_reparent" else predicted}
            )
            result = rig.execute(name, uid, check=True, **given)
            assert not result.get("failed"), (step["tablet"], name, result)
    assert rig.acts == []
    assert rig.journal() == {}
    rig.assert_unharmed()


def test_a_second_reparent_waits_for_the_buffers_gap(make: Make) -> None:
    """vitess#9433: a failover within --buffer-min-time-between-failovers of the last one is not buffered."""
    rig = make(one_shard())
    for uid in (102, 103):
        assert rig.replace(uid).failure is None
    record = rig.simulation.fleet.shards["-"]
    last = record.term = rig.simulation.timeline.now - 3
    for vtgate in rig.simulation.vtgates.values():
        vtgate.buffers["-"] = Buffer(ended=last)
    assert rig.replace(101).failure is None
    assert float(str(rig.simulation.fleet.reparents[0]["start"])) - last >= 20
    assert all(not v.counters["Skipped"] for v in rig.simulation.vtgates.values())
    rig.assert_unharmed()


def test_a_held_tablet_serves_nobody_before_it_is_readmitted(make: Make) -> None:
    rig = make(one_shard(old="24.0.1", new="24.0.2"))
    for step in ("shard_claim", "tablet_drain", "pod_replace"):
        assert not rig.execute(step, 102).get("failed")
    rig.simulation.pass_(120)
    assert rig.types()[102] == "DRAINED"
    readmitted = rig.execute("vtgate_readmit", 102)
    assert readmitted["held"] is True
    assert readmitted["served_before_proof"] == {}
    rig.assert_unharmed()
