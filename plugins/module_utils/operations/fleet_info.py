# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What there is: every tablet with its type, Pod, versions, whether it is as its owner wants it, and whether a roll holds it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from .. import labels
from ..arguments import cluster_spec
from ..claim import Entry, LeaseState, parse_lease
from ..cluster import Cluster
from ..fleet import Alias, Pod, Tablet
from ..identity import is_at
from ..owners import Owner, Wanted
from ..session import describe
from ..waiting import Clock


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        "keyspaces": {"type": "list", "elements": "str", "default": [], "no_log": False},
        "tablets": {"type": "list", "elements": "str", "default": []},
        "wanted_revision": {"type": "str"},
        "wanted_since": {"type": "str"},
    }


@dataclass(frozen=True)
class Member:
    """One tablet of the fleet with what belongs to it; claim is its shard's Lease, entry its line in that journal."""

    tablet: Tablet
    pod: Pod | None
    owner: Owner | None
    claim: LeaseState | None
    entry: Entry | None

    @property
    def alias(self) -> Alias:
        """The tablet's alias."""
        return self.tablet.alias

    @property
    def in_flight(self) -> bool:
        """Whether a roll took it and did not bring it back."""
        return self.entry is not None and self.entry.in_flight

    def as_wanted(self, goal: Wanted | None = None) -> bool:
        """Whether its Pod is the goal (by default what its owner wants now) and no roll has it in flight."""
        goal = goal or (Wanted(revision=self.owner.update_revision) if self.owner else None)
        return goal is not None and goal.met_by(self.pod) and not self.in_flight


def run(params: dict[str, Any], cluster: Cluster, clock: Clock) -> dict[str, Any]:
    """One topology read, one Pod list, one read per owner and one of the claims, whatever the fleet's size. Raises EdgeError, ValueError."""
    wanted = frozenset(Alias.parse(text) for text in params["tablets"])
    keyspaces = params["keyspaces"]
    chosen = [
        member
        for member in read_fleet(cluster)
        if (not wanted or member.alias in wanted) and (not keyspaces or member.tablet.keyspace in keyspaces)
    ]
    missing = wanted - {member.alias for member in chosen}
    if missing:
        raise ValueError(f"the topology has no tablet {', '.join(str(a) for a in sorted(missing))}")
    goal: Wanted | None = None
    if params["wanted_since"]:
        goal = Wanted.created_after(params["wanted_since"], clock.time())
    elif params["wanted_revision"]:
        goal = Wanted(revision=params["wanted_revision"])
    return {"changed": False, "tablets": [_shown(member, goal) for member in chosen]}


def read_fleet(cluster: Cluster) -> tuple[Member, ...]:
    """Every tablet, by keyspace, shard and alias."""
    with ThreadPoolExecutor(3) as pool:
        reads = (pool.submit(cluster.vtctld.tablets), pool.submit(cluster.tablet_pods), pool.submit(_claims, cluster))
        tablets, pods, leases = reads[0].result(), reads[1].result(), reads[2].result()
    by_name = {(pod.namespace, pod.name): pod for pod in pods}
    owners: dict[tuple[str, str, str], Owner] = {}
    found = []
    for tablet in cluster.with_pods(sorted(tablets, key=lambda t: (t.keyspace, t.shard, t.alias)), pods):
        claim = leases.get(labels.shard_lease(tablet.keyspace, tablet.shard))
        entry = claim.journal.get(tablet.alias) if claim else None
        pod = tablet.pod
        if pod is None and entry is not None and entry.in_flight:
            pod = by_name.get((entry.pod_namespace or cluster.scope.namespace, entry.pod_name))
        if pod is not None:
            key = (pod.namespace, pod.owner_kind, pod.owner_name)
            if key not in owners:
                owners[key] = cluster.owner_of(pod)
        found.append(Member(replace(tablet, pod=pod), pod, owners[key] if pod is not None else None, claim, entry))
    return tuple(found)


def _claims(cluster: Cluster) -> dict[str, LeaseState]:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{cluster.scope.namespace}/leases"
    found = cluster.kube.items(path, f"{labels.MANAGED_BY}={labels.MANAGER}")
    return {str(item["metadata"]["name"]): parse_lease(item) for item in found}


def _shown(member: Member, goal: Wanted | None) -> dict[str, Any]:
    tablet, pod, owner = member.tablet, member.pod, member.owner
    return {
        "alias": str(tablet.alias),
        "keyspace": tablet.keyspace,
        "shard": tablet.shard,
        "cell": tablet.alias.cell,
        **describe(tablet, pod),
        "ready": bool(pod and pod.ready and is_at(pod, tablet.hostname)),
        "owner": f"{owner.kind}/{owner.name}" if owner else None,
        "refusal": owner.refusal if owner else "no Pod was found",
        "wanted_revision": owner.update_revision if owner else None,
        "wanted_image": owner.image("vttablet") if owner else None,
        "as_wanted": member.as_wanted(goal),
        "in_flight": member.in_flight,
        "claim": member.claim.identity if member.claim else "",
    }
