# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The product on a simulated fleet in virtual time: one operation or a whole roll, and the invariants that must hold after it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.vtops.vitess.plugins.module_utils import labels, operation
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process, hostname
from ansible_collections.vtops.vitess.plugins.module_utils.operations import (
    fleet_info,
    pod_replace,
    roll_plan,
    shard_claim,
    shard_reparent,
    tablet_drain,
    vtgate_readmit,
)
from ansible_collections.vtops.vitess.tests.sim.clients import Clients, Ledger
from ansible_collections.vtops.vitess.tests.sim.layout import Layout, Timings, one_shard
from ansible_collections.vtops.vitess.tests.sim.server import Server, Wire
from ansible_collections.vtops.vitess.tests.sim.simulation import Simulation

SPECS = {
    "tablet_drain": tablet_drain,
    "pod_replace": pod_replace,
    "vtgate_readmit": vtgate_readmit,
    "shard_reparent": shard_reparent,
    "shard_claim": shard_claim,
    "roll_plan": roll_plan,
    "fleet_info": fleet_info,
}
STEPS = ("shard_claim", "shard_reparent", "tablet_drain", "pod_replace", "vtgate_readmit")
Result = dict[str, Any]
# Shorter waits than the lab's, so that a test makes fewer looks.
SHORT = Timings(terminate_s=4.0, refresh_s=10.0, backoff_most_s=10.0)


@dataclass
class Rolled:
    """A roll as the playbook would do it: results by tablet and step; failure is the one that stopped it."""

    results: dict[str, dict[str, Result]] = field(default_factory=dict)
    failure: Result | None = None

    @property
    def changed(self) -> int:
        """How many steps changed something."""
        return sum(bool(r["changed"]) for steps in self.results.values() for s, r in steps.items() if s in STEPS[1:])

    @property
    def gate(self) -> str:
        """The red gate of the failure, empty where there is none."""
        return str((self.failure or {}).get("failure", {}).get("gate") or "")

    @property
    def reason(self) -> str:
        """The failure's reason."""
        return str((self.failure or {}).get("failure", {}).get("reason") or (self.failure or {}).get("msg") or "")


class Rig:
    """A simulated fleet behind sockets, clients on it, and the product's operations."""

    def __init__(self, layout: Layout | None = None, clients: bool = True, lab_times: bool = False) -> None:
        layout = layout or one_shard()
        self.simulation = Simulation(layout if lab_times else replace(layout, timings=SHORT))
        self.server = Server(self.simulation).start()
        self.clients = Clients(self.simulation, rate=3.0)
        self.executor = Process(hostname(), os.getpid(), Process.current().start)
        self.reported: list[str] = []
        if clients:
            self.clients.start()
            self.simulation.pass_(1.0)

    def close(self) -> None:
        """End the server."""
        self.server.stop()

    @property
    def wire(self) -> Wire:
        """Where faults of the wire are planned."""
        return self.server.wire

    @property
    def acts(self) -> list[str]:
        """What changed the fleet, in order."""
        return self.simulation.fleet.acts

    def alias(self, uid: int) -> str:
        """The alias of that uid."""
        return self.simulation.tablet(str(uid)).alias

    # -- running the product

    def execute(self, name: str, uid: int | None = None, check: bool = False, **given: Any) -> Result:
        """One operation, as its module runs it."""
        executor = given.pop("executor", self.executor)
        if uid is not None:
            given = {"tablet": self.alias(uid), "roll": "nightly", **given}
        params = {"host": self.server.url, "namespace": "vitess", **given}
        validated = ArgumentSpecValidator(SPECS[name].argument_spec()).validate(params)
        assert validated.error_messages == []
        return operation.execute(
            name, validated.validated_parameters, check, self.reported.append, executor, self.simulation.clock
        )

    def replace(self, uid: int, into: Rolled | None = None, **given: Any) -> Rolled:
        """One tablet as the role tablet_replace takes it: its steps, and the claim's release whatever happens."""
        rolled = into or Rolled()
        mine = rolled.results.setdefault(self.alias(uid), {})
        look = self.execute("fleet_info", tablets=[self.alias(uid)])
        if look.get("failed"):
            rolled.failure = look
            return rolled
        if look["tablets"][0]["as_wanted"]:
            if look["tablets"][0]["claim"]:
                self.execute("shard_claim", uid, state="absent")
            return rolled
        for step in STEPS:
            options = {k: v for k, v in given.items() if k == "executor" or k in SPECS[step].argument_spec()}
            mine[step] = self.execute(step, uid, **options)
            if mine[step].get("failed"):
                rolled.failure = mine[step]
                break
        if "taken by somebody else" not in rolled.reason:
            self.execute("shard_claim", uid, state="absent", **{k: v for k, v in given.items() if k == "executor"})
        return rolled

    def roll(self, uids: list[int] | None = None, **given: Any) -> Rolled:
        """The playbook: a plan, then one tablet after the other until one fails."""
        rolled = Rolled()
        chosen = [self.alias(uid) for uid in uids] if uids else list(self.simulation.fleet.tablets)
        options = {key: value for key, value in given.items() if key in roll_plan.argument_spec()}
        plan = self.execute("roll_plan", tablets=chosen, **options)
        if plan.get("failed"):
            rolled.failure = plan
            return rolled
        for alias in plan["order"]:
            self.replace(self.simulation.tablet(alias).uid, rolled, **given)
            if rolled.failure is not None:
                return rolled
        return rolled

    # -- what must hold

    def journal(self) -> dict[str, Any]:
        """The claims' journals by alias."""
        texts = [
            lease["metadata"]["annotations"].get(labels.JOURNAL) or "{}"
            for lease in self.simulation.store.of("leases").values()
        ]
        return {alias: entry for text in texts for alias, entry in json.loads(text).items()}

    def claims_held(self) -> list[str]:
        """Leases that somebody holds."""
        leases = self.simulation.store.of("leases")
        return [name for name, lease in leases.items() if lease["spec"].get("holderIdentity")]

    def types(self) -> dict[int, str]:
        """Type by uid."""
        return {t.uid: t.type for t in self.simulation.fleet.tablets.values()}

    def upgraded(self) -> list[int]:
        """Which tablets run the new version."""
        new = self.simulation.layout.new
        return [t.uid for t in self.simulation.fleet.tablets.values() if t.running and t.version == new]

    def settle(self, seconds: float = 15.0) -> Ledger:
        """Let the fleet come to rest, and the clients end."""
        self.simulation.pass_(seconds)
        return self.clients.stop()

    def assert_unharmed(self, errors: bool = False) -> None:
        """No rule was broken by an act, no client saw an error (unless the fault alone makes some), no acknowledged write is lost."""
        ledger = self.settle()
        assert self.simulation.referee.violations == []
        assert self.clients.lost_writes() == []
        assert ledger.stale_reads == []
        if not errors:
            seen = ledger.without_open_transactions(self.simulation.fleet.reparents)
            assert not seen, seen

    def assert_nothing_taken(self, uids: list[int] | None = None) -> None:
        """Nothing was evicted or reparented, and nobody is left DRAINED by us."""
        assert [act for act in self.acts if not act.startswith("ChangeTabletType")] == []
        assert [uid for uid, kind in self.types().items() if kind == "DRAINED" and uid not in (uids or [])] == []
