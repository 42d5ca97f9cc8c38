# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of GTIDs, as mysqld writes them (pure)."""

from __future__ import annotations

from collections.abc import Mapping

GtidSet = Mapping[str, tuple[tuple[int, int], ...]]
"""By source (uuid, with its tag where it has one), the intervals of transactions, both ends included, in order."""


def gtid_set(text: str) -> dict[str, tuple[tuple[int, int], ...]]:
    """A set as in C(@@gtid_executed), for example C(uuid:1-5:7,uuid:tag:1).

    :raises ValueError: for a text that is none
    """
    found: dict[str, list[tuple[int, int]]] = {}
    for part in text.replace("\n", "").split(","):
        if not part.strip():
            continue
        source, *pieces = part.strip().lower().split(":")
        if not pieces:
            raise ValueError(f"{part!r} is no GTID set")
        for piece in pieces:
            first, _dash, last = piece.partition("-")
            if not first[:1].isdigit():
                source = f"{source.split(':')[0]}:{piece}"
                continue
            found.setdefault(source, []).append((int(first), int(last or first)))
    return {source: _joined(intervals) for source, intervals in found.items()}


def _joined(intervals: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(intervals):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def holds(larger: GtidSet, smaller: GtidSet) -> bool:
    """Whether every transaction of the smaller set is in the larger one."""
    return all(
        any(start <= first and last <= end for start, end in larger.get(source, ()))
        for source, intervals in smaller.items()
        for first, last in intervals
    )
