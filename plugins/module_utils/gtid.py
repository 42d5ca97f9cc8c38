# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GTID sets: what a server has executed, compared without asking a server.

MySQL's own GTID_SUBSET and GTID_SUBTRACT would need one more query on a server
that may be the one in doubt. Tagged GTIDs (MySQL 8.3 and later,
C(uuid:tag:1-5)) are kept apart from untagged ones, as the server does.
"""

from __future__ import annotations

from dataclasses import dataclass

Interval = tuple[int, int]


@dataclass(frozen=True)
class GtidSet:
    """An immutable set of GTIDs: source (uuid, or uuid:tag) to sorted, disjoint, closed intervals."""

    intervals: tuple[tuple[str, tuple[Interval, ...]], ...] = ()

    @classmethod
    def parse(cls, text: str) -> GtidSet:
        """Read C(uuid:1-5:7,uuid2:1), with or without Vitess' C(MySQL56/) prefix.

        Raises ValueError on anything else.
        """
        found: dict[str, list[Interval]] = {}
        for part in text.removeprefix("MySQL56/").replace("\n", "").split(","):
            if not part.strip():
                continue
            source, *fields = part.strip().split(":")
            key = source.lower()
            if not fields or not fields[-1][:1].isdigit():
                raise ValueError(f"not a GTID set: {text!r}")
            for field in fields:
                if not field[:1].isdigit():
                    key = f"{source.lower()}:{field.lower()}"
                    continue
                first, _dash, last = field.partition("-")
                found.setdefault(key, []).append((int(first), int(last or first)))
        return cls(tuple(sorted((key, _merged(spans)) for key, spans in found.items())))

    def contains(self, other: GtidSet) -> bool:
        """Whether every GTID of the other set is in this one."""
        return not other.minus(self)

    def minus(self, other: GtidSet) -> GtidSet:
        """The GTIDs of this set that the other does not have."""
        theirs = dict(other.intervals)
        left = ((key, _subtracted(spans, theirs.get(key, ()))) for key, spans in self.intervals)
        return GtidSet(tuple((key, spans) for key, spans in left if spans))

    def count(self) -> int:
        """How many transactions the set holds."""
        return sum(last - first + 1 for _key, spans in self.intervals for first, last in spans)

    def __bool__(self) -> bool:
        return bool(self.intervals)

    def __str__(self) -> str:
        return ",".join(
            f"{key}:" + ":".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
            for key, spans in self.intervals
        )


def _merged(spans: list[Interval]) -> tuple[Interval, ...]:
    merged: list[Interval] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def _subtracted(spans: tuple[Interval, ...], cut: tuple[Interval, ...]) -> tuple[Interval, ...]:
    left: list[Interval] = []
    for first, last in spans:
        start = first
        for cut_first, cut_last in cut:
            if cut_last < start or cut_first > last:
                continue
            if cut_first > start:
                left.append((start, cut_first - 1))
            start = max(start, cut_last + 1)
        if start <= last:
            left.append((start, last))
    return tuple(left)
