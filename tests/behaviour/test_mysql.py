# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""MySQL goes to another series: by the documented steps, never back, on what the mysqlds report and not on their images' tags."""

from __future__ import annotations

import pytest

from ansible_collections.vtops.vitess.tests.behaviour.conftest import Make
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig
from ansible_collections.vtops.vitess.tests.sim.layout import one_shard

NEXT = one_shard(old_mysql="8.0.40", new_mysql="8.4.6")


def _mysqls(rig: Rig) -> dict[int, str]:
    return {tablet.uid: tablet.mysqld.version for tablet in rig.simulation.fleet.tablets.values()}


def _specs_go_back(rig: Rig) -> None:
    """The owner wants again what runs at the tablets that were not replaced."""
    owner = rig.simulation.store.of("statefulsets")["commerce-x-x"]
    for container in owner["spec"]["template"]["spec"]["containers"]:
        mysqld = container["name"] == "mysqld"
        container["image"] = "mysql:8.0.40" if mysqld else f"vitess/lite:v{rig.simulation.layout.old}"
    rig.simulation.kubernetes.spec_changed(owner)
    rig.simulation.pass_(1.0)


@pytest.fixture
def half(make: Make) -> Rig:
    """102 runs 8.4; 103 and the primary 101 run 8.0."""
    rig = make(NEXT)
    assert rig.replace(102, mysql_series="8.4").failure is None
    rig.acts.clear()
    return rig


def test_a_roll_to_the_next_series_stops_every_mysqld_slowly(make: Make) -> None:
    """vitess#18045, operators.md D17: the undo log of a fast shutdown is of the old format."""
    rig = make(NEXT)
    rolled = rig.roll(mysql_series="8.4")
    assert rolled.failure is None, rolled.reason
    assert set(_mysqls(rig).values()) == {"8.4.6"}
    assert rig.simulation.fleet.upgraded_in_haste == []
    assert rig.roll(mysql_series="8.4").changed == 0
    rig.assert_unharmed()


def test_a_series_that_nobody_spoke_of_stops_the_roll_at_the_second_tablet(make: Make) -> None:
    rig = make(NEXT)
    rolled = rig.roll()
    assert rolled.gate == "mysql_step_is_allowed"
    assert "set mysql_series: '8.4'" in rolled.reason
    assert _mysqls(rig) == {101: "8.0.40", 102: "8.4.6", 103: "8.0.40"}
    assert rig.roll(mysql_series="8.4").failure is None
    assert set(_mysqls(rig).values()) == {"8.4.6"}
    rig.assert_unharmed()


def test_a_series_that_is_skipped_is_refused_before_anything_is_touched(make: Make) -> None:
    rig = make(one_shard(old_mysql="8.0.40", new_mysql="9.7.4"))
    assert "skips 8.4" in rig.roll(mysql_series="9.7").reason
    drained = rig.execute("tablet_drain", 102, mysql_series="9.7")
    assert drained["failure"]["gate"] == "mysql_step_is_allowed"
    assert rig.acts == []
    rig.assert_unharmed()


def test_a_mysqld_never_goes_back_to_the_series_before(half: Rig) -> None:
    """operators.md D17: the data dictionary was upgraded; the old mysqld would not start on it."""
    _specs_go_back(half)
    drained = half.execute("tablet_drain", 102)
    assert drained["failure"]["gate"] == "mysql_step_is_allowed"
    assert "restore a backup of 8.0" in drained["failure"]["reason"]
    assert half.acts == []
    half.assert_unharmed()


def test_a_third_series_is_refused(half: Rig) -> None:
    """MySQL manual, Replication Compatibility."""
    half.simulation.tablet("101").mysqld.version = "8.3.0"
    drained = half.execute("tablet_drain", 103, mysql_series="8.4")
    assert drained["failure"]["gate"] == "two_mysql_series_at_most"
    assert "would have MySQL 8.0, 8.3, 8.4" in drained["failure"]["reason"]
    assert half.acts == []
    half.assert_unharmed()


def test_a_primary_of_the_new_series_waits_for_all_replicas(half: Rig) -> None:
    """An 8.0 replica cannot follow an 8.4 primary, which would be left without an acker."""
    result = half.execute("shard_reparent", 101, mysql_series="8.4")
    assert result["failure"]["gate"] == "others_run_the_new_series"
    assert "zone1-0000000103 does not run MySQL 8.4 yet" in result["failure"]["reason"]
    assert half.acts == []
    half.assert_unharmed()


def test_never_reparents_back_to_an_older_series(half: Rig) -> None:
    """facts: replication from a newer series to an older one is not supported, whatever the owner wants by now."""
    assert half.replace(103, mysql_series="8.4").failure is None
    moved = half.execute("shard_reparent", 101, mysql_series="8.4")
    assert moved["changed"] is True
    new = int(moved["after"]["primary"].rpartition("-")[2])
    half.acts.clear()
    _specs_go_back(half)
    back = half.execute("shard_reparent", new, new_primary=half.alias(101))
    assert back["failure"]["gate"] == "candidate_is_fit"
    assert "its MySQL 8.0.40 is of an older series than the primary's 8.4.6" in back["failure"]["reason"]
    assert half.acts == []
    half.assert_unharmed()
