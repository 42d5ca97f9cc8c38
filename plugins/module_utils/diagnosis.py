# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with a tablet that is away by itself: cause, evidence, who may still mend it, what would, and what forbids that. Pure.

Nothing here allows an act: it says what would be one. The gates of the act decide, on evidence of their own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum

from . import vitess_operator
from .durability import replicates_from
from .fleet import HEALTHY_TYPES, Alias, Pod, Shard, Tablet, TabletType, away_reasons
from .gates import ERRANT, errant_problem
from .place import Node

# kubernetes.io/docs/concepts/architecture/nodes: non-graceful node shutdown. Whoever sets it says that the node is off.
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
NOT_PULLED = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull")
MYSQLD, VTTABLET = "mysqld", "vttablet"  # containers, as vitess-operator names them
# ER_MASTER_FATAL_ERROR_READING_BINLOG: the source has purged what this one lacks (MySQL manual, error 1236 / 13114).
PURGED = ("purged", "1236")


class Cause(str, Enum):
    """Why a tablet is away or will be; empty where nothing is wrong."""

    NONE = ""
    TAKEN = "taken"
    NODE_LOST = "node_lost"
    POD_MISSING = "pod_missing"
    POD_STOPPING = "pod_stopping"
    POD_FAILED = "pod_failed"
    POD_UNSCHEDULABLE = "pod_unschedulable"
    VOLUME_LOST = "volume_lost"
    IMAGE_NOT_PULLED = "image_not_pulled"
    CRASH_LOOP = "crash_loop"
    POD_NOT_READY = "pod_not_ready"
    VTTABLET_DEAD = "vttablet_dead"
    MYSQLD_DEAD = "mysqld_dead"
    RESTORING = "restoring"
    ERRANT_GTID = "errant_gtid"
    BINLOGS_PURGED = "binlogs_purged"
    REPLICATION_STOPPED = "replication_stopped"
    CATCHING_UP = "catching_up"
    DRAINED = "drained"
    OUT_OF_SERVICE = "out_of_service"
    NOT_ROUTED = "not_routed"

    def __str__(self) -> str:
        return self.value


class Mend(str, Enum):
    """What would bring it back, beside the proof at every vtgate that always comes last."""

    NOTHING = "nothing"
    REPLACE_POD = "replace_pod"
    START_REPLICATION = "start_replication"
    READMIT = "readmit"

    def __str__(self) -> str:
        return self.value


OWNER_WAIT, NODE_WAIT, PROCESS_WAIT = "owner_wait", "node_wait", "process_wait"
REPLICATION_WAIT, PRIMARY_WAIT, STALL_WAIT, NO_WAIT = "replication_wait", "primary_wait", "stall_wait", ""


@dataclass(frozen=True)
class Course:
    """How a cause is dealt with. patience: the option that bounds the wait for who mends it by itself; empty: nobody does."""

    patience: str
    waits_for: str
    mend: Mend
    command: str


_DESCRIBE = "kubectl -n {namespace} describe pod {pod}"
_LOGS = "kubectl -n {namespace} logs {pod} --all-containers --previous --tail 50"
COURSES: dict[Cause, Course] = {
    Cause.TAKEN: Course(
        NO_WAIT, "the roll that has it in flight", Mend.NOTHING, "run that roll again, or playbook abort"
    ),
    Cause.NODE_LOST: Course(
        NODE_WAIT,
        "the node to come back",
        Mend.REPLACE_POD,
        "when {node} is off for certain: kubectl taint nodes {node} "
        + OUT_OF_SERVICE
        + "=nodeshutdown:NoExecute, or node_fenced",
    ),
    Cause.POD_MISSING: Course(
        OWNER_WAIT, "its owner to recreate the Pod", Mend.NOTHING, "kubectl -n {namespace} get statefulsets,events"
    ),
    Cause.POD_STOPPING: Course(OWNER_WAIT, "its Pod to stop", Mend.NOTHING, _DESCRIBE),
    Cause.POD_FAILED: Course(OWNER_WAIT, "its owner to replace the failed Pod", Mend.REPLACE_POD, _DESCRIBE),
    Cause.POD_UNSCHEDULABLE: Course(OWNER_WAIT, "a node that takes it", Mend.REPLACE_POD, _DESCRIBE),
    Cause.VOLUME_LOST: Course(
        OWNER_WAIT,
        "its volume to come back",
        Mend.NOTHING,
        "only if that volume is lost for good: delete the claim and the Pod {pod}, and it restores from a backup",
    ),
    Cause.IMAGE_NOT_PULLED: Course(OWNER_WAIT, "the kubelet to pull its image", Mend.REPLACE_POD, _DESCRIBE),
    Cause.CRASH_LOOP: Course(OWNER_WAIT, "the kubelet to start it again", Mend.REPLACE_POD, _LOGS),
    Cause.POD_NOT_READY: Course(OWNER_WAIT, "its Pod to get Ready", Mend.REPLACE_POD, _DESCRIBE),
    Cause.VTTABLET_DEAD: Course(PROCESS_WAIT, "the kubelet to restart vttablet", Mend.REPLACE_POD, _LOGS),
    Cause.MYSQLD_DEAD: Course(PROCESS_WAIT, "the kubelet to restart mysqld", Mend.REPLACE_POD, _LOGS),
    Cause.RESTORING: Course(
        STALL_WAIT, "its restore from a backup to get on", Mend.NOTHING, "vtctldclient GetBackups {keyspace}/{shard}"
    ),
    Cause.ERRANT_GTID: Course(
        NO_WAIT, "nobody", Mend.READMIT, "vtctldclient RestoreFromBackup {alias}, or accept_errant if it is harmless"
    ),
    Cause.BINLOGS_PURGED: Course(NO_WAIT, "nobody", Mend.NOTHING, "vtctldclient RestoreFromBackup {alias}"),
    Cause.REPLICATION_STOPPED: Course(
        REPLICATION_WAIT, "vtorc to start replication", Mend.START_REPLICATION, "vtctldclient GetFullStatus {alias}"
    ),
    Cause.CATCHING_UP: Course(
        STALL_WAIT, "its replication to get on", Mend.NOTHING, "vtctldclient GetFullStatus {alias}"
    ),
    Cause.DRAINED: Course(NO_WAIT, "who drained it", Mend.READMIT, "find out why; then accept_drained: [{alias}]"),
    Cause.OUT_OF_SERVICE: Course(
        PROCESS_WAIT, "who took it out of service", Mend.NOTHING, "vtctldclient GetTablet {alias}"
    ),
    Cause.NOT_ROUTED: Course(
        NO_WAIT, "the vtgates to learn of it", Mend.READMIT, "mysql at each vtgate: SHOW VITESS_TABLETS"
    ),
}
# The Pod is there and would come back as it is: another one only helps where the owner makes it from another spec.
ONLY_ANOTHER_SPEC_HELPS = (Cause.POD_UNSCHEDULABLE, Cause.IMAGE_NOT_PULLED)
ELECT = "vtctldclient GetShard {keyspace}/{shard}; if vtorc does not elect: vtctldclient EmergencyReparentShard {keyspace}/{shard}"
OPTIONS = (OWNER_WAIT, NODE_WAIT, PROCESS_WAIT, REPLICATION_WAIT, PRIMARY_WAIT, STALL_WAIT)


@dataclass(frozen=True)
class Patient:
    """A tablet with all that a diagnosis looks at.

    pod: its Pod, also one to which no address leads. lost_node: why its node is lost, fence: who says that it is off; empty where not.
    vttablet_answers: None where nobody asked. restored: bytes that its vttablet has restored. volume_problem: why its volume cannot
    be had, in words. next_revision: what the owner would create now. taken_by: the roll that has it in flight; claimed: somebody
    holds the shard.
    """

    shard: Shard
    alias: Alias
    pod: Pod | None = None
    lost_node: str = ""
    fence: str = ""
    vttablet_answers: bool | None = None
    restored: int = 0
    volume_problem: str = ""
    next_revision: str = ""
    taken_by: str = ""
    claimed: bool = False
    accept_drained: frozenset[Alias] = frozenset()
    accept_errant: frozenset[Alias] = frozenset()
    max_lag_s: float = 10.0

    @property
    def tablet(self) -> Tablet:
        """Raises LookupError where the shard has none of that alias."""
        tablet = self.shard.tablet(self.alias)
        if tablet is None:
            raise LookupError(f"{self.shard} has no tablet {self.alias}")
        return tablet

    @property
    def primary(self) -> Tablet | None:
        """The tablet that the shard record names."""
        return self.shard.tablet(self.shard.primary) if self.shard.primary else None

    @property
    def is_primary(self) -> bool:
        """Whether the shard record names this very tablet."""
        return self.shard.primary == self.alias


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with one tablet. refusal: why nothing may be done about it (yet), empty if something may.

    progress: changes as long as a wait gets on by itself.
    """

    alias: Alias
    cause: Cause = Cause.NONE
    evidence: str = ""
    patience: str = NO_WAIT
    waits_for: str = ""
    mend: Mend = Mend.NOTHING
    refusal: str = ""
    command: str = ""
    progress: str = ""
    primary: bool = False
    ours_to_leave: bool = False  # somebody who lives works on it
    also: tuple[str, ...] = field(default=())

    @property
    def ails(self) -> bool:
        """Whether somebody should do something about it."""
        return self.cause is not Cause.NONE and not self.ours_to_leave

    @property
    def may_act(self) -> bool:
        """Whether we could do something about it, once its patience is over."""
        return self.ails and not self.refusal and self.mend is not Mend.NOTHING

    @property
    def fingerprint(self) -> str:
        """The same as long as the tablet ails of the same; evidence and Pods may change."""
        return hashlib.sha256(f"{self.alias}/{self.cause}".encode()).hexdigest()[:16] if self.cause else ""


def lost_node(pod: Pod | None, node: Node | None) -> str:
    """Why the node of a Pod is lost; empty where it is not, or the Pod has none."""
    if pod is None or not pod.node:
        return ""
    if node is None:
        return f"node {pod.node} is gone"
    return "" if node.ready else f"node {pod.node} is not Ready"


def fence_of(pod: Pod | None, node: Node | None, fenced: frozenset[str]) -> str:
    """Who says that the Pod's node is off for certain; empty where nobody does. Time never says so (design rule 4)."""
    if pod is None or not pod.node:
        return ""
    if node is None:
        return "its node object is gone"
    if any(taint.key == OUT_OF_SERVICE for taint in node.taints):
        return f"taint {OUT_OF_SERVICE}"
    return "node_fenced" if pod.node in fenced else ""


def mysqld_may_run(pod: Pod | None, lost: str, fence: str) -> bool:
    """Whether a mysqld may live in the Pod, even if nobody can ask it: then it may still acknowledge writes."""
    if pod is None:
        return False
    if lost:
        return not fence
    return MYSQLD in pod.running or (bool(pod.running) and MYSQLD not in dict(pod.images))


def diagnose(patient: Patient, namespace: str = "") -> Diagnosis:
    """The first cause that is found, from the outside in: node, Pod, processes, data, serving."""
    cause, evidence = _cause(patient)
    if cause is Cause.NONE:
        return Diagnosis(patient.alias, primary=patient.is_primary)
    course, pod, tablet = COURSES[cause], patient.pod, patient.tablet
    names = {
        "namespace": pod.namespace if pod else namespace,
        "pod": pod.name if pod else "",
        "node": pod.node if pod else "",
        "alias": patient.alias,
        "keyspace": tablet.keyspace,
        "shard": tablet.shard,
    }
    patience, waits_for, command, refusal = course.patience, course.waits_for, course.command, _refusal(patient, cause)
    if patient.is_primary and cause not in (Cause.TAKEN, Cause.NOT_ROUTED):
        patience, waits_for, command = PRIMARY_WAIT, "vtorc to elect another primary", ELECT
        refusal = "it is the PRIMARY, and vtorc has not replaced it: never touched before that"
    return Diagnosis(
        alias=patient.alias,
        cause=cause,
        evidence=evidence,
        patience=patience,
        waits_for=waits_for,
        mend=course.mend,
        refusal=refusal,
        command=command.format(**names),
        progress=_progress(patient, cause),
        primary=patient.is_primary,
        ours_to_leave=cause is Cause.TAKEN and patient.claimed,
        also=away_reasons(patient.shard, tablet),
    )


def _cause(patient: Patient) -> tuple[Cause, str]:
    if patient.taken_by:
        return Cause.TAKEN, f"roll {patient.taken_by} has it in flight"
    for find in (_of_pod, _of_processes, _of_data, _of_service):
        cause, evidence = find(patient)
        if cause is not Cause.NONE:
            return cause, evidence
    return Cause.NONE, ""


def _of_pod(patient: Patient) -> tuple[Cause, str]:
    pod = patient.pod
    if patient.lost_node:
        return Cause.NODE_LOST, patient.lost_node
    if pod is None:
        return Cause.POD_MISSING, "no Pod was found for it"
    if pod.terminating:
        return Cause.POD_STOPPING, f"Pod {pod.name} is stopping"
    if pod.phase in ("Failed", "Succeeded"):
        return Cause.POD_FAILED, f"Pod {pod.name} is {pod.phase}"
    if pod.ready:
        return Cause.NONE, ""
    if patient.volume_problem:
        return Cause.VOLUME_LOST, patient.volume_problem
    if "Unschedulable" in pod.trouble:
        return Cause.POD_UNSCHEDULABLE, pod.trouble
    if any(word in pod.trouble for word in NOT_PULLED):
        return Cause.IMAGE_NOT_PULLED, pod.trouble
    if "errant gtid" in pod.trouble.lower():
        return Cause.ERRANT_GTID, pod.trouble
    return Cause.NONE, ""


def _of_processes(patient: Patient) -> tuple[Cause, str]:
    pod, tablet = patient.pod, patient.tablet
    if pod is None or (pod.ready and tablet.mysqld is not None):
        return Cause.NONE, ""
    why = pod.trouble or tablet.mysqld_error or "it does not answer"
    if patient.vttablet_answers:
        if tablet.type is TabletType.RESTORE:
            return Cause.NONE, ""
        if tablet.mysqld is None and tablet.hostname:
            return Cause.MYSQLD_DEAD, f"vttablet in Pod {pod.name} answers, mysqld does not: {why}"
        return Cause.POD_NOT_READY, f"Pod {pod.name} is {pod.phase}, not Ready: {why}"
    if MYSQLD in pod.running and VTTABLET not in pod.running:
        return Cause.VTTABLET_DEAD, f"mysqld runs in Pod {pod.name}, vttablet does not: {why}"
    if pod.trouble:
        return Cause.CRASH_LOOP, pod.trouble
    if patient.vttablet_answers is False and pod.running:
        return Cause.VTTABLET_DEAD, f"vttablet in Pod {pod.name} does not answer: {why}"
    return Cause.POD_NOT_READY, f"Pod {pod.name} is {pod.phase}, not Ready"


def _of_data(patient: Patient) -> tuple[Cause, str]:
    tablet, primary = patient.tablet, patient.primary
    if tablet.type is TabletType.RESTORE:
        return Cause.RESTORING, f"it restores from a backup ({patient.restored} bytes so far)"
    status = tablet.mysqld
    if patient.is_primary or status is None or primary is None or primary.mysqld is None:
        return Cause.NONE, ""  # without a primary that answers nobody can replicate, and that is no fault of this one
    problem = errant_problem(tablet, primary)
    if problem.startswith(ERRANT) and patient.alias not in patient.accept_errant:
        return Cause.ERRANT_GTID, problem
    if not status.replicating or not replicates_from(tablet, primary):
        thread = (
            "IO"
            if not status.io_running
            else "SQL"
            if not status.sql_running
            else "its source is not the primary, whichever"
        )
        text = (
            f"replication does not run ({thread} thread){': ' + status.last_error[:150] if status.last_error else ''}"
        )
        purged = any(word in status.last_error.lower() for word in PURGED)
        return (Cause.BINLOGS_PURGED if purged else Cause.REPLICATION_STOPPED), text
    if status.lag_s is None or status.lag_s > patient.max_lag_s:
        return Cause.CATCHING_UP, f"lag is {'unknown' if status.lag_s is None else f'{status.lag_s:.0f} s'}"
    return Cause.NONE, ""


def _of_service(patient: Patient) -> tuple[Cause, str]:
    tablet = patient.tablet
    if tablet.type is TabletType.DRAINED:
        if problem := errant_problem(tablet, patient.primary):
            return Cause.ERRANT_GTID, f"it is DRAINED by somebody else, with {problem}"
        return Cause.DRAINED, "it was DRAINED by somebody else (vtorc drains errant tablets)"
    if tablet.type not in HEALTHY_TYPES:
        return Cause.OUT_OF_SERVICE, f"type {tablet.type}"
    reasons = away_reasons(patient.shard, tablet)
    return (Cause.NOT_ROUTED, "; ".join(reasons)) if reasons else (Cause.NONE, "")


def _refusal(patient: Patient, cause: Cause) -> str:
    """What forbids the mend of this cause, but for the primary."""
    pod = patient.pod
    if COURSES[cause].mend is Mend.NOTHING:
        return f"only {COURSES[cause].waits_for} would mend it"
    if COURSES[cause].mend is Mend.REPLACE_POD and pod is not None and pod.owner_kind == vitess_operator.KIND:
        return f"its Pod is of a {vitess_operator.KIND}: vitess-operator alone takes it away"
    if cause is Cause.NODE_LOST and not patient.fence:
        return "nobody says that its node is off for certain: its processes may still run there"
    if cause in ONLY_ANOTHER_SPEC_HELPS and pod is not None and pod.revision == patient.next_revision:
        return "its owner would create the same Pod again"
    if cause is Cause.ERRANT_GTID and (patient.alias not in patient.accept_errant or patient.tablet.mysqld is None):
        return "errant GTIDs: it would serve, and might give to others, what no primary has written"
    if cause is Cause.DRAINED and patient.alias not in patient.accept_drained:
        return "somebody else took it out of service"
    return ""


def _progress(patient: Patient, cause: Cause) -> str:
    """What changes as long as a restore or a catch-up gets on; empty for waits that have no such thing."""
    status = patient.tablet.mysqld
    if COURSES[cause].patience != STALL_WAIT:
        return ""
    return f"{patient.restored}/{status.gtid_executed.count() if status else 0}"
