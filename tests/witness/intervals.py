# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic on closed time intervals (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Interval:
    """From C(start) to C(end), both included; any unit of time."""

    start: float
    end: float

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"an interval can't end ({self.end}) before it starts ({self.start})")

    @property
    def length(self) -> float:
        """Its length."""
        return self.end - self.start


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The same moments as intervals that don't touch, in order."""
    merged: list[Interval] = []
    for interval in sorted(intervals):
        if merged and interval.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, interval.end))
        else:
            merged.append(interval)
    return merged


def total(intervals: Iterable[Interval]) -> float:
    """The length of the union."""
    return sum(interval.length for interval in union(intervals))


def clip(intervals: Iterable[Interval], window: Interval) -> list[Interval]:
    """What lies within a window."""
    return [
        Interval(max(interval.start, window.start), min(interval.end, window.end))
        for interval in intervals
        if interval.start <= window.end and interval.end >= window.start
    ]


def without(intervals: Iterable[Interval], holes: Iterable[Interval]) -> list[Interval]:
    """What is left of the union outside the holes; what lies in a hole, its edges included, is gone."""
    left = union(intervals)
    for hole in union(holes):
        cut: list[Interval] = []
        for interval in left:
            if interval.end < hole.start or interval.start > hole.end:
                cut.append(interval)
                continue
            if interval.start < hole.start:
                cut.append(Interval(interval.start, hole.start))
            if interval.end > hole.end:
                cut.append(Interval(hole.end, interval.end))
        left = cut
    return left


@dataclass(frozen=True)
class Together:
    """Names that were within one of their intervals at the same time."""

    interval: Interval
    names: frozenset[str]


def together(intervals: Mapping[str, Sequence[Interval]]) -> list[Together]:
    """Every stretch of time with the names whose intervals hold it, in order; stretches with none are left out.

    Intervals that only share an edge share that moment: their stretch has the length 0.
    """
    merged = {name: union(own) for name, own in intervals.items()}
    edges = sorted({edge for own in merged.values() for interval in own for edge in (interval.start, interval.end)})
    moments = [Interval(edge, edge) for edge in edges]
    between = [Interval(left, right) for left, right in zip(edges, edges[1:])]  # noqa: B905, RUF007 - one is shorter
    found: list[Together] = []
    for stretch in sorted([*moments, *between], key=lambda interval: (interval.start, interval.end)):
        names = frozenset(
            name
            for name, own in merged.items()
            if any(interval.start <= stretch.start and stretch.end <= interval.end for interval in own)
        )
        if names:
            found.append(Together(stretch, names))
    return found


def most_together(intervals: Mapping[str, Sequence[Interval]]) -> int:
    """The largest number of names at any one moment."""
    return max((len(stretch.names) for stretch in together(intervals)), default=0)
