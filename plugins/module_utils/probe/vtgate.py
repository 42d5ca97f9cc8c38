# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to vtgate: how the probe logs in, what it asks once before and once after the load."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..clients.login import Login, certificate_refusal

with suppress(ImportError):  # clients.login reports it
    import pymysql
    import pymysql.cursors

COLUMNS = ("id", "vtgate", "kind", "value", "at_us")
PAGE = 2000
"""Rows of one look at the end: far below vttablet's limit of 10,000 rows for one answer."""

OWN_ERRNOS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM, errno.EBADF, errno.ENETDOWN}
)
"""Faults of this host: out of files, ports or memory. A refused or reset connection is the other side's."""


class ProbeError(Exception):
    """The probe can't be started, stopped or summed up; the text says why."""


@dataclass(frozen=True)
class Target:
    """A vtgate process at an address of its own."""

    name: str
    host: str
    port: int


@dataclass(frozen=True)
class Layout:
    """Where the table's rows live."""

    shards: tuple[str, ...]
    vindex: str | None
    """Name of the vindex that gives a row's shard; None for an unsharded keyspace."""


class Dialler:
    """Opens connections to the vtgates."""

    def __init__(self, targets: Sequence[Target], login: Login, timeout: float) -> None:
        """C(timeout) is in seconds, for a connection to open and for each answer."""
        self.targets = tuple(targets)
        self._login = login
        self._timeout = timeout

    def open(self, target: Target, database: str) -> Any:
        """A connection with the database, for example C(commerce@replica), chosen.

        :raises pymysql.err.MySQLError: and its kin, as PyMySQL does
        """
        connection = self._login.unopened(
            target.host,
            target.port,
            database=database,
            autocommit=None,
            connect_timeout=max(1, int(self._timeout)),
            read_timeout=self._timeout,
            write_timeout=self._timeout,
        )
        connection.connect()
        return connection


def quoted(name: str) -> str:
    """A name in backticks."""
    return "`" + name.replace("`", "``") + "`"


def is_own(error: BaseException) -> bool:
    """Whether a failed connection or request is the fault of this host and not of the servers."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in OWN_ERRNOS:
            return True
        seen = getattr(seen, "original_exception", None) or seen.__cause__
    return isinstance(error, MemoryError)


def code_and_text(error: BaseException) -> tuple[int, str]:
    """MySQL's error number (0 if there is none) and the text in one line."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[1]) if code and len(error.args) > 1 else str(error)
    return code, " ".join(f"{type(error).__name__}: {text}".split())


def asked(connection: Any, sql: str) -> list[dict[str, Any]]:
    """The rows of an answer."""
    with connection.cursor(pymysql.cursors.DictCursor) as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def look_at(dialler: Dialler, keyspace: str, table: str) -> Layout:
    """Prove that every vtgate can be reached and knows the table, and learn its shards.

    :raises ProbeError: naming the vtgate, and what to do where the table is missing
    """
    layout: Layout | None = None
    for target in dialler.targets:
        try:
            for side in ("primary", "replica"):
                connection = dialler.open(target, f"{keyspace}@{side}")
                try:
                    asked(connection, f"SELECT {', '.join(COLUMNS)} FROM {quoted(table)} WHERE id = 0")
                    if side == "primary":
                        layout = _layout(connection, keyspace, table)
                finally:
                    connection.close()
        except (pymysql.err.MySQLError, OSError) as error:
            code, text = code_and_text(error)
            text = certificate_refusal(error) or text
            advice = ""
            if code in (1054, 1146) or "not found" in text:
                advice = (
                    f" (the probe needs a table with id bigint primary key, vtgate varchar(32), kind varchar(16),"
                    f" value bigint, at_us bigint: create {table} in {keyspace}, with a vindex on id if it is sharded)"
                )
            raise ProbeError(f"vtgate {target.name} ({target.host}:{target.port}): {text}{advice}") from error
    if layout is None:
        raise ProbeError("no vtgate is given")
    return layout


def _layout(connection: Any, keyspace: str, table: str) -> Layout:
    names = [next(iter(row.values())) for row in asked(connection, "SHOW VITESS_SHARDS")]
    shards = tuple(sorted(name.split("/", 1)[1] for name in names if name.split("/", 1)[0] == keyspace))
    if not shards:
        raise ProbeError(f"keyspace {keyspace} has no shard")
    if len(shards) == 1:
        return Layout(shards, None)
    for row in asked(connection, f"SHOW VSCHEMA VINDEXES ON {quoted(keyspace)}.{quoted(table)}"):
        if row["Columns"] == "id":
            return Layout(shards, row["Name"])
    raise ProbeError(f"{keyspace}.{table} has no vindex on id, so the shard of a row isn't known")


def shards_of(connection: Any, keyspace: str, layout: Layout, ids: range) -> dict[int, int]:
    """The index of each id's shard, as vtgate itself computes it (no tablet is asked).

    :raises ProbeError: when vtgate names a shard that wasn't there at the start
    """
    if layout.vindex is None:
        return dict.fromkeys(ids, 0)
    rows = asked(
        connection,
        f"SELECT id, shard FROM {quoted(keyspace)}.{quoted(layout.vindex)} WHERE id IN ({', '.join(map(str, ids))})",
    )
    place = {shard: index for index, shard in enumerate(layout.shards)}
    found: dict[int, int] = {}
    for row in rows:
        shard = row["shard"].decode() if isinstance(row["shard"], bytes) else str(row["shard"])
        if shard not in place:
            raise ProbeError(f"vtgate names shard {shard} for a row, which {keyspace} did not have at the start")
        found[int(row["id"])] = place[shard]
    return found


def rows_found(dialler: Dialler, keyspace: str, table: str, first: int, end: int, limit: float) -> set[int]:
    """The ids from C(first) to below C(end) that the primaries hold, read through any vtgate that answers.

    :param limit: seconds to go on trying for
    :raises ProbeError: when no vtgate answered in that time
    """
    give_up = time.monotonic() + limit
    last = "no vtgate is given"
    while True:
        for target in dialler.targets:
            try:
                return _page_through(dialler, target, keyspace, table, first, end)
            except (pymysql.err.MySQLError, OSError) as error:
                last = f"vtgate {target.name}: {code_and_text(error)[1]}"
        if time.monotonic() >= give_up:
            raise ProbeError(f"the rows could not be read back: {last}")
        time.sleep(1)


def _page_through(dialler: Dialler, target: Target, keyspace: str, table: str, first: int, end: int) -> set[int]:
    found: set[int] = set()
    connection = dialler.open(target, f"{keyspace}@primary")
    try:
        with connection.cursor() as cursor:
            while True:
                cursor.execute(
                    f"SELECT id FROM {quoted(table)} WHERE id >= {first} AND id < {end} ORDER BY id LIMIT {PAGE}"
                )
                page = [row[0] for row in cursor.fetchall()]
                found.update(page)
                if len(page) < PAGE:
                    return found
                first = page[-1] + 1
    finally:
        connection.close()


def parse_target(value: Any, position: int) -> Target:
    """A vtgate's address from C(host:port), C([ipv6]:port) or a dict with C(host), and if wanted C(port), C(name).

    :raises ProbeError: for anything else
    """
    if isinstance(value, dict):
        unknown = set(value) - {"name", "host", "port"}
        if unknown or not isinstance(value.get("host"), str) or not value["host"]:
            raise ProbeError(f"vtgate {position}: a host is needed, name and port may be given; got {sorted(value)}")
        host, port = value["host"], value.get("port", 3306)
        name = value.get("name")
    else:
        match = re.fullmatch(r"(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>\d+))?", str(value).strip())
        if match is None:
            raise ProbeError(f"vtgate {position}: {value!r} is neither host:port nor [address]:port")
        host, port, name = match["six"] or match["host"], match["port"] or 3306, None
    try:
        number = int(port)
    except (TypeError, ValueError) as error:
        raise ProbeError(f"vtgate {position}: {port!r} is no port") from error
    if not 0 < number < 65536:
        raise ProbeError(f"vtgate {position}: {number} is no port")
    return Target(str(name or f"{host}:{number}"), host, number)


def parse_targets(values: Sequence[Any], parse: Callable[[Any, int], Target] = parse_target) -> list[Target]:
    """All addresses.

    :raises ProbeError: for none, for two of one name, or for one that can't be read
    """
    targets = [parse(value, position) for position, value in enumerate(values, 1)]
    if not targets:
        raise ProbeError("no vtgate is given")
    names = [target.name for target in targets]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ProbeError(f"two vtgates are called {twice[0]}")
    return targets
