# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""vtctldclient in the simulated vtctld Pod: words in, what it prints out. Shapes are those of v23 and v24 as recorded on the lab."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

from .fleet import CommandFailed, Fleet, Tablet
from .kubernetes import stamp
from .mysqld import gtid_text
from .store import Json

CANARY_LIMIT_S = 1.5
FILE = "FilePos/vt-bin.000001:157"
SEMI_SYNC = (
    "semi_sync_primary_enabled",
    "semi_sync_replica_enabled",
    "semi_sync_primary_status",
    "semi_sync_replica_status",
)
STARTED = 1_789_990_000.0
TYPES = ("UNKNOWN", "PRIMARY", "REPLICA", "RDONLY", "SPARE", "EXPERIMENTAL", "BACKUP", "RESTORE", "DRAINED")


@dataclass(frozen=True)
class Printed:
    """What a command left behind."""

    out: str = ""
    err: str = ""
    code: int = 0


Done = Callable[[Printed], object]


def failed(text: str, version: str = "23", code: int = 1) -> Printed:
    """The command's own way to say that it failed: a log line, which is JSON from v24 on."""
    said = f"rpc error: code = Unknown desc = {text}"
    if int(version.partition(".")[0]) < 24:
        return Printed("", f"E1124 00:00:00.000000       1 main.go:62] {said}\n", code)
    source = {"function": "main.main", "file": "vitess.io/vitess/go/cmd/vtctldclient/main.go", "line": 63}
    line = {"time": "2026-11-24T00:00:00.000000000Z", "level": "ERROR", "source": source, "msg": said}
    return Printed("", json.dumps(line, separators=(",", ":")) + "\n", code)


class Vtctldclient:
    """Runs the commands that the product and its tests send; any other is an error that says so."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.lost_cells: set[str] = set()  # cells whose topology server does not answer

    def run(self, words: list[str], done: Done) -> None:
        """One command, its options and arguments in any order that vtctldclient takes."""
        options, arguments = _parsed(words)
        try:
            self._run(options, arguments, done)
        except CommandFailed as error:
            done(self._failed(str(error)))

    def _failed(self, text: str) -> Printed:
        """vtctld is rolled with the vtgates, which are the first."""
        return failed(text, self.fleet.layout.vtgates[0].version)

    def _run(self, options: dict[str, str], arguments: list[str], done: Done) -> None:
        fleet = self.fleet
        match arguments:
            case ["GetTablets"]:
                done(Printed(self._tablets(options)))
            case ["GetTablet", alias]:
                done(Printed(_text(_record(fleet.needs(_full(alias)), named=True))))
            case ["GetShard", name]:
                done(Printed(_text(self._shard(name))))
            case ["GetKeyspace", name]:
                self._keyspace(name)
                done(Printed(_text({"name": name, "keyspace": _keyspace_record(fleet.durability)})))
            case ["GetFullStatus", alias]:
                done(Printed(_text(self._full_status(fleet.needs(_full(alias))))))
            case ["ChangeTabletType", alias, kind]:
                fleet.change_type(_full(alias), kind.upper())
                done(Printed("- ok\n+ ok\n"))
            case ["StartReplication", alias]:
                fleet.start_replication(_full(alias))
                done(Printed())
            case ["PlannedReparentShard", name]:
                self._reparent(name, options, done)
            case ["ExecuteFetchAsDBA", alias, sql] if sql.startswith("INSERT INTO _vt.semisync_heartbeat "):
                self._canary(fleet.needs(_full(alias)), done)
            case ["ExecuteFetchAsDBA", alias, sql]:
                done(Printed(_text({"rows": self._rows(fleet.needs(_full(alias)), sql)})))
            case _:
                raise CommandFailed(f"the simulated vtctld does not know {' '.join(arguments)}")

    def _keyspace(self, name: str) -> None:
        if name != self.fleet.layout.keyspace:
            raise CommandFailed(f"node doesn't exist: /vitess/global/keyspaces/{name}/Keyspace")

    def _tablets(self, options: dict[str, str]) -> str:
        if self.lost_cells and "strict" in options:
            raise CommandFailed(f"deadline exceeded: cell {', '.join(sorted(self.lost_cells))}")
        chosen = [
            t
            for t in sorted(self._asked(options), key=lambda t: (t.cell, t.uid))
            if options.get("keyspace", t.keyspace) == t.keyspace
            and options.get("shard", t.shard) == t.shard
            and t.cell not in self.lost_cells
        ]
        if options.get("format") == "json":
            return _text([_record(tablet, named=False) for tablet in chosen])
        return "".join(_line(tablet) for tablet in chosen)

    def _asked(self, options: dict[str, str]) -> list[Tablet]:
        return self.fleet.of(options["shard"]) if "shard" in options else list(self.fleet.tablets.values())

    def _shard(self, name: str) -> Json:
        keyspace, _slash, shard = name.partition("/")
        self._keyspace(keyspace)
        if shard not in self.fleet.shards:
            raise CommandFailed(f"node doesn't exist: /vitess/global/keyspaces/{keyspace}/shards/{shard}/Shard")
        record = self.fleet.shards[shard]
        if not record.primary:
            return {"keyspace": keyspace, "name": shard, "shard": {"primary_alias": None}}
        cell, _dash, uid = record.primary.rpartition("-")
        known: Json = {
            "primary_alias": {"cell": cell, "uid": int(uid)},
            "primary_term_start_time": _time(record.term, text=True),
            "key_range": _key_range(shard, whole=True),
            "source_shards": [],
            "tablet_controls": [],
            "is_primary_serving": True,
            "vtorc_state": None,
        }
        return {"keyspace": keyspace, "name": shard, "shard": known}

    def _reparent(self, name: str, options: dict[str, str], done: Done) -> None:
        keyspace, _slash, shard = name.partition("/")
        self._keyspace(keyspace)
        expected = options.get("expected-primary") or str(self.fleet.shards[shard].primary)
        wait_s = float(options.get("wait-replicas-timeout", "15s").removesuffix("s"))
        new = _full(options["new-primary"])
        self.fleet.planned_reparent(
            shard, new, _full(expected), wait_s, lambda error: done(self._failed(error) if error else Printed())
        )

    def _canary(self, tablet: Tablet, done: Done) -> None:
        """A write whose answer comes with its acks, or not within the command's time limit; mysqld goes on waiting."""
        answered: list[bool] = []

        def once(answer: Printed) -> None:
            if not answered:
                answered.append(True)
                done(answer)

        if not tablet.running or not tablet.mysqld.running:
            raise CommandFailed(f"connection error: dial tcp {tablet.hostname}:16000: connection refused")
        self.fleet.write(tablet, None, lambda: once(Printed(_text({}))), lambda why: once(self._failed(why)))
        self.fleet.timeline.after(CANARY_LIMIT_S, lambda: once(self._failed("context deadline exceeded")))

    def _full_status(self, tablet: Tablet) -> Json:
        fleet, mysqld = self.fleet, tablet.mysqld
        if not tablet.record.hostname:
            raise CommandFailed("cannot call FullStatus: tablet is shutdown")
        if not tablet.running or not mysqld.running or mysqld.silent:
            raise CommandFailed(
                mysqld.silent or f"connection error: dial tcp {tablet.record.hostname}:16000: connection refused"
            )
        source = fleet.tablets.get(mysqld.source or "")
        io = fleet.io_running(tablet)
        position = f"MySQL56/{gtid_text(mysqld.executed)}"
        replication = None
        if source is not None:
            lag = mysqld.lag(fleet.timeline.now)
            unknown = not (io and mysqld.sql) and mysqld.shown_lag is None
            replication = {
                "position": position,
                "replication_lag_seconds": 0 if unknown else int(lag),
                "source_host": mysqld.source_host,
                "source_port": 3306,
                "connect_retry": 10,
                "relay_log_position": position,
                "file_position": FILE,
                "relay_log_source_binlog_equivalent_position": FILE,
                "source_server_id": source.uid,
                "source_uuid": source.mysqld.uuid,
                "io_state": 3 if io else 2 if mysqld.io else 1,
                "last_io_error": mysqld.last_error,
                "sql_state": 3 if mysqld.sql else 1,
                "last_sql_error": "",
                "relay_log_file_position": FILE,
                "source_user": "vt_repl",
                "sql_delay": 0,
                "auto_position": True,
                "using_gtid": False,
                "has_replication_filters": False,
                "ssl_allowed": True,
                "replication_lag_unknown": unknown,
                **dict.fromkeys(("backup_running", *SEMI_SYNC), False),
            }
        clients = sum(t.mysqld.semi_sync_replica and t.mysqld.source == tablet.alias for t in fleet.of(tablet.shard))
        return {
            "server_id": tablet.uid,
            "server_uuid": mysqld.uuid,
            "replication_status": replication,
            "primary_status": {"position": position, "file_position": FILE, "server_uuid": mysqld.uuid},
            "gtid_purged": "MySQL56/",
            "version": mysqld.version,
            "version_comment": "(simulated)",
            "read_only": mysqld.read_only,
            "gtid_mode": "ON",
            "binlog_format": "ROW",
            "binlog_row_image": "FULL",
            "log_bin_enabled": True,
            "log_replica_updates": True,
            "semi_sync_primary_enabled": mysqld.semi_sync_primary,
            "semi_sync_replica_enabled": mysqld.semi_sync_replica,
            "semi_sync_primary_status": mysqld.semi_sync_primary,
            "semi_sync_replica_status": mysqld.semi_sync_replica and io,
            "semi_sync_primary_clients": clients if mysqld.semi_sync_primary else 0,
            "semi_sync_primary_timeout": "1000000000000000000",
            "semi_sync_wait_for_replica_count": 1,
            "super_read_only": mysqld.read_only,
            "replication_configuration": {"heartbeat_interval": 4, "replica_net_timeout": 8} if replication else None,
            "disk_stalled": False,
            "semi_sync_blocked": False,
            "tablet_type": tablet.type,
        }

    def _rows(self, tablet: Tablet, sql: str) -> list[list[str | int]]:
        now = self.fleet.timeline.now
        if not tablet.running or not tablet.mysqld.running:
            raise CommandFailed(f"connection error: dial tcp {tablet.hostname}:16000: connection refused")
        if "innodb_trx" in sql:
            mine = [(number, now - since) for number, since in tablet.transactions.items()]
            known = [(thread, now - since) for thread, since in tablet.mysqld.old_transactions]
            return [[thread, int(age)] for thread, age in sorted([*mine, *known], key=lambda row: -row[1])]
        if "schema_migrations" in sql or "_vt.vreplication" in sql:
            rows: list[list[str | int]] = [["migration", uuid, status, 0] for uuid, status in self.fleet.migrations]
            return rows if "schema_migrations" in sql else []
        if sql == "SET GLOBAL innodb_fast_shutdown = 0":
            tablet.mysqld.fast_shutdown = 0
            return []
        if sql == "SELECT @@global.innodb_fast_shutdown":
            return [[tablet.mysqld.fast_shutdown]]
        if "processlist" in sql:
            return [list(row) for row in tablet.mysqld.sessions]
        raise CommandFailed(f"the simulated mysqld does not know: {sql[:100]}")


def _text(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _full(alias: str) -> str:
    cell, _dash, uid = alias.rpartition("-")
    if not uid.isdigit():
        raise CommandFailed(f"invalid tablet alias: {alias}")
    return f"{cell}-{int(uid):010d}"


def _time(seconds: float, text: bool) -> Json | None:
    """vttime.Time; GetTablets prints seconds as a number, the others as a text."""
    if not seconds:
        return None
    whole = int(seconds)
    return {"seconds": str(whole) if text else whole, "nanoseconds": int((seconds - whole) * 1e9)}


def _record(tablet: Tablet, named: bool) -> Json:
    record = tablet.record
    found: Json = {
        "alias": {"cell": tablet.cell, "uid": tablet.uid},
        "hostname": record.hostname,
        "port_map": {"grpc": 16000, "vt": 15000} if record.hostname else {},
        "keyspace": tablet.keyspace,
        "shard": tablet.shard,
        "key_range": _key_range(tablet.shard, named),
        "type": record.type if named else TYPES.index(record.type),
        "db_name_override": "",
        "tags": {},
        "mysql_hostname": record.mysql_hostname,
        "mysql_port": 3306 if record.mysql_hostname else 0,
        "primary_term_start_time": _time(record.term, named),
        "default_conn_collation": 255,
        "tablet_start_time": _time(STARTED, named),
        "tablet_shutdown_time": None if record.hostname else _time(STARTED, named),
    }
    return found if named else {key: value for key, value in found.items() if value not in (None, "", 0, {})}


def _key_range(shard: str, whole: bool) -> Json | None:
    """topodata.KeyRange, its bounds in base64; GetTablets leaves empty ones out, as it does everything that is empty."""
    start, dash, end = shard.partition("-")
    if not dash or not (start or end):
        return None
    bounds = {"start": base64.b64encode(bytes.fromhex(start)), "end": base64.b64encode(bytes.fromhex(end))}
    return {name: value.decode() for name, value in bounds.items() if value or whole}


def _keyspace_record(durability: str) -> Json:
    return {
        "keyspace_type": "NORMAL",
        "base_keyspace": "",
        "snapshot_time": None,
        "durability_policy": durability,
        "throttler_config": None,
        "sidecar_db_name": "_vt",
        "vtorc_state": None,
        "query_throttler_config": None,
    }


def _line(tablet: Tablet) -> str:
    record = tablet.record
    term = stamp(record.term) if record.term else "<null>"
    address, mysql = f"{record.hostname}:15000", f"{record.mysql_hostname}:3306"
    if not record.hostname:
        address, mysql = ":0", ":0"
    return f"{tablet.alias} {tablet.keyspace} {tablet.shard} {record.type.lower()} {address} {mysql} [] {term}\n"


BOOLEAN = ("strict", "json")


def _parsed(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Options by name, and the command with its arguments."""
    options: dict[str, str] = {}
    arguments: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            arguments.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if not equals and name not in BOOLEAN:
            value = rest.pop(0) if rest else ""
        options[name] = value
    return options, arguments
