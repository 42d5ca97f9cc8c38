# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an operator is told before a roll."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.fleet import (
    Alias,
    Shard,
    Tablet,
    TabletType,
    Vtgate,
    VtgateSettings,
)
from ansible_collections.vtops.vitess.plugins.module_utils.plan import Step
from ansible_collections.vtops.vitess.plugins.module_utils.readiness import notes
from ansible_collections.vtops.vitess.plugins.module_utils.versions import Series
from ansible_collections.vtops.vitess.tests.unit.factories import REPLICA, a_pod, a_replica_mysqld

V23, V24 = "vitess/lite:v23.0.3", "vitess/lite:v24.0.2"


def step(uid: int = 102, kind: TabletType = TabletType.REPLICA, **given: Any) -> Step:
    whole = {"action": "replace", "reason": "", "current": V23, "wanted": V24, **given}
    return Step(Alias("zone1", uid), "commerce/-80", kind, **whole)


def shard(hostname: str = "10.244.1.7", error: str = "", **settings: float) -> Shard:
    tablet = Tablet(Alias("zone1", 102), "commerce", "-80", TabletType.REPLICA, hostname)
    vtgate = Vtgate("vtgate-0", settings=VtgateSettings(**settings), error=error)
    return Shard("commerce", "-80", "semi_sync", None, "", (tablet,), (vtgate,))


def test_a_roll_that_replaces_nothing_needs_no_note() -> None:
    assert notes([step(action="skip")], [shard()]) == []


def test_the_refresh_interval_is_said_with_what_it_may_cost() -> None:
    (note,) = notes([step(), step(103)], [shard(tablet_refresh_interval_s=90.0)])
    assert "every 90 s" in note
    assert "3 min of this roll's at most" in note


@pytest.mark.parametrize("seen", [shard("commerce-x-80-1.vttablet"), shard("fd00::7", error="it does not answer")])
def test_stable_addresses_and_vtgates_that_are_not_known_cost_nothing_known(seen: Shard) -> None:
    assert notes([step()], [seen]) == []


def test_tablets_that_will_serve_before_they_have_caught_up_are_counted() -> None:
    (note,) = notes([step(wanted=V23), step(103, wanted="vitess/lite:latest"), step(104)], [])
    assert note.startswith("1 tablets will run a Vitess before v24")


def test_the_first_primary_of_a_new_version_is_the_point_of_no_return() -> None:
    (note,) = notes([step(), step(101, TabletType.PRIMARY), step(201, TabletType.PRIMARY)], [])
    assert note.startswith("point of no return: step 2, the reparent away from zone1-0000000101")


def of_mysql(version: str) -> Shard:
    seen = shard("stable")
    return replace(
        seen, tablets=tuple(replace(t, mysqld=a_replica_mysqld(REPLICA, version=version)) for t in seen.tablets)
    )


def test_a_new_mysql_series_has_no_way_back_and_stops_slowly() -> None:
    (note,) = notes([step()], [of_mysql("8.0.40")], Series(8, 4))
    assert note.startswith("MySQL 8.0 -> 8.4: a tablet that was replaced has no way back but a backup of 8.0")
    assert "innodb_fast_shutdown=0" in note


def test_a_new_mysqld_image_asks_which_series_it_brings() -> None:
    images = {"current_mysqld": "mysql:prod", "wanted_mysqld": "mysql:next"}
    (note,) = notes([step(**images), step(103)], [of_mysql("8.0.40")])
    assert note.startswith("the mysqld image of 1 tablets changes (mysql:prod -> mysql:next; MySQL 8.0 runs)")
    assert notes([step(**images)], [of_mysql("8.4.6")], Series(8, 4)) == []


def test_a_restart_at_the_same_version_can_always_be_turned_back() -> None:
    assert notes([step(101, TabletType.PRIMARY, current=V24)], []) == []


@pytest.mark.parametrize(
    ("wanted", "said"), [("24.0.1", True), ("24.0.2", False), ("25.0.0", False), ("23.0.3", False)]
)
def test_a_release_with_a_known_fault_is_said(wanted: str, said: bool) -> None:
    found = notes([step(wanted=f"vitess/lite:v{wanted}")], [shard(hostname="a.name")])
    assert any("vitess#20328" in note for note in found) is said


@pytest.mark.parametrize(("grace", "said"), [(20.0, True), (25.0, False), (600.0, False)])
def test_a_grace_period_that_kills_mysqld_is_said(grace: float, said: bool) -> None:
    seen = shard(hostname="a.name")
    pod = a_pod(REPLICA, grace_s=grace)
    seen = replace(seen, tablets=tuple(replace(t, pod=pod) for t in seen.tablets))
    found = notes([step()], [seen])
    assert any("terminationGracePeriodSeconds" in note for note in found) is said
