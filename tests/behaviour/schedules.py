# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Schedules: rolls on a fleet of some shape, what goes wrong at which call, where the roll dies, and what must hold throughout.

A schedule is data, so that hypothesis can draw and shrink it and a failing one can be kept as it is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ansible_collections.vtops.vitess.tests.behaviour.player import STEPS, Rolled
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig
from ansible_collections.vtops.vitess.tests.behaviour.test_crash import an_executor
from ansible_collections.vtops.vitess.tests.sim.fleet import POLICIES, CommandFailed, Fleet, Tablet
from ansible_collections.vtops.vitess.tests.sim.kubernetes import is_ready
from ansible_collections.vtops.vitess.tests.sim.layout import Layout, ShardPlan, TabletPlan, VtgatePlan
from ansible_collections.vtops.vitess.tests.sim.vtgate import Vtgate

# The calls at which something may happen, as the wire sees them.
CALLS = {
    "any": ".",
    "claim": "(POST|PUT) .*/leases",
    "shard": "exec vtctld-0: script",
    "type": "exec .*ChangeTabletType",
    "mark": "PATCH .*/pods/",
    "evict": "POST .*/eviction",
    "pod": r"GET .*/pods/[\w-]+$",
    "pools": "GET .*:15000/proxy/debug/vars",
    "vtgate": "portforward",
    "reparent": "exec .*PlannedReparentShard",
}
WIRE: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "429": {"status": 429},
    "cut before": {"cut": True},
    "cut after": {"cut": True, "after": True},
    "handshake": {"handshake": True},
    "truncated": {"after": True, "cut_output": 300},
    "slow": {"passes_s": 2.5},
}
# How old evidence may be when an act is done on it (design rule 2): what began later could not be known.
EVIDENCE_S, VTGATE_EVIDENCE_S = 2.0, 10.0
SHORT_WAITS = {
    "ready_timeout": 25.0,
    "evict_timeout": 10.0,
    "catch_up_timeout": 20.0,
    "route_timeout": 25.0,
    "agree_timeout": 25.0,
    "idle_timeout": 8.0,
    "transaction_wait": 5.0,
    "keyspace_wait": 70.0,
    "claim_wait": 70.0,
    "canary_tries": 10,
}
LAST_WAITS = {"claim_wait": 120.0, "keyspace_wait": 120.0}
REST_S = 60.0


@dataclass(frozen=True)
class Fault:
    """Something goes wrong right before the nth call of a kind (at once where call is empty).

    target picks among what it can happen to. lasts_s: it heals by itself after so long; 0 is not before the schedule's end.
    """

    what: str
    call: str = ""
    nth: int = 1
    target: int = 0
    lasts_s: float = 0.0


@dataclass(frozen=True)
class Crash:
    """The roll dies right before or after the nth call of a kind; an orphan's module process lives on."""

    call: str
    nth: int = 1
    after: bool = False
    orphan: bool = False


@dataclass(frozen=True)
class Run:
    """One roll by one executor. by_hand: single steps, each of (step, tablet's number), instead of the playbook's order."""

    faults: tuple[Fault, ...] = ()
    crash: Crash | None = None
    by_hand: tuple[tuple[str, int], ...] = ()
    heals: bool = False


@dataclass(frozen=True)
class Schedule:
    """A fleet and the rolls that are disturbed; after them all is healed and a last roll must finish.

    tablets: cell and type by tablet, the first is the primary; shards: so many alike.
    """

    tablets: tuple[tuple[int, str], ...] = ((1, "REPLICA"),) * 3
    shards: int = 1
    vtgates: int = 2
    durability: str = "semi_sync"
    held: bool = True
    stable_addresses: bool = False
    runs: tuple[Run, ...] = (Run(),)
    seed: int = 1

    @property
    def layout(self) -> Layout:
        """The fleet that it begins with."""
        names = ("-",) if self.shards == 1 else ("-80", "80-")
        cells = tuple(sorted({f"zone{cell}" for cell, _kind in self.tablets}))
        shards = tuple(
            ShardPlan(
                name,
                tuple(
                    TabletPlan(100 * (number + 1) + index, f"zone{cell}", kind)
                    for index, (cell, kind) in enumerate(self.tablets, 1)
                ),
            )
            for number, name in enumerate(names)
        )
        return Layout(
            shards=shards,
            vtgates=tuple(VtgatePlan(f"vtgate-{number}", cells) for number in range(self.vtgates)),
            durability=self.durability,
            held=self.held,
            stable_addresses=self.stable_addresses,
            seed=self.seed,
        )


# Faults that clients cannot see while one tablet is away: whatever happens beside them, clients must see no error.
INVISIBLE = {
    *WIRE,
    "lags",
    "budget",
    "two budgets",
    "cordon",
    "owner stopped",
    "vtgate appears",
    "vtgate goes",
    "vtgate cannot be asked",
}


class Play:
    """One schedule being played."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.rig = Rig(schedule.layout)
        self.simulation = self.rig.simulation
        self.fleet: Fleet = self.simulation.fleet
        self.undo: list[Callable[[], object]] = []
        self.last_fault_at = float("-inf")
        self.broken: list[str] = []
        self.fired: list[str] = []
        self.foreign = 0
        self.lonely = self._lonely()
        # First in line: what an act finds is what was before it.
        self.fleet.on_act.insert(0, self.judge)

    def _lonely(self) -> list[str]:
        """Tablets without which their type has no route; an operator would accept that by alias."""
        found = []
        for shard in self.fleet.shards:
            for kind in ("REPLICA", "RDONLY"):
                mine = [t for t in self.fleet.of(shard) if t.init_type == kind]
                # Of the REPLICAs one is the primary, and another may become it.
                if len(mine) <= (2 if kind == "REPLICA" else 1):
                    found += [t.alias for t in mine]
        return found

    @property
    def now(self) -> float:
        """Seconds since 1970, in the fleet."""
        return self.simulation.timeline.now

    # -- the referee, with the age that evidence may have

    def judge(self, act: str, alias: str) -> None:
        """An act of the product that takes something away, right before it takes effect."""
        takes = act.startswith(("Evict", "Delete", "PlannedReparentShard")) or act.endswith(" drained")
        if self.foreign or not takes:
            return
        tablet, referee = self.fleet.tablets[alias], self.simulation.referee
        for other in self.fleet.of(tablet.shard):
            if other is tablet:
                continue
            reasons = referee.reasons(other)
            absence = referee.open.get(other.alias)
            seen = [r for r in reasons if absence is None or self.now - absence.start > _allowed(r)]
            if seen:
                self.broken.append(f"{act} while {other.alias} is away: {', '.join(seen)}")
        if act.startswith(("Evict", "Delete")) and tablet.type == "PRIMARY" and self.now - tablet.term > EVIDENCE_S:
            self.broken.append(f"{act}: it is the PRIMARY")
        if act.endswith(" drained") and alias not in self.lonely and self.now - self.last_fault_at > VTGATE_EVIDENCE_S:
            self.broken += [f"{act} leaves {name} without a route" for name in self._without_route(tablet)]

    def _without_route(self, tablet: Tablet) -> list[str]:
        """vtgates that reach this tablet, and no other of its type."""

        def routes(vtgate: Vtgate) -> bool:
            rows = vtgate._serving(tablet.shard, tablet.type, {tablet.alias})
            others = [self.fleet.tablets[row.alias] for row in rows]
            return any(not other.refusal(tablet.type)[0] and other.mysqld.running for other in others)

        return [v.name for v in self.simulation.vtgates.values() if not v.down and not routes(v)]

    @contextmanager
    def somebody_else(self) -> Iterator[None]:
        """What is done in here is not the product's doing."""
        self.foreign += 1
        try:
            with suppress(CommandFailed):
                yield
        finally:
            self.foreign -= 1

    # -- faults

    def plan(self, fault: Fault) -> None:
        """Let it happen in its moment."""
        if fault.what in WIRE:
            self.rig.wire.trouble(CALLS[fault.call or "any"], skip=fault.nth - 1, **WIRE[fault.what])
        elif fault.call:
            self.rig.wire.trouble(CALLS[fault.call], skip=fault.nth - 1, happens=lambda: self.happens(fault))
        else:
            self.happens(fault)
            self.simulation.pass_(3.0)

    def happens(self, fault: Fault) -> None:
        """Now."""
        with self.somebody_else():
            undo = getattr(self, "_" + fault.what.replace(" ", "_"))(fault.target)
            self.fired.append(fault.what)
            self.last_fault_at = self.now
            if undo is not None and fault.lasts_s > 0:
                self.simulation.timeline.after(fault.lasts_s, lambda: self._healed(undo))
            if undo is not None:
                self.undo.append(undo)

    def _healed(self, undo: Callable[[], object]) -> None:
        with self.somebody_else():
            if undo in self.undo:
                self.undo.remove(undo)
                undo()

    def heal(self) -> None:
        """Everything that somebody else broke is mended, and the fleet comes to rest."""
        self.rig.wire.troubles.clear()
        with self.simulation.timeline.lock:
            for undo in list(self.undo):
                self._healed(undo)
            self.simulation.vtorc.mends_replication = True
        self.simulation.pass_(REST_S)

    def _one(self, target: int, *kinds: str) -> Tablet | None:
        found = [t for t in self.fleet.tablets.values() if t.running and t.type in kinds]
        return found[target % len(found)] if found else None

    def _vtgate(self, target: int) -> Vtgate:
        live = [v for v in self.simulation.vtgates.values() if v.name in self.simulation.store.of("pods")]
        return live[target % len(live)]

    def _replication(self, target: int, **changes: Any) -> Callable[[], object] | None:
        tablet = self._one(target, "REPLICA", "RDONLY", "DRAINED")
        if tablet is None:
            return None
        self.simulation.vtorc.mends_replication = False
        for name, value in changes.items():
            setattr(tablet.mysqld, name, value)

        def undo() -> None:
            self.simulation.vtorc.mends_replication = True
            tablet.mysqld.shown_lag = None
            if tablet.running and tablet.type != "PRIMARY":
                self.fleet.follow(tablet)
                self.fleet.start_sql(tablet)

        return undo

    def _lags(self, target: int) -> Callable[[], object] | None:
        return self._replication(target, shown_lag=60.0)

    def _io_stops(self, target: int) -> Callable[[], object] | None:
        return self._replication(target, io=False)

    def _sql_stops(self, target: int) -> Callable[[], object] | None:
        return self._replication(target, sql=False)

    def _acks_no_more(self, target: int) -> Callable[[], object] | None:
        return self._replication(target, semi_sync_replica=False)

    def _pod_lost(self, target: int) -> Callable[[], object] | None:
        tablet = self._one(target, "REPLICA", "RDONLY", "DRAINED")
        if tablet is not None and self.simulation.kubernetes.pod(tablet.pod) is not None:
            self.simulation.kubernetes.kill(tablet.alias)
        return None

    def _primary_lost(self, target: int) -> Callable[[], object] | None:
        tablet = self._one(target, "PRIMARY")
        if tablet is not None and self.simulation.kubernetes.pod(tablet.pod) is not None:
            self.simulation.kubernetes.kill(tablet.alias)
        return None

    def _vttablet_dies(self, target: int) -> Callable[[], object] | None:
        """Its container alone; the kubelet starts it again."""
        tablet = self._one(target, "REPLICA", "RDONLY", "DRAINED")
        pod = self.simulation.kubernetes.pod(tablet.pod) if tablet is not None else None
        if tablet is None or pod is None or not is_ready(pod):
            return None
        version, hostname, kubernetes = tablet.version, tablet.hostname, self.simulation.kubernetes
        self.fleet.stop_vttablet(tablet, cleanly=False)
        kubernetes.set_ready(tablet.pod, False)

        def again() -> None:
            if kubernetes.pod(tablet.pod) is pod and not pod["metadata"].get("deletionTimestamp"):
                self.fleet.start_vttablet(tablet, version, hostname)
                kubernetes.set_ready(tablet.pod, True)

        self.simulation.timeline.after(6.0, again)
        return None

    def _foreign_drain(self, target: int) -> Callable[[], object] | None:
        tablet = self._one(target, "REPLICA", "RDONLY")
        if tablet is None:
            return None
        self.fleet.change_type(tablet.alias, "DRAINED")

        def undo() -> None:
            entry = self.rig.journal().get(tablet.alias)
            ours = entry is not None and entry["finished"] is None and entry["steps"]
            if tablet.type == "DRAINED" and not ours:
                self.fleet.change_type(tablet.alias, tablet.init_type)

        return undo

    def _foreign_reparent(self, target: int) -> Callable[[], object] | None:
        tablet = self._one(target, "REPLICA")
        if tablet is not None:
            old = str(self.fleet.shards[tablet.shard].primary)
            self.fleet.planned_reparent(tablet.shard, tablet.alias, old, 4.0, lambda error: None)
        return None

    def _reparent_fails(self, target: int) -> Callable[[], object] | None:
        self.fleet.prs_fault = ("before", "demoted", "after")[target % 3]
        return lambda: setattr(self.fleet, "prs_fault", "")

    def _vtgate_appears(self, target: int) -> Callable[[], object] | None:
        name = f"vtgate-{len(self.simulation.vtgates) + 5}"
        plan = VtgatePlan(name, self.simulation.layout.vtgates[0].cells)
        vtgate = Vtgate(plan, self.fleet, len(self.simulation.vtgates) + 5)
        vtgate.begin()
        self.fleet.on_change.append(vtgate.heard)
        vtgate.on_change.append(self.simulation.referee.look)
        self.simulation.vtgates[name] = vtgate
        self.simulation.kubernetes.program(name, "vtgate", 3306)
        self.rig.server.listen_now(vtgate)
        return None

    def _vtgate_goes(self, target: int) -> Callable[[], object] | None:
        vtgate = self._vtgate(target)
        if sum(not v.down for v in self.simulation.vtgates.values()) < 2 or vtgate.down:
            return None
        self.simulation.store.of("pods")[vtgate.name]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        vtgate.down = True
        self.simulation.timeline.after(3.0, lambda: self.simulation.store.remove("pods", vtgate.name))
        return None

    def _vtgate_cannot_be_asked(self, target: int) -> Callable[[], object] | None:
        vtgate = self._vtgate(target)
        if vtgate.down:
            return None
        vtgate.down = True

        def undo() -> None:
            vtgate.down = False
            self._relearn(vtgate)

        return undo

    def _vtgate_deaf(self, target: int) -> Callable[[], object] | None:
        vtgate, tablet = self._vtgate(target), self._one(target, "REPLICA", "RDONLY", "DRAINED")
        if tablet is None:
            return None
        vtgate.deaf_to.add(tablet.alias)

        def undo() -> None:
            vtgate.deaf_to.discard(tablet.alias)
            self._relearn(vtgate)

        return undo

    @staticmethod
    def _relearn(vtgate: Vtgate) -> None:
        for alias in list(vtgate.rows):
            if alias not in vtgate.deaf_to:
                vtgate.rows.pop(alias)
        vtgate.refresh()

    def _vtgate_does_not_route(self, target: int) -> Callable[[], object] | None:
        vtgate, tablet = self._vtgate(target), self._one(target, "REPLICA", "RDONLY", "DRAINED")
        if tablet is None:
            return None
        vtgate.cannot_route_to.add(tablet.alias)
        return lambda: vtgate.cannot_route_to.discard(tablet.alias)

    def _budget(self, target: int) -> Callable[[], object] | None:
        return self._budgets("blocks", minAvailable=len(self.fleet.tablets))

    def _two_budgets(self, target: int) -> Callable[[], object] | None:
        return self._budgets("another", maxUnavailable=1)

    def _budgets(self, name: str, **spec: int) -> Callable[[], object]:
        store = self.simulation.store
        if name == "blocks":
            for each in list(store.of("poddisruptionbudgets")):
                store.remove("poddisruptionbudgets", each)
        selector = {"matchLabels": {"planetscale.com/component": "vttablet"}}
        item = {"metadata": {"name": name, "namespace": "vitess"}, "spec": {**spec, "selector": selector}}
        store.put("poddisruptionbudgets", item)

        def undo() -> None:
            if name in store.of("poddisruptionbudgets"):
                store.remove("poddisruptionbudgets", name)

        return undo

    def _cordon(self, target: int) -> Callable[[], object] | None:
        nodes = self.simulation.store.of("nodes").values()
        for node in nodes:
            node["spec"]["unschedulable"] = True
        return lambda: [node["spec"].pop("unschedulable", None) for node in nodes]

    def _owner_stopped(self, target: int) -> Callable[[], object] | None:
        self.simulation.kubernetes.owner_stopped = True
        return lambda: setattr(self.simulation.kubernetes, "owner_stopped", False)

    def _pod_crashes(self, target: int) -> Callable[[], object] | None:
        pods = [t.pod for t in self.fleet.tablets.values()]
        pod = pods[target % len(pods)]
        self.simulation.kubernetes.crashing.add(pod)
        return lambda: self.simulation.kubernetes.crashing.discard(pod)

    # -- runs

    def run(self, run: Run) -> None:
        """One roll, disturbed."""
        self.rig.wire.troubles.clear()
        with an_executor() as (process, executor):
            for fault in run.faults:
                self.plan(fault)
            if run.crash is not None:
                crash = run.crash

                def dies() -> None:
                    process.kill()
                    process.wait()
                    self.fired.append("crash")
                    if not crash.orphan:
                        self.rig.wire.trouble(".", cut=True, times=10**6)

                self.rig.wire.trouble(
                    CALLS[crash.call], skip=crash.nth - 1, after=crash.after, happens=dies, cut=not crash.orphan
                )
            given = {**SHORT_WAITS, "accept_no_route": self.lonely, "executor": executor}
            if run.by_hand:
                self._by_hand(run, given)
            else:
                self.rig.roll(**given)
            self.check()
        if run.heals:
            self.heal()

    def _by_hand(self, run: Run, given: dict[str, Any]) -> None:
        from ansible_collections.vtops.vitess.tests.behaviour.player import SPECS

        tablets = list(self.fleet.tablets.values())
        for step, number in run.by_hand:
            tablet = tablets[number % len(tablets)]
            name, more = ("shard_claim", {"state": "absent"}) if step == "release" else (step, {})
            known = SPECS[name].argument_spec()
            options = {k: v for k, v in given.items() if k == "executor" or k in known}
            self.rig.execute(name, tablet.uid, **options, **more)
            self.check()

    # -- what must hold

    def check(self) -> None:
        """After each event."""
        assert self.broken == []

    def rollable(self) -> bool:
        """Whether the fleet is large enough, by the policy, to spare each tablet once; else the roll must refuse."""
        acks, kinds, other_cell = POLICIES[self.schedule.durability]
        for shard in self.fleet.shards:
            tablets, primary = self.fleet.of(shard), self.fleet.primary(shard)
            if primary is None or len(tablets) < 2 + acks:
                return False

            def left(among: list[Tablet], at: Tablet, *without: Tablet) -> int:
                return sum(
                    t is not at and t not in without and t.init_type in kinds and (not other_cell or t.cell != at.cell)
                    for t in among
                )

            if any(left(tablets, primary, t) < acks for t in tablets if t is not primary):
                return False
            heirs = [t for t in tablets if t is not primary and t.init_type == "REPLICA" and t.cell == primary.cell]
            if not any(left(tablets, heir, primary) >= acks for heir in heirs):
                return False
        return True

    def finish(self) -> None:
        """All is mended; another executor's roll finishes, and one more has nothing to do."""
        self.heal()
        self.check()
        wanted = sorted(t.init_type for t in self.fleet.tablets.values())
        if self.rollable():
            rolled = self._last()
            assert rolled.failure is None, rolled.failure
            assert sorted(self.rig.upgraded()) == sorted(self.rig.types())
            acts = list(self.rig.acts)
            again = self._last()
            assert (again.failure, again.changed, self.rig.acts) == (None, 0, acts)
        else:
            self._last()
        kinds = sorted("REPLICA" if kind == "PRIMARY" else kind for kind in self.rig.types().values())
        assert kinds == wanted, "a type was not restored"
        # The keyspace's one ends with its ansible-playbook, as does one of a shard that the plan refuses: the next takes it over.
        if self.rollable():
            assert [name for name in self.rig.claims_held() if "keyspace" not in name] == []
        flying = [a for a, e in self.rig.journal().items() if e["finished"] is None and e["steps"]]
        assert flying == []
        self.check()
        self._clients_are_content()

    def _last(self) -> Rolled:
        with an_executor() as (_process, executor):
            return self.rig.roll(**LAST_WAITS, accept_no_route=self.lonely, executor=executor)

    def _clients_are_content(self) -> None:
        ledger = self.rig.settle()
        elections = sum(act.startswith("Emergency") for act in self.rig.acts)
        # Nothing else can lose an acknowledged write; an election under a policy that waits for nobody may.
        if not elections or (self.schedule.durability == "semi_sync" and len(self.fired) == 1):
            assert self.rig.clients.lost_writes() == []
        assert ledger.stale_reads == []
        visible = [what for what in self.fired if what not in INVISIBLE and what != "crash"]
        if not visible and not self.lonely:
            assert ledger.without_open_transactions(self.fleet.reparents) == []


def _allowed(reason: str) -> float:
    return VTGATE_EVIDENCE_S if "SERVING" in reason else EVIDENCE_S


FAULTS = tuple(
    sorted(
        {
            *(INVISIBLE - set(WIRE)),
            "io stops",
            "sql stops",
            "acks no more",
            "pod lost",
            "primary lost",
            "vttablet dies",
            "foreign drain",
            "foreign reparent",
            "reparent fails",
            "vtgate deaf",
            "vtgate does not route",
            "pod crashes",
        }
    )
)
HAND_STEPS = (*STEPS, "release")


def play(schedule: Schedule) -> Play:
    """All of it."""
    played = Play(schedule)
    try:
        for run in schedule.runs:
            played.run(run)
        played.finish()
    finally:
        played.rig.close()
    return played
