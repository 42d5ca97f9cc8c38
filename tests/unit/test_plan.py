# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Alias, TabletType
from ansible_collections.vtops.vitess.plugins.module_utils.owners import Wanted
from ansible_collections.vtops.vitess.plugins.module_utils.plan import (
    Step,
    Unfit,
    batches,
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


# -- batches


def of_shards(*names: str, tablets: int = 3, cell: str = "zone1") -> list[Step]:
    """Shard after shard: replicas, then the primary. The uid says which shard (hundreds) and which tablet."""
    return [
        Step(
            Alias(cell, 100 * number + n),
            f"commerce/{name}",
            TabletType.PRIMARY if n == tablets else TabletType.REPLICA,
            "replace",
            "",
        )
        for number, name in enumerate(names, 1)
        for n in range(1, tablets + 1)
    ]


def sizes(found: tuple[tuple[Step, ...], ...]) -> list[int]:
    return [len(batch) for batch in found]


def test_by_default_each_is_alone() -> None:
    order = ordered(of_shards("-80", "80-"))
    assert batches(order) == tuple((step,) for step in order)


def test_one_of_each_shard_after_the_canary() -> None:
    order = ordered(of_shards("-40", "40-80", "80-c0", "c0-"))
    found = batches(order, shards_at_once=2, canaries=1)
    assert uids(found[0]) == [101]
    assert [uids(batch) for batch in found[1:4]] == [[201, 301], [202, 302], [203, 303]]
    assert [uids(batch) for batch in found[4:]] == [[401, 102], [402, 103], [403]]


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=6),
    st.integers(1, 7),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
)
def test_batches_keep_every_shards_order_and_hold_no_two_of_a_shard(
    tablets: list[int], at_once: int, canaries: int, one_cell: bool, late: bool
) -> None:
    steps = [
        replace(
            step, shard=f"ks/{number}", alias=Alias(f"zone{1 + step.alias.uid % 2}", 1000 * number + step.alias.uid)
        )
        for number, many in enumerate(tablets)
        for step in of_shards("0", tablets=many)
    ]
    order = ordered(steps, late)
    found = batches(order, at_once, canaries, one_cell, late)
    flat = [step for batch in found for step in batch]
    assert sorted(uids(tuple(flat))) == sorted(uids(order))
    for shard in {step.shard for step in order}:
        assert [s for s in flat if s.shard == shard] == [s for s in order if s.shard == shard]
    for batch in found:
        assert len({step.shard for step in batch}) == len(batch) <= at_once
        if one_cell and at_once > 1:
            assert len({step.alias.cell for step in batch}) == 1
    if late:
        kinds = [step.type == TabletType.PRIMARY for step in flat[canaries:]]
        assert kinds == sorted(kinds)


def test_it_takes_no_more_batches_than_the_longest_shard_or_the_work_divided_up() -> None:
    order = ordered(of_shards("0", "1", "2", "3", "4", "5", "6", "7"))
    assert sizes(batches(order, shards_at_once=8)) == [8, 8, 8]
    assert sizes(batches(order, shards_at_once=4)) == [4, 4, 4, 4, 4, 4]


@pytest.mark.parametrize(("at_once", "canaries"), [(0, 0), (-1, 0), (2, -1)])
def test_numbers_that_make_no_sense_are_refused(at_once: int, canaries: int) -> None:
    with pytest.raises(Unfit, match="shards_at_once is at least 1 and canary at least 0"):
        batches(ordered(of_shards("0")), at_once, canaries)
