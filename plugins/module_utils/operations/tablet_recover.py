# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring back a tablet that is away by itself: wait out what mends itself, then do once what would mend it, fenced and gated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .. import gates
from ..arguments import cluster_spec, roll_spec
from ..diagnosis import STALL_WAIT, Cause, Diagnosis, Mend, Patient, diagnose, mysqld_may_run
from ..errors import StepFailure
from ..examination import RECOVER
from ..fleet import Pod, Shard, Tablet, TabletType
from ..gates import Case, Gate
from ..session import Session, describe
from ..waiting import Look
from .pod_replace import evict
from .tablet_diagnose import diagnosis_spec, examiner_of, lease_of, shown

GATES: dict[Mend, tuple[Gate, ...]] = {
    Mend.REPLACE_POD: gates.RECOVER,
    Mend.START_REPLICATION: gates.START_REPLICATION,
}


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        **roll_spec(),
        **diagnosis_spec(),
        "owner_wait": {"type": "float", "default": 300.0},
        "node_wait": {"type": "float", "default": 300.0},
        "process_wait": {"type": "float", "default": 120.0},
        "replication_wait": {"type": "float", "default": 60.0},
        "primary_wait": {"type": "float", "default": 60.0},
        STALL_WAIT: {"type": "float", "default": 600.0},
        "recover_timeout": {"type": "float", "default": 86400.0},
        "quiet_period": {"type": "float", "default": 900.0},
        "evict_timeout": {"type": "float", "default": 120.0},
    }


def run(session: Session) -> dict[str, Any]:
    """Raises StepFailure with the cause, what forbids or did not help, and the command. Takes nothing else away."""
    with session.failing():
        session.locate()
        doctor = _Doctor(session)
        with session.phases.phase("look"):
            found = doctor.look()
        before = doctor.described(found)
        if not found.ails:
            return session.result(False, before, before, diagnosis=shown(found), did=str(Mend.NOTHING))
        if session.params["_check_mode"]:
            return _predicted(session, doctor, found, before)
        while True:
            with session.phases.phase("come back by itself"):
                found = doctor.wait_out()
            if _is_mended(found):
                after = doctor.described(found)
                return session.result(False, before, after, diagnosis=shown(found), did=str(Mend.NOTHING))
            if not found.may_act or doctor.is_late:
                raise doctor.hopeless(found)
            _keep_quiet(session, doctor.patient.pod)
            session.hold()
            if session.must_look_again:
                session.locate()
                continue
            with session.phases.phase("gates"):
                case, now = doctor.case()
            if now.cause is found.cause and now.may_act:
                break
        with session.phases.phase(str(found.mend)):
            _mend(session, doctor, found, case)
        session.state = f"{found.mend} was done for {found.cause}"
        with session.phases.phase("come back"):
            left = doctor.wait_out()
        if not _is_mended(left):
            raise doctor.hopeless(left, f", after {found.mend}")
        session.did(RECOVER)
        return session.result(True, before, doctor.described(left), diagnosis=shown(found), did=str(found.mend))


def _is_mended(found: Diagnosis) -> bool:
    """Whether what is left is the proof, which vtgate_readmit gives."""
    return not found.ails or (found.mend is Mend.READMIT and not found.refusal)


def _predicted(session: Session, doctor: _Doctor, found: Diagnosis, before: dict[str, Any]) -> dict[str, Any]:
    """What would be done if it did not come back by itself in time."""
    wait = f"wait at most {doctor.bound(found):g} s for {found.waits_for}" if found.patience else "not wait"
    if not found.may_act or found.mend not in GATES:
        would = f"{wait}, then {'stop: ' + found.refusal if found.refusal else str(found.mend)}"
        return session.result(False, before, before, diagnosis=shown(found), did=str(Mend.NOTHING), would=would)
    case, _now = doctor.case()
    session.require(GATES[found.mend], case)
    would = f"{wait}, then {found.mend}"
    return session.result(
        True, before, {**before, "cause": ""}, diagnosis=shown(found), did=str(Mend.NOTHING), would=would
    )


def _keep_quiet(session: Session, pod: Pod | None) -> None:
    """Not a second act on a tablet within the quiet period of the first: what did not help then would not help now."""
    entry = session.entry
    begun, done = entry.steps.get(RECOVER, (0.0, None))
    never_came = done is None and pod is not None and pod.uid == entry.pod_uid
    left = session.params["quiet_period"] - (session.clock.time() - begun)
    if begun and not never_came and left > 0:
        raise session.failure(
            f"it was recovered {session.clock.time() - begun:.0f} s ago: quiet for {left:.0f} s more",
            gate="quiet_period",
        )


def _mend(session: Session, doctor: _Doctor, found: Diagnosis, case: Case) -> None:
    """The one act, written down before it is done."""
    session.require(GATES[found.mend], case, acting=True)
    tablet, pod = case.tablet, case.tablet.pod
    before_it = session.entry.anew(session.clock.time()).history
    entry = replace(
        before_it,
        promoted="",
        accepted=(*before_it.accepted, f"tablet_recover: {found.cause}: {found.evidence[:120]}", *session.passed),
        image=pod.image("vttablet") if pod else "",
        revision=pod.revision if pod else "",
        original_type=tablet.type if tablet.type in (TabletType.REPLICA, TabletType.RDONLY) else TabletType.REPLICA,
        pod_namespace=pod.namespace if pod else "",
        pod_name=pod.name if pod else "",
        pod_uid=pod.uid if pod else "",
        address=tablet.hostname,
        server_uuid=tablet.mysqld.server_uuid if tablet.mysqld else "",
    )
    session.held.intend(session.alias, entry, RECOVER)
    if found.mend is Mend.START_REPLICATION:
        session.held.renew()
        session.cluster.vtctld.start_replication(session.alias)
        return
    if pod is None:
        raise session.failure("its Pod was not found", gate="owner_is_supported")
    evict(
        session,
        pod,
        still_allowed=lambda: session.require(gates.RECOVER, doctor.case()[0], acting=True),
        give_up=lambda: "its Pod was not evicted, nothing else was changed",
        node_is_off=bool(case.lost_node and case.fence),
    )


class _Doctor:
    """Looks at the one tablet again and again; keeps what the last look saw, and since when it has been as it is."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.examiner = examiner_of(session.params, session.cluster)
        self.patient: Patient
        self._ends = session.clock.monotonic() + session.params["recover_timeout"]

    @property
    def is_late(self) -> bool:
        """Whether the time for all of it is over."""
        return self.session.clock.monotonic() > self._ends

    def look(self) -> Diagnosis:
        """One look. Raises EdgeError."""
        session = self.session
        shard, _tablet = session.read()
        lease = lease_of(session.cluster, session.keyspace, session.shard_name)
        self.patient = self.examiner.examine(shard, session.alias, lease)
        session.pod_found = self.patient.pod
        return self._diagnosed(self.patient)

    def _diagnosed(self, patient: Patient) -> Diagnosis:
        # Whoever holds the shard now is us, or would be named by the claim.
        return diagnose(
            replace(patient, claimed=patient.claimed and not self.session.holds), self.session.cluster.scope.namespace
        )

    def bound(self, found: Diagnosis) -> float:
        """How long this cause is left to those who may mend it by themselves. Seconds."""
        return float(self.session.params[found.patience]) if found.patience else 0.0

    def wait_out(self) -> Diagnosis:
        """Until nothing is wrong or the present cause has lasted for its bound, which begins anew where a wait gets on. Raises WaitTimeout."""
        session = self.session
        since: dict[tuple[Cause, str], float] = {}

        def look() -> Look[Diagnosis]:
            found, now = self.look(), session.clock.monotonic()
            begun = since.setdefault((found.cause, found.progress), now)
            left = self.bound(found) - (now - begun)
            if not found.ails or _is_mended(found) or left <= 0:
                return Look(found)
            return Look(missing=f"{found.cause}: {found.evidence}; {left:.0f} s more for {found.waits_for}")

        waited: Diagnosis = session.until(
            look, "it to come back by itself", max(0.0, self._ends - session.clock.monotonic()), every_s=1.0
        )
        return waited

    def case(self) -> tuple[Case, Diagnosis]:
        """What the gates look at, read afresh, and what is wrong now."""
        self.look()
        case = self.session.fresh_case(canary=False, rights=True)
        pod = self.session.pod_of(case.tablet)
        shard = _with_pod(case.shard, case.tablet, pod)
        patient = replace(self.patient, shard=shard, pod=pod)
        lost, fence = patient.lost_node, patient.fence
        case = replace(case, shard=shard, lost_node=lost, fence=fence, mysqld_may_run=mysqld_may_run(pod, lost, fence))
        return case, self._diagnosed(patient)

    def hopeless(self, found: Diagnosis, after: str = "") -> StepFailure:
        """The failure that names cause, evidence, and what a human would type."""
        waited = f", not mended by itself within {self.bound(found):g} s" if found.patience else ""
        refusal = f"; {found.refusal}" if found.refusal else ""
        return self.session.failure(
            f"{found.cause}: {found.evidence}{waited}{after}{refusal}",
            gate=str(found.cause),
            next_command=found.command,
        )

    def described(self, found: Diagnosis) -> dict[str, Any]:
        """The tablet in a result, as the last look saw it."""
        return {**describe(self.patient.tablet, self.patient.pod), "cause": str(found.cause)}


def _with_pod(shard: Shard, tablet: Tablet, pod: Pod | None) -> Shard:
    """The shard with that tablet in that Pod."""
    mine = replace(tablet, pod=pod)
    return replace(shard, tablets=tuple(mine if each.alias == tablet.alias else each for each in shard.tablets))
