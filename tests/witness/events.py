# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the witness saw, as events; each is one JSON line. Times are seconds since 1970.

C(at) is when the answer with the new value was there. C(since) is when the last look that still showed the old value
was sent, so the change fell between the two; it is None for a first look.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar


@dataclass(frozen=True)
class Event:
    """The base of all events."""

    at: float
    since: float | None


@dataclass(frozen=True)
class Started(Event):
    """The first line: what is watched."""

    name: ClassVar[str] = "started"
    tablets: dict[str, str]
    """Pod by alias."""
    vtgates: list[str]


@dataclass(frozen=True)
class PodSeen(Event):
    """A tablet's Pod as it is now; without C(uid) it is gone."""

    name: ClassVar[str] = "pod"
    pod: str
    uid: str | None = None
    ready: bool = False
    terminating: bool = False
    running: bool = False
    """Whether all its containers run."""
    node: str | None = None
    images: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    """C(key=value), in order."""


@dataclass(frozen=True)
class TabletSeen(Event):
    """A tablet's record in the topology; without C(type) there is none."""

    name: ClassVar[str] = "tablet"
    alias: str
    keyspace: str = ""
    shard: str = ""
    type: str | None = None
    hostname: str = ""


@dataclass(frozen=True)
class ShardSeen(Event):
    """A shard's record in the topology."""

    name: ClassVar[str] = "shard"
    keyspace: str
    shard: str
    primary: str | None = None
    term: float | None = None
    """Start of the primary's term, seconds since 1970."""


@dataclass(frozen=True)
class LockSeen(Event):
    """A shard's lock in the topology; without C(action) it is free."""

    name: ClassVar[str] = "lock"
    keyspace: str
    shard: str
    action: str | None = None


@dataclass(frozen=True)
class RowSeen(Event):
    """One row of a vtgate, known by alias, address and type; without C(state) it is no longer there.

    A vtgate may keep a row of a tablet's old address or type beside the new one (vitess#8465, #14588).
    """

    name: ClassVar[str] = "row"
    vtgate: str
    alias: str
    type: str
    hostname: str
    state: str | None = None


@dataclass(frozen=True)
class CaughtUp(Event):
    """A new Pod's mysqld holds what the primary held when the Pod became Ready."""

    name: ClassVar[str] = "caught_up"
    pod: str
    uid: str
    error: str | None = None


@dataclass(frozen=True)
class ObjectSeen(Event):
    """Another object of the namespace, in the fields that say if somebody acted; without C(value) it is gone."""

    name: ClassVar[str] = "object"
    kind: str
    object: str
    value: str | None = None


@dataclass(frozen=True)
class Looks(Event):
    """How often each source was looked at so far; a watch is told of each change and is not counted."""

    name: ClassVar[str] = "looks"
    counts: dict[str, int]
    blind: dict[str, float]
    """For each source, the longest time in seconds between two good looks so far."""
    cpu: float
    """CPU seconds of the witness so far."""


@dataclass(frozen=True)
class Stopped(Event):
    """The last line."""

    name: ClassVar[str] = "stopped"


KINDS: dict[str, type[Event]] = {
    kind.name: kind
    for kind in (Started, PodSeen, TabletSeen, ShardSeen, LockSeen, RowSeen, CaughtUp, ObjectSeen, Looks, Stopped)
}


def encode(event: Event) -> str:
    """The event's line."""
    return json.dumps({"e": event.name, **asdict(event)}, separators=(",", ":")) + "\n"  # type: ignore[attr-defined]


def decode(line: str) -> Event:
    """The event of a line.

    :raises ValueError: when it is none
    """
    values: dict[str, Any] = json.loads(line)
    kind = KINDS.get(values.pop("e", ""))
    if kind is None:
        raise ValueError(f"no event: {line[:80]!r}")
    for field in fields(kind):
        if isinstance(values.get(field.name), list) and field.name in ("images", "annotations"):
            values[field.name] = tuple(values[field.name])
    return kind(**values)


def events_of(lines: Iterable[str]) -> Iterator[Event]:
    """All events; a last line that a kill cut off is passed over.

    :raises ValueError: for a broken line that is not the last
    """
    broken: ValueError | None = None
    for line in lines:
        if broken is not None:
            raise broken
        try:
            event = decode(line)
        except ValueError as error:
            broken = error
            continue
        yield event
