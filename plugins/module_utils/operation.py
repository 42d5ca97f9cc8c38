# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs one operation for a module or its action plugin: connects, decides, and turns every end into one result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import plan
from .arguments import without_blanks
from .cluster import Cluster, explain
from .errors import EdgeError, StepFailure
from .executor import Process
from .operations import (
    component_spec,
    fleet_info,
    node_cordon,
    node_plan,
    node_wait,
    pod_replace,
    roll_plan,
    roll_report,
    shard_claim,
    shard_reparent,
    tablet_diagnose,
    tablet_drain,
    tablet_recover,
    tablet_spec,
    vtgate_readmit,
)
from .options import connect, missing_library
from .session import UNCHANGED, Session
from .waiting import Clock, Report, SystemClock, silent

ON_THE_FLEET: dict[str, Callable[[dict[str, Any], Cluster, Clock], dict[str, Any]]] = {
    "fleet_info": fleet_info.run,
    "node_plan": node_plan.run,
    "roll_plan": roll_plan.run,
    "roll_report": roll_report.run,
    "tablet_diagnose": tablet_diagnose.run,
}
# They say for themselves what they are about, and tell of their waits.
ON_OWNERS: dict[str, Callable[[dict[str, Any], Cluster, Clock, Report, Process], dict[str, Any]]] = {
    "tablet_spec": tablet_spec.run,
    "component_spec": component_spec.run,
    "node_cordon": node_cordon.run,
    "node_wait": node_wait.run,
}
ON_A_TABLET: dict[str, Callable[[Session], dict[str, Any]]] = {
    "tablet_drain": tablet_drain.run,
    "pod_replace": pod_replace.run,
    "vtgate_readmit": vtgate_readmit.run,
    "shard_reparent": shard_reparent.run,
    "shard_claim": shard_claim.run,
    "tablet_recover": tablet_recover.run,
}


def execute(
    name: str,
    params: dict[str, Any],
    check_mode: bool,
    report: Report = silent,
    executor: Process | None = None,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """The result of one operation; failed and failure are set where it did not succeed. Raises nothing that an operator should read.

    What was reported is in the result too: a module on another host has no other way to tell it.
    """
    missing = missing_library()
    if missing:
        return {"failed": True, "msg": missing}
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        report(text)

    result = _executed(name, params, check_mode, tell, executor, clock or SystemClock())
    return {**result, "progress": told} if told else result


def _executed(
    name: str, params: dict[str, Any], check_mode: bool, report: Report, executor: Process | None, clock: Clock
) -> dict[str, Any]:
    params = {**without_blanks(params), "_check_mode": check_mode}
    subject = params.get("tablet") or params.get("node") or params.get("component") or "the fleet"
    session: Session | None = None
    cluster: Cluster | None = None
    try:
        cluster = connect(params, clock)
        if name in ON_THE_FLEET:
            return ON_THE_FLEET[name](params, cluster, clock)
        if name in ON_OWNERS:
            return ON_OWNERS[name](params, cluster, clock, report, executor or Process.controlling())
        session = Session(name, params, cluster, clock, report, executor or Process.controlling())
        return ON_A_TABLET[name](session)
    except StepFailure as failure:
        return failed(failure, session)
    except EdgeError as error:
        return failed(
            StepFailure(
                subject,
                name,
                explain(error),
                next_command="check the connection options, then run the same again",
            ),
            session,
        )
    except plan.Unfit as error:
        return failed(StepFailure(subject, name, str(error), next_command=error.next_command), session)
    except ValueError as error:
        return failed(StepFailure(subject, name, str(error), next_command="correct it and run the same again"), session)
    finally:
        if cluster is not None:
            cluster.close()


def failed(failure: StepFailure, session: Session | None) -> dict[str, Any]:
    """Ansible's failure: one line for people, the structure for machines."""
    result: dict[str, Any] = {
        "failed": True,
        "changed": failure.state != UNCHANGED,
        "msg": failure.message(),
        "failure": failure.as_dict(),
    }
    if session is not None:
        session.write_down(failure)
        session.let_go()
        result.update(
            tablet=str(session.alias),
            changed=session.state != UNCHANGED,
            phases=session.phases.taken,
            gates=[verdict.as_dict() for verdict in session.verdicts if verdict.ok is not True],
        )
    return result
