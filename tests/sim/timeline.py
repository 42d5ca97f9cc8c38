# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time in the simulated fleet: events in order, driven by a virtual clock or by the machine's."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

VIRTUAL_START = 1_790_000_000.0


@dataclass(order=True)
class Planned:
    """Something that will happen; due in seconds since 1970."""

    due: float
    number: int
    happens: Callable[[], object] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """It will not happen."""
        self.cancelled = True


class Timeline:
    """All that happens in the fleet happens in here, one after the other, under one lock."""

    def __init__(self, start: float = VIRTUAL_START) -> None:
        self.now = start
        self.lock = threading.RLock()
        self._heap: list[Planned] = []
        self._number = 0

    def after(self, delay_s: float, happens: Callable[[], object]) -> Planned:
        """Something happens after some seconds; what is due at the same moment happens in the order of planning."""
        with self.lock:
            self._number += 1
            planned = Planned(self.now + delay_s, self._number, happens)
            heapq.heappush(self._heap, planned)
            return planned

    @property
    def next_due(self) -> float | None:
        """When the next event is due, None where nothing is planned."""
        while self._heap and self._heap[0].cancelled:
            heapq.heappop(self._heap)
        return self._heap[0].due if self._heap else None

    def step(self, limit: float) -> bool:
        """The next event that is due until that moment; False where there is none."""
        with self.lock:
            due = self.next_due
            if due is None or due > limit:
                return False
            planned = heapq.heappop(self._heap)
            self.now = max(self.now, planned.due)
            planned.happens()
            return True

    def advance(self, to: float) -> None:
        """Let everything happen that is due until that moment."""
        with self.lock:
            while self.step(to):
                pass
            self.now = max(self.now, to)

    def run_until(self, done: Callable[[], bool], limit_s: float) -> bool:
        """Let time pass until something is so, for some seconds at most; whether it is."""
        with self.lock:
            limit = self.now + limit_s
            while not done():
                if not self.step(limit):
                    self.now = max(self.now, limit)
                    return done()
            return True


class VirtualClock:
    """The clock that the product is given where no real time passes: its sleeps are what moves the fleet."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.slept = 0.0
        self.skew = 0.0  # seconds by which this controller's wall clock differs from the fleet's
        self.monotonic_shift = 0.0

    def monotonic(self) -> float:
        return self._timeline.now - VIRTUAL_START + 10_000.0 + self.monotonic_shift

    def time(self) -> float:
        return self._timeline.now + self.skew

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self._timeline.advance(self._timeline.now + seconds)
