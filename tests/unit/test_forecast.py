# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a roll is to take: from what was measured, and said to be from where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.claim import Entry
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import (
    Alias,
    Shard,
    Tablet,
    TabletType,
    Vtgate,
    VtgateSettings,
)
from ansible_collections.vtops.vitess.plugins.module_utils.forecast import Forecast, forecast
from ansible_collections.vtops.vitess.plugins.module_utils.plan import Step
from ansible_collections.vtops.vitess.tests.unit.factories import REPLICA, a_pod

NOW = 1_790_000_000.0
BUFFERS = VtgateSettings(buffer_enabled=True, buffer_window_s=10.0, buffer_max_failover_s=8.0, buffer_size=600)


def step(uid: int, kind: TabletType = TabletType.REPLICA, action: str = "replace") -> Step:
    return Step(Alias("zone1", uid), "commerce/-80", kind, action, "")


STEPS = (step(102), step(103), step(101, TabletType.PRIMARY))


def shard(hostname: str = "10.244.1.7", ready_after: float = 8.0, settings: VtgateSettings = BUFFERS) -> Shard:
    pod = replace(a_pod(REPLICA), created=NOW - 9000, ready_since=NOW - 9000 + ready_after)
    tablet = Tablet(REPLICA, "commerce", "-80", TabletType.REPLICA, hostname, pod=pod)
    return Shard("commerce", "-80", "semi_sync", None, "", (tablet,), (Vtgate("vtgate-0", settings=settings),))


def done(away: float, reparent: float = 0.0, age: float = 3600.0) -> Entry:
    """A tablet that was replaced: away from its drain's look to the proof, after a reparent of so many seconds."""
    ended = NOW - age
    before = (("shard_reparent", "reparent", ended - away - 30, reparent),) if reparent else ()
    return Entry(
        steps={"drain": (ended - away, ended - away + 1), "replace": (ended - away + 1, ended)},
        phases=(*before, ("tablet_drain", "look", ended - away, 1.0), ("vtgate_readmit", "routes", ended - 5, 5.0)),
        finished=ended,
    )


def of(order: tuple[Step, ...] = STEPS, sizes: tuple[int, ...] = (1, 1, 1), *entries: Entry, **given: Any) -> Forecast:
    return forecast(order, sizes, [shard(**given)], entries, NOW)


def test_without_a_past_it_is_pods_and_vtgates() -> None:
    ahead = of()
    assert ahead.source == "Pods that were Ready after 8 s and vtgates that look every 60 s"
    assert (ahead.tablet_s, ahead.least_s, ahead.most_s) == (55.0, 3 * 25.0 + 2.0, 3 * 85.0 + 2.0)


def test_where_tablets_keep_their_names_no_vtgate_has_to_look_for_them() -> None:
    ahead = of(hostname="commerce-x-80-1.vitess.svc")
    assert (ahead.tablet_s, ahead.most_s) == (25.0, 3 * 25.0 + 2.0)


def test_a_pod_of_which_nothing_was_measured_is_said() -> None:
    assert of(ready_after=0.0).source.startswith("Pods of which nothing was measured")


def test_tablets_that_were_replaced_before_say_it_best() -> None:
    ahead = of(STEPS, (1, 1, 1), done(40.0), done(50.0, reparent=1.5), done(90.0))
    assert ahead.source == "3 tablets replaced before"
    assert (ahead.tablet_s, ahead.reparent_s) == (50.0, 1.5)
    assert (ahead.least_s, ahead.most_s) == (3 * 40.0 + 1.5, 3 * 90.0 + 1.5)


@pytest.mark.parametrize("entry", [done(40.0, age=100 * 86400.0), replace(done(40.0), finished=None), Entry()])
def test_what_is_old_or_was_not_finished_says_nothing(entry: Entry) -> None:
    assert of(STEPS, (1, 1, 1), entry).source.startswith("Pods")


def test_shards_side_by_side_take_the_time_of_one() -> None:
    other = tuple(replace(s, shard="commerce/80-", alias=Alias("zone1", s.alias.uid + 100)) for s in STEPS)
    order = tuple(s for pair in zip(STEPS, other, strict=True) for s in pair)
    ahead = of(order, (2, 2, 2))
    assert (ahead.tablets, ahead.batches, ahead.reparents) == (6, 3, 2)
    assert ahead.least_s == 3 * 25.0 + 2 * 2.0


def test_what_is_done_already_takes_no_time() -> None:
    ahead = of((step(102, action="skip"), *STEPS[1:]))
    assert (ahead.tablets, ahead.batches) == (2, 2)
    finished = of(tuple(replace(s, action="skip") for s in STEPS))
    assert (finished.least_s, finished.most_s, finished.text(3)) == (0.0, 0.0, [])


def test_the_text_says_time_what_clients_notice_and_cost() -> None:
    assert of().text(fleet=3) == [
        (
            "forecast: 3 tablets in 3 batches, about 55 s each, 77 s to 4 min 17 s in all (from Pods that were Ready after 8 s and vtgates "
            "that look every 60 s)"
        ),
        (
            "clients: 1 reparent in which writes wait about 2.0 s; vtgates hold writes for up to 8 s, each up to 300 writes/s of a shard "
            "(--buffer-size)"
        ),
        (
            "cost: 3 tablets at the most, 0.05 tablet-hours away, one of a shard at a time; blue/green: 6 tablets, 3 tablet-hours for each "
            "hour that both fleets stand"
        ),
    ]


def test_a_vtgate_that_does_not_buffer_holds_nothing() -> None:
    ahead = of(settings=VtgateSettings())
    assert (ahead.buffer_window_s, ahead.buffer_size, ahead.writes_held) == (None, None, None)
    assert "writes wait about 2.0 s" in ahead.text(3)[1]
