# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gathers what a diagnosis looks at: a closer look at the tablets that a read of their shard shows to be not well. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

from .claim import LeaseState
from .cluster import Cluster, in_parallel
from .diagnosis import Diagnosis, Patient, diagnose, fence_of, lost_node
from .errors import EdgeError
from .fleet import Alias, Pod, Shard, Tablet, TabletType

RECOVER = "recover"  # the step in the journal: what a recovery has in flight is its own to go on with
# A tablet on a lost node does not answer at all; what is waited for it makes all other evidence old (gates.evidence_is_fresh).
STATUS_TIMEOUT_S = 1.0


@dataclass
class Examiner:
    """Looks at tablets of one cluster, as often as somebody asks; remembers by name the Pods to which no address led."""

    cluster: Cluster
    fenced: frozenset[str] = frozenset()
    accept_drained: frozenset[Alias] = frozenset()
    accept_errant: frozenset[Alias] = frozenset()
    max_lag_s: float = 10.0
    _names: dict[Alias, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cluster.vtctld.status_timeout_s = STATUS_TIMEOUT_S

    def diagnose_shard(self, keyspace: str, name: str, lease: LeaseState | None) -> list[Diagnosis]:
        """Every tablet of a shard."""
        former = {entry.address for entry in lease.journal.values() if entry.address} if lease else set()
        shard = self.cluster.read_shard(keyspace, name, former=former)
        looks = [partial(self.examine, shard, tablet.alias, lease) for tablet in shard.tablets]
        return [diagnose(patient, self.cluster.scope.namespace) for patient in in_parallel(looks)]

    def examine(self, shard: Shard, alias: Alias, lease: LeaseState | None) -> Patient:
        """One tablet of a shard that was read a moment ago. lease: its shard's, with the journal. Raises EdgeError."""
        tablet = shard.tablet(alias)
        if tablet is None:
            raise EdgeError(f"{shard} has no tablet {alias} any more")
        entry = lease.journal.get(alias) if lease else None
        foreign = entry is not None and entry.in_flight and RECOVER not in entry.steps
        patient = Patient(
            shard=shard,
            alias=alias,
            pod=tablet.pod,
            taken_by=((entry.rolls[-1:] or ("that is not known",))[0] if entry else "") if foreign else "",
            claimed=lease is not None and bool(lease.identity) and not (lease.holder and lease.holder.is_gone),
            accept_drained=self.accept_drained,
            accept_errant=self.accept_errant,
            max_lag_s=self.max_lag_s,
        )
        if _looks_well(tablet):
            return patient
        pod = tablet.pod or self._pod_of(
            shard, tablet, entry.pod_name if entry else "", entry.pod_namespace if entry else ""
        )
        return self._closely(patient, pod)

    def _closely(self, patient: Patient, pod: Pod | None) -> Patient:
        if pod is None:
            return replace(patient, pod=None)
        cluster = self.cluster
        node = next(iter(cluster.node(pod.node)), None) if pod.node else None
        lost, fence = lost_node(pod, node), fence_of(pod, node, self.fenced)
        answers, restored = None, 0
        if pod.ip and not lost and not pod.terminating and pod.phase not in ("Failed", "Succeeded"):
            try:
                said = cluster.vttablet.vars(pod)
                answers, restored = said.alias in (None, patient.alias), said.restored
                pod = pod if answers else None
            except EdgeError:
                answers = False
        waits = pod is not None and not pod.ready and not pod.node
        return replace(
            patient,
            pod=pod,
            lost_node=lost,
            fence=fence,
            vttablet_answers=answers,
            restored=restored,
            volume_problem=cluster.volume_problem(pod) if pod is not None and waits else "",
            next_revision=cluster.owner_of(pod).update_revision if pod is not None and not pod.ready else "",
        )

    def _pod_of(self, shard: Shard, tablet: Tablet, name: str, namespace: str) -> Pod | None:
        """The Pod of a tablet at whose address there is none (design section 5): by the journal, its own command line, the notes on
        its volume claim, else as the only one of the owner that has Pods for just this shard's tablets. Raises EdgeError for two.
        """
        cluster, alias = self.cluster, tablet.alias
        taken = {other.pod.uid for other in shard.others(alias) if other.pod is not None}
        if known := self._names.get(alias):
            namespace, name = known
        if name:
            pod = cluster.pod(namespace or cluster.scope.namespace, name)
            if pod is not None and pod.uid not in taken and pod.alias in (None, alias):
                return pod
        every = [pod for pod in cluster.tablet_pods() if pod.uid not in taken]
        loose = [pod for pod in every if not pod.ready and pod.alias in (None, alias)]
        found = [pod for pod in loose if pod.alias == alias or cluster.tablet_on_volumes(pod) == alias]
        if len(found) > 1:
            raise EdgeError(
                f"{alias}: {len(found)} Pods are its: {', '.join(f'{p.namespace}/{p.name}' for p in found)}"
            )
        found = found or [pod for pod in (_by_elimination(shard, tablet, every),) if pod is not None and not pod.ready]
        if not found:
            return None
        self._names[alias] = (found[0].namespace, found[0].name)
        return found[0]


def _by_elimination(shard: Shard, tablet: Tablet, loose: list[Pod]) -> Pod | None:
    """Where all other tablets of the shard have Pods of one owner, and that has just one more, it is this tablet's."""
    others = [other.pod for other in shard.others(tablet.alias)]
    owners = {pod.owner for pod in others if pod is not None}
    if not others or None in others or len(owners) != 1:
        return None
    left = [pod for pod in loose if pod.owner in owners and pod.alias in (None, tablet.alias)]
    return left[0] if len(left) == 1 else None


def _looks_well(tablet: Tablet) -> bool:
    """Whether Pod and mysqld answer for themselves, so that nobody need look closer."""
    pod = tablet.pod
    return (
        pod is not None
        and pod.ready
        and not pod.terminating
        and tablet.mysqld is not None
        and tablet.type is not TabletType.RESTORE
    )
