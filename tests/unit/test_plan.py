# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Alias, TabletType
from ansible_collections.vtops.vitess.plugins.module_utils.owners import Wanted
from ansible_collections.vtops.vitess.plugins.module_utils.plan import (
    Step,
    Unfit,
    check_primaries_last,
    ordered,
    step_for,
)
from ansible_collections.vtops.vitess.tests.unit.factories import (
    NEW,
    OLD,
    PRIMARY,
    REPLICA,
    SIBLING,
    a_pod,
    a_tablet,
    an_owner,
)


def a_step(
    uid: int, kind: TabletType = TabletType.REPLICA, action: str = "replace", shard: str = "commerce/-80"
) -> Step:
    return Step(Alias("zone1", uid), shard, kind, action, "")


def uids(steps: tuple[Step, ...]) -> list[int]:
    return [step.alias.uid for step in steps]


def test_replicas_come_before_their_primary_and_rdonly_before_replicas() -> None:
    steps = [a_step(1, TabletType.PRIMARY), a_step(2), a_step(3, TabletType.RDONLY), a_step(4, TabletType.SPARE)]
    assert uids(ordered(steps)) == [3, 4, 2, 1]


def test_what_is_in_flight_comes_first_even_before_rdonly() -> None:
    steps = [a_step(1, TabletType.RDONLY), a_step(2, TabletType.DRAINED, "finish"), a_step(3)]
    assert uids(ordered(steps)) == [2, 1, 3]


def test_what_is_in_flight_and_was_made_the_primary_meanwhile_comes_last() -> None:
    """Before the others it could be handed over to nobody: a primary is never moved to a tablet that is not upgraded."""
    steps = [a_step(1, TabletType.PRIMARY, "finish"), a_step(2), a_step(3, TabletType.DRAINED, "finish")]
    assert uids(ordered(steps)) == [3, 2, 1]


def test_one_shard_comes_after_the_other() -> None:
    steps = [
        a_step(1, TabletType.PRIMARY, shard="commerce/-80"),
        a_step(4, shard="commerce/80-"),
        a_step(2, shard="commerce/-80"),
        a_step(3, TabletType.PRIMARY, shard="commerce/80-"),
    ]
    assert uids(ordered(steps)) == [2, 1, 4, 3]


def test_tablets_of_a_type_come_by_alias() -> None:
    assert uids(ordered([a_step(12), a_step(9), a_step(101)])) == [9, 12, 101]


def test_a_tablet_at_another_revision_is_replaced_and_the_step_says_from_what_to_what() -> None:
    step = step_for("commerce/-80", a_tablet(REPLICA), Wanted(revision="new"), an_owner(), in_flight=False)
    assert (step.action, step.reason, step.current, step.wanted) == ("replace", "old, wanted revision new", OLD, NEW)


def test_a_tablet_that_is_as_wanted_is_skipped() -> None:
    tablet = a_tablet(REPLICA, pod=a_pod(REPLICA, revision="new"))
    assert step_for("s", tablet, Wanted(revision="new"), an_owner(), in_flight=False).action == "skip"


def test_a_tablet_in_flight_is_finished_even_if_its_pod_is_as_wanted() -> None:
    tablet = a_tablet(REPLICA, pod=a_pod(REPLICA, revision="new"))
    assert step_for("s", tablet, Wanted(revision="new"), an_owner(), in_flight=True).action == "finish"


def test_a_tablet_without_a_pod_is_replaced() -> None:
    step = step_for("s", a_tablet(REPLICA, pod=None), Wanted(revision="new"), None, in_flight=False)
    assert (step.action, step.reason) == ("replace", "no Pod, wanted revision new")


def test_a_step_in_a_result_names_tablet_shard_type_and_action() -> None:
    assert a_step(1).as_dict() == {
        "tablet": "zone1-0000000001",
        "shard": "commerce/-80",
        "type": "REPLICA",
        "action": "replace",
        "reason": "",
        "current": "",
        "wanted": "",
        "wanted_revision": "",
    }


WHOLE: dict[str, tuple[Step, ...]] = {
    "commerce/-80": (
        Step(PRIMARY, "commerce/-80", TabletType.PRIMARY, "replace", ""),
        Step(REPLICA, "commerce/-80", TabletType.REPLICA, "replace", ""),
        Step(SIBLING, "commerce/-80", TabletType.REPLICA, "skip", ""),
    )
}


def test_a_primary_may_come_after_all_replicas_that_are_not_done() -> None:
    check_primaries_last(WHOLE["commerce/-80"][:2], WHOLE)


def test_refuses_a_primary_whose_replica_is_neither_done_nor_selected() -> None:
    with pytest.raises(Unfit, match="also select zone1-0000000102, or leave it out"):
        check_primaries_last(WHOLE["commerce/-80"][:1], WHOLE)


def test_a_primary_that_is_skipped_needs_no_replica() -> None:
    whole: dict[str, tuple[Step, ...]] = {
        "s": (Step(PRIMARY, "s", TabletType.PRIMARY, "skip", ""), Step(REPLICA, "s", TabletType.REPLICA, "replace", ""))
    }
    check_primaries_last(whole["s"][:1], whole)


def test_a_replica_alone_may_be_selected() -> None:
    check_primaries_last(WHOLE["commerce/-80"][1:2], WHOLE)
