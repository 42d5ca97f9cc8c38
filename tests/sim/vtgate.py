# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One vtgate: what it has learned of the tablets, how it routes by that, and the buffer that holds writes in a failover."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from .fleet import Fleet, Tablet
from .layout import VtgatePlan
from .timeline import Planned

RETRIES = 2  # --retry-count
BUFFER_SIZE = 1000
EVICTED = ("BufferFull", "ContextDone", "WindowExceeded")
SKIPPED = ("BufferFull", "Disabled", "LastFailoverTooRecent", "LastReparentTooRecent", "Shutdown")
HIGH_LAG_S = 30.0  # --discovery-low-replication-lag


@dataclass(slots=True)
class Row:
    """A tablet as this vtgate knows it: one line of SHOW VITESS_TABLETS."""

    alias: str
    hostname: str
    type: str
    term: float = 0.0
    serving: bool = False
    connected: bool = False
    backoff_s: float = 0.0
    stale: bool = False  # nobody updates it any more


class Rows(MutableMapping[str, Row]):
    """What one vtgate knows, by alias. What many of them knew alike at the beginning they share; a row that is looked up is its own.

    gone: what it knew and does not know any more.
    """

    def __init__(self, shared: dict[str, Row] | None = None) -> None:
        self._shared = shared or {}
        self._own: dict[str, Row] = {}
        self.gone: set[str] = set()

    def __getitem__(self, alias: str) -> Row:
        if alias not in self._own:
            if alias in self.gone:
                raise KeyError(alias)
            self._own[alias] = replace(self._shared[alias])
        return self._own[alias]

    def __setitem__(self, alias: str, row: Row) -> None:
        self._own[alias] = row
        self.gone.discard(alias)

    def __delitem__(self, alias: str) -> None:
        if alias not in self:
            raise KeyError(alias)
        self._own.pop(alias, None)
        self.gone.add(alias)

    def __contains__(self, alias: object) -> bool:
        return alias in self._own or (alias in self._shared and alias not in self.gone)

    def __iter__(self) -> Iterator[str]:
        yield from (alias for alias in self._shared if alias in self)
        yield from (alias for alias in self._own if alias not in self._shared)

    def __len__(self) -> int:
        return sum(1 for _alias in self)

    def seen(self) -> Iterator[Row]:
        """All rows, to be read only."""
        return (self._own.get(alias) or self._shared[alias] for alias in self)


@dataclass
class Failure:
    """What a client is told."""

    code: int
    text: str


@dataclass
class Held:
    """A request in the buffer."""

    again: Callable[[], None]
    give_up: Callable[[str], object]
    timer: Planned | None = None


@dataclass
class Buffer:
    """The buffer of one shard. since: when it began, None where it does not buffer."""

    since: float | None = None
    term: float = 0.0  # of the primary that was lost
    ended: float = float("-inf")
    held: list[Held] = field(default_factory=list)
    timer: Planned | None = None
    last_ms: int = 0


Found = Callable[[Tablet], object]
Failed = Callable[[Failure], object]


class Vtgate:
    """One vtgate process."""

    def __init__(self, plan: VtgatePlan, fleet: Fleet, number: int) -> None:
        self.plan, self.name, self.fleet = plan, plan.name, fleet
        self.timeline, self.timings = fleet.timeline, fleet.timings
        self.random = random.Random(fleet.layout.seed * 1000 + number)
        self.rows = Rows()
        self._news: set[str] = set()  # aliases of which the topology may say something else since the last poll
        self.extra_rows: list[Row] = []
        self.deaf_to: set[str] = set()  # aliases of which it learns nothing new
        self.cannot_route_to: set[str] = set()  # aliases that it shows SERVING and does not reach
        self.down = False  # Ready, but nothing answers
        self.denies = False
        self.skips_buffering = False  # LastFailoverTooRecent, whatever the time
        self.flags: dict[str, str] = self._flags()
        self.buffers: dict[str, Buffer] = {}
        self.counters: dict[str, Counter[str]] = {
            name: Counter() for name in ("Buffered", "Drained", "Evicted", "Skipped")
        }
        self.on_change: list[Callable[[str], None]] = []  # told the shard of which it shows something else
        self._number = number

    def _flags(self) -> dict[str, str]:
        plan = self.plan
        flags = {
            "topo-implementation": "etcd2",
            "cell": plan.cells[0] if plan.cells else "zone1",
            "cells-to-watch": ",".join(plan.cells),
            "tablet-refresh-interval": f"{self.timings.refresh_s:g}s",
            "port": "15000",
            "mysql-server-port": "3306",
        }
        if plan.keyspaces:
            flags["keyspaces-to-watch"] = ",".join(plan.keyspaces)
        if plan.buffer:
            flags |= {
                "enable-buffer": "true",
                "buffer-window": f"{plan.buffer_window_s:g}s",
                "buffer-max-failover-duration": f"{plan.buffer_max_failover_s:g}s",
                "buffer-min-time-between-failovers": f"{plan.buffer_min_gap_s:g}s",
            }
        return flags

    # -- learning

    def begin(self, known: dict[str, Row] | None = None) -> None:
        """It knows the fleet as it is, and polls the topology from now on, each vtgate at a moment of its own.

        known: first_rows() of a vtgate of the same plan, in the same moment.
        """
        self.rows = Rows(known if known is not None else self.first_rows())
        self.timeline.after(self.timings.refresh_s * (0.37 + 0.31 * self._number) % self.timings.refresh_s, self._poll)

    def first_rows(self) -> dict[str, Row]:
        """The rows of a vtgate that knows the fleet as it is."""
        return {
            t.alias: Row(t.alias, t.record.hostname, t.type, t.term, t.serving, True)
            for t in self.fleet.tablets.values()
            if self._watches(t)
        }

    def _watches(self, tablet: Tablet) -> bool:
        cells, keyspaces = self.plan.cells, self.plan.keyspaces
        return (not cells or tablet.cell in cells) and (not keyspaces or tablet.keyspace in keyspaces)

    def _poll(self) -> None:
        self.timeline.after(self.timings.refresh_s, self._poll)
        if not self.down:
            self.refresh()

    def refresh(self) -> None:
        """Read the topology: a blank address is dropped, a new one is connected to."""
        for alias in sorted((self._news | self.rows.gone) - self.deaf_to):
            self._news.discard(alias)
            tablet = self.fleet.tablets[alias]
            if not self._watches(tablet):
                continue
            row, hostname = self.rows.get(alias), tablet.record.hostname
            if not hostname:
                self.rows.pop(alias, None)
            elif row is None or row.hostname != hostname:
                fresh = Row(alias, hostname, tablet.record.type)
                self.rows[alias] = fresh
                self.timeline.after(self.timings.stream_s, lambda row=fresh: self._connect(row))  # type: ignore[misc]
            self._changed(tablet.shard)

    def _connect(self, row: Row) -> None:
        if self.rows.get(row.alias) is not row or row.connected:
            return
        tablet = self.fleet.at(row.hostname)
        if tablet is not None and tablet.alias == row.alias and row.alias not in self.deaf_to:
            row.connected, row.backoff_s = True, 0.0
            self._learn(row, tablet)
            return
        row.backoff_s = min(max(self.timings.backoff_first_s, row.backoff_s * 2), self.timings.backoff_most_s)
        self.timeline.after(row.backoff_s, lambda: self._connect(row))

    def heard(self, tablet: Tablet) -> None:
        """A tablet changed: its health stream tells this vtgate a moment later."""
        self._news.add(tablet.alias)
        row = self.rows.get(tablet.alias)
        if row is None or not row.connected or tablet.alias in self.deaf_to:
            return
        if not tablet.running or tablet.hostname != row.hostname:
            self.timeline.after(self.timings.stream_s, lambda: self._cut(row))
            return
        now = (tablet.type, tablet.term, tablet.serving)
        self.timeline.after(self.timings.stream_s, lambda: self._learn(row, tablet, now))

    def _learn(self, row: Row, tablet: Tablet, seen: tuple[str, float, bool] | None = None) -> None:
        if self.rows.get(row.alias) is not row or not row.connected:
            return
        row.type, row.term, row.serving = seen or (tablet.type, tablet.term, tablet.serving)
        self._changed(tablet.shard)
        self._primary_seen(tablet.shard)

    def _cut(self, row: Row) -> None:
        if self.rows.get(row.alias) is not row:
            return
        tablet = self.fleet.tablets[row.alias]
        if tablet.running and tablet.hostname == row.hostname:
            row.connected = False
            self._connect(row)
            return
        row.connected = row.serving = False
        self._changed(tablet.shard)
        self._connect(row)

    def _changed(self, shard: str) -> None:
        for listener in self.on_change:
            listener(shard)

    def _of(self, shard: str) -> list[Row]:
        """Its rows of a shard."""
        return [self.rows[tablet.alias] for tablet in self.fleet.of(shard) if tablet.alias in self.rows]

    # -- routing

    def _serving(self, shard: str, kind: str, tried: set[str], alias: str = "") -> list[Row]:
        found = [
            row
            for row in self._of(shard)
            if row.type == kind and row.serving and row.alias not in tried and (not alias or row.alias == alias)
        ]
        fresh = [row for row in found if self._lag(row) <= HIGH_LAG_S]
        return fresh or found

    def _lag(self, row: Row) -> float:
        return self.fleet.tablets[row.alias].mysqld.lag(self.timeline.now)

    def route(self, shard: str, kind: str, found: Found, failed: Failed, alias: str = "") -> None:
        """A tablet that takes a query of that type now; retried elsewhere, or held in the buffer, where that may help."""
        tried: set[str] = set()
        target = f"target: {self.fleet.layout.keyspace}.{shard}.{kind.lower()}"
        last = ""
        for _attempt in range(RETRIES + 1):
            rows = self._serving(shard, kind, tried, alias)
            if not rows:
                break
            row = max(rows, key=lambda r: r.term) if kind == "PRIMARY" else self.random.choice(rows)
            tried.add(row.alias)
            tablet = self.fleet.tablets[row.alias]
            code, text = tablet.refusal(kind)
            if row.alias in self.cannot_route_to:
                code, text = "UNAVAILABLE", "no connection"
            elif not code and row.hostname != tablet.hostname:
                code, text = "UNAVAILABLE", "connection refused"
            elif not code and not tablet.mysqld.running:
                code, text = "UNAVAILABLE", "Can't connect to local MySQL server"
            if not code:
                found(tablet)
                return
            last = f"{target}: vttablet: rpc error: code = {code} desc = {text}"
        if kind == "PRIMARY":
            self._hold(shard, lambda: self.route(shard, kind, found, failed, alias), failed, last or target)
            return
        words = f'keyspace:"{self.fleet.layout.keyspace}" shard:"{shard}" tablet_type:{kind}'
        failed(Failure(1105, last or f"{target}: no healthy tablet available for '{words}'"))

    # -- the buffer

    def _key(self, shard: str, reason: str = "") -> str:
        return f"{self.fleet.layout.keyspace}.{shard}" + (f".{reason}" if reason else "")

    def _hold(self, shard: str, again: Callable[[], None], failed: Failed, why: str) -> None:
        buffer = self.buffers.setdefault(shard, Buffer())
        now, plan = self.timeline.now, self.plan
        if not plan.buffer:
            failed(Failure(1105, why))
            return
        if buffer.since is None:
            if now - buffer.ended < plan.buffer_min_gap_s or self.skips_buffering:
                self.counters["Skipped"][self._key(shard, "LastFailoverTooRecent")] += 1
                failed(Failure(1105, why))
                return
            buffer.since = now
            buffer.term = max((row.term for row in self._of(shard)), default=0)
            buffer.timer = self.timeline.after(plan.buffer_max_failover_s, lambda: self._end(shard))
        if len(buffer.held) >= BUFFER_SIZE:
            self._evict(shard, buffer.held[0], "BufferFull")
        held = Held(again, lambda reason: failed(Failure(1105, f"{why}: {reason}")))
        held.timer = self.timeline.after(plan.buffer_window_s, lambda: self._evict(shard, held, "WindowExceeded"))
        buffer.held.append(held)
        self.counters["Buffered"][self._key(shard)] += 1
        self._primary_seen(shard)

    def _evict(self, shard: str, held: Held, reason: str) -> None:
        buffer = self.buffers[shard]
        if held in buffer.held:
            buffer.held.remove(held)
            if held.timer is not None:
                held.timer.cancel()
            self.counters["Evicted"][self._key(shard, reason)] += 1
            held.give_up(f"primary buffer: {reason}")

    def _primary_seen(self, shard: str) -> None:
        """The failover is over when a primary serves that a tablet confirms: keyspace_events."""
        buffer = self.buffers.get(shard)
        if buffer is None or buffer.since is None:
            return
        rows = self._serving(shard, "PRIMARY", set())
        if any(not self.fleet.tablets[row.alias].refusal("PRIMARY")[0] for row in rows):
            self._end(shard)

    def _end(self, shard: str) -> None:
        buffer = self.buffers[shard]
        if buffer.since is None:
            return
        buffer.last_ms = int((self.timeline.now - buffer.since) * 1000)
        buffer.since, buffer.ended = None, self.timeline.now
        if buffer.timer is not None:
            buffer.timer.cancel()
        held, buffer.held = buffer.held, []
        for request in held:
            if request.timer is not None:
                request.timer.cancel()
            self.counters["Drained"][self._key(shard)] += 1
            request.again()

    # -- pages

    @property
    def command(self) -> list[str]:
        """Its command line."""
        return ["vtgate", *(f"--{flag}={value}" for flag, value in self.flags.items())]

    def variables(self) -> dict[str, object]:
        """/debug/vars."""
        shards = list(self.fleet.shards)
        none = dict.fromkeys((self._key(s) for s in shards), 0)
        return {
            "cmdline": self.command,
            "BuildVersion": self.plan.version,
            "BufferSize": BUFFER_SIZE,
            "BufferRequestsBuffered": {**none, **self.counters["Buffered"]},
            "BufferRequestsDrained": {**none, **self.counters["Drained"]},
            "BufferRequestsEvicted": self._by_reason("Evicted", EVICTED),
            "BufferRequestsSkipped": self._by_reason("Skipped", SKIPPED),
            "BufferLastFailoverDurationMs": {self._key(s): b.last_ms for s, b in self.buffers.items()},
        }

    def _by_reason(self, name: str, reasons: tuple[str, ...]) -> dict[str, int]:
        """A counter of every shard and reason, 0 before the first."""
        none = {self._key(shard, reason): 0 for shard in self.fleet.shards for reason in reasons}
        return {**none, **self.counters[name]}

    def tablet_rows(self, like: str = "") -> list[tuple[str, ...]]:
        """SHOW VITESS_TABLETS, sorted as vtgate sorts it; LIKE is about the host name alone."""
        rows = []
        pattern = re.compile(re.escape(like).replace("%", ".*").replace("_", ".")) if re.search("[%_]", like) else None
        for row in (*self.rows.seen(), *self.extra_rows):
            if like and not (pattern.fullmatch(row.hostname) if pattern else row.hostname == like):
                continue
            tablet = self.fleet.tablets[row.alias]
            term = _rfc3339(row.term) if row.type == "PRIMARY" and row.term else ""
            state = "SERVING" if row.serving else "NOT_SERVING"
            rows.append((tablet.cell, tablet.keyspace, tablet.shard, row.type, state, row.alias, row.hostname, term))
        order = {"PRIMARY": 0, "REPLICA": 1, "RDONLY": 2}
        return sorted(rows, key=lambda r: (r[0], r[1], r[2], order.get(r[3], 3), r[5]))


def _rfc3339(seconds: float) -> str:

    return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
