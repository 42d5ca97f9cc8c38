# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Claim a tablet's shard for one roll, release it, or say who holds it."""

from __future__ import annotations

from typing import Any

from ..arguments import cluster_spec, place_spec
from ..session import Session


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        **place_spec(),
        "roll": {"type": "str"},
        "claim_wait": {"type": "float", "default": 0.0},
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
        with session.phases.phase("claim"):
            claim = session.hold()
            if state == "absent":
                claim.release()
        after = _shown(session.claims.read(session.lease_name))
        return _result(session, before["holder"] != after["holder"], before, after)


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
