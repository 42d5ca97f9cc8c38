# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PyMySQL, as the product uses it, against the simulated vtgates' ports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from ansible_collections.vtops.vitess.tests.sim.layout import like_the_lab
from ansible_collections.vtops.vitess.tests.sim.server import Server
from ansible_collections.vtops.vitess.tests.sim.simulation import Simulation


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(Simulation(like_the_lab())).start()
    yield running
    running.stop()


def connect(server: Server, database: str | None = None) -> Any:
    port = server.mysql.ports["vtgate-0"]
    return pymysql.connect(
        host="127.0.0.1", port=port, user="vtops", database=database, ssl_disabled=True, autocommit=None
    )


def asked(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def test_the_rows_of_show_vitess_tablets_have_the_columns_of_the_lab(server: Server) -> None:
    with connect(server) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW VITESS_TABLETS")
        names = [column[0] for column in cursor.description]
        assert names == [
            "Cell",
            "Keyspace",
            "Shard",
            "TabletType",
            "State",
            "Alias",
            "Hostname",
            "PrimaryTermStartTime",
        ]
        assert len(cursor.fetchall()) == 6


def test_a_write_is_read_back_by_integers(server: Server) -> None:
    with connect(server, "commerce@primary") as connection:
        insert = "INSERT INTO `probe` (id, vtgate, kind, value, at_us) VALUES (4711, 'v', 'write', 1, 2)"
        with connection.cursor() as cursor:
            assert cursor.execute(insert) == 1
        assert asked(connection, "SELECT id FROM `probe` WHERE id IN (4711, 4712)") == [(4711,)]


def test_a_transaction_sees_its_own_row_and_a_rollback_drops_it(server: Server) -> None:
    with connect(server, "commerce@primary") as connection:
        asked(connection, "BEGIN")
        asked(connection, "INSERT INTO `probe` (id, vtgate, kind, value, at_us) VALUES (9, 'v', 'k', 1, 2)")
        assert len(asked(connection, "SELECT value FROM `probe` WHERE id = 9")) == 1
        connection.rollback()
        assert asked(connection, "SELECT id FROM `probe` WHERE id IN (9)") == []


@pytest.mark.parametrize(
    ("sql", "code"),
    [("USE `nope`", 1049), ("DROP TABLE probe", 1105), ("SELECT id FROM `elsewhere` WHERE id IN (1)", 1105)],
)
def test_what_is_not_known_is_an_error(sql: str, code: int, server: Server) -> None:
    with connect(server) as connection:
        with pytest.raises(pymysql.err.MySQLError) as error:
            asked(connection, sql)
        assert error.value.args[0] == code


def test_the_ids_of_the_vindex_are_bytes_as_vtgate_sends_them(server: Server) -> None:
    with connect(server) as connection:
        rows = asked(connection, "SELECT id, shard FROM `commerce`.`xxhash` WHERE id IN (1,2,3,4,5,6,7,8)")
    assert {row[1] for row in rows} == {b"-80", b"80-"}
    assert rows[0][0] == b"1"


def test_a_vtgate_that_is_down_takes_nobody(server: Server) -> None:
    server.simulation.vtgates["vtgate-0"].down = True
    with pytest.raises((pymysql.err.MySQLError, OSError)):
        connect(server)
