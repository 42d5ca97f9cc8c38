# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Claim a tablet's shard for one roll, release it, or say who holds it."""

from __future__ import annotations

from typing import Any

from .. import gates
from ..arguments import cluster_spec, place_spec
from ..gates import Case
from ..session import Session
from ..waiting import Look


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        **place_spec(),
        "roll": {"type": "str"},
        "claim_wait": {"type": "float", "default": 0.0},
        "wanted_revision": {"type": "str"},
        "wanted_since": {"type": "str"},
        "replicas_wait": {"type": "float", "default": 0.0},
        "state": {"type": "str", "choices": ["present", "absent", "query"], "default": "present"},
    }


def run(session: Session) -> dict[str, Any]:
    """Raises StepFailure naming the holder where somebody else holds it."""
    with session.failing():
        session.locate()
        lease = session.claims.read(session.lease_name)
        before = _shown(lease)
        mine = lease is not None and lease.identity == session.claims.holder.identity
        state = session.params["state"]
        # A roll that was killed between its last proof and its release; nothing of it runs any more.
        left_behind = lease is not None and bool(lease.identity) and lease.holder is not None and lease.holder.is_gone
        mine = mine or (state == "absent" and left_behind)
        if state == "query" or (state == "absent" and not mine) or session.params["_check_mode"]:
            changed = session.params["_check_mode"] and (
                (state == "present" and not mine) or (state == "absent" and mine)
            )
            return _result(session, changed, before, before)
        if state == "present" and not mine and session.params["replicas_wait"] > 0:
            with session.phases.phase("wait for replicas"):
                _wait_replicas(session)
        with session.phases.phase("claim"):
            claim = session.hold()
            if state == "absent":
                claim.release()
        after = _shown(session.claims.read(session.lease_name))
        return _result(session, before["holder"] != after["holder"], before, after)


def _wait_replicas(session: Session) -> None:
    """A primary waits for its shard's other tablets, which other slices of the roll replace; unclaimed, for those need the claim."""

    def look() -> Look[bool]:
        shard, tablet = session.read(mysqlds=False, vtgates=False)
        pod = session.pod_of(tablet)
        if shard.primary != session.alias or pod is None:
            return Look(True)
        wanted = session.wanted(session.cluster.owner_of(pod))
        goals = session.goals_of_others(shard, pod)
        case = Case(shard=shard, alias=session.alias, now=session.clock.monotonic(), wanted=wanted, goals=goals)
        verdict = gates.primary_comes_last(case)
        return Look(True) if verdict.ok else Look(missing=verdict.reason)

    session.until(
        look,
        "the others",
        session.params["replicas_wait"],
        every_s=2.0,
        gate=gates.primary_comes_last.__name__,
    )


def _shown(lease: Any) -> dict[str, Any]:
    if lease is None:
        return {"holder": "", "transitions": 0, "in_flight": []}
    return {
        "holder": lease.identity,
        "transitions": lease.transitions,
        "in_flight": sorted(str(alias) for alias, entry in lease.journal.items() if entry.in_flight),
    }


def _result(session: Session, changed: bool, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    journal = {str(alias): entry.as_dict() for alias, entry in sorted(session.journal.items())}
    return {**session.result(changed, before, after), "journal": journal}
