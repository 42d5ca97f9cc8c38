# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the product's operations against a simulated fleet, wherever that is, in the order in which the roles run them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.vtops.vitess.plugins.module_utils import operation
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process
from ansible_collections.vtops.vitess.plugins.module_utils.operations import (
    component_spec,
    fleet_info,
    node_cordon,
    node_plan,
    node_wait,
    pod_replace,
    roll_plan,
    shard_claim,
    shard_reparent,
    tablet_diagnose,
    tablet_drain,
    tablet_recover,
    tablet_spec,
    vtgate_readmit,
)
from ansible_collections.vtops.vitess.plugins.module_utils.waiting import Clock, Report, silent

SPECS = {
    "tablet_drain": tablet_drain,
    "pod_replace": pod_replace,
    "vtgate_readmit": vtgate_readmit,
    "shard_reparent": shard_reparent,
    "shard_claim": shard_claim,
    "roll_plan": roll_plan,
    "fleet_info": fleet_info,
    "tablet_spec": tablet_spec,
    "tablet_diagnose": tablet_diagnose,
    "tablet_recover": tablet_recover,
    "component_spec": component_spec,
    "node_cordon": node_cordon,
    "node_plan": node_plan,
    "node_wait": node_wait,
}
STEPS = ("shard_claim", "shard_reparent", "tablet_drain", "pod_replace", "vtgate_readmit")
Result = dict[str, Any]


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


@dataclass
class Player:
    """One ansible-playbook, as far as the fleet notices it."""

    url: str
    clock: Clock
    executor: Process
    report: Report = silent

    def execute(self, name: str, alias: str | None = None, check: bool = False, **given: Any) -> Result:
        """One operation, as its module runs it."""
        executor = given.pop("executor", self.executor)
        if alias is not None:
            given = {"tablet": alias, "roll": "nightly", **given}
        params = {"host": self.url, "namespace": "vitess", **given}
        validated = ArgumentSpecValidator(SPECS[name].argument_spec()).validate(params)
        assert validated.error_messages == []
        return operation.execute(name, validated.validated_parameters, check, self.report, executor, self.clock)

    def replace(self, alias: str, into: Rolled | None = None, **given: Any) -> Rolled:
        """One tablet as the role tablet_replace takes it: its steps, and the claim's release where one of them fails."""
        rolled = into or Rolled()
        mine = rolled.results.setdefault(alias, {})
        since = {key: value for key, value in given.items() if key == "wanted_since"}
        look = self.execute("fleet_info", tablets=[alias], **since)
        if look.get("failed"):
            rolled.failure = look
            return rolled
        if look["tablets"][0]["as_wanted"]:
            if look["tablets"][0]["claim"]:
                self.execute("shard_claim", alias, state="absent")
            return rolled
        given = {**given, "release": True}
        omitted = () if look["tablets"][0]["type"] == "PRIMARY" else ("shard_reparent",)
        for step in (step for step in STEPS if step not in omitted):
            options = {k: v for k, v in given.items() if k == "executor" or k in SPECS[step].argument_spec()}
            mine[step] = self.execute(step, alias, **options)
            if mine[step].get("failed"):
                rolled.failure = mine[step]
                break
        if rolled.failure is not None and "taken by somebody else" not in rolled.reason:
            self.execute("shard_claim", alias, state="absent", **{k: v for k, v in given.items() if k == "executor"})
        return rolled

    def recover(self, alias: str, into: Rolled | None = None, **given: Any) -> Rolled:
        """One tablet as the role tablet_recovery takes it: look and mend, the proof, the release."""
        rolled = into or Rolled()
        mine = rolled.results.setdefault(alias, {})
        for step in ("tablet_recover", "vtgate_readmit"):
            options = {k: v for k, v in given.items() if k == "executor" or k in SPECS[step].argument_spec()}
            mine[step] = self.execute(step, alias, **options)
            if mine[step].get("failed"):
                rolled.failure = mine[step]
                break
        self.execute("shard_claim", alias, state="absent", **{k: v for k, v in given.items() if k == "executor"})
        return rolled

    def roll(self, aliases: list[str], **given: Any) -> Rolled:
        """The playbook: a plan, then one tablet after the other until one fails."""
        rolled = Rolled()
        options = {key: value for key, value in given.items() if key in roll_plan.argument_spec()}
        plan = self.execute("roll_plan", tablets=aliases, **options)
        if plan.get("failed"):
            rolled.failure = plan
            return rolled
        for alias in plan["order"]:
            self.replace(alias, rolled, **given)
            if rolled.failure is not None:
                return rolled
        return rolled
