# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait until a node is back from its maintenance, and keep the claims of its tablets' shards meanwhile."""

from __future__ import annotations

from functools import partial
from typing import Any

from .. import labels
from ..arguments import cluster_spec
from ..claim import Claim, ClaimHeld, ClaimLost, Claims, Holder, release_all, tick_all
from ..cluster import Cluster, explain
from ..cordon import node_path, parse
from ..errors import EdgeError, Unreachable
from ..executor import Process
from ..session import fence
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
    roll = params["roll"] or f"manual-{executor}-{executor.start}"
    claims = Claims(cluster.kube, cluster.scope.namespace, Holder(roll, executor, Process.current()), clock)
    waiter = Waiter(clock, lambda text: report(f"{name}: {STEP}: {text}"))
    held: list[Claim] = []
    mine: set[str] = set()  # what the roll held before, and goes on with
    waiter.tick = lambda: tick_all(held)
    try:
        for keyspace, shard in (_shard(text) for text in sorted(params["shards"])):
            lease = labels.shard_lease(keyspace, shard)
            if claims.again(lease) is not None:
                mine.add(lease)
            held.append(claims.take(lease, waiter, 0.0, partial(fence, cluster, keyspace, shard, roll)))
        look = partial(_look, cluster, name, before)
        boot = waiter.until(look, "the node to come back", params["timeout"], every_s=1.0)
    except WaitTimeout as error:
        raise failure(name, STEP, str(error), "node_is_back") from error
    except (ClaimHeld, ClaimLost) as error:
        raise failure(name, STEP, str(error), "claim") from error
    except EdgeError as error:
        raise failure(name, STEP, explain(error)) from error
    finally:
        release_all(claim for claim in held if claim.name not in mine)
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
