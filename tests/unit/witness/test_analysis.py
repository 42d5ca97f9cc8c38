# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The witness must be hard on a roll that deserves it: here it is shown rolls, good ones and bad ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.vtops.vitess.tests.witness.analysis import tell
from ansible_collections.vtops.vitess.tests.witness.events import (
    CaughtUp,
    Event,
    LockSeen,
    Looks,
    ObjectSeen,
    PodSeen,
    RowSeen,
    ShardSeen,
    Started,
    Stopped,
    TabletSeen,
)
from ansible_collections.vtops.vitess.tests.witness.intervals import Interval

ALIASES = {"zone1-0000000101": "tablet-0", "zone1-0000000102": "tablet-1", "zone1-0000000103": "tablet-2"}
A, B, C = ALIASES
GATES = ("gate-0", "gate-1")
LOOK = 0.2
"""Seconds between the looks of this tape."""


class Tape:
    """Writes down what a witness would see of a shard whose primary is C(C)."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.at = 0.0
        self.shown: dict[tuple[str, str], tuple[str, str]] = {}
        self.add(Started(0.0, None, dict(ALIASES), list(GATES)))
        self.add(ShardSeen(0.0, None, "commerce", "-80", C, 1.0))
        for alias, pod in ALIASES.items():
            kind = "PRIMARY" if alias == C else "REPLICA"
            self.add(PodSeen(0.0, None, pod, f"{pod}-old", ready=True))
            self.add(TabletSeen(0.0, None, alias, "commerce", "-80", kind, pod))
            for gate in GATES:
                self.show(gate, alias, "SERVING", kind, pod, first=True)

    def add(self, event: Event) -> None:
        self.events.append(event)

    def wait(self, seconds: float) -> None:
        self.at += seconds

    def pod(self, alias: str, uid: str | None, ready: bool = False, terminating: bool = False) -> None:
        self.add(PodSeen(self.at, self.at, ALIASES[alias], uid, ready, terminating))

    def type(self, alias: str, kind: str) -> None:
        self.add(TabletSeen(self.at, self.at - LOOK, alias, "commerce", "-80", kind, ALIASES[alias]))

    def row(self, alias: str, state: str | None, kind: str = "REPLICA", gates: tuple[str, ...] = GATES) -> None:
        for gate in gates:
            self.show(gate, alias, state, kind, ALIASES[alias])

    def show(
        self, gate: str, alias: str, state: str | None, kind: str, host: str, first: bool = False, keep: bool = False
    ) -> None:
        """A vtgate's row of a tablet, in place of the one before or beside it."""
        since = None if first else self.at - LOOK
        before = self.shown.get((gate, alias))
        if before and not keep and (state is None or before != (kind, host)):
            self.add(RowSeen(self.at, since, gate, alias, *before))
        if state is not None:
            self.shown[gate, alias] = (kind, host)
            self.add(RowSeen(self.at, since, gate, alias, kind, host, state))

    def lock(self, action: str | None) -> None:
        self.add(LockSeen(self.at, self.at - LOOK, "commerce", "-80", action))

    def primary(self, alias: str) -> None:
        self.add(ShardSeen(self.at, self.at - LOOK, "commerce", "-80", alias, self.at))

    def replace_pod(self, alias: str) -> None:
        """10 s for the old Pod to stop, 5 s for the new one to be Ready; 1 s more until it has caught up."""
        pod = ALIASES[alias]
        self.pod(alias, f"{pod}-old", ready=True, terminating=True)
        self.wait(1)
        self.row(alias, "NOT_SERVING")
        self.wait(9)
        self.pod(alias, None)
        self.pod(alias, f"{pod}-new")
        self.wait(5)
        self.pod(alias, f"{pod}-new", ready=True)
        self.wait(1)
        self.add(CaughtUp(self.at, None, pod, f"{pod}-new"))

    def held_replacement(self, alias: str) -> None:
        """Drained first, and held out of serving until the witness' 3 s more have gone by."""
        self.type(alias, "DRAINED")
        self.wait(0.3)
        self.row(alias, "NOT_SERVING", "DRAINED")
        self.wait(1)
        self.replace_pod(alias)
        self.wait(2)
        self.type(alias, "REPLICA")
        self.wait(0.4)
        self.row(alias, "SERVING")

    def told(self) -> dict[str, Any]:
        self.add(Stopped(self.at + 1, None))
        return tell(self.events).summary()


@pytest.fixture
def tape() -> Iterator[Tape]:
    return Tape()


def test_nobody_is_away_on_an_untouched_fleet(tape: Tape):
    tape.wait(60)
    told = tape.told()
    assert (told["most_away_per_shard"], told["changes_seen"], told["replacements"]) == (0, 0, [])
    assert told["complete"]


def test_one_after_the_other_is_one_away(tape: Tape):
    for alias in (A, B):
        tape.wait(1)
        tape.held_replacement(alias)
        tape.wait(LOOK)
    told = tape.told()
    assert told["most_away_per_shard"] == 1
    assert told["away_together"] == []
    assert told["tablets"][A]["away_s"] == pytest.approx(19.7)
    assert told["tablets"][C]["away"] == []


def test_two_away_together_are_found(tape: Tape):
    tape.type(A, "DRAINED")
    tape.wait(5)
    tape.type(B, "DRAINED")
    tape.wait(2)
    tape.type(A, "REPLICA")
    tape.type(B, "REPLICA")
    told = tape.told()
    assert told["most_away_per_shard"] == 2
    assert told["most_away_by_shard"] == {"commerce/-80": 2}
    assert told["away_together"][0]["tablets"] == [A, B]


def test_a_roll_that_trusts_pod_ready_is_found_out(tape: Tape):
    """The second tablet goes when the first is Ready, but one vtgate doesn't show the first SERVING yet."""
    tape.wait(1)
    tape.replace_pod(A)
    tape.row(A, "SERVING", gates=("gate-0",))
    tape.replace_pod(B)
    tape.row(A, "SERVING", gates=("gate-1",))
    tape.row(B, "SERVING")
    told = tape.told()
    assert told["most_away_per_shard"] == 2
    assert {name for entry in told["away_together"] for name in entry["tablets"]} == {A, B}
    assert any("view of gate-1" in away["reasons"] and "pod" in away["reasons"] for away in told["tablets"][A]["away"])


def test_two_shards_are_judged_apart(tape: Tape):
    other = "zone1-0000000201"
    started = tape.events[0]
    assert isinstance(started, Started)
    started.tablets[other] = "other-0"
    tape.add(PodSeen(0.0, None, "other-0", "u", ready=True))
    tape.add(TabletSeen(0.0, None, other, "commerce", "80-", "REPLICA"))
    tape.wait(1)
    tape.type(A, "DRAINED")
    tape.add(TabletSeen(tape.at, tape.at - LOOK, other, "commerce", "80-", "DRAINED"))
    told = tape.told()
    assert told["most_away_by_shard"] == {"commerce/-80": 1, "commerce/80-": 1}
    assert told["most_away_per_shard"] == 1


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (lambda tape: tape.type(A, "DRAINED"), "type"),
        (lambda tape: tape.type(A, "RESTORE"), "type"),
        (lambda tape: tape.row(A, "NOT_SERVING", gates=("gate-1",)), "view of gate-1"),
        (lambda tape: tape.row(A, None, gates=("gate-0",)), "view of gate-0"),
        (lambda tape: tape.row(A, "SERVING", "DRAINED", gates=("gate-0",)), "view of gate-0"),
        (lambda tape: tape.pod(A, "tablet-0-old", ready=False), "pod"),
        (lambda tape: tape.pod(A, "tablet-0-old", ready=True, terminating=True), "pod"),
        (lambda tape: tape.pod(A, None), "pod"),
    ],
)
def test_each_reason_alone_makes_a_tablet_away(tape: Tape, what: Any, reason: str):
    tape.wait(3)
    what(tape)
    tape.wait(4)
    (away,) = tape.told()["tablets"][A]["away"]
    assert away["reasons"] == [reason]
    assert (away["start"], away["end"]) == (3, 8), "what is not over lasts until the end"


def test_a_tablet_whose_return_was_seen_one_look_later_was_not_away_together_with_the_next(tape: Tape):
    """The last look that showed A away was before B was drained: no proof of both at once."""
    tape.wait(1)
    tape.row(A, "NOT_SERVING")
    tape.wait(5)
    tape.type(B, "DRAINED")
    tape.wait(0.1)
    tape.row(A, "SERVING")
    assert tape.told()["most_away_per_shard"] == 1


def test_a_tablet_that_was_shown_away_after_the_next_had_gone_was_away_together_with_it(tape: Tape):
    tape.wait(1)
    tape.row(A, "NOT_SERVING")
    tape.wait(5)
    tape.type(B, "DRAINED")
    tape.wait(LOOK + 0.1)
    tape.row(A, "SERVING")
    assert tape.told()["most_away_per_shard"] == 2


def planned_reparent(tape: Tape) -> None:
    """C gives its place to B; 2 s until the last vtgate agrees."""
    tape.lock(f"PlannedReparentShard({B})")
    tape.wait(0.5)
    tape.row(C, "NOT_SERVING", "PRIMARY")
    tape.wait(0.5)
    tape.type(B, "PRIMARY")
    tape.primary(B)
    tape.row(B, "SERVING", "PRIMARY", gates=("gate-0",))
    tape.row(C, "SERVING", "REPLICA", gates=("gate-0",))
    tape.wait(0.5)
    tape.type(C, "REPLICA")
    tape.lock(None)
    tape.wait(0.5)
    tape.row(C, "SERVING", "REPLICA", gates=("gate-1",))
    tape.row(B, "SERVING", "PRIMARY", gates=("gate-1",))


def test_the_two_tablets_of_a_planned_reparent_are_not_away_and_it_is_listed_apart(tape: Tape):
    tape.wait(1)
    planned_reparent(tape)
    tape.wait(5)
    told = tape.told()
    assert told["most_away_per_shard"] == 0
    (reparent,) = told["reparents"]
    assert (reparent["old"], reparent["new"], reparent["planned"], reparent["agreed"]) == (C, B, True, True)
    assert (reparent["start"], reparent["end"]) == pytest.approx((0.8, 3.0))


def test_a_third_tablet_is_away_during_a_planned_reparent(tape: Tape):
    tape.wait(1)
    tape.type(A, "DRAINED")
    planned_reparent(tape)
    told = tape.told()
    assert told["most_away_per_shard"] == 1
    assert told["tablets"][A]["away"]


def test_the_old_primary_is_away_if_it_does_not_serve_after_every_vtgate_agreed(tape: Tape):
    tape.wait(1)
    planned_reparent(tape)
    tape.wait(1)
    tape.row(C, "NOT_SERVING")
    tape.wait(1)
    assert tape.told()["tablets"][C]["away_s"] == pytest.approx(2.0)


@pytest.mark.parametrize("kind", ["DRAINED", "RESTORE", "BACKUP"])
def test_a_tablet_that_is_drained_at_the_first_look_is_away_and_not_meant_to_be_so(kind: str):
    tape = Tape()
    tape.events = [event for event in tape.events if not (isinstance(event, TabletSeen) and event.alias == A)]
    tape.add(TabletSeen(0.0, None, A, "commerce", "-80", kind))
    tape.wait(5)
    tape.type(A, "REPLICA")
    told = tape.told()["tablets"][A]
    assert told["recorded_type"] == "REPLICA"
    assert told["away_s"] == pytest.approx(5)


def test_an_unplanned_reparent_excuses_nobody(tape: Tape):
    tape.wait(1)
    tape.pod(C, "tablet-2-old", terminating=True)
    tape.lock("EmergencyReparentShard()")
    tape.wait(2)
    tape.primary(B)
    tape.row(B, "NOT_SERVING")
    tape.wait(1)
    tape.row(B, "SERVING", "PRIMARY")
    tape.row(C, None)
    told = tape.told()
    assert told["reparents"][0]["planned"] is False
    assert told["most_away_per_shard"] == 2


def test_a_primary_that_is_recorded_after_the_lock_was_freed_is_still_planned(tape: Tape):
    tape.wait(1)
    tape.lock("PlannedReparentShard()")
    tape.wait(1)
    tape.lock(None)
    tape.wait(0.3)
    tape.primary(B)
    assert tape.told()["reparents"][0]["planned"]


def test_the_phases_of_a_held_replacement(tape: Tape):
    tape.wait(1)
    tape.held_replacement(A)
    (entry,) = tape.told()["replacements"]
    assert (entry["old_uid"], entry["new_uid"]) == ("tablet-0-old", "tablet-0-new")
    phases = {name: [(one["start"], one["end"]) for one in intervals] for name, intervals in entry["phases"].items()}
    stop = 2.3
    assert phases["stop"] == [pytest.approx((stop, stop + 10))]
    assert phases["start"] == [pytest.approx((stop + 10, stop + 15))]
    assert phases["catch_up"] == [pytest.approx((stop + 15, stop + 16))]
    refresh = entry["phases_s"]["refresh"]
    assert refresh == pytest.approx(0.4), "the time in which it was held back is nobody's excuse"
    assert entry["lower_bound_s"] == pytest.approx(16.4)


def test_the_phases_of_a_replacement_that_serves_by_itself(tape: Tape):
    tape.wait(1)
    tape.replace_pod(A)
    tape.wait(6)
    tape.row(A, "SERVING")
    (entry,) = tape.told()["replacements"]
    assert entry["phases_s"] == pytest.approx({"stop": 10, "start": 5, "catch_up": 1, "refresh": 7})
    assert entry["lower_bound_s"] == pytest.approx(22)


def test_a_held_tablet_is_not_listed_before_every_vtgate_has_its_new_address(tape: Tape):
    tape.wait(1)
    tape.type(A, "DRAINED")
    tape.add(TabletSeen(tape.at, tape.at - LOOK, A, "commerce", "-80", "DRAINED", "new"))
    tape.replace_pod(A)
    tape.show("gate-0", A, "SERVING", "DRAINED", "new")
    tape.wait(7)
    tape.show("gate-1", A, "SERVING", "DRAINED", "new")
    tape.wait(3)
    tape.type(A, "REPLICA")
    (entry,) = tape.told()["replacements"]
    assert entry["listed_at"] - entry["ready_at"] == pytest.approx(8)


def test_a_view_of_an_old_address_is_none(tape: Tape):
    """SERVING, but not where the tablet is: the vtgate has not noticed that the old one is gone."""
    tape.wait(1)
    tape.add(TabletSeen(tape.at, tape.at - LOOK, A, "commerce", "-80", "REPLICA", "new"))
    tape.wait(5)
    tape.show("gate-0", A, "SERVING", "REPLICA", "new")
    tape.wait(2)
    tape.show("gate-1", A, "SERVING", "REPLICA", "new")
    tape.wait(9)
    (away,) = tape.told()["tablets"][A]["away"]
    assert (away["start"], away["end"], away["reasons"]) == (1, 8, ["view of gate-0", "view of gate-1"])


def test_a_row_that_a_vtgate_keeps_of_an_old_address_does_not_hide_the_new_one_and_is_told(tape: Tape):
    tape.wait(1)
    tape.row(A, "NOT_SERVING")
    tape.add(TabletSeen(tape.at, tape.at - LOOK, A, "commerce", "-80", "REPLICA", "new"))
    tape.wait(5)
    tape.show("gate-0", A, "SERVING", "REPLICA", "new")
    tape.show("gate-1", A, "SERVING", "REPLICA", "new", keep=True)
    tape.wait(9)
    told = tape.told()
    (away,) = told["tablets"][A]["away"]
    assert (away["start"], away["end"]) == (1, 6)
    (kept,) = told["rows_kept"]
    assert (kept["vtgate"], kept["tablet"], kept["start"], kept["end"]) == ("gate-1", A, 6, 16)


def test_a_pod_that_never_becomes_ready_has_open_phases(tape: Tape):
    tape.wait(1)
    tape.pod(A, "tablet-0-old", ready=True, terminating=True)
    tape.wait(10)
    tape.pod(A, None)
    tape.pod(A, "tablet-0-new")
    tape.wait(100)
    (entry,) = tape.told()["replacements"]
    assert entry["ready_at"] is None
    assert entry["phases_s"] == pytest.approx({"stop": 10, "start": 101, "catch_up": 0, "refresh": 0})


def test_the_lower_bound_counts_what_went_on_at_once_only_once_and_only_in_its_window(tape: Tape):
    tape.wait(1)
    tape.replace_pod(A)
    tape.row(A, "SERVING")
    tape.wait(10)
    planned_reparent(tape)
    tape.add(Stopped(tape.at + 10, None))
    story = tell(tape.events)
    assert story.summary()["bound_s"] == pytest.approx(16 + 2.2)
    assert story.summary(Interval(0, 11))["bound_s"] == pytest.approx(10)


def test_every_act_of_somebody_is_a_change(tape: Tape):
    tape.wait(1)
    tape.type(A, "DRAINED")
    tape.pod(B, "tablet-1-new", ready=True)
    tape.add(PodSeen(tape.at, tape.at, "tablet-2", "tablet-2-old", ready=True, annotations=("roll=1",)))
    tape.add(ObjectSeen(tape.at, tape.at, "lease", "shard", "{}"))
    objects = {change["object"] for change in tape.told()["changes"]}
    assert objects == {f"tablet {A} type", "pod tablet-1 uid", "pod tablet-2 annotations", "lease shard"}


def test_what_a_first_look_shows_is_no_change(tape: Tape):
    tape.add(ObjectSeen(tape.at, None, "lease", "shard", "{}"))
    assert tape.told()["changes"] == []


def test_looks_per_second_are_told_with_the_longest_blindness(tape: Tape):
    tape.add(Looks(10.0, None, {"gate-0": 66}, {"gate-0": 0.4}, 0.7))
    told = tape.told()
    assert told["looks_per_s"] == {"gate-0": 6.6}
    assert told["longest_blind_s"] == {"gate-0": 0.4}
    assert told["cpu_s"] == 0.7


def test_there_is_no_story_without_a_beginning():
    with pytest.raises(ValueError, match="first event"):
        tell([Stopped(1.0, None)])
