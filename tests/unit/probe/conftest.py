# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A vtgate that answers from memory, in place of PyMySQL's connections."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pymysql
import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.clients.login import Login
from ansible_collections.vtops.vitess.plugins.module_utils.probe.vtgate import Dialler, Target


class FakeVtgate:
    """Two shards, even and odd ids; C(fault) may raise for a statement, or wait."""

    def __init__(self, fault: Callable[[str, str], None] = lambda database, sql: None) -> None:
        self.fault = fault
        self.rows: set[int] = set()
        self.opened = 0
        self.statements: list[str] = []
        self.lock = threading.Lock()

    def dialler(self, *names: str) -> Dialler:
        fake = self

        class FakeDialler(Dialler):
            def open(self, target: Target, database: str) -> Any:
                fake.fault(database, "connect")
                fake.opened += 1
                return FakeConnection(fake, database)

        return FakeDialler([Target(name, "192.0.2.1", 3306) for name in names or ("a",)], Login(), 10.0)


class FakeConnection:
    def __init__(self, fake: FakeVtgate, database: str) -> None:
        self.fake, self.database, self.open = fake, database, True
        self.pending: set[int] = set()

    def cursor(self, _kind: Any = None) -> FakeCursor:
        return FakeCursor(self)

    def rollback(self) -> None:
        self.fake.statements.append("ROLLBACK")
        self.pending.clear()

    def close(self) -> None:
        self.open = False


class FakeCursor:
    def __init__(self, connection: FakeConnection) -> None:
        self.connection = connection
        self.answer: list[Any] = []
        self.in_transaction = False

    def __enter__(self) -> FakeCursor:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def execute(self, sql: str) -> None:
        fake = self.connection.fake
        fake.statements.append(sql)
        try:
            fake.fault(self.connection.database, sql)
        except pymysql.err.InternalError:
            raise
        except Exception:
            self.connection.open = False
            raise
        ids = [int(number) for number in re.findall(r"\b\d{9,}\b", sql)]
        with fake.lock:
            if sql.startswith("INSERT"):
                self.connection.pending.add(ids[0])
                if not self.in_transaction:
                    self._commit()
            elif sql == "BEGIN":
                self.in_transaction = True
            elif sql == "COMMIT":
                self.in_transaction = False
                self._commit()
            elif sql.startswith("SELECT id, shard"):
                self.answer = [{"id": row, "shard": b"-80" if row % 2 == 0 else b"80-"} for row in ids]
            elif sql.startswith("SELECT value"):
                self.answer = [(1,)] if ids[0] in self.connection.pending else []
            elif "id >=" in sql:
                self.answer = [(row,) for row in sorted(fake.rows) if ids[0] <= row < ids[1]][:2000]
            elif sql.startswith("SELECT id"):
                self.answer = [(row,) for row in ids if row in fake.rows]

    def fetchall(self) -> list[Any]:
        return self.answer

    def _commit(self) -> None:
        self.connection.fake.rows |= self.connection.pending
        self.connection.pending.clear()


@pytest.fixture
def fake_vtgate() -> type[FakeVtgate]:
    """Call it with a fault, or without."""
    return FakeVtgate
