# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take a REPLICA or RDONLY out of serving and prove that nothing runs on it any more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from .. import gates, operator_removal, vitess_operator
from ..arguments import cluster_spec, roll_spec
from ..claim import ClaimLost
from ..clients.vttablet import SERVING_POOLS, TRANSACTION_POOLS
from ..errors import EdgeError
from ..fleet import Pod, TabletType
from ..session import Session, describe
from ..waiting import Look, WaitTimeout

OPEN_TRANSACTIONS = "SELECT trx_mysql_thread_id, TIMESTAMPDIFF(SECOND, trx_started, NOW()) AS age FROM information_schema.innodb_trx ORDER BY age DESC LIMIT 20"
# performance_schema has the same list, but is empty where it is off (as on the lab): nobody would seem to be logged in.
FOREIGN_SESSIONS = (
    "SELECT user, command, COUNT(*) FROM information_schema.processlist WHERE user NOT LIKE 'vt\\\\_%' "
    "AND user NOT IN ('system user', 'event_scheduler') GROUP BY user, command LIMIT 20"
)


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        **roll_spec(),
        "transaction_policy": {"type": "str", "choices": ["wait", "cut", "skip"], "default": "wait"},
        "transaction_limit": {"type": "float", "default": 2.0},
        "transaction_wait": {"type": "float", "default": 10.0},
        "idle_timeout": {"type": "float", "default": 60.0},
        "idle_samples": {"type": "int", "default": 3},
    }


def run(session: Session) -> dict[str, Any]:
    """Drain one tablet. Raises StepFailure; a tablet that does not get idle in time is put back first."""
    with session.failing():
        session.locate()
        entry = session.entry
        with session.phases.phase("look"):
            case = session.fresh_case(canary=not entry.in_flight, rights=True)
        tablet, pod = case.tablet, session.pod_of(case.tablet)
        before = describe(tablet, pod)
        if entry.in_flight and pod is not None and entry.pod_uid and pod.uid != entry.pod_uid:
            return session.result(False, before, before, note="its Pod was replaced already")
        if tablet.type == TabletType.DRAINED and session.alias in session.drained_by_us:
            session.state = "it is DRAINED by this roll"
            if session.params["_check_mode"]:
                return session.result(False, before, before)
            session.hold()
            if session.must_look_again:
                return run(session)
            if pod is not None and not pod.terminating and not session.removal_intended:
                _wait_idle(session, pod, entry.original_type)
            if session.entry.steps["drain"][1] is None:
                session.did("drain")
            return session.result(False, before, before)
        session.require(gates.DRAIN, case)
        after = {**before, "type": str(TabletType.DRAINED)}
        if session.params["_check_mode"]:
            return session.result(True, before, after)
        if pod is None:
            raise session.failure("its Pod was not found", gate="owner_is_supported")
        claim = session.hold()
        if session.must_look_again:
            return run(session)
        session.cluster.label_volume(pod, session.alias)
        if pod.owner_kind == vitess_operator.KIND:
            with session.phases.phase("available to vitess-operator"):
                _wait_available(session, pod)
        with session.phases.phase("wait for transactions"):
            waited = _wait_transactions(session, pod)
        with session.phases.phase("gates"):
            case = case if session.still_good(case) else session.fresh_case(rights=True)
            session.require(gates.DRAIN, case, acting=True)
        tablet, pod = case.tablet, case.tablet.pod
        if pod is None or tablet.mysqld is None or case.wanted is None:
            raise session.failure("its Pod, its mysqld or its owner's revision is not known", gate="owner_is_supported")
        # Right after its reparent, that one's part of the journal stays.
        before_it = entry.anew(session.clock.time()).history
        entry = replace(
            before_it,
            accepted=(*before_it.accepted, *session.accepted(case)),
            image=pod.image("vttablet"),
            revision=pod.revision,
            original_type=tablet.type,
            wanted=case.wanted.revision,
            pod_namespace=pod.namespace,
            pod_name=pod.name,
            pod_uid=pod.uid,
            address=tablet.hostname,
            server_uuid=tablet.mysqld.server_uuid,
            position=str(tablet.mysqld.gtid_executed),
        )
        with session.phases.phase("drain"):
            claim.intend(session.alias, entry, "drain")
            session.change_type(TabletType.DRAINED)
            session.state = f"it is DRAINED (was {tablet.type})"
        with session.phases.phase("idle"), ThreadPoolExecutor(1) as aside:
            sessions = aside.submit(_foreign_sessions, session)
            _wait_idle(session, pod, tablet.type)
        session.did("drain")
        return session.result(True, before, after, transactions=waited, sessions=sessions.result())


def _wait_available(session: Session, pod: Pod) -> None:
    """Until vitess-operator would take a Pod of the shard: better before the drain than when the tablet serves no more."""
    try:
        operator_removal.wait_available(session, pod)
    except WaitTimeout as error:
        raise session.failure(str(error), gate="available") from error


def _wait_transactions(session: Session, pod: Pod) -> dict[str, Any]:
    """Wait for open transactions: DRAINED breaks the ones that are open (VT15001), and no new type lets them end by themselves.

    Until none is open or the bound has passed; then those older than the limit decide by the policy.
    """
    limit, policy = session.params["transaction_limit"], session.params["transaction_policy"]
    if policy == "skip":
        return {"policy": policy, "cut": None}
    last: list[int] = []

    def look() -> Look[bool]:
        busy = session.cluster.vttablet.vars(pod).busy(TRANSACTION_POOLS)
        last[:] = [sum(count or 0 for count in busy.values())]
        return Look(True) if not busy else Look(missing=", ".join(f"{pool} {count}" for pool, count in busy.items()))

    try:
        session.until(look, "open transactions to end", session.params["transaction_wait"], every_s=0.02)
    except WaitTimeout as error:
        old = [
            f"{thread} ({age} s)"
            for thread, age in session.cluster.vtctld.query(session.alias, OPEN_TRANSACTIONS)
            if float(age or 0) > limit
        ]
        if old and policy == "wait":
            raise session.failure(
                f"transactions older than {limit:.0f} s are open after {error.waited_s:.0f} s: {', '.join(old)}",
                gate="transactions",
                next_command="end them, or set transaction_policy: cut",
            ) from error
        return {"policy": policy, "cut": last[0] if last else 0, "older": old}
    return {"policy": policy, "cut": 0}


def _wait_idle(session: Session, pod: Pod, original: TabletType) -> None:
    """All serving pools are 0 for N looks in a row; a counter that is missing is red. Else put it back and fail.

    Transactions that were open in the moment of the change can execute nothing more (VT15001) and stay in their pool until
    vttablet's transaction timeout: where no query is live, they are not waited for.
    """
    needed, zeros = session.params["idle_samples"], 0

    def look() -> Look[bool]:
        nonlocal zeros
        seen = session.cluster.vttablet.vars(pod)
        busy = seen.busy(SERVING_POOLS)
        if seen.tablet_type.upper() != "DRAINED":
            busy["TabletType"] = None
        elif busy and not set(busy) - set(TRANSACTION_POOLS) and None not in busy.values():
            live = session.cluster.vttablet.live_queries(pod)
            busy = {"live queries": live} if live else {}
        zeros = 0 if busy else zeros + 1
        return (
            Look(True)
            if zeros >= needed
            else Look(
                missing=", ".join(f"{pool} {'unknown' if n is None else n}" for pool, n in busy.items()) or "settling"
            )
        )

    try:
        session.until(look, "its last queries", session.params["idle_timeout"], every_s=0.05)
    except ClaimLost:
        raise
    except (WaitTimeout, EdgeError) as error:
        state = session.put_back(original, "it did not get idle")
        raise session.failure(
            str(error),
            gate="idle",
            state=state,
            next_command=f"kubectl get --raw '/api/v1/namespaces/{pod.namespace}/pods/{pod.name}:{session.cluster.vttablet.port}"
            "/proxy/livequeryz/?format=json'",
        ) from error


def _foreign_sessions(session: Session) -> list[str]:
    """Who else is logged in to this mysqld, for the record: sessions that do not come through vttablet."""
    try:
        rows = session.cluster.vtctld.query(session.alias, FOREIGN_SESSIONS)
    except EdgeError as error:
        return [f"not known: {error}"[:200]]
    return [f"{user} {command} x{count}" for user, command, count in rows]
