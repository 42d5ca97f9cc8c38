# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What there is: every tablet with its type, Pod, versions, whether it is as its owner wants it, and whether a roll holds it."""

from __future__ import annotations

from typing import Any

from .. import labels
from ..claim import parse_lease
from ..cluster import Cluster, in_parallel, is_at
from ..fleet import Alias, Pod, Tablet
from ..options import cluster_spec
from ..owners import Owner, Wanted
from ..session import describe


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        "keyspaces": {"type": "list", "elements": "str", "default": []},
        "tablets": {"type": "list", "elements": "str", "default": []},
    }


def run(params: dict[str, Any], cluster: Cluster) -> dict[str, Any]:
    """One topology read, one Pod list, one read per owner and one of the claims, whatever the fleet's size. Raises EdgeError, ValueError."""
    wanted = frozenset(Alias.parse(text) for text in params["tablets"])
    fleet = read_fleet(cluster)
    chosen = [
        item
        for item in fleet
        if (not wanted or item["alias"] in wanted) and (not params["keyspaces"] or item["tablet"].keyspace in params["keyspaces"])
    ]
    missing = wanted - {item["alias"] for item in chosen}
    if missing:
        raise ValueError(f"the topology has no tablet {', '.join(str(a) for a in sorted(missing))}")
    return {"changed": False, "tablets": [_shown(item) for item in chosen]}


def read_fleet(cluster: Cluster) -> list[dict[str, Any]]:
    """Every tablet with its Pod, its owner and its journal entry."""
    tablets, pods, leases = in_parallel([cluster.vtctld.tablets, cluster.tablet_pods, lambda: _claims(cluster)])  # type: ignore[list-item]
    by_address: dict[str, Pod] = {}
    for pod in pods:  # type: ignore[attr-defined]
        by_address[pod.ip] = by_address[pod.name] = pod
    found = []
    owners: dict[tuple[str, str, str], Owner] = {}
    for tablet in sorted(tablets, key=lambda t: (t.keyspace, t.shard, t.alias)):  # type: ignore[attr-defined]
        claim = leases.get(labels.shard_lease(tablet.keyspace, tablet.shard))  # type: ignore[attr-defined]
        entry = claim.journal.get(tablet.alias) if claim else None
        pod = by_address.get(tablet.hostname) or by_address.get(tablet.hostname.partition(".")[0]) if tablet.hostname else None
        if pod is None and entry is not None and entry.in_flight:
            pod = by_address.get(entry.pod_name)
        owner = None
        if pod is not None:
            key = (pod.namespace, pod.owner_kind, pod.owner_name)
            if key not in owners:
                owners[key] = cluster.owner_of(pod)
            owner = owners[key]
        found.append({"alias": tablet.alias, "tablet": tablet, "pod": pod, "owner": owner, "entry": entry, "claim": claim})
    return found


def _claims(cluster: Cluster) -> dict[str, Any]:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{cluster.scope.namespace}/leases"
    return {item["metadata"]["name"]: parse_lease(item) for item in cluster.kube.items(path, f"{labels.MANAGED_BY}={labels.MANAGER}")}


def as_wanted(item: dict[str, Any], wanted: Wanted | None = None) -> bool:
    """Whether the tablet's Pod is what is wanted and no roll has it in flight."""
    owner: Owner | None = item["owner"]
    goal = wanted or (Wanted(revision=owner.update_revision) if owner else None)
    return goal is not None and goal.met_by(item["pod"]) and not (item["entry"] and item["entry"].in_flight)


def _shown(item: dict[str, Any]) -> dict[str, Any]:
    tablet: Tablet = item["tablet"]
    owner: Owner | None = item["owner"]
    return {
        "alias": str(tablet.alias),
        "keyspace": tablet.keyspace,
        "shard": tablet.shard,
        "cell": tablet.alias.cell,
        **describe(tablet, item["pod"]),
        "ready": bool(item["pod"] and item["pod"].ready and is_at(item["pod"], tablet.hostname)),
        "owner": f"{owner.kind}/{owner.name}" if owner else None,
        "refusal": owner.refusal if owner else "no Pod was found",
        "wanted_revision": owner.update_revision if owner else None,
        "wanted_image": owner.image("vttablet") if owner else None,
        "as_wanted": as_wanted(item),
        "in_flight": bool(item["entry"] and item["entry"].in_flight),
        "claim": item["claim"].identity if item["claim"] else "",
    }
