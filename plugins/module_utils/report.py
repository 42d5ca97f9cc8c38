# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a roll did, out of the journal and the fleet as they are: pure, and the same again for the same journal.

A figure that nobody wrote down is None, and is named in C(unknown); nothing here is made up, and nothing asks what time it is.
Times are seconds since the epoch in the fields that end in C(_at), seconds elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from . import advice
from .claim import KEEP_FINISHED, Entry, Stop
from .fleet import Alias
from .plan_document import FORECAST, Document, tablets_of
from .timestamps import moment

FORMAT = 1
DONE, FAILED, IN_FLIGHT, LEFT, AS_WANTED = "done", "failed", "in_flight", "left", "as_wanted"
STATES = (DONE, FAILED, IN_FLIGHT, LEFT, AS_WANTED)
PHASE, GAP, STOPPED, OPEN = "phase", "gap", "failed", "open"
# What is shorter is Ansible between two tasks, which a person need not read.
GAP_S = 5.0
# A reparent belongs to the drain after it: it ended a quarter of an hour before at most, and takes no longer than this.
REPARENT_BEFORE_S = 4500.0
AGAIN = "run the same playbook again"
ABORT = "ansible-playbook -i INVENTORY vtops.vitess.abort"


@dataclass(frozen=True)
class Seen:
    """One tablet as the fleet shows it now, its line in the journal, and who holds its shard's Lease."""

    alias: Alias
    keyspace: str
    shard: str
    type: str
    as_wanted: bool
    image: str = ""
    revision: str = ""
    wanted_image: str = ""
    wanted_revision: str = ""
    entry: Entry | None = None
    holder: str = ""
    renewed_at: float = 0.0

    @property
    def of_shard(self) -> str:
        """Keyspace and shard."""
        return f"{self.keyspace}/{self.shard}"


@dataclass(frozen=True)
class Segment:
    """A piece of a tablet's time. kind: a phase, a gap that nobody wrote about, a failed attempt, or one without an end (open)."""

    kind: str
    step: str
    phase: str
    started_at: float
    seconds: float

    @property
    def ended_at(self) -> float:
        """Its end."""
        return self.started_at + self.seconds


@dataclass(frozen=True)
class Away:
    """From the intent to drain until every vtgate was seen to route to it again; without an end it is away, or nobody wrote down that it is back."""

    started_at: float
    ended_at: float | None
    seconds: float | None


@dataclass(frozen=True)
class Moved:
    """A PlannedReparentShard: the command itself, and with the wait until every vtgate agreed. new is None where nobody wrote it down."""

    old: str
    new: str | None
    started_at: float
    seconds: float
    seconds_to_agreement: float | None


@dataclass(frozen=True)
class TabletReport:
    """One tablet in a roll. before: image and revision when it was taken."""

    tablet: str
    type: str
    state: str
    note: str
    rolls: tuple[str, ...]
    image_before: str | None
    image_now: str
    image_wanted: str
    revision_before: str | None
    revision_now: str
    revision_wanted: str
    started_at: float | None
    last_at: float | None
    seconds: float | None
    away: Away | None
    segments: tuple[Segment, ...]
    accepted: tuple[str, ...]
    failure: Stop | None
    overcome: bool
    next_command: str


@dataclass(frozen=True)
class ShardReport:
    """One shard. holder: who has its Lease, as it was when it was read. away_at_once: of what the journal knows, 0 where it knows nothing."""

    shard: str
    holder: str
    away_at_once: int
    away_seconds: float
    still_away: int
    reparents: tuple[Moved, ...]
    tablets: tuple[TabletReport, ...]


@dataclass(frozen=True)
class Cost:
    """In tablet-hours. blue_green_extra: a second fleet of these shards' tablets, had it stood for no longer than this roll took."""

    tablets: int
    away: float
    extra: float
    blue_green_extra: float | None


@dataclass(frozen=True)
class Forecast:
    """An approved plan against what was done. seconds: how long it was to take, least and most; None where the plan does not say."""

    hash: str
    replace: int
    done: int
    left: tuple[str, ...]
    unplanned: tuple[str, ...]
    order_kept: bool
    seconds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Pace:
    """What the tablets that are done took: half of them no longer than this, from first look to release; and what that is for the rest."""

    seconds_per_tablet: float
    seconds_for_rest: float


@dataclass(frozen=True)
class Probe:
    """What the clients saw, of client_probe's summary. None where it does not say."""

    started: str | None
    stopped: str | None
    requests: int
    errors: int
    errors_open_transactions: int | None
    own_faults: int | None
    errors_by_kind: Mapping[str, int]
    latency: Mapping[str, Mapping[str, float]]
    longest_write_gap_s: float | None
    write_gaps: tuple[Mapping[str, Any], ...]
    stale_reads: int | None
    acked: int | None
    acked_lost: int | None


@dataclass(frozen=True)
class Report:
    """A roll. complete: nothing is left, in flight or failed. earlier: lines of the journal that are another roll's."""

    format: int
    namespace: str
    rolls: tuple[str, ...]
    started_at: float | None
    last_at: float | None
    seconds: float | None
    working_seconds: float
    complete: bool
    counts: Mapping[str, int]
    next_command: str
    accepted: tuple[str, ...]
    cost: Cost
    pace: Pace | None
    forecast: Forecast | None
    probe: Probe | None
    earlier: int
    unknown: tuple[str, ...]
    shards: tuple[ShardReport, ...]

    @property
    def tablets(self) -> tuple[TabletReport, ...]:
        """Of all shards."""
        return tuple(tablet for shard in self.shards for tablet in shard.tablets)

    @property
    def failures(self) -> tuple[TabletReport, ...]:
        """Those at which the roll stands."""
        return tuple(tablet for tablet in self.tablets if tablet.failure is not None and not tablet.overcome)

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.started_at is None:
            return "No roll: the journal says nothing of these tablets"
        todo = sum(self.counts.values()) - self.counts[AS_WANTED]
        words = {FAILED: "failed", IN_FLIGHT: "in flight", LEFT: "left"}
        rest = "".join(f", {self.counts[state]} {word}" for state, word in words.items() if self.counts[state])
        return f"{self.counts[DONE]} of {todo} tablet{'s' if todo != 1 else ''} done{rest}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; points in time are UTC in RFC 3339, to the millisecond."""
        plain: dict[str, Any] = _plain(self)
        return {"verdict": self.verdict, **plain}


def _plain(value: Any, name: str = "") -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name), field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return moment(value) if name == "at" or name.endswith("_at") else round(value, 3)
    return value


# -- which lines of the journal


def _touched(entry: Entry | None) -> bool:
    return entry is not None and (bool(entry.steps) or entry.failure is not None)


def _ids(entry: Entry) -> set[str]:
    failed_in = {entry.failure.roll} if entry.failure is not None else set()
    return set(entry.rolls) | failed_in


def _moments(entry: Entry) -> list[float]:
    """Every point in time that an entry names."""
    of_steps = [at for times in entry.steps.values() for at in times if at is not None]
    of_phases = [at for segment in _phases(entry) for at in (segment.started_at, segment.ended_at)]
    ends = [entry.finished] if entry.finished is not None and entry.steps else []
    return of_steps + of_phases + ends + ([entry.failure.at] if entry.failure is not None else [])


def lines_of_roll(seen: Iterable[Seen], rolls: Collection[str] = (), since: float | None = None) -> frozenset[Alias]:
    """The tablets whose lines in the journal are this roll's: of those rolls, not older than that, else of the newest roll.

    A roll that was stopped and run again has an id for each run. The runs belong together where one went on with a tablet of
    the other, or where both wanted the same revision in a shard. A line of an older version names no roll: it belongs to
    others of its kind alone.
    """
    lines = {tablet.alias: tablet for tablet in seen if _touched(tablet.entry)}
    entries = {alias: tablet.entry for alias, tablet in lines.items() if tablet.entry is not None}
    if rolls or since is not None:
        return frozenset(
            alias
            for alias, entry in entries.items()
            if (not rolls or _ids(entry) & set(rolls)) and (since is None or max(_moments(entry)) >= since)
        )
    if not entries:
        return frozenset()
    newest = max(entries, key=lambda alias: (max(_moments(entries[alias])), alias))
    names_none = not _ids(entries[newest])

    def keys(alias: Alias) -> set[tuple[str, ...]]:
        entry = entries[alias]
        found: set[tuple[str, ...]] = {("roll", roll) for roll in _ids(entry)}
        if entry.wanted:
            found.add(("wanted", lines[alias].of_shard, entry.wanted))
        return found | ({("none",)} if names_none and not _ids(entry) else set())

    chosen, known, grown = {newest}, keys(newest), True
    while grown:
        more = {alias for alias in entries if alias not in chosen and keys(alias) & known}
        chosen |= more
        known = known.union(*map(keys, more))
        grown = bool(more)
    return frozenset(chosen)


# -- one tablet


def _phases(entry: Entry) -> list[Segment]:
    """What is this taking's, in order: journals of older versions kept a reparent's phases beside those of a roll of long ago."""
    begun = min((times[0] for times in entry.steps.values()), default=0.0) - REPARENT_BEFORE_S
    return [
        Segment(PHASE, step, phase, started, seconds)
        for step, phase, started, seconds in sorted(entry.phases, key=lambda phase: phase[2])
        if started >= begun
    ]


def _segments(entry: Entry, last_at: float) -> tuple[Segment, ...]:
    found = _phases(entry)
    names = {
        "drain": "tablet_drain",
        "replace": "pod_replace",
        "readmit": "vtgate_readmit",
        "recover": "tablet_recover",
    }
    if entry.failure is not None:
        failure = entry.failure
        # A step's own begin, or the end of what was written before the failure, whatever is later.
        edges = [segment.ended_at for segment in found if segment.ended_at <= failure.at]
        edges += [
            begun
            for step, (begun, _done) in entry.steps.items()
            if names.get(step) == failure.step and begun <= failure.at
        ]
        start = max(edges, default=failure.at)
        found.append(Segment(STOPPED, failure.step, failure.gate or failure.step, start, failure.at - start))
    for step, (begun, done) in entry.steps.items():
        if done is None and entry.in_flight and not (entry.failure is not None and entry.failure.at >= begun):
            found.append(Segment(OPEN, names.get(step, step), step, begun, max(0.0, last_at - begun)))
    found.sort(key=lambda segment: segment.started_at)
    gaps, until = [], None
    for segment in found:
        if until is not None and segment.started_at - until > GAP_S:
            gaps.append(Segment(GAP, "", "nothing written", until, segment.started_at - until))
        until = segment.ended_at if until is None else max(until, segment.ended_at)
    return tuple(sorted([*found, *gaps], key=lambda segment: segment.started_at))


def _away(entry: Entry) -> Away | None:
    if "drain" not in entry.steps:
        return None
    started = entry.steps["drain"][0]
    ended = entry.finished if entry.finished is not None and entry.finished >= started else None
    proved = [
        segment.ended_at
        for segment in _phases(entry)
        if (segment.step, segment.phase) == ("vtgate_readmit", "routes") and segment.started_at >= started
    ]
    if ended is not None and proved and "put_back" not in entry.steps:
        ended = min(ended, max(proved))
    return Away(started, ended, None if ended is None else round(ended - started, 3))


def _stands(entry: Entry) -> bool:
    """Whether its failure is the last thing that was written of it: nobody went on since."""
    steps = [at for times in entry.steps.values() for at in times if at is not None]
    return entry.unsettled is not None and entry.unsettled.at >= max(steps, default=0.0)


def _state(tablet: Seen, entry: Entry | None) -> tuple[str, str]:
    """Its state in this roll, and what is to be said of that. entry: None where this roll has no line of it."""
    if entry is not None and _stands(entry) and (entry.in_flight or not tablet.as_wanted):
        headline = advice.HEADLINES.get(entry.failure.gate) if entry.failure is not None else None
        if headline and not entry.in_flight:
            return LEFT, f"{headline}: stopped because somebody wanted that"
        return FAILED, "it was taken and is not back" if entry.in_flight else "nothing of it is in flight"
    if entry is not None and entry.in_flight:
        return IN_FLIGHT, "taken and not brought back; no failure was written, so whoever had it runs or was killed"
    if entry is not None and entry.finished is not None and "readmit" in entry.steps:
        replaced = "replace" in entry.steps
        if "recover" in entry.steps and not replaced:
            return DONE, "brought back: it was away by itself"
        moved = "" if tablet.as_wanted else "; it is not what its owner wants now"
        return DONE, ("replaced" if replaced else "brought back, not replaced") + moved
    if tablet.as_wanted:
        return AS_WANTED, "as its owner wants it; this roll's journal has nothing of it"
    if entry is not None and "put_back" in entry.steps:
        return LEFT, "it was drained and put back into serving"
    return LEFT, "it is not what its owner wants"


def _of_tablet(tablet: Seen, entry: Entry | None, namespace: str, last_at: float) -> TabletReport:
    state, note = _state(tablet, entry)
    failure = entry.failure if entry is not None else None
    overcome = failure is not None and state not in (FAILED, LEFT)
    times = _moments(entry) if entry is not None else []
    command = failure.next_command if failure is not None and not overcome else ""
    if state == IN_FLIGHT:
        command = f"{AGAIN}; to only bring it back: {advice.READMIT.format(namespace=namespace, alias=tablet.alias)}"
    return TabletReport(
        tablet=str(tablet.alias),
        type=tablet.type,
        state=state,
        note=note,
        rolls=entry.rolls if entry is not None else (),
        image_before=(entry.image or None) if entry is not None else None,
        image_now=tablet.image,
        image_wanted=tablet.wanted_image,
        revision_before=(entry.revision or None) if entry is not None else None,
        revision_now=tablet.revision,
        revision_wanted=tablet.wanted_revision,
        started_at=min(times, default=None),
        last_at=max(times, default=None),
        seconds=max(times) - min(times) if times else None,
        away=_away(entry) if entry is not None else None,
        segments=_segments(entry, last_at) if entry is not None else (),
        accepted=entry.accepted if entry is not None else (),
        failure=failure,
        overcome=overcome,
        next_command=command,
    )


def _moved(tablet: Seen, entry: Entry) -> list[Moved]:
    """Only the last one is known by whom it promoted."""
    phases = [segment for segment in _phases(entry) if segment.step == "shard_reparent"]
    sent = [segment for segment in phases if segment.phase == "reparent"]
    found = []
    for number, segment in enumerate(sent):
        later = sent[number + 1].started_at if number + 1 < len(sent) else float("inf")
        agreed = [p for p in phases if p.phase == "every vtgate agrees" and segment.started_at <= p.started_at < later]
        new = entry.promoted or None if number + 1 == len(sent) else None
        took = agreed[0].ended_at - segment.started_at if agreed else None
        found.append(Moved(str(tablet.alias), new, segment.started_at, segment.seconds, took))
    return found


# -- the whole


def most_at_once(intervals: Iterable[tuple[float, float]]) -> int:
    """The most intervals that hold one moment; one that ends when another begins is over."""
    edges = sorted(edge for start, end in intervals for edge in ((start, 1), (end, -1)))
    most = now = 0
    for _at, step in edges:
        now += step
        most = max(most, now)
    return most


def union_s(intervals: Iterable[tuple[float, float]]) -> float:
    """Seconds that at least one of the intervals covers."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def report_of(
    seen: Sequence[Seen],
    namespace: str,
    rolls: Collection[str] = (),
    since: float | None = None,
    plan: Document | None = None,
    probe: Mapping[str, Any] | None = None,
) -> Report:
    """The report. plan: a document of roll_plan. probe: client_probe's summary. Raises plan.Unfit, ValueError where these are none."""
    mine = lines_of_roll(seen, rolls, since)
    entries = {t.alias: t.entry for t in seen if t.alias in mine and t.entry is not None}
    times = [at for entry in entries.values() for at in _moments(entry)]
    # Who renews a Lease has not ended; that is as late as the journal can be about what is in flight.
    renewed = [t.renewed_at for t in seen if t.alias in entries and entries[t.alias].in_flight]
    started_at, last_at = min(times, default=None), max([*times, *renewed], default=None)
    shards = tuple(
        _of_shard(name, [tablet for tablet in seen if tablet.of_shard == name], entries, namespace, last_at or 0.0)
        for name in sorted({tablet.of_shard for tablet in seen})
    )
    tablets = [tablet for shard in shards for tablet in shard.tablets]
    found = Counter(tablet.state for tablet in tablets)
    counts = {state: found[state] for state in STATES}
    complete = bool(entries) and not any(counts[state] for state in (FAILED, IN_FLIGHT, LEFT))
    seconds = None if started_at is None or last_at is None else last_at - started_at
    away_s = sum(_away_s(tablet, last_at) for tablet in tablets)
    worked = [(s.started_at, s.ended_at) for t in tablets for s in t.segments if s.kind in (PHASE, STOPPED)]
    done = [t.seconds for t in tablets if t.state == DONE and t.seconds is not None and t.failure is None]
    rest = sum(counts[state] for state in (FAILED, IN_FLIGHT, LEFT))
    return Report(
        format=FORMAT,
        namespace=namespace,
        rolls=tuple(sorted({roll for entry in entries.values() for roll in _ids(entry)})),
        started_at=started_at,
        last_at=last_at,
        seconds=seconds,
        working_seconds=union_s(worked),
        complete=complete,
        counts=counts,
        next_command=_next(counts, any(entry.in_flight for entry in entries.values())) if entries else "",
        accepted=tuple(f"{tablet.tablet}: {option}" for tablet in tablets for option in tablet.accepted),
        cost=Cost(len(seen), away_s / 3600, 0.0, None if seconds is None else len(seen) * seconds / 3600),
        pace=Pace(median(done), median(done) * rest) if done and rest else None,
        forecast=None if plan is None else _against(plan, tablets),
        probe=None if probe is None else probe_of(probe),
        earlier=sum(_touched(tablet.entry) for tablet in seen) - len(entries),
        unknown=_unknown(shards, entries, plan, probe),
        shards=shards,
    )


def _of_shard(
    name: str, seen: list[Seen], entries: Mapping[Alias, Entry], namespace: str, last_at: float
) -> ShardReport:
    tablets = [_of_tablet(tablet, entries.get(tablet.alias), namespace, last_at) for tablet in seen]
    # In the order in which the roll took them; those that it did not take come last.
    tablets.sort(key=lambda tablet: (tablet.started_at is None, tablet.started_at or 0.0, tablet.tablet))
    away = [tablet.away for tablet in tablets if tablet.away is not None]
    moved = [one for tablet in seen if tablet.alias in entries for one in _moved(tablet, entries[tablet.alias])]
    return ShardReport(
        shard=name,
        holder=next((tablet.holder for tablet in seen if tablet.holder), ""),
        away_at_once=most_at_once((a.started_at, max(a.started_at, a.ended_at or last_at)) for a in away),
        away_seconds=sum(a.seconds or 0.0 for a in away),
        still_away=sum(a.ended_at is None for a in away),
        reparents=tuple(sorted(moved, key=lambda one: one.started_at)),
        tablets=tuple(tablets),
    )


def _away_s(tablet: TabletReport, last_at: float | None) -> float:
    if tablet.away is None:
        return 0.0
    if tablet.away.seconds is not None:
        return tablet.away.seconds
    return max(0.0, (last_at or 0.0) - tablet.away.started_at)


def _next(counts: Mapping[str, int], in_flight: bool) -> str:
    if in_flight:
        return f"{AGAIN}, which brings back first what is in flight; to bring it back and not go on: {ABORT}"
    if counts[FAILED]:
        return f"mend what the failure names, then {AGAIN}"
    return AGAIN if counts[LEFT] else ""


def _against(plan: Document, tablets: Sequence[TabletReport]) -> Forecast:
    order = [str(alias) for alias in tablets_of(plan)]
    replace = [entry["tablet"] for entry in plan["tablets"] if entry["action"] != "skip"]
    state = {tablet.tablet: tablet.state for tablet in tablets}
    taken = {tablet.tablet: tablet.started_at for tablet in tablets if tablet.started_at is not None}
    begun = [taken[name] for name in order if name in taken]
    left = tuple(name for name in replace if state.get(name) not in (DONE, AS_WANTED))
    return Forecast(
        hash=str(plan["hash"]),
        replace=len(replace),
        done=len(replace) - len(left),
        left=left,
        unplanned=tuple(t.tablet for t in tablets if t.state == DONE and t.tablet not in replace),
        order_kept=all(one <= other for one, other in pairwise(begun)),
        seconds=_foretold(plan),
    )


def _foretold(plan: Document) -> tuple[float, float] | None:
    said = plan.get(FORECAST)
    least, most = (said.get(name) if isinstance(said, Mapping) else None for name in ("least_s", "most_s"))
    if not isinstance(least, int | float) or not isinstance(most, int | float):
        return None
    return float(least), float(most)


def _unknown(
    shards: Sequence[ShardReport], entries: Mapping[Alias, Entry], plan: Document | None, probe: Any
) -> tuple[str, ...]:
    """What a reader might look for and nobody wrote down, each in words."""
    found = []
    if not entries:
        found.append("when and by whom anything was done: the journal has no line of this roll")
    older = sorted(alias for alias, entry in entries.items() if not _ids(entry))
    if older:
        found.append(f"which roll acted on {_list(older)}: an older version of the collection wrote the journal")
    imageless = sorted(alias for alias, entry in entries.items() if "drain" in entry.steps and not entry.image)
    if imageless:
        found.append(f"which version {_list(imageless)} ran before")
    nameless = sorted({moved.old for shard in shards for moved in shard.reparents if moved.new is None})
    if nameless:
        found.append(f"whom the reparent away from {_list(nameless)} promoted")
    large = [shard.shard for shard in shards if len(shard.tablets) > KEEP_FINISHED]
    if large:
        found.append(f"what the journal of {_list(large)} had beyond its {KEEP_FINISHED} newest lines")
    if plan is None:
        found.append("what was planned: no plan was given")
    elif _foretold(plan) is None:
        found.append("how long it was to take: the plan has no forecast")
    if probe is None:
        found.append("errors, latency and write gaps of clients: no probe was given")
    return tuple(found)


def _list(names: Iterable[Any], most: int = 6) -> str:
    texts = [str(name) for name in names]
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def probe_of(data: Mapping[str, Any]) -> Probe:
    """Of client_probe's result, or of the summary in it. Raises ValueError where it is neither."""
    inner = data.get("summary", data)
    if not isinstance(inner, Mapping) or not all(isinstance(inner.get(name), int) for name in ("requests", "errors")):
        raise ValueError("it is no summary of client_probe: it counts no requests and errors")
    latency, kinds, gaps = inner.get("latency") or {}, inner.get("errors_by_kind") or {}, inner.get("write_gaps") or []
    whole = isinstance(latency, Mapping) and isinstance(kinds, Mapping) and isinstance(gaps, list)
    if not whole or not all(isinstance(value, Mapping) for value in [*latency.values(), *gaps]):
        raise ValueError("it is no summary of client_probe: latency, errors_by_kind or write_gaps have another form")
    figures = {
        name: inner.get(name) if isinstance(inner.get(name), int | float) else None
        for name in ("errors_open_transactions", "own_faults", "stale_reads", "acked", "acked_lost")
    }
    gap = inner.get("longest_write_gap_s")
    return Probe(
        started=_text(inner.get("started_at")),
        stopped=_text(inner.get("stopped_at")),
        requests=inner["requests"],
        errors=inner["errors"],
        errors_by_kind=dict(kinds),
        latency={str(kind): dict(values) for kind, values in latency.items()},
        # Without an acknowledged write there is no gap between two of them, whatever the zero says.
        longest_write_gap_s=gap
        if isinstance(gap, int | float) and inner.get("longest_write_gap_s_by_vtgate")
        else None,
        write_gaps=tuple(dict(one) for one in gaps),
        errors_open_transactions=figures["errors_open_transactions"],
        own_faults=figures["own_faults"],
        stale_reads=figures["stale_reads"],
        acked=figures["acked"],
        acked_lost=figures["acked_lost"],
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def text_of(report: Report) -> list[str]:
    """The report in a few lines, for a terminal."""
    lines = [report.verdict]
    if report.seconds is not None:
        lines.append(f"{report.seconds:.0f} s from first to last act, {report.working_seconds:.0f} s of them at work")
    for shard in report.shards:
        if not any(tablet.away for tablet in shard.tablets):
            continue
        still = f", {shard.still_away} not proved to be back" if shard.still_away else ""
        lines.append(
            f"{shard.shard}: {shard.away_seconds:.1f} s away in all, at most {shard.away_at_once} at once"
            f"{still}, {len(shard.reparents)} reparent{'s' if len(shard.reparents) != 1 else ''}"
        )
    for tablet in report.failures:
        if tablet.failure is not None:
            lines.append(
                f"{tablet.tablet}: {tablet.failure.step}: {tablet.failure.reason} | next: {tablet.next_command}"
            )
    lines += [f"{tablet.tablet}: in flight: {tablet.note}" for tablet in report.tablets if tablet.state == IN_FLIGHT]
    lines += [f"accepted: {option}" for option in report.accepted]
    return lines + ([f"next: {report.next_command}"] if report.next_command else [])
