# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan that was approved: what its hash covers, and what has moved since."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Alias, TabletType
from ansible_collections.vtops.vitess.plugins.module_utils.plan import Step, Unfit
from ansible_collections.vtops.vitess.plugins.module_utils.plan_document import (
    FORMAT,
    differences,
    document,
    hash_of,
    steps_of,
    tablets_of,
)

OPTIONS = {"wanted_since": None, "accept_drained": [], "accept_no_route": ["zone1-0000000104"]}
OLD, NEW = "vitess/lite:v23.0.3", "vitess/lite:v24.0.2"


def step(uid: int, kind: TabletType = TabletType.REPLICA, **given: Any) -> Step:
    whole: dict[str, Any] = {
        "action": "replace",
        "reason": "old, wanted new",
        "current": OLD,
        "wanted": NEW,
        "current_revision": "old",
        "wanted_revision": "new",
        **given,
    }
    return Step(Alias("zone1", uid), "commerce/-80", kind, **whole)


STEPS = (step(102), step(103), step(101, TabletType.PRIMARY))


def alone(steps: Iterable[Step]) -> list[tuple[Step, ...]]:
    """One at a time."""
    return [(s,) for s in steps]


ALONE = alone(STEPS)


def now(*changed: Step) -> dict[Alias, Step]:
    return {s.alias: s for s in (*STEPS, *changed)}


def approved() -> dict[str, Any]:
    """As it comes back from a file."""
    found: dict[str, Any] = json.loads(json.dumps(document(ALONE, OPTIONS)))
    return found


def test_what_was_approved_can_be_done() -> None:
    assert tablets_of(approved()) == [s.alias for s in STEPS]
    assert differences(approved(), now(), OPTIONS) == []


def test_the_plans_own_outcome_is_no_difference() -> None:
    done = step(102, action="skip", current=NEW, current_revision="new")
    flying = step(103, action="finish", current=NEW, current_revision="new")
    assert differences(approved(), now(done, flying), OPTIONS) == []


def test_the_hash_does_not_cover_what_changes_by_itself() -> None:
    others = [replace(s, reason="another", type=TabletType.REPLICA) for s in STEPS]
    assert document(alone(others), OPTIONS)["hash"] == approved()["hash"]


@given(st.sampled_from(["current", "wanted", "current_revision", "wanted_revision", "shard"]), st.integers(0, 2))
def test_the_hash_covers_what_is_done(name: str, number: int) -> None:
    changed = [replace(s, **{name: "other"}) if n == number else s for n, s in enumerate(STEPS)]
    assert document(alone(changed), OPTIONS)["hash"] != approved()["hash"]


@given(st.permutations(STEPS))
def test_the_hash_covers_the_order(order: list[Step]) -> None:
    assert (document(alone(order), OPTIONS)["hash"] == approved()["hash"]) == (tuple(order) == STEPS)


def test_the_hash_covers_what_was_accepted_in_whatever_order() -> None:
    two = {**OPTIONS, "accept_no_route": ["b", "a"]}
    assert document(ALONE, two)["hash"] == document(ALONE, {**two, "accept_no_route": ["a", "b"]})["hash"]
    assert document(ALONE, two)["hash"] != approved()["hash"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (step(102, wanted_revision="newer"), "the plan wants new (vitess/lite:v24.0.2), its owner's spec says newer"),
        (step(102, wanted="vitess/lite:v24.0.3"), "its owner's spec says new (vitess/lite:v24.0.3) now"),
        (step(103, current_revision="between"), "it runs between (vitess/lite:v23.0.3), which is neither"),
        (replace(step(103), shard="commerce/80-"), "the plan has it in commerce/-80, it is in commerce/80- now"),
        (step(102, TabletType.PRIMARY), "it is the primary of commerce/-80 now, and the plan takes it before"),
    ],
)
def test_each_difference_is_named(changed: Step, reason: str) -> None:
    (found,) = differences(approved(), now(changed), OPTIONS)
    assert found.startswith(f"{changed.alias}: ")
    assert reason in found


def test_a_failover_to_one_that_is_done_is_no_difference() -> None:
    promoted = step(102, TabletType.PRIMARY, action="skip", current=NEW, current_revision="new")
    assert differences(approved(), now(promoted, step(101)), OPTIONS) == []


def test_a_primary_with_a_replica_that_the_plan_does_not_have_comes_too_early() -> None:
    """One that was added since, or a failover out of the plan's tablets."""
    assert differences(approved(), now(step(104)), OPTIONS) == [
        "zone1-0000000101: it is the primary of commerce/-80 now, and the plan takes it before zone1-0000000104"
    ]
    assert differences(approved(), now(step(104, action="skip")), OPTIONS) == []


WITHOUT_POD = step(102, current="", current_revision="", wanted="", wanted_revision="")


def test_a_lost_pod_is_the_rolls_own_business() -> None:
    assert differences(approved(), now(WITHOUT_POD), OPTIONS) == []


def test_a_tablet_whose_owner_is_not_seen_without_its_pod_is_held_to_what_the_plan_wants() -> None:
    (first, *others) = steps_of(approved(), now(WITHOUT_POD))
    assert (first.wanted, first.wanted_revision, first.current) == (NEW, "new", "")
    assert tuple(others) == STEPS[1:]


def test_an_owner_that_wants_nothing_of_a_pod_that_is_there_is_a_difference() -> None:
    assert "its owner's spec says nothing now" in str(
        differences(approved(), now(step(102, wanted="", wanted_revision="")), OPTIONS)
    )


OTHER_SHARD = tuple(replace(s, shard="commerce/80-") for s in (step(202), step(203), step(201, TabletType.PRIMARY)))


def test_a_roll_that_is_to_stop_before_its_reparents_needs_a_plan_that_was_made_for_that() -> None:
    today = now(*OTHER_SHARD)
    through = document(alone([*STEPS, *OTHER_SHARD]), OPTIONS)
    held = document(alone([*STEPS[:2], *OTHER_SHARD[:2], STEPS[2], OTHER_SHARD[2]]), OPTIONS)
    assert differences(through, today, OPTIONS) == differences(held, today, OPTIONS) == []
    assert differences(held, today, OPTIONS, hold_before_reparent=True) == []
    assert differences(through, today, OPTIONS, hold_before_reparent=True) == [
        "option hold_before_reparent: the plan was made without it and takes the primary zone1-0000000101 before zone1-0000000202"
    ]


def test_a_plan_with_one_reparent_left_may_be_held() -> None:
    assert differences(approved(), now(), OPTIONS, hold_before_reparent=True) == []


def test_a_tablet_that_is_gone_and_an_option_that_is_another_are_named() -> None:
    left = {alias: s for alias, s in now().items() if alias.uid != 103}
    assert differences(approved(), left, {**OPTIONS, "accept_drained": ["x"]}) == [
        "option accept_drained: the plan has [], this run ['x']",
        "zone1-0000000103: it is gone",
    ]


def test_an_option_that_only_the_plan_has_is_a_difference() -> None:
    more = document(ALONE, {**OPTIONS, "max_lag": "5"})
    assert differences(more, now(), OPTIONS) == ["option max_lag: the plan has '5', this run None"]


def test_an_edited_plan_is_refused() -> None:
    edited = approved()
    edited["tablets"].pop()
    with pytest.raises(Unfit, match="was edited"):
        tablets_of(edited)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, "format None"),
        ({"format": 2}, "format 2"),
        ({"format": 1, "tablets": "all"}, "names no tablets"),
        ({"format": 1, "tablets": [{"tablet": "zone1-101"}], "options": {}}, "names no tablets"),
        ({**document(ALONE, {}), "options": None}, "names no tablets"),
        ({**document(ALONE, {}), "approved_by": "me"}, "names no tablets"),
    ],
)
def test_what_is_no_plan_is_refused(content: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unfit, match=reason):
        tablets_of({**content, "hash": hash_of(content)})


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
PLACES: list[tuple[Any, ...]] = [
    (),
    ("options",),
    ("options", "wanted_since"),
    ("batches",),
    ("batches", 0),
    ("tablets",),
    ("tablets", 0),
    *(("tablets", 0, key) for key in ("tablet", "shard", "action", "current", "wanted")),
    ("tablets", 0, "current", "image"),
    ("tablets", 0, "wanted", "revision"),
]


@given(st.sampled_from(PLACES), st.sampled_from(["put", "add", "remove"]), ANYTHING)
def test_whatever_a_document_with_a_true_hash_holds_it_is_a_plan_or_refused(
    place: tuple[Any, ...], how: str, value: Any
) -> None:
    """Made by another program, or by a version to come; nothing but Unfit is raised."""
    content: dict[str, Any] = {key: part for key, part in approved().items() if key != "hash"}
    inside: Any = content
    for key in place[:-1]:
        inside = inside[key]
    if how == "put" and place:
        inside[place[-1]] = value
    elif how == "remove" and place:
        del inside[place[-1]]
    elif how == "add" and isinstance(inside, dict):
        inside["other"] = value
    content["hash"] = hash_of(content)
    try:
        aliases = tablets_of(content)
    except Unfit:
        return
    assert content["format"] == FORMAT
    assert len(aliases) == len(content["tablets"])
    if not differences(content, now(), OPTIONS):
        assert steps_of(content, now()) == tuple(now()[alias] for alias in aliases)


@pytest.mark.parametrize("sizes", [[3], [1, 1], [2, 1], [1, 1, 0, 1], [1, 1, True], [1.0, 1, 1], [4, -1]])
def test_batches_that_divide_the_tablets_up_otherwise_or_hold_two_of_a_shard_are_no_plan(sizes: list[Any]) -> None:
    content = {**approved(), "batches": sizes}
    with pytest.raises(Unfit, match="names no tablets"):
        tablets_of({**content, "hash": hash_of(content)})


def test_the_hash_covers_the_batches() -> None:
    together = document([(STEPS[0], OTHER_SHARD[0])], OPTIONS)
    assert together["batches"] == [2]
    assert together["hash"] != document(alone([STEPS[0], OTHER_SHARD[0]]), OPTIONS)["hash"]
    assert tablets_of(together) == [STEPS[0].alias, OTHER_SHARD[0].alias]


def test_an_override_is_an_option_of_the_plan_with_its_reason() -> None:
    given = {**OPTIONS, "override_gates": {"new_pod_has_a_place": "nodes are added on demand"}}
    planned = json.loads(json.dumps(document(ALONE, given)))
    assert differences(planned, now(), given) == []
    assert differences(planned, now(), OPTIONS | {"override_gates": {}}) == [
        "option override_gates: the plan has {'new_pod_has_a_place': 'nodes are added on demand'}, this run ''"
    ]


def test_a_plan_that_names_a_tablet_twice_is_refused() -> None:
    with pytest.raises(Unfit, match="twice"):
        tablets_of(document(alone([*STEPS, STEPS[0]]), OPTIONS))
