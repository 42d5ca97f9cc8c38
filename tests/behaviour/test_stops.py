# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An operator stops a roll: by the pause switch, or before its reparents."""

from __future__ import annotations

from ansible_collections.vtops.vitess.tests.behaviour.conftest import Make
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig
from ansible_collections.vtops.vitess.tests.sim.layout import like_the_lab

PAUSE = {"metadata": {"name": "vtops-pause"}, "data": {"reason": "a disk alarm"}}


def pause(rig: Rig) -> None:
    rig.simulation.store.put("configmaps", {**PAUSE, "metadata": dict(PAUSE["metadata"])})


def test_a_paused_roll_takes_nothing(rig: Rig) -> None:
    pause(rig)
    rolled = rig.roll()
    assert (rolled.gate, rig.acts, rig.claims_held()) == ("roll_is_not_paused", [], [])
    assert str((rolled.failure or {})["msg"]).startswith("paused: zone1-0000000102: tablet_drain: a disk alarm")
    rig.assert_unharmed()


def test_a_pause_stops_no_tablet_from_coming_back(rig: Rig) -> None:
    rig.wire.trouble("POST .*/eviction", happens=lambda: pause(rig))
    assert rig.roll().gate == "roll_is_not_paused"
    assert (rig.upgraded(), rig.types()[102], rig.claims_held()) == ([102], "REPLICA", [])
    rig.simulation.store.remove("configmaps", "vtops-pause")
    assert rig.roll().failure is None
    assert sorted(rig.upgraded()) == [101, 102, 103]
    rig.assert_unharmed()


def test_a_paused_roll_reparents_nothing(rig: Rig) -> None:
    for uid in (102, 103):
        assert rig.replace(uid).failure is None
    pause(rig)
    assert rig.replace(101).gate == "roll_is_not_paused"
    assert rig.simulation.fleet.reparents == []
    rig.assert_unharmed()


def test_a_held_roll_does_the_replicas_of_every_shard_and_reparents_none(make: Make) -> None:
    rig = make(like_the_lab())
    rolled = rig.roll(hold_before_reparent=True)
    assert rolled.gate == "reparent_is_not_held"
    assert str((rolled.failure or {})["msg"]).startswith("held before reparent: ")
    assert rig.simulation.fleet.reparents == []
    primaries = [uid for uid, kind in rig.types().items() if kind == "PRIMARY"]
    assert sorted(rig.upgraded()) == sorted(uid for uid in rig.types() if uid not in primaries)
    assert rig.claims_held() == []
    assert rig.roll().failure is None
    assert len(rig.upgraded()) == len(rig.types())
    rig.assert_unharmed()
