# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each cause from what shows it, and what may be done about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.diagnosis import (
    COURSES,
    OUT_OF_SERVICE,
    Cause,
    Mend,
    Patient,
    diagnose,
    fence_of,
    lost_node,
    mysqld_may_run,
)
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import TabletType
from ansible_collections.vtops.vitess.plugins.module_utils.gtid import GtidSet
from ansible_collections.vtops.vitess.plugins.module_utils.place import Node, Taint
from ansible_collections.vtops.vitess.tests.unit.factories import (
    EXECUTED,
    PRIMARY,
    REPLICA,
    a_pod,
    a_replica_mysqld,
    a_shard,
    a_tablet,
    uuid_of,
)

STARTED = frozenset({"mysqld", "vttablet"})
DOWN: dict[str, Any] = {"ready": False, "running": STARTED}


def a_patient(pod: Any = None, tablet: dict[str, Any] | None = None, **changes: Any) -> Patient:
    given = {"pod": pod, **(tablet or {})}
    mine = a_tablet(REPLICA, given.pop("type", TabletType.REPLICA), **given)
    return replace(Patient(a_shard(mine), REPLICA, pod=pod), **changes)


def broken(trouble: str = "", **changes: Any) -> Any:
    return a_pod(REPLICA, **{**DOWN, "trouble": trouble, **changes})


SILENT = {"mysqld": None, "mysqld_error": "connection refused"}
CASES: list[tuple[str, Patient, Cause, Mend, bool]] = [
    ("well", a_patient(a_pod(REPLICA)), Cause.NONE, Mend.NOTHING, False),
    ("in flight", a_patient(a_pod(REPLICA), taken_by="nightly"), Cause.TAKEN, Mend.NOTHING, False),
    (
        "no fence",
        a_patient(broken(), SILENT, lost_node="node worker-1 is gone"),
        Cause.NODE_LOST,
        Mend.REPLACE_POD,
        False,
    ),
    (
        "a fence",
        a_patient(broken(), SILENT, lost_node="node x is gone", fence="y"),
        Cause.NODE_LOST,
        Mend.REPLACE_POD,
        True,
    ),
    ("no Pod", a_patient(None, SILENT), Cause.POD_MISSING, Mend.NOTHING, False),
    ("stopping", a_patient(broken(terminating=True), SILENT), Cause.POD_STOPPING, Mend.NOTHING, False),
    ("failed", a_patient(broken(phase="Failed"), SILENT), Cause.POD_FAILED, Mend.REPLACE_POD, True),
    (
        "no volume",
        a_patient(broken(), SILENT, volume_problem="claim x is lost"),
        Cause.VOLUME_LOST,
        Mend.NOTHING,
        False,
    ),
    (
        "no node",
        a_patient(broken("Unschedulable: 0/3"), SILENT, next_revision="old"),
        Cause.POD_UNSCHEDULABLE,
        Mend.REPLACE_POD,
        False,
    ),
    (
        "no node, other spec",
        a_patient(broken("Unschedulable: 0/3"), SILENT, next_revision="new"),
        Cause.POD_UNSCHEDULABLE,
        Mend.REPLACE_POD,
        True,
    ),
    (
        "image",
        a_patient(broken("vttablet: ErrImagePull"), SILENT, next_revision="old"),
        Cause.IMAGE_NOT_PULLED,
        Mend.REPLACE_POD,
        False,
    ),
    (
        "crash loop",
        a_patient(broken("vttablet: CrashLoopBackOff", running=frozenset()), SILENT),
        Cause.CRASH_LOOP,
        Mend.REPLACE_POD,
        True,
    ),
    (
        "errant at its start",
        a_patient(broken("vttablet: Error: Errant GTID detected"), SILENT),
        Cause.ERRANT_GTID,
        Mend.READMIT,
        False,
    ),
    (
        "starting",
        a_patient(broken(phase="Pending", running=frozenset()), SILENT),
        Cause.POD_NOT_READY,
        Mend.REPLACE_POD,
        True,
    ),
    ("mysqld dead", a_patient(broken(), SILENT, vttablet_answers=True), Cause.MYSQLD_DEAD, Mend.REPLACE_POD, True),
    (
        "vttablet dead",
        a_patient(broken("vttablet: CrashLoopBackOff", running=frozenset({"mysqld"})), SILENT, vttablet_answers=False),
        Cause.VTTABLET_DEAD,
        Mend.REPLACE_POD,
        True,
    ),
    (
        "vttablet hangs",
        a_patient(broken(), SILENT, vttablet_answers=False),
        Cause.VTTABLET_DEAD,
        Mend.REPLACE_POD,
        True,
    ),
    (
        "restoring",
        a_patient(a_pod(REPLICA), {**SILENT, "type": TabletType.RESTORE}, vttablet_answers=True),
        Cause.RESTORING,
        Mend.NOTHING,
        False,
    ),
    (
        "errant",
        a_patient(
            a_pod(REPLICA),
            {"mysqld": a_replica_mysqld(REPLICA, gtid_executed=GtidSet.parse(f"{EXECUTED},{uuid_of(REPLICA)}:1"))},
        ),
        Cause.ERRANT_GTID,
        Mend.READMIT,
        False,
    ),
    (
        "purged",
        a_patient(
            a_pod(REPLICA), {"mysqld": a_replica_mysqld(REPLICA, io_running=False, last_error="fatal error 1236")}
        ),
        Cause.BINLOGS_PURGED,
        Mend.NOTHING,
        False,
    ),
    (
        "SQL thread",
        a_patient(a_pod(REPLICA), {"mysqld": a_replica_mysqld(REPLICA, sql_running=False)}),
        Cause.REPLICATION_STOPPED,
        Mend.START_REPLICATION,
        True,
    ),
    (
        "late",
        a_patient(a_pod(REPLICA), {"mysqld": a_replica_mysqld(REPLICA, lag_s=60.0)}),
        Cause.CATCHING_UP,
        Mend.NOTHING,
        False,
    ),
    ("drained", a_patient(a_pod(REPLICA), {"type": TabletType.DRAINED}), Cause.DRAINED, Mend.READMIT, False),
    (
        "drained, accepted",
        a_patient(a_pod(REPLICA), {"type": TabletType.DRAINED}, accept_drained=frozenset({REPLICA})),
        Cause.DRAINED,
        Mend.READMIT,
        True,
    ),
    ("backup", a_patient(a_pod(REPLICA), {"type": TabletType.BACKUP}), Cause.OUT_OF_SERVICE, Mend.NOTHING, False),
]


@pytest.mark.parametrize(
    ("patient", "cause", "mend", "may_act"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_cause_and_whether_something_may_be_done(patient: Patient, cause: Cause, mend: Mend, may_act: bool) -> None:
    found = diagnose(patient)
    assert (found.cause, found.mend, found.may_act) == (cause, mend, may_act)
    assert bool(found.evidence) == bool(found.command) == (cause is not Cause.NONE)
    assert "{" not in found.command
    assert bool(found.refusal) == (cause is not Cause.NONE and not may_act)


def test_a_pod_of_vitess_operator_is_never_evicted() -> None:
    broken_one = broken("vttablet: CrashLoopBackOff", owner_kind="VitessShard")
    found = diagnose(a_patient(broken_one, SILENT, vttablet_answers=False))
    assert (found.mend, found.may_act) == (Mend.REPLACE_POD, False)
    assert "vitess-operator alone takes it away" in found.refusal


def test_every_cause_has_a_course_and_is_shown_here() -> None:
    assert set(COURSES) == set(Cause) - {Cause.NONE}
    assert {case[2] for case in CASES} == set(Cause) - {Cause.NOT_ROUTED}


def test_whatever_the_primary_ails_of_is_left_to_vtorc() -> None:
    dead = a_tablet(PRIMARY, TabletType.PRIMARY, **SILENT, pod=a_pod(PRIMARY, **DOWN))
    found = diagnose(Patient(a_shard(dead), PRIMARY, pod=dead.pod, vttablet_answers=True))
    assert (found.cause, found.may_act, found.patience) == (Cause.MYSQLD_DEAD, False, "primary_wait")
    assert "vtorc has not replaced it" in found.refusal


def test_replicas_of_a_dead_primary_are_not_ill() -> None:
    dead = a_tablet(PRIMARY, TabletType.PRIMARY, **SILENT)
    stopped = a_tablet(REPLICA, mysqld=a_replica_mysqld(REPLICA, io_running=False))
    assert diagnose(Patient(a_shard(dead, stopped), REPLICA, pod=stopped.pod)).cause is Cause.NONE


def test_what_a_living_roll_has_in_flight_is_nobodys_to_mend() -> None:
    patient = a_patient(a_pod(REPLICA), taken_by="nightly")
    assert (diagnose(patient).ails, diagnose(replace(patient, claimed=True)).ails) == (True, False)


def test_a_fingerprint_is_the_causes_and_not_the_evidences() -> None:
    one = diagnose(a_patient(broken(), {**SILENT, "mysqld_error": "a"}, vttablet_answers=True))
    other = diagnose(a_patient(broken("b"), SILENT, vttablet_answers=True))
    assert one.evidence != other.evidence
    assert one.fingerprint == other.fingerprint != diagnose(a_patient(None, SILENT)).fingerprint


def test_a_restore_gets_on_by_bytes_and_a_catch_up_by_gtids() -> None:
    late = {"mysqld": a_replica_mysqld(REPLICA, lag_s=60.0, gtid_executed=GtidSet.parse(f"{uuid_of(PRIMARY)}:1-5"))}
    later = {"mysqld": a_replica_mysqld(REPLICA, lag_s=60.0, gtid_executed=GtidSet.parse(f"{uuid_of(PRIMARY)}:1-6"))}
    assert diagnose(a_patient(a_pod(REPLICA), late)).progress != diagnose(a_patient(a_pod(REPLICA), later)).progress
    restoring = a_patient(a_pod(REPLICA), {**SILENT, "type": TabletType.RESTORE}, vttablet_answers=True)
    assert diagnose(restoring).progress != diagnose(replace(restoring, restored=7)).progress


def test_only_a_word_or_kubernetes_own_fence_says_that_a_node_is_off() -> None:
    pod, silent = a_pod(REPLICA), Node("worker-1", ready=False)
    assert lost_node(pod, silent) == "node worker-1 is not Ready"
    assert lost_node(pod, None) == "node worker-1 is gone"
    assert lost_node(pod, Node("worker-1")) == lost_node(None, None) == ""
    assert fence_of(pod, silent, frozenset({"worker-2"})) == ""
    tainted = replace(silent, taints=(Taint(OUT_OF_SERVICE, "nodeshutdown", "NoExecute"),))
    assert all(
        (
            fence_of(pod, None, frozenset()),
            fence_of(pod, tainted, frozenset()),
            fence_of(pod, silent, frozenset({"worker-1"})),
        )
    )


def test_a_mysqld_may_run_where_nobody_can_say_that_it_does_not() -> None:
    lost = "node worker-1 is not Ready"
    assert mysqld_may_run(broken(), lost, "")
    assert not mysqld_may_run(broken(), lost, "node_fenced")
    assert mysqld_may_run(broken(running=frozenset({"mysqld"})), "", "")
    assert not mysqld_may_run(broken(running=frozenset({"vttablet"})), "", "")
    assert not mysqld_may_run(None, "", "")
