# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What vtgates can do wrong: learn late or never, say what is not so, come and go."""

from __future__ import annotations

import pytest

from ansible_collections.vtops.vitess.tests.behaviour.conftest import Make
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig
from ansible_collections.vtops.vitess.tests.sim.layout import VtgatePlan, many, one_shard
from ansible_collections.vtops.vitess.tests.sim.vtgate import Row, Vtgate

QUICK = {"catch_up_timeout": 60.0, "route_timeout": 90.0}
FIVE = many(3, 5)
NEW_VTGATES = one_shard(vtgates=(VtgatePlan("vtgate-0", version="24.0.2"), VtgatePlan("vtgate-1", version="24.0.2")))


def test_a_vtgate_that_never_learns_the_new_address_stops_the_roll(make: Make) -> None:
    """vitess#19894: 3 of 18 vtgates had no replica when the next one was rolled."""
    rig = make(FIVE)
    rig.simulation.vtgates["vtgate-3"].deaf_to.add(rig.alias(102))
    rolled = rig.roll(**QUICK)
    assert rolled.failure is not None
    assert "vtgate-3" in rolled.reason
    assert len(rig.simulation.kubernetes.evictions) == 1
    rig.assert_unharmed()


def test_the_next_tablet_waits_for_the_slowest_vtgate(make: Make) -> None:
    """op#790: a settle time below --tablet-refresh-interval is no proof."""
    rig = make(FIVE)
    slow = rig.simulation.vtgates["vtgate-4"]
    learn, slow.refresh = slow.refresh, lambda: None  # type: ignore[method-assign]
    rig.simulation.timeline.after(75.0, lambda: setattr(slow, "refresh", learn))
    assert rig.roll(route_timeout=300.0).failure is None
    assert max(rig.simulation.referee.most_away.values()) == 1
    rig.assert_unharmed()


@pytest.mark.parametrize("layout", [one_shard(), NEW_VTGATES], ids=["v23", "v24"])
def test_a_vtgate_that_says_serving_but_does_not_route_is_found_by_the_canary(layout: object, make: Make) -> None:
    """vitess#20286, #20328: the cache says SERVING, the tablet is not routable."""
    rig = make(layout)  # type: ignore[arg-type]
    rig.simulation.vtgates["vtgate-1"].cannot_route_to.add(rig.alias(102))
    rolled = rig.roll(**QUICK, canary_tries=5)
    assert rolled.gate == "canary"
    assert "vtgate-1" in rolled.reason
    assert len(rig.simulation.kubernetes.evictions) == 1
    rig.assert_unharmed()


def test_a_stale_row_at_the_old_address_is_not_proof(rig: Rig) -> None:
    """vitess#8465, #14588: a vtgate keeps the old address, and may reach another tablet there."""
    vtgate = rig.simulation.vtgates["vtgate-0"]
    old = rig.simulation.tablet("102").hostname

    def keeps() -> None:
        vtgate.extra_rows.append(Row(rig.alias(102), old, "REPLICA", serving=True, stale=True))

    rig.wire.before("ChangeTabletType zone1-0000000102 replica", keeps)
    rolled = rig.roll(**QUICK)
    assert rolled.failure is not None
    assert "old address" in rolled.reason
    assert len(rig.simulation.kubernetes.evictions) == 1


def test_a_reused_address_of_another_tablet_is_not_proof(rig: Rig) -> None:
    """The new Pod of 102 gets the address that 103 had; a vtgate that still ties it to 103 must not count."""
    vtgate = rig.simulation.vtgates["vtgate-0"]
    assert rig.replace(103, **QUICK).failure is None
    former = "10.244.0.99"
    rig.simulation.kubernetes.next_address["commerce-x-x-1"] = former

    def ties() -> None:
        vtgate.extra_rows.append(Row(rig.alias(103), former, "REPLICA", serving=True, stale=True))

    rig.wire.before("ChangeTabletType zone1-0000000102 replica", ties)
    rolled = rig.roll(**QUICK)
    assert rolled.failure is not None
    assert rig.types()[101] == "PRIMARY"


def test_a_vtgate_that_appears_in_mid_roll_is_asked_too(rig: Rig) -> None:
    """design rule 8: the set is listed anew at each look."""

    def appears() -> None:
        simulation = rig.simulation
        plan = VtgatePlan("vtgate-9")
        vtgate = Vtgate(plan, simulation.fleet, 9)
        vtgate.begin()
        vtgate.deaf_to.add(rig.alias(102))
        vtgate.rows.pop(rig.alias(102), None)
        simulation.vtgates["vtgate-9"] = vtgate
        simulation.kubernetes.program("vtgate-9", "vtgate", 3306)
        rig.server.listen_now(vtgate)

    rig.wire.before("POST .*/eviction", appears)
    rolled = rig.roll(**QUICK)
    assert rolled.failure is not None
    assert "vtgate-9" in rolled.reason
    assert len(rig.simulation.kubernetes.evictions) == 1


def test_a_vtgate_that_goes_in_mid_roll_is_skipped_and_named(rig: Rig) -> None:
    def goes() -> None:
        pod = rig.simulation.store.of("pods")["vtgate-1"]
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        rig.simulation.vtgates["vtgate-1"].down = True

    rig.wire.before("POST .*/eviction", goes)
    rolled = rig.roll(**QUICK)
    assert rolled.failure is None


def test_a_vtgate_that_is_replaced_in_mid_roll_is_asked_anew(rig: Rig) -> None:
    def replaced() -> None:
        rig.simulation.store.of("pods")["vtgate-1"]["metadata"]["uid"] = "another"

    rig.wire.before("POST .*/eviction", replaced)
    assert rig.roll(**QUICK).failure is None
    rig.assert_unharmed()


def test_a_vtgate_that_is_cut_off_for_a_moment_is_waited_for_in_the_proof(rig: Rig) -> None:
    vtgate = rig.simulation.vtgates["vtgate-1"]

    def cut() -> None:
        vtgate.down = True
        rig.simulation.timeline.after(8.0, lambda: setattr(vtgate, "down", False))

    rig.wire.before("ChangeTabletType zone1-0000000102 replica", cut)
    assert rig.replace(102, **QUICK).failure is None


def test_a_vtgate_that_did_not_hold_every_write_is_said_after_the_reparent(rig: Rig) -> None:
    """operators.md D9, D10: skipped or evicted requests are errors that clients saw."""
    for uid in (102, 103):
        assert rig.replace(uid).failure is None
    rig.simulation.vtgates["vtgate-1"].skips_buffering = True
    result = rig.execute("shard_reparent", 101)
    assert result["failure"]["gate"] == "buffer"
    assert "vtgate-1" in result["failure"]["reason"]
    assert "serves" in result["failure"]["state"]
