# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients inside the fleet: the probe's four kinds of request, through every vtgate to every shard, and a ledger of what they saw.

For tests in virtual time; where time is real the real probe talks to the vtgates' ports.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from .kubernetes import is_ready
from .layout import TABLE
from .session import Answer, Ok, Rows, Session, shard_of_row
from .simulation import Simulation
from .vtgate import Failure, Vtgate

READ, WRITE, TRANSACTION, REPLICA_TRANSACTION = "read", "write", "transaction", "replica_transaction"
KINDS = (READ, WRITE, TRANSACTION, REPLICA_TRANSACTION)
ANSWER_LIMIT_S = 5.0
STALE_AFTER_S = 30.0


@dataclass(frozen=True)
class Error:
    """One failed request. Seconds since 1970; begun is when its transaction's BEGIN was acknowledged."""

    kind: str
    vtgate: str
    shard: str
    at: float
    text: str
    begun: float | None


@dataclass
class Ledger:
    """What all clients saw."""

    requests: Counter[str] = field(default_factory=Counter)
    errors: list[Error] = field(default_factory=list)
    acked: dict[int, tuple[str, float]] = field(default_factory=dict)
    stale_reads: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def without_open_transactions(self, reparents: list[dict[str, object]]) -> list[Error]:
        """Errors but those of transactions that a planned reparent broke (design.md section 7) and of open ones on replicas."""
        return [
            error
            for error in self.errors
            if not (error.begun is not None and (error.kind == REPLICA_TRANSACTION or _in_reparent(error, reparents)))
        ]


def _in_reparent(error: Error, reparents: list[dict[str, object]]) -> bool:
    return any(
        entry["planned"]
        and entry["shard"] == error.shard
        and (error.begun or 0) < float(entry["promoted"])  # type: ignore[arg-type]
        and error.at >= float(entry["start"])  # type: ignore[arg-type]
        for entry in reparents
    )


class Clients:
    """An open loop: rate requests/s of each kind at each vtgate for each shard."""

    def __init__(self, simulation: Simulation, rate: float = 4.0, kinds: tuple[str, ...] = KINDS) -> None:
        self.simulation, self.rate, self.kinds = simulation, rate, kinds
        self.ledger = Ledger()
        self.running = False
        self._in_air = 0
        self._random = random.Random(simulation.layout.seed + 7)
        self._next_row = 1
        self._rows: dict[str, list[int]] = {shard: [] for shard in simulation.fleet.shards}
        self._old_rows: dict[str, int] = {}

    def start(self) -> Clients:
        """Begin; each loop at a moment of its own."""
        self.running = True
        self.simulation.on_vtgate.append(self._use)
        for vtgate in self.simulation.vtgates.values():
            self._use(vtgate)
        return self

    def _use(self, vtgate: Vtgate) -> None:
        for shard in self._rows:
            for kind in self.kinds:
                delay = self._random.random() / self.rate
                self.simulation.timeline.after(delay, lambda s=shard, k=kind: self._due(vtgate, s, k))  # type: ignore[misc]

    def _has_endpoint(self, vtgate: Vtgate) -> bool:
        """Whether the Service sends new connections there: its Pod is Ready and not on its way out."""
        pod = self.simulation.store.of("pods").get(vtgate.name)
        return pod is not None and is_ready(pod) and not pod["metadata"].get("deletionTimestamp")

    def stop(self) -> Ledger:
        """No new requests; those in the air end (a buffer holds one for 10 s at most)."""
        self.running = False
        self.simulation.timeline.run_until(lambda: self._in_air == 0, 60.0)
        return self.ledger

    def lost_writes(self) -> list[int]:
        """Acknowledged rows that their shard's primary does not have."""
        fleet = self.simulation.fleet
        kept: dict[str, set[int]] = {}
        for shard in fleet.shards:
            primary = fleet.primary(shard) or max(fleet.of(shard), key=lambda t: t.term)
            kept[shard] = primary.mysqld.rows
        return [row for row, (shard, _at) in self.ledger.acked.items() if row not in kept[shard]]

    def _due(self, vtgate: Vtgate, shard: str, kind: str) -> None:
        if not self.running:
            return
        self.simulation.timeline.after(1 / self.rate, lambda: self._due(vtgate, shard, kind))
        if not vtgate.down and self._has_endpoint(vtgate):
            _Request(self, vtgate, shard, kind).begin()

    def row_for(self, shard: str) -> int:
        """A new row's id that lives in that shard."""
        shards = list(self.simulation.fleet.shards)
        while True:
            row, self._next_row = self._next_row, self._next_row + 1
            if shard_of_row(row, shards) == shard:
                return row

    def must_be_seen(self, shard: str) -> int | None:
        """The newest row that was acknowledged longer ago than a replica may lag."""
        now = self.simulation.timeline.now
        while self._rows[shard] and self.ledger.acked[self._rows[shard][0]][1] < now - STALE_AFTER_S:
            self._old_rows[shard] = self._rows[shard].pop(0)
        return self._old_rows.get(shard)

    def acked(self, shard: str, row: int) -> None:
        """A write was acknowledged."""
        self.ledger.acked[row] = (shard, self.simulation.timeline.now)
        self._rows[shard].append(row)

    def in_air(self, change: int) -> None:
        """A request begins or ends."""
        self._in_air += change


class _Request:
    """One request of one client on a connection of its own."""

    def __init__(self, clients: Clients, vtgate: Vtgate, shard: str, kind: str) -> None:
        self.clients, self.vtgate, self.shard, self.kind = clients, vtgate, shard, kind
        self.session = Session(vtgate)
        self.started = self._now
        self.begun: float | None = None
        self.row: int | None = None
        self.expected: int | None = None

    @property
    def _now(self) -> float:
        return self.clients.simulation.timeline.now

    def begin(self) -> None:
        """Send the first statement."""
        self.clients.in_air(1)
        side = "replica" if self.kind in (READ, REPLICA_TRANSACTION) else "primary"
        self.session.use(f"{self.session.fleet.layout.keyspace}@{side}")
        self._next(list(self._statements()))

    def _statements(self) -> list[str]:
        if self.kind in (READ, REPLICA_TRANSACTION):
            self.expected = self.clients.must_be_seen(self.shard)
            wanted = self.expected if self.expected is not None else self.clients.row_for(self.shard)
            read = f"SELECT id FROM {TABLE} WHERE id IN ({wanted})"
            return [read] if self.kind == READ else ["BEGIN", read, read, "COMMIT"]
        self.row = self.clients.row_for(self.shard)
        insert = f"INSERT INTO {TABLE} (id, vtgate, kind, value, at_us) VALUES ({self.row}, 'v', 'k', 0, 0)"
        if self.kind == WRITE:
            return [insert]
        return ["BEGIN", insert, f"SELECT value FROM {TABLE} WHERE id = {self.row}", "COMMIT"]

    def _next(self, left: list[str]) -> None:
        if not left:
            self._end("")
            return
        sql = left.pop(0)
        self.session.execute(sql, self._answered(sql, left))

    def _answered(self, sql: str, left: list[str]) -> Callable[[Answer], None]:
        def done(answer: Answer) -> None:
            if isinstance(answer, Failure):
                self._end(answer.text)
                return
            if sql == "BEGIN":
                self.begun = self._now
            if isinstance(answer, Rows) and self.expected is not None and not answer.rows:
                self.clients.ledger.stale_reads.append(f"{self.vtgate.name} {self.shard} row {self.expected}")
            assert isinstance(answer, Rows | Ok)
            self._next(left)

        return done

    def _end(self, text: str) -> None:
        ledger, took = self.clients.ledger, self._now - self.started
        self.session.close()
        self.clients.in_air(-1)
        ledger.requests[self.kind] += 1
        ledger.slowest_s = max(ledger.slowest_s, took)
        if not text and self.row is not None:
            self.clients.acked(self.shard, self.row)
        if not text and took > ANSWER_LIMIT_S:
            text = f"answered after {took:.1f} s"
        if text:
            ledger.errors.append(Error(self.kind, self.vtgate.name, self.shard, self._now, text, self.begun))
