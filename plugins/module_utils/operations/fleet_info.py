# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What there is: every tablet with its type, Pod, versions, whether it is as its owner wants it, and whether a roll holds it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from .. import labels
from ..arguments import cluster_spec
from ..claim import Entry, LeaseState, leases_path, parse_lease, read_lease
from ..cluster import Cluster, in_parallel
from ..errors import Refused
from ..fleet import Alias, Pod, Tablet
from ..identity import is_at
from ..owners import Owner, Wanted
from ..session import describe
from ..waiting import Clock

# So many tablets are looked up by name; of more, the whole fleet is listed.
ONE_BY_ONE = 12


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
        if goal is None and self.owner and self.owner.lag:
            return False
        goal = goal or (Wanted(revision=self.owner.update_revision) if self.owner else None)
        return goal is not None and goal.met_by(self.pod) and not self.in_flight


def run(params: dict[str, Any], cluster: Cluster, clock: Clock) -> dict[str, Any]:
    """A few tablets that are named cost a few requests, whatever the fleet's size; else it is listed. Raises EdgeError, ValueError."""
    wanted = frozenset(Alias.parse(text) for text in params["tablets"])
    keyspaces = params["keyspaces"]
    few = 0 < len(wanted) <= ONE_BY_ONE
    chosen = [
        member
        for member in (read_members(cluster, wanted) if few else read_fleet(cluster))
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
    if few:
        chosen = in_parallel([partial(_in_its_own_pod, cluster, member, goal) for member in chosen])
    return {"changed": False, "tablets": [_shown(member, goal) for member in chosen]}


def read_fleet(cluster: Cluster) -> tuple[Member, ...]:
    """Every tablet, by keyspace, shard and alias: lists of the topology, the Pods, the owners and the claims."""
    with ThreadPoolExecutor(3) as pool:
        reads = (pool.submit(cluster.vtctld.tablets), pool.submit(cluster.tablet_pods), pool.submit(_claims, cluster))
        tablets, pods, leases = reads[0].result(), reads[1].result(), reads[2].result()
    by_name = {(pod.namespace, pod.name): pod for pod in pods}
    return _members(cluster, tablets, pods, leases, lambda namespace, name: by_name.get((namespace, name)))


def read_members(cluster: Cluster, aliases: Collection[Alias]) -> tuple[Member, ...]:
    """Those tablets, looked up by name and address; one that the topology does not have is left out."""
    records = in_parallel([partial(_record, cluster, alias) for alias in sorted(aliases)])
    tablets = [record for record in records if record is not None]
    names = sorted({labels.shard_lease(tablet.keyspace, tablet.shard) for tablet in tablets})
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(cluster.pods_at, {tablet.hostname for tablet in tablets} - {""})
        asked = in_parallel([partial(read_lease, cluster.kube, cluster.scope.namespace, name) for name in names])
        pods = found.result()
    leases = {name: lease for name, lease in zip(names, asked, strict=True) if lease is not None}
    return _members(cluster, tablets, pods, leases, cluster.pod)


def _record(cluster: Cluster, alias: Alias) -> Tablet | None:
    try:
        return cluster.vtctld.tablet(alias)
    except Refused as error:
        if "doesn't exist" in str(error):  # topo.NoNode (go/vt/topo/errors.go)
            return None
        raise


def _members(
    cluster: Cluster,
    tablets: Sequence[Tablet],
    pods: Sequence[Pod],
    leases: Mapping[str, LeaseState],
    pod_named: Callable[[str, str], Pod | None],
) -> tuple[Member, ...]:
    """Each tablet with what belongs to it; the Pod of one in flight whose address is blank is the one that the journal names."""
    placed: list[tuple[Tablet, LeaseState | None, Entry | None]] = []
    for tablet in cluster.with_pods(sorted(tablets, key=lambda t: (t.keyspace, t.shard, t.alias)), pods):
        claim = leases.get(labels.shard_lease(tablet.keyspace, tablet.shard))
        entry = claim.journal.get(tablet.alias) if claim else None
        pod = tablet.pod
        if pod is None and entry is not None and entry.in_flight:
            pod = pod_named(entry.pod_namespace or cluster.scope.namespace, entry.pod_name)
        placed.append((replace(tablet, pod=pod), claim, entry))
    owners = cluster.owners_of(tablet.pod for tablet, _claim, _entry in placed if tablet.pod is not None)
    return tuple(
        Member(tablet, tablet.pod, owners[tablet.pod.owner] if tablet.pod is not None else None, claim, entry)
        for tablet, claim, entry in placed
    )


def _in_its_own_pod(cluster: Cluster, member: Member, goal: Wanted | None) -> Member:
    """The member, without its Pod where that would make it as wanted and says that it is another tablet.

    A lost tablet's address may have been given to a tablet that was not asked for, and this one would be skipped for its sake.
    """
    pod = member.pod
    if pod is None or pod.alias is not None or not member.as_wanted(goal):
        return member
    if cluster.says(pod) in (None, member.alias):
        return member
    return replace(member, tablet=replace(member.tablet, pod=None), pod=None, owner=None)


def _claims(cluster: Cluster) -> dict[str, LeaseState]:
    found = cluster.kube.each(leases_path(cluster.scope.namespace), f"{labels.MANAGED_BY}={labels.MANAGER}")
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
