# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tablets, their mysqlds and the topology: what vttablet and vtctld do, without a wire."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from .layout import Layout, TabletPlan, alias_of
from .mysqld import Mysqld, Transaction, Waiting, has, series_of
from .timeline import Timeline

SERVING = ("PRIMARY", "REPLICA", "RDONLY")
CHANGEABLE = ("REPLICA", "RDONLY", "SPARE", "BACKUP", "EXPERIMENTAL", "DRAINED")
POOLS = ("ConnPoolInUse", "StreamConnPoolInUse", "TransactionPoolInUse", "FoundRowsPoolInUse")
# acks, types that may give them, from another cell only
POLICIES: dict[str, tuple[int, tuple[str, ...], bool]] = {
    "none": (0, (), False),
    "semi_sync": (1, ("REPLICA",), False),
    "semi_sync_with_rdonly_ack": (1, ("REPLICA", "RDONLY"), False),
    "cross_cell": (1, ("REPLICA",), True),
    "cross_cell_with_rdonly_ack": (1, ("REPLICA", "RDONLY"), True),
}


class CommandFailed(Exception):
    """A vtctldclient command ends with an error; the text is its own."""


@dataclass
class Record:
    """A tablet's record in the topology."""

    type: str
    hostname: str = ""
    mysql_hostname: str = ""
    term: float = 0.0


@dataclass
class Tablet:
    """One tablet: process (if one runs), mysqld and record. type is what its vttablet is, record.type what the topology says."""

    alias: str
    cell: str
    uid: int
    keyspace: str
    shard: str
    pod: str
    type: str
    init_type: str
    version: str
    mysqld: Mysqld
    record: Record
    hostname: str = ""
    running: bool = True
    stopping: bool = False
    demoting: bool = False
    term: float = 0.0
    queries: int = 0
    live_queries: list[str] = field(default_factory=list)
    transactions: dict[int, float] = field(default_factory=dict)  # open ones by number, since when
    broken: set[int] = field(default_factory=set)
    stuck: dict[str, int] = field(default_factory=dict)  # pools that somebody keeps in use
    hidden_pools: set[str] = field(default_factory=set)
    claims_to_be: str = ""  # another alias in its command line
    restored: int = 0  # bytes that it has restored

    @property
    def serving(self) -> bool:
        """What its health stream says."""
        alive = self.running and (self.mysqld.running or self.stopping)
        return alive and not self.demoting and self.type not in ("BACKUP", "RESTORE", "SPARE", "UNKNOWN")

    def refusal(self, kind: str, transaction: int | None = None) -> tuple[str, str]:
        """Why it takes no query for that type: a code and a text; both empty where it takes it."""
        if not self.running:
            return "UNAVAILABLE", "connection error: desc = transport: connection refused"
        if not self.mysqld.running and not self.stopping:
            return "UNAVAILABLE", "net.Dial(/vt/vtdataroot/mysql.sock) to local server failed (errno 2002)"
        if transaction is not None and transaction in self.broken:
            return "ABORTED", f"transaction {transaction}: in use: for tx killer rollback"
        if self.stopping:
            return "CLUSTER_EVENT", "operation not allowed in state SHUTTING_DOWN"
        if self.demoting and transaction is None:
            return "CLUSTER_EVENT", "operation not allowed in state NOT_SERVING"
        if self.type != kind and not (transaction is not None and self.type == "PRIMARY"):
            return "FAILED_PRECONDITION", f"wrong tablet type: {kind}, want: {self.type}"
        return "", ""

    def pool(self, name: str) -> int:
        """How much of a pool is in use."""
        mine = {"ConnPoolInUse": self.queries, "TransactionPoolInUse": len(self.transactions)}
        return mine.get(name, 0) + self.stuck.get(name, 0)


@dataclass
class ShardRecord:
    """A shard's record in the topology; lock names the action that holds it."""

    primary: str | None
    term: float
    lock: str = ""


class Fleet:
    """All tablets. Listeners are told of each change that somebody could see."""

    def __init__(self, layout: Layout, timeline: Timeline) -> None:
        self.layout = layout
        self.timings = layout.timings
        self.timeline = timeline
        self.random = random.Random(layout.seed)
        self.durability = layout.durability
        self.tablets: dict[str, Tablet] = {}
        self.by_pod: dict[str, Tablet] = {}
        self._by_shard: dict[str, list[Tablet]] = {}
        self.shards: dict[str, ShardRecord] = {}
        self.migrations: list[tuple[str, str]] = []
        self.reparents: list[dict[str, object]] = []
        self.acts: list[str] = []  # what changed the fleet, in order
        self.upgraded_in_haste: list[str] = []  # mysqlds of a new series on what a fast shutdown left
        self.prs_fault = ""  # before, demoted or after: how the next PlannedReparentShard fails
        self.on_change: list[Callable[[Tablet], None]] = []
        self.on_act: list[Callable[[str, str], None]] = []
        self._transactions = 0

    # -- making it

    def add(self, shard: str, plan: TabletPlan, pod: str) -> Tablet:
        """A tablet that runs; the first of a shard is its primary."""
        now = self.timeline.now
        first = shard not in self.shards
        alias = alias_of(plan.cell, plan.uid)
        number = uuid.UUID(int=self.random.getrandbits(128), version=4)
        kind = "PRIMARY" if first else plan.type
        mysqld = Mysqld(str(number), self.layout.old_mysql, read_only=not first)
        tablet = Tablet(
            alias=alias,
            cell=plan.cell,
            uid=plan.uid,
            keyspace=self.layout.keyspace,
            shard=shard,
            pod=pod,
            type=kind,
            init_type=plan.type,
            version=self.layout.old,
            mysqld=mysqld,
            record=Record(kind),
        )
        if first:
            self.shards[shard] = ShardRecord(alias, now - 3600)
            tablet.term = tablet.record.term = now - 3600
            mysqld.io = mysqld.sql = False
        self.tablets[alias] = self.by_pod[pod] = tablet
        self._by_shard.setdefault(shard, []).append(tablet)
        return tablet

    def begin(self) -> None:
        """Give every shard a past, and let it replicate."""
        for record in self.shards.values():
            primary = self.tablets[record.primary or ""]
            for _number in range(self.layout.past):
                primary.mysqld.write(None, self.timeline.now - 3600)
        for tablet in self.tablets.values():
            if tablet.type == "PRIMARY":
                self.fix_semi_sync(tablet)
            else:
                self.follow(tablet)

    # -- looking at it

    @property
    def policy(self) -> tuple[int, tuple[str, ...], bool]:
        """Acks, who may give them, and whether only from another cell; a policy that is not known here asks for none."""
        return POLICIES.get(self.durability, POLICIES["none"])

    def of(self, shard: str) -> list[Tablet]:
        """The tablets of a shard."""
        return list(self._by_shard.get(shard, ()))

    def primary(self, shard: str) -> Tablet | None:
        """The tablet that the shard record names."""
        return self.tablets.get(self.shards[shard].primary or "")

    def at(self, hostname: str) -> Tablet | None:
        """Whose vttablet answers at an address."""
        found = (t for t in self.tablets.values() if t.running and t.hostname == hostname)
        return next(found, None)

    def io_running(self, tablet: Tablet) -> bool:
        """The IO thread is on and its source runs at the address that it knows."""
        mysqld = tablet.mysqld
        source = self.tablets.get(mysqld.source or "")
        return (
            mysqld.running
            and mysqld.io
            and source is not None
            and source.mysqld.running
            and mysqld.source_host == source.hostname
        )

    def replicates(self, tablet: Tablet) -> bool:
        """Both threads run."""
        return self.io_running(tablet) and tablet.mysqld.sql

    def errant(self, tablet: Tablet) -> dict[str, int]:
        """What it has executed and its primary has not."""
        primary = self.primary(tablet.shard)
        if primary is None or primary is tablet:
            return {}
        have = primary.mysqld.executed
        return {u: n for u, n in tablet.mysqld.executed.items() if n > have.get(u, 0) and u != primary.mysqld.uuid}

    # -- replication

    def changed(self, tablet: Tablet) -> None:
        """Somebody could see that it is otherwise now."""
        for listener in self.on_change:
            listener(tablet)

    def follow(self, tablet: Tablet) -> None:
        """Replicate from the shard's primary, semi-sync as the policy says."""
        primary = self.primary(tablet.shard)
        if primary is None or primary is tablet:
            return
        mysqld = tablet.mysqld
        mysqld.source, mysqld.source_host = primary.alias, primary.hostname
        mysqld.io, mysqld.sql = "1236" not in mysqld.stops_with, not mysqld.stops_with
        mysqld.last_error = mysqld.stops_with
        self.fix_semi_sync(tablet)
        self.catch_up(tablet)

    def fix_semi_sync(self, tablet: Tablet) -> None:
        """On where the policy lets this tablet ack."""
        _acks, kinds, _other = self.policy
        primary = self.primary(tablet.shard)
        is_primary = primary is tablet and tablet.type == "PRIMARY"
        tablet.mysqld.semi_sync_primary = is_primary and self.policy[0] > 0
        tablet.mysqld.semi_sync_replica = not is_primary and self._may_ack(tablet, primary, kinds)

    def _may_ack(self, tablet: Tablet, primary: Tablet | None, kinds: tuple[str, ...]) -> bool:
        other = self.policy[2]
        return tablet.type in kinds and primary is not None and (not other or tablet.cell != primary.cell)

    def catch_up(self, tablet: Tablet) -> None:
        """The IO thread connects: everything that it lacks is received."""
        source = self.tablets.get(tablet.mysqld.source or "")
        if source is None or not self.io_running(tablet):
            return
        for transaction in source.mysqld.log:
            if tablet.mysqld.receive(transaction):
                self._received(tablet, source, transaction)
        self._ack_known(tablet, source)

    def _received(self, tablet: Tablet, source: Tablet, transaction: Transaction) -> None:
        mysqld = tablet.mysqld
        if mysqld.sql and mysqld.delay_s <= 0:
            mysqld.apply_relay()
        elif mysqld.sql:
            self.timeline.after(mysqld.delay_s, lambda: self._apply_until(tablet, transaction))
        for other in self.of(tablet.shard):
            if other.mysqld.source == tablet.alias and other is not source:
                self._deliver(other, tablet, transaction)

    def _apply_until(self, tablet: Tablet, transaction: Transaction) -> None:
        mysqld = tablet.mysqld
        while mysqld.running and mysqld.sql and mysqld.relay and not has(mysqld.executed, transaction):
            mysqld.apply(mysqld.relay.popleft())

    def start_sql(self, tablet: Tablet) -> None:
        """The SQL thread goes on."""
        tablet.mysqld.sql = True
        tablet.mysqld.apply_relay()

    def _deliver(self, tablet: Tablet, source: Tablet, transaction: Transaction) -> None:
        if self.io_running(tablet) and tablet.mysqld.receive(transaction):
            self._received(tablet, source, transaction)

    def _ack_known(self, tablet: Tablet, primary: Tablet) -> None:
        if not tablet.mysqld.semi_sync_replica:
            return
        for waiting in list(primary.mysqld.waiting):
            if tablet.mysqld.knows(waiting.transaction):
                waiting.by.add(tablet.alias)
                self._settle(primary, waiting)

    def _settle(self, primary: Tablet, waiting: Waiting) -> None:
        if len(waiting.by) >= self.policy[0] and waiting in primary.mysqld.waiting:
            primary.mysqld.waiting.remove(waiting)
            waiting.acked()

    def write(
        self, tablet: Tablet, row: int | None, acked: Callable[[], object], failed: Callable[[str], object]
    ) -> None:
        """A commit on a primary; acked when as many replicas as the policy wants have received it."""
        if not tablet.mysqld.running or tablet.mysqld.read_only:
            failed("The MySQL server is running with the --super-read-only option so it cannot execute this statement")
            return
        transaction = tablet.mysqld.write(row, self.timeline.now)
        waiting = Waiting(transaction, acked, failed)
        tablet.mysqld.waiting.append(waiting)
        for other in self.of(tablet.shard):
            if other.mysqld.source == tablet.alias and self.io_running(other):
                self._deliver(other, tablet, transaction)
                if other.mysqld.semi_sync_replica and other.mysqld.knows(transaction):
                    waiting.by.add(other.alias)
        self._settle(tablet, waiting)

    # -- transactions at a tablet

    def open_transaction(self, tablet: Tablet) -> int:
        """A number for a new one."""
        self._transactions += 1
        tablet.transactions[self._transactions] = self.timeline.now
        return self._transactions

    def close_transaction(self, tablet: Tablet, number: int) -> None:
        """It ended."""
        tablet.transactions.pop(number, None)

    # -- processes

    def stop_mysqld(self, tablet: Tablet) -> None:
        """mysqld ends; commits that wait are lost to their clients, what was received is kept."""
        mysqld = tablet.mysqld
        mysqld.running = False
        for waiting in list(mysqld.waiting):
            waiting.failed("Lost connection to MySQL server during query")
        mysqld.waiting.clear()
        self.changed(tablet)

    def stop_vttablet(self, tablet: Tablet, cleanly: bool = True) -> None:
        """Its process ends; a clean shutdown blanks the address in its record."""
        tablet.running = tablet.stopping = tablet.demoting = False
        tablet.broken |= set(tablet.transactions)
        tablet.transactions.clear()
        if cleanly:
            tablet.record.hostname = tablet.record.mysql_hostname = ""
        self.changed(tablet)

    def start_mysqld(self, tablet: Tablet, version: str, empty: bool = False) -> str:
        """mysqld starts on its volume; an empty one makes it a new server. Why it gives up, empty where it does not."""
        mysqld = tablet.mysqld
        if empty:
            fresh = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
            tablet.mysqld = mysqld = Mysqld(fresh, version)
        elif series_of(version) < series_of(mysqld.version):
            return f"Cannot boot server version {version} on data directory built by version {mysqld.version}"
        elif series_of(version) > series_of(mysqld.version) and mysqld.fast_shutdown:
            self.upgraded_in_haste.append(tablet.alias)
        mysqld.version, mysqld.fast_shutdown = version, 1
        mysqld.running, mysqld.read_only = True, True
        mysqld.received = dict(mysqld.executed)
        mysqld.relay.clear()  # relay_log_recovery
        mysqld.io = mysqld.sql = False
        return ""

    def start_vttablet(self, tablet: Tablet, version: str, hostname: str) -> str:
        """Its process starts and registers; why it gives up, empty where it does not."""
        if self.errant(tablet):
            return "Errant GTID detected"
        shard = self.shards[tablet.shard]
        lookup = self.layout.held and int(version.partition(".")[0]) >= 24
        if shard.primary == tablet.alias:
            kind = "PRIMARY"
        elif lookup and tablet.record.type in CHANGEABLE:
            kind = tablet.record.type
        else:
            kind = tablet.init_type
        tablet.version, tablet.hostname, tablet.running = version, hostname, True
        tablet.type, tablet.stopping, tablet.demoting, tablet.queries = kind, False, False, 0
        tablet.live_queries, tablet.stuck = [], {}
        tablet.record = Record(kind, hostname, hostname, shard.term if kind == "PRIMARY" else 0.0)
        tablet.term = tablet.record.term
        self.follow(tablet)
        self.changed(tablet)
        return ""

    def restoring(self, tablet: Tablet, hostname: str, size: int) -> None:
        """Its vttablet restores from a backup, and has read so much of it."""
        tablet.hostname, tablet.running, tablet.type, tablet.restored = hostname, True, "RESTORE", size
        tablet.record = Record("RESTORE", hostname, hostname)
        self.changed(tablet)

    def fill_from_backup(self, tablet: Tablet) -> None:
        """What a backup of the shard holds: the first half of what its primary has."""
        primary = self.primary(tablet.shard)
        for transaction in primary.mysqld.log[: len(primary.mysqld.log) // 2] if primary else ():
            tablet.mysqld.apply(transaction)
        tablet.mysqld.received = dict(tablet.mysqld.executed)
        tablet.restored = 0

    # -- commands

    def start_replication(self, alias: str) -> None:
        """StartReplication. Raises CommandFailed."""
        tablet = self.needs(alias)
        if not tablet.running or not tablet.mysqld.running:
            raise CommandFailed(f"rpc error: code = Unavailable desc = tablet {alias} cannot be reached")
        self.acted(f"StartReplication {alias}", alias)
        self.follow(tablet)
        self.changed(tablet)

    def needs(self, alias: str) -> Tablet:
        """A tablet of the topology. Raises CommandFailed."""
        if alias in self.tablets:
            return self.tablets[alias]
        raise CommandFailed(f"node doesn't exist: /vitess/{alias.rpartition('-')[0]}/tablets/{alias}/Tablet")

    def change_type(self, alias: str, kind: str) -> None:
        """ChangeTabletType. Raises CommandFailed."""
        tablet = self.needs(alias)
        if not tablet.running:
            raise CommandFailed(f"rpc error: code = Unavailable desc = tablet {alias} cannot be reached")
        if tablet.type not in CHANGEABLE or kind not in CHANGEABLE:
            raise CommandFailed(f"tablet type change {tablet.type} -> {kind} is not an allowed transition for {alias}")
        if tablet.type == kind:
            raise CommandFailed(f"Tablet: {alias}, is already {kind.lower()}")
        self.acted(f"ChangeTabletType {alias} {kind.lower()}", alias)
        tablet.type = tablet.record.type = kind
        if tablet.mysqld.io:
            self.fix_semi_sync(tablet)
            self.catch_up(tablet)
        self.changed(tablet)

    def acted(self, act: str, alias: str) -> None:
        """Somebody is about to change the fleet."""
        for listener in self.on_act:
            listener(act, alias)
        self.acts.append(act)

    def emergency_reparent(self, shard: str) -> bool:
        """What vtorc does when a primary is dead: the replica that received most becomes primary; whether there was one."""
        record = self.shards[shard]
        able = [t for t in self.of(shard) if t.running and t.mysqld.running and t.type == "REPLICA"]
        if not able or record.lock:
            return False
        best = max(able, key=lambda t: (len(t.mysqld.log) + len(t.mysqld.relay), -t.uid))
        best.mysqld.apply_relay()
        old = record.primary
        self.acts.append(f"EmergencyReparentShard {shard} {best.alias}")
        self._promote(shard, best)
        self.reparents.append(
            {"shard": shard, "old": old, "new": best.alias, "planned": False, "start": self.timeline.now}
        )
        for tablet in self.of(shard):
            if tablet is not best and tablet.running and tablet.mysqld.running:
                self.follow(tablet)
        return True

    def _promote(self, shard: str, new: Tablet) -> None:
        now = self.timeline.now
        record = self.shards[shard]
        record.primary, record.term = new.alias, now
        new.type = new.record.type = "PRIMARY"
        new.term = new.record.term = now
        new.demoting = False
        mysqld = new.mysqld
        mysqld.read_only, mysqld.source, mysqld.source_host, mysqld.io, mysqld.sql = False, None, "", False, False
        self.fix_semi_sync(new)
        self.changed(new)

    def planned_reparent(
        self, shard: str, new: str, expected: str, wait_s: float, done: Callable[[str], object]
    ) -> None:
        """PlannedReparentShard; done gets its error, empty where it has none."""
        if shard not in self.shards:
            raise CommandFailed(
                f"node doesn't exist: /vitess/global/keyspaces/{self.layout.keyspace}/shards/{shard}/Shard"
            )
        _PlannedReparent(self, shard, new, expected, wait_s, done).check()


class _PlannedReparent:
    """One PlannedReparentShard, step by step (go/vt/vtctl/reparentutil/planned_reparenter.go)."""

    def __init__(
        self, fleet: Fleet, shard: str, new: str, expected: str, wait_s: float, done: Callable[[str], object]
    ) -> None:
        self.fleet, self.shard, self.wait_s, self._done = fleet, shard, wait_s, done
        self.record = fleet.shards[shard]
        self.new, self.expected = fleet.needs(new), expected
        self.old: Tablet | None = fleet.primary(shard)
        self.started = fleet.timeline.now
        self.until = 0.0
        self.fault = ""

    def _later(self, delay_s: float, step: Callable[[], None]) -> None:
        self.fleet.timeline.after(delay_s, step)

    def _end(self, error: str) -> None:
        self.record.lock = ""
        self._done(error)

    def check(self) -> None:
        """What it refuses before anything is touched."""
        fleet, tablets = self.fleet, self.fleet.of(self.shard)
        down = [t.alias for t in tablets if not t.record.hostname]
        if self.record.lock:
            raise CommandFailed(
                f"node already exists: lock already exists at path /keyspaces/{self.shard}: {self.record.lock}"
            )
        if self.record.primary != self.expected:
            raise CommandFailed(f"primary {self.record.primary} is not equal to expected alias {self.expected}")
        if down:
            raise CommandFailed(f"tablet {down[0]} is shutdown")
        if busy := [t.alias for t in tablets if t.type in ("RESTORE", "BACKUP") or not t.running]:
            raise CommandFailed(f"cannot reach or use tablet {busy[0]}")
        if self.new.type != "REPLICA" or self.new.shard != self.shard or self.old is None:
            raise CommandFailed(f"primary-elect tablet {self.new.alias} is not in the shard or no REPLICA")
        self.fault, fleet.prs_fault = fleet.prs_fault, ""
        fleet.acted(f"PlannedReparentShard {self.shard} {self.new.alias}", self.old.alias)
        self.record.lock = f"PlannedReparentShard {self.new.alias}"
        self.until = fleet.timeline.now + self.wait_s
        self._later(fleet.timings.demote_s / 2, self._elect_catches_up)

    def _behind(self) -> bool:
        assert self.old is not None
        return any(not has(self.new.mysqld.executed, t) for t in self.old.mysqld.log[-500:])

    def _elect_catches_up(self) -> None:
        if self.fault == "before" or self.fleet.timeline.now > self.until:
            self._end(
                f"replication on primary-elect {self.new.alias} did not catch up in time; replication must be healthy"
            )
        elif self._behind() and (
            self.new.mysqld.shown_lag or self.new.mysqld.delay_s or not self.fleet.replicates(self.new)
        ):
            self._later(0.1, self._elect_catches_up)
        else:
            self._demote()

    def _demote(self) -> None:
        assert self.old is not None
        self.old.demoting = True
        self.fleet.changed(self.old)
        self.until = self.fleet.timeline.now + min(self.fleet.timings.grace_s, self.wait_s)
        self._later(self.fleet.timings.demote_s / 2, self._in_flight_ends)

    def _in_flight_ends(self) -> None:
        old, now = self.old, self.fleet.timeline.now
        assert old is not None
        if (old.transactions or old.queries) and now < self.until:
            self._later(0.02, self._in_flight_ends)
            return
        old.broken |= set(old.transactions)
        old.transactions.clear()
        self.until = now + self.wait_s
        self._read_only()

    def _read_only(self) -> None:
        old = self.old
        assert old is not None
        if old.mysqld.waiting and self.fleet.timeline.now < self.until:
            self._later(0.1, self._read_only)
            return
        if old.mysqld.waiting or self.fault == "demoted":
            self._undo("failed to catch up" if self.fault else "super_read_only blocked: commits wait for acks")
            return
        old.mysqld.read_only = True
        self.until = self.fleet.timeline.now + self.wait_s
        self._elect_has_all()

    def _elect_has_all(self) -> None:
        if not self._behind():
            self._later(self.fleet.timings.promote_s, self._promote)
        elif self.fleet.timeline.now > self.until:
            self._undo(f"primary-elect tablet {self.new.alias} failed to catch up with replication")
        else:
            self._later(0.02, self._elect_has_all)

    def _undo(self, error: str) -> None:
        assert self.old is not None
        self.old.demoting, self.old.mysqld.read_only = False, False
        self.fleet.changed(self.old)
        self._end(error)

    def _promote(self) -> None:
        fleet, old, new = self.fleet, self.old, self.new
        assert old is not None
        if not (new.running and new.mysqld.running):
            self._undo(f"primary-elect tablet {new.alias} failed to be upgraded to primary; please try again")
            return
        fleet._promote(self.shard, new)
        if old.running:
            old.type = old.record.type = "REPLICA"
            old.term = old.record.term = 0.0
            old.demoting = False
        fleet.reparents.append(
            {
                "shard": self.shard,
                "old": old.alias,
                "new": new.alias,
                "planned": True,
                "start": self.started,
                "promoted": fleet.timeline.now,
            }
        )
        for tablet in fleet.of(self.shard):
            if tablet is not new and tablet.mysqld.running and self.fault != "after":
                fleet.follow(tablet)
        fleet.changed(old)
        self._end(
            "timed out after successfully promoting; please re-run to fix up the replicas"
            if self.fault == "after"
            else ""
        )
