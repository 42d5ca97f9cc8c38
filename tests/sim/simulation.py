# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole simulated fleet, put together: what the server serves and the tests break."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from .api import Api
from .deployments import Deployments
from .failures import Failures
from .fleet import Fleet, Tablet
from .kubernetes import Kubernetes
from .layout import Layout, VtgatePlan
from .referee import Referee
from .store import Store
from .timeline import VIRTUAL_START, Timeline, VirtualClock
from .vtctldclient import Vtctldclient
from .vtgate import Row, Vtgate
from .vtorc import Vtorc


class Simulation:
    """virtual: time passes only where somebody lets it; else the fleet lives in real time."""

    def __init__(self, layout: Layout, virtual: bool = True) -> None:
        self.layout, self.virtual = layout, virtual
        self.stall = {"wall_s": 0.0, "cpu_s": 0.0}
        self.timeline = Timeline(VIRTUAL_START if virtual else time.time())
        self.clock = VirtualClock(self.timeline)
        self.store = Store()
        self.fleet = Fleet(layout, self.timeline)
        self.kubernetes = Kubernetes(layout, self.timeline, self.store, self.fleet)
        self.kubernetes.build()
        self.deployments = Deployments(self.kubernetes)
        self.deployments.build()
        self.deployments.on_start.append(self._started)
        self.deployments.on_stop.append(self._stopped)
        self.on_vtgate: list[Callable[[Vtgate], object]] = []  # told of each that starts later
        self.fleet.begin()
        self.vtgates = {plan.name: Vtgate(plan, self.fleet, n) for n, plan in enumerate(layout.vtgates)}
        self.failures = Failures(self.fleet, self.kubernetes)
        self.vtorc = Vtorc(self.fleet)
        self.vtctldclient = Vtctldclient(self.fleet)
        self.api = Api(self.store, self.kubernetes, self.fleet, self.vtgates, self.deployments)
        known: dict[object, dict[str, Row]] = {}
        for vtgate in self.vtgates.values():
            self.fleet.on_change.append(vtgate.heard)
            watched = (vtgate.plan.cells, vtgate.plan.keyspaces)
            if watched not in known:
                known[watched] = vtgate.first_rows()
            vtgate.begin(known[watched])
        self.referee = Referee(self.fleet, self.kubernetes, self.vtgates)
        self.vtorc.begin()

    def add_vtgate(self, plan: VtgatePlan) -> Vtgate:
        """One that starts while the fleet lives: it reads the topology before it is Ready."""
        vtgate = Vtgate(plan, self.fleet, len(self.vtgates))
        self.fleet.on_change.append(vtgate.heard)
        vtgate.begin()
        vtgate.on_change.append(self.referee.look)
        self.vtgates[plan.name] = vtgate
        for listener in self.on_vtgate:
            listener(vtgate)
        return vtgate

    def _started(self, component: str, pod: str, version: str) -> None:
        if component == "vtgate":
            self.add_vtgate(replace(self.layout.vtgates[0], name=pod, version=version))

    def _stopped(self, pod: str) -> None:
        vtgate = self.vtgates.pop(pod, None)
        if vtgate is not None:
            vtgate.down = True
            self.fleet.on_change.remove(vtgate.heard)

    def tablet(self, alias: str) -> Tablet:
        """A tablet by alias, or by uid alone."""
        found = self.fleet.tablets.get(alias)
        return found or next(t for t in self.fleet.tablets.values() if str(t.uid) == alias)

    def pass_(self, seconds: float) -> None:
        """Let virtual time pass."""
        if self.virtual:
            self.timeline.advance(self.timeline.now + seconds)

    def note_stall(self, wall_s: float, cpu_s: float) -> None:
        """So long it did not get to live; with little CPU time in it the machine was busy with something else."""
        if wall_s > self.stall["wall_s"]:
            self.stall = {"wall_s": round(wall_s, 3), "cpu_s": round(cpu_s, 3)}

    def report(self) -> dict[str, object]:
        """What happened so far."""
        return {
            "simulated": True,
            "longest_stall": self.stall,
            **self.referee.summary(),
            "acts": self.fleet.acts,
            "versions": sorted({t.version for t in self.fleet.tablets.values()}),
            "upgraded_in_haste": self.fleet.upgraded_in_haste,
            "types": {t.alias: t.type for t in self.fleet.tablets.values()},
        }
