# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which tablets a node's maintenance takes; refuses what could not be done before anything is touched."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

from .. import gates, place
from ..arguments import cluster_spec
from ..cluster import Cluster
from ..errors import in_short
from ..fleet import TabletType
from ..options import aliases
from ..owners import Wanted
from ..waiting import Clock
from .fleet_info import Member, read_fleet
from .node_cordon import failure, read

STEP = "node_plan"
NAMED = 5


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        "node": {"type": "str", "required": True},
        "tablets": {"type": "list", "elements": "str", "required": True},
        "in_place": {"type": "bool", "default": False},
    }


def run(params: dict[str, Any], cluster: Cluster, _clock: Clock) -> dict[str, Any]:
    """Raises StepFailure, EdgeError, ValueError."""
    node, chosen = params["node"], aliases(params["tablets"])
    if not chosen:
        raise ValueError("the selection is empty: no host of the play is a tablet (check --limit and the inventory)")
    read(cluster, node)  # that there is one
    fleet = read_fleet(cluster)
    here = [member for member in fleet if member.pod is not None and member.pod.node == node]
    mine = [member for member in here if member.alias in chosen]
    # What a stopped run had moved and not proved: its Pod is elsewhere by now.
    moved = [member for member in fleet if member.alias in chosen and member.in_flight and member not in here]
    _refuse(node, _owned(mine))
    if params["in_place"]:
        _refuse_in_place(node, here, mine, cluster)
    else:
        _refuse_where_it_cannot_move(node, [member for member in mine if not member.in_flight], cluster)
    taken = sorted([*mine, *([] if params["in_place"] else moved)], key=lambda m: (m.tablet.keyspace, m.tablet.shard))
    return {
        "changed": False,
        "node": node,
        "tablets": [_shown(member) for member in taken],
        "primaries": [_shown(member) for member in taken if member.tablet.type == TabletType.PRIMARY],
        "left": [str(member.alias) for member in here if member.alias not in chosen],
        "shards": sorted({f"{member.tablet.keyspace}/{member.tablet.shard}" for member in taken}),
    }


def _shown(member: Member) -> dict[str, Any]:
    tablet = member.tablet
    return {
        "alias": str(tablet.alias),
        "keyspace": tablet.keyspace,
        "shard": tablet.shard,
        "type": str(tablet.type),
        "pod": member.pod.name if member.pod else None,
        "in_flight": member.in_flight,
    }


def _refuse(node: str, problem: tuple[str, list[str]], next_command: str = "") -> None:
    """Raises StepFailure where there is something."""
    gate, reasons = problem
    if reasons:
        raise failure(node, STEP, in_short(reasons, NAMED), gate, next_command or "kubectl get pods -o wide")


def _owned(members: list[Member]) -> tuple[str, list[str]]:
    """The owner is one that we drive, and a Pod that goes comes back as it is: a move is no upgrade (design section 5)."""
    for member in members:
        if member.owner is None or member.owner.refusal:
            return gates.owner_is_supported.__name__, [
                f"{member.alias}: {member.owner.refusal if member.owner else 'its owner is not known'}"
            ]
    pending = [
        f"{member.alias} would come back as {member.owner.update_revision}"
        for member in members
        if member.owner
        and not member.in_flight
        and not Wanted(revision=member.owner.update_revision).met_by(member.pod)
    ]
    return "move_is_no_upgrade", [f"{each}: roll that first, or put the spec back" for each in pending]


def _refuse_in_place(node: str, here: list[Member], mine: list[Member], cluster: Cluster) -> None:
    """All of the node's tablets go away together: each must be chosen, be alone of its shard, and no vtgate may go with them."""
    others = [str(member.alias) for member in here if member not in mine]
    _refuse(
        node,
        ("selection", [f"{node} also runs {', '.join(others)}: choose them too (check --limit)"] if others else []),
    )
    by_shard: dict[str, list[str]] = defaultdict(list)
    for member in here:
        by_shard[f"{member.tablet.keyspace}/{member.tablet.shard}"].append(str(member.alias))
    together = [
        f"{node} runs {' and '.join(several)} of {shard}: two of a shard would be away"
        for shard, several in sorted(by_shard.items())
        if len(several) > 1
    ]
    _refuse(node, ("one_tablet_of_shard_on_node", together), "move one of them first, or without in_place")
    names = [
        item["metadata"]["name"]
        for namespace in cluster.scope.namespaces_of_vtgates
        for item in cluster.kube.pods(namespace, cluster.scope.vtgate_selector, f"spec.nodeName={node}")
        if not item["metadata"].get("deletionTimestamp")
    ]
    gone = [f"vtgate {name} runs on {node}: its clients would be cut off" for name in names]
    _refuse(node, ("no_vtgate_on_node", gone), f"kubectl cordon {node}, then move that vtgate's Pod away")


def _refuse_where_it_cannot_move(node: str, members: list[Member], cluster: Cluster) -> None:
    """Another node takes each of them, as far as volumes, taints and selectors say; the roll looks for room."""
    nodes = tuple(replace(one, cordoned=one.cordoned or one.name == node) for one in cluster.nodes()) if members else ()
    problems = []
    for member in members:
        if member.pod is None or member.owner is None:
            continue
        ground = cluster.ground_for(member.pod)
        if not ground.refusal:
            ground = replace(ground, nodes=nodes)
        _fit, refusal = place.fitting(ground, member.owner.needs)
        if refusal:
            problems.append(f"{member.alias} can go nowhere else: {refusal}")
    _refuse(
        node, (gates.new_pod_has_a_place.__name__, problems), "with in_place, where its volume is bound to the node"
    )
