# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cordon a node for maintenance, and uncordon it: only where the cordon is ours."""

from __future__ import annotations

from typing import Any

from .. import gates
from ..arguments import cluster_spec
from ..claim import Holder
from ..clients.kubernetes import Json
from ..cluster import Cluster, explain
from ..cordon import Cordon, Seen, node_path, parse
from ..errors import EdgeError, OutcomeUnknown, Refused, StepFailure
from ..executor import Process
from ..labels import CORDON
from ..session import UNCHANGED
from ..timestamps import timestamp
from ..waiting import Clock, Report

STEP = "node_cordon"
TRIES = 5  # of a write that meets somebody else's: a kubelet writes its node often


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        "node": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "roll": {"type": "str"},
    }


def run(params: dict[str, Any], cluster: Cluster, clock: Clock, _report: Report, executor: Process) -> dict[str, Any]:
    """Raises StepFailure, ValueError."""
    name = params["node"]
    roll = Holder.acting(params["roll"], executor).roll
    try:
        seen = read(cluster, name)
        before = _shown(seen)
        mine = Cordon(roll, timestamp(clock.time()), seen.boot)
        change = _change(seen, params["state"], mine)
        if change is not None:
            _require_rights(cluster, name)
        if change is None or params["_check_mode"]:
            after = _after(seen, params["state"], change)
            return _result(change is not None, seen, before, after, mine)
        for _try in range(TRIES):
            if change is None:
                break
            try:
                change["metadata"]["resourceVersion"] = seen.resource_version
                cluster.kube.merge(node_path(name), change)
            except OutcomeUnknown:
                pass
            except Refused as error:
                if error.status != 409:
                    raise
            seen = read(cluster, name)
            change = _change(seen, params["state"], mine)
        if change is not None:
            raise failure(name, STEP, f"it was changed by somebody else at each of {TRIES} tries")
        return _result(True, seen, before, _shown(seen), mine)
    except EdgeError as error:
        raise failure(name, STEP, explain(error)) from error


def read(cluster: Cluster, name: str) -> Seen:
    """The node now. Raises EdgeError, ValueError."""
    return parse(cluster.kube.get(node_path(name)))


def failure(node: str, step: str, reason: str, gate: str | None = None, next_command: str = "") -> StepFailure:
    """A failure that is about a node."""
    return StepFailure(
        tablet=node,
        step=step,
        reason=reason,
        gate=gate,
        state=UNCHANGED,
        next_command=next_command or f"kubectl describe node {node}",
        resume_command="run the same again",
    )


def _change(seen: Seen, state: str, mine: Cordon) -> Json | None:
    """The PATCH that is needed; None where it is as wanted, or where a cordon that is not ours stays."""
    if state == "present" and not seen.cordoned:
        return {"metadata": {"annotations": {CORDON: mine.as_text()}}, "spec": {"unschedulable": True}}
    if state == "absent" and seen.cordon is not None:
        return {"metadata": {"annotations": {CORDON: None}}, "spec": {"unschedulable": None}}
    if state == "absent" and seen.marked:  # somebody uncordoned it by hand
        return {"metadata": {"annotations": {CORDON: None}}}
    return None


def _require_rights(cluster: Cluster, name: str) -> None:
    if reason := cluster.rights_to_cordon().problem(STEP):
        raise failure(name, STEP, reason, gates.rights_are_granted.__name__, "kubectl auth can-i patch nodes")


def _shown(seen: Seen) -> dict[str, Any]:
    return {"cordoned": seen.cordoned, "ours": seen.cordon is not None}


def _after(seen: Seen, state: str, change: Json | None) -> dict[str, Any]:
    if change is None:
        return _shown(seen)
    return {"cordoned": state == "present", "ours": state == "present"}


def _result(changed: bool, seen: Seen, before: dict[str, Any], after: dict[str, Any], mine: Cordon) -> dict[str, Any]:
    cordon = seen.cordon or mine
    return {
        "changed": changed,
        "node": seen.name,
        "ours": after["ours"],
        "since": cordon.at,
        "boot": cordon.boot,
        "rebooted": seen.rebooted,
        "before": before,
        "after": after,
        "diff": {"before": before, "after": after},
    }
