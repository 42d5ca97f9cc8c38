# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Have vitess-operator take a drained tablet's Pod away: released for a change of its spec, or drained by its protocol and deleted to be moved."""

from __future__ import annotations

from collections.abc import Callable

from . import labels, vitess_operator
from .claim import ClaimLost
from .cluster import explain
from .errors import EdgeError, OutcomeUnknown, Refused
from .fleet import Pod
from .owners import Wanted
from .session import Session
from .waiting import Look, WaitTimeout

Recheck = Callable[[], None]


def wait_available(session: Session, pod: Pod, recheck: Recheck = lambda: None) -> None:
    """Wait until the operator counts every tablet of the shard as available: before, a drain of its hangs without a word.

    Raises WaitTimeout. recheck: what must hold as long as it is not.
    """

    def look() -> Look[bool]:
        missing = vitess_operator.not_available(session.cluster.operator_tree(pod).shard)
        if not missing:
            return Look(True)
        recheck()
        return Look(missing=f"{', '.join(missing)} not available to it yet")

    session.until(look, "vitess-operator", vitess_operator.AVAILABLE_WITHIN_S, every_s=1.0)


def remove(session: Session, pod: Pod, wanted: Wanted | None, recheck: Recheck) -> bool:
    """Until that very Pod is gone or going; False where the change turned out to need no new Pod.

    recheck: raises StepFailure, the tablet put back, where a gate is red by now and the Pod stays. Raises StepFailure.
    """
    try:
        wait_available(session, pod, recheck)
        if wanted is not None and wanted.since is not None:
            return _drain_and_delete(session, pod, recheck)
        if not _wait_scheduled(session, pod):
            return False
        return _release(session, pod, recheck)
    except ClaimLost:
        raise
    except (WaitTimeout, EdgeError) as error:
        state = session.put_back(session.drained_by_us[session.alias], "vitess-operator did not take its Pod")
        raise session.failure(
            explain(error) if isinstance(error, EdgeError) else str(error), gate="release", state=state
        ) from error


def _same(session: Session, pod: Pod) -> Pod | None:
    now = session.cluster.pod(pod.namespace, pod.name)
    return None if now is None or now.uid != pod.uid or now.terminating else now


def _wait_scheduled(session: Session, pod: Pod) -> bool:
    """Release the VitessKeyspace, then the VitessShard, each once its change is scheduled, until the Pod's own is; False where it has none.

    What is released is what was seen: the write carries the resourceVersion of the look.
    """
    resources = {"VitessKeyspace": vitess_operator.KEYSPACES, "VitessShard": vitess_operator.SHARDS}

    def look() -> Look[bool]:
        tree = session.cluster.operator_tree(pod)
        for level in (tree.keyspace, tree.shard):
            if level.scheduled and not level.released:
                meta = level.item["metadata"]
                session.held.renew()
                annotations = {vitess_operator.RELEASED: vitess_operator.reason_of(session.held.roll)}
                seen = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "annotations": annotations}
                path = vitess_operator.path(resources[level.kind], pod.namespace, level.name)
                _unless_changed(lambda path=path, seen=seen: session.cluster.kube.merge(path, {"metadata": seen}))  # type: ignore[misc]
            if level.scheduled:
                return Look(missing=f"{level} takes its change over")
        now = _same(session, pod)
        if tree.pending or tree.unobserved:
            return Look(missing=tree.pending or tree.unobserved)
        if now is None or now.marks.scheduled:
            return Look(True)
        if now.revision == vitess_operator.owner_of(tree, now).current_revision:
            return Look(False)
        return Look(missing=f"Pod {pod.name} has no change scheduled")

    return bool(session.until(look, "the change to be scheduled", session.params["evict_timeout"], every_s=0.1))


def _release(session: Session, pod: Pod, recheck: Recheck) -> bool:
    """Release the one Pod; the gates are looked at again as long as it stays."""

    def look() -> Look[bool]:
        now = _same(session, pod)
        if now is None:
            return Look(True)
        recheck()
        if not now.marks.released:
            _annotate(session, now, vitess_operator.RELEASED)
        return Look(missing=f"Pod {pod.name} is {now.marks or 'not released'}")

    return bool(session.until(look, "vitess-operator", session.params["evict_timeout"]))


def _drain_and_delete(session: Session, pod: Pod, recheck: Recheck) -> bool:
    """The drain that the operator grants to one tablet of a shard at a time; when it is granted, the Pod is deleted, no primary by then."""

    def look() -> Look[bool]:
        now = _same(session, pod)
        if now is None:
            return Look(True)
        recheck()
        if not now.marks.started:
            _annotate(session, now, vitess_operator.STARTED)
        elif now.marks.finished:
            version = _annotate(session, now)
            if version:
                _unless_changed(lambda: session.cluster.kube.delete_pod(now.namespace, now.name, now.uid, version))
        return Look(missing=f"Pod {pod.name} is {now.marks or 'not drained'}")

    return bool(session.until(look, "vitess-operator's drain", session.params["evict_timeout"]))


def _annotate(session: Session, pod: Pod, ask: str = "") -> str:
    """Mark the Pod as this claim's, then ask with what that write made of it; its version then, empty where it changed meanwhile.

    ask: the operator's annotation that asks for its removal.
    """
    claim, kube = session.held, session.cluster.kube
    claim.renew()
    marks: dict[str, str | None] = {labels.ROLL: claim.roll, labels.TRANSITION: str(claim.transitions)}
    versions: list[str] = []

    def write() -> None:
        marked = kube.annotate_pod(pod.namespace, pod.name, pod.uid, marks)
        if vitess_operator.FINISHED not in (marked["metadata"].get("annotations") or {}) and pod.marks.finished:
            return
        version = str(marked["metadata"]["resourceVersion"])
        if ask:
            asked: dict[str, str | None] = {ask: vitess_operator.reason_of(claim.roll)}
            kube.annotate_pod(pod.namespace, pod.name, pod.uid, asked, version)
        versions.append(version)

    _unless_changed(write)
    return versions[0] if versions else ""


def _unless_changed(write: Callable[[], object]) -> None:
    """A write that is looked at again, and repeated, where its object changed or went, or its answer was lost."""
    try:
        write()
    except OutcomeUnknown:
        pass
    except Refused as error:
        if error.status not in (404, 409):
            raise
