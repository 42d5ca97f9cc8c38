# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""C(python -m tests.behaviour.mutants [WORD]): each guard taken out, in a copy, and the test that must then fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
COPY = TOP / "build/mutants/ansible_collections/vtops/vitess"
UTILS = "plugins/module_utils"
DRAIN, EVICT = "test_gates.py::test_a_drain_does_not_begin", "test_gates.py::test_an_eviction_is_not_sent"


@dataclass(frozen=True)
class Mutant:
    """A guard, how it is taken out, and the tests of tests/behaviour that are run: a file and a word for pytest -k."""

    guard: str
    file: str
    old: str
    new: str
    test: str
    word: str


def _without_gate(name: str, word: str, test: str = "test_gates.py") -> Mutant:
    """A gate that always says yes."""
    return Mutant(
        f"gate {name}",
        f"{UTILS}/gates.py",
        "    return tuple(_passed(gate(case), case.overrides) for gate in gates)",
        f'    return tuple(Verdict(gate.__name__, True, "") if gate.__name__ == "{name}" else '
        "_passed(gate(case), case.overrides) for gate in gates)",
        test,
        word,
    )


MUTANTS = (
    _without_gate("evidence_is_fresh", "evidence_is_fresh"),
    _without_gate("one_tablet_of_shard_in_batch", "one_tablet_of_shard_in_batch"),
    _without_gate("every_vtgate_answers", "every_vtgate_answers"),
    _without_gate("shard_has_healthy_primary", "shard_has_healthy_primary"),
    _without_gate("no_foreign_drain", "no_foreign_drain"),
    _without_gate("no_other_tablet_away", "no_other_tablet_away"),
    _without_gate("no_backup_or_restore", "no_backup_or_restore"),
    _without_gate("not_primary", "never_drained_or_evicted", "test_reparent.py"),
    _without_gate("serving_route_remains", "serving_route_remains"),
    _without_gate("enough_ackers_remain", "enough_ackers_remain"),
    _without_gate("no_errant_gtid", "no_errant_gtid"),
    _without_gate("owner_is_supported", "owner_is_supported"),
    _without_gate("owner_is_observed", "owner_is_observed"),
    _without_gate("spec_is_as_planned", "spec_is_as_planned"),
    _without_gate("operator_removes_nothing_else", "somebody", "test_operator.py"),
    _without_gate("primary_comes_last", "before_an_older_replica", "test_reparent.py"),
    Mutant(
        "a Pod with two disruption budgets is found before anything is touched",
        f"{UTILS}/operations/roll_plan.py",
        "    problems += forbidden\n",
        "    del forbidden\n",
        "test_pods.py",
        "before_anything_is_touched",
    ),
    Mutant(
        "each shard of a roll is a holder of its own of the keyspace",
        f"{UTILS}/operations/shard_reparent.py",
        "session.claims.of_part(session.shard_name).take(",
        "session.claims.take(",
        "test_reparent.py",
        "same_ansible_playbook",
    ),
    Mutant(
        "the order of the releases down the tree",
        f"{UTILS}/operator_removal.py",
        "        for level in (tree.keyspace, tree.shard):",
        "        for level in (tree.shard,):",
        "test_operator.py",
        "order_that_was_recorded",
    ),
    Mutant(
        "the wait until the operator counts all as available",
        f"{UTILS}/operator_removal.py",
        "        if not missing:\n            return Look(True)\n",
        "        return Look(True)\n",
        "test_operator.py",
        "counts_every_tablet_as_available",
    ),
    Mutant(
        "the drain is taken back with the release",
        f"{UTILS}/session.py",
        "{vitess_operator.RELEASED: None, vitess_operator.STARTED: None}",
        "{vitess_operator.RELEASED: None}",
        "test_operator.py",
        "taken_back_whole",
    ),
    Mutant(
        "an abort takes the release back",
        f"{UTILS}/operations/vtgate_readmit.py",
        "        if mine and pod is not None and pod.uid == entry.pod_uid and session.not_taken_back():",
        "        if False:",
        "test_operator.py",
        "abort_in_mid_release",
    ),
    Mutant(
        "a drain that is granted is no proof that it is no primary",
        f"{UTILS}/operator_removal.py",
        "        recheck()\n        if not now.marks.started:",
        "        if not now.marks.started:",
        "test_operator.py",
        "became_primary",
    ),
    Mutant(
        "an operator with the strategy Immediate",
        f"{UTILS}/vitess_operator.py",
        '        if level.strategy != "External":',
        "        if False:",
        "test_operator.py",
        "Immediate",
    ),
    Mutant(
        "a cascade of the operator's own",
        f"{UTILS}/vitess_operator.py",
        "        if level.cascades:",
        "        if False:",
        "test_operator.py",
        "cascade",
    ),
    Mutant(
        "Vitess 25 and flags with underscores",
        f"{UTILS}/vitess_operator.py",
        "version.major >= WITHOUT_UNDERSCORES and pod.underscored",
        "False",
        "test_operator.py",
        "vitess_25",
    ),
    _without_gate("version_step_is_allowed", "version_step_is_allowed"),
    _without_gate("mysql_step_is_allowed", "skipped or never_goes_back or nobody_spoke_of", "test_mysql.py"),
    _without_gate("two_mysql_series_at_most", "third_series", "test_mysql.py"),
    _without_gate("others_run_the_new_series", "waits_for_all_replicas", "test_mysql.py"),
    Mutant(
        "no reparent back to an older MySQL series",
        f"{UTILS}/gates.py",
        "    if older := _older_series(candidate, case.primary):\n        problems.append(older)\n",
        "",
        "test_mysql.py",
        "back_to_an_older",
    ),
    Mutant(
        "innodb_fast_shutdown=0 between MySQL series",
        f"{UTILS}/operations/pod_replace.py",
        "if gates.slow_shutdown_is_needed(case):",
        "if False:",
        "test_mysql.py",
        "stops_every_mysqld_slowly",
    ),
    _without_gate("new_pod_has_a_place", "new_pod_has_a_place"),
    _without_gate("rights_are_granted", "rights_are_granted"),
    _without_gate("drained_by_this_roll", "drained_by_this_roll"),
    _without_gate("candidate_is_fit", "candidate_is_fit"),
    _without_gate("buffering_covers_reparent", "buffering_covers_reparent"),
    _without_gate("no_migration_running", "no_migration_running"),
    _without_gate("roll_is_not_paused", "paused or pause", "test_stops.py"),
    _without_gate("reparent_is_not_held", "held_roll", "test_stops.py"),
    _without_gate("nothing_is_taken_away", "last_acker", "test_recovery.py"),
    _without_gate("mysqld_may_start_again", "successor", "test_recovery.py"),
    Mutant(
        "recovery: a fence for a lost node",
        f"{UTILS}/diagnosis.py",
        "if cause is Cause.NODE_LOST and not patient.fence:",
        "if False:",
        "test_recovery.py",
        "lost_node_without_a_fence",
    ),
    Mutant(
        "recovery: a PRIMARY is vtorc's",
        f"{UTILS}/diagnosis.py",
        "if patient.is_primary and cause not in",
        "if False and cause not in",
        "test_recovery.py",
        "vtorc_does_not_replace",
    ),
    Mutant(
        "recovery: quiet after an act",
        f"{UTILS}/operations/tablet_recover.py",
        "            _keep_quiet(session, doctor.patient.pod)\n",
        "",
        "test_recovery.py",
        "crash_loop",
    ),
    Mutant(
        "recovery: a restore that gets on",
        f"{UTILS}/operations/tablet_recover.py",
        "since.setdefault((found.cause, found.progress), now)",
        'since.setdefault((found.cause, ""), now)',
        "test_recovery.py",
        "restore_that_gets_on",
    ),
    Mutant(
        "the dry run before the first owner is written",
        f"{UTILS}/operations/tablet_spec.py",
        '        admitted = self._send(target, dry_run=True)["spec"]["template"]',
        "        admitted = target.wanted",
        "test_specs.py",
        "dry_run_before",
    ),
    Mutant(
        "a place for every next Pod",
        f"{UTILS}/operations/tablet_spec.py",
        "        self._fits(replace(target, wanted=admitted), room)\n",
        "",
        "test_specs.py",
        "fits_no_node or room_only_once",
    ),
    Mutant(
        "the next Pods take room from each other",
        f"{UTILS}/place.py",
        "                    used[name] = used.get(name, Decimal(0)) + max(more, Decimal(0))\n",
        "                    del more\n",
        "test_specs.py",
        "room_only_once",
    ),
    Mutant(
        "the shard's claim is held while its spec is written",
        f"{UTILS}/operations/tablet_spec.py",
        'self.claims.holding(self._fences(todo), self.waiter, self.params["claim_wait"])',
        "self.claims.holding({}, self.waiter)",
        "test_specs.py",
        "another_roll_holds",
    ),
    Mutant(
        "the write carries the resourceVersion that was read",
        f"{UTILS}/owner_spec.py",
        '{"resourceVersion": item["metadata"]["resourceVersion"]}',
        "{}",
        "test_specs.py",
        "meets_the_controllers",
    ),
    Mutant(
        "the eviction carries uid and resourceVersion",
        f"{UTILS}/clients/kubernetes.py",
        '                "deleteOptions": {\n                    "preconditions": {"uid": uid, "resourceVersion": resource_version},\n',
        '                "deleteOptions": {\n',
        "test_pods.py",
        "another_pod_of_the_same_name or changed_since",
    ),
    Mutant(
        "the gates again after a budget's refusal",
        f"{UTILS}/operations/pod_replace.py",
        "            still_allowed()\n",
        "",
        "test_pods.py",
        "sibling_that_is_lost_while",
    ),
    Mutant(
        "a red gate after the drain puts the tablet back",
        f"{UTILS}/operations/pod_replace.py",
        'failure.state = session.put_back(session.drained_by_us[session.alias], "a gate turned red")',
        "pass",
        "test_gates.py",
        "put_back and last_acker or put_back and sibling and lags",
    ),
    Mutant(
        "an errant tablet is not put back",
        f"{UTILS}/operations/pod_replace.py",
        "if gates.errant_problem(case.tablet, case.primary).startswith(gates.ERRANT):",
        "if False:",
        "test_claims.py",
        "stays_drained_when_it_is_errant",
    ),
    Mutant(
        "the lost PlannedReparentShard is looked up",
        f"{UTILS}/operations/shard_reparent.py",
        "_prove_recorded(session, candidate, error, may_go_on)",
        "raise",
        "test_reparent.py",
        "answer_is_lost or after_the_promotion",
    ),
    Mutant(
        "the wait for the buffer's gap",
        f"{UTILS}/operations/shard_reparent.py",
        "        _wait_buffer_gap(session, case.shard)\n",
        "        pass\n",
        "test_roll.py",
        "buffers_gap",
    ),
    Mutant(
        "the keyspace stays claimed until every vtgate agrees",
        f"{UTILS}/operations/shard_reparent.py",
        "if session.state == UNCHANGED or session.agreed:",
        "if True:",
        "test_reparent.py",
        "keyspace_stays_claimed",
    ),
    Mutant(
        "every vtgate must route to it",
        f"{UTILS}/operations/vtgate_readmit.py",
        "            shard, tablet = _wait_routes(session, original)\n",
        "            pass\n",
        "test_vtgates.py",
        "never_learns or slowest",
    ),
    Mutant(
        "the canary",
        f"{UTILS}/operations/vtgate_readmit.py",
        '        with session.phases.phase("canary"):\n            canaries = _canaries(session, shard, tablet)\n        session.state',
        "        canaries: dict[str, int] = {}\n        session.state",
        "test_vtgates.py",
        "found_by_the_canary",
    ),
    Mutant(
        "the position at leave is contained",
        f"{UTILS}/operations/vtgate_readmit.py",
        "if position and not status.gtid_executed.contains(GtidSet.parse(position)):",
        "if False:",
        "test_pods.py",
        "empty_volume",
    ),
    Mutant(
        "an old address that is also routed to",
        f"{UTILS}/fleet.py",
        "elif stale := sorted({route.hostname for route in routes if route.serving} - {tablet.hostname}):",
        "elif stale := sorted(set()):",
        "test_vtgates.py",
        "stale_row",
    ),
    Mutant(
        "a claim's loss is noticed",
        f"{UTILS}/claim.py",
        '            body["metadata"]["resourceVersion"] = resource_version\n',
        '            body["metadata"].pop("resourceVersion", None)\n',
        "test_claims.py",
        "claim_that_was_lost or frozen_roll",
    ),
    Mutant(
        "a live holder is not taken over",
        f"{UTILS}/claim.py",
        "            if watch.may_be_taken_over:",
        "            if True:",
        "test_claims.py",
        "live_roll or another_roll_holds or only_after",
    ),
    Mutant(
        "a holder that runs here does not expire",
        f"{UTILS}/claim.py",
        "return self.expires_in_s < 0 and not self._runs_here",
        "return self.expires_in_s < 0",
        "test_claims.py",
        "live_roll",
    ),
    Mutant(
        "a dead holder of another host is waited for",
        f"{UTILS}/claim.py",
        "look_for_a_renewal, what, watch.expires_in_s + 1.0, every_s=1.0",
        "look_for_a_renewal, what, 0.0, every_s=1.0",
        "test_claims.py",
        "rerun_on_another_host",
    ),
    Mutant(
        "what is looked at again after a wait for the claim",
        f"{UTILS}/session.py",
        "self.must_look_again = self.claim.taken_at != self._located_at",
        "self.must_look_again = False",
        "test_claims.py",
        "looked_at_again",
    ),
    Mutant(
        "the journal before the drain",
        f"{UTILS}/operations/tablet_drain.py",
        '            claim.intend(session.alias, entry, "drain")\n            session.change_type(TabletType.DRAINED)\n',
        '            session.change_type(TabletType.DRAINED)\n            claim.intend(session.alias, entry, "drain")\n',
        "test_claims.py",
        "in_the_journal_before",
    ),
    Mutant(
        "--strict",
        f"{UTILS}/clients/vtctld.py",
        "GetTablets --format json --strict --keyspace",
        "GetTablets --format json --keyspace",
        "test_wire.py",
        "cell_that_does_not_answer",
    ),
    Mutant(
        "an orphan stops",
        f"{UTILS}/claim.py",
        "        if not self._claims.holder.executor.runs:\n            raise ClaimLost(",
        "        if False:\n            raise ClaimLost(",
        "test_crash.py",
        "orphan_does_nothing",
    ),
    Mutant(
        "tablets before vtctld, vtctld before vtgate",
        f"{UTILS}/operations/component_spec.py",
        "        if not behind:\n",
        "        if behind is not None:\n",
        "test_components.py",
        "do_not_come_before or servers_report",
    ),
    Mutant(
        "no vtgate goes before the next one serves",
        f"{UTILS}/operations/component_spec.py",
        'if self.component == "vtgate" and (problem := deployments.surge_problem(target.item)):',
        "if problem := '':",
        "test_components.py",
        "before_others_serve",
    ),
    Mutant(
        "no vtgate is rolled while a reparent is pending",
        f"{UTILS}/operations/component_spec.py",
        'self.claims.holding(leases, self.waiter, self.params["keyspace_wait"])',
        "self.claims.holding({}, self.waiter)",
        "test_components.py",
        "reparent_is_pending",
    ),
    Mutant(
        "a new vtgate routes to what the old ones did",
        f"{UTILS}/operations/component_spec.py",
        '        if missing or self.component != "vtgate":\n',
        "        if missing or self.component:\n",
        "test_components.py",
        "does_not_route",
    ),
    Mutant(
        "no primary moves to a node that is emptied",
        f"{UTILS}/gates.py",
        "candidate.pod.node in case.avoid_nodes",
        "candidate.pod.node in ()",
        "test_nodes.py",
        "to_the_node_that_is_emptied",
    ),
    Mutant(
        "one tablet of a shard on a node that is taken in place",
        f"{UTILS}/operations/node_plan.py",
        "        if len(several) > 1\n",
        "        if len(several) > 9\n",
        "test_nodes.py",
        "two_tablets_of_a_shard",
    ),
    Mutant(
        "a cordon that is not ours stays",
        f"{UTILS}/operations/node_cordon.py",
        'if state == "absent" and seen.cordon is not None:',
        'if state == "absent" and seen.cordoned:',
        "test_nodes.py",
        "not_ours_stays",
    ),
    Mutant(
        "the exec whose handshake was cut may run",
        f"{UTILS}/clients/kubernetes.py",
        "kind = Unreachable if _never_connected(error) else OutcomeUnknown",
        "kind = Unreachable",
        "test_reparent.py",
        "answer_is_lost",
    ),
)


def killed_by(mutant: Mutant) -> str:
    """The first test that fails without the guard; empty where none does. Raises RuntimeError where it is not there."""
    path = COPY / mutant.file
    whole = (TOP / mutant.file).read_text(encoding="utf-8")
    if mutant.old not in whole:
        raise RuntimeError(f"{mutant.guard}: the guard was not found in {mutant.file}: mend this list")
    path.write_text(whole.replace(mutant.old, mutant.new), encoding="utf-8")
    line = [sys.executable, "-m", "pytest", "-q", "-x", "--timeout", "120", "-k", mutant.word]
    try:
        done = subprocess.run(
            [*line, f"tests/behaviour/{mutant.test}"],
            cwd=COPY,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(COPY.parents[2])},
        )
    finally:
        path.write_text(whole, encoding="utf-8")
    if done.returncode not in (0, 1):  # no test was run
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    failed = [text.split(" - ")[0] for text in done.stdout.splitlines() if text.startswith("FAILED ")]
    return failed[0].removeprefix("FAILED tests/behaviour/") if failed else ""


def main() -> int:
    """Exit code 1 where a guard can be taken out and no test fails."""
    shutil.rmtree(COPY.parents[2], ignore_errors=True)
    for folder in ("plugins", "tests", "meta", "docs"):
        shutil.copytree(TOP / folder, COPY / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOP / "pyproject.toml", COPY)
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    survivors = 0
    for mutant in MUTANTS:
        if word in mutant.guard:
            test = killed_by(mutant)
            survivors += not test
            print(f"{mutant.guard}: {test or 'NO TEST FAILS'}", flush=True)
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
