# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one place that waits: bounded, on evidence, and visible.

Time comes in through a clock so that the tests decide how fast it runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")

FIRST_REPORT_S = 3.0
NEXT_REPORT_S = 10.0


class Clock(Protocol):
    """Seconds: monotonic for durations, time for stamps that others read."""

    def monotonic(self) -> float: ...

    def time(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


Report = Callable[[str], None]


def silent(_text: str) -> None:
    """A report that nobody reads."""


@dataclass(frozen=True)
class Look(Generic[T]):
    """One look at the thing waited for: a value when it is there, else what is still missing."""

    value: T | None = None
    missing: str = ""


class WaitTimeout(Exception):
    """The bound passed; last_missing says what was still missing at the last look."""

    def __init__(self, what: str, waited_s: float, last_missing: str) -> None:
        super().__init__(f"{what}: not after {waited_s:.0f} s: {last_missing}")
        self.what = what
        self.waited_s = waited_s
        self.last_missing = last_missing


@dataclass
class Waiter:
    """Waits for one tablet's steps: every look is followed by the tick (a claim's renewal) and now and then a report."""

    clock: Clock
    report: Report = silent
    tick: Callable[[], None] = lambda: None

    def until(self, look: Callable[[], Look[T]], what: str, timeout_s: float, every_s: float = 0.2) -> T:
        """Look until there is a value, at least once, for at most timeout_s seconds.

        Raises WaitTimeout at the bound, and whatever look or tick raises.
        """
        start = self.clock.monotonic()
        next_report = start + FIRST_REPORT_S
        while True:
            seen = look()
            if seen.value is not None:
                return seen.value
            now = self.clock.monotonic()
            if now - start >= timeout_s:
                raise WaitTimeout(what, now - start, seen.missing)
            if now >= next_report:
                self.report(f"waiting for {what}: {now - start:.0f} of at most {timeout_s:.0f} s: {seen.missing}")
                next_report = now + NEXT_REPORT_S
            self.tick()
            self.clock.sleep(min(every_s, max(0.0, timeout_s - (now - start))))
