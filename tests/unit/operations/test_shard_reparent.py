# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import claim, gates, labels
from ansible_collections.vtops.vitess.plugins.module_utils.errors import OutcomeUnknown, Refused, StepFailure
from ansible_collections.vtops.vitess.tests.unit.factories import EXECUTED, PRIMARY, REPLICA, SIBLING, uuid_of
from ansible_collections.vtops.vitess.tests.unit.fakes import NAMESPACE, World, elsewhere
from ansible_collections.vtops.vitess.tests.unit.operations.faults import REPARENT_FAULTS, Fault, needs_every_gate

PRS = (
    "PlannedReparentShard commerce/-80 --new-primary zone1-0000000102 --expected-primary zone1-0000000101"
    " --wait-replicas-timeout 3s"
)
KEYSPACE = labels.keyspace_lease("commerce")


@pytest.fixture
def world() -> World:
    """The replicas are as wanted; the primary is what is left."""
    world = World()
    for alias in (REPLICA, SIBLING):
        world.pods[world.tablet(alias).pod]["metadata"]["labels"][labels.REVISION] = "new"
    return world


def run(world: World, **given: Any) -> dict[str, Any]:
    return world.run("shard_reparent", PRIMARY, **given)


# -- what it does


def test_moves_the_primary_away_with_the_expected_primary_named(world: World) -> None:
    result = run(world)
    assert world.acts == [PRS]
    assert (result["before"]["primary"], result["after"]["primary"]) == (str(PRIMARY), str(REPLICA))
    assert (result["changed"], result["old_primary"]["type"]) == (True, "REPLICA")
    assert {v["verdict"] for v in result["gates"]} == {"pass"}


def test_a_second_run_changes_nothing(world: World) -> None:
    run(world)
    world.calls.clear()
    assert run(world)["changed"] is False
    assert world.calls == []


def test_a_replica_needs_no_reparent(world: World) -> None:
    assert world.run("shard_reparent", REPLICA)["changed"] is False
    assert world.calls == []


def test_check_mode_writes_nothing_at_all_and_names_the_new_primary(world: World) -> None:
    result = run(world, check=True)
    assert world.calls == []
    assert (result["changed"], result["after"]["primary"]) == (True, str(REPLICA))


def test_check_mode_defers_to_the_replacement_of_the_replicas() -> None:
    world = World()
    result = run(world, check=True, predicted=[str(REPLICA), str(SIBLING)])
    assert {v["gate"]: v["verdict"] for v in result["gates"]}["candidate_is_fit"] == "deferred"


def test_takes_the_replica_that_has_executed_most(world: World) -> None:
    world.tablet(REPLICA).gtid = f"{uuid_of(PRIMARY)}:1-90"
    assert run(world)["after"]["primary"] == str(SIBLING)


def test_takes_the_fit_replica_although_another_has_executed_more(world: World) -> None:
    world.tablet(SIBLING).gtid = f"{uuid_of(PRIMARY)}:1-90"
    world.tablet(REPLICA).lag = 60.0
    assert run(world)["after"]["primary"] == str(SIBLING)


def test_an_override_passes_a_gate_that_may_be_passed_and_is_in_result_and_journal(world: World) -> None:
    world.pods["commerce-x-80-103"]["metadata"]["labels"][labels.REVISION] = "old"
    result = run(world, override_gates={"primary_comes_last": "node-7 dies today"})
    (passed,) = [v for v in result["gates"] if v["gate"] == "primary_comes_last"]
    assert passed["verdict"] == "overridden"
    assert passed["reason"] == (
        "passed by override (node-7 dies today): zone1-0000000103 of commerce/-80 comes before its primary"
    )
    entry = json.loads(world.leases[labels.shard_lease("commerce", "-80")]["metadata"]["annotations"][labels.JOURNAL])
    assert entry[str(PRIMARY)]["accepted"] == ["shard_reparent: override_gates: primary_comes_last: node-7 dies today"]


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"enough_ackers_remain": "in a hurry"}, "enough_ackers_remain guards data and stays"),
        ({"primary_comes_lats": "in a hurry"}, "primary_comes_lats is no gate"),
        ({"primary_comes_last": " "}, "needs a reason"),
    ],
)
def test_an_override_that_may_not_be_is_refused_before_anything_is_touched(
    world: World, overrides: dict[str, str], reason: str
) -> None:
    with pytest.raises(StepFailure, match=reason):
        run(world, override_gates=overrides)
    assert world.calls == []


def test_takes_the_replica_that_was_named(world: World) -> None:
    assert run(world, new_primary=str(SIBLING))["after"]["primary"] == str(SIBLING)


def test_holds_the_keyspace_from_before_the_reparent_until_every_vtgate_agrees(world: World) -> None:
    held: list[tuple[str, bool]] = []

    def look(when: str) -> None:
        held.append((when, bool(world.leases[KEYSPACE]["spec"]["holderIdentity"])))

    world.before("PlannedReparentShard", lambda: look("before"))
    world.on_reparent = lambda: world.vtgates[1].instead.update({REPLICA: []})

    def agrees() -> None:
        look("before the last vtgate agrees")
        world.vtgates[1].instead.clear()

    world.before("PlannedReparentShard", lambda: world.clock.at(2.0, agrees))
    run(world)
    assert held == [("before", True), ("before the last vtgate agrees", True)]
    assert world.leases[KEYSPACE]["spec"]["holderIdentity"] == ""


def test_renews_both_claims_while_it_waits_for_the_vtgates(world: World) -> None:
    world.on_reparent = lambda: world.vtgates[1].instead.update({REPLICA: []})
    world.before("PlannedReparentShard", lambda: world.clock.at(25.0, world.vtgates[1].instead.clear))
    run(world)
    after = world.calls[world.calls.index(PRS) :]
    assert sum(KEYSPACE in call for call in after) >= 3
    assert sum(labels.shard_lease("commerce", "-80") in call for call in after) >= 2


# -- what it refuses


@pytest.mark.parametrize("fault", REPARENT_FAULTS, ids=lambda f: f"{f.gate}: {f.name}")
def test_refuses_with_the_name_of_the_gate_and_reparents_nothing(world: World, fault: Fault) -> None:
    fault.breaks(world)
    with pytest.raises(StepFailure) as failure:
        run(world, **fault.params)
    assert fault.is_named_by(failure.value)
    assert failure.value.state == "nothing was changed"
    assert world.acts == []


@pytest.mark.parametrize("fault", [f for f in REPARENT_FAULTS if f.in_check_mode], ids=lambda f: f"{f.gate}: {f.name}")
def test_refuses_it_in_check_mode_too(world: World, fault: Fault) -> None:
    fault.breaks(world)
    with pytest.raises(StepFailure) as failure:
        run(world, check=True, **fault.params)
    assert fault.is_named_by(failure.value)
    assert world.calls == []


def test_every_gate_of_the_reparent_is_shown_red_here() -> None:
    needs_every_gate(gates.REPARENT, REPARENT_FAULTS)


def test_never_chooses_a_replica_with_an_errant_gtid(world: World) -> None:
    world.tablet(REPLICA).gtid = f"{EXECUTED},{uuid_of(REPLICA)}:1-5"
    assert run(world)["after"]["primary"] == str(SIBLING)


def test_refuses_a_new_primary_that_is_no_alias(world: World) -> None:
    with pytest.raises(StepFailure, match="no tablet alias") as failure:
        run(world, new_primary="the best one")
    assert failure.value.gate == "candidate_is_fit"


def test_migrations_that_cannot_be_read_stop_the_reparent(world: World) -> None:
    world.fail("schema_migrations", Refused("access denied", 1), times=99)
    with pytest.raises(StepFailure, match="access denied"):
        run(world)
    assert world.acts == []


# -- waiting


def test_a_vtgate_that_is_slow_to_show_its_counters_does_not_make_the_evidence_old(world: World) -> None:
    read, age = [0.0], []
    world.before("GetTablets", lambda: read.append(world.clock.now), times=99)
    world.before("vtgate-1:15000/proxy/debug/vars", lambda: world.clock.pass_(3.0), times=99)
    world.before("PlannedReparentShard", lambda: age.append(world.clock.now - read[-1]))
    run(world)
    assert len(age) == 1
    assert age[0] <= gates.TOPOLOGY_EVIDENCE_S


def test_waits_for_the_vtgates_minimum_gap_since_the_last_reparent(world: World) -> None:
    world.terms["-80"] = world.clock.time() - 5.0
    at: list[float] = []
    world.before("PlannedReparentShard", lambda: at.append(world.clock.now))
    start = world.clock.now
    run(world)
    assert 15.0 <= at[0] - start <= 17.0


def test_evaluates_the_gates_anew_after_the_waits(world: World) -> None:
    world.terms["-80"] = world.clock.time() - 5.0
    world.clock.at(10.0, lambda: world.tablet(SIBLING).__setattr__("type", "DRAINED"))
    with pytest.raises(StepFailure) as failure:
        run(world)
    assert failure.value.gate == "no_foreign_drain"
    assert world.acts == []


def test_an_old_transaction_on_the_primary_is_waited_for(world: World) -> None:
    world.tablet(PRIMARY).transactions = [(7, 30.0)]
    at: list[float] = []
    world.before("PlannedReparentShard", lambda: at.append(world.clock.now))
    ends = world.clock.now + 3.0
    world.clock.at(3.0, world.tablet(PRIMARY).transactions.clear)
    assert run(world)["transactions"] == {"policy": "wait", "cut": 0}
    assert at[0] >= ends


def test_an_old_transaction_that_does_not_end_stops_the_reparent(world: World) -> None:
    world.tablet(PRIMARY).transactions = [(7, 30.0)]
    with pytest.raises(StepFailure, match="1 older than 2 s: 7") as failure:
        run(world, transaction_wait=3.0)
    assert failure.value.gate == "transactions"
    assert world.acts == []
    assert world.leases[KEYSPACE]["spec"]["holderIdentity"] == ""


def test_the_operator_may_have_it_cut(world: World) -> None:
    world.tablet(PRIMARY).transactions = [(7, 30.0)]
    result = run(world, transaction_policy="cut", transaction_wait=1.0)
    assert result["transactions"] == {"policy": "cut", "cut": "1 older than 2 s: 7 (30.0 s)"}


def test_the_operator_may_have_it_not_looked_at(world: World) -> None:
    world.tablet(PRIMARY).transactions = [(7, 30.0)]
    assert run(world, transaction_policy="skip")["transactions"] == {"policy": "skip", "cut": None}


def test_another_reparent_of_the_keyspace_is_waited_for_and_named(world: World) -> None:
    other = claim.Claims(world.kube, NAMESPACE, claim.Holder("other", elsewhere(), elsewhere()), world.clock)
    other.put(KEYSPACE, "", 1, {}, "other@elsewhere")

    def renews() -> None:
        world.leases[KEYSPACE]["metadata"]["resourceVersion"] = world.next_version()
        world.clock.at(10.0, renews)

    world.clock.at(10.0, renews)
    world.calls.clear()
    with pytest.raises(StepFailure, match="held by other@elsewhere") as failure:
        run(world, keyspace_wait=5.0)
    assert failure.value.gate == "claim"
    assert world.acts == []


# -- outcome


@pytest.mark.parametrize("error", [OutcomeUnknown("the stream was cut"), Refused("context deadline exceeded", 1)])
def test_the_shard_record_decides_and_not_the_exit_code(world: World, error: Exception) -> None:
    world.fail("PlannedReparentShard", error, done=True)
    assert run(world)["after"]["primary"] == str(REPLICA)
    assert world.acts == [PRS]


def test_a_refused_reparent_that_changed_nothing_is_a_failure_and_the_keyspace_is_free_again(world: World) -> None:
    world.fail("PlannedReparentShard", Refused("primary is not reachable", 1))
    with pytest.raises(StepFailure) as failure:
        run(world)
    assert failure.value.gate == "reparent"
    assert "zone1-0000000101 is primary: primary is not reachable" in failure.value.reason
    assert world.leases[KEYSPACE]["spec"]["holderIdentity"] == ""


def test_a_reparent_whose_answer_was_lost_and_that_ends_a_little_later_is_no_failure(world: World) -> None:
    """The server goes on for its --action-timeout although our end of the stream was cut."""
    world.before("PlannedReparentShard", lambda: world.clock.at(3.0, lambda: world.reparent("-80", REPLICA, PRIMARY)))
    world.fail("PlannedReparentShard", OutcomeUnknown("the stream was cut"))
    assert run(world)["after"]["primary"] == str(REPLICA)


def test_a_reparent_whose_answer_was_lost_and_that_never_comes_is_a_failure_after_its_time_limit(world: World) -> None:
    world.fail("PlannedReparentShard", OutcomeUnknown("the stream was cut"))
    start = world.clock.now
    with pytest.raises(StepFailure) as failure:
        run(world, reparent_timeout=6.0)
    assert failure.value.gate == "reparent"
    assert world.clock.now - start >= 6.0


def test_a_reparent_that_ran_into_its_time_limit_may_still_come(world: World) -> None:
    world.before("PlannedReparentShard", lambda: world.clock.at(3.0, lambda: world.reparent("-80", REPLICA, PRIMARY)))
    world.fail("PlannedReparentShard", Refused("rpc error: code = DeadlineExceeded", 1))
    assert run(world)["after"]["primary"] == str(REPLICA)


@pytest.mark.parametrize("given", [{"reparent_timeout": 7.0}, {"wait_replicas_timeout": 3.5}])
def test_both_time_outs_of_the_reparent_count_against_the_smallest_buffer_window(
    world: World, given: dict[str, float]
) -> None:
    """Each alone is below the window of 10 s; a vtgate of another window, or of another keyspace, does not widen it."""
    world.vtgates[0].flags["buffer-window"] = "30s"
    with pytest.raises(StepFailure, match="time-outs add up to 10 s") as failure:
        run(world, **given)
    assert failure.value.gate == "buffering_covers_reparent"
    assert world.acts == []


def test_the_first_failure_is_told_and_not_that_the_keyspace_could_not_be_released_after_it(world: World) -> None:

    def taken() -> None:
        world.leases[KEYSPACE]["metadata"]["resourceVersion"] = "taken"

    world.before("PlannedReparentShard", taken)
    world.fail("PlannedReparentShard", Refused("primary is not reachable", 1))
    with pytest.raises(StepFailure) as failure:
        run(world)
    assert failure.value.gate == "reparent"


@pytest.mark.parametrize(
    ("breaks", "missing"),
    [
        (lambda w: w.vtgates[1].instead.update({REPLICA: []}), "zone1-0000000102: vtgate-1 does not know it"),
        (
            lambda w: w.vtgates[0].instead.update({REPLICA: [("REPLICA", "SERVING", "10.0.0.102")]}),
            "vtgate-0 shows REPLICA SERVING",
        ),
        (lambda w: w.vtgates[1].__setattr__("down", True), "vtgate-1: connection refused"),
        (lambda w: w.tablet(REPLICA).__setattr__("read_only", True), "mysqld of zone1-0000000102 is read_only"),
        (lambda w: w.tablet(PRIMARY).__setattr__("io", False), "zone1-0000000101 does not replicate yet"),
        (lambda w: w.tablet(PRIMARY).__setattr__("type", "PRIMARY"), "zone1-0000000101 still says PRIMARY"),
    ],
    ids=["unknown", "as replica", "vtgate down", "read_only", "old one", "two primaries"],
)
def test_a_reparent_that_not_everybody_agrees_on_is_a_failure_that_names_who(
    world: World, breaks: Any, missing: str
) -> None:
    world.on_reparent = lambda: breaks(world)
    with pytest.raises(StepFailure) as failure:
        run(world, agree_timeout=2.0)
    assert missing in failure.value.reason
    assert failure.value.gate == "every_vtgate_agrees"
    assert failure.value.next_command == "mysql at each vtgate: SHOW VITESS_TABLETS"
    assert failure.value.state == "zone1-0000000102 was made primary; not every vtgate was seen to agree"


def test_requests_that_a_buffer_did_not_hold_are_a_failure(world: World) -> None:
    for vtgate in world.vtgates:
        vtgate.counters = {"BufferRequestsSkipped": {"commerce.-80.Disabled": 1, "commerce.80-.Disabled": 5}}
    world.on_reparent = lambda: world.vtgates[1].counters["BufferRequestsSkipped"].update({"commerce.-80.Disabled": 3})
    with pytest.raises(StepFailure, match="did not hold every request") as failure:
        run(world)
    assert failure.value.gate == "buffer"
    assert "'vtgate-1'" in failure.value.reason
    assert "vtgate-0" not in failure.value.reason


def test_what_the_buffers_held_is_in_the_result(world: World) -> None:
    world.vtgates[0].counters = {"BufferRequestsBuffered": {"commerce.-80": 4}}
    world.on_reparent = lambda: world.vtgates[0].counters["BufferRequestsBuffered"].update({"commerce.-80": 44})
    assert run(world)["buffer"]["vtgate-0"]["BufferRequestsBuffered"] == 40


@pytest.mark.parametrize("lease", [KEYSPACE, labels.shard_lease("commerce", "-80")])
def test_a_claim_that_was_lost_meanwhile_stops_it_right_before_the_act(world: World, lease: str) -> None:
    """Nothing was waited for, so no tick has seen it: the renewal before the act must."""

    def taken() -> None:
        if lease in world.leases:
            world.leases[lease]["metadata"]["resourceVersion"] = "taken by another"

    world.before("vtgate-1.*debug/vars", taken, times=99)
    with pytest.raises(StepFailure, match="was taken by somebody else") as failure:
        run(world)
    assert failure.value.gate == "claim"
    assert world.acts == []
