# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who was away, and whether somebody acted while another tablet of the shard was: the simulation's own witness.

It knows the fleet from within and shares no code with the product; design.md section 2 says what away is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .fleet import Fleet, Tablet
from .kubernetes import Kubernetes, is_ready
from .vtgate import Vtgate

HEALTHY = ("PRIMARY", "REPLICA", "RDONLY", "SPARE", "EXPERIMENTAL")


@dataclass
class Absence:
    """One tablet away. Seconds since 1970; end is None while it lasts."""

    alias: str
    start: float
    end: float | None = None
    reasons: set[str] = field(default_factory=set)


class Referee:
    """Looks whenever something changed."""

    def __init__(self, fleet: Fleet, kubernetes: Kubernetes, vtgates: dict[str, Vtgate]) -> None:
        self.fleet, self.kubernetes, self.vtgates = fleet, kubernetes, vtgates
        self.absences: list[Absence] = []
        self.open: dict[str, Absence] = {}
        self.violations: list[str] = []
        self.most_away: dict[str, int] = dict.fromkeys(fleet.shards, 0)
        self.accepted: set[str] = set()  # aliases that the operator accepted as away
        self._agreeing: set[str] = set()  # shards whose reparent not every vtgate knows yet
        fleet.on_change.append(lambda tablet: self.look(tablet.shard))
        fleet.on_act.append(self.judge)
        kubernetes.on_change.append(self.look)
        for vtgate in vtgates.values():
            vtgate.on_change.append(self.look)

    def look(self, shard: str) -> None:
        """Who of a shard is away now."""
        away = 0
        for tablet in self.fleet.of(shard):
            reasons = self.reasons(tablet)
            away += bool(reasons)
            self._note(tablet, reasons)
        self.most_away[shard] = max(self.most_away.get(shard, 0), away)

    def _note(self, tablet: Tablet, reasons: list[str]) -> None:
        now, absence = self.fleet.timeline.now, self.open.get(tablet.alias)
        if reasons and absence is None:
            absence = self.open[tablet.alias] = Absence(tablet.alias, now)
            self.absences.append(absence)
        if reasons and absence is not None:
            absence.reasons.update(reasons)
        elif absence is not None:
            self.open.pop(tablet.alias).end = now

    def reasons(self, tablet: Tablet) -> list[str]:
        """Why a tablet is away; empty where it is not. A planned reparent's two tablets are not, until all agree on it."""
        found = []
        if tablet.type not in HEALTHY:
            found.append(f"type {tablet.type}")
        pod = self.kubernetes.pod(tablet.pod)
        if pod is None or not is_ready(pod):
            found.append("Pod not Ready")
        if tablet.type in ("SPARE", "EXPERIMENTAL") or self._reparenting(tablet):
            return found
        found += [f"not SERVING at {v.name}" for v in self.vtgates.values() if not self._serves(v, tablet)]
        return found

    def _serves(self, vtgate: Vtgate, tablet: Tablet) -> bool:
        if vtgate.down or (vtgate.plan.cells and tablet.cell not in vtgate.plan.cells):
            return True
        row = vtgate.rows.get(tablet.alias)
        return row is not None and row.serving and row.type == tablet.type and row.hostname == tablet.hostname

    def _reparenting(self, tablet: Tablet) -> bool:
        """Between a planned reparent's start and the moment that every vtgate agrees."""
        shard = tablet.shard
        if self.fleet.shards[shard].lock:
            self._agreeing.add(shard)
            return True
        if shard not in self._agreeing:
            return False
        running = [each for each in self.fleet.of(shard) if each.running]
        if not all(self._serves(vtgate, each) for vtgate in self.vtgates.values() for each in running):
            return tablet.running
        self._agreeing.discard(shard)
        for entry in self.fleet.reparents:
            if entry["shard"] == shard:
                entry.setdefault("end", self.fleet.timeline.now)
        return False

    def judge(self, act: str, alias: str) -> None:
        """An act that takes something away, right before it takes effect."""
        tablet = self.fleet.tablets[alias]
        takes = act.startswith(("Evict", "Delete", "Reboot", "PlannedReparentShard")) or act.endswith(" drained")
        if not takes:
            return
        primary = self.fleet.primary(tablet.shard) is tablet or (tablet.type == "PRIMARY" and tablet.serving)
        if not tablet.serving and tablet.type != "DRAINED" and not primary:
            return  # it was away by itself: to bring it back takes nothing
        for other in self.fleet.of(tablet.shard):
            if other is not tablet and other.alias not in self.accepted and (reasons := self.reasons(other)):
                self.violations.append(f"{act} while {other.alias} is away: {', '.join(reasons)}")
        if act.startswith(("Evict", "Delete", "Reboot")) and primary:
            self.violations.append(f"{act}: it is the PRIMARY")

    def summary(self) -> dict[str, object]:
        """In the shape of the witness' summary, as far as tests and demo read it."""
        now = self.fleet.timeline.now
        keyspace = self.fleet.layout.keyspace
        return {
            "complete": True,
            "most_away_per_shard": max(self.most_away.values(), default=0),
            "away_together": [],
            "violations": self.violations,
            "away": [
                {"alias": a.alias, "seconds": round((a.end or now) - a.start, 3), "reasons": sorted(a.reasons)}
                for a in self.absences
            ],
            "replacements": [{"pod": pod} for pod in self.kubernetes.evictions],
            "reparents": [
                {
                    "keyspace": keyspace,
                    **entry,
                    "agreed": "end" in entry,
                    "end": entry.get("end", now),
                    "seconds": float(str(entry.get("end", now))) - float(str(entry["start"])),
                }
                for entry in self.fleet.reparents
            ],
        }
