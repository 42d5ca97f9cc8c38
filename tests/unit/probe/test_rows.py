# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.probe.rows import OutOfRows, Rows, first_id, staleness


def test_runs_that_start_a_millisecond_apart_use_ids_of_their_own():
    assert first_id(1_800_000_000.001) - first_id(1_800_000_000.0) == 1 << 20
    assert first_id(4_000_000_000) < 1 << 63


def test_an_id_is_given_out_once_and_only_for_its_shard():
    rows = Rows(100, shards=2)
    ids = rows.fresh_range(4)
    rows.stock({row: row % 2 for row in ids})
    assert [rows.take(0), rows.take(0), rows.take(1), rows.take(1)] == [100, 102, 101, 103]
    assert rows.fresh_range(1) == range(104, 105)
    with pytest.raises(OutOfRows):
        rows.take(0)


def test_the_stock_is_that_of_the_shard_with_the_fewest_ids():
    rows = Rows(0, shards=2)
    rows.stock({1: 0, 2: 0, 3: 1})
    assert rows.in_stock() == 1


def test_a_reader_must_see_nothing_before_a_write_is_old_enough():
    rows = Rows(0, shards=1)
    rows.acked(0, 7, now=100.0)
    assert rows.must_see(0, now=129.9, stale_after=30.0) == []


def test_a_reader_must_see_the_newest_row_that_is_older_than_the_limit_and_its_elders():
    rows = Rows(0, shards=2)
    for row, now in ((1, 0.0), (2, 50.0), (3, 90.0), (4, 99.0)):
        rows.acked(0, row, now)
    rows.acked(1, 9, 0.0)
    assert rows.must_see(0, now=100.0, stale_after=10.0) == [(3, 10.0), (2, 50.0), (1, 100.0)]


def test_an_acknowledgement_that_is_noted_late_keeps_the_times_in_order():
    rows = Rows(0, shards=1)
    rows.acked(0, 1, 10.0)
    rows.acked(0, 2, 9.999)
    assert rows.must_see(0, now=20.0, stale_after=10.0) == [(2, 10.0)]


def test_a_read_is_as_stale_as_the_oldest_row_that_it_missed():
    expected = [(3, 10.0), (2, 50.0), (1, 100.0)]
    assert staleness(expected, {1, 2, 3}) is None
    assert staleness(expected, {1, 2}) == 10.0
    assert staleness(expected, {1}) == 50.0
    assert staleness([], set()) is None
