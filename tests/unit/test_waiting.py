# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.waiting import Look, Waiter, WaitTimeout
from ansible_collections.vtops.vitess.tests.unit.fakes import FakeClock


def after(clock: FakeClock, seconds: float) -> Callable[[], Look[str]]:
    """There after some seconds."""
    ready_at = clock.monotonic() + seconds
    return lambda: Look("there") if clock.monotonic() >= ready_at else Look(missing="not there yet")


def test_a_wait_ends_with_the_value_as_soon_as_it_is_there() -> None:
    clock = FakeClock()
    assert Waiter(clock).until(after(clock, 1.0), "it", 10.0, every_s=0.25) == "there"
    assert clock.slept == pytest.approx(1.0)


def test_what_is_there_already_is_found_without_a_sleep_even_with_no_time_to_wait() -> None:
    clock = FakeClock()
    assert Waiter(clock).until(after(clock, 0.0), "it", 0.0) == "there"
    assert clock.slept == 0


def test_a_wait_is_bounded_and_says_what_was_still_missing() -> None:
    clock = FakeClock()
    with pytest.raises(WaitTimeout, match="it: not after 5 s: not there yet") as error:
        Waiter(clock).until(after(clock, 60.0), "it", 5.0, every_s=2.0)
    assert clock.slept == pytest.approx(5.0)
    assert error.value.last_missing == "not there yet"


def test_the_last_look_is_at_the_bound_and_may_still_succeed() -> None:
    clock = FakeClock()
    assert Waiter(clock).until(after(clock, 5.0), "it", 5.0, every_s=2.0) == "there"


def test_every_look_that_finds_nothing_is_followed_by_the_tick() -> None:
    clock, ticks = FakeClock(), []
    Waiter(clock, tick=lambda: ticks.append(clock.monotonic())).until(after(clock, 1.0), "it", 10.0, every_s=0.25)
    assert len(ticks) == 4


def test_what_the_tick_raises_ends_the_wait() -> None:
    def lost() -> None:
        raise RuntimeError("the claim was lost")

    with pytest.raises(RuntimeError, match="the claim was lost"):
        Waiter(FakeClock(), tick=lost).until(lambda: Look(missing="x"), "it", 10.0)


def test_a_long_wait_tells_what_it_waits_for_after_3_and_then_every_10_seconds() -> None:
    clock, told = FakeClock(), []
    waiter = Waiter(clock, lambda text: told.append((clock.monotonic(), text)))
    start = clock.monotonic()
    waiter.until(after(clock, 25.0), "it", 60.0, every_s=0.5)
    assert [round(at - start) for at, _text in told] == [3, 13, 23]
    assert told[0][1] == "waiting for it: 3 of at most 60 s: not there yet"


def test_a_short_wait_tells_nothing() -> None:
    clock = FakeClock()
    told: list[str] = []
    Waiter(clock, told.append).until(after(clock, 2.0), "it", 60.0)
    assert told == []
