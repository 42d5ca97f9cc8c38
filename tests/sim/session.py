# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client's session at a vtgate: the SQL that probe and modules send, on the tablets that the vtgate finds for it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .fleet import Fleet, Tablet
from .layout import TABLE
from .vtgate import Failure, Vtgate

INTEGER, TEXT, BYTES = "integer", "text", "bytes"


@dataclass
class Rows:
    """A result set; columns are name and kind."""

    columns: list[tuple[str, str]]
    rows: list[tuple[Any, ...]]


@dataclass
class Ok:
    """A statement without rows."""

    affected: int = 0


Answer = Rows | Ok | Failure
Done = Callable[[Answer], object]

TARGET = re.compile(r"^(?P<keyspace>[^:@]*)(?::(?P<shard>[^@]+))?(?:@(?P<kind>[a-zA-Z]+)(?:\|(?P<alias>.+))?)?$")


def shard_of_row(row: int, shards: list[str]) -> str:
    """Where a row lives: its hash against the shards' key ranges."""
    key = hashlib.blake2b(row.to_bytes(16, "big"), digest_size=4).hexdigest()
    for shard in shards:
        start, dash, end = shard.partition("-")
        if not dash or (key >= start and (not end or key[: len(end)] < end)):
            return shard
    raise LookupError(f"no shard for key {key}")


@dataclass
class Session:
    """One connection. branches: the transaction's part at each shard."""

    vtgate: Vtgate
    keyspace: str = ""
    shard: str = ""
    kind: str = "PRIMARY"
    alias: str = ""
    in_transaction: bool = False
    branches: dict[str, tuple[Tablet, int]] = field(default_factory=dict)
    written: dict[str, list[int]] = field(default_factory=dict)

    @property
    def fleet(self) -> Fleet:
        """The fleet behind the vtgate."""
        return self.vtgate.fleet

    @property
    def _shards(self) -> list[str]:
        return list(self.fleet.shards)

    def use(self, target: str) -> Answer:
        """USE, or the database of the log-in."""
        match = TARGET.match(target)
        known = self.fleet.layout.keyspace
        if match is None or match["keyspace"] not in ("", known):
            return Failure(1049, f"VT05003: unknown database '{target}' in vschema")
        self.keyspace, self.shard = match["keyspace"] or known, match["shard"] or ""
        self.kind, self.alias = (match["kind"] or "primary").upper(), match["alias"] or ""
        return Ok()

    def execute(self, sql: str, done: Done) -> None:
        """One statement."""
        text = sql.strip().rstrip(";")
        for pattern, handler in _STATEMENTS:
            if match := pattern.fullmatch(text):
                handler(self, match, done)
                return
        done(Failure(1105, f"the simulated vtgate does not know this statement: {text[:200]}"))

    def close(self) -> None:
        """The client is gone: what is open is rolled back."""
        for tablet, number in self.branches.values():
            self.fleet.close_transaction(tablet, number)
        self.branches.clear()
        self.written.clear()
        self.in_transaction = False

    # -- without a tablet

    def _nothing(self, _match: re.Match[str], done: Done) -> None:
        done(Ok())

    def _use(self, match: re.Match[str], done: Done) -> None:
        done(self.use(match["target"]))

    def _one(self, match: re.Match[str], done: Done) -> None:
        done(Rows([(match["n"], INTEGER)], [(int(match["n"]),)]))

    def _show_tablets(self, match: re.Match[str], done: Done) -> None:
        names = ["Cell", "Keyspace", "Shard", "TabletType", "State", "Alias", "Hostname", "PrimaryTermStartTime"]
        done(Rows([(name, TEXT) for name in names], list(self.vtgate.tablet_rows(match["like"] or ""))))

    def _show_shards(self, _match: re.Match[str], done: Done) -> None:
        done(Rows([("Shards", TEXT)], [(f"{self.fleet.layout.keyspace}/{shard}",) for shard in sorted(self._shards)]))

    def _show_vindexes(self, _match: re.Match[str], done: Done) -> None:
        names = ["Columns", "Name", "Type", "Params", "Owner"]
        done(Rows([(name, TEXT) for name in names], [("id", "xxhash", "xxhash", "", "")]))

    def _vindex(self, match: re.Match[str], done: Done) -> None:
        rows = [(str(i).encode(), shard_of_row(i, self._shards).encode()) for i in _ids(match["ids"])]
        done(Rows([("id", BYTES), ("shard", BYTES)], rows))

    def _version(self, _match: re.Match[str], done: Done) -> None:
        text = f"Version: {self.vtgate.plan.version} (Git revision 0 branch 'simulated') built on a day by somebody"
        done(Rows([("@@version_comment", TEXT)], [(text,)]))

    # -- reads

    def _server_uuid(self, _match: re.Match[str], done: Done) -> None:
        if self.alias and int(self.vtgate.plan.version.partition(".")[0]) < 24:
            done(Failure(1105, f"No partition found for tabletType unknown in keyspace {self.keyspace}"))
            return
        column = [("@@server_uuid", TEXT)]
        self._on(self.shard or self._shards[0], lambda t: Rows(column, [(t.mysqld.uuid,)]), done)

    def _read(self, match: re.Match[str], done: Done) -> None:
        columns = [c.strip() for c in match["columns"].split(",")]
        wanted: dict[str, list[int]] = {}
        for row in _ids(match["ids"]):
            wanted.setdefault(shard_of_row(row, self._shards), []).append(row)
        self._gather(wanted, columns, done)

    def _page(self, match: re.Match[str], done: Done) -> None:
        first, end, limit = int(match["first"]), int(match["end"]), int(match["limit"])

        def collected(answer: Answer) -> None:
            if isinstance(answer, Rows):
                answer.rows = sorted(answer.rows)[:limit]
            done(answer)

        self._gather({shard: range(first, end) for shard in self._shards}, ["id"], collected)

    def _gather(self, wanted: dict[str, Any], columns: list[str], done: Done) -> None:
        shown = [(column, INTEGER if column in ("id", "value", "at_us") else TEXT) for column in columns]
        answers: list[Answer] = []

        def one(answer: Answer) -> None:
            answers.append(answer)
            if len(answers) == len(wanted):
                bad = next((a for a in answers if not isinstance(a, Rows)), None)
                done(bad or Rows(shown, [row for a in answers if isinstance(a, Rows) for row in a.rows]))

        for shard, ids in wanted.items():
            self._on(shard, lambda t, ids=ids, shard=shard: self._found(t, shard, ids, shown), one)  # type: ignore[misc]

    def _found(self, tablet: Tablet, shard: str, ids: Any, shown: list[tuple[str, str]]) -> Rows:
        rows = tablet.mysqld.rows
        mine = self.written.get(shard, [])
        found = (
            [row for row in rows if row in ids]
            if isinstance(ids, range)
            else [r for r in ids if r in rows or r in mine]
        )
        return Rows(shown, [tuple(row if name == "id" else 0 for name, _kind in shown) for row in found])

    # -- transactions and writes

    def _begin(self, _match: re.Match[str], done: Done) -> None:
        self.in_transaction = True
        done(Ok())

    def _rollback(self, _match: re.Match[str], done: Done) -> None:
        self.close()
        done(Ok())

    def _commit(self, _match: re.Match[str], done: Done) -> None:
        branches, written = dict(self.branches), dict(self.written)
        for shard, (tablet, number) in branches.items():
            code, text = tablet.refusal(self.kind, number)
            if code:
                self.close()
                done(Failure(1317 if code == "ABORTED" else 1105, f"target: {shard}: {code}: {text}"))
                return
        self.in_transaction = False
        left = [(shard, row) for shard, rows in written.items() for row in rows]

        def next_row() -> None:
            if left:
                shard, row = left.pop()
                self.fleet.write(branches[shard][0], row, next_row, failed)
                return
            self.close()
            done(Ok())

        def failed(text: str) -> None:
            self.close()
            done(Failure(2013, text))

        next_row()

    def _insert(self, match: re.Match[str], done: Done) -> None:
        row = int(match["id"])
        shard = shard_of_row(row, self._shards)
        if self.kind != "PRIMARY":
            done(Failure(1105, f"supported only for primary tablet type, current type: {self.kind.lower()}"))
        elif self.in_transaction:

            def noted(tablet: Tablet) -> Answer:
                self.written.setdefault(shard, []).append(row)
                return Ok(1)

            self._on(shard, noted, done)
        else:
            self._write(shard, row, done)

    def _write(self, shard: str, row: int, done: Done) -> None:
        def found(tablet: Tablet) -> None:
            tablet.queries += 1
            process = tablet.mysqld

            def end(answer: Answer) -> None:
                tablet.queries = max(0, tablet.queries - 1)
                done(answer)

            def commit() -> None:
                if tablet.mysqld is not process or not tablet.running:
                    end(Failure(2013, f"target: {shard}: Lost connection to MySQL server during query"))
                    return
                self.fleet.write(tablet, row, lambda: end(Ok(1)), lambda text: end(Failure(2013, text)))

            self.fleet.timeline.after(self.fleet.timings.query_s, commit)

        self.vtgate.route(shard, "PRIMARY", found, done)

    def _on(self, shard: str, work: Callable[[Tablet], Answer], done: Done) -> None:
        """Work at a tablet of a shard: in the transaction's own one where there is a transaction."""
        if self.in_transaction and shard in self.branches:
            tablet, number = self.branches[shard]
            self._run(tablet, number, work, done)
            return

        def found(tablet: Tablet) -> None:
            number = None
            if self.in_transaction:
                number = self.fleet.open_transaction(tablet)
                self.branches[shard] = (tablet, number)
            self._run(tablet, number, work, done)

        self.vtgate.route(shard, self.kind, found, done, self.alias)

    def _run(self, tablet: Tablet, number: int | None, work: Callable[[Tablet], Answer], done: Done) -> None:
        code, text = tablet.refusal(self.kind, number)
        if code:
            # go/vt/vterrors: a transaction whose tablet changed its type is lost (VT15001)
            done(Failure(1105, f"target: {self.keyspace}.{tablet.shard}.{self.kind.lower()}: VT15001: {code}: {text}"))
            return
        tablet.queries += 1

        def end() -> None:
            tablet.queries = max(0, tablet.queries - 1)
            if not tablet.running or not tablet.mysqld.running:
                self._again(tablet, number, work, done)
            else:
                done(work(tablet))

        self.fleet.timeline.after(self.fleet.timings.query_s, end)

    def _again(self, tablet: Tablet, number: int | None, work: Callable[[Tablet], Answer], done: Done) -> None:
        """The tablet died under the query: vtgate repeats it elsewhere where no transaction forbids that."""
        if number is not None:
            done(Failure(2013, "Lost connection to MySQL server during query"))
        else:
            self.vtgate.route(tablet.shard, self.kind, lambda t: done(work(t)), done)


def _ids(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


_TABLE = rf"`?(?:[a-z_]+`?\.`?)?{TABLE}`?"
_STATEMENTS: list[tuple[re.Pattern[str], Callable[[Session, re.Match[str], Done], None]]] = [
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), handler)
    for pattern, handler in (
        (rf"INSERT INTO {_TABLE} \(id, .*?VALUES \((?P<id>\d+),.*\)", Session._insert),
        (rf"SELECT (?P<columns>[\w, ]+) FROM {_TABLE} WHERE id (?:IN \(|= )(?P<ids>[\d, ]+)\)?", Session._read),
        (r"BEGIN|START TRANSACTION", Session._begin),
        (r"COMMIT", Session._commit),
        (r"ROLLBACK", Session._rollback),
        (r"SHOW VITESS_TABLETS(?: LIKE '(?P<like>[^']*)')?", Session._show_tablets),
        (r"SELECT @@(?:global\.)?server_uuid", Session._server_uuid),
        (r"SELECT @@version_comment", Session._version),
        (r"USE `?(?P<target>[^`]+)`?", Session._use),
        (r"SET .*", Session._nothing),
        (r"SELECT (?P<n>\d+)", Session._one),
        (r"SHOW VITESS_SHARDS.*", Session._show_shards),
        (r"SHOW VSCHEMA VINDEXES ON .*", Session._show_vindexes),
        (r"SELECT id, shard FROM `?[^`]+`?\.`?xxhash`? WHERE id IN \((?P<ids>[\d, ]+)\)", Session._vindex),
        (
            rf"SELECT id FROM {_TABLE} WHERE id >= (?P<first>\d+) AND id < (?P<end>\d+) ORDER BY id LIMIT (?P<limit>\d+)",
            Session._page,
        ),
    )
]
