# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was seen to what it means: who was away when, which phases a replacement had, which reparents (pure).

A tablet is away from the first moment that its type is not the recorded one, or some vtgate does not show it SERVING,
or its Pod is not Ready (one that is being deleted counts as not Ready), until none of these holds. PRIMARY and REPLICA
are one type here: what changes between them is a reparent. The two tablets of a planned reparent are not away from its
start until every vtgate agrees on the new primary.

A look proves what it saw from its answer to its next sending, so for "away together" only the time from the first look
that showed a tablet away until the last such look counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from .events import (
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
from .intervals import Interval, clip, most_together, together, total, union, without

PLANNED = "PlannedReparentShard"
PASSING = (None, "UNKNOWN", "BACKUP", "RESTORE", "DRAINED")
"""Types that no tablet is meant to keep: one that has it at the first look is away, its own type taken as REPLICA."""
SHARD_RECORD_DELAY = 10.0
"""Seconds after a planned reparent in which a new primary in the shard's record is still its doing."""
LISTED = 500
ONE_LOOK = 0.5
"""Seconds."""


@dataclass(frozen=True)
class Away:
    """A time in which a tablet was away for one reason."""

    reason: str
    seen: Interval
    """From the first look that showed it to the first that did not."""
    proven: Interval
    """To the last look that showed it."""


@dataclass
class Replacement:
    """One new Pod in place of an old one, with its phases; None where a phase did not begin or is not over."""

    alias: str
    pod: str
    old_uid: str
    new_uid: str | None = None
    stop_at: float | None = None
    gone_at: float | None = None
    created_at: float | None = None
    ready_at: float | None = None
    caught_up_at: float | None = None
    catch_up_error: str | None = None
    drained_at: float | None = None
    """When the topology last left the recorded type before."""
    restored_at: float | None = None
    """When the topology had the recorded type again after the Pod was created."""
    listed_at: float | None = None
    """When every vtgate first showed the tablet at its new address, whatever its state, after the Pod was Ready."""
    serving_at: float | None = None
    """When every vtgate first showed it SERVING after the Pod was Ready."""

    def phases(self, end: float) -> dict[str, list[Interval]]:
        """Its phases; one that was not over at C(end) lasts until then."""

        def phase(start: float | None, stop: float | None) -> list[Interval]:
            return [] if start is None else [Interval(start, max(start, end if stop is None else stop))]

        caught_up = self.ready_at if self.catch_up_error else self.caught_up_at
        restored = self.restored_at if self.drained_at is not None else self.ready_at
        refresh = phase(self.ready_at, self.listed_at)
        if self.ready_at is not None and restored is not None:
            refresh += phase(max(self.ready_at, restored), self.serving_at)
        return {
            "stop": phase(self.stop_at, self.gone_at),
            "start": phase(self.created_at, self.ready_at),
            "catch_up": phase(self.ready_at, caught_up),
            "refresh": union(refresh),
        }


@dataclass
class Reparent:
    """A change of a shard's primary."""

    keyspace: str
    shard: str
    old: str | None
    new: str
    planned: bool
    start: float
    term: float | None
    agreed_at: float | None = None
    """When every vtgate showed the new primary SERVING as such, and no longer the old one."""

    def interval(self, end: float) -> Interval:
        """From its start until every vtgate agreed, or C(end)."""
        return Interval(self.start, max(self.start, end if self.agreed_at is None else self.agreed_at))


@dataclass(frozen=True)
class Change:
    """Something that somebody changed."""

    at: float
    object: str
    before: str
    after: str


@dataclass
class _Tablet:
    alias: str
    pod: str
    keyspace: str = ""
    shard: str = ""
    recorded: str | None = None
    record: TabletSeen | None = None
    pod_seen: PodSeen | None = None
    rows: dict[str, dict[tuple[str, str], RowSeen]] = field(default_factory=dict)
    """By vtgate, its rows of the tablet by address and type."""
    bad_since: dict[str, float] = field(default_factory=dict)
    away: list[Away] = field(default_factory=list)
    left_type_at: float | None = None


@dataclass
class _PlannedLock:
    """A shard's lock while PlannedReparentShard holds it."""

    start: float
    released_at: float | None = None


def role(tablet_type: str | None) -> str | None:
    """The type with PRIMARY and REPLICA as one."""
    return "REPLICA" if tablet_type == "PRIMARY" else tablet_type


class Story:
    """Everything that follows from the events, added one by one in the order of their time."""

    def __init__(self) -> None:
        """Nothing is known before the first event."""
        self.started_at = 0.0
        self.end = 0.0
        self.stopped = False
        self.replacements: list[Replacement] = []
        self.reparents: list[Reparent] = []
        self.changes: list[Change] = []
        self.looks: Looks | None = None
        self.kept: list[tuple[tuple[str, str], Interval]] = []
        """When a vtgate (and of which tablet) showed more than one row."""
        self._kept: dict[tuple[str, str], float] = {}
        self._tablets: dict[str, _Tablet] = {}
        self._by_pod: dict[str, _Tablet] = {}
        self._vtgates: list[str] = []
        self._shards: dict[tuple[str, str], ShardSeen] = {}
        self._planned: dict[tuple[str, str], _PlannedLock] = {}
        self._objects: dict[tuple[str, str], str | None] = {}

    @property
    def tablets(self) -> list[_Tablet]:
        """All tablets, by alias."""
        return [self._tablets[alias] for alias in sorted(self._tablets)]

    def add(self, event: Event) -> None:
        """Take in an event."""
        self.end = max(self.end, event.at)
        match event:
            case Started():
                self._begin(event)
            case PodSeen():
                self._pod(event)
            case TabletSeen():
                self._tablet(event)
            case ShardSeen():
                self._shard(event)
            case LockSeen():
                self._lock(event)
            case RowSeen():
                self._row(event)
            case CaughtUp():
                self._caught_up(event)
            case ObjectSeen():
                self._object(event)
            case Looks():
                self.looks = event
            case Stopped():
                self.stopped = True

    def _begin(self, event: Started) -> None:
        self.started_at = event.at
        self._vtgates = list(event.vtgates)
        for alias, pod in event.tablets.items():
            self._tablets[alias] = self._by_pod[pod] = _Tablet(alias, pod)

    def _change(self, event: Event, name: str, before: object, after: object) -> None:
        if event.since is not None and before != after:
            self.changes.append(Change(event.at, name, str(before), str(after)))

    def _judge(self, tablet: _Tablet, reason: str, bad: bool, event: Event) -> None:
        """Note that a reason to call the tablet away holds now, or no longer."""
        start = tablet.bad_since.get(reason)
        if bad and start is None:
            tablet.bad_since[reason] = event.at
        elif not bad and start is not None:
            del tablet.bad_since[reason]
            last_bad = start if event.since is None else max(start, event.since)
            tablet.away.append(Away(reason, Interval(start, event.at), Interval(start, last_bad)))

    def _pod(self, event: PodSeen) -> None:
        tablet = self._by_pod.get(event.pod)
        if tablet is None:
            return
        before = tablet.pod_seen
        tablet.pod_seen = event
        self._judge(tablet, "pod", not (event.uid and event.ready and not event.terminating), event)
        if before is not None:
            for what in ("uid", "terminating", "node", "images", "annotations"):
                self._change(event, f"pod {event.pod} {what}", getattr(before, what), getattr(event, what))
        self._phases_of_pod(tablet, before, event)

    def _phases_of_pod(self, tablet: _Tablet, before: PodSeen | None, event: PodSeen) -> None:
        if before is None:
            return
        current = self._current(tablet)
        if before.uid and (event.uid != before.uid or event.terminating) and not before.terminating:
            current = Replacement(tablet.alias, tablet.pod, before.uid, stop_at=event.at)
            if tablet.record is not None and role(tablet.record.type) != tablet.recorded:
                current.drained_at = tablet.left_type_at
            self.replacements.append(current)
        if current is None:
            return
        if event.uid != current.old_uid and current.gone_at is None:
            current.gone_at = event.at
        if event.uid and event.uid != current.old_uid and current.new_uid is None:
            current.new_uid, current.created_at = event.uid, event.at
        if event.uid == current.new_uid and event.uid and event.ready and current.ready_at is None:
            current.ready_at = event.at
            self._readmitted(tablet, event)

    def _current(self, tablet: _Tablet) -> Replacement | None:
        """The tablet's replacement that is under way or was the last."""
        return next((entry for entry in reversed(self.replacements) if entry.alias == tablet.alias), None)

    def _tablet(self, event: TabletSeen) -> None:
        tablet = self._tablets.get(event.alias)
        if tablet is None:
            return
        before = tablet.record
        tablet.record = event
        if before is None:
            tablet.keyspace, tablet.shard = event.keyspace, event.shard
            tablet.recorded = "REPLICA" if event.type in PASSING else role(event.type)
        else:
            self._change(event, f"tablet {event.alias} type", before.type, event.type)
        bad = role(event.type) != tablet.recorded
        if bad and "type" not in tablet.bad_since:
            tablet.left_type_at = event.at
        self._judge(tablet, "type", bad, event)
        for vtgate in tablet.rows:
            # a new address makes a view of the old one worthless
            self._judge(tablet, f"view of {vtgate}", not self._serves(tablet, vtgate), event)
        current = self._current(tablet)
        if current is None:
            return
        if bad and current.created_at is None:
            current.drained_at = tablet.left_type_at
        if bad and current.created_at is not None and current.serving_at is None:
            # it came back with another type (held): the recorded one is still to be restored
            current.drained_at, current.restored_at = current.drained_at or event.at, None
        if not bad and current.created_at is not None and current.restored_at is None:
            current.restored_at = event.at
        self._readmitted(tablet, event)

    def _row(self, event: RowSeen) -> None:
        tablet = self._tablets.get(event.alias)
        if tablet is None or event.vtgate not in self._vtgates:
            return
        rows = tablet.rows.setdefault(event.vtgate, {})
        if event.state is None:
            rows.pop((event.hostname, event.type), None)
        else:
            rows[event.hostname, event.type] = event
        self._keeps(tablet, event)
        if tablet.record is not None:
            self._judge(tablet, f"view of {event.vtgate}", not self._serves(tablet, event.vtgate), event)
        self._readmitted(tablet, event)
        for reparent in self.reparents:
            if reparent.agreed_at is None and tablet.alias in (reparent.old, reparent.new):
                self._agreed(reparent, event)

    def _keeps(self, tablet: _Tablet, event: RowSeen) -> None:
        """Note from when to when a vtgate shows more than one row of a tablet."""
        key = (event.vtgate, tablet.alias)
        rows = tablet.rows[event.vtgate].values()
        if len(rows) > 1:
            self._kept.setdefault(key, event.at)
        elif (start := self._kept.pop(key, None)) is not None:
            self._add_kept(key, Interval(start, event.at))

    def _add_kept(self, key: tuple[str, str], interval: Interval) -> None:
        # rows are told one by one, so each change of a row shows two for a moment
        if interval.length > ONE_LOOK:
            self.kept.append((key, interval))

    @staticmethod
    def _rows_now(tablet: _Tablet, vtgate: str) -> list[RowSeen]:
        """A vtgate's rows of the tablet at the address that the topology has."""
        address = tablet.record.hostname if tablet.record is not None else ""
        return [row for row in tablet.rows.get(vtgate, {}).values() if not address or row.hostname == address]

    def _serves(self, tablet: _Tablet, vtgate: str) -> bool:
        return any(
            row.state == "SERVING" and role(row.type) == tablet.recorded for row in self._rows_now(tablet, vtgate)
        )

    def _readmitted(self, tablet: _Tablet, event: Event) -> None:
        """Stamp when every vtgate lists the tablet of a new Pod, and when every one shows it SERVING."""
        current = self._current(tablet)
        if current is None or current.ready_at is None or current.serving_at is not None:
            return
        if current.listed_at is None and all(self._rows_now(tablet, vtgate) for vtgate in self._vtgates):
            current.listed_at = event.at
        if "type" not in tablet.bad_since and all(self._serves(tablet, vtgate) for vtgate in self._vtgates):
            current.serving_at = event.at

    def _shard(self, event: ShardSeen) -> None:
        place = (event.keyspace, event.shard)
        before = self._shards.get(place)
        self._shards[place] = event
        if before is None or event.primary is None or before.primary == event.primary:
            return
        self._change(event, f"shard {event.keyspace}/{event.shard} primary", before.primary, event.primary)
        lock = self._planned.get(place)
        planned = lock is not None and (lock.released_at is None or event.at - lock.released_at <= SHARD_RECORD_DELAY)
        start = event.at if event.since is None else event.since
        if planned and lock is not None:
            start = min(start, lock.start)
        reparent = Reparent(event.keyspace, event.shard, before.primary, event.primary, planned, start, event.term)
        self.reparents.append(reparent)
        self._agreed(reparent, event)

    def _agreed(self, reparent: Reparent, event: Event) -> None:
        new = self._tablets.get(reparent.new)
        old = self._tablets.get(reparent.old or "")
        if new is None:
            return
        for vtgate in self._vtgates:
            shown = [
                tablet.alias
                for tablet in (new, old)
                if tablet is not None
                for row in tablet.rows.get(vtgate, {}).values()
                if (row.state, row.type) == ("SERVING", "PRIMARY")
            ]
            if shown != [reparent.new]:
                return
        reparent.agreed_at = event.at

    def _lock(self, event: LockSeen) -> None:
        place = (event.keyspace, event.shard)
        known = self._planned.get(place)
        held = known is not None and known.released_at is None
        if event.action is not None and event.action.startswith(PLANNED):
            if not held:
                self._planned[place] = _PlannedLock(event.at if event.since is None else event.since)
        elif held and known is not None:
            known.released_at = event.at

    def _caught_up(self, event: CaughtUp) -> None:
        for entry in self.replacements:
            if (entry.pod, entry.new_uid) == (event.pod, event.uid):
                entry.caught_up_at, entry.catch_up_error = event.at, event.error

    def _object(self, event: ObjectSeen) -> None:
        key = (event.kind, event.object)
        before = self._objects.get(key)
        self._objects[key] = event.value
        self._change(event, f"{event.kind} {event.object}", before, event.value)

    # What it means

    def away(self, tablet: _Tablet) -> list[Away]:
        """All times in which a tablet was away, planned reparents not taken out; open ones last until the end."""
        still = [
            Away(reason, Interval(start, max(start, self.end)), Interval(start, max(start, self.end)))
            for reason, start in tablet.bad_since.items()
        ]
        return sorted([*tablet.away, *still], key=lambda away: (away.seen, away.reason))

    def exempt(self, tablet: _Tablet) -> list[Interval]:
        """The planned reparents of which the tablet was one of the two."""
        return [
            reparent.interval(self.end)
            for reparent in self.reparents
            if reparent.planned and tablet.alias in (reparent.old, reparent.new)
        ]

    def seen_away(self, tablet: _Tablet) -> list[Interval]:
        """When the tablet was away, as long as it may have been."""
        return without([away.seen for away in self.away(tablet)], self.exempt(tablet))

    def proven_away(self, tablet: _Tablet) -> list[Interval]:
        """When the tablet was away for certain."""
        return without([away.proven for away in self.away(tablet)], self.exempt(tablet))

    def by_shard(self) -> dict[str, dict[str, list[Interval]]]:
        """The proven times, by shard and alias."""
        shards: dict[str, dict[str, list[Interval]]] = {}
        for tablet in self.tablets:
            shards.setdefault(f"{tablet.keyspace}/{tablet.shard}", {})[tablet.alias] = self.proven_away(tablet)
        return shards

    def bound(self) -> list[Interval]:
        """The union of all phases and reparents: no roll that replaces these tablets one by one can be faster."""
        phases = [
            interval
            for entry in self.replacements
            for intervals in entry.phases(self.end).values()
            for interval in intervals
        ]
        return union([*phases, *(reparent.interval(self.end) for reparent in self.reparents)])

    def summary(self, window: Interval | None = None) -> dict[str, Any]:
        """Everything as plain data; C(window) limits the lower bound to a time. Times are seconds since 1970."""
        whole = window or Interval(self.started_at, max(self.started_at, self.end))
        by_shard = self.by_shard()
        bound = clip(self.bound(), whole)
        return {
            "started_at": self.started_at,
            "stopped_at": self.end,
            "complete": self.stopped,
            "seconds": round(self.end - self.started_at, 3),
            "looks_per_s": self._rates(),
            "longest_blind_s": {} if self.looks is None else self.looks.blind,
            "cpu_s": None if self.looks is None else self.looks.cpu,
            "most_away_per_shard": max((most_together(shard) for shard in by_shard.values()), default=0),
            "most_away_by_shard": {name: most_together(shard) for name, shard in by_shard.items()},
            "away_together": [
                {"shard": name, **_plain(stretch.interval), "tablets": sorted(stretch.names)}
                for name, shard in by_shard.items()
                for stretch in together(shard)
                if len(stretch.names) > 1
            ][:LISTED],
            "tablets": {tablet.alias: self._told(tablet) for tablet in self.tablets},
            "replacements": [self._replacement(entry) for entry in self.replacements],
            "reparents": [
                {
                    "keyspace": entry.keyspace,
                    "shard": entry.shard,
                    "old": entry.old,
                    "new": entry.new,
                    "planned": entry.planned,
                    "term": entry.term,
                    "agreed": entry.agreed_at is not None,
                    **_plain(entry.interval(self.end)),
                }
                for entry in self.reparents
            ],
            "rows_kept": [
                {"vtgate": vtgate, "tablet": alias, **_plain(interval)}
                for (vtgate, alias), interval in self._all_kept()
            ],
            "bound_s": round(total(bound), 3),
            "bound": [_plain(interval) for interval in bound],
            "window_s": round(whole.length, 3),
            "changes_seen": len(self.changes),
            "changes": [vars(change) for change in self.changes[:LISTED]],
        }

    def _all_kept(self) -> list[tuple[tuple[str, str], Interval]]:
        still = [(key, Interval(start, max(start, self.end))) for key, start in self._kept.items()]
        return sorted([*self.kept, *still], key=lambda entry: (entry[1], entry[0]))

    def _rates(self) -> dict[str, float]:
        if self.looks is None or self.looks.at <= self.started_at:
            return {}
        seconds = self.looks.at - self.started_at
        return {source: round(looks / seconds, 2) for source, looks in self.looks.counts.items()}

    def _told(self, tablet: _Tablet) -> dict[str, Any]:
        seen = self.seen_away(tablet)
        reasons = self.away(tablet)
        return {
            "keyspace": tablet.keyspace,
            "shard": tablet.shard,
            "pod": tablet.pod,
            "recorded_type": tablet.recorded,
            "type": None if tablet.record is None else tablet.record.type,
            "away_s": round(total(seen), 3),
            "away": [
                {
                    **_plain(interval),
                    "reasons": sorted({away.reason for away in reasons if clip([away.seen], interval)}),
                }
                for interval in seen
            ],
        }

    def _replacement(self, entry: Replacement) -> dict[str, Any]:
        phases = entry.phases(self.end)
        return {
            **vars(entry),
            "phases": {name: [_plain(interval) for interval in intervals] for name, intervals in phases.items()},
            "phases_s": {name: round(total(intervals), 3) for name, intervals in phases.items()},
            "lower_bound_s": round(total(interval for intervals in phases.values() for interval in intervals), 3),
        }


def _plain(interval: Interval) -> dict[str, float]:
    return {"start": interval.start, "end": interval.end, "seconds": round(interval.length, 3)}


def tell(events: Iterable[Event]) -> Story:
    """The story of a stream of events; events of one moment keep their order.

    :raises ValueError: when it does not begin with Started
    """
    numbered = sorted(zip(events, count(), strict=False), key=lambda pair: (pair[0].at, pair[1]))
    ordered: Sequence[Event] = [event for event, _number in numbered]
    first = next((event for event in ordered if isinstance(event, Started)), None)
    if first is None:
        raise ValueError("there is no first event that says what is watched")
    story = Story()
    story.add(first)
    for event in ordered:
        if event is not first:
            story.add(event)
    return story
