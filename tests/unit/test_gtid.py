# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vtops.vitess.plugins.module_utils.gtid import GtidSet

SOURCES = (
    "aaaaaaaa-0000-0000-0000-000000000001",
    "aaaaaaaa-0000-0000-0000-000000000001:tag",
    "bbbbbbbb-0000-0000-0000-000000000002",
)
Transactions = set[tuple[str, int]]

transactions = st.sets(st.tuples(st.sampled_from(SOURCES), st.integers(1, 25)), max_size=40)


def text_of(executed: Transactions) -> str:
    """Each transaction by itself, in any order: as unlike the canonical form as it gets."""
    return ",".join(f"{source}:{number}" for source, number in executed)


def set_of(gtids: GtidSet) -> Transactions:
    return {(key, n) for key, spans in gtids.intervals for first, last in spans for n in range(first, last + 1)}


@given(transactions)
def test_parses_to_the_same_transactions_and_counts_them(executed: Transactions) -> None:
    gtids = GtidSet.parse(text_of(executed))
    assert set_of(gtids) == executed
    assert gtids.count() == len(executed)
    assert bool(gtids) == bool(executed)


@given(transactions)
def test_its_text_parses_to_an_equal_set(executed: Transactions) -> None:
    gtids = GtidSet.parse(text_of(executed))
    assert GtidSet.parse(str(gtids)) == gtids
    assert GtidSet.parse(f"MySQL56/{gtids}") == gtids


@given(transactions, transactions)
def test_minus_is_the_difference_of_the_sets(one: Transactions, other: Transactions) -> None:
    assert set_of(GtidSet.parse(text_of(one)).minus(GtidSet.parse(text_of(other)))) == one - other


@given(transactions, transactions)
def test_contains_is_superset(one: Transactions, other: Transactions) -> None:
    assert GtidSet.parse(text_of(one)).contains(GtidSet.parse(text_of(other))) == (one >= other)


def test_intervals_that_touch_are_one() -> None:
    assert str(GtidSet.parse("A:4-6:1-3:8")) == "a:1-6:8"


def test_a_tag_is_a_source_of_its_own() -> None:
    untagged, tagged = GtidSet.parse("a:1-5"), GtidSet.parse("a:blue:1-5")
    assert not untagged.contains(tagged)
    assert str(GtidSet.parse("a:1-5:blue:1-2:7")) == "a:1-5,a:blue:1-2:7"


def test_the_server_uuid_is_compared_without_case_and_line_breaks() -> None:
    assert GtidSet.parse("AB-1:1-5,\ncd-2:1") == GtidSet.parse("ab-1:1-5,CD-2:1")


@pytest.mark.parametrize("text", ["a", "a:x-y", "a:1-x", "a:1,b"])
def test_refuses_what_is_no_gtid_set(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        GtidSet.parse(text)
