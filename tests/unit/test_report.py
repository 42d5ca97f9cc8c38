# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the journal to the report: which lines are the roll's, what each says, and that nothing is made up."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.claim import Entry, Stop, journal_from_text
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Alias, TabletType
from ansible_collections.vtops.vitess.plugins.module_utils.report import (
    Report,
    Seen,
    lines_of_roll,
    most_at_once,
    probe_of,
    report_of,
    text_of,
    union_s,
)

BEGIN = 1_790_000_000.0
A, B, C = (Alias("zone1", uid) for uid in (101, 102, 103))


def done(at: float, roll: str = "one", wanted: str = "new", **more: Any) -> Entry:
    """A tablet that was replaced within 40 seconds from a moment on."""
    at += BEGIN
    return Entry(
        original_type=TabletType.REPLICA,
        wanted=wanted,
        steps={"drain": (at + 1, at + 3), "replace": (at + 4, at + 20), "readmit": (at + 21, at + 40)},
        phases=(
            ("tablet_drain", "look", at, 0.5),
            ("tablet_drain", "drain", at + 1, 0.1),
            ("tablet_drain", "idle", at + 1.1, 1.9),
            ("pod_replace", "pod stop and start", at + 4, 16.0),
            ("vtgate_readmit", "catch up", at + 21, 4.0),
            ("vtgate_readmit", "routes", at + 25, 10.0),
            ("vtgate_readmit", "soak", at + 35, 5.0),
        ),
        finished=at + 40,
        **{"rolls": (roll,) if roll else (), "image": "old:1", "revision": "old", **more},
    )


def stop(at: float, roll: str = "one", step: str = "pod_replace", gate: str = "pod_ready") -> Stop:
    return Stop(BEGIN + at, roll, step, gate, "it does not start", "it is DRAINED", "kubectl describe pod")


def seen(alias: Alias, entry: Entry | None = None, as_wanted: bool = True, **more: Any) -> Seen:
    return Seen(alias, "commerce", "-80", "REPLICA", as_wanted, "new:2", "new", "new:2", "new", entry, **more)


def of(*tablets: Seen, **given: Any) -> Report:
    return report_of(tablets, "vitess", **given)


# -- which lines


def test_the_newest_roll_is_reported_and_those_before_it_are_counted() -> None:
    long_ago = seen(A, done(-9e6, "long ago", wanted="older"))
    report = of(long_ago, seen(B, done(0)), seen(C, done(50)))
    assert (report.rolls, report.earlier) == (("one",), 1)
    assert report.counts == {"done": 2, "failed": 0, "in_flight": 0, "left": 0, "as_wanted": 1}
    assert report.seconds == 90.0


def test_runs_belong_together_where_one_finished_a_tablet_of_the_other() -> None:
    lines = [seen(A, done(0, "one", "x")), seen(B, done(50, "two", "y", rolls=("one", "two")))]
    assert lines_of_roll(lines) == {A, B}


def test_runs_belong_together_where_one_failed_at_a_tablet_that_the_other_did() -> None:
    lines = [seen(A, done(0, "one", "x")), seen(B, done(50, "two", "y", failure=stop(20, "one")))]
    assert lines_of_roll(lines) == {A, B}


def test_runs_belong_together_where_both_wanted_the_same_revision_in_a_shard() -> None:
    lines = [seen(A, done(0, "one")), seen(B, done(5000, "two"))]
    assert lines_of_roll(lines) == {A, B}
    assert lines_of_roll([lines[0], replace(lines[1], shard="80-")]) == {B}


def test_lines_of_an_older_version_do_not_tie_rolls_together() -> None:
    other_shard = replace(seen(C, done(-9e6, "", "older")), shard="80-")
    lines = [other_shard, seen(A, done(-1000, "", "new")), seen(B, done(0, "one", "new"))]
    assert lines_of_roll(lines) == {A, B}
    assert lines_of_roll(lines[:2]) == {A, C}


def test_rolls_and_since_choose() -> None:
    lines = [seen(A, done(0, "one")), seen(B, done(5000, "two"))]
    assert lines_of_roll(lines, rolls=["one"]) == {A}
    assert lines_of_roll(lines, since=BEGIN + 1000) == {B}
    assert lines_of_roll(lines, rolls=["one"], since=BEGIN + 1000) == frozenset()


# -- what they say


def test_a_journal_of_the_first_version_says_what_it_does_not_know() -> None:
    """As version 0.1.0 wrote it first."""
    text = json.dumps(
        {
            "zone1-0000000101": {
                "original_type": "PRIMARY",
                "wanted": "new",
                "steps": {"drain": [BEGIN + 10, BEGIN + 12], "readmit": [BEGIN + 30, BEGIN + 50]},
                "phases": [
                    ["tablet_drain", "drain", BEGIN - 9e6, 1.0],
                    ["shard_reparent", "reparent", BEGIN, 1.5],
                    ["shard_reparent", "every vtgate agrees", BEGIN + 1.5, 2.0],
                    ["tablet_drain", "drain", BEGIN + 10, 0.2],
                ],
                "finished": BEGIN + 50,
            }
        }
    )
    report = of(seen(A, journal_from_text(text)[A]))
    (tablet,), (moved,) = report.tablets, report.shards[0].reparents
    assert (report.rolls, tablet.image_before, moved.new) == ((), None, None)
    assert (moved.seconds, moved.seconds_to_agreement) == (1.5, 3.5)
    assert tablet.seconds == 50.0  # and not since the phase of a roll of long ago
    assert tablet.away is not None
    assert tablet.away.seconds == 40.0
    unknown = "; ".join(report.unknown)
    for said in (
        "which roll acted on zone1-0000000101",
        "which version zone1-0000000101 ran",
        "away from zone1-0000000101",
    ):
        assert said in unknown


def test_away_ends_with_the_proof_at_every_vtgate_and_not_with_the_soak() -> None:
    (tablet,) = of(seen(A, done(0))).tablets
    assert tablet.away is not None
    assert (tablet.away.started_at, tablet.away.ended_at) == (BEGIN + 1, BEGIN + 35)


def test_one_that_was_put_back_is_left_and_its_time_away_counts() -> None:
    entry = Entry(
        steps={"drain": (BEGIN, None), "put_back": (BEGIN + 8, BEGIN + 9)},
        finished=BEGIN + 9,
        rolls=("one",),
        failure=stop(10, step="tablet_drain", gate="idle"),
    )
    report = of(seen(A, entry, as_wanted=False))
    (tablet,) = report.tablets
    assert (tablet.state, tablet.note) == ("failed", "nothing of it is in flight")
    assert tablet.away is not None
    assert tablet.away.seconds == 9.0
    without = of(seen(A, replace(entry, failure=None), as_wanted=False)).tablets[0]
    assert (without.state, without.note) == ("left", "it was drained and put back into serving")


def test_one_in_flight_is_away_as_long_as_its_lease_was_renewed() -> None:
    entry = Entry(steps={"drain": (BEGIN, None)}, rolls=("one",))
    report = of(seen(A, entry, as_wanted=False, renewed_at=BEGIN + 25.0))
    (tablet,) = report.tablets
    assert tablet.state == "in_flight"
    assert tablet.segments[-1].kind == "open"
    assert (report.last_at, tablet.segments[-1].seconds) == (BEGIN + 25.0, 25.0)
    assert report.cost.away == pytest.approx(25 / 3600)
    assert report.shards[0].still_away == 1


def test_a_lease_that_is_renewed_when_all_is_done_does_not_make_the_roll_longer() -> None:
    assert of(seen(A, done(0), renewed_at=BEGIN + 9000)).last_at == BEGIN + 40


def test_one_on_which_somebody_goes_on_after_a_failure_is_in_flight_and_not_failed() -> None:
    steps = {"drain": (BEGIN, BEGIN + 1), "replace": (BEGIN + 100, None)}
    (tablet,) = of(seen(A, Entry(steps=steps, rolls=("one",), failure=stop(50)), as_wanted=False)).tablets
    assert (tablet.state, tablet.overcome) == ("in_flight", True)


@pytest.mark.parametrize(
    ("gate", "says"), [("roll_is_not_paused", "paused"), ("reparent_is_not_held", "held before reparent")]
)
def test_a_stop_that_somebody_wanted_is_no_failure(gate: str, says: str) -> None:
    report = of(seen(A, Entry(failure=stop(0, gate=gate)), as_wanted=False))
    assert report.tablets[0].state == "left"
    assert report.tablets[0].note.startswith(says)
    assert report.next_command == "run the same playbook again"


def test_a_failure_that_somebody_mended_by_hand_is_overcome() -> None:
    (tablet,) = of(seen(A, Entry(failure=stop(0)), as_wanted=True)).tablets
    assert (tablet.state, tablet.overcome, tablet.next_command) == ("as_wanted", True, "")


def test_what_nobody_wrote_about_is_a_gap() -> None:
    entry = done(0)
    later = tuple((s, p, at + (1000 if s == "vtgate_readmit" else 0), took) for s, p, at, took in entry.phases)
    segments = of(seen(A, replace(entry, phases=later))).tablets[0].segments
    assert [(s.started_at, s.seconds) for s in segments if s.kind == "gap"] == [(BEGIN + 20, 1001.0)]


def test_two_away_at_once_are_seen() -> None:
    assert of(seen(A, done(0)), seen(B, done(100))).shards[0].away_at_once == 1
    assert of(seen(A, done(0)), seen(B, done(20))).shards[0].away_at_once == 2


def test_intervals_that_touch_do_not_overlap() -> None:
    assert most_at_once([(0, 1), (1, 2)]) == 1
    assert most_at_once([(0, 2), (1, 3), (1.5, 1.6)]) == 3
    assert most_at_once([]) == 0
    assert union_s([(0, 2), (1, 3), (10, 11)]) == 4.0


def test_blue_green_is_the_tablets_of_the_shards_for_as_long_as_the_roll_took() -> None:
    cost = of(seen(A, done(0)), seen(B, done(3560)), seen(C)).cost
    assert (cost.tablets, cost.extra, cost.blue_green_extra) == (3, 0.0, 3.0)
    assert cost.away == pytest.approx(2 * 34 / 3600)


def test_the_pace_is_of_those_that_are_done_without_a_failure() -> None:
    pace = of(seen(A, done(0)), seen(B, as_wanted=False)).pace
    assert pace is not None
    assert (pace.seconds_per_tablet, pace.seconds_for_rest) == (40.0, 40.0)
    assert of(seen(A, done(0))).pace is None
    assert of(seen(A, as_wanted=False)).pace is None


def test_nothing_is_made_up_of_no_journal() -> None:
    report = of(seen(A), seen(B, as_wanted=False))
    assert (report.started_at, report.last_at, report.seconds, report.pace, report.forecast, report.probe) == (
        None,
    ) * 6
    assert (report.complete, report.rolls, report.cost.blue_green_extra) == (False, (), None)
    assert all((t.away, t.segments, t.image_before) == (None, (), None) for t in report.tablets)
    json.dumps(report.as_dict())


def test_times_in_the_data_are_rfc_3339_and_durations_are_seconds() -> None:
    data = of(seen(A, done(0, failure=stop(2)))).as_dict()
    tablet = data["shards"][0]["tablets"][0]
    assert data["started_at"] == "2026-09-21T14:13:20.000Z"
    assert tablet["failure"]["at"] == "2026-09-21T14:13:22.000Z"
    assert tablet["segments"][0] == {
        "kind": "phase",
        "step": "tablet_drain",
        "phase": "look",
        "started_at": "2026-09-21T14:13:20.000Z",
        "seconds": 0.5,
    }


def test_the_text_names_what_failed_what_is_in_flight_and_the_next_command() -> None:
    lines = text_of(
        of(
            seen(A, Entry(steps={"drain": (BEGIN, BEGIN + 1)}, failure=stop(9)), as_wanted=False),
            seen(B, Entry(steps={"drain": (BEGIN, None)}, rolls=("one",), accepted=("accept",)), as_wanted=False),
        )
    )
    assert lines[0] == "0 of 2 tablets done, 1 failed, 1 in flight"
    assert f"{A}: pod_replace: it does not start | next: kubectl describe pod" in lines
    assert any(line.startswith(f"{B}: in flight: taken") for line in lines)
    assert f"accepted: {B}: accept" in lines
    assert lines[-1].startswith("next: run the same playbook again")


# -- a probe


def test_a_probe_without_an_acknowledged_write_has_no_gap_between_two() -> None:
    summary = {"requests": 5, "errors": 0, "longest_write_gap_s": 0.0, "longest_write_gap_s_by_vtgate": {}}
    assert probe_of(summary).longest_write_gap_s is None


@pytest.mark.parametrize(
    "data", [{"requests": 1}, {"summary": []}, {"requests": 1, "errors": 1, "latency": {"write": 3}}]
)
def test_what_is_no_summary_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no summary|another form"):
        probe_of(data)
