# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows that a run writes: ids that belong to a known shard, and what a reader must see of them."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping

STALE_STEPS = 6
"""A reader asks for rows acknowledged 1, 2, 4 ... 32 times the limit ago, so that a stale answer is also measured."""


class OutOfRows(Exception):
    """No id of a shard is in stock."""


def first_id(now: float) -> int:
    """The first id of a run that starts at C(now) (seconds since 1970).

    Runs that start in different milliseconds never meet: a run would have to write 2**20 rows each millisecond.
    """
    return int(now * 1000) << 20


class Rows:
    """Ids still to be written, by shard, and those that were acknowledged, with the time. Safe between threads."""

    def __init__(self, first: int, shards: int) -> None:
        """C(first) is the run's first id, C(shards) the number of shards."""
        self.first = first
        self._next = first
        self._free: list[deque[int]] = [deque() for _shard in range(shards)]
        self._lock = threading.Lock()
        self._times: list[array[float]] = [array("d") for _shard in range(shards)]
        self._ids: list[array[int]] = [array("q") for _shard in range(shards)]

    def fresh_range(self, count: int) -> range:
        """C(count) ids that nobody has had, to be told apart by shard and given to C(stock)."""
        with self._lock:
            start = self._next
            self._next += count
        return range(start, start + count)

    def stock(self, shard_of: Mapping[int, int]) -> None:
        """Take in ids with the index of their shard."""
        for row, shard in shard_of.items():
            self._free[shard].append(row)

    def in_stock(self) -> int:
        """How many ids the shard with the fewest has left."""
        return min(len(free) for free in self._free)

    def take(self, shard: int) -> int:
        """An id of this shard for a write.

        :raises OutOfRows: when none is in stock
        """
        try:
            return self._free[shard].popleft()
        except IndexError:
            raise OutOfRows("the probe has no id left of this shard: no vtgate told the shards of new ones") from None

    def acked(self, shard: int, row: int, now: float) -> None:
        """The write of this row was acknowledged at C(now), in seconds of a monotonic clock."""
        with self._lock:
            times = self._times[shard]
            times.append(max(now, times[-1]) if times else now)
            self._ids[shard].append(row)

    def must_see(self, shard: int, now: float, stale_after: float) -> list[tuple[int, float]]:
        """The newest rows of a shard that were acknowledged at least 1, 2, 4 ... times C(stale_after) seconds ago.

        :returns: (id, age in seconds at C(now)) from the youngest to the oldest, without repeats;
            empty before the first write is old enough
        """
        times, ids = self._times[shard], self._ids[shard]
        found: list[tuple[int, float]] = []
        age = stale_after
        for _step in range(STALE_STEPS):
            position = bisect_right(times, now - age, 0, len(ids)) - 1
            if position < 0:
                break
            if not found or found[-1][0] != ids[position]:
                found.append((ids[position], now - times[position]))
            age *= 2
        return found

    @property
    def end(self) -> int:
        """One more than the largest id that was handed out."""
        return self._next


def staleness(expected: list[tuple[int, float]], seen: set[int]) -> float | None:
    """The age, in seconds, of the oldest row that should have been seen and was not; None if none is missing."""
    missing = [age for row, age in expected if row not in seen]
    return max(missing) if missing else None
