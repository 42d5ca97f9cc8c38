# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring a tablet back into serving and prove it at every vtgate: data, replication, routes, and one read through the tablet."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from .. import durability, gates
from ..arguments import cluster_spec, roll_spec
from ..claim import Entry
from ..clients.vtgate import VtgateClient
from ..cluster import in_parallel, views_of
from ..errors import EdgeError
from ..fleet import SERVING_TYPES, Shard, Tablet, TabletType, Vtgate, away_reasons, not_routed_reasons
from ..gtid import GtidSet
from ..options import aliases
from ..session import Session, describe
from ..waiting import Look

# How long what was read of a shard counts while the vtgates learn. Nothing is taken away on it: the next step reads afresh.
PROOF_KEPT_S = 15.0


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        **roll_spec(),
        "catch_up_timeout": {"type": "float", "default": 600.0},
        "route_timeout": {"type": "float", "default": 180.0},
        "soak": {"type": "float", "default": 0.0},
        "release": {"type": "bool", "default": False},
        "canary_tries": {"type": "int", "default": 60},
        "accept_errant": {"type": "list", "elements": "str", "default": []},
    }


def run(session: Session) -> dict[str, Any]:
    """Readmit one tablet. Raises StepFailure; it never takes anything away."""
    with session.failing():
        session.locate()
        # Where it was before is what a stale route leads to; where nobody wrote that down, such routes must be searched for.
        session.asks_for_all |= not (session.entry.in_flight and session.entry.address)
        with session.phases.phase("look"):
            shard, tablet = session.read()
        pod = session.pod_of(tablet)
        before = describe(tablet, pod)
        entry = session.entry
        mine = entry.in_flight
        if (
            tablet.type == TabletType.DRAINED
            and not mine
            and session.alias not in session.case(shard, None).accept_drained
        ):
            raise session.failure(
                "it was DRAINED by somebody else (vtorc drains tablets with errant GTIDs)",
                gate="no_foreign_drain",
                next_command=f"find out why; then readmit it with accept_drained: [{session.alias}]",
            )
        original = entry.original_type if mine and entry.original_type != TabletType.UNKNOWN else _resting_type(tablet)
        if session.params["_check_mode"]:
            return session.result(mine or tablet.type != original, before, {**before, "type": str(original)})
        if not mine and tablet.type == original and not away_reasons(shard, tablet):
            session.require((gates.every_vtgate_answers,), session.case(shard, None))
            with session.phases.phase("canary"):
                canaries = _canaries(session, shard, tablet)
            _release(session)
            return session.result(False, before, before, held=False, canary_reads=canaries)
        claim = session.hold()
        if session.must_look_again:
            return run(session)
        if not mine:
            entry = Entry(
                original_type=original,
                pod_namespace=pod.namespace if pod else "",
                pod_name=pod.name if pod else "",
                pod_uid=pod.uid if pod else "",
            )
        if session.alias in aliases(session.params["accept_errant"]):
            entry = replace(entry, accepted=(*entry.accepted, f"vtgate_readmit: accept_errant: {session.alias}"))
        claim.intend(session.alias, entry, "readmit")
        session.state = f"it is {tablet.type}, its Pod is {pod.name if pod else 'not there'}"
        early: dict[str, Any] = {}
        if mine and pod is not None and pod.uid == entry.pod_uid and session.not_taken_back():
            session.state = f"it is {tablet.type}, vitess-operator replaces its Pod"
        seen = (shard, tablet) if session.still_good(session.case(shard, None), canary=False) else None
        with session.phases.phase("catch up"):
            shard, tablet = _wait_caught_up(session, original, early, seen)
        held = tablet.type != original
        if held:
            with session.phases.phase("restore type"):
                session.change_type(original)
                session.state = f"it is {original} again, not every vtgate was seen to route to it"
        with session.phases.phase("routes"):
            shard, tablet = _wait_routes(session, original)
        with session.phases.phase("canary"):
            canaries = _canaries(session, shard, tablet)
        session.state = f"it is {original} again and serves"
        if session.params["soak"] > 0:
            with session.phases.phase("soak"):
                _soak(session)
        session.did("readmit", finished=True)
        _release(session)
        return session.result(
            True, before, describe(tablet, tablet.pod), held=held, canary_reads=canaries, served_before_proof=early
        )


def _release(session: Session) -> None:
    """Release the shard where this call holds it, or this roll does and asks for that."""
    if session.holds and (session.manual or session.params["release"]):
        session.hold().release()


def _resting_type(tablet: Tablet) -> TabletType:
    return tablet.type if tablet.type in SERVING_TYPES else TabletType.REPLICA


def _wait_caught_up(
    session: Session, original: TabletType, early: dict[str, Any], seen: tuple[Shard, Tablet] | None
) -> tuple[Shard, Tablet]:
    """Its vttablet answers, nothing that it had is missing, replication runs from the primary, lag is within the limit, nothing errant.

    seen: what was read a moment ago, under the claim; only the first look takes it.
    """
    position = session.entry.position
    known = [seen] if seen is not None else []

    def look() -> Look[tuple[Shard, Tablet]]:
        shard, tablet = known.pop() if known else session.read()
        missing = catch_up_problem(session, shard, tablet, original, position)
        if missing and tablet.type == original and tablet.mysqld is not None and not early:
            routes = [
                vtgate.name
                for vtgate in shard.live_vtgates
                for route in vtgate.routes_to(tablet.alias)
                if route.serving
            ]
            if routes and tablet.hostname:
                early.update(vtgates=routes, lag_s=tablet.mysqld.lag_s, why=missing)
        return Look(missing=missing) if missing else Look((shard, tablet))

    found: tuple[Shard, Tablet] = session.until(
        look, "replication to catch up", session.params["catch_up_timeout"], every_s=1.0, gate="caught_up"
    )
    return found


def catch_up_problem(session: Session, shard: Shard, tablet: Tablet, original: TabletType, position: str) -> str:
    """What is still missing, empty if nothing is. Raises StepFailure for what waiting does not mend."""
    pod = tablet.pod
    if not tablet.hostname or pod is None:
        return "its vttablet has not registered its new address"
    if pod.terminating or not pod.ready:
        return f"Pod {pod.name} is not Ready"
    if tablet.type not in (original, TabletType.DRAINED, TabletType.SPARE):
        return f"it is {tablet.type}"
    if tablet.mysqld is None:
        return f"its mysqld does not answer: {tablet.mysqld_error}"
    primary = shard.tablet(shard.primary) if shard.primary else None
    if primary is None or primary.mysqld is None:
        return "the shard's primary does not answer"
    status = tablet.mysqld
    if position and not status.gtid_executed.contains(GtidSet.parse(position)):
        lost = GtidSet.parse(position).minus(status.gtid_executed).count()
        if not status.gtid_executed or session.entry.server_uuid not in ("", status.server_uuid):
            raise session.failure(
                f"its volume is not the one it left with: {lost} transactions that it had are missing",
                gate="position_contained",
                next_command=f"kubectl -n {pod.namespace} describe pvc {' '.join(pod.volume_claims)}; restore it before readmitting",
            )
        return f"{lost} transactions that it had at leave are missing"
    verdict = gates.no_errant_gtid(session.case(shard, None))
    if verdict.ok is False and session.alias not in aliases(session.params["accept_errant"]):
        raise session.failure(
            verdict.reason, gate=verdict.gate, next_command="do not readmit it: restore it from a backup"
        )
    if not status.replicating:
        return f"replication does not run{': ' + status.last_error[:150] if status.last_error else ''}"
    if not durability.replicates_from(tablet, primary):
        return f"it replicates from {status.source_host}, not from the primary {primary.alias}"
    if status.lag_s is None or status.lag_s > session.params["max_lag"]:
        return f"lag is {'unknown' if status.lag_s is None else f'{status.lag_s:.0f} s'}, limit {session.params['max_lag']:.0f} s"
    return ""


def _wait_routes(session: Session, original: TabletType) -> tuple[Shard, Tablet]:
    """Every vtgate that should see it shows it SERVING at its address and nowhere else; it acks if it should.

    The vtgates that lag are asked often, since they learn a new address by polling the topology, and all of them when these
    agree. The shard itself is read while they learn, so that nobody waits for its proof when the last one has learned; that
    the Pod is still the same is asked then.
    """
    proved: list[tuple[Shard, Tablet]] = []
    lagging = _Lagging(session)

    def prove() -> str:
        """What topology, Pod and mysqlds still lack; nothing where that was seen a moment ago."""
        if proved and session.clock.monotonic() - proved[0][0].read_started <= PROOF_KEPT_S:
            return ""
        proved.clear()
        now, tablet = session.read(vtgates=False)
        missing = [*away_reasons(now, tablet)] if tablet.type == original else [f"its type is {tablet.type}"]
        missing += _ack_problem(now, tablet)
        if not missing:
            proved.append((now, tablet))
        return "; ".join(missing)

    def look() -> Look[tuple[Shard, Tablet]]:
        problem = prove()
        if problem:
            return Look(missing=problem)
        views, missing = lagging.look(*proved[0])
        now, tablet = replace(proved[0][0], vtgates=views), proved[0][1]
        verdict = gates.every_vtgate_answers(session.case(now, None))
        if not verdict.ok:
            missing.append(verdict.reason)
        if not missing and not _same_pod(session, tablet):
            proved.clear()
            missing.append("its Pod changed in the same moment")
        return Look(missing="; ".join(missing)) if missing else Look((now, tablet))

    found: tuple[Shard, Tablet] = session.until(
        look, "every vtgate to route to it", session.params["route_timeout"], every_s=0.3, gate="routes"
    )
    return found


class _Lagging:
    """The vtgates that do not route to a tablet yet."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._behind: list[VtgateClient] = []

    def look(self, shard: Shard, tablet: Tablet) -> tuple[tuple[Vtgate, ...], list[str]]:
        """What vtgates show of it, and why which ones do not route to it. Where nothing is missing it is all that there are, listed anew.

        Only those that did not at the last look are asked, as long as they answer and do not.
        """
        cluster = self._session.cluster
        known = frozenset({tablet.hostname, self._session.entry.address} - {""})
        addresses = None if self._session.asks_for_all else known
        while True:
            asked = self._behind or cluster.vtgates()
            views = views_of(asked, addresses)
            why = [not_routed_reasons(replace(shard, vtgates=(view,)), tablet) for view in views]
            some, failed = bool(self._behind), any(view.error for view in views)
            self._behind = [client for client, reasons in zip(asked, why, strict=True) if reasons and not failed]
            missing = [reason for reasons in why for reason in reasons]
            if missing or failed or not some:
                return views, missing


def _same_pod(session: Session, tablet: Tablet) -> bool:
    """Whether the Pod that was proved is still there and Ready."""
    pod = session.cluster.pod(tablet.pod.namespace, tablet.pod.name) if tablet.pod else None
    return (
        pod is not None and tablet.pod is not None and pod.uid == tablet.pod.uid and pod.ready and not pod.terminating
    )


def _soak(session: Session) -> None:
    """Watch the shard for a set time; a tablet of it that gets away ends the roll."""
    ends = session.clock.monotonic() + session.params["soak"]

    def look() -> Look[bool]:
        shard, _tablet = session.read()
        for tablet in shard.tablets:
            reasons = away_reasons(shard, tablet)
            if reasons and tablet.alias not in session.case(shard, None).accept_drained:
                raise session.failure(f"while soaking {tablet.alias} got away: {', '.join(reasons)}", gate="soak")
        left = ends - session.clock.monotonic()
        return Look(True) if left <= 0 else Look(missing=f"soaking for {left:.0f} s more")

    session.until(look, "the soak time", session.params["soak"] + 30.0, every_s=1.0)


def _ack_problem(shard: Shard, tablet: Tablet) -> list[str]:
    primary = shard.tablet(shard.primary) if shard.primary else None
    rule = durability.POLICIES.get(shard.durability or "none")
    if (
        rule is None
        or primary is None
        or tablet.type not in rule.types
        or (rule.other_cell and tablet.alias.cell == primary.alias.cell)
    ):
        return []
    return [] if durability.acks_for(tablet, primary, rule) else ["it does not acknowledge the primary's writes"]


def _canaries(session: Session, shard: Shard, tablet: Tablet) -> dict[str, int]:
    """One read through this tablet at every vtgate that should route to it; how many reads each took."""
    if tablet.type not in SERVING_TYPES or tablet.mysqld is None:
        return {}
    uuid, live = tablet.mysqld.server_uuid, {v.name for v in shard.live_vtgates if v.should_see(tablet)}
    clients = [client for client in session.cluster.vtgates() if client.endpoint.name in live]
    tries = session.params["canary_tries"]
    try:
        reads = in_parallel(
            [
                partial(c.canary, tablet.keyspace, tablet.shard, str(tablet.type), tablet.alias, uuid, tries)
                for c in clients
            ]
        )
    except EdgeError as error:
        raise session.failure(
            f"a read through it failed: {error}",
            gate="canary",
            next_command=f"kubectl -n {session.cluster.scope.namespace} logs -l {session.cluster.scope.vtgate_selector} --tail 50",
        ) from error
    return dict(zip((c.endpoint.name for c in clients), reads, strict=True))
