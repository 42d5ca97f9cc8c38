# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One vtgate: its own view of tablets by SHOW VITESS_TABLETS, canary reads, and its counters and flags."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ..errors import EdgeError, Refused, Unreachable
from ..fleet import Alias, Route, ShardFilter, Vtgate, VtgateSettings
from .kubernetes import KubernetesClient
from .login import Login, certificate_refusal
from .vtctld import parse_type
from .vttablet import flags_of

with suppress(ImportError):  # clients.login reports it
    import pymysql.err

ACCESS_DENIED = 1045  # MySQL's ER_ACCESS_DENIED_ERROR
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 5.0, 10.0


@dataclass(frozen=True)
class Endpoint:
    """Where one vtgate is: a Pod (asked through a port-forward), or an address."""

    name: str
    namespace: str = ""
    pod: str = ""
    uid: str = ""
    host: str = ""
    port: int = 3306
    web_port: int = 15000
    ready: bool = True
    terminating: bool = False
    flags: tuple[tuple[str, str], ...] | None = None  # None where its Pod's spec does not spell out the command line


# An address that no tablet has: a vtgate that is asked for it proves that it answers. An empty pattern would be every tablet.
NOWHERE = "-"


class VtgateClient:
    """One vtgate. Its view is read over a connection that is kept, and opened anew where it was cut; everything else has its own."""

    def __init__(self, kube: KubernetesClient, endpoint: Endpoint, login: Login) -> None:
        self._kube = kube
        self.endpoint = endpoint
        self._login = login
        self._kept: Any = None
        self._asking = (
            threading.Lock()
        )  # a plan reads several shards at once, and a connection carries one query at a time
        self._not_opened: EdgeError | None = None
        self._settings: VtgateSettings | None = None
        self._version = ""

    def connect(self) -> Any:
        """An open PyMySQL connection. Raises Unreachable, or Refused with MySQL's error number."""
        endpoint = self.endpoint
        connection = self._login.unopened(
            endpoint.host or endpoint.name,
            endpoint.port,
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            write_timeout=READ_TIMEOUT_S,
            autocommit=True,
        )
        tunnel = None
        try:
            if endpoint.pod:
                tunnel = self._kube.port_forward(endpoint.namespace, endpoint.pod, endpoint.port)
                tunnel.settimeout(READ_TIMEOUT_S)
                connection.connect(tunnel)
            else:
                connection.connect()
        except (pymysql.err.MySQLError, OSError) as error:
            if tunnel is not None:
                tunnel.close()
            raise _translated(error, endpoint.name) from error
        return connection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """One query, on the kept connection or on a new one where that was cut. Safe between threads. Raises EdgeError."""
        with self._asking:
            if self._kept is not None:
                try:
                    return self._fetch(self._kept, sql)
                except (pymysql.err.MySQLError, OSError):
                    self.close()
            self._kept = self.connect()
            try:
                return self._fetch(self._kept, sql)
            except (pymysql.err.MySQLError, OSError) as error:
                self.close()
                raise _translated(error, self.endpoint.name) from error

    @staticmethod
    def _fetch(connection: Any, sql: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def close(self) -> None:
        """Close the kept connection."""
        if self._kept is not None:
            _close(self._kept)
        self._kept = None

    def open(self) -> None:
        """Log in, where no connection is kept: while the topology is still being read. What fails, the next view will say."""
        with self._asking:
            if self._kept is not None or self.endpoint.terminating or not self.endpoint.ready:
                return
            try:
                self._kept = self.connect()
            except EdgeError as error:
                self._not_opened = error

    def view(self, addresses: Collection[str] | None = None) -> Vtgate:
        """Its rows at these addresses (None: all) and its flags; the error is in the result, so that one vtgate never hides another.

        LIKE is about the host name alone (go/vt/vtgate/executor.go ShowTablets), one pattern a statement; WHERE is ignored there.
        """
        base = Vtgate(self.endpoint.name, terminating=self.endpoint.terminating)
        if self.endpoint.terminating:
            return base
        if not self.endpoint.ready:
            return replace(base, error="its Pod is not Ready")
        not_opened, self._not_opened = self._not_opened, None
        try:
            if not_opened is not None:
                raise not_opened
            routes = tuple(parse_route(row) for row in self._rows_at(addresses))
            if self._settings is None and self.endpoint.flags is not None:
                self._settings = parse_settings(dict(self.endpoint.flags))
            if self._settings is None:
                page = self.variables()
                self._settings, self._version = parse_settings(flags_of(page)), str(page.get("BuildVersion") or "")
        except (EdgeError, ValueError) as error:
            # Whoever shows it names the vtgate.
            said = str(error).removeprefix(f"{self.endpoint.name}: ")
            return replace(base, error=said, denied=isinstance(error, Refused) and error.status == ACCESS_DENIED)
        return replace(base, routes=routes, settings=self._settings, version=self._version)

    def _rows_at(self, addresses: Collection[str] | None) -> list[tuple[Any, ...]]:
        if addresses is None:
            return self.rows("SHOW VITESS_TABLETS")
        asked = sorted(addresses) or [NOWHERE]
        found = [row for address in asked for row in self.rows(f"SHOW VITESS_TABLETS LIKE '{_quoted(address)}'")]
        return list(dict.fromkeys(found))

    def variables(self) -> dict[str, Any]:
        """Its /debug/vars, which grows with the fleet (a set of counters for each shard); empty for a vtgate that is known by address only."""
        if not self.endpoint.pod:
            return {}
        raw = self._kube.web_get(self.endpoint.namespace, self.endpoint.pod, self.endpoint.web_port, "/debug/vars")
        try:
            page: dict[str, Any] = json.loads(raw)
        except ValueError as error:
            raise EdgeError(f"/debug/vars of {self.endpoint.name} cannot be read: {error}") from error
        return page

    def build_version(self) -> str:
        """What it says of itself: C(Version: 24.0.2 (Git revision ...)). @@version is the MySQL version that it plays. Raises EdgeError."""
        rows = self.rows("SELECT @@version_comment")
        return str(rows[0][0]) if rows and rows[0] else ""

    def canary(self, keyspace: str, shard: str, kind: str, alias: Alias, server_uuid: str, tries: int) -> int:
        """Read @@server_uuid through this vtgate until this very tablet answers; how many reads it took.

        Over the kept connection, which has only asked what is shown and is closed then; over a new one where none is kept.
        From v24 on the tablet is addressed (C(ks:shard@type|alias)); before, the vtgate chooses and the read is repeated, at most tries times.
        Raises Refused where another tablet answered every time, and whatever the vtgate says.
        """
        with self._asking:
            connection, self._kept = self._kept, None
        connection = connection or self.connect()
        try:
            with connection.cursor() as cursor:
                if self._addressed(cursor, f"{keyspace}:{shard}@{kind.lower()}|{alias}") == server_uuid.lower():
                    return 1
                cursor.execute(f"USE `{keyspace}:{shard}@{kind.lower()}`")
                seen: set[str] = set()
                for attempt in range(1, tries + 1):
                    cursor.execute("SELECT @@server_uuid")
                    answer = str((cursor.fetchone() or ("",))[0]).lower()
                    if answer == server_uuid.lower():
                        return attempt
                    seen.add(answer)
        except (pymysql.err.MySQLError, OSError) as error:
            raise _translated(error, self.endpoint.name) from error
        finally:
            _close(connection)
        raise Refused(
            f"{self.endpoint.name}: {tries} reads were answered by {', '.join(sorted(seen))}, none by {alias} ({server_uuid})"
        )

    @staticmethod
    def _addressed(cursor: Any, target: str) -> str:
        """The server uuid behind a tablet target; empty where this vtgate does not know the form (before v24) or finds no route."""
        try:
            cursor.execute(f"USE `{target}`")
            cursor.execute("SELECT @@server_uuid")
            return str((cursor.fetchone() or ("",))[0]).lower()
        except pymysql.err.MySQLError as error:
            if error.args and error.args[0] in (2003, 2006, 2013):
                raise
            return ""


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "''")


def _close(connection: Any) -> None:
    try:
        connection.close()
    except (pymysql.err.MySQLError, OSError):
        return


def _translated(error: Exception, name: str) -> EdgeError:
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if refusal := certificate_refusal(error):
        return Refused(f"{name}: {refusal}", code)
    if isinstance(error, OSError) or code in (2003, 2006, 2013):
        return Unreachable(f"{name}: {error}")
    return Refused(f"{name}: {error}", code)


def parse_route(row: tuple[Any, ...]) -> Route:
    """From SHOW VITESS_TABLETS: Cell, Keyspace, Shard, TabletType, State, Alias, Hostname, PrimaryTermStartTime."""
    _cell, _keyspace, _shard, kind, state, alias, hostname, term = (
        str(cell) if cell is not None else "" for cell in row
    )
    return Route(Alias.parse(alias), parse_type(kind), state == "SERVING", hostname, term)


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def parse_duration(text: str) -> float:
    """Go's C(1m30s) in seconds. Raises ValueError."""
    parts = re.findall(r"([\d.]+)(ms|us|µs|ns|s|m|h)", text)
    if not parts:
        raise ValueError(f"not a duration: {text!r}")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def parse_settings(flags: dict[str, str]) -> VtgateSettings:
    """A vtgate's flags, with Vitess' defaults where they are not given. Raises ValueError for one that it would not start with."""
    default = VtgateSettings()

    def seconds(name: str, otherwise: float) -> float:
        return parse_duration(flags[name]) if name in flags else otherwise

    def names(name: str) -> frozenset[str]:
        return frozenset(part.strip() for part in flags.get(name, "").split(",") if part.strip())

    return VtgateSettings(
        cells_to_watch=names("cells-to-watch") or names("cell"),  # without a list it watches its own cell
        keyspaces_to_watch=names("keyspaces-to-watch"),
        tablet_filters=frozenset(ShardFilter.parse(text) for text in names("tablet-filters")),
        tablet_filter_tags=frozenset(
            (key, value) for key, _colon, value in (text.partition(":") for text in names("tablet-filter-tags"))
        ),
        tablet_refresh_interval_s=seconds("tablet-refresh-interval", default.tablet_refresh_interval_s),
        buffer_enabled=flags.get("enable-buffer", "false").lower() in ("true", "1", "t"),
        buffer_window_s=seconds("buffer-window", default.buffer_window_s),
        buffer_max_failover_s=seconds("buffer-max-failover-duration", default.buffer_max_failover_s),
        buffer_min_gap_s=seconds("buffer-min-time-between-failovers", default.buffer_min_gap_s),
        buffer_size=int(flags.get("buffer-size", default.buffer_size)),
        buffer_keyspace_shards=names("buffer-keyspace-shards"),
    )
