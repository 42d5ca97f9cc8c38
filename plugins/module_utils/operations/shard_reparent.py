# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Move a shard's primary away from one tablet by PlannedReparentShard, and prove it at the shard record, at mysqld and at every vtgate."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from .. import gates, labels
from ..arguments import cluster_spec, roll_spec
from ..claim import Claim, tick_all
from ..cluster import in_parallel
from ..errors import EdgeError, OutcomeUnknown, Refused
from ..fleet import Alias, Shard, Tablet, TabletType, not_routed_reasons
from ..session import UNCHANGED, Session, describe
from ..waiting import Look, WaitTimeout
from .tablet_drain import OPEN_TRANSACTIONS

COUNTERS = (
    "BufferRequestsBuffered",
    "BufferRequestsDrained",
    "BufferRequestsEvicted",
    "BufferRequestsSkipped",
    "BufferLastFailoverDurationMs",
)
# vtctld gives up at its time limit; a promotion that it has sent, or the undoing of the demotion, goes on in the vttablet
# (go/vt/vtctl/reparentutil/planned_reparenter.go undoes with a context of its own).
AFTER_DEADLINE_S = 5.0
PROBLEM_COUNTERS = ("BufferRequestsEvicted", "BufferRequestsSkipped")


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        **roll_spec(),
        "transaction_policy": {"type": "str", "choices": ["wait", "cut", "skip"], "default": "wait"},
        "transaction_limit": {"type": "float", "default": 2.0},
        "transaction_wait": {"type": "float", "default": 60.0},
        "new_primary": {"type": "str"},
        "avoid_nodes": {"type": "list", "elements": "str", "default": []},
        "wait_replicas_timeout": {"type": "float", "default": 3.0},
        "reparent_timeout": {"type": "float", "default": 6.5},
        "agree_timeout": {"type": "float", "default": 60.0},
        "hold_before_reparent": {"type": "bool", "default": False},
        "keyspace_wait": {"type": "float", "default": 120.0, "no_log": False},
    }


def run(session: Session) -> dict[str, Any]:
    """Reparent away from the tablet if it is the primary. Raises StepFailure."""
    with session.failing():
        session.locate()
        with session.phases.phase("look"):
            shard, tablet = session.read(mysqlds=False, vtgates=False)
            before = {"primary": str(shard.primary)}
            if shard.primary != session.alias and tablet.type != TabletType.PRIMARY:
                return session.result(False, before, before)
            case = session.fresh_case(rights=True, siblings=True)
        candidate = _choose(session, case)
        session.require(gates.REPARENT, _of_reparent(session, case, candidate))
        after = {"primary": str(candidate)}
        if session.params["_check_mode"]:
            return session.result(True, before, after)
        claim = session.hold()
        if session.must_look_again:
            return run(session)
        # One ansible-playbook may roll several shards side by side: each is a holder of its own here.
        keyspace_claim = session.claims.of_part(session.shard_name).take(
            labels.keyspace_lease(session.keyspace), session.waiter, session.params["keyspace_wait"]
        )
        session.waiter.tick = lambda: tick_all((claim, keyspace_claim))
        try:
            return _reparent(session, (claim, keyspace_claim), case, before)
        finally:
            session.waiter.tick = claim.tick
            # Between a reparent and every vtgate's agreement the keyspace stays claimed (design rule 6): no other shard
            # may be reparented. The claim ends with this ansible-playbook then.
            if session.state == UNCHANGED or session.agreed:
                # One that cannot be released expires; why the reparent failed must not be lost over it.
                with suppress(EdgeError):
                    keyspace_claim.release()


def _reparent(session: Session, claims: tuple[Claim, ...], case: gates.Case, before: dict[str, Any]) -> dict[str, Any]:
    with session.phases.phase("wait for the buffer's gap"):
        _wait_buffer_gap(session, case.shard)
    with session.phases.phase("wait for transactions"):
        transactions = _wait_transactions(session)
    counters = _buffer_counters(session)  # before the gates: a slow vtgate would make their evidence old
    with session.phases.phase("gates"):
        case = case if session.still_good(case) else session.fresh_case(rights=True, siblings=True)
        candidate = _choose(session, case)
        case = _of_reparent(session, case, candidate)
        session.require(gates.REPARENT, case, acting=True)
    if candidate is None:
        raise session.failure("the shard has no candidate", gate="candidate_is_fit")
    wait_replicas = session.params["wait_replicas_timeout"]
    with session.phases.phase("reparent"):
        for claim in claims:
            claim.renew()
        started, ends = session.clock.time(), session.clock.monotonic() + session.params["reparent_timeout"]
        try:
            session.cluster.vtctld.planned_reparent(
                session.keyspace,
                session.shard_name,
                candidate,
                session.alias,
                wait_replicas,
                timeout_s=session.params["reparent_timeout"],
            )
        except (OutcomeUnknown, Refused) as error:
            may_go_on = ends - session.clock.monotonic() if isinstance(error, OutcomeUnknown) else 0.0
            if "deadline" in str(error).lower():
                may_go_on = AFTER_DEADLINE_S
            _prove_recorded(session, candidate, error, may_go_on)
        session.state = f"{candidate} was made primary; not every vtgate was seen to agree"
    with session.phases.phase("every vtgate agrees"):
        after_shard = _wait_agreed(session, candidate)
        session.agreed = True
    session.did("reparent", finished=True, promoted=str(candidate), accepted=session.accepted(case))
    lost = _buffer_losses(counters, _buffer_counters(session), f"{session.keyspace}.{session.shard_name}")
    result = session.result(
        True,
        before,
        {"primary": str(candidate), "primary_term_start": after_shard.primary_term_start},
        transactions=transactions,
        prs={"started": started, "ended": session.clock.time(), "new_primary": str(candidate)},
        buffer=lost,
        old_primary=describe(after_shard.tablet(session.alias) or case.tablet, None),
    )
    bad = {
        name: counts
        for name, counts in lost.items()
        if any(key in PROBLEM_COUNTERS and value for key, value in counts.items())
    }
    if bad:
        raise session.failure(
            f"the reparent was done, but vtgates did not hold every request: {bad}",
            gate="buffer",
            state=f"{candidate} is primary, the shard serves",
            next_command=f"look at the --buffer flags of {', '.join(sorted(bad))}",
        )
    return result


def _prove_recorded(session: Session, candidate: Alias, error: EdgeError, may_go_on_s: float) -> None:
    """The shard record decides and not the exit code; a command whose answer was lost may go on for its whole time limit."""

    def look() -> Look[bool]:
        primary, _term = session.cluster.vtctld.shard_primary(session.keyspace, session.shard_name)
        return Look(True) if primary == candidate else Look(missing=f"{primary} is primary")

    try:
        session.until(look, "the lost PlannedReparentShard", may_go_on_s, every_s=0.5)
    except WaitTimeout as timeout:
        raise session.failure(
            f"PlannedReparentShard failed, {timeout.last_missing}: {error}",
            gate="reparent",
            state="the shard record names the old primary; vtorc repairs a half-done one",
        ) from error


def _choose(session: Session, case: gates.Case) -> Alias | None:
    """The candidate that was named, else the fit one that has executed most; else the one with the fewest problems, for the gate to name."""
    named = session.params.get("new_primary")
    if named:
        try:
            return Alias.parse(named)
        except ValueError as error:
            raise session.failure(str(error), gate="candidate_is_fit") from error
    others = [t for t in case.shard.others(session.alias) if t.type == TabletType.REPLICA]

    def rank(tablet: Tablet) -> tuple[int, int, Alias]:
        problems = [
            p
            for p in gates.candidate_problems(case, tablet)
            if not (p == gates.NOT_AS_WANTED and tablet.alias in case.predicted)
        ]
        executed = tablet.mysqld.gtid_executed.count() if tablet.mysqld else 0
        return (len(problems), -executed, tablet.alias)

    return min(others, key=rank).alias if others else None


def _of_reparent(session: Session, case: gates.Case, candidate: Alias | None) -> gates.Case:
    """The case with what only a reparent needs."""
    limit = session.params["wait_replicas_timeout"] + session.params["reparent_timeout"]
    return replace(case, candidate=candidate, reparent_limit_s=limit, held=session.params["hold_before_reparent"])


def _wait_buffer_gap(session: Session, shard: Shard) -> None:
    """A vtgate does not buffer a second failover of a shard within its --buffer-min-time-between-failovers."""
    gap = max((v.settings.buffer_min_gap_s for v in shard.live_vtgates if not v.error), default=0.0)
    if not shard.primary_term_start:
        return
    ready_at = float(shard.primary_term_start) + gap + 1.0
    left = ready_at - session.clock.time()
    if left <= 0:
        return

    def look() -> Look[bool]:
        now = session.clock.time()
        return (
            Look(True)
            if now >= ready_at
            else Look(
                missing=f"the last reparent was {now - float(shard.primary_term_start):.0f} s ago, vtgates buffer again after {gap:.0f} s"
            )
        )

    session.until(look, "the vtgates' minimum gap between failovers", left + 5.0)


def _wait_transactions(session: Session) -> dict[str, Any]:
    """Transactions on the primary that are older than the limit would be cut by the demotion: wait for them, by the policy."""
    limit, policy = session.params["transaction_limit"], session.params["transaction_policy"]
    if policy == "skip":
        return {"policy": policy, "cut": None}

    def old() -> list[str]:
        return [
            f"{thread} ({age} s)"
            for thread, age in session.cluster.vtctld.query(session.alias, OPEN_TRANSACTIONS)
            if float(age or 0) > limit
        ]

    def look() -> Look[bool]:
        found = old()
        return Look(missing=f"{len(found)} older than {limit:.0f} s: {', '.join(found[:5])}") if found else Look(True)

    try:
        session.until(look, "old transactions on the primary", session.params["transaction_wait"], every_s=0.5)
    except WaitTimeout as error:
        if policy == "wait":
            raise session.failure(
                str(error), gate="transactions", next_command="end them, or set transaction_policy: cut"
            ) from error
        return {"policy": policy, "cut": error.last_missing}
    return {"policy": policy, "cut": 0}


def _wait_agreed(session: Session, candidate: Alias) -> Shard:
    """Shard record, mysqld and every vtgate agree on the new primary, and the old one serves as a replica again."""

    def look() -> Look[Shard]:
        shard, old = session.read()
        new = shard.tablet(candidate)
        missing: list[str] = []
        if shard.primary != candidate or new is None:
            missing.append(f"the shard record names {shard.primary}")
        elif new.mysqld is None or new.mysqld.read_only:
            missing.append(f"mysqld of {candidate} is {'read_only' if new.mysqld else 'silent'}")
        else:
            missing.extend(f"{candidate}: {reason}" for reason in not_routed_reasons(shard, new))
            missing.extend(f"{v.name}: {v.error}" for v in shard.live_vtgates if v.error)
        if old.type == TabletType.PRIMARY:
            missing.append(f"{old.alias} still says PRIMARY")
        elif old.mysqld is None or not old.mysqld.replicating:
            missing.append(f"{old.alias} does not replicate yet")
        else:
            missing.extend(f"{old.alias}: {reason}" for reason in not_routed_reasons(shard, old))
        return Look(missing="; ".join(missing)) if missing else Look(shard)

    found: Shard = session.until(
        look,
        f"every vtgate to serve the new primary {candidate}",
        session.params["agree_timeout"],
        every_s=0.1,
        gate="every_vtgate_agrees",
    )
    return found


def _buffer_counters(session: Session) -> dict[str, dict[str, Any]]:
    """The buffer's counters of every vtgate that has a Pod; an unreachable one has none."""

    def of(client: Any) -> tuple[str, dict[str, Any]]:
        try:
            page = client.variables()
        except EdgeError:
            return client.endpoint.name, {}
        return client.endpoint.name, {name: page.get(name) or {} for name in COUNTERS}

    return dict(in_parallel([partial(of, client) for client in session.cluster.vtgates() if client.endpoint.pod]))


def _buffer_losses(
    before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]], shard: str
) -> dict[str, dict[str, int]]:
    """By vtgate, how much each counter of this shard grew."""
    grown: dict[str, dict[str, int]] = {}
    for name, counters in after.items():
        earlier = before.get(name, {})
        grown[name] = {
            counter: _of_shard(values, shard) - _of_shard(earlier.get(counter) or {}, shard)
            for counter, values in counters.items()
            if counter != "BufferLastFailoverDurationMs"
        }
        grown[name]["BufferLastFailoverDurationMs"] = _of_shard(
            counters.get("BufferLastFailoverDurationMs") or {}, shard
        )
    return grown


def _of_shard(values: dict[str, Any], shard: str) -> int:
    return sum(int(value) for key, value in values.items() if key == shard or key.startswith(shard + "."))
