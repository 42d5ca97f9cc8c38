# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figures of a roll, from what probe, witness and journal recorded; what grows with the fleet; where it is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vtops.vitess.tests.bench import growth, page
from ansible_collections.vtops.vitess.tests.bench.figures import KEYS, blindness, figures, table, waits_of
from ansible_collections.vtops.vitess.tests.bench.growth import Point

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


# -- growth

SMALL = Point(30, 2, 30, 300.0, 200_000, 5_000, 0.5, 1.0, 60.0)
LARGE = replace(SMALL, tablets=10_000, requests_per_tablet=315.0, plan_s=8.0, rss_mb=120.0)
BUSY = replace(SMALL, vtgates=200, rolled=3, requests_per_tablet=9000.0, bytes_per_tablet=9_000_000, proof_s=3.0)


def test_each_fleet_is_compared_with_the_one_that_differs_in_one_thing_only() -> None:
    assert growth.growth([SMALL, BUSY, LARGE]) == [
        "30 -> 10,000 tablets: requests per tablet x1.05, bytes per tablet x1.00, pages x1.00, proof x1.00, plan x8.00, memory x2.00",
        "2 -> 200 vtgates: requests per tablet x30.00, bytes per tablet x45.00, pages x1.00, proof x6.00, plan x1.00, memory x1.00",
    ]


def test_without_the_base_nothing_is_compared() -> None:
    assert growth.growth([LARGE]) == []


def test_targets_that_are_reached_are_not_named() -> None:
    assert growth.missed([SMALL, LARGE, BUSY]) == []


@pytest.mark.parametrize(
    ("point", "says"),
    [
        (replace(LARGE, requests_per_tablet=331.0), "requests_per_tablet differs by 10% from 30 to 10,000 tablets"),
        (replace(LARGE, bytes_per_tablet=170_000), "bytes_per_tablet differs by 18%"),
        (replace(BUSY, proof_s=5.0), "a proof took 5.0 s (30 tablets, 200 vtgates)"),
        (replace(LARGE, plan_s=10.5), "the plan took 10.5 s"),
        (replace(LARGE, rss_mb=300.0), "the plan took 300 MB"),
    ],
)
def test_a_target_that_is_missed_is_named_with_its_fleet(point: Point, says: str) -> None:
    (missed,) = growth.missed([SMALL, point])
    assert says in missed


def test_fewer_than_30_tablets_are_no_measure_of_growth() -> None:
    assert growth.missed([replace(SMALL, tablets=3, requests_per_tablet=900.0), SMALL]) == []


def test_the_table_has_a_row_for_each_fleet() -> None:
    lines = growth.table([SMALL, LARGE]).splitlines()
    assert lines[0].startswith("| tablets | vtgates | rolled | requests / tablet |")
    assert lines[3].startswith("| 10,000 | 2 | 30 | 315.0 |")


# -- where it is written

PAGE = "before\n<!-- scale -->\nold\n<!-- /scale -->\nafter\n"


def test_a_table_is_put_between_its_markers_and_nothing_else_is_touched() -> None:
    assert page.between_markers(PAGE, "scale", "new") == "before\n<!-- scale -->\nnew\n<!-- /scale -->\nafter\n"


@pytest.mark.parametrize("broken", ["", "<!-- scale -->", "<!-- roll -->\n<!-- /roll -->"])
def test_a_page_without_the_markers_is_an_error_and_is_not_cut_short(broken: str) -> None:
    with pytest.raises(ValueError, match="scale"):
        page.between_markers(broken, "scale", "new")


def test_every_bench_has_its_markers_on_the_page() -> None:
    whole = page.PAGE.read_text(encoding="utf-8")
    for name in ("roll", "scale"):
        page.between_markers(whole, name, "")


def test_figures_are_kept_for_machines_and_for_people(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(page, "RESULTS", tmp_path / "bench")
    page.PAGE.write_text(PAGE)
    page.keep("scale", [SMALL.as_dict()], "new")
    assert "new" in page.PAGE.read_text()
    assert '"requests_per_tablet": 300.0' in (tmp_path / "bench/scale.json").read_text()
