# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Have the owner recreate a drained tablet's Pod, fenced, and prove that the new one runs what is wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from .. import gates, labels, operator_removal, vitess_operator
from ..arguments import cluster_spec, roll_spec
from ..claim import ClaimLost
from ..cluster import explain
from ..errors import EdgeError, OutcomeUnknown, Refused, StepFailure
from ..fleet import Pod, TabletType
from ..owners import Wanted
from ..session import Session, describe
from ..waiting import Look, WaitTimeout

SLOW_SHUTDOWN = "SET GLOBAL innodb_fast_shutdown = 0"
FAST_SHUTDOWN = "SELECT @@global.innodb_fast_shutdown"
GIVE_UP_EARLY = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError")


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        **roll_spec(),
        "evict_timeout": {"type": "float", "default": 120.0},
        "ready_timeout": {"type": "float", "default": 600.0},
        "image_timeout": {"type": "float", "default": 60.0},
    }


def run(session: Session) -> dict[str, Any]:
    """Replace one tablet's Pod. Raises StepFailure; a drained tablet whose gates are red is put back first."""
    with session.failing():
        session.locate()
        entry = session.entry
        with session.phases.phase("look"):
            case = session.fresh_case(canary=entry.in_flight and "replace" not in entry.steps)
        tablet, pod = case.tablet, session.pod_of(case.tablet)
        before = describe(tablet, pod)
        wanted = case.wanted
        removed = (
            entry.in_flight and bool(entry.pod_uid) and (pod is None or pod.uid != entry.pod_uid or pod.terminating)
        )
        if not removed and wanted is not None and wanted.met_by(pod) and session.alias not in session.drained_by_us:
            return session.result(False, before, before)
        if session.params["_check_mode"]:
            session.require(gates.REPLACE, case)
            return session.result(
                True, before, {**before, "pod_uid": None, "revision": wanted.revision if wanted else None}
            )
        claim = session.hold()
        if session.must_look_again:
            return run(session)
        if not removed:
            if session.alias in session.drained_by_us:
                session.state = f"it is DRAINED (was {entry.original_type})"
            with session.phases.phase("gates"):
                case = case if session.still_good(case) else session.fresh_case()
                _require_or_put_back(session, case)
            if gates.slow_shutdown_is_needed(case):
                with session.phases.phase("innodb_fast_shutdown=0"):
                    _stop_slowly(session)
                    case = session.fresh_case()
                    _require_or_put_back(session, case)
            pod = case.tablet.pod
            if pod is None:
                raise session.failure("its Pod was not found", gate="owner_is_supported")
            leaves_at = case.tablet.mysqld.gtid_executed if case.tablet.mysqld else ""
            entry = session.entry
            entry = replace(entry, position=str(leaves_at), accepted=(*entry.accepted, *session.passed))
            claim.intend(session.alias, entry, "replace")
            if pod.owner_kind == vitess_operator.KIND:
                with session.phases.phase("release"):
                    leaves = operator_removal.remove(session, pod, wanted, partial(_recheck, session, pod))
                if not leaves:
                    session.put_back(session.drained_by_us[session.alias], "the change needed no new Pod")
                    return session.result(True, before, {**before, "type": str(entry.original_type)})
                session.state = "it is DRAINED and vitess-operator replaces its Pod"
            else:
                with session.phases.phase("evict"):
                    evict(
                        session,
                        pod,
                        still_allowed=lambda: _require_or_put_back(session, session.fresh_case()),
                        give_up=lambda: session.put_back(
                            session.drained_by_us[session.alias], "its Pod could not be evicted"
                        ),
                    )
                session.state = "it is DRAINED and its Pod was evicted"
        old_uid = entry.pod_uid or (pod.uid if pod else "")
        namespace = entry.pod_namespace or (pod.namespace if pod else session.cluster.scope.namespace)
        with session.phases.phase("pod stop and start"):
            new = _wait_new_pod(session, namespace, entry.pod_name or (pod.name if pod else ""), old_uid, wanted)
        session.did("replace")
        after = {
            **before,
            "pod_uid": new.uid,
            "revision": new.revision,
            "node": new.node,
            "image": new.image("vttablet"),
            "hostname": new.ip,
        }
        done_before = entry.steps.get("replace", (0.0, None))[1] is not None
        return session.result(not done_before, before, after)


def _require_or_put_back(session: Session, case: gates.Case) -> None:
    """All gates, right before the eviction; a sibling that was lost since the drain brings this tablet back at once.

    An errant GTID does not: vtorc may have drained it for that in the moment of our own drain, and it must not serve.
    """
    try:
        session.require(gates.REPLACE, case, acting=True)
    except StepFailure as failure:
        if gates.errant_problem(case.tablet, case.primary).startswith(gates.ERRANT):
            failure.state = "it is DRAINED and stays so: a tablet with errant GTIDs must not serve"
            failure.next_command = "restore it from a backup, then run the same playbook again"
        elif session.alias in session.drained_by_us and case.tablet.type == TabletType.DRAINED:
            failure.state = session.put_back(session.drained_by_us[session.alias], "a gate turned red")
        raise


def _recheck(session: Session, pod: Pod) -> None:
    """The gates once more, while vitess-operator has not begun; where it has, what is red is the Pod's own going."""
    case = session.fresh_case()
    if gates.red(gates.evaluate(gates.REPLACE, case)) and session.is_gone(pod):
        return
    _require_or_put_back(session, case)


def _stop_slowly(session: Session) -> None:
    """Have this mysqld purge its undo log when it stops, and look whether it will; it keeps that setting until it starts anew.

    vitess-operator sets it too, but goes on where that fails. Raises StepFailure, the tablet put back.
    """
    vtctld = session.cluster.vtctld
    session.held.renew()
    try:
        vtctld.query(session.alias, SLOW_SHUTDOWN)
        value = vtctld.query(session.alias, FAST_SHUTDOWN)
        problem = "" if value == [["0"]] else f"innodb_fast_shutdown is {value[0][0] if value else 'unknown'}, not 0"
    except EdgeError as error:
        problem = f"innodb_fast_shutdown could not be set: {explain(error)}"
    if problem:
        state = session.put_back(session.drained_by_us[session.alias], "its mysqld would not be stopped slowly")
        raise session.failure(problem, gate="slow_shutdown", state=state)


def evict(
    session: Session,
    pod: Pod,
    still_allowed: Callable[[], None],
    give_up: Callable[[], str],
    node_is_off: bool = False,
) -> None:
    """Evict that very Pod. Too many requests is a bounded wait, more than one budget is permanent; never a plain delete (design rule 4).

    still_allowed: raises where the gates turned red since the first try. give_up: says in what state it leaves the tablet.
    """
    claim = session.held
    kube = session.cluster.kube
    tried = False

    def look() -> Look[bool]:
        nonlocal tried
        if tried:
            if session.is_gone(pod):
                return Look(True)
            # The wait made the gates' evidence void: a sibling may be lost by now (design rule 2).
            still_allowed()
        tried = True
        claim.renew()
        try:
            marked = kube.annotate_pod(
                pod.namespace, pod.name, pod.uid, {labels.ROLL: claim.roll, labels.TRANSITION: str(claim.transitions)}
            )
            kube.evict(pod.namespace, pod.name, pod.uid, str(marked["metadata"]["resourceVersion"]), node_is_off)
        except OutcomeUnknown:
            return Look(True) if session.is_gone(pod) else Look(missing="the eviction's answer was lost")
        except Refused as error:
            if error.status in (404, 409):
                return Look(True) if session.is_gone(pod) else Look(missing="the Pod changed in the same moment")
            if error.status == 429:
                return Look(missing=f"a disruption budget holds it: {error}")
            raise
        return Look(True)

    try:
        session.until(look, "the eviction", session.params["evict_timeout"], every_s=0.5)
    except ClaimLost:
        raise
    except (WaitTimeout, EdgeError) as error:
        state = give_up()
        forbidden = isinstance(error, Refused) and error.status in (401, 403)
        raise session.failure(
            explain(error) if isinstance(error, EdgeError) else str(error),
            gate="eviction",
            state=state,
            next_command=f"kubectl -n {pod.namespace} auth can-i create pods --subresource=eviction"
            if forbidden
            else f"kubectl -n {pod.namespace} get pdb",
        ) from error


def _wait_new_pod(session: Session, namespace: str, name: str, old_uid: str, wanted: Wanted | None) -> Pod:
    """A new uid, as wanted, Ready. Fails early where its spec is not the wanted one or its image cannot be had."""
    command = f"kubectl -n {namespace} describe pod {name}"

    def look() -> Look[Pod]:
        pod = session.cluster.pod(namespace, name)
        if pod is None:
            return Look(missing=f"the owner has not recreated {name}")
        if pod.uid == old_uid:
            return Look(missing=f"{name} is stopping")
        if pod.owner_kind == vitess_operator.KIND and not pod.revision:
            return Look(missing=f"vitess-operator has not said what {name} is")
        if wanted is not None and not wanted.met_by(pod):
            raise session.failure(
                f"the owner recreated {name} as {pod.revision}, wanted is {wanted}",
                gate="spec_is_as_planned",
                next_command=command,
            )
        if (
            any(reason in pod.trouble for reason in GIVE_UP_EARLY)
            and session.clock.time() - pod.created > session.params["image_timeout"]
        ):
            raise session.failure(f"{name} does not start: {pod.trouble}", gate="pod_ready", next_command=command)
        if not pod.ready:
            return Look(missing=f"{name} is {pod.phase}, not Ready{': ' + pod.trouble if pod.trouble else ''}")
        return Look(pod)

    try:
        found: Pod = session.until(look, "the new Pod", session.params["ready_timeout"], every_s=0.2)
    except WaitTimeout as error:
        raise session.failure(str(error), gate="pod_ready", next_command=command) from error
    return found
