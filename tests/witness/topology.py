# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vitess' records in etcd: just enough of topodata.proto to read what the witness needs (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

TYPES = ("UNKNOWN", "PRIMARY", "REPLICA", "RDONLY", "SPARE", "EXPERIMENTAL", "BACKUP", "RESTORE", "DRAINED")
"""topodata.TabletType by number."""

TABLET_KEY = re.compile(r"/tablets/(?P<alias>[^/]+)/Tablet$")
SHARD_KEY = re.compile(r"/keyspaces/(?P<keyspace>[^/]+)/shards/(?P<shard>[^/]+)/Shard$")
LOCK_KEY = re.compile(r"/keyspaces/(?P<keyspace>[^/]+)/shards/(?P<shard>[^/]+)/locks/[^/]+$")


@dataclass(frozen=True)
class TabletRecord:
    """A tablet's record."""

    alias: str
    hostname: str
    keyspace: str
    shard: str
    type: str


@dataclass(frozen=True)
class ShardRecord:
    """A shard's record."""

    primary: str | None
    term: float | None
    """Start of the primary's term, seconds since 1970."""


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message with their numbers.

    :raises ValueError: for bytes that are no such message
    """
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire == 2:
            length, position = _varint(message, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if position + length > len(message):
            raise ValueError("the message is cut off")
        yield number, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(message):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("the message is cut off")


def _text(value: int | bytes) -> str:
    if isinstance(value, int):
        raise ValueError("a number where a text should be")
    return value.decode()


def _alias(value: int | bytes) -> str:
    cell, uid = "", 0
    for number, part in fields(value if isinstance(value, bytes) else b""):
        if number == 1:
            cell = _text(part)
        elif number == 2 and isinstance(part, int):
            uid = part
    return f"{cell}-{uid:010d}"


def _time(value: int | bytes) -> float:
    parts = dict(fields(value if isinstance(value, bytes) else b""))
    seconds, nanoseconds = parts.get(1, 0), parts.get(2, 0)
    if not isinstance(seconds, int) or not isinstance(nanoseconds, int):
        raise ValueError("no point in time")
    return seconds + nanoseconds / 1e9


def tablet_record(message: bytes) -> TabletRecord:
    """A topodata.Tablet.

    :raises ValueError: for bytes that are none
    """
    values: dict[int, int | bytes] = dict(fields(message))
    kind = values.get(8, 0)
    if not isinstance(kind, int) or kind >= len(TYPES):
        raise ValueError(f"tablet type {kind!r}")
    return TabletRecord(
        alias=_alias(values.get(1, b"")),
        hostname=_text(values.get(2, b"")),
        keyspace=_text(values.get(5, b"")),
        shard=_text(values.get(6, b"")),
        type=TYPES[kind],
    )


def shard_record(message: bytes) -> ShardRecord:
    """A topodata.Shard.

    :raises ValueError: for bytes that are none
    """
    values = dict(fields(message))
    return ShardRecord(
        primary=_alias(values[1]) if values.get(1) else None, term=_time(values[8]) if values.get(8) else None
    )


def lock_action(content: bytes) -> str:
    """What a lock was taken for; C(unknown) where it doesn't say."""
    try:
        return str(json.loads(content).get("Action", "unknown"))
    except (ValueError, AttributeError):
        return "unknown"
