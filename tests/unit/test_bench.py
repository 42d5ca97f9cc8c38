# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figures of a roll, from what probe, witness and journal recorded."""

from __future__ import annotations

from ansible_collections.vtops.vitess.tests.bench.figures import KEYS, blindness, figures, table, waits_of

PROBE = {
    "requests": 73200,
    "errors": 3,
    "errors_open_transactions": 0,
    "longest_write_gap_s": 1.4131,
    "acked_lost": 0,
}
WITNESS = {"bound_s": 280.0, "most_away_per_shard": 1}


def test_overhead_is_what_is_left_of_the_wall_time_without_the_clusters_work_and_the_clients_waits() -> None:
    found = figures(PROBE, WITNESS, roll_s=310.0, waits_s=6.0, tablets=6)
    assert (found["overhead_s_per_tablet"], found["wall_over_bound"]) == (4.0, 1.084)
    assert tuple(found) == KEYS


def test_a_roll_that_replaced_nothing_has_no_overhead_per_tablet() -> None:
    found = figures(PROBE, {**WITNESS, "bound_s": 0.0}, roll_s=10.0, waits_s=0.0, tablets=0)
    assert (found["overhead_s_per_tablet"], found["wall_over_bound"]) == (None, None)


def test_only_the_waits_for_clients_count_as_waits() -> None:
    phases = [["tablet_drain", "wait for transactions", 0.0, 1.5], ["tablet_drain", "idle", 0.0, 9.0]]
    assert waits_of({"zone1-0000000102": {"phases": phases}, "zone1-0000000103": {"phases": phases}}) == {
        "wait for transactions": 3.0,
        "wait for the buffer's gap": 0.0,
    }


def test_the_table_says_of_which_kind_the_errors_are() -> None:
    found = figures(PROBE, WITNESS, 310.0, 6.0, 6)
    lines = table({"naive": found, "vtops": found}, {"naive": {"read": 1236}, "vtops": {"replica_transaction": 3}})
    assert "| errors | 3 | 3 |\n| - read | 1,236 | 0 |\n| - replica_transaction | 0 | 3 |\n" in lines


def test_a_witness_that_sees_no_two_tablets_away_in_the_naive_roll_fails_the_benchmark() -> None:
    vtops = {"most_away_per_shard": 1}
    assert "sees nothing" in blindness({"naive": {"most_away_per_shard": 1}, "vtops": vtops})
    assert blindness({"naive": {"most_away_per_shard": 3}, "vtops": vtops}) == ""
    assert blindness({"vtops": vtops}) == ""
