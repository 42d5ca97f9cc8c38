# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a ledger says: errors, latencies, stalls, gaps, stale reads, lost writes (pure)."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

from .ledger import Request, decode
from .schedule import KINDS, TRANSACTION, WRITE

FIRST_ERRORS = 20
LISTED_GAPS = 50


@dataclass(frozen=True)
class Reparent:
    """A planned reparent as the servers recorded it; times in seconds since 1970."""

    keyspace: str
    shard: str
    start: float
    end: float


@dataclass(frozen=True)
class Gap:
    """Two neighbouring acknowledged writes of a vtgate to a shard, far apart; seconds since 1970."""

    vtgate: str
    shard: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start


@dataclass
class Summary:
    """The figures of a run. Seconds everywhere; points in time are UTC in ISO 8601."""

    run: str = ""
    running: bool = True
    """No stop line yet: still running, or killed."""
    stop_reason: str | None = None
    started_at: str | None = None
    stopped_at: str | None = None
    seconds: float = 0.0
    requests: int = 0
    requests_by_kind: dict[str, int] = field(default_factory=dict)
    requests_fresh: int = 0
    rate_by_kind: dict[str, float] = field(default_factory=dict)
    errors: int = 0
    """Failed requests, without C(errors_open_transactions) and C(own_faults)."""
    errors_by_kind: dict[str, int] = field(default_factory=dict)
    errors_by_code: dict[str, int] = field(default_factory=dict)
    errors_by_vtgate: dict[str, int] = field(default_factory=dict)
    errors_open_transactions: int = 0
    own_faults: int = 0
    first_errors: list[dict[str, Any]] = field(default_factory=list)
    first_errors_open_transactions: list[dict[str, Any]] = field(default_factory=list)
    first_own_faults: list[dict[str, Any]] = field(default_factory=list)
    latency: dict[str, dict[str, float]] = field(default_factory=dict)
    longest_stall_s: dict[str, float] = field(default_factory=dict)
    longest_write_gap_s: float = 0.0
    longest_write_gap_s_by_vtgate: dict[str, float] = field(default_factory=dict)
    longest_write_gap_s_by_shard: dict[str, float] = field(default_factory=dict)
    longest_write_gap_s_anywhere: float = 0.0
    write_gaps: list[dict[str, Any]] = field(default_factory=list)
    stale_reads: int = 0
    stalest_read_s: float = 0.0
    acked: int = 0
    found: int | None = None
    acked_lost: int | None = None
    lost_rows: list[int] = field(default_factory=list)
    found_unacked: int | None = None
    rows_error: str | None = None
    cpu_s: float = 0.0
    cpu_s_per_1000_requests: float = 0.0
    latest_dispatch_s: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def iso(at: float) -> str:
    """Seconds since 1970 as UTC in ISO 8601, to the millisecond."""
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that C(share) (0 to 1) of an ordered, non-empty sequence does not exceed (nearest rank)."""
    rank = max(1, -int(-share * len(ordered) // 1))
    return ordered[min(rank, len(ordered)) - 1]


def open_across(request: Request, keyspace: str, shard: str, reparents: Sequence[Reparent], margin: float) -> bool:
    """Whether a failed request is a transaction that was open when its shard was reparented.

    Only then: its BEGIN was acknowledged before the reparent began, and it failed while it lasted.

    :param margin: seconds by which the servers' clocks may differ from the probe's
    """
    if request.kind != TRANSACTION or not request.failed or request.begun is None:
        return False
    return any(
        (reparent.keyspace, reparent.shard) == (keyspace, shard)
        and request.begun < reparent.start + margin
        and reparent.start - margin <= request.done <= reparent.end + margin
        for reparent in reparents
    )


def gaps(times: Sequence[float], start: float, end: float) -> list[tuple[float, float]]:
    """The intervals between neighbouring moments, with the start and the end of the run as moments."""
    moments = [start, *sorted(moment for moment in times if start < moment < end), end]
    return list(pairwise(moments))


def longest(intervals: Iterable[tuple[float, float]]) -> float:
    """The length of the longest interval, 0 if there is none."""
    return max((end - start for start, end in intervals), default=0.0)


class _Tally:
    """What a walk through the ledger adds up."""

    def __init__(self, reparents: Sequence[Reparent], margin: float) -> None:
        self.result = Summary()
        self.vtgates: list[str] = []
        self.shards: list[str] = []
        self.start = self.end = 0.0
        self._keyspace = ""
        self._reparents = reparents
        self._margin = margin
        self._until: float | None = None
        self._seconds: dict[str, array[float]] = {kind: array("d") for kind in KINDS}
        self._answered: dict[tuple[str, int, int], array[float]] = {}
        self.writes: dict[tuple[int, int], array[float]] = {}
        self._by_kind: Counter[str] = Counter()
        self._errors_by_kind: Counter[str] = Counter()
        self._errors_by_code: Counter[str] = Counter()
        self._errors_by_vtgate: Counter[str] = Counter()

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add an entry of the ledger."""
        kind = entry["e"]
        if kind == "start":
            self.result.run, self._keyspace = entry["run"], entry["keyspace"]
            self.vtgates, self.shards = list(entry["vtgates"]), list(entry["shards"])
            self.start = self.end = entry["at"]
            self.result.started_at = iso(self.start)
        elif not self.vtgates:
            raise ValueError("the ledger doesn't begin with its start")
        elif kind == "r":
            self._add_request(decode(entry))
        elif kind == "tick":
            self.end = max(self.end, entry["at"])
            self.result.cpu_s = entry["cpu"]
            self.result.latest_dispatch_s = max(self.result.latest_dispatch_s, entry["late"])
        elif kind == "rows":
            self.result.found, self.result.acked_lost = entry["found"], entry["acked_lost"]
            self.result.lost_rows, self.result.found_unacked = entry["lost"], entry["found_unacked"]
            self.result.rows_error = entry.get("error")
        elif kind == "stop":
            self._until = entry["until"]
            self.result.running, self.result.stop_reason = False, entry["reason"]
            self.result.stopped_at = iso(entry["until"])

    def _add_request(self, request: Request) -> None:
        result = self.result
        self.end = max(self.end, request.done)
        result.requests += 1
        result.requests_fresh += request.fresh
        self._by_kind[request.kind] += 1
        if request.acked:
            result.acked += 1
            if request.kind == WRITE:
                self.writes.setdefault((request.vtgate, request.shard), array("d")).append(request.done)
        if request.stale_s is not None:
            result.stale_reads += 1
            result.stalest_read_s = max(result.stalest_read_s, request.stale_s)
        if request.failed:
            self._add_failure(request)
        else:
            self._seconds[request.kind].append(request.seconds)
            place = (request.kind, request.vtgate, request.shard)
            self._answered.setdefault(place, array("d")).append(request.done)

    def _add_failure(self, request: Request) -> None:
        result = self.result
        if request.own:
            result.own_faults += 1
            first = result.first_own_faults
        elif open_across(request, self._keyspace, self.shards[request.shard], self._reparents, self._margin):
            result.errors_open_transactions += 1
            first = result.first_errors_open_transactions
        else:
            result.errors += 1
            self._errors_by_kind[request.kind] += 1
            self._errors_by_code[str(request.code or request.step)] += 1
            self._errors_by_vtgate[self.vtgates[request.vtgate]] += 1
            first = result.first_errors
        if len(first) < FIRST_ERRORS:
            first.append(self._told(request))

    def _told(self, request: Request) -> dict[str, Any]:
        return {
            "at": iso(request.done),
            "kind": request.kind,
            "vtgate": self.vtgates[request.vtgate],
            "shard": self.shards[request.shard],
            "connection": "fresh" if request.fresh else "persistent",
            "step": request.step,
            "code": request.code,
            "text": request.text[:300],
            "seconds": round(request.seconds, 3),
            "begun_at": None if request.begun is None else iso(request.begun),
        }

    def figures(self, listed_gap: float) -> Summary:
        """The summary of what was added."""
        result = self.result
        if not self.vtgates:
            return result
        self.end = self.end if self._until is None else self._until
        result.seconds = round(self.end - self.start, 3)
        result.requests_by_kind = {kind: self._by_kind[kind] for kind in KINDS}
        result.errors_by_kind = {kind: self._errors_by_kind[kind] for kind in KINDS}
        result.errors_by_code = dict(self._errors_by_code.most_common())
        result.errors_by_vtgate = {name: self._errors_by_vtgate[name] for name in self.vtgates}
        for kind in KINDS:
            self._add_latency(kind)
        if self._by_kind[WRITE]:
            self._add_write_gaps(listed_gap)
        if result.requests:
            result.cpu_s_per_1000_requests = round(result.cpu_s * 1000 / result.requests, 3)
        return result

    def _add_latency(self, kind: str) -> None:
        result = self.result
        if not self._by_kind[kind]:
            return
        if self.end > self.start:
            result.rate_by_kind[kind] = round(self._by_kind[kind] / (self.end - self.start), 1)
        ordered = sorted(self._seconds[kind])
        if ordered:
            result.latency[kind] = {
                "p50": round(quantile(ordered, 0.5), 6),
                "p99": round(quantile(ordered, 0.99), 6),
                "max": round(ordered[-1], 6),
            }
        result.longest_stall_s[kind] = round(
            max(
                longest(gaps(self._answered.get((kind, vtgate, shard), ()), self.start, self.end))
                for vtgate in range(len(self.vtgates))
                for shard in range(len(self.shards))
            ),
            3,
        )

    def _add_write_gaps(self, listed_gap: float) -> None:
        result = self.result
        every = [
            Gap(vtgate, shard, *pair)
            for index, vtgate in enumerate(self.vtgates)
            for place, shard in enumerate(self.shards)
            for pair in gaps(self.writes.get((index, place), ()), self.start, self.end)
        ]
        for gap in every:
            length = round(gap.seconds, 3)
            result.longest_write_gap_s = max(result.longest_write_gap_s, length)
            for figures, name in (
                (result.longest_write_gap_s_by_vtgate, gap.vtgate),
                (result.longest_write_gap_s_by_shard, gap.shard),
            ):
                figures[name] = max(figures.get(name, 0.0), length)
        anywhere = [moment for times in self.writes.values() for moment in times]
        result.longest_write_gap_s_anywhere = round(longest(gaps(anywhere, self.start, self.end)), 3)
        long_ones = sorted((gap for gap in every if gap.seconds >= listed_gap), key=lambda gap: -gap.seconds)
        result.write_gaps = [
            {
                "vtgate": gap.vtgate,
                "shard": gap.shard,
                "start": iso(gap.start),
                "end": iso(gap.end),
                "seconds": round(gap.seconds, 3),
            }
            for gap in long_ones[:LISTED_GAPS]
        ]


def summarise(
    ledger: Iterable[Mapping[str, Any]],
    reparents: Sequence[Reparent] = (),
    margin: float = 0.0,
    listed_gap: float = 0.5,
) -> Summary:
    """The figures of a ledger, of a finished, running or killed probe alike.

    A stall is the longest time in which no request of a kind was answered well, looked at for each vtgate and shard
    by itself, the start and the end of the run included; a write gap is the same for acknowledged autocommit writes.

    :param ledger: its entries
    :param reparents: planned reparents as the servers recorded them
    :param margin: seconds by which the servers' clocks may differ from the probe's
    :param listed_gap: write gaps from this many seconds on are listed
    :raises ValueError: for a ledger that doesn't begin with its start
    """
    tally = _Tally(reparents, margin)
    for entry in ledger:
        tally.add(entry)
    return tally.figures(listed_gap)
