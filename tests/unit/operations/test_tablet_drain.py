# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import gates, labels
from ansible_collections.vtops.vitess.plugins.module_utils.errors import (
    OutcomeUnknown,
    Refused,
    StepFailure,
    Unreachable,
)
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Alias, TabletType
from ansible_collections.vtops.vitess.tests.unit.factories import PRIMARY, REPLICA, SIBLING, uuid_of
from ansible_collections.vtops.vitess.tests.unit.fakes import World
from ansible_collections.vtops.vitess.tests.unit.operations.faults import DRAIN_FAULTS, Fault, needs_every_gate

DRAINED = "ChangeTabletType zone1-0000000102 drained"
PUT_BACK = "ChangeTabletType zone1-0000000102 replica"


@pytest.fixture
def world() -> World:
    return World()


# -- what it does


def test_takes_a_replica_out_of_serving_and_says_what_it_was(world: World) -> None:
    result = world.run("tablet_drain")
    assert world.acts == [DRAINED]
    assert world.tablet(REPLICA).type == "DRAINED"
    assert (result["changed"], result["before"]["type"], result["after"]["type"]) == (True, "REPLICA", "DRAINED")
    assert result["sessions"] == ["backup Query x1"]
    assert {verdict["verdict"] for verdict in result["gates"]} == {"pass"}


def test_writes_what_it_is_about_to_do_with_the_original_type_before_and_that_it_is_done_after(world: World) -> None:
    before: list[Any] = []
    world.before("ChangeTabletType", lambda: before.append(world.journal[REPLICA]))
    world.run("tablet_drain")
    (intent,), done = before, world.journal[REPLICA]
    assert (intent.original_type, intent.steps["drain"][1]) == (TabletType.REPLICA, None)
    assert (intent.server_uuid, intent.position) == (uuid_of(REPLICA), f"{uuid_of(PRIMARY)}:1-100")
    assert (intent.pod_name, intent.wanted) == ("commerce-x-80-102", "new")
    assert intent.address == world.tablet(REPLICA).hostname == "10.0.0.102"
    assert done.steps["drain"][1] is not None
    assert done.in_flight


def test_names_the_tablet_on_its_volume_claim_while_it_is_healthy(world: World) -> None:
    world.run("tablet_drain")
    annotations = world.claims["data-commerce-x-80-102"]["metadata"]["annotations"]
    assert annotations == {labels.TABLET: "zone1-0000000102", labels.TOPOLOGY: "vitess"}


def test_check_mode_writes_nothing_at_all_and_predicts_the_change(world: World) -> None:
    result = world.run("tablet_drain", check=True)
    assert world.calls == []
    assert (result["changed"], result["after"]["type"]) == (True, "DRAINED")


def test_a_second_run_changes_nothing(world: World) -> None:
    world.run("tablet_drain")
    world.calls.clear()
    result = world.run("tablet_drain")
    assert world.acts == []
    assert result["changed"] is False


def test_a_second_run_in_check_mode_writes_nothing(world: World) -> None:
    world.run("tablet_drain")
    world.calls.clear()
    assert world.run("tablet_drain", check=True)["changed"] is False
    assert world.calls == []


def test_a_tablet_whose_pod_was_replaced_already_is_not_drained_again(world: World) -> None:
    world.run("tablet_drain")
    world.stop_pod("commerce-x-80-102")
    world.clock.sleep(30)
    world.tablet(REPLICA).type = "REPLICA"
    world.calls.clear()
    result = world.run("tablet_drain")
    assert world.calls == []
    assert (result["changed"], result["note"]) == (False, "its Pod was replaced already")


def test_a_rerun_while_the_evicted_pod_still_stops_leaves_it_alone(world: World) -> None:
    world.run("tablet_drain")
    world.stop_pod("commerce-x-80-102")
    world.calls.clear()
    world.fail("GET .*commerce-x-80-102:15000/proxy/debug/vars", Unreachable("web server is gone"), times=99)
    result = world.run("tablet_drain")
    assert world.acts == []
    assert result["changed"] is False


def test_a_rerun_in_the_moment_when_the_evicted_pod_still_looks_ready_leaves_it_alone(world: World) -> None:
    """Seen on the lab: killed after the eviction, the rerun found a Ready Pod whose vttablet did not answer any more."""
    world.run("tablet_drain")
    world.before("POST .*/eviction", killed)
    with pytest.raises(Killed):
        world.run("pod_replace")
    world.calls.clear()
    world.fail("GET .*commerce-x-80-102:15000/proxy/debug/vars", Unreachable("connection refused"), times=99)
    result = world.run("tablet_drain")
    assert world.acts == []
    assert result["changed"] is False


class Killed(BaseException):
    """What no operation catches."""


def killed() -> None:
    raise Killed


def test_an_rdonly_is_drained_as_well(world: World) -> None:
    for alias in (REPLICA, SIBLING):
        world.tablet(alias).type = "RDONLY"
    world.durability = "none"
    world.run("tablet_drain")
    assert world.journal[REPLICA].original_type == TabletType.RDONLY


def test_one_canary_write_is_acknowledged_under_the_claim_and_before_the_drain(world: World) -> None:
    world.run("tablet_drain")
    (canary,) = [call for call in world.calls if "_vt.semisync_heartbeat" in call]
    claimed = next(call for call in world.calls if "leases" in call)
    assert world.calls.index(claimed) < world.calls.index(canary) < world.calls.index(DRAINED)
    assert "zone1-0000000101" in canary


def test_what_is_deferred_is_red_right_before_the_act(world: World) -> None:
    session = world.session("tablet_drain")
    session.locate()
    case = session.fresh_case(canary=False, rights=True)
    session.require(gates.DRAIN, case)
    with pytest.raises(StepFailure, match="right before the act") as failure:
        session.require(gates.DRAIN, case, acting=True)
    assert failure.value.gate == "canary_write_is_acked"


def test_a_canary_that_is_late_once_is_written_again(world: World) -> None:
    world.acks = False
    world.before("INSERT", lambda: world.clock.at(1.4, lambda: setattr(world, "acks", True)))
    world.run("tablet_drain")
    assert sum("_vt.semisync_heartbeat" in call for call in world.calls) == 2
    assert world.acts == [DRAINED]


def test_a_canary_that_is_never_acknowledged_is_written_twice_at_most(world: World) -> None:
    world.acks = False
    with pytest.raises(StepFailure, match="not acknowledged") as failure:
        world.run("tablet_drain")
    assert sum("_vt.semisync_heartbeat" in call for call in world.calls) == 2
    assert failure.value.gate == "canary_write_is_acked"
    assert world.acts == []


@pytest.mark.parametrize("work", [("migration", "0f3c", "running", 1), ("switch", "move_customers", "Stopped", 1)])
def test_waits_for_a_cut_over_that_ends_by_itself(world: World, work: tuple[str, str, str, int]) -> None:
    world.work = [work]
    world.clock.at(9.0, world.work.clear)
    world.run("tablet_drain")
    assert world.acts == [DRAINED]
    assert world.clock.slept >= 9.0
    assert any(work[1] in line for line in world.reported)


def test_check_mode_does_not_wait_for_a_cut_over(world: World) -> None:
    world.work = [("migration", "0f3c", "running", 1)]
    with pytest.raises(StepFailure, match="at its cut-over") as failure:
        world.run("tablet_drain", check=True)
    assert failure.value.gate == "no_cut_over_under_way"
    assert world.clock.slept == 0


# -- what it refuses


@pytest.mark.parametrize("fault", DRAIN_FAULTS, ids=lambda f: f"{f.gate}: {f.name}")
def test_refuses_with_the_name_of_the_gate_and_touches_nothing(world: World, fault: Fault) -> None:
    fault.breaks(world)
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain", **fault.params)
    assert fault.is_named_by(failure.value)
    assert failure.value.state == "nothing was changed"
    assert world.acts == []
    assert not world.calls or not fault.in_check_mode  # what is read alone is refused before the claim


@pytest.mark.parametrize("fault", [f for f in DRAIN_FAULTS if f.in_check_mode], ids=lambda f: f"{f.gate}: {f.name}")
def test_refuses_it_in_check_mode_too(world: World, fault: Fault) -> None:
    fault.breaks(world)
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain", check=True, **fault.params)
    assert fault.is_named_by(failure.value)


def test_every_gate_of_the_drain_is_shown_red_here() -> None:
    needs_every_gate(gates.DRAIN, DRAIN_FAULTS)


def test_refuses_a_primary_and_names_the_gate(world: World) -> None:
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain", PRIMARY)
    assert failure.value.gate == "not_primary"
    assert world.calls == []


@pytest.mark.parametrize(
    "breaks",
    [
        lambda world: world.tablet(SIBLING).__setattr__("type", "DRAINED"),
        lambda world: world.tablet(SIBLING).__setattr__("lag", 60.0),
        lambda world: world.tablet(SIBLING).__setattr__("semi_sync", False),
        lambda world: world.tablet(REPLICA).__setattr__("read_only", False),
    ],
    ids=["foreign drain", "sibling lags", "last acker", "takes writes"],
)
def test_evaluates_the_gates_anew_after_waiting_for_transactions(world: World, breaks: Callable[[World], None]) -> None:
    world.tablet(REPLICA).pools["TransactionPoolInUse"] = 1

    def ends() -> None:
        world.tablet(REPLICA).pools["TransactionPoolInUse"] = 0
        breaks(world)

    world.clock.at(1.0, ends)
    with pytest.raises(StepFailure):
        world.run("tablet_drain")
    assert world.acts == []
    assert world.tablet(REPLICA).type == "REPLICA"


def test_refuses_a_tablet_that_the_topology_does_not_know(world: World) -> None:
    with pytest.raises(StepFailure, match="the topology has no tablet zone1-0000000999") as failure:
        world.run("tablet_drain", Alias("zone1", 999))
    assert failure.value.next_command == "vtctldclient GetTablets"
    assert world.calls == []


def test_refuses_text_that_is_no_alias(world: World) -> None:
    with pytest.raises(StepFailure, match="no tablet alias"):
        world.run("tablet_drain", tablet="commerce/-80")


def test_refuses_an_accepted_alias_that_is_none(world: World) -> None:
    with pytest.raises(StepFailure, match="no tablet alias"):
        world.run("tablet_drain", accept_drained=["all"])


def test_refuses_a_pod_that_says_it_is_another_tablet(world: World) -> None:
    one, other = world.tablet(REPLICA), world.tablet(SIBLING)
    one.hostname, other.hostname = other.hostname, one.hostname
    with pytest.raises(StepFailure, match=r"says that it is zone1-\d+, not zone1-0000000102"):
        world.run("tablet_drain")
    assert world.calls == []


def test_a_cluster_that_reads_too_slowly_is_given_a_bounded_time(world: World) -> None:
    world.before("GetTablets", lambda: world.clock.pass_(2.5), times=999)
    start = world.clock.now
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain")
    assert failure.value.gate == "evidence_is_fresh"
    assert 30.0 <= world.clock.now - start < 40.0


def test_reads_again_where_the_first_read_took_too_long(world: World) -> None:
    world.before("GetFullStatus zone1-0000000103", lambda: world.clock.pass_(3.0))
    assert world.run("tablet_drain")["changed"] is True


# -- transactions


def test_waits_for_open_transactions_before_it_changes_anything(world: World) -> None:
    world.tablet(REPLICA).pools["TransactionPoolInUse"] = 1
    at: list[float] = []
    world.before("ChangeTabletType", lambda: at.append(world.clock.now))
    start = world.clock.now
    world.clock.at(2.0, lambda: world.tablet(REPLICA).pools.update(TransactionPoolInUse=0))
    result = world.run("tablet_drain")
    assert at[0] >= start + 2.0
    assert result["transactions"] == {"policy": "wait", "cut": 0}


def old_transaction(world: World) -> None:
    world.tablet(REPLICA).pools["FoundRowsPoolInUse"] = 1
    world.tablet(REPLICA).transactions = [(77, 95.0)]


def test_refuses_when_an_old_transaction_does_not_end_and_names_it(world: World) -> None:
    old_transaction(world)
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain")
    assert failure.value.gate == "transactions"
    assert "77 (95.0 s)" in failure.value.reason
    assert world.acts == []


def test_young_transactions_that_never_end_are_cut_and_counted(world: World) -> None:
    world.tablet(REPLICA).pools["TransactionPoolInUse"] = 2
    world.tablet(REPLICA).transactions = [(77, 0.1)]
    world.before("ChangeTabletType", lambda: world.tablet(REPLICA).pools.update(TransactionPoolInUse=0))
    assert world.run("tablet_drain", transaction_wait=1.0)["transactions"] == {"policy": "wait", "cut": 2, "older": []}


def test_the_operator_may_have_old_transactions_cut(world: World) -> None:
    old_transaction(world)
    world.before("ChangeTabletType", lambda: world.tablet(REPLICA).pools.update(FoundRowsPoolInUse=0))
    result = world.run("tablet_drain", transaction_policy="cut", transaction_wait=1.0)
    assert result["transactions"] == {"policy": "cut", "cut": 1, "older": ["77 (95.0 s)"]}


def test_the_operator_may_have_transactions_not_looked_at(world: World) -> None:
    old_transaction(world)
    world.before("ChangeTabletType", lambda: world.tablet(REPLICA).pools.update(FoundRowsPoolInUse=0))
    assert world.run("tablet_drain", transaction_policy="skip")["transactions"] == {"policy": "skip", "cut": None}


# -- what goes wrong


@pytest.mark.parametrize(
    ("busy", "live", "shown"),
    [
        ({"ConnPoolInUse": 1}, 0, "ConnPoolInUse 1"),
        ({"StreamConnPoolInUse": 1}, 0, "StreamConnPoolInUse 1"),
        ({"TransactionPoolInUse": 1}, 2, "live queries 2"),
        ({"FoundRowsPoolInUse": 1}, 1, "live queries 1"),
        ({"TransactionPoolInUse": 1, "ConnPoolInUse": 1}, 0, "ConnPoolInUse 1"),
    ],
)
def test_a_tablet_that_does_not_get_idle_in_time_is_put_back(
    world: World, busy: dict[str, int], live: int, shown: str
) -> None:
    def stays_busy() -> None:
        world.tablet(REPLICA).pools.update(busy)
        world.tablet(REPLICA).live_queries = live

    world.before("ChangeTabletType .* drained", stays_busy)
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain", idle_timeout=2.0)
    assert failure.value.gate == "idle"
    assert shown in failure.value.reason
    assert failure.value.state == "it was put back as REPLICA because it did not get idle"
    assert world.acts == [DRAINED, PUT_BACK]
    assert not world.journal[REPLICA].in_flight


@pytest.mark.parametrize("pool", ["TransactionPoolInUse", "FoundRowsPoolInUse"])
def test_a_transaction_that_the_drain_has_broken_is_not_waited_for_where_no_query_is_live(
    world: World, pool: str
) -> None:
    world.before("ChangeTabletType .* drained", lambda: world.tablet(REPLICA).pools.update({pool: 1}))
    assert world.run("tablet_drain", idle_timeout=2.0)["changed"] is True
    assert world.acts == [DRAINED]


def test_live_queries_that_cannot_be_read_are_not_taken_for_none(world: World) -> None:
    world.before("ChangeTabletType .* drained", lambda: world.tablet(REPLICA).pools.update(TransactionPoolInUse=1))
    world.fail("livequeryz", Refused("not allowed", 403), times=99)
    with pytest.raises(StepFailure, match="not allowed") as failure:
        world.run("tablet_drain", idle_timeout=2.0)
    assert failure.value.gate == "idle"
    assert world.tablet(REPLICA).type == "REPLICA"


def test_a_missing_counter_is_red_and_no_zero(world: World) -> None:
    world.before("ChangeTabletType .* drained", lambda: world.tablet(REPLICA).pools.pop("StreamConnPoolInUse"))
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain", idle_timeout=1.0)
    assert "StreamConnPoolInUse unknown" in failure.value.reason
    assert world.tablet(REPLICA).type == "REPLICA"


def test_idle_means_several_looks_in_a_row(world: World) -> None:
    pools = world.tablet(REPLICA).pools

    def flickers() -> None:
        for step in range(1, 9):
            world.clock.at(step * 0.1 - 0.02, lambda: pools.update(ConnPoolInUse=1))
            world.clock.at(step * 0.1, lambda: pools.update(ConnPoolInUse=0))

    world.before("ChangeTabletType .* drained", flickers)
    start = world.clock.now
    world.run("tablet_drain", idle_samples=4)
    assert world.clock.now - start > 0.8


def test_a_tablet_whose_own_type_is_not_drained_yet_is_not_idle(world: World) -> None:
    seen: list[str] = []
    original = world.kube._debug_vars

    def late(name: str, body: Any) -> Any:
        page = original(name, body)
        if world.clock.now < start + 1.0 and page.get("TabletType") == "drained":
            page["TabletType"] = "replica"
            seen.append("late")
        return page

    start = world.clock.now
    world.kube._debug_vars = late  # type: ignore[method-assign]
    world.run("tablet_drain")
    assert seen
    assert world.clock.now >= start + 1.0


def test_a_lost_answer_is_no_failure_where_the_type_was_changed(world: World) -> None:
    world.fail("ChangeTabletType", OutcomeUnknown("the connection was cut"), done=True)
    assert world.run("tablet_drain")["changed"] is True
    assert world.acts == [DRAINED]


def test_a_lost_answer_is_a_failure_where_the_type_was_not_changed_and_the_intent_stays_for_a_rerun(
    world: World,
) -> None:
    world.fail("ChangeTabletType", OutcomeUnknown("the connection was cut"))
    with pytest.raises(StepFailure, match="the connection was cut") as failure:
        world.run("tablet_drain")
    assert failure.value.state != "nothing was changed"
    assert world.journal[REPLICA].steps["drain"][1] is None
    assert world.run("tablet_drain")["changed"] is True


def test_a_tablet_that_an_earlier_run_drained_before_it_was_killed_is_finished(world: World) -> None:
    world.fail("ChangeTabletType", KeyboardInterrupt(), done=True)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        world.run("tablet_drain")
    assert world.journal[REPLICA].steps["drain"][1] is None
    world.calls.clear()
    result = world.run("tablet_drain")
    assert world.acts == []
    assert result["changed"] is False
    assert world.journal[REPLICA].steps["drain"][1] is not None


def test_a_failure_to_put_it_back_says_that_it_is_still_drained(world: World) -> None:
    world.before("ChangeTabletType .* drained", lambda: world.tablet(REPLICA).pools.update(ConnPoolInUse=1))
    world.fail("ChangeTabletType .* replica", Unreachable("vtctld is gone"))
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain", idle_timeout=1.0)
    assert failure.value.state == "it is still DRAINED, putting it back failed: vtctld is gone"
    assert world.journal[REPLICA].in_flight


def test_that_the_foreign_sessions_are_not_known_fails_no_drain(world: World) -> None:
    world.fail("processlist", Refused("Access denied for user vt_dba", 1))
    result = world.run("tablet_drain")
    assert result["changed"] is True
    assert result["sessions"] == ["not known: Access denied for user vt_dba"]


def test_a_refusal_by_rbac_names_the_verb(world: World) -> None:
    world.fail("POST .*leases", Refused('leases is forbidden: User "ci" cannot create resource "leases"', 403), times=9)
    with pytest.raises(StepFailure, match=r"not allowed: leases is forbidden.*cannot create") as failure:
        world.run("tablet_drain")
    assert failure.value.state == "nothing was changed"
    assert world.acts == []
