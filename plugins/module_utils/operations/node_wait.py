# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait until a node is back from its maintenance, and keep the claims of its tablets' shards meanwhile."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..arguments import cluster_spec
from ..claim import ClaimHeld, ClaimLost, Claims, Holder
from ..cluster import Cluster, explain
from ..cordon import node_path, parse
from ..errors import EdgeError, Unreachable
from ..executor import Process
from ..session import fences_of
from ..waiting import Clock, Look, Report, Waiter, WaitTimeout
from .node_cordon import failure

STEP = "node_wait"


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        "node": {"type": "str", "required": True},
        "boot": {"type": "str"},
        "shards": {"type": "list", "elements": "str", "default": []},
        "roll": {"type": "str"},
        "timeout": {"type": "float", "default": 1800.0},
    }


def run(params: dict[str, Any], cluster: Cluster, clock: Clock, report: Report, executor: Process) -> dict[str, Any]:
    """Raises StepFailure, ValueError."""
    name, before = params["node"], params["boot"] or ""
    if params["_check_mode"]:
        return {"changed": False, "node": name, "boot": before}
    holder = Holder.acting(params["roll"], executor)
    claims = Claims(cluster.kube, cluster.scope.namespace, holder, clock)
    waiter = Waiter(clock, lambda text: report(f"{name}: {STEP}: {text}"))
    shards = [_shard(text) for text in params["shards"]]
    try:
        # What the roll held before, it goes on with.
        with claims.holding(fences_of(cluster, shards, holder.roll), waiter):
            look = partial(_look, cluster, name, before)
            boot = waiter.until(look, "the node to come back", params["timeout"], every_s=1.0)
    except WaitTimeout as error:
        raise failure(name, STEP, str(error), "node_is_back") from error
    except (ClaimHeld, ClaimLost) as error:
        raise failure(name, STEP, str(error), "claim") from error
    except EdgeError as error:
        raise failure(name, STEP, explain(error)) from error
    return {"changed": False, "node": name, "boot": boot}


def _look(cluster: Cluster, name: str, before: str) -> Look[str]:
    """Its boot id, where it is Ready in another boot than before."""
    try:
        item = cluster.kube.find(node_path(name))
    except Unreachable as error:  # the control plane may be on its way too
        return Look(missing=str(error))
    if item is None:
        return Look(missing="there is no node of that name")
    seen = parse(item)
    if before and seen.boot == before:
        return Look(missing="it was not booted again yet")
    return Look(seen.boot or "unknown") if seen.ready else Look(missing="it is not Ready")


def _shard(text: str) -> tuple[str, str]:
    keyspace, slash, shard = text.partition("/")
    if not slash or not keyspace or not shard:
        raise ValueError(f"not a shard (keyspace/shard): {text!r}")
    return keyspace, shard
