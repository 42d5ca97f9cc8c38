# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""May I? One named, pure function per safety rule; each fails closed and says why.

A module evaluates all gates of its step itself, right before it acts, on a Shard that it has just read
(design rule 2). Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import durability, versions
from .fleet import SERVING_TYPES, Alias, Shard, Tablet, TabletType, Vtgate, Work, away_reasons
from .owners import Owner, Wanted
from .place import Place
from .rights import Granted
from .versions import Series

TOPOLOGY_EVIDENCE_S = 2.0


@dataclass(frozen=True)
class Verdict:
    """One gate's answer. ok is None where an earlier step of the same roll would satisfy it (check mode only).

    overridden: why an operator passed a gate that is red; empty where nobody did, or where it is not.
    """

    gate: str
    ok: bool | None
    reason: str
    overridden: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For a module's result."""
        said = {True: "pass", False: "fail", None: "deferred"}[self.ok]
        return {"gate": self.gate, "verdict": "overridden" if self.overridden else said, "reason": self.reason}


@dataclass(frozen=True)
class Case:
    """Everything that a step's gates look at. Durations in seconds.

    drained_by_us: original types by alias, from the journal. accept_drained, accept_no_route: aliases the operator accepted.
    predicted: aliases that the roll's earlier steps would have replaced (check mode). batch: aliases that the play runs together.
    now: monotonic. reparent_limit_s: the sum of a reparent's time-outs. backup_running: the tablet's own vttablet says so.
    rights: what Kubernetes said of the writes to come. paused: why an operator paused all rolls. held: whether this roll stops
    before it reparents. overrides: gates that an operator passes for this roll, with the reasons. goals: what each owner's tablets
    must be, by Pod.owner; of an owner that is not in it, what this tablet must be. vttablet: the version that the tablet's own says
    it is, empty where it was not asked. mysql_series: the one that the operator says the wanted spec brings. lost_node: why the Pod's
    node is lost; fence: who says that it is off; mysqld_may_run: whether there may be a mysqld that nobody can ask (of a recovery).
    avoid_nodes: nodes that are being emptied, where no new primary may be.
    """

    shard: Shard
    alias: Alias
    now: float
    owner: Owner | None = None
    wanted: Wanted | None = None
    place: Place | None = None
    candidate: Alias | None = None
    max_lag_s: float = 10.0
    reparent_limit_s: float = 9.5
    drained_by_us: Mapping[Alias, TabletType] = field(default_factory=dict)
    accept_drained: frozenset[Alias] = frozenset()
    accept_no_route: frozenset[Alias] = frozenset()
    predicted: frozenset[Alias] = frozenset()
    batch: frozenset[Alias] = frozenset()
    backup_running: bool = False
    rights: Granted | None = None
    paused: str = ""
    held: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict)
    goals: Mapping[tuple[str, str, str], Wanted] = field(default_factory=dict)
    vttablet: str = ""
    mysql_series: Series | None = None
    lost_node: str = ""
    fence: str = ""
    mysqld_may_run: bool = False
    avoid_nodes: frozenset[str] = frozenset()

    def is_as_wanted(self, tablet: Tablet) -> bool:
        """Whether a tablet of the shard is what its own owner's tablets must be; one without a Pod is not."""
        goal = self.goals.get(tablet.pod.owner, self.wanted) if tablet.pod else self.wanted
        return goal is None or goal.met_by(tablet.pod)

    @property
    def tablet(self) -> Tablet:
        """The tablet in question. Raises LookupError if the shard has none of that alias."""
        tablet = self.shard.tablet(self.alias)
        if tablet is None:
            raise LookupError(f"{self.shard} has no tablet {self.alias}")
        return tablet

    @property
    def primary(self) -> Tablet | None:
        """The tablet that the shard record names."""
        return self.shard.tablet(self.shard.primary) if self.shard.primary else None


Gate = Callable[[Case], Verdict]


def _verdict(gate: Gate | str, problems: list[str] | str, fine: str) -> Verdict:
    name = gate if isinstance(gate, str) else gate.__name__
    text = problems if isinstance(problems, str) else "; ".join(problems)
    return Verdict(name, not text, text or fine)


def evidence_is_fresh(case: Case) -> Verdict:
    """Evidence is at most 2 s old, counted from the start of its read (design rule 2); the vtgates' views, which may be 10 s old, are read with it."""
    age = case.now - case.shard.read_started
    limit = TOPOLOGY_EVIDENCE_S
    return _verdict(
        evidence_is_fresh,
        f"the shard was read {age:.1f} s ago, over {limit:.0f} s" if age > limit else "",
        f"{age:.1f} s old",
    )


def one_tablet_of_shard_in_batch(case: Case) -> Verdict:
    """A play's batch holds no second tablet of the shard (design rule 1)."""
    also = sorted(str(t.alias) for t in case.shard.others(case.alias) if t.alias in case.batch)
    return _verdict(
        one_tablet_of_shard_in_batch,
        f"the play runs {', '.join(also)} of {case.shard} in the same batch: set serial: 1 and max_fail_percentage: 0"
        if also
        else "",
        "alone in its batch",
    )


def roll_is_not_paused(case: Case) -> Verdict:
    """No operator paused the rolls of this Vitess cluster. What was taken is brought back all the same."""
    return _verdict(roll_is_not_paused, case.paused, "nobody paused it")


def reparent_is_not_held(case: Case) -> Verdict:
    """The roll was not told to stop before its reparents."""
    problem = "the rest of the shard is done, its primary waits for your word" if case.held else ""
    return _verdict(reparent_is_not_held, problem, "nobody holds it")


def not_primary(case: Case) -> Verdict:
    """A PRIMARY is never drained, evicted or deleted (design rule 2): the shard record, the tablet's type and its mysqld must agree."""
    tablet = case.tablet
    problems = []
    if case.shard.primary == case.alias:
        problems.append("the shard record names it as primary")
    if tablet.type == TabletType.PRIMARY:
        problems.append("its type is PRIMARY")
    if tablet.mysqld is not None and not tablet.mysqld.read_only:
        problems.append("its mysqld is not read_only")
    if problems and case.predicted and set(problems) and case.alias in case.predicted:
        return Verdict(not_primary.__name__, None, "the reparent step would have moved the primary")
    return _verdict(not_primary, problems, f"{tablet.type}, read_only")


def is_primary(case: Case) -> Verdict:
    """The tablet that gives up the primary role is the primary, by shard record and by type."""
    tablet = case.tablet
    agree = case.shard.primary == case.alias and tablet.type == TabletType.PRIMARY
    return _verdict(
        is_primary,
        "" if agree else f"shard record names {case.shard.primary}, its type is {tablet.type}",
        "it is the primary",
    )


def shard_has_healthy_primary(case: Case) -> Verdict:
    """The shard has one primary, its mysqld answers, takes writes, and every vtgate routes to it."""
    primary = case.primary
    if primary is None:
        return _verdict(shard_has_healthy_primary, f"{case.shard} has no primary", "")
    problems = [f"{primary.alias}: {reason}" for reason in away_reasons(case.shard, primary)]
    if primary.type != TabletType.PRIMARY:
        problems.append(f"{primary.alias} is the primary by shard record and {primary.type} by type")
    if primary.mysqld is None:
        problems.append(f"mysqld of {primary.alias} does not answer: {primary.mysqld_error}")
    elif primary.mysqld.read_only:
        problems.append(f"mysqld of {primary.alias} is read_only")
    rivals = [
        str(t.alias)
        for t in case.shard.tablets
        if t.type == TabletType.PRIMARY and t.alias != primary.alias and not _died_as_primary(case, t)
    ]
    if rivals:
        problems.append(f"{', '.join(rivals)} is of type PRIMARY too")
    return _verdict(shard_has_healthy_primary, problems, f"{primary.alias}")


def _died_as_primary(case: Case, tablet: Tablet) -> bool:
    """Whether its record is what a dead primary left behind: of an earlier term, and nobody answers."""
    return tablet.mysqld is None and _is_superseded(case, tablet)


def _is_superseded(case: Case, tablet: Tablet) -> bool:
    """Whether its record's term as primary began before the shard record's; one that says no term is no proof."""
    mine, its = tablet.primary_term_start, case.shard.primary_term_start
    return bool(mine and its) and float(mine) < float(its)


def no_other_tablet_away(case: Case) -> Verdict:
    """No other tablet of the shard is away (design rule 1); one that the operator accepted by alias as DRAINED by somebody else is left out."""
    problems = []
    for other in case.shard.others(case.alias):
        if (
            other.type == TabletType.DRAINED
            and other.alias in case.accept_drained
            and other.alias not in case.drained_by_us
        ):
            continue
        reasons = away_reasons(case.shard, other)
        if reasons:
            problems.append(f"{other.alias} is away: {', '.join(reasons)}")
    return _verdict(no_other_tablet_away, problems, "all others serve")


def no_foreign_drain(case: Case) -> Verdict:
    """A tablet DRAINED by somebody else (vtorc drains errant ones) is a stop sign unless accepted by alias (design rule 3)."""
    foreign = [
        str(t.alias)
        for t in case.shard.tablets
        if t.type == TabletType.DRAINED and t.alias not in case.drained_by_us and t.alias not in case.accept_drained
    ]
    return _verdict(no_foreign_drain, f"{', '.join(foreign)} was DRAINED by somebody else" if foreign else "", "none")


def every_vtgate_answers(case: Case) -> Verdict:
    """Every declared vtgate that is not Terminating answered; none found is red (design rule 8)."""
    live = case.shard.live_vtgates
    if not live:
        return _verdict(
            every_vtgate_answers,
            "no vtgate was found: check vtgate_selector, vtgate_namespaces or vtgate_addresses",
            "",
        )
    skipped = [vtgate.name for vtgate in case.shard.vtgates if vtgate.terminating]
    problems = [
        f"{vtgate.name}: {vtgate.error}{' (check login_user, login_password)' if vtgate.denied else ''}"
        for vtgate in live
        if vtgate.error
    ]
    return _verdict(
        every_vtgate_answers,
        problems,
        f"{len(live)} answered" + (f", terminating: {', '.join(skipped)}" if skipped else ""),
    )


def serving_route_remains(case: Case) -> Verdict:
    """At every vtgate, each type that this tablet serves keeps another SERVING route within the lag limit (unless accepted by alias)."""
    tablet = case.tablet
    kind = case.drained_by_us.get(case.alias, tablet.type)
    if kind not in SERVING_TYPES or kind == TabletType.PRIMARY:
        return _verdict(serving_route_remains, "", f"{kind} takes no replica traffic")
    if case.alias in case.accept_no_route:
        return _verdict(serving_route_remains, "", f"accepted by alias: clients of {kind} may find no route")
    problems = [
        f"{vtgate.name} has no other {kind} of {case.shard} that serves with lag of at most {case.max_lag_s:.0f} s{_why_not(case, kind)}"
        for vtgate in case.shard.live_vtgates
        if not vtgate.error and vtgate.should_see(tablet) and not _other_routes(case, vtgate, kind)
    ]
    return _verdict(serving_route_remains, problems, f"another {kind} serves at every vtgate")


def _other_routes(case: Case, vtgate: Vtgate, kind: TabletType) -> list[Alias]:
    good = []
    for other in case.shard.others(case.alias):
        served = any(
            r.serving and r.type == kind and r.hostname == other.hostname for r in vtgate.routes_to(other.alias)
        )
        if served and within_lag(other, case.max_lag_s):
            good.append(other.alias)
    return good


def _why_not(case: Case, kind: TabletType) -> str:
    late = [
        f"{other.alias} lags {other.mysqld.lag_s if other.mysqld else 'unknown'}"
        for other in case.shard.others(case.alias)
        if other.type == kind and not within_lag(other, case.max_lag_s)
    ]
    return f" ({', '.join(late)})" if late else ""


def within_lag(tablet: Tablet, limit_s: float) -> bool:
    """IO and SQL threads run and the lag is known and within the limit: lag alone reads 0 with a dead source (vitess#9307)."""
    status = tablet.mysqld
    return status is not None and status.replicating and status.lag_s is not None and status.lag_s <= limit_s


def enough_ackers_remain(case: Case) -> Verdict:
    """The durability policy's acks can still be given without this tablet, counted at each sibling (design rule 7)."""
    try:
        rule = durability.policy(case.shard.durability)
    except KeyError:
        return _verdict(enough_ackers_remain, f"durability policy {case.shard.durability!r} is not known here", "")
    if rule.acks == 0:
        return _verdict(enough_ackers_remain, "", "the durability policy waits for no ack")
    left = [str(t.alias) for t in durability.ackers_without(case.shard, case.alias)]
    problem = (
        ""
        if len(left) >= rule.acks
        else f"{case.shard.durability} needs {rule.acks} acker(s), without {case.alias} there are {len(left)}: writes would hang"
    )
    return _verdict(enough_ackers_remain, problem, f"{', '.join(left)} ack")


def canary_write_is_acked(case: Case) -> Verdict:
    """One write on the primary, after the ackers were counted, is acknowledged in time (design rule 7): counting alone proves no ack.

    Before the eviction it is the proof that the others acknowledge, since a DRAINED tablet does not.
    """
    canary = case.shard.canary
    if canary is None:
        return Verdict(canary_write_is_acked.__name__, None, "it is written right before the act")
    return _verdict(
        canary_write_is_acked,
        f"a canary write on the primary was not acknowledged: {canary}" if canary else "",
        "acked",
    )


def no_backup_or_restore(case: Case) -> Verdict:
    """No tablet of the shard restores or is backed up (vitess#7000: a PRS fails, and the tablet may be the next to be needed)."""
    busy = [f"{t.alias} is {t.type}" for t in case.shard.tablets if t.type in (TabletType.BACKUP, TabletType.RESTORE)]
    if case.backup_running:
        busy.append(f"{case.alias} takes a backup while it serves")
    return _verdict(no_backup_or_restore, busy, "none")


def no_migration_running(case: Case) -> Verdict:
    """No OnlineDDL migration is ready or runs in the shard: a reparent would break its cut-over, and it the reparent's time limit."""
    work = case.shard.work
    running = [str(migration) for migration in work.migrations]
    return _verdict(
        no_migration_running, _unknown(work) or (f"OnlineDDL: {', '.join(running)}" if running else ""), "none"
    )


def no_cut_over_under_way(case: Case) -> Verdict:
    """No OnlineDDL migration of the shard is at its cut-over: writes wait for its stream, and that may read from this tablet."""
    work = case.shard.work
    due = [str(migration) for migration in work.migrations if migration.at_cut_over]
    return _verdict(no_cut_over_under_way, _unknown(work) or (f"OnlineDDL: {', '.join(due)}" if due else ""), "none")


def no_traffic_switch_under_way(case: Case) -> Verdict:
    """No VReplication workflow into the shard switches its traffic: its source takes no writes until the streams have caught up."""
    work = case.shard.work
    return _verdict(
        no_traffic_switch_under_way,
        _unknown(work) or (f"traffic is being switched: {', '.join(work.switches)}" if work.switches else ""),
        "none",
    )


def _unknown(work: Work) -> str:
    return f"it is not known what runs in the shard: {work.error}" if work.error else ""


def passes_by_itself(case: Case) -> str:
    """What is red now and is over in seconds, so that waiting for it is better than failing; empty if nothing is."""
    verdicts = evaluate((no_cut_over_under_way, no_traffic_switch_under_way), case)
    passing = [v.reason for v in verdicts if v.ok is False and not case.shard.work.error]
    # A controller that lags says so for seconds; vitess-operator's do after each release, also one for another shard.
    observed = owner_is_observed(case)
    return "; ".join(passing + ([observed.reason] if case.owner is not None and not observed.ok else []))


def owner_is_supported(case: Case) -> Verdict:
    """The Pod's owner is one that this collection knows how to drive (design rule 5)."""
    if case.owner is None:
        return _verdict(
            owner_is_supported,
            "the tablet's Pod and its owner were not found (by tablet_selector in tablet_namespaces)",
            "",
        )
    return _verdict(owner_is_supported, case.owner.refusal, f"{case.owner.kind} {case.owner.name}")


def owner_is_observed(case: Case) -> Verdict:
    """The owner's controller has seen its latest spec: otherwise updateRevision is the old one."""
    owner = case.owner
    if owner is None:
        return _verdict(owner_is_observed, "no owner was found", "")
    return _verdict(owner_is_observed, owner.lag, f"generation {owner.generation}")


def spec_is_as_planned(case: Case) -> Verdict:
    """The owner will create what this roll has frozen as wanted; a spec that changed in mid-roll stops it.

    A move by time must change nothing: with vitess-operator a Pod that goes comes back with what is scheduled.
    """
    owner, wanted = case.owner, case.wanted
    if owner is None or wanted is None or wanted.since is not None:
        by_time = wanted is not None and wanted.since is not None
        pod = case.tablet.pod
        waits = owner.pending if owner is not None else ""
        if not waits and pod is not None and pod.marks.scheduled:
            waits = f"Pod {pod.name} has changes scheduled"
        changed = f"{waits}: what is only to be moved would come back changed; roll that out first" if waits else ""
        return _verdict(spec_is_as_planned, changed if by_time else "", "by time" if by_time else "no owner")
    moved = owner.update_revision != wanted.revision
    return _verdict(
        spec_is_as_planned,
        f"{owner.kind} {owner.name} now wants {owner.update_revision}, this roll was started for {wanted.revision}"
        if moved
        else "",
        f"{wanted.revision}",
    )


def operator_removes_nothing_else(case: Case) -> Verdict:
    """vitess-operator was not asked by anybody else to take away a Pod of the shard, and has forgotten whom it drained before.

    A release or a drain beside ours would take a second tablet, or the operator's slot, so that ours hangs without a word.
    """
    problems = []
    for tablet in case.shard.tablets:
        marks = tablet.pod.marks if tablet.pod is not None else None
        if tablet.pod is None or marks is None or not marks.any or (tablet.alias == case.alias and marks.ours):
            continue
        problems.append(f"Pod {tablet.pod.name} of {tablet.alias} is {marks} with vitess-operator")
    return _verdict(operator_removes_nothing_else, problems, "nothing")


def version_step_is_allowed(case: Case) -> Verdict:
    """The wanted vttablet image skips no major version after the one that the running vttablet reports (vitess#19034)."""
    pod, owner = case.tablet.pod, case.owner
    if pod is None or owner is None:
        return _verdict(version_step_is_allowed, "", "no Pod to compare with")
    current, wanted = pod.image("vttablet"), owner.image("vttablet")
    problem = versions.refusal(current, wanted, case.vttablet)
    return _verdict(version_step_is_allowed, problem, f"{current} -> {wanted}")


def mysql_step_is_allowed(case: Case) -> Verdict:
    """The mysqld that comes may start on this tablet's data: no long-term series is skipped, none goes back.

    What comes is what mysql_series says and what tablets that are as wanted report. A series is crossed only where
    mysql_series says so: there is no way back, and image tags prove nothing.
    """
    current, told = case.tablet.mysql, case.mysql_series
    if current is None:
        return _verdict(mysql_step_is_allowed, f"the MySQL version of {case.alias} is not known", "")
    problems = [versions.mysql_refusal(current, told)] if told else []
    for other in case.shard.others(case.alias):
        version = other.mysql
        if version is None or case.wanted is None or not case.wanted.met_by(other.pod):
            continue
        problem = versions.mysql_patch_refusal(current, version)
        if told and version.series != told:
            problem = f"mysql_series is {told}, but {other.alias} is as wanted and runs MySQL {version}"
        elif version.series not in (told, current.series):
            crossing = f"{other.alias} is as wanted and runs MySQL {version}, this one {current}: set mysql_series"
            problem = versions.mysql_refusal(current, version.series) or f"{crossing}: '{version.series}'"
        problems.append(problem)
    return _verdict(
        mysql_step_is_allowed,
        list(dict.fromkeys(problem for problem in problems if problem)),
        f"{current}" + (f" -> {told}" if told else ""),
    )


def two_mysql_series_at_most(case: Case) -> Verdict:
    """The shard's mysqlds are of two MySQL series at most, that of mysql_series included (MySQL manual, Replication Compatibility)."""
    versions_of = {tablet.alias: tablet.mysql for tablet in case.shard.tablets}
    found = {version.series for version in versions_of.values() if version}
    series = found | ({case.mysql_series} if case.mysql_series else set())
    silent = [str(alias) for alias, version in versions_of.items() if not version and alias not in case.accept_drained]
    named = ", ".join(map(str, sorted(series)))
    problems = [f"the MySQL version of {', '.join(silent)} is not known"] if silent else []
    if len(series) > 2:
        problems.append(f"{case.shard} would have MySQL {named}: finish the last upgrade first")
    return _verdict(two_mysql_series_at_most, problems, named)


def slow_shutdown_is_needed(case: Case) -> bool:
    """Whether the tablet's mysqld is to be stopped with innodb_fast_shutdown=0, as far as the operator has said what comes."""
    current = case.tablet.mysql
    return bool(current and case.mysql_series and versions.needs_slow_shutdown(current, case.mysql_series))


def new_pod_has_a_place(case: Case) -> Verdict:
    """A node that the tablet's volumes allow would take the new Pod and has room for it (vitess#11662: a Pod Pending for an hour)."""
    if case.place is None:
        return _verdict(new_pod_has_a_place, "it is not known where the new Pod could go", "")
    fine = ", ".join(case.place.nodes) + (f"; {case.place.note}" if case.place.note else "")
    return _verdict(new_pod_has_a_place, case.place.refusal, fine)


def rights_are_granted(case: Case) -> Verdict:
    """Kubernetes lets us do every write that is still to come (in the plan: all that a roll does). What it cannot be asked is no red, and is said."""
    if case.rights is None:
        return _verdict(rights_are_granted, "it is not known what Kubernetes lets us do", "")
    return _verdict(rights_are_granted, case.rights.problem(), case.rights.note or "all are granted")


def no_errant_gtid(case: Case) -> Verdict:
    """The tablet has executed nothing that the primary has not: a restarted vttablet with an errant GTID refuses to start (vitess#16833)."""
    return _verdict(no_errant_gtid, errant_problem(case.tablet, case.primary), "none")


ERRANT = "errant GTIDs"


def errant_problem(tablet: Tablet, primary: Tablet | None) -> str:
    """What the tablet has executed that the primary has not, or that this is not known; empty if there is nothing."""
    if tablet.mysqld is None or primary is None or primary.mysqld is None or not primary.mysqld.server_uuid:
        return "its or the primary's GTID set is not known"
    errant = tablet.mysqld.gtid_executed.minus(primary.mysqld.gtid_executed)
    # The primary is read in parallel and moves on: only what another server wrote is errant.
    foreign = [key for key, _spans in errant.intervals if not key.startswith(primary.mysqld.server_uuid.lower())]
    return f"{ERRANT} {errant}" if foreign else ""


def drained_by_this_roll(case: Case) -> Verdict:
    """Only a tablet that this claim's journal says we drained is removed."""
    tablet = case.tablet
    if case.alias in case.predicted:
        return Verdict(drained_by_this_roll.__name__, None, "the drain step would have drained it")
    mine = tablet.type == TabletType.DRAINED and case.alias in case.drained_by_us
    return _verdict(
        drained_by_this_roll,
        "" if mine else f"its type is {tablet.type}; run tablet_drain first",
        "DRAINED by this claim",
    )


def candidate_is_fit(case: Case) -> Verdict:
    """The new primary is a caught-up REPLICA in the same cell, runs what is wanted, is Ready, and has no errant GTID."""
    candidate = case.shard.tablet(case.candidate) if case.candidate else None
    if candidate is None:
        return _verdict(candidate_is_fit, f"{case.candidate or 'no candidate'} is no tablet of {case.shard}", "")
    problems = candidate_problems(case, candidate)
    if problems == [NOT_AS_WANTED] and candidate.alias in case.predicted:
        return Verdict(candidate_is_fit.__name__, None, f"the roll would have replaced {candidate.alias} before")
    return _verdict(candidate_is_fit, [f"{candidate.alias}: {p}" for p in problems], f"{candidate.alias}")


NOT_AS_WANTED = "does not run what is wanted yet (a primary is never moved back to a tablet that is not upgraded)"


def candidate_problems(case: Case, candidate: Tablet) -> list[str]:
    """Why a tablet must not become primary; empty if it may."""
    problems = []
    if candidate.type != TabletType.REPLICA:
        problems.append(f"type {candidate.type}")
    if candidate.alias == case.shard.primary:
        problems.append("it is the primary")
    if candidate.alias.cell != case.alias.cell:
        problems.append(f"another cell than {case.alias.cell}")
    if not within_lag(candidate, case.max_lag_s):
        problems.append("replication does not run or lags")
    if errant := errant_problem(candidate, case.primary):
        problems.append(errant)
    problems.extend(away_reasons(case.shard, candidate))
    if candidate.pod is not None and candidate.pod.node in case.avoid_nodes:
        problems.append(f"its node {candidate.pod.node} is being emptied")
    blind = [v.name for v in case.shard.live_vtgates if v.should_see(case.tablet) and not v.should_see(candidate)]
    if blind:
        problems.append(f"{', '.join(blind)} would not see it (cells, keyspaces or tablets to watch)")
    if older := _older_series(candidate, case.primary):
        problems.append(older)
    if not case.is_as_wanted(candidate):
        problems.append(NOT_AS_WANTED)
    return problems


def primary_comes_last(case: Case) -> Verdict:
    """Every other tablet of the shard is as wanted before its primary moves: an older one may not replay what a newer primary writes (vitess#19034)."""
    behind = [
        other.alias
        for other in case.shard.others(case.alias)
        if not case.is_as_wanted(other)
        and not (other.type == TabletType.DRAINED and other.alias in case.accept_drained)
    ]
    names = ", ".join(map(str, behind))
    if behind and case.predicted.issuperset(behind):
        return Verdict(primary_comes_last.__name__, None, f"the roll would have replaced {names} before")
    return _verdict(
        primary_comes_last, f"{names} of {case.shard} comes before its primary" if behind else "", "it does"
    )


def _older_series(candidate: Tablet, primary: Tablet | None) -> str:
    """That a tablet is of an older MySQL series than the primary, or that this is not known; empty if it is not."""
    mine, its = candidate.mysql, primary.mysql if primary else None
    if mine is None or its is None:
        return "its or the primary's MySQL version is not known"
    return f"its MySQL {mine} is of an older series than the primary's {its}" if mine.series < its.series else ""


def others_run_the_new_series(case: Case) -> Verdict:
    """A reparent to a newer MySQL series comes when all tablets but the old primary run it: an older one cannot replicate from it.

    So the new primary has ackers of its own series (MySQL manual, Replication Compatibility).
    """
    candidate = case.shard.tablet(case.candidate) if case.candidate else None
    goal, have = (tablet.mysql if tablet else None for tablet in (candidate, case.primary))
    if candidate is None or goal is None or have is None:
        return _verdict(others_run_the_new_series, "the MySQL version of candidate or primary is not known", "")
    if goal.series <= have.series:
        return _verdict(others_run_the_new_series, "", f"no newer series: {have} -> {goal}")
    others = [
        (tablet.alias, tablet.mysql)
        for tablet in case.shard.tablets
        if tablet.alias not in {candidate.alias, case.shard.primary, *case.accept_drained}
    ]
    late = [alias for alias, version in others if version is None or version.series < goal.series]
    if late and case.predicted.issuperset(late):
        return Verdict(others_run_the_new_series.__name__, None, "the roll would have replaced them before")
    return _verdict(
        others_run_the_new_series,
        [f"{alias} does not run MySQL {goal.series} yet" for alias in late],
        f"{len(others)} others run MySQL {goal.series}" if others else f"{candidate.alias} will be alone of its series",
    )


def buffering_covers_reparent(case: Case) -> Verdict:
    """Every vtgate that watches the shard buffers its writes for longer than the reparent's time-outs add up to.

    --wait-replicas-timeout bounds the waits inside the command, --action-timeout the command; one may begin at the other's end.
    """
    problems = []
    for vtgate in case.shard.live_vtgates:
        settings = vtgate.settings
        if vtgate.error or not any(vtgate.should_see(tablet) for tablet in case.shard.tablets):
            continue
        window = min(settings.buffer_window_s, settings.buffer_max_failover_s)
        if not settings.buffer_enabled:
            problems.append(f"{vtgate.name} does not buffer (--enable-buffer)")
        elif (
            settings.buffer_keyspace_shards
            and not {case.shard.keyspace, str(case.shard)} & settings.buffer_keyspace_shards
        ):
            problems.append(f"{vtgate.name} does not buffer {case.shard} (--buffer-keyspace-shards)")
        elif case.reparent_limit_s >= window:
            problems.append(
                f"{vtgate.name} buffers for {window:g} s, the reparent's time-outs add up to {case.reparent_limit_s:g} s"
            )
    return _verdict(buffering_covers_reparent, problems, "every vtgate buffers")


def two_tablets_left_to_ack(case: Case) -> Verdict:
    """After the reparent the new primary has enough ackers even if the old one does not follow (mixed versions)."""
    try:
        rule = durability.policy(case.shard.durability)
    except KeyError:
        return _verdict(two_tablets_left_to_ack, f"durability policy {case.shard.durability!r} is not known here", "")
    able = [
        t
        for t in case.shard.tablets
        if t.alias not in (case.candidate, case.alias)
        and t.type in rule.types
        and (not rule.other_cell or case.candidate is None or t.alias.cell != case.candidate.cell)
        and t.mysqld is not None
        and t.mysqld.replicating
    ]
    problem = (
        f"{case.shard.durability} needs {rule.acks}, besides {case.candidate} and {case.alias} there are {len(able)}"
        if len(able) < rule.acks
        else ""
    )
    return _verdict(two_tablets_left_to_ack, problem, f"{', '.join(str(t.alias) for t in able) or 'none needed'}")


def primary_is_another(case: Case) -> Verdict:
    """The shard record names another tablet, of a later term than this one's record has: where it was primary, vtorc has replaced it."""
    tablet, primary = case.tablet, case.primary
    problems = []
    if primary is None:
        problems.append(f"{case.shard} has no primary")
    elif primary.alias == case.alias:
        problems.append("the shard record names it as primary")
    elif tablet.type == TabletType.PRIMARY and not _is_superseded(case, tablet):
        problems.append(f"its record says PRIMARY, of no earlier term than that of {primary.alias}")
    if tablet.mysqld is not None and not tablet.mysqld.read_only:
        problems.append("its mysqld is not read_only")
    return _verdict(primary_is_another, problems, f"{primary.alias if primary else ''}")


def node_is_alive_or_fenced(case: Case) -> Verdict:
    """A Pod on a lost node is removed only behind a fence: node object gone, out-of-service taint, or node_fenced; never by age (design rule 4)."""
    problem = (
        f"{case.lost_node}, and nobody says that it is off for certain" if case.lost_node and not case.fence else ""
    )
    return _verdict(node_is_alive_or_fenced, problem, case.fence or "its node is Ready, or it has none")


def nothing_is_taken_away(case: Case) -> Verdict:
    """A recovery takes nothing from clients: no vtgate routes to the tablet, and if its mysqld may still run, enough others acknowledge."""
    routing = [
        vtgate.name
        for vtgate in case.shard.live_vtgates
        if any(route.serving for route in vtgate.routes_to(case.alias))
    ]
    problems = [f"{', '.join(routing)} still routes to it"] if routing else []
    if case.mysqld_may_run and not (verdict := enough_ackers_remain(case)).ok:
        problems.append(verdict.reason)
    return _verdict(nothing_is_taken_away, problems, "nobody uses it")


def mysqld_may_start_again(case: Case) -> Verdict:
    """The mysqld that comes with the next Pod is of the same image as the present one; else it is a step that mysql_step_is_allowed lets pass."""
    pod, owner = case.tablet.pod, case.owner
    if pod is None or owner is None:
        return _verdict(mysqld_may_start_again, "its Pod or its owner was not found", "")
    if dict(pod.images) == dict(owner.images) or (pod.image("mysqld") and pod.image("mysqld") == owner.image("mysqld")):
        return _verdict(mysqld_may_start_again, "", "the same image")
    verdict = mysql_step_is_allowed(case)
    return _verdict(mysqld_may_start_again, "" if verdict.ok else verdict.reason, verdict.reason)


_ANY_ACT: tuple[Gate, ...] = (
    evidence_is_fresh,
    one_tablet_of_shard_in_batch,
    every_vtgate_answers,
    shard_has_healthy_primary,
    no_foreign_drain,
    no_other_tablet_away,
    no_backup_or_restore,
    no_traffic_switch_under_way,
)

_TAKES_AWAY: tuple[Gate, ...] = (
    *_ANY_ACT,
    not_primary,
    serving_route_remains,
    enough_ackers_remain,
    canary_write_is_acked,
    no_cut_over_under_way,
    no_errant_gtid,
    owner_is_supported,
    owner_is_observed,
    operator_removes_nothing_else,
    spec_is_as_planned,
    version_step_is_allowed,
    mysql_step_is_allowed,
    two_mysql_series_at_most,
    new_pod_has_a_place,
)

DRAIN: tuple[Gate, ...] = (*_TAKES_AWAY, rights_are_granted, roll_is_not_paused)
REPLACE: tuple[Gate, ...] = (*_TAKES_AWAY, drained_by_this_roll)
REPARENT: tuple[Gate, ...] = (
    *_ANY_ACT,
    is_primary,
    candidate_is_fit,
    two_tablets_left_to_ack,
    canary_write_is_acked,
    buffering_covers_reparent,
    no_migration_running,
    owner_is_supported,
    owner_is_observed,
    operator_removes_nothing_else,
    spec_is_as_planned,
    version_step_is_allowed,
    mysql_step_is_allowed,
    two_mysql_series_at_most,
    others_run_the_new_series,
    primary_comes_last,
    new_pod_has_a_place,
    rights_are_granted,
    roll_is_not_paused,
    reparent_is_not_held,
)
# Of a tablet that is away by itself. Another one that is away is no reason to leave this one where it is.
RECOVER: tuple[Gate, ...] = (
    evidence_is_fresh,
    one_tablet_of_shard_in_batch,
    every_vtgate_answers,
    shard_has_healthy_primary,
    primary_is_another,
    node_is_alive_or_fenced,
    nothing_is_taken_away,
    owner_is_supported,
    owner_is_observed,
    operator_removes_nothing_else,
    version_step_is_allowed,
    mysqld_may_start_again,
    new_pod_has_a_place,
    rights_are_granted,
    roll_is_not_paused,
)
START_REPLICATION: tuple[Gate, ...] = (
    evidence_is_fresh,
    one_tablet_of_shard_in_batch,
    shard_has_healthy_primary,
    primary_is_another,
    roll_is_not_paused,
)
EVERY_STEP: tuple[tuple[Gate, ...], ...] = (DRAIN, REPLACE, REPARENT, RECOVER, START_REPLICATION)


# What an operator may accept by the tablet's alias, and the option that says so. No other gate can be passed.
ACCEPTED_BY: dict[Gate, str] = {
    no_foreign_drain: "accept_drained",
    no_other_tablet_away: "accept_drained",
    serving_route_remains: "accept_no_route",
}


# What an operator may pass for one roll, by name and with a reason: what these guard costs requests or time, and no data.
OVERRIDABLE: tuple[Gate, ...] = (
    primary_comes_last,
    buffering_covers_reparent,
    no_migration_running,
    no_cut_over_under_way,
    new_pod_has_a_place,
    rights_are_granted,
)


MAY_BE_PASSED: tuple[str, ...] = tuple(gate.__name__ for gate in OVERRIDABLE)


def refuse_overrides(overrides: Mapping[str, str], allowed: Collection[str] = MAY_BE_PASSED) -> None:
    """Raises ValueError for a gate that may not be passed or is none, and for one without a reason."""
    for name, why in overrides.items():
        if name not in allowed:
            known = name in {gate.__name__ for step in EVERY_STEP for gate in step}
            what = (
                "cannot be passed here" if name in MAY_BE_PASSED else "guards data and stays" if known else "is no gate"
            )
            raise ValueError(f"override_gates: {name} {what}; those that can be passed are {', '.join(allowed)}")
        if not why.strip():
            raise ValueError(f"override_gates: {name} needs a reason, which is kept with the roll")


def evaluate(gates: tuple[Gate, ...], case: Case) -> tuple[Verdict, ...]:
    """All verdicts, in order. A tablet that the shard does not have is the caller's error (LookupError)."""
    return tuple(_passed(gate(case), case.overrides) for gate in gates)


def _passed(verdict: Verdict, overrides: Mapping[str, str]) -> Verdict:
    why = overrides.get(verdict.gate, "")
    if verdict.ok is not False or not why:
        return verdict
    return Verdict(verdict.gate, True, f"passed by override ({why}): {verdict.reason}", overridden=why)


def red(verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """The gates that failed."""
    return tuple(verdict for verdict in verdicts if verdict.ok is False)
