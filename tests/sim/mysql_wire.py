# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""MySQL's protocol as far as PyMySQL needs it: handshake, COM_QUERY, COM_INIT_DB, COM_PING, COM_QUIT; OK, ERR and text result sets.

An own one: mysql-mimic parses every statement with sqlglot, which knows no SHOW VITESS_TABLETS and costs more than the fleet.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable

from .door import SALT, Door
from .session import BYTES, INTEGER, Answer, Ok, Rows, Session
from .timeline import Timeline
from .vtgate import Failure, Vtgate

VERSION = b"8.4.6-Vitess"
# LONG_PASSWORD FOUND_ROWS LONG_FLAG CONNECT_WITH_DB PROTOCOL_41 TRANSACTIONS SECURE_CONNECTION PLUGIN_AUTH
CAPABILITIES = 0x1 | 0x2 | 0x4 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000
CONNECT_WITH_DB, PLUGIN_LENENC = 0x8, 0x200000
UTF8MB4, BINARY = 255, 63
STATUS_AUTOCOMMIT, STATUS_IN_TRANSACTION = 0x2, 0x1
KINDS = {INTEGER: (0x08, BINARY), BYTES: (0xFD, BINARY)}
STATES = {1045: b"28000", 1049: b"42000"}


def lenenc(number: int) -> bytes:
    """A length-encoded integer."""
    if number < 251:
        return bytes([number])
    if number < 1 << 16:
        return b"\xfc" + struct.pack("<H", number)
    if number < 1 << 24:
        return b"\xfd" + struct.pack("<I", number)[:3]
    return b"\xfe" + struct.pack("<Q", number)


def text(value: bytes) -> bytes:
    """A length-encoded string."""
    return lenenc(len(value)) + value


def ok(affected: int, in_transaction: bool) -> bytes:
    """An OK packet."""
    return b"\x00" + lenenc(affected) + b"\x00" + struct.pack("<HH", _status(in_transaction), 0)


def error(failure: Failure) -> bytes:
    """An ERR packet."""
    state = STATES.get(failure.code, b"HY000")
    return b"\xff" + struct.pack("<H", failure.code) + b"#" + state + failure.text.encode()


def _eof(in_transaction: bool) -> bytes:
    return b"\xfe" + struct.pack("<HH", 0, _status(in_transaction))


def _status(in_transaction: bool) -> int:
    return STATUS_AUTOCOMMIT | (STATUS_IN_TRANSACTION if in_transaction else 0)


def result_set(rows: Rows, in_transaction: bool) -> list[bytes]:
    """The packets of a text result set."""
    packets = [lenenc(len(rows.columns))]
    for name, kind in rows.columns:
        number, charset = KINDS.get(kind, (0xFD, UTF8MB4))
        packets.append(
            text(b"def")
            + text(b"") * 3
            + text(name.encode())
            + text(b"")
            + b"\x0c"
            + struct.pack("<HIBHB", charset, 1024, number, 0, 0)
            + b"\x00\x00"
        )
    packets.append(_eof(in_transaction))
    for row in rows.rows:
        cells = (value if isinstance(value, bytes) else str(value).encode() for value in row)
        packets.append(b"".join(text(cell) for cell in cells))
    packets.append(_eof(in_transaction))
    return packets


class Connection:
    """One client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, vtgate: Vtgate, door: Door) -> None:
        self.reader, self.writer, self.vtgate, self.door = reader, writer, vtgate, door
        self.session = Session(vtgate)
        self.sequence = 0
        self.bytes = 0  # since somebody took them, both ways

    def send(self, *packets: bytes) -> None:
        """Write packets; their numbers follow on the client's."""
        for packet in packets:
            self.sequence = (self.sequence + 1) % 256
            self.bytes += 4 + len(packet)
            self.writer.write(struct.pack("<I", len(packet))[:3] + bytes([self.sequence]) + packet)

    async def receive(self) -> bytes:
        """One packet. Raises IncompleteReadError at the end."""
        head = await self.reader.readexactly(4)
        self.sequence = head[3]
        packet = await self.reader.readexactly(int.from_bytes(head[:3], "little"))
        self.bytes += 4 + len(packet)
        return packet

    def taken(self) -> int:
        """How many bytes went by since the last time."""
        taken, self.bytes = self.bytes, 0
        return taken

    def answer(self, answer: Answer) -> None:
        """Send what a statement brought."""
        if isinstance(answer, Rows):
            self.send(*result_set(answer, self.session.in_transaction))
        elif isinstance(answer, Ok):
            self.send(ok(answer.affected, self.session.in_transaction))
        else:
            self.send(error(answer))

    def greet(self) -> None:
        """The server speaks first."""
        self.sequence = 255
        flags = struct.pack("<H", CAPABILITIES & 0xFFFF)
        more = struct.pack("<H", CAPABILITIES >> 16)
        self.send(
            b"\x0a" + VERSION + b"\0" + struct.pack("<I", 1) + SALT[0] + b"\0" + flags + bytes([UTF8MB4])
            + struct.pack("<H", STATUS_AUTOCOMMIT) + more + bytes([21]) + bytes(10) + SALT[1] + b"\0"
            + b"mysql_native_password\0"
        )  # fmt: skip

    def log_in(self, packet: bytes) -> Answer:
        """Whom the door lets in, into the database that is named."""
        flags = struct.unpack_from("<I", packet)[0]
        end = packet.index(b"\0", 32) + 1
        user, length = packet[32 : end - 1].decode(), packet[end]
        if self.vtgate.denies or not self.door.logs_in(user, packet[end + 1 : end + 1 + length]):
            return Failure(1045, f"Access denied for user '{user}'")
        rest = packet[end + 1 + length :]
        database = rest.partition(b"\0")[0].decode() if flags & CONNECT_WITH_DB else ""
        return self.session.use(database) if database else Ok()


class MysqlServer:
    """The MySQL ports of all vtgates.

    wait(start) runs something that calls back, and gives what it called back with. count is told the bytes of each exchange.
    """

    def __init__(
        self,
        timeline: Timeline,
        wait: Callable[[Callable[[Callable[[Answer], object]], None]], object],
        count: Callable[[int], object],
        door: Door,
    ) -> None:
        self.timeline, self._wait, self._count, self._door = timeline, wait, count, door
        self.ports: dict[str, int] = {}
        self._servers: list[asyncio.Server] = []
        self._clients: set[asyncio.StreamWriter] = set()

    async def listen(self, vtgate: Vtgate, host: str, port: int = 0) -> None:
        """An address of its own for a vtgate."""

        async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(Connection(reader, writer, vtgate, self._door))

        server = await asyncio.start_server(client, host, port)
        self.ports[vtgate.name] = server.sockets[0].getsockname()[1]
        self._servers.append(server)

    async def close(self) -> None:
        """No more clients."""
        for server in self._servers:
            server.close()
        for writer in list(self._clients):
            writer.close()

    async def _serve(self, connection: Connection) -> None:
        self._clients.add(connection.writer)
        try:
            if connection.vtgate.down:
                return
            connection.greet()
            await connection.writer.drain()
            connection.answer(connection.log_in(await connection.receive()))
            self._count(connection.taken())
            while await self._command(connection):
                self._count(connection.taken())
                await connection.writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            with self.timeline.lock:
                connection.session.close()
            self._clients.discard(connection.writer)
            with contextlib.suppress(ConnectionError):
                connection.writer.close()

    async def _command(self, connection: Connection) -> bool:
        packet = await connection.receive()
        kind, body = packet[0], packet[1:]
        if kind == 0x01 or connection.vtgate.down:
            return False
        if kind == 0x03:
            sql = body.decode("utf-8", "replace")
            answer = await self._wait(lambda done: connection.session.execute(sql, done))  # type: ignore[misc]
            connection.answer(answer)
        elif kind == 0x02:
            connection.answer(connection.session.use(body.decode()))
        elif kind == 0x0E:
            connection.answer(Ok())
        else:
            connection.answer(Failure(1047, f"command {kind} is not known here"))
        return True
