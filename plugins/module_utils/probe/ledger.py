# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: one JSON line per request, appended at once, so that a killed probe loses nothing.

Times are seconds since 1970. Lines, by their key C(e):

C(start)  the run: vtgates, shards, rate, limits
C(r)      a request: C(k) kind, C(g) vtgate and C(s) shard by index, C(f) 1 on a fresh connection, C(t) due,
          C(l) seconds from due to the answer, C(id) the row written, C(a) 1 when that write was acknowledged,
          C(x) seconds by which a read was stale; on failure C(step), C(code), C(text), C(b) when its BEGIN was
          acknowledged; C(own) 1 when the fault is the probe's own
C(tick)   every few seconds: CPU seconds so far, the dispatcher's worst lateness since the last one
C(rows)   acknowledged rows against rows found
C(stop)   why the run ended; C(until) is when the last request was due
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request, answered or failed."""

    kind: str
    vtgate: int
    shard: int
    fresh: bool
    due: float
    """Seconds since 1970."""
    seconds: float
    """From the moment it was due to its answer or failure."""
    row: int | None = None
    """The id that it wrote."""
    acked: bool = False
    """Whether the servers acknowledged that write."""
    stale_s: float | None = None
    """The age of the oldest row that it should have seen and did not."""
    step: str | None = None
    """Where it failed; None for a good answer."""
    code: int = 0
    """MySQL's error number, 0 where there is none."""
    text: str = ""
    begun: float | None = None
    """When its BEGIN was acknowledged, seconds since 1970 (failed transactions only)."""
    own: bool = False
    """Whether the fault is the probe's own."""

    @property
    def done(self) -> float:
        """When it was answered or failed, seconds since 1970."""
        return self.due + self.seconds

    @property
    def failed(self) -> bool:
        """Whether a client would call it an error."""
        return self.step is not None


def encode(request: Request) -> bytes:
    """The ledger line of a request (formatted by hand: it is the probe's hottest path)."""
    line = (
        f'{{"e":"r","k":"{request.kind}","g":{request.vtgate},"s":{request.shard},"f":{int(request.fresh)},'
        f'"t":{request.due:.6f},"l":{request.seconds:.6f}'
    )
    if request.row is not None:
        line += f',"id":{request.row},"a":{int(request.acked)}'
    if request.stale_s is not None:
        line += f',"x":{request.stale_s:.3f}'
    if request.step is not None:
        line += f',"step":{json.dumps(request.step)},"code":{request.code},"text":{json.dumps(request.text)}'
        if request.begun is not None:
            line += f',"b":{request.begun:.6f}'
        if request.own:
            line += ',"own":1'
    return (line + "}\n").encode()


def decode(entry: Mapping[str, Any]) -> Request:
    """The request of a ledger entry whose C(e) is C(r)."""
    return Request(
        kind=entry["k"],
        vtgate=entry["g"],
        shard=entry["s"],
        fresh=bool(entry["f"]),
        due=entry["t"],
        seconds=entry["l"],
        row=entry.get("id"),
        acked=bool(entry.get("a", 0)),
        stale_s=entry.get("x"),
        step=entry.get("step"),
        code=entry.get("code", 0),
        text=entry.get("text", ""),
        begun=entry.get("b"),
        own=bool(entry.get("own", 0)),
    )


def entries(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The entries of a ledger; a last line that a kill cut off is passed over.

    :raises ValueError: for a broken line that is not the last
    """
    broken: str | None = None
    for line in lines:
        if broken is not None:
            raise ValueError(f"the ledger has a broken line: {broken[:80]!r}")
        try:
            entry = json.loads(line)
        except ValueError:
            broken = line
            continue
        yield entry


class Ledger:
    """The file, open for appending. Each line is one write call, so threads need no lock."""

    def __init__(self, path: str) -> None:
        """Create the file, readable by its owner only.

        :raises OSError: when it exists or can't be created
        """
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def request(self, request: Request) -> None:
        """Append a request.

        :raises OSError: when the disk is full
        """
        os.write(self._file, encode(request))

    def note(self, kind: str, **values: Any) -> None:
        """Append an entry of another kind.

        :raises OSError: when the disk is full
        """
        os.write(self._file, (json.dumps({"e": kind, **values}, separators=(",", ":")) + "\n").encode())
