# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load itself: an open loop of threads around PyMySQL."""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from .ledger import Request
from .rows import OutOfRows, Rows, first_id, staleness
from .schedule import ON_REPLICA, READ, TRANSACTION, WRITE, WRITING_KINDS, Loop, loops
from .vtgate import Dialler, Layout, code_and_text, is_own, quoted, shards_of

STOCK_SECONDS = 60.0
"""Ids are kept ready for this long, so that no vtgate has to be asked while it is in trouble."""
IDS_AT_ONCE = 500


@dataclass(frozen=True)
class Settings:
    """What the load is; times in seconds, rates in requests per second for each kind at each vtgate."""

    keyspace: str
    table: str
    rate: float = 25.0
    fresh_share: float = 0.2
    answer_limit: float = 5.0
    """An answer later than this is an error."""
    stale_after: float = 30.0
    """A row acknowledged longer ago than this must be seen by every read."""
    max_connections: int = 10
    """Most connections of one kind to one vtgate for one shard, as an application's pool has its limit."""

    @property
    def timeout(self) -> float:
        """How long a client waits for one answer: longer than the limit, to learn if a late write counts."""
        return 2 * self.answer_limit


@dataclass(slots=True)
class Job:
    """A request that is due."""

    due: float
    """On the monotonic clock."""
    fresh: bool
    late: float = 0.0
    """Seconds by which the probe itself began it late."""


class Stop(Exception):
    """The load can't go on; the text says why."""


class Client:
    """What one thread does with its connections: the four kinds of request."""

    def __init__(self, loop: Loop, load: Load) -> None:
        """A client of the loop's vtgate; it connects at its first request."""
        self._load = load
        self._loop = loop
        side = "replica" if loop.kind in ON_REPLICA else "primary"
        self._database = f"{load.settings.keyspace}@{side}"
        self._table = quoted(load.settings.table)
        self._name = load.dialler.targets[loop.vtgate].name[:32].replace("\\", "").replace("'", "")
        self._connection: Any = None
        self._step = "connect"
        self._begun: float | None = None
        self._row: int | None = None
        self._acked = False
        self._stale: float | None = None

    def run(self, job: Job) -> Request:
        """Make the request; every failure is in the answer, none is raised."""
        clock, limit = self._load.clock, self._load.settings.answer_limit
        self._begun, self._row, self._acked, self._stale = None, None, False, None
        step: str | None = None
        code, text, own = 0, "", False
        if clock() - job.due - job.late > limit:
            step, text = "queue", f"not sent: all connections were waiting, for more than {limit:g} s"
            done = clock()
        else:
            try:
                self._request(job)
                done = clock()
            except Exception as error:  # noqa: BLE001 - whatever a client meets is an error of the request
                done = clock()
                step, own = self._step, is_own(error) or isinstance(error, OutOfRows)
                code, text = code_and_text(error)
                self._recover(job.fresh)
            if step is None and done - job.due > limit:
                step, text = "late", f"answered after {done - job.due:.3f} s"
                own = done - job.due - job.late <= limit
        return Request(
            kind=self._loop.kind,
            vtgate=self._loop.vtgate,
            shard=self._loop.shard,
            fresh=job.fresh,
            due=job.due + self._load.epoch,
            seconds=done - job.due,
            row=self._row,
            acked=self._acked,
            stale_s=self._stale,
            step=step,
            code=code,
            text=text,
            begun=None if step is None or self._begun is None else self._begun + self._load.epoch,
            own=own,
        )

    def close(self) -> None:
        """Close the persistent connection, if there is one."""
        if self._connection is not None:
            _close(self._connection)
            self._connection = None

    def _request(self, job: Job) -> None:
        self._step = "connect"
        if not job.fresh:
            if self._connection is None:
                self._connection = self._open()
            self._talk(self._connection)
            return
        connection = self._open()
        try:
            self._talk(connection)
        finally:
            _close(connection)

    def _open(self) -> Any:
        return self._load.dialler.open(self._load.dialler.targets[self._loop.vtgate], self._database)

    def _recover(self, fresh: bool) -> None:
        """Leave the persistent connection fit for the next request, as a client would: roll back or drop it."""
        if fresh or self._connection is None:
            return
        if self._begun is not None and self._connection.open:
            with suppress(Exception):  # on a broken connection: a new one is opened for the next request
                self._connection.rollback()
                return
        elif self._connection.open:
            return
        self.close()

    def _talk(self, connection: Any) -> None:
        cursor = connection.cursor()
        if self._loop.kind == READ:
            self._step = "read"
            self._read(cursor)
        elif self._loop.kind == WRITE:
            self._step = "write"
            self._ack(self._insert(cursor))
        elif self._loop.kind == TRANSACTION:
            self._begin(cursor)
            self._step = "insert"
            row = self._insert(cursor)
            self._step = "select"
            cursor.execute(f"SELECT value FROM {self._table} WHERE id = {row}")
            if len(cursor.fetchall()) != 1:
                raise LookupError("the transaction doesn't see its own row")
            self._commit(cursor)
            self._ack(row)
        else:
            self._begin(cursor)
            self._step = "select"
            self._read(cursor)
            self._step = "second select"
            self._read(cursor)
            self._commit(cursor)

    def _commit(self, cursor: Any) -> None:
        self._step = "commit"
        cursor.execute("COMMIT")

    def _begin(self, cursor: Any) -> None:
        self._step = "begin"
        cursor.execute("BEGIN")
        self._begun = self._load.clock()

    def _insert(self, cursor: Any) -> int:
        load = self._load
        row = load.rows.take(self._loop.shard)
        self._row = row
        cursor.execute(
            f"INSERT INTO {self._table} (id, vtgate, kind, value, at_us) VALUES"
            f" ({row}, '{self._name}', '{self._loop.kind}', {row - load.rows.first},"
            f" {int((load.clock() + load.epoch) * 1e6)})"
        )
        return row

    def _ack(self, row: int) -> None:
        self._acked = True
        self._load.rows.acked(self._loop.shard, row, self._load.clock())

    def _read(self, cursor: Any) -> None:
        load = self._load
        expected = load.rows.must_see(self._loop.shard, load.clock(), load.settings.stale_after)
        wanted = [row for row, _age in expected] or [load.rows.first]
        cursor.execute(f"SELECT id FROM {self._table} WHERE id IN ({', '.join(map(str, wanted))})")
        stale = staleness(expected, {row[0] for row in cursor.fetchall()})
        if stale is not None:
            self._stale = max(stale, self._stale or 0.0)


def _close(connection: Any) -> None:
    with suppress(Exception):  # already broken: nothing is left to close
        connection.close()


class Pool:
    """The threads of one loop: as many as there are requests in the air, up to a limit."""

    def __init__(self, loop: Loop, load: Load) -> None:
        """No thread is started before the first request."""
        self._loop = loop
        self._load = load
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[Job | None]] = []
        self._backlog: deque[Job] = deque()
        self._threads: list[threading.Thread] = []
        self._stopped = False

    def give(self, job: Job) -> None:
        """Hand a due request to an idle thread, a new one, or (at the limit) the queue."""
        with self._lock:
            inbox = self._idle.pop() if self._idle else self._another()
            if inbox is None:
                self._backlog.append(job)
                return
        inbox.put(job)

    def _another(self) -> SimpleQueue[Job | None] | None:
        """The inbox of a new thread; None at the limit, and where this host starts no more threads."""
        if len(self._threads) >= self._load.settings.max_connections:
            return None
        inbox: SimpleQueue[Job | None] = SimpleQueue()
        thread = threading.Thread(target=self._work, args=(inbox,), daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return None
        self._threads.append(thread)
        return inbox

    def stop(self) -> None:
        """Let every thread finish its request and end; what is queued is still asked."""
        with self._lock:
            self._stopped = True
            idle, self._idle = self._idle, []
        for inbox in idle:
            inbox.put(None)

    def join(self, give_up: float) -> None:
        """Wait for the threads until C(give_up) on the monotonic clock."""
        for thread in self._threads:
            thread.join(max(0.0, give_up - self._load.clock()))

    def _work(self, inbox: SimpleQueue[Job | None]) -> None:
        client = Client(self._loop, self._load)
        try:
            while (job := inbox.get()) is not None:
                while job is not None:
                    self._load.done(client.run(job))
                    with self._lock:
                        job = self._backlog.popleft() if self._backlog else None
                        if job is None:
                            if self._stopped:
                                return
                            self._idle.append(inbox)
        finally:
            client.close()


class Load:
    """All loops of a run."""

    def __init__(
        self,
        settings: Settings,
        dialler: Dialler,
        layout: Layout,
        record: Callable[[Request], None],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """C(record) gets each request when it is done, from many threads.

        The wall clock is read once, so that a step of it doesn't bend the figures.
        """
        self.settings = settings
        self.dialler = dialler
        self.clock = clock
        self.started_at = wall()
        self.epoch = self.started_at - clock()
        """Add it to the monotonic clock for seconds since 1970."""
        self._layout = layout
        self._record = record
        self._stop = threading.Event()
        self._failure: str | None = None
        self._late = 0.0
        self.rows = Rows(first_id(self.started_at), len(layout.shards))
        self.requests = 0
        writers = len(WRITING_KINDS) * len(dialler.targets)
        self._stock = 50 + int(STOCK_SECONDS * settings.rate * writers / len(layout.shards))

    def done(self, request: Request) -> None:
        """Record a request; a ledger that can't be written ends the load."""
        self.requests += 1
        try:
            self._record(request)
        except OSError as error:
            self._failure = f"the ledger can't be written: {error}"
            self._stop.set()

    def stop(self) -> None:
        """End the load soon; may be called from any thread, and from a signal handler."""
        self._stop.set()

    def worst_lateness(self) -> float:
        """By how many seconds a request was begun too late by the probe itself, at worst since the last call."""
        late, self._late = self._late, 0.0
        return late

    def restock(self) -> None:
        """Learn the shards of new ids from any vtgate that answers.

        :raises Stop: when none does
        """
        last = ""
        for target in self.dialler.targets:
            try:
                connection = self.dialler.open(target, f"{self.settings.keyspace}@primary")
                try:
                    while self.rows.in_stock() < self._stock:
                        ids = self.rows.fresh_range(IDS_AT_ONCE)
                        self.rows.stock(shards_of(connection, self.settings.keyspace, self._layout, ids))
                    return
                finally:
                    _close(connection)
            except Exception as error:  # noqa: BLE001 - the next vtgate may answer
                last = code_and_text(error)[1]
        raise Stop(f"no vtgate tells the shards of new rows: {last}")

    def run(self, seconds: float) -> tuple[str, float]:
        """Load the vtgates until C(seconds) are over or C(stop) is called, then let the last requests end.

        C(restock) must have been called.

        :returns: why it ended (C(deadline), C(stopped) or a fault), and when the last request was due
            (seconds since 1970)
        """
        stocker = threading.Thread(target=self._keep_stock, daemon=True)
        stocker.start()
        start = self.clock()
        settings = self.settings
        every = loops(len(self.dialler.targets), len(self._layout.shards), settings.rate, settings.fresh_share)
        pools = [Pool(loop, self) for loop in every]
        due = [(start + loop.due(0), position, 0) for position, loop in enumerate(every)]
        heapq.heapify(due)
        reason = "deadline"
        end = start + seconds
        while True:
            at, position, number = due[0]
            if at >= end:
                at = end
            wait = at - self.clock()
            if wait > 0:
                time.sleep(min(wait, 0.2))
            if self._stop.is_set():
                reason = self._failure or "stopped"
                break
            now = self.clock()
            if now >= end:
                break
            if now < at:
                continue
            loop = every[position]
            late = now - at
            self._late = max(self._late, late)
            pools[position].give(Job(at, loop.fresh(number), late))
            heapq.heapreplace(due, (start + loop.due(number + 1), position, number + 1))
        until = min(self.clock(), end)
        self._stop.set()
        for pool in pools:
            pool.stop()
        give_up = self.clock() + 2 * settings.timeout + settings.answer_limit
        for pool in pools:
            pool.join(give_up)
        stocker.join(settings.timeout)
        return self._failure or reason, until + self.epoch

    def _keep_stock(self) -> None:
        while not self._stop.wait(1):
            if self.rows.in_stock() < self._stock * 0.8:
                try:
                    self.restock()
                except Stop:  # the stock lasts for a while, and the clients count what is wrong
                    continue
