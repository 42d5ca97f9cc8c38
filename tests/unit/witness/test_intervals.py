# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vtops.vitess.tests.witness.intervals import (
    Interval,
    clip,
    most_together,
    together,
    total,
    union,
    without,
)

whole = st.integers(0, 50)
interval = st.tuples(whole, whole).map(lambda pair: Interval(float(min(pair)), float(max(pair))))
some = st.lists(interval, max_size=8)


def holds(intervals: list[Interval], moment: float) -> bool:
    return any(one.start <= moment <= one.end for one in intervals)


HALVES = [number / 2 for number in range(101)]
"""Moments on the edges and between them."""


@given(some)
def test_a_union_holds_the_same_moments_and_its_parts_do_not_touch(intervals: list[Interval]):
    merged = union(intervals)
    assert all(holds(merged, moment) == holds(intervals, moment) for moment in HALVES)
    assert all(left.end < right.start for left, right in pairwise(merged))


@given(some, some)
def test_without_holes_nothing_within_a_hole_is_left_and_nothing_else_is_lost(
    intervals: list[Interval], holes: list[Interval]
):
    left = without(intervals, holes)
    for quarter in range(1, 200, 2):
        moment = quarter / 4
        assert holds(left, moment) == (holds(intervals, moment) and not holds(holes, moment))
    assert total(left) <= total(intervals)


@given(some, interval)
def test_a_clip_is_what_lies_within_the_window(intervals: list[Interval], window: Interval):
    clipped = clip(intervals, window)
    for moment in HALVES:
        assert holds(clipped, moment) == (holds(intervals, moment) and holds([window], moment))


@given(st.dictionaries(st.sampled_from("abcd"), some))
def test_the_most_together_is_the_worst_of_all_moments(named: dict[str, list[Interval]]):
    worst = max(sum(holds(own, moment) for own in named.values()) for moment in HALVES)
    assert most_together(named) == worst
    assert max((len(stretch.names) for stretch in together(named)), default=0) == worst


def test_two_that_follow_each_other_are_not_together():
    assert most_together({"a": [Interval(0, 1)], "b": [Interval(1.001, 2)]}) == 1


def test_one_moment_within_another_interval_is_together():
    assert most_together({"a": [Interval(0, 2)], "b": [Interval(1, 1)]}) == 2


def test_one_name_is_never_together_with_itself():
    assert most_together({"a": [Interval(0, 2), Interval(1, 3)]}) == 1


def test_an_interval_does_not_end_before_it_starts():
    with pytest.raises(ValueError, match="before it starts"):
        Interval(2, 1)
