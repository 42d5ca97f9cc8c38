# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a roll will take, what clients will notice of it and what it costs, from what was measured. Pure. Durations in seconds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from .claim import Entry
from .fleet import Pod, Shard, TabletType, is_address
from .plan import Step

# vttablet ends its health streams for that long (go/vt/servenv --onterm-timeout) before mysqld may stop.
ONTERM_S = 10.0
STOP_BESIDE_S = 2.0  # what a Pod's stop took besides, on the lab
OVERHEAD_S = 5.0  # a roll's own work for each tablet, on the lab (docs/benchmarks.md)
REPARENT_S = 2.0  # PlannedReparentShard until every vtgate agrees, on the lab
START_UNKNOWN_S = 15.0
RECENT_S = 90 * 86400.0
OF_REPARENT = "shard_reparent"


@dataclass(frozen=True)
class Forecast:
    """least, most: of the whole roll. source: what the figures are from, in words."""

    tablets: int
    batches: int
    tablet_s: float
    reparents: int
    reparent_s: float
    least_s: float
    most_s: float
    source: str
    buffer_window_s: float | None
    buffer_size: int | None

    @property
    def writes_held(self) -> float | None:
        """Writes/s of one shard at one vtgate above which its buffer would be full before the reparent has ended."""
        return None if self.buffer_size is None else self.buffer_size / self.reparent_s

    def as_dict(self) -> dict[str, Any]:
        """For a module's result."""
        return {
            "tablets": self.tablets,
            "batches": self.batches,
            "tablet_s": round(self.tablet_s, 1),
            "reparents": self.reparents,
            "reparent_s": round(self.reparent_s, 1),
            "least_s": round(self.least_s),
            "most_s": round(self.most_s),
            "source": self.source,
            "buffer_window_s": self.buffer_window_s,
            "buffer_size": self.buffer_size,
            "tablet_hours_away": round(self.tablets * self.tablet_s / 3600, 2),
        }

    def text(self, fleet: int) -> list[str]:
        """For people. fleet: how many tablets the selected shards have."""
        if not self.tablets:
            return []
        what = f"{_many(self.tablets, 'tablet')} in {_many(self.batches, 'batch', 'es')}"
        in_all = f"{_time(self.least_s)} to {_time(self.most_s)} in all (from {self.source})"
        lines = [f"forecast: {what}, about {_time(self.tablet_s)} each, {in_all}"]
        if self.reparents:
            held = f"; vtgates hold writes for up to {self.buffer_window_s:g} s" if self.buffer_window_s else ""
            full = (
                f", each up to {self.writes_held:.0f} writes/s of a shard (--buffer-size)" if self.writes_held else ""
            )
            lines.append(
                f"clients: {_many(self.reparents, 'reparent')} in which writes wait about {self.reparent_s:.1f} s{held}{full}"
            )
        lines.append(
            f"cost: {fleet} tablets at the most, {_hours(self.tablets * self.tablet_s)} tablet-hours away, one of a shard at a time; "
            f"blue/green: {2 * fleet} tablets, {fleet} tablet-hours for each hour that both fleets stand"
        )
        return lines


def forecast(
    order: Sequence[Step], batches: Sequence[int], shards: Sequence[Shard], done: Iterable[Entry], now: float
) -> Forecast:
    """shards: those that were asked. done: the journals' entries of the selected shards. now: seconds since the epoch.

    Tablets that were replaced before say best how long the next takes: their medians, where there are any. Else it is made up of
    how long the fleet's Pods took to get Ready and how often its vtgates look for new addresses.
    """
    todo = [step.action != "skip" for step in order]
    ends = accumulate(batches)
    rounds = sum(any(todo[end - size : end]) for end, size in zip(ends, batches, strict=True))
    reparents = sum(s.type == TabletType.PRIMARY and s.action != "skip" for s in order)
    taken = [e for e in done if e.finished and now - e.finished < RECENT_S and "replace" in e.steps and e.phases]
    waits = sorted(v.settings.tablet_refresh_interval_s for s in shards for v in s.live_vtgates if not v.error)
    refresh = waits[-1] if waits else 60.0
    moves = [seconds for e in taken if (seconds := _reparenting(e)) > 0]
    reparent = statistics.median(moves) if moves else REPARENT_S
    if taken:
        each = [_away(e) for e in taken]
        middle, least, most = statistics.median(each), min(each), max(each)
        source = f"{_many(len(taken), 'tablet')} replaced before"
    else:
        start = _start([t.pod for s in shards for t in s.tablets if t.pod is not None])
        fixed = ONTERM_S + STOP_BESIDE_S + (START_UNKNOWN_S if start is None else start) + OVERHEAD_S
        if not any(is_address(t.hostname) for s in shards for t in s.tablets):
            refresh = 0.0  # a vtgate that knows the address finds the tablet at its next try
        middle, least, most = fixed + refresh / 2, fixed, fixed + refresh
        pods = "Pods of which nothing was measured" if start is None else f"Pods that were Ready after {start:.0f} s"
        source = f"{pods} and vtgates that look every {refresh:g} s"
    gates = [v.settings for s in shards for v in s.live_vtgates if not v.error and v.settings.buffer_enabled]
    return Forecast(
        tablets=sum(todo),
        batches=rounds,
        tablet_s=middle,
        reparents=reparents,
        reparent_s=reparent,
        least_s=rounds * least + reparents * reparent,
        most_s=rounds * most + reparents * reparent,
        source=source,
        buffer_window_s=min((min(g.buffer_window_s, g.buffer_max_failover_s) for g in gates), default=None),
        buffer_size=min((g.buffer_size for g in gates), default=None),
    )


def _reparenting(entry: Entry) -> float:
    return sum(seconds for step, _phase, _start, seconds in entry.phases if step == OF_REPARENT)


def _away(entry: Entry) -> float:
    """From the first look of its drain until it was proved; a reparent before that is not in it."""
    begun = [start for step, _phase, start, _seconds in entry.phases if step != OF_REPARENT]
    return max(0.0, (entry.finished or 0.0) - min(begun)) if begun else 0.0


def _start(pods: Sequence[Pod]) -> float | None:
    """From a Pod's creation until it was Ready: of the quicker ones, since one that was not Ready later says too much."""
    took = sorted(pod.ready_since - pod.created for pod in pods if pod.ready and pod.ready_since > pod.created)
    return took[len(took) // 4] if took else None


def _time(seconds: float) -> str:
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    )


def _many(number: int, what: str, ending: str = "s") -> str:
    return f"{number} {what}{'' if number == 1 else ending}"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.2f}"
