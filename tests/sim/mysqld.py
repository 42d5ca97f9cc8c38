# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One mysqld: what it has executed and received, whom it replicates from, and which commits wait for an ack."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

Executed = dict[str, int]
"""Highest transaction by server uuid; each set is whole from 1 on."""


@dataclass(frozen=True)
class Transaction:
    """One GTID; row is the id that it inserts, None for anything else. at: when it was written, seconds since 1970."""

    uuid: str
    number: int
    row: int | None
    at: float


def has(executed: Executed, transaction: Transaction) -> bool:
    """Whether a set contains a transaction."""
    return executed.get(transaction.uuid, 0) >= transaction.number


def series_of(version: str) -> tuple[int, ...]:
    """8.4 of 8.4.6."""
    return tuple(int(part) for part in version.split(".")[:2])


def gtid_text(executed: Executed) -> str:
    """As MySQL writes it."""
    return ",".join(f"{uuid}:1-{n}" if n > 1 else f"{uuid}:1" for uuid, n in sorted(executed.items()) if n)


@dataclass
class Waiting:
    """A commit that waits for acks."""

    transaction: Transaction
    acked: Callable[[], object]
    failed: Callable[[str], object]
    by: set[str] = field(default_factory=set)


@dataclass
class Mysqld:
    """io and sql are the threads as somebody set them; io also needs a source that runs (see Fleet.io_running)."""

    uuid: str
    version: str
    running: bool = True
    fast_shutdown: int = 1  # innodb_fast_shutdown
    read_only: bool = True
    io: bool = True
    sql: bool = True
    source: str | None = None  # alias
    source_host: str = ""
    semi_sync_primary: bool = False
    semi_sync_replica: bool = False
    delay_s: float = 0.0  # SQL thread applies this late
    shown_lag: float | None = None  # a lag that is shown whatever the relay log holds
    last_error: str = ""
    stops_with: str = ""  # the error with which its replication stops wherever it is started
    silent: str = ""  # why it does not answer although it runs
    log: list[Transaction] = field(default_factory=list)
    executed: Executed = field(default_factory=dict)
    relay: deque[Transaction] = field(default_factory=deque)
    received: Executed = field(default_factory=dict)
    rows: set[int] = field(default_factory=set)
    waiting: list[Waiting] = field(default_factory=list)
    sessions: list[tuple[str, str, int]] = field(default_factory=list)  # foreign: user, command, count
    old_transactions: list[tuple[int, float]] = field(default_factory=list)  # thread, since when

    def write(self, row: int | None, now: float) -> Transaction:
        """A new transaction of its own."""
        transaction = Transaction(self.uuid, self.executed.get(self.uuid, 0) + 1, row, now)
        self.apply(transaction)
        return transaction

    def apply(self, transaction: Transaction) -> None:
        """Execute a transaction, once."""
        if has(self.executed, transaction):
            return
        self.log.append(transaction)
        self.executed[transaction.uuid] = transaction.number
        if transaction.row is not None:
            self.rows.add(transaction.row)

    def knows(self, transaction: Transaction) -> bool:
        """Whether it executed it or has it in its relay log."""
        return has(self.executed, transaction) or has(self.received, transaction)

    def receive(self, transaction: Transaction) -> bool:
        """Take a transaction into the relay log; False where it was known."""
        if self.knows(transaction):
            return False
        self.relay.append(transaction)
        self.received[transaction.uuid] = transaction.number
        return True

    def apply_relay(self) -> None:
        """Execute all that was received."""
        while self.relay:
            self.apply(self.relay.popleft())

    def lag(self, now: float) -> float:
        """Seconds between the oldest transaction that is not executed and now."""
        if self.shown_lag is not None:
            return self.shown_lag
        return max(0.0, now - self.relay[0].at) if self.relay else 0.0
