# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every gate: green on a healthy shard, and red for each reason it knows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import gates
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import (
    NOT_ASKED,
    Alias,
    Marks,
    Migration,
    Shard,
    Tablet,
    TabletType,
    VtgateSettings,
    Work,
)
from ansible_collections.vtops.vitess.plugins.module_utils.gates import Case, Verdict
from ansible_collections.vtops.vitess.plugins.module_utils.gtid import GtidSet
from ansible_collections.vtops.vitess.plugins.module_utils.owners import Wanted
from ansible_collections.vtops.vitess.plugins.module_utils.place import Place
from ansible_collections.vtops.vitess.plugins.module_utils.rights import Granted, Right
from ansible_collections.vtops.vitess.plugins.module_utils.versions import Series
from ansible_collections.vtops.vitess.tests.unit.factories import (
    BUFFERING,
    EXECUTED,
    PRIMARY,
    REPLICA,
    SIBLING,
    a_case,
    a_drained_case,
    a_pod,
    a_primary_mysqld,
    a_reparent_case,
    a_replica_mysqld,
    a_route,
    a_shard,
    a_tablet,
    an_owner,
    seen_by,
    uuid_of,
    without,
)

FOREIGN_UUID = "ffffffff-0000-0000-0000-000000000009"
DRAINED, RDONLY = TabletType.DRAINED, TabletType.RDONLY

Test = Callable[..., None]
EVERY_GATE: list[Any] = sorted({gate for step in gates.EVERY_STEP for gate in step}, key=str)
RED: dict[str, int] = {}


def proves_red(gate: gates.Gate) -> Callable[[Test], Test]:
    """Marks a test that shows this gate red; the last test of this file counts them."""

    def mark(test: Test) -> Test:
        RED[gate.__name__] = RED.get(gate.__name__, 0) + 1
        return test

    return mark


def is_red(gate: gates.Gate, case: Case, reason: str) -> bool:
    verdict = gate(case)
    assert verdict.gate == gate.__name__
    assert reason in verdict.reason
    return verdict.ok is False


def is_green(gate: gates.Gate, case: Case) -> bool:
    return gate(case).ok is True


# -- every step's gates together


@pytest.mark.parametrize(
    ("step", "case"),
    [(gates.DRAIN, a_case()), (gates.REPLACE, a_drained_case()), (gates.REPARENT, a_reparent_case())],
    ids=["drain", "replace", "reparent"],
)
def test_all_gates_are_green_for_a_healthy_shard(step: tuple[gates.Gate, ...], case: Case) -> None:
    verdicts = gates.evaluate(step, case)
    assert gates.red(verdicts) == ()
    assert [v.gate for v in verdicts] == [g.__name__ for g in step]
    assert all(v.reason for v in verdicts)


@pytest.mark.parametrize("gate", EVERY_GATE)
def test_every_gate_has_a_test_that_shows_it_red(gate: gates.Gate) -> None:
    assert RED.get(gate.__name__, 0) > 0


def test_every_gate_of_the_module_is_part_of_a_step() -> None:
    used = {g.__name__ for step in gates.EVERY_STEP for g in step}
    written = {
        name
        for name, member in vars(sys.modules[gates.__name__]).items()
        if getattr(member, "__annotations__", {}).get("return") == "Verdict" and not name.startswith("_")
    }
    assert written == used


def test_a_tablet_that_the_shard_does_not_have_is_an_error_and_no_verdict() -> None:
    with pytest.raises(LookupError, match="commerce/-80 has no tablet zone1-0000000999"):
        gates.evaluate(gates.DRAIN, a_case(alias=Alias("zone1", 999)))


def test_a_verdict_shows_pass_fail_or_deferred() -> None:
    assert [Verdict("g", ok, "r").as_dict()["verdict"] for ok in (True, False, None)] == ["pass", "fail", "deferred"]


def test_red_keeps_only_what_failed() -> None:
    fine, deferred, bad = Verdict("a", True, ""), Verdict("b", None, ""), Verdict("c", False, "")
    assert gates.red((fine, deferred, bad)) == (bad,)


# -- evidence_is_fresh


def test_evidence_of_two_seconds_is_fresh() -> None:
    assert is_green(gates.evidence_is_fresh, a_case(now=52.0))


@proves_red(gates.evidence_is_fresh)
def test_refuses_evidence_that_is_older_than_two_seconds_from_the_start_of_its_read() -> None:
    assert is_red(gates.evidence_is_fresh, a_case(now=52.1), "over 2 s")


# -- what an operator says


@proves_red(gates.roll_is_not_paused)
def test_a_roll_that_is_paused_takes_nothing() -> None:
    assert is_green(gates.roll_is_not_paused, a_case())
    assert is_red(gates.roll_is_not_paused, a_case(paused="a disk alarm"), "a disk alarm")


@proves_red(gates.reparent_is_not_held)
def test_a_reparent_that_is_held_is_not_done() -> None:
    assert is_green(gates.reparent_is_not_held, a_case())
    assert is_red(gates.reparent_is_not_held, a_case(held=True), "waits for your word")


# -- one_tablet_of_shard_in_batch


def test_a_batch_may_hold_the_tablet_itself_and_tablets_of_other_shards() -> None:
    batch = frozenset({REPLICA, Alias("zone1", 201)})
    assert is_green(gates.one_tablet_of_shard_in_batch, a_case(batch=batch))


@proves_red(gates.one_tablet_of_shard_in_batch)
def test_refuses_a_batch_with_a_second_tablet_of_the_shard() -> None:
    case = a_case(batch=frozenset({REPLICA, SIBLING}))
    assert is_red(
        gates.one_tablet_of_shard_in_batch, case, "zone1-0000000103 of commerce/-80 in the same batch: set serial: 1"
    )


# -- not_primary


def test_a_replica_is_not_the_primary() -> None:
    assert is_green(gates.not_primary, a_case())


@proves_red(gates.not_primary)
def test_refuses_the_tablet_that_the_shard_record_names_as_primary() -> None:
    case = a_case(replace(a_shard(), primary=REPLICA))
    assert is_red(gates.not_primary, case, "the shard record names it as primary")


@proves_red(gates.not_primary)
def test_refuses_a_tablet_of_type_primary_although_the_record_names_another() -> None:
    case = a_case(a_shard(a_tablet(REPLICA, TabletType.PRIMARY, mysqld=a_replica_mysqld(REPLICA))))
    assert is_red(gates.not_primary, case, "its type is PRIMARY")


@proves_red(gates.not_primary)
def test_refuses_a_replica_whose_mysqld_takes_writes() -> None:
    case = a_case(a_shard(a_tablet(REPLICA, mysqld=a_replica_mysqld(REPLICA, read_only=False))))
    assert is_red(gates.not_primary, case, "its mysqld is not read_only")


def test_a_primary_is_deferred_in_check_mode_where_the_roll_would_reparent_first() -> None:
    case = a_case(alias=PRIMARY, predicted=frozenset({PRIMARY, REPLICA}))
    assert gates.not_primary(case).ok is None


@proves_red(gates.not_primary)
def test_refuses_a_primary_in_check_mode_that_is_not_part_of_what_was_predicted() -> None:
    assert is_red(gates.not_primary, a_case(alias=PRIMARY, predicted=frozenset({REPLICA})), "its type is PRIMARY")


# -- is_primary


def test_only_the_primary_gives_up_its_role() -> None:
    assert is_green(gates.is_primary, a_reparent_case())


@proves_red(gates.is_primary)
def test_refuses_to_reparent_away_from_a_replica() -> None:
    assert is_red(gates.is_primary, a_case(), "its type is REPLICA")


@proves_red(gates.is_primary)
def test_refuses_to_reparent_where_the_record_names_another_primary() -> None:
    case = replace(a_reparent_case(), shard=a_shard(primary=SIBLING))
    assert is_red(gates.is_primary, case, "shard record names zone1-0000000103")


@proves_red(gates.is_primary)
def test_refuses_to_reparent_where_the_recorded_primary_has_another_type() -> None:
    case = a_reparent_case(a_tablet(PRIMARY, TabletType.REPLICA))
    assert is_red(gates.is_primary, case, "its type is REPLICA")


# -- shard_has_healthy_primary


def test_a_primary_that_serves_at_every_vtgate_and_takes_writes_is_healthy() -> None:
    assert is_green(gates.shard_has_healthy_primary, a_case())


@proves_red(gates.shard_has_healthy_primary)
def test_refuses_a_shard_whose_record_names_no_primary() -> None:
    assert is_red(gates.shard_has_healthy_primary, a_case(a_shard(primary=None)), "commerce/-80 has no primary")


@proves_red(gates.shard_has_healthy_primary)
def test_refuses_a_shard_whose_primary_is_no_tablet_of_it() -> None:
    case = a_case(a_shard(primary=Alias("zone1", 999)))
    assert is_red(gates.shard_has_healthy_primary, case, "has no primary")


@proves_red(gates.shard_has_healthy_primary)
def test_refuses_a_primary_that_one_vtgate_does_not_serve() -> None:
    shard = a_shard()
    case = a_case(seen_by(shard, "vtgate-1", routes=tuple(a_route(t) for t in shard.tablets[1:])))
    assert is_red(gates.shard_has_healthy_primary, case, "vtgate-1 does not know it")


@proves_red(gates.shard_has_healthy_primary)
def test_refuses_a_primary_whose_pod_is_not_ready() -> None:
    primary = a_tablet(PRIMARY, TabletType.PRIMARY, pod=a_pod(PRIMARY, ready=False))
    assert is_red(gates.shard_has_healthy_primary, a_case(a_shard(primary)), "is not Ready")


@proves_red(gates.shard_has_healthy_primary)
def test_refuses_a_primary_of_another_type_than_the_record_says() -> None:
    primary = a_tablet(PRIMARY, mysqld=a_primary_mysqld())
    assert is_red(gates.shard_has_healthy_primary, a_case(a_shard(primary)), "REPLICA by type")


@proves_red(gates.shard_has_healthy_primary)
def test_refuses_a_primary_whose_mysqld_does_not_answer() -> None:
    primary = a_tablet(PRIMARY, TabletType.PRIMARY, mysqld=None, mysqld_error="no route to host")
    assert is_red(gates.shard_has_healthy_primary, a_case(a_shard(primary)), "does not answer: no route to host")


@proves_red(gates.shard_has_healthy_primary)
def test_refuses_a_primary_that_is_read_only() -> None:
    primary = a_tablet(PRIMARY, TabletType.PRIMARY, mysqld=a_primary_mysqld(read_only=True))
    assert is_red(gates.shard_has_healthy_primary, a_case(a_shard(primary)), "is read_only")


@proves_red(gates.shard_has_healthy_primary)
def test_refuses_a_shard_with_two_primaries() -> None:
    case = a_case(a_shard(a_tablet(SIBLING, TabletType.PRIMARY)))
    assert is_red(gates.shard_has_healthy_primary, case, "zone1-0000000103 is of type PRIMARY too")


# -- no_other_tablet_away


def test_no_other_tablet_is_away_where_all_serve() -> None:
    assert is_green(gates.no_other_tablet_away, a_case())


def test_that_this_tablet_is_away_is_no_reason_not_to_replace_it() -> None:
    assert is_green(gates.no_other_tablet_away, a_drained_case())


@proves_red(gates.no_other_tablet_away)
def test_refuses_when_a_second_tablet_of_the_shard_would_be_away() -> None:
    case = a_case(a_shard(a_tablet(SIBLING, pod=a_pod(SIBLING, ready=False))))
    assert is_red(gates.no_other_tablet_away, case, "zone1-0000000103 is away: Pod commerce-x-80-103 is not Ready")


@proves_red(gates.no_other_tablet_away)
def test_refuses_when_one_vtgate_does_not_route_to_a_sibling() -> None:
    shard = a_shard()
    case = a_case(seen_by(shard, "vtgate-0", routes=tuple(a_route(t) for t in shard.tablets if t.alias != SIBLING)))
    assert is_red(gates.no_other_tablet_away, case, "zone1-0000000103 is away: vtgate-0 does not know it")


@proves_red(gates.no_other_tablet_away)
def test_refuses_when_this_roll_itself_has_drained_a_sibling_even_if_it_was_accepted() -> None:
    case = a_case(
        a_shard(a_tablet(SIBLING, DRAINED)),
        drained_by_us={SIBLING: TabletType.REPLICA},
        accept_drained=frozenset({SIBLING}),
    )
    assert is_red(gates.no_other_tablet_away, case, "zone1-0000000103 is away: type DRAINED")


@proves_red(gates.no_other_tablet_away)
def test_refuses_when_a_sibling_that_was_accepted_as_drained_is_away_for_another_reason() -> None:
    case = a_case(a_shard(a_tablet(SIBLING, TabletType.RESTORE)), accept_drained=frozenset({SIBLING}))
    assert is_red(gates.no_other_tablet_away, case, "type RESTORE")


def test_a_sibling_drained_by_somebody_else_may_be_accepted_by_alias() -> None:
    case = a_case(a_shard(a_tablet(SIBLING, DRAINED)), accept_drained=frozenset({SIBLING}))
    assert is_green(gates.no_other_tablet_away, case)


# -- no_foreign_drain


def test_what_this_roll_drained_is_no_foreign_drain() -> None:
    assert is_green(gates.no_foreign_drain, a_drained_case())


def test_a_foreign_drain_may_be_accepted_by_alias() -> None:
    case = a_case(a_shard(a_tablet(SIBLING, DRAINED)), accept_drained=frozenset({SIBLING}))
    assert is_green(gates.no_foreign_drain, case)


@proves_red(gates.no_foreign_drain)
@pytest.mark.parametrize("alias", [REPLICA, SIBLING])
def test_refuses_when_somebody_else_drained_the_tablet_or_a_sibling(alias: Alias) -> None:
    case = a_case(a_shard(a_tablet(alias, DRAINED)))
    assert is_red(gates.no_foreign_drain, case, f"{alias} was DRAINED by somebody else")


# -- every_vtgate_answers


def test_a_terminating_vtgate_is_skipped_and_named() -> None:
    case = a_case(seen_by(a_shard(), "vtgate-1", terminating=True, error="gone"))
    verdict = gates.every_vtgate_answers(case)
    assert (verdict.ok, verdict.reason) == (True, "1 answered, terminating: vtgate-1")


@proves_red(gates.every_vtgate_answers)
def test_refuses_when_one_vtgate_of_two_cannot_be_asked() -> None:
    case = a_case(seen_by(a_shard(), "vtgate-1", error="connection refused"))
    assert is_red(gates.every_vtgate_answers, case, "vtgate-1: connection refused")


@proves_red(gates.every_vtgate_answers)
def test_refuses_when_no_vtgate_was_found() -> None:
    assert is_red(gates.every_vtgate_answers, a_case(a_shard(vtgates=())), "no vtgate was found")


@proves_red(gates.every_vtgate_answers)
def test_refuses_when_all_vtgates_are_terminating() -> None:
    shard = a_shard()
    case = a_case(replace(shard, vtgates=tuple(replace(v, terminating=True) for v in shard.vtgates)))
    assert is_red(gates.every_vtgate_answers, case, "no vtgate was found")


# -- serving_route_remains


def test_a_route_remains_where_a_sibling_of_the_type_serves_everywhere() -> None:
    assert is_green(gates.serving_route_remains, a_case())


def test_a_route_of_the_drained_tablets_original_type_remains() -> None:
    assert is_green(gates.serving_route_remains, a_drained_case())


@proves_red(gates.serving_route_remains)
def test_refuses_when_one_vtgate_would_have_no_other_replica() -> None:
    shard = a_shard()
    case = a_case(seen_by(shard, "vtgate-1", routes=tuple(a_route(t) for t in shard.tablets if t.alias != SIBLING)))
    assert is_red(gates.serving_route_remains, case, "vtgate-1 has no other REPLICA of commerce/-80 that serves")


@proves_red(gates.serving_route_remains)
def test_refuses_when_the_other_route_is_not_serving() -> None:
    shard = a_shard()
    routes = tuple(a_route(t, serving=t.alias != SIBLING) for t in shard.tablets)
    assert is_red(
        gates.serving_route_remains, a_case(seen_by(shard, "vtgate-0", routes=routes)), "vtgate-0 has no other"
    )


@proves_red(gates.serving_route_remains)
def test_refuses_when_the_other_route_leads_to_an_old_address() -> None:
    shard = a_shard()
    routes = tuple(a_route(t, hostname="10.0.0.9") if t.alias == SIBLING else a_route(t) for t in shard.tablets)
    assert is_red(
        gates.serving_route_remains, a_case(seen_by(shard, "vtgate-0", routes=routes)), "vtgate-0 has no other"
    )


@proves_red(gates.serving_route_remains)
@pytest.mark.parametrize(
    "changes",
    [{"lag_s": 10.1}, {"lag_s": None}, {"io_running": False}, {"sql_running": False}],
    ids=["lags", "lag unknown", "io stopped", "sql stopped"],
)
def test_refuses_when_the_other_replica_lags_or_does_not_replicate(changes: dict) -> None:
    case = a_case(a_shard(a_tablet(SIBLING, mysqld=a_replica_mysqld(SIBLING, **changes))))
    assert is_red(gates.serving_route_remains, case, "(zone1-0000000103 lags")


@proves_red(gates.serving_route_remains)
def test_refuses_when_the_mysqld_of_the_other_replica_is_silent() -> None:
    case = a_case(a_shard(a_tablet(SIBLING, mysqld=None)))
    assert is_red(gates.serving_route_remains, case, "zone1-0000000103 lags unknown")


@proves_red(gates.serving_route_remains)
def test_refuses_to_take_the_only_rdonly() -> None:
    case = a_case(a_shard(a_tablet(REPLICA, RDONLY)))
    assert is_red(gates.serving_route_remains, case, "has no other RDONLY")


@proves_red(gates.serving_route_remains)
def test_a_drained_tablet_is_judged_by_the_type_that_it_had() -> None:
    case = replace(a_drained_case(), drained_by_us={REPLICA: RDONLY})
    assert is_red(gates.serving_route_remains, case, "has no other RDONLY")


def test_that_no_route_is_left_may_be_accepted_by_alias() -> None:
    case = a_case(a_shard(a_tablet(REPLICA, RDONLY)), accept_no_route=frozenset({REPLICA}))
    assert is_green(gates.serving_route_remains, case)


def test_a_spare_takes_no_traffic_and_needs_no_other_route() -> None:
    assert is_green(gates.serving_route_remains, a_case(a_shard(a_tablet(REPLICA, TabletType.SPARE))))


def test_a_vtgate_that_does_not_watch_the_cell_needs_no_other_route() -> None:
    elsewhere = VtgateSettings(cells_to_watch=frozenset({"zone2"}))
    case = a_case(seen_by(a_shard(), "vtgate-1", routes=(), settings=elsewhere))
    assert is_green(gates.serving_route_remains, case)


def test_the_lag_limit_is_the_callers() -> None:
    shard = a_shard(a_tablet(SIBLING, mysqld=a_replica_mysqld(SIBLING, lag_s=30.0)))
    assert is_green(gates.serving_route_remains, a_case(shard, max_lag_s=30.0))


# -- enough_ackers_remain


def test_one_acker_is_enough_for_semi_sync() -> None:
    assert is_green(gates.enough_ackers_remain, a_case())


@proves_red(gates.enough_ackers_remain)
def test_refuses_to_take_the_last_acker() -> None:
    case = a_case(a_shard(a_tablet(SIBLING, mysqld=a_replica_mysqld(SIBLING, semi_sync_replica=False))))
    assert is_red(gates.enough_ackers_remain, case, "semi_sync needs 1 acker(s), without zone1-0000000102 there are 0")


@proves_red(gates.enough_ackers_remain)
def test_refuses_when_the_io_thread_of_the_other_acker_stopped() -> None:
    case = a_case(a_shard(a_tablet(SIBLING, mysqld=a_replica_mysqld(SIBLING, io_running=False))))
    assert is_red(gates.enough_ackers_remain, case, "writes would hang")


@proves_red(gates.enough_ackers_remain)
def test_refuses_when_the_only_other_replica_is_in_the_primarys_cell_under_cross_cell() -> None:
    assert is_red(gates.enough_ackers_remain, a_case(a_shard(durability="cross_cell")), "cross_cell needs 1")


@proves_red(gates.enough_ackers_remain)
def test_refuses_a_durability_policy_that_it_does_not_know() -> None:
    assert is_red(gates.enough_ackers_remain, a_case(a_shard(durability="three_of_five")), "is not known here")


def test_no_acker_is_needed_without_semi_sync() -> None:
    assert is_green(gates.enough_ackers_remain, a_case(without(a_shard(durability="none"), SIBLING)))


# -- no_backup_or_restore


def test_nothing_is_backed_up() -> None:
    assert is_green(gates.no_backup_or_restore, a_case())


@proves_red(gates.no_backup_or_restore)
@pytest.mark.parametrize("kind", [TabletType.BACKUP, TabletType.RESTORE])
@pytest.mark.parametrize("alias", [REPLICA, SIBLING])
def test_refuses_while_the_tablet_or_a_sibling_restores_or_is_backed_up(alias: Alias, kind: TabletType) -> None:
    assert is_red(gates.no_backup_or_restore, a_case(a_shard(a_tablet(alias, kind))), f"{alias} is {kind}")


def test_refuses_while_an_online_backup_runs_that_leaves_the_type_as_it_is() -> None:
    case = a_case(backup_running=True)
    assert is_red(gates.no_backup_or_restore, case, f"{REPLICA} takes a backup while it serves")


# -- no_migration_running


def test_no_migration_runs() -> None:
    assert is_green(gates.no_migration_running, a_reparent_case())


@proves_red(gates.no_migration_running)
def test_refuses_to_reparent_while_an_online_ddl_runs() -> None:
    case = a_reparent_case()
    case = replace(case, shard=busy(migrations=(Migration("0f3c", "running"), Migration("11aa", "ready"))))
    assert is_red(gates.no_migration_running, case, "OnlineDDL: 0f3c running, 11aa ready")


def busy(**work: Any) -> Shard:
    return a_shard(work=Work(**work))


# -- canary_write_is_acked


def test_a_write_that_was_acknowledged_is_green_and_one_that_was_not_written_yet_is_deferred() -> None:
    assert is_green(gates.canary_write_is_acked, a_case())
    assert gates.canary_write_is_acked(a_case(a_shard(canary=None))).ok is None


@proves_red(gates.canary_write_is_acked)
def test_refuses_where_a_write_was_not_acknowledged_whatever_was_counted() -> None:
    case = a_case(a_shard(canary="not within 1.5 s"))
    assert is_green(gates.enough_ackers_remain, case)
    assert is_red(gates.canary_write_is_acked, case, "was not acknowledged: not within 1.5 s")


# -- no_cut_over_under_way


def test_an_online_ddl_that_copies_does_not_stop_a_drain() -> None:
    """Its stream goes on from another tablet."""
    assert is_green(gates.no_cut_over_under_way, a_case(busy(migrations=(Migration("0f3c", "running"),))))


@proves_red(gates.no_cut_over_under_way)
def test_refuses_while_an_online_ddl_is_at_its_cut_over() -> None:
    case = a_case(busy(migrations=(Migration("0f3c", "running", at_cut_over=True),)))
    assert is_red(gates.no_cut_over_under_way, case, "OnlineDDL: 0f3c running, at its cut-over")
    assert gates.passes_by_itself(case) == "OnlineDDL: 0f3c running, at its cut-over"


# -- no_traffic_switch_under_way


def test_no_traffic_is_switched() -> None:
    assert is_green(gates.no_traffic_switch_under_way, a_case())
    assert gates.passes_by_itself(a_case()) == ""


@proves_red(gates.no_traffic_switch_under_way)
def test_refuses_while_a_workflow_switches_its_traffic() -> None:
    case = a_case(busy(switches=("move_customers Stopped",)))
    assert is_red(gates.no_traffic_switch_under_way, case, "traffic is being switched: move_customers Stopped")
    assert gates.passes_by_itself(case) == "traffic is being switched: move_customers Stopped"


@pytest.mark.parametrize(
    "gate", [gates.no_migration_running, gates.no_cut_over_under_way, gates.no_traffic_switch_under_way]
)
def test_what_could_not_be_read_is_red_and_not_waited_for(gate: gates.Gate) -> None:
    case = a_case(busy(error="access denied"))
    assert is_red(gate, case, "it is not known what runs in the shard: access denied")
    assert gates.passes_by_itself(case) == ""


@pytest.mark.parametrize(
    "gate", [gates.no_migration_running, gates.no_cut_over_under_way, gates.no_traffic_switch_under_way]
)
def test_a_shard_that_was_read_without_it_is_red(gate: gates.Gate) -> None:
    assert is_red(gate, a_case(a_shard(work=NOT_ASKED)), "it was not asked for")


# -- the owner


def test_a_stateful_set_with_on_delete_is_supported() -> None:
    assert is_green(gates.owner_is_supported, a_case())


@proves_red(gates.owner_is_supported)
def test_refuses_an_owner_that_would_race_this_roll() -> None:
    case = a_case(owner=an_owner(refusal="has updateStrategy RollingUpdate"))
    assert is_red(gates.owner_is_supported, case, "RollingUpdate")


@proves_red(gates.owner_is_supported)
def test_refuses_a_tablet_without_pod_and_owner() -> None:
    assert is_red(gates.owner_is_supported, a_case(owner=None), "were not found")


def test_an_owner_whose_controller_saw_its_latest_spec_is_observed() -> None:
    assert is_green(gates.owner_is_observed, a_case())


@proves_red(gates.owner_is_observed)
def test_refuses_while_the_owners_controller_has_not_seen_its_latest_spec() -> None:
    case = a_case(owner=an_owner(generation=3))
    assert is_red(gates.owner_is_observed, case, "observedGeneration 2 lags generation 3")


@proves_red(gates.owner_is_observed)
def test_refuses_where_no_owner_can_have_seen_anything() -> None:
    assert is_red(gates.owner_is_observed, a_case(owner=None), "no owner")


def test_the_spec_is_what_the_roll_has_frozen() -> None:
    assert is_green(gates.spec_is_as_planned, a_case())


def test_a_roll_by_time_has_frozen_no_revision() -> None:
    assert is_green(gates.spec_is_as_planned, a_case(wanted=Wanted(since=1.0)))


@proves_red(gates.spec_is_as_planned)
def test_refuses_when_the_spec_changed_in_mid_roll() -> None:
    case = a_case(owner=an_owner(update_revision="newer"))
    assert is_red(gates.spec_is_as_planned, case, "now wants newer, this roll was started for new")


@proves_red(gates.spec_is_as_planned)
def test_refuses_a_move_by_time_that_would_change_what_runs() -> None:
    since = Wanted(since=500.0)
    assert is_green(gates.spec_is_as_planned, a_case(wanted=since))
    waits = a_case(wanted=since, owner=an_owner(pending="VitessKeyspace commerce has changes scheduled"))
    assert is_red(
        gates.spec_is_as_planned, waits, "VitessKeyspace commerce has changes scheduled: what is only to be moved"
    )
    pod = a_pod(REPLICA, marks=Marks(scheduled=True))
    scheduled = a_case(a_shard(a_tablet(REPLICA, pod=pod)), wanted=since)
    assert is_red(gates.spec_is_as_planned, scheduled, "would come back changed")


@proves_red(gates.operator_removes_nothing_else)
@pytest.mark.parametrize("ours", [False, True])
@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("released", "released"),
        ("started", "drain started"),
        ("acknowledged", "acknowledged"),
        ("finished", "finished"),
    ],
)
def test_refuses_while_a_sibling_is_released_or_drained_whoever_asked(word: str, shown: str, ours: bool) -> None:
    pod = a_pod(SIBLING, marks=Marks(ours=ours, **{word: True}))
    case = a_case(a_shard(a_tablet(SIBLING, pod=pod)))
    assert is_red(gates.operator_removes_nothing_else, case, shown)
    assert is_red(gates.operator_removes_nothing_else, case, "of zone1-0000000103")


@proves_red(gates.operator_removes_nothing_else)
def test_refuses_a_tablet_that_somebody_else_asked_the_operator_for_and_not_one_that_we_did() -> None:
    for ours, verdict in ((False, is_red), (True, None)):
        pod = a_pod(REPLICA, marks=Marks(released=True, started=True, finished=True, ours=ours))
        case = a_case(a_shard(a_tablet(REPLICA, pod=pod)))
        if verdict is not None:
            assert verdict(gates.operator_removes_nothing_else, case, "released, drain started, drain finished")
        else:
            assert is_green(gates.operator_removes_nothing_else, case)
    scheduled = a_case(a_shard(a_tablet(REPLICA, pod=a_pod(REPLICA, marks=Marks(scheduled=True)))))
    assert is_green(gates.operator_removes_nothing_else, scheduled)


def test_one_major_version_may_be_stepped() -> None:
    assert is_green(gates.version_step_is_allowed, a_case())


@proves_red(gates.version_step_is_allowed)
def test_refuses_to_skip_a_major_version() -> None:
    case = a_case(owner=an_owner(images=(("vttablet", "vitess/lite:v25.0.0"),)))
    assert is_red(gates.version_step_is_allowed, case, "skips a major version")


@proves_red(gates.version_step_is_allowed)
def test_refuses_an_image_whose_version_cannot_be_read() -> None:
    case = a_case(owner=an_owner(images=(("vttablet", "vitess/lite:latest"),)))
    assert is_red(gates.version_step_is_allowed, case, "no version can be read")


def test_what_the_vttablet_says_it_is_counts_and_not_its_images_tag() -> None:
    case = a_case(vttablet="22.0.1")
    assert is_red(gates.version_step_is_allowed, case, "22.0.1 -> 24.0.2 skips a major version")
    relabelled = a_case(
        a_shard(a_tablet(REPLICA, pod=a_pod(REPLICA, images=(("vttablet", "lite:prod"),)))), vttablet="23.0.3"
    )
    assert is_green(gates.version_step_is_allowed, relabelled)


# -- mysql_step_is_allowed

V84 = Series(8, 4)


def mysql(alias: Alias, version: str, **pod: Any) -> Tablet:
    """A replica whose mysqld reports that version."""
    return a_tablet(alias, pod=a_pod(alias, **pod), mysqld=a_replica_mysqld(alias, version=version))


def mysql_primary(version: str) -> Tablet:
    return a_tablet(PRIMARY, TabletType.PRIMARY, mysqld=a_primary_mysqld(version=version))


def test_mysql_may_stay_or_go_to_the_next_long_term_series() -> None:
    assert is_green(gates.mysql_step_is_allowed, a_case())
    assert is_green(gates.mysql_step_is_allowed, a_case(mysql_series=V84))


def test_another_tablet_that_came_back_as_was_said_is_no_reason_to_stop() -> None:
    case = a_case(a_shard(mysql(SIBLING, "8.4.6", revision="new")), mysql_series=V84)
    assert is_green(gates.mysql_step_is_allowed, case)


@proves_red(gates.mysql_step_is_allowed)
def test_refuses_to_skip_a_long_term_series() -> None:
    assert is_red(gates.mysql_step_is_allowed, a_case(mysql_series=Series(9, 7)), "MySQL 8.0.40 -> 9.7 skips 8.4")


@proves_red(gates.mysql_step_is_allowed)
def test_refuses_to_go_back_to_an_older_series() -> None:
    case = a_case(a_shard(mysql(REPLICA, "8.4.6")), mysql_series=Series(8, 0))
    assert is_red(gates.mysql_step_is_allowed, case, "goes back over an upgrade of the data dictionary")


@proves_red(gates.mysql_step_is_allowed)
def test_refuses_to_go_back_where_only_the_others_tell_that_it_does() -> None:
    case = a_case(a_shard(mysql(REPLICA, "8.4.6"), mysql(SIBLING, "8.0.40", revision="new")))
    assert is_red(gates.mysql_step_is_allowed, case, "goes back over an upgrade of the data dictionary")


@proves_red(gates.mysql_step_is_allowed)
def test_refuses_to_go_on_where_a_tablet_came_back_with_a_series_that_nobody_spoke_of() -> None:
    case = a_case(a_shard(mysql(SIBLING, "8.4.6", revision="new")))
    assert is_red(gates.mysql_step_is_allowed, case, "runs MySQL 8.4.6, this one 8.0.40: set mysql_series: '8.4'")


@proves_red(gates.mysql_step_is_allowed)
def test_refuses_to_go_on_where_a_tablet_came_back_with_another_series_than_was_said() -> None:
    case = a_case(a_shard(mysql(SIBLING, "8.0.40", revision="new")), mysql_series=V84)
    assert is_red(gates.mysql_step_is_allowed, case, "mysql_series is 8.4, but zone1-0000000103 is as wanted and runs")


@proves_red(gates.mysql_step_is_allowed)
def test_refuses_to_go_back_to_a_release_with_another_data_format() -> None:
    case = a_case(a_shard(mysql(SIBLING, "8.0.34", revision="new")))
    assert is_red(gates.mysql_step_is_allowed, case, "8.0.40 -> 8.0.34 goes back")


@proves_red(gates.mysql_step_is_allowed)
def test_refuses_a_tablet_whose_mysqld_is_silent() -> None:
    case = a_case(a_shard(a_tablet(REPLICA, mysqld=None)))
    assert is_red(gates.mysql_step_is_allowed, case, "the MySQL version of zone1-0000000102 is not known")


def test_a_tablet_that_is_not_as_wanted_yet_says_nothing_of_what_comes() -> None:
    assert is_green(gates.mysql_step_is_allowed, a_case(a_shard(mysql(SIBLING, "8.4.6"))))


@pytest.mark.parametrize(
    ("version", "told", "slow"),
    [("8.0.40", V84, True), ("8.0.40", None, False), ("8.4.6", V84, False), ("8.0.34", Series(8, 0), True)],
)
def test_a_mysqld_stops_slowly_where_what_comes_has_another_data_format(
    version: str, told: Series | None, slow: bool
) -> None:
    assert gates.slow_shutdown_is_needed(a_case(a_shard(mysql(REPLICA, version)), mysql_series=told)) is slow


# -- two_mysql_series_at_most


def test_a_shard_may_have_two_mysql_series() -> None:
    case = a_case(a_shard(mysql(SIBLING, "8.4.6")), mysql_series=V84)
    assert is_green(gates.two_mysql_series_at_most, case)


@proves_red(gates.two_mysql_series_at_most)
def test_refuses_a_third_mysql_series() -> None:
    case = a_case(a_shard(mysql(SIBLING, "8.4.6")), mysql_series=Series(8, 3))
    assert is_red(gates.two_mysql_series_at_most, case, "commerce/-80 would have MySQL 8.0, 8.3, 8.4")


@proves_red(gates.two_mysql_series_at_most)
def test_refuses_where_a_mysqld_does_not_say_what_it_is() -> None:
    case = a_case(a_shard(a_tablet(SIBLING, mysqld=None)))
    assert is_red(gates.two_mysql_series_at_most, case, "the MySQL version of zone1-0000000103 is not known")


def test_the_silent_mysqld_of_a_tablet_that_was_accepted_as_drained_is_left_out() -> None:
    case = a_case(a_shard(a_tablet(SIBLING, DRAINED, mysqld=None)), accept_drained=frozenset({SIBLING}))
    assert is_green(gates.two_mysql_series_at_most, case)


def test_the_new_pod_has_a_place_on_a_ready_node() -> None:
    assert is_green(gates.new_pod_has_a_place, a_case())


@proves_red(gates.new_pod_has_a_place)
def test_refuses_when_no_node_would_take_the_new_pod() -> None:
    case = a_case(place=Place((), "worker-1 is cordoned"))
    assert is_red(gates.new_pod_has_a_place, case, "worker-1 is cordoned")


@proves_red(gates.new_pod_has_a_place)
def test_refuses_when_it_is_not_known_where_the_new_pod_could_go() -> None:
    assert is_red(gates.new_pod_has_a_place, a_case(place=None), "it is not known")


# -- rights_are_granted


def test_every_right_that_the_writes_to_come_need_is_granted() -> None:
    assert is_green(gates.rights_are_granted, a_case())


@proves_red(gates.rights_are_granted)
def test_refuses_when_a_right_is_missing_and_names_verb_resource_and_namespace() -> None:
    case = a_case(rights=Granted((Right("create", "pods/eviction", "vitess"), Right("list", "nodes"))))
    reason = "create pods/eviction in namespace vitess, list nodes cluster-wide: grant what docs/rbac.yaml lists"
    assert is_red(gates.rights_are_granted, case, reason)


@proves_red(gates.rights_are_granted)
def test_refuses_when_nobody_asked_for_the_rights() -> None:
    assert is_red(gates.rights_are_granted, a_case(rights=None), "it is not known")


def test_rights_that_kubernetes_cannot_be_asked_for_are_no_red_and_are_said() -> None:
    case = a_case(rights=Granted(note="could not be asked: patch pods in namespace vitess"))
    assert is_green(gates.rights_are_granted, case)
    assert gates.rights_are_granted(case).reason == "could not be asked: patch pods in namespace vitess"


# -- no_errant_gtid


def test_a_replica_that_executed_what_the_primary_did_has_no_errant_gtid() -> None:
    assert is_green(gates.no_errant_gtid, a_case())


def test_what_the_primary_wrote_after_it_was_asked_is_not_errant() -> None:
    ahead = a_replica_mysqld(REPLICA, gtid_executed=GtidSet.parse(f"{uuid_of(PRIMARY)}:1-105"))
    assert is_green(gates.no_errant_gtid, a_case(a_shard(a_tablet(REPLICA, mysqld=ahead))))


@proves_red(gates.no_errant_gtid)
def test_refuses_a_replica_with_a_transaction_that_the_primary_has_not() -> None:
    errant = a_replica_mysqld(REPLICA, gtid_executed=GtidSet.parse(f"{EXECUTED},{uuid_of(REPLICA)}:1"))
    case = a_case(a_shard(a_tablet(REPLICA, mysqld=errant)))
    assert is_red(gates.no_errant_gtid, case, f"errant GTIDs {uuid_of(REPLICA)}:1")


@proves_red(gates.no_errant_gtid)
@pytest.mark.parametrize("silent", [REPLICA, PRIMARY])
def test_refuses_when_the_gtid_set_of_the_tablet_or_of_the_primary_is_not_known(silent: Alias) -> None:
    kind = TabletType.PRIMARY if silent == PRIMARY else TabletType.REPLICA
    case = a_case(a_shard(a_tablet(silent, kind, mysqld=None)))
    assert is_red(gates.no_errant_gtid, case, "is not known")


@proves_red(gates.no_errant_gtid)
def test_refuses_when_the_primary_does_not_tell_its_server_uuid() -> None:
    nameless = a_tablet(PRIMARY, TabletType.PRIMARY, mysqld=a_primary_mysqld(server_uuid=""))
    errant = a_replica_mysqld(REPLICA, gtid_executed=GtidSet.parse(f"{EXECUTED},{FOREIGN_UUID}:1"))
    assert is_red(gates.no_errant_gtid, a_case(a_shard(nameless, a_tablet(REPLICA, mysqld=errant))), "")


# -- drained_by_this_roll


def test_what_this_roll_drained_may_be_removed() -> None:
    assert is_green(gates.drained_by_this_roll, a_drained_case())


@proves_red(gates.drained_by_this_roll)
def test_refuses_to_remove_a_tablet_that_serves() -> None:
    case = a_case(drained_by_us={REPLICA: TabletType.REPLICA})
    assert is_red(gates.drained_by_this_roll, case, "its type is REPLICA; run tablet_drain first")


@proves_red(gates.drained_by_this_roll)
def test_refuses_to_remove_a_tablet_that_somebody_else_drained() -> None:
    case = a_case(a_shard(a_tablet(REPLICA, DRAINED)), accept_drained=frozenset({REPLICA}))
    assert is_red(gates.drained_by_this_roll, case, "its type is DRAINED")


def test_the_drain_is_deferred_in_check_mode() -> None:
    assert gates.drained_by_this_roll(a_case(predicted=frozenset({REPLICA}))).ok is None


# -- candidate_is_fit


def test_a_caught_up_replica_that_is_as_wanted_is_fit() -> None:
    assert is_green(gates.candidate_is_fit, a_reparent_case())


@proves_red(gates.candidate_is_fit)
def test_refuses_to_reparent_without_a_candidate() -> None:
    assert is_red(gates.candidate_is_fit, a_reparent_case(candidate=None), "no candidate is no tablet of commerce/-80")


@proves_red(gates.candidate_is_fit)
def test_refuses_a_candidate_of_another_shard() -> None:
    case = a_reparent_case(candidate=Alias("zone1", 201))
    assert is_red(gates.candidate_is_fit, case, "zone1-0000000201 is no tablet of commerce/-80")


@proves_red(gates.candidate_is_fit)
@pytest.mark.parametrize("kind", [RDONLY, TabletType.SPARE, DRAINED])
def test_refuses_a_candidate_that_is_no_replica(kind: TabletType) -> None:
    case = a_reparent_case(a_tablet(REPLICA, kind, pod=a_pod(REPLICA, revision="new")))
    assert is_red(gates.candidate_is_fit, case, f"type {kind}")


@proves_red(gates.candidate_is_fit)
def test_refuses_the_primary_itself_as_candidate() -> None:
    assert is_red(gates.candidate_is_fit, a_reparent_case(candidate=PRIMARY), "it is the primary")


@proves_red(gates.candidate_is_fit)
def test_refuses_a_candidate_in_another_cell() -> None:
    far = Alias("zone2", 201)
    case = a_reparent_case(a_tablet(far, pod=a_pod(far, revision="new")), candidate=far)
    assert is_red(gates.candidate_is_fit, case, "another cell than zone1")


@proves_red(gates.candidate_is_fit)
@pytest.mark.parametrize(
    "changes",
    [{"lag_s": 11.0}, {"lag_s": None}, {"io_running": False}, {"sql_running": False}],
    ids=["lags", "lag unknown", "io stopped", "sql stopped"],
)
def test_refuses_a_candidate_that_lags_or_does_not_replicate(changes: dict) -> None:
    mysqld = a_replica_mysqld(REPLICA, **changes)
    case = a_reparent_case(a_tablet(REPLICA, pod=a_pod(REPLICA, revision="new"), mysqld=mysqld))
    assert is_red(gates.candidate_is_fit, case, "replication does not run or lags")


@proves_red(gates.candidate_is_fit)
def test_refuses_a_candidate_that_is_away() -> None:
    case = a_reparent_case(a_tablet(REPLICA, pod=a_pod(REPLICA, revision="new", ready=False)))
    assert is_red(gates.candidate_is_fit, case, "is not Ready")


@proves_red(gates.candidate_is_fit)
def test_refuses_a_candidate_that_does_not_run_what_is_wanted() -> None:
    case = a_reparent_case(a_tablet(REPLICA))
    assert is_red(gates.candidate_is_fit, case, "does not run what is wanted yet")


@proves_red(gates.candidate_is_fit)
def test_refuses_a_candidate_with_an_errant_gtid() -> None:
    errant = a_replica_mysqld(REPLICA, gtid_executed=GtidSet.parse(f"{EXECUTED},{uuid_of(REPLICA)}:1"))
    case = a_reparent_case(a_tablet(REPLICA, pod=a_pod(REPLICA, revision="new"), mysqld=errant))
    assert is_red(gates.candidate_is_fit, case, "errant GTID")


@proves_red(gates.candidate_is_fit)
def test_refuses_a_candidate_that_a_vtgate_of_the_primary_would_not_see() -> None:
    case = a_reparent_case()
    watched = tuple(
        replace(t, tags=frozenset({("pool", "a")})) if t.alias == PRIMARY else t for t in case.shard.tablets
    )
    settings = replace(BUFFERING, tablet_filter_tags=frozenset({("pool", "a")}))
    case = replace(case, shard=seen_by(replace(case.shard, tablets=watched), "vtgate-1", settings=settings))
    assert is_red(gates.candidate_is_fit, case, "vtgate-1 would not see it")


def test_a_candidate_that_the_roll_would_have_replaced_before_is_deferred_in_check_mode() -> None:
    case = a_reparent_case(a_tablet(REPLICA), predicted=frozenset({REPLICA}))
    assert gates.candidate_is_fit(case).ok is None


@proves_red(gates.candidate_is_fit)
def test_refuses_in_check_mode_a_candidate_that_no_replacing_would_make_fit() -> None:
    case = a_reparent_case(a_tablet(REPLICA, RDONLY), predicted=frozenset({REPLICA}))
    assert is_red(gates.candidate_is_fit, case, "type RDONLY")


# -- primary_comes_last


def test_a_primary_goes_when_every_other_is_as_wanted() -> None:
    assert is_green(gates.primary_comes_last, a_reparent_case())


@proves_red(gates.primary_comes_last)
def test_refuses_a_primary_before_a_replica_that_is_not_upgraded() -> None:
    case = a_reparent_case(a_tablet(SIBLING))
    assert is_red(gates.primary_comes_last, case, "zone1-0000000103 of commerce/-80 comes before its primary")


def test_the_replicas_are_deferred_in_check_mode() -> None:
    case = a_reparent_case(a_tablet(SIBLING), predicted=frozenset({SIBLING}))
    assert gates.primary_comes_last(case).ok is None


def test_a_tablet_is_compared_with_what_its_own_owner_wants() -> None:
    """RDONLY tablets of a StatefulSet of their own have revisions of their own."""
    own = replace(a_pod(SIBLING, revision="rdonly-2"), owner_name="commerce-x-80-rdonly")
    case = a_reparent_case(a_tablet(SIBLING, RDONLY, pod=own))
    assert is_red(gates.primary_comes_last, case, "zone1-0000000103")
    assert is_green(gates.primary_comes_last, replace(case, goals={own.owner: Wanted(revision="rdonly-2")}))
    assert is_red(
        gates.primary_comes_last, replace(case, goals={own.owner: Wanted(revision="rdonly-3")}), "zone1-0000000103"
    )


def test_one_that_stays_drained_by_the_operators_word_is_not_waited_for() -> None:
    case = a_reparent_case(a_tablet(SIBLING, DRAINED), accept_drained=frozenset({SIBLING}))
    assert is_green(gates.primary_comes_last, case)


# -- overrides


@pytest.mark.parametrize("gate", EVERY_GATE)
def test_only_what_guards_no_data_can_be_passed(gate: gates.Gate) -> None:
    overrides = {gate.__name__: "a reason"}
    if gate in gates.OVERRIDABLE:
        gates.refuse_overrides(overrides)
    else:
        with pytest.raises(ValueError, match="guards data and stays"):
            gates.refuse_overrides(overrides)


def test_an_override_changes_no_gate_that_is_green_or_deferred() -> None:
    overrides = {"primary_comes_last": "a reason"}
    (green,) = gates.evaluate((gates.primary_comes_last,), a_reparent_case(overrides=overrides))
    assert (green.ok, green.overridden) == (True, "")
    deferred = a_reparent_case(a_tablet(SIBLING), predicted=frozenset({SIBLING}), overrides=overrides)
    assert gates.evaluate((gates.primary_comes_last,), deferred)[0].ok is None


@proves_red(gates.candidate_is_fit)
def test_refuses_a_candidate_of_an_older_mysql_series_than_the_primarys() -> None:
    case = a_reparent_case(mysql_primary("8.4.6"))
    assert is_red(gates.candidate_is_fit, case, "its MySQL 8.0.40 is of an older series than the primary's 8.4.6")


@proves_red(gates.candidate_is_fit)
@pytest.mark.parametrize("silent", [PRIMARY, REPLICA])
def test_refuses_a_candidate_where_a_mysql_version_is_not_known(silent: Alias) -> None:
    case = a_reparent_case(mysql_primary("") if silent == PRIMARY else mysql(REPLICA, "", revision="new"))
    assert is_red(gates.candidate_is_fit, case, "its or the primary's MySQL version is not known")


# -- others_run_the_new_series


def crossing(sibling: str, **changes: Any) -> Case:
    """The candidate runs 8.4, the primary 8.0."""
    return a_reparent_case(mysql(REPLICA, "8.4.6", revision="new"), mysql(SIBLING, sibling), **changes)


def test_a_reparent_within_a_series_needs_nobody_of_another() -> None:
    assert is_green(gates.others_run_the_new_series, a_reparent_case())


def test_a_reparent_to_a_new_series_follows_all_others() -> None:
    assert is_green(gates.others_run_the_new_series, crossing("8.4.6"))


@proves_red(gates.others_run_the_new_series)
@pytest.mark.parametrize("sibling", ["8.0.40", ""], ids=["older", "unknown"])
def test_refuses_a_reparent_to_a_new_series_while_another_tablet_could_not_follow(sibling: str) -> None:
    case = crossing(sibling)
    assert is_red(gates.others_run_the_new_series, case, "zone1-0000000103 does not run MySQL 8.4 yet")


@proves_red(gates.others_run_the_new_series)
def test_refuses_a_reparent_between_series_that_are_not_known() -> None:
    assert is_red(gates.others_run_the_new_series, a_reparent_case(mysql_primary("")), "is not known")
    assert is_red(gates.others_run_the_new_series, a_reparent_case(candidate=None), "is not known")


def test_what_the_roll_would_have_upgraded_before_is_deferred_in_check_mode() -> None:
    assert gates.others_run_the_new_series(crossing("8.0.40", predicted=frozenset({SIBLING}))).ok is None


def test_a_tablet_that_was_accepted_as_drained_need_not_follow() -> None:
    assert is_green(gates.others_run_the_new_series, crossing("8.0.40", accept_drained=frozenset({SIBLING})))


def test_without_semi_sync_the_only_replica_may_be_alone_of_its_series_and_that_is_said() -> None:
    case = crossing("8.4.6")
    case = replace(case, shard=without(replace(case.shard, durability="none"), SIBLING))
    verdict = gates.others_run_the_new_series(case)
    assert (verdict.ok, verdict.reason) == (True, "zone1-0000000102 will be alone of its series")


# -- two_tablets_left_to_ack


def test_a_third_tablet_acknowledges_after_the_reparent() -> None:
    assert is_green(gates.two_tablets_left_to_ack, a_reparent_case())


def test_without_semi_sync_nobody_needs_to_acknowledge_after_the_reparent() -> None:
    case = a_reparent_case()
    case = replace(case, shard=without(replace(case.shard, durability="none"), SIBLING))
    assert is_green(gates.two_tablets_left_to_ack, case)


@proves_red(gates.two_tablets_left_to_ack)
def test_refuses_to_reparent_where_only_the_old_primary_could_acknowledge() -> None:
    case = a_reparent_case()
    case = replace(case, shard=without(case.shard, SIBLING))
    assert is_red(
        gates.two_tablets_left_to_ack,
        case,
        "semi_sync needs 1, besides zone1-0000000102 and zone1-0000000101 there are 0",
    )


@proves_red(gates.two_tablets_left_to_ack)
@pytest.mark.parametrize("changes", [{"io_running": False}, {"sql_running": False}], ids=["io stopped", "sql stopped"])
def test_refuses_to_reparent_where_the_third_tablet_does_not_replicate(changes: dict) -> None:
    case = a_reparent_case(a_tablet(SIBLING, mysqld=a_replica_mysqld(SIBLING, **changes)))
    assert is_red(gates.two_tablets_left_to_ack, case, "there are 0")


@proves_red(gates.two_tablets_left_to_ack)
def test_refuses_to_reparent_where_the_third_tablets_mysqld_is_silent() -> None:
    assert is_red(gates.two_tablets_left_to_ack, a_reparent_case(a_tablet(SIBLING, mysqld=None)), "there are 0")


@proves_red(gates.two_tablets_left_to_ack)
def test_refuses_to_reparent_where_the_third_tablet_is_in_the_new_primarys_cell_under_cross_cell() -> None:
    case = a_reparent_case()
    case = replace(case, shard=replace(case.shard, durability="cross_cell"))
    assert is_red(gates.two_tablets_left_to_ack, case, "cross_cell needs 1")


@proves_red(gates.two_tablets_left_to_ack)
def test_refuses_to_reparent_under_a_policy_that_it_does_not_know() -> None:
    case = a_reparent_case()
    case = replace(case, shard=replace(case.shard, durability="three_of_five"))
    assert is_red(gates.two_tablets_left_to_ack, case, "is not known here")


# -- buffering_covers_reparent


def test_every_vtgate_buffers_for_longer_than_the_reparent_may_take() -> None:
    assert is_green(gates.buffering_covers_reparent, a_reparent_case())


def test_a_vtgate_may_name_the_shard_or_its_keyspace_as_buffered() -> None:
    for name in ("commerce", "commerce/-80"):
        settings = replace(BUFFERING, buffer_keyspace_shards=frozenset({name}))
        case = a_reparent_case()
        case = replace(case, shard=seen_by(case.shard, "vtgate-1", settings=settings))
        assert is_green(gates.buffering_covers_reparent, case)


def test_a_vtgate_that_watches_no_tablet_of_the_shard_need_not_buffer_it() -> None:
    elsewhere = VtgateSettings(keyspaces_to_watch=frozenset({"customer"}))
    case = a_reparent_case()
    case = replace(case, shard=seen_by(case.shard, "vtgate-1", settings=elsewhere, routes=()))
    assert is_green(gates.buffering_covers_reparent, case)


@proves_red(gates.buffering_covers_reparent)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"buffer_enabled": False}, "vtgate-1 does not buffer (--enable-buffer)"),
        ({"buffer_keyspace_shards": frozenset({"commerce/80-"})}, "vtgate-1 does not buffer commerce/-80"),
        ({"buffer_window_s": 9.5}, "vtgate-1 buffers for 9.5 s, the reparent's time-outs add up to 9.5 s"),
        ({"buffer_max_failover_s": 3.0}, "vtgate-1 buffers for 3 s"),
    ],
    ids=["not at all", "another shard", "window", "max failover"],
)
def test_refuses_to_reparent_where_one_vtgate_would_not_hold_the_writes(changes: dict, reason: str) -> None:
    case = a_reparent_case()
    case = replace(case, shard=seen_by(case.shard, "vtgate-1", settings=replace(BUFFERING, **changes)))
    assert is_red(gates.buffering_covers_reparent, case, reason)


# -- what a recovery may do


def a_lost_case(**changes: Any) -> Case:
    """The REPLICA in a Pod that is not Ready, without an answer, and no vtgate routes to it."""
    lost = a_tablet(REPLICA, pod=a_pod(REPLICA, ready=False), mysqld=None)
    shard = a_shard(lost)
    for name in ("vtgate-0", "vtgate-1"):
        routes = tuple(route for route in a_shard().vtgates[0].routes if route.alias != REPLICA)
        shard = seen_by(shard, name, routes=routes)
    return a_case(shard, **changes)


def test_a_tablet_that_is_away_by_itself_may_be_replaced() -> None:
    case = a_lost_case(owner=an_owner(images=a_pod(REPLICA).images))
    assert [v for v in gates.evaluate(gates.RECOVER, case) if v.ok is not True] == []


@proves_red(gates.primary_is_another)
@pytest.mark.parametrize(
    ("tablet", "reason"),
    [
        ({"primary_term_start": "1790000000.000000000"}, "of no earlier term"),
        ({"mysqld": a_primary_mysqld()}, "its mysqld is not read_only"),
    ],
    ids=["the same term", "takes writes"],
)
def test_refuses_to_recover_what_may_still_be_the_primary(tablet: dict[str, Any], reason: str) -> None:
    mine = a_tablet(REPLICA, TabletType.PRIMARY, **{"mysqld": None, **tablet})
    case = a_case(replace(a_shard(mine), primary_term_start="1790000000.000000000"))
    assert is_red(gates.primary_is_another, case, reason)


@proves_red(gates.primary_is_another)
def test_refuses_to_recover_the_primary_itself_or_where_there_is_none() -> None:
    assert is_red(gates.primary_is_another, a_case(alias=PRIMARY), "the shard record names it")
    assert is_red(gates.primary_is_another, a_case(replace(a_shard(), primary=None)), "has no primary")


def test_what_a_dead_primary_left_in_its_record_is_no_rival_once_vtorc_has_elected() -> None:
    dead = a_tablet(REPLICA, TabletType.PRIMARY, mysqld=None, primary_term_start="1780000000.000000000")
    case = a_case(replace(a_shard(dead), primary_term_start="1790000000.000000000"))
    assert is_green(gates.primary_is_another, case)
    assert "is of type PRIMARY too" not in gates.shard_has_healthy_primary(case).reason


@proves_red(gates.node_is_alive_or_fenced)
def test_refuses_to_act_on_a_lost_node_without_a_fence() -> None:
    case = a_lost_case(lost_node="node worker-1 is not Ready")
    assert is_red(gates.node_is_alive_or_fenced, case, "node worker-1 is not Ready, and nobody says that it is off")
    assert is_green(gates.node_is_alive_or_fenced, replace(case, fence="node_fenced"))


@proves_red(gates.nothing_is_taken_away)
def test_refuses_to_recover_what_a_vtgate_still_routes_to_or_what_may_be_the_last_acker() -> None:
    assert is_red(gates.nothing_is_taken_away, a_case(), "vtgate-0, vtgate-1 still routes to it")
    silent = a_tablet(SIBLING, mysqld=a_replica_mysqld(SIBLING, io_running=False))
    case = a_lost_case(mysqld_may_run=True)
    tablets = tuple(silent if t.alias == SIBLING else t for t in case.shard.tablets)
    case = replace(case, shard=replace(case.shard, tablets=tablets))
    assert is_red(gates.nothing_is_taken_away, case, "writes would hang")
    assert is_green(gates.nothing_is_taken_away, replace(case, mysqld_may_run=False))


@proves_red(gates.mysqld_may_start_again)
def test_refuses_another_mysqld_image_where_nobody_knows_what_runs() -> None:
    owner = an_owner(images=(("vttablet", "vitess/lite:v24.0.2"), ("mysqld", "mysql:9.7.4")))
    assert is_red(gates.mysqld_may_start_again, a_lost_case(owner=owner), "is not known")
    assert is_red(gates.mysqld_may_start_again, a_lost_case(owner=None), "was not found")
    same = an_owner(images=a_pod(REPLICA).images)
    assert is_green(gates.mysqld_may_start_again, a_lost_case(owner=same))


# -- order


def test_a_primary_is_never_drained_or_replaced_and_only_a_primary_reparents() -> None:
    assert gates.not_primary in gates.DRAIN
    assert gates.not_primary in gates.REPLACE
    assert gates.is_primary in gates.REPARENT


def test_whatever_takes_a_tablet_away_looks_at_rule_1_and_at_the_evidence_first() -> None:
    for step in (gates.DRAIN, gates.REPLACE, gates.REPARENT):
        assert step[0] is gates.evidence_is_fresh
        assert gates.no_other_tablet_away in step
