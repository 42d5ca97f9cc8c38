# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import gates, labels
from ansible_collections.vtops.vitess.plugins.module_utils.errors import (
    OutcomeUnknown,
    Refused,
    StepFailure,
    Unreachable,
)
from ansible_collections.vtops.vitess.tests.unit.factories import PRIMARY, REPLICA, SIBLING, a_pod, a_tablet
from ansible_collections.vtops.vitess.tests.unit.fakes import NAMESPACE, World, stamp
from ansible_collections.vtops.vitess.tests.unit.operations.faults import REPLACE_FAULTS, Fault, needs_every_gate

POD = "commerce-x-80-102"
EVICTION = f"POST /api/v1/namespaces/{NAMESPACE}/pods/{POD}/eviction"
PUT_BACK = "ChangeTabletType zone1-0000000102 replica"


@pytest.fixture
def world() -> World:
    """REPLICA is drained by the roll."""
    world = World()
    world.run("tablet_drain")
    world.calls.clear()
    return world


def uid(world: World) -> str:
    return str(world.pods[POD]["metadata"]["uid"])


# -- what it does


def test_evicts_the_pod_and_waits_for_a_new_one_that_is_as_wanted_and_ready(world: World) -> None:
    old = uid(world)
    result = world.run("pod_replace")
    assert world.acts == [EVICTION]
    assert uid(world) != old
    assert result["changed"] is True
    assert (result["before"]["pod_uid"], result["after"]["pod_uid"]) == (old, uid(world))
    assert (result["after"]["revision"], result["after"]["hostname"]) == ("new", "10.0.1.102")
    assert {v["verdict"] for v in result["gates"]} == {"pass"}


def test_writes_its_intent_before_the_eviction_and_that_it_is_done_after_the_new_pod(world: World) -> None:
    before: list[Any] = []
    world.before("eviction", lambda: before.append(world.journal[REPLICA].steps["replace"]))
    world.run("pod_replace")
    assert before[0][1] is None
    assert world.journal[REPLICA].steps["replace"][1] is not None
    assert world.journal[REPLICA].in_flight


def test_the_eviction_carries_uid_and_the_version_of_an_annotation_with_roll_and_transition(world: World) -> None:
    marked: list[dict] = []
    world.before("eviction", lambda: marked.append(dict(world.pods[POD]["metadata"]["annotations"])))
    world.run("pod_replace")
    transitions = str(world.lease()["spec"]["leaseTransitions"])
    assert marked == [{labels.ROLL: "nightly", labels.TRANSITION: transitions}]
    patch = world.calls.index(f"PATCH /api/v1/namespaces/{NAMESPACE}/pods/{POD}")
    assert world.calls[patch + 1] == EVICTION


def test_renews_the_claim_right_before_it_evicts(world: World) -> None:
    world.run("pod_replace")
    assert world.calls[world.calls.index(EVICTION) - 2].startswith("PUT /apis/coordination.k8s.io")


def test_check_mode_writes_nothing_at_all_and_predicts_the_change(world: World) -> None:
    result = world.run("pod_replace", check=True)
    assert world.calls == []
    assert (result["changed"], result["after"]["revision"]) == (True, "new")


def test_check_mode_defers_to_the_drain_that_would_have_come_before() -> None:
    world = World()
    result = world.run("pod_replace", check=True, predicted=[str(REPLICA)])
    assert world.calls == []
    assert {v["gate"]: v["verdict"] for v in result["gates"]}["drained_by_this_roll"] == "deferred"


def test_what_was_predicted_counts_in_check_mode_only() -> None:
    world = World()
    with pytest.raises(StepFailure) as failure:
        world.run("pod_replace", predicted=[str(REPLICA)])
    assert failure.value.gate == "drained_by_this_roll"
    assert world.acts == []


def test_a_second_run_changes_nothing_more(world: World) -> None:
    world.run("pod_replace")
    world.run("vtgate_readmit")
    world.calls.clear()
    assert world.run("pod_replace")["changed"] is False
    assert world.calls == []


def test_a_tablet_that_is_as_wanted_needs_no_claim_and_no_write() -> None:
    world = World()
    world.pods[POD]["metadata"]["labels"][labels.REVISION] = "new"
    assert world.run("pod_replace")["changed"] is False
    assert world.calls == []


def test_a_rerun_after_the_eviction_waits_for_the_new_pod_and_evicts_nothing(world: World) -> None:
    world.stop_pod(POD)
    result = world.run("pod_replace")
    assert world.acts == []
    assert result["after"]["revision"] == "new"


def test_a_pod_is_looked_for_in_the_namespace_that_the_journal_kept(world: World) -> None:
    session = world.session("pod_replace")
    session.cluster.scope = replace(session.cluster.scope, tablet_namespaces=("other", "vitess"))
    asked: list[str] = []
    session.cluster.pod = lambda namespace, _name: asked.append(namespace)  # type: ignore[method-assign,func-returns-value]
    session.locate()
    assert session.entry.pod_namespace == "vitess"
    assert session.pod_of(a_tablet(REPLICA, pod=None)) is None
    assert asked == ["vitess"]


def test_a_pod_of_an_older_journal_that_is_in_two_namespaces_is_an_error(world: World) -> None:
    session = world.session("pod_replace")
    session.cluster.scope = replace(session.cluster.scope, tablet_namespaces=("other", "vitess"))
    session.cluster.pod = lambda namespace, _name: a_pod(REPLICA, namespace=namespace)  # type: ignore[method-assign]
    session.locate()
    session._journal[REPLICA] = replace(session.entry, pod_namespace="")
    with pytest.raises(StepFailure, match="is in 2 namespaces"):
        session.pod_of(a_tablet(REPLICA, pod=None))


def test_a_rerun_finds_the_pod_by_the_name_in_the_journal_where_the_address_is_blank(world: World) -> None:
    world.stop_pod(POD)
    world.clock.sleep(world.stop_s + 0.5)
    world.tablet(REPLICA).hostname = ""
    result = world.run("pod_replace")
    assert world.acts == []
    assert result["after"]["pod_uid"] == uid(world)


# -- what it refuses


@pytest.mark.parametrize("fault", REPLACE_FAULTS, ids=lambda f: f"{f.gate}: {f.name}")
def test_a_red_gate_stops_the_eviction_and_puts_the_tablet_back(world: World, fault: Fault) -> None:
    fault.breaks(world)
    drained = world.tablet(REPLICA).type == "DRAINED"
    with pytest.raises(StepFailure) as failure:
        world.run("pod_replace", **fault.params)
    assert fault.is_named_by(failure.value)
    errant = fault.gate == "no_errant_gtid"  # vtorc may have drained it for that: it must not serve
    assert world.acts == ([PUT_BACK] if drained and not errant else [])
    if drained and not errant:
        assert failure.value.state == "it was put back as REPLICA because a gate turned red"
        assert not world.journal[REPLICA].in_flight


@pytest.mark.parametrize("fault", [f for f in REPLACE_FAULTS if f.in_check_mode], ids=lambda f: f"{f.gate}: {f.name}")
def test_a_red_gate_is_told_in_check_mode_and_nothing_is_put_back(world: World, fault: Fault) -> None:
    fault.breaks(world)
    with pytest.raises(StepFailure) as failure:
        world.run("pod_replace", check=True, **fault.params)
    assert fault.is_named_by(failure.value)
    assert world.calls == []


def test_every_gate_of_the_replacement_is_shown_red_here() -> None:
    needs_every_gate(gates.REPLACE, REPLACE_FAULTS)


def test_never_evicts_a_primary() -> None:
    world = World()
    with pytest.raises(StepFailure) as failure:
        world.run("pod_replace", PRIMARY)
    assert failure.value.gate == "not_primary"
    assert world.acts == []


def test_never_evicts_what_somebody_else_drained() -> None:
    world = World()
    world.tablet(REPLICA).type = "DRAINED"
    with pytest.raises(StepFailure) as failure:
        world.run("pod_replace", accept_drained=[str(REPLICA)])
    assert failure.value.gate == "drained_by_this_roll"
    assert world.acts == []


def test_a_replica_that_serves_is_not_evicted() -> None:
    world = World()
    with pytest.raises(StepFailure) as failure:
        world.run("pod_replace")
    assert (failure.value.gate, world.acts) == ("drained_by_this_roll", [])


# -- the eviction


def test_a_budget_that_holds_the_eviction_for_a_while_is_waited_for(world: World) -> None:
    world.fail("eviction", Refused("Cannot evict pod: disruption budget commerce", 429), times=4)
    assert world.run("pod_replace")["changed"] is True
    assert world.acts == [EVICTION] * 5


def test_an_eviction_that_is_forbidden_names_the_verb_and_sends_nobody_to_look_at_budgets(world: World) -> None:
    text = (
        'pods is forbidden: User "ci" cannot create resource "pods/eviction" in API group "" in the namespace "vitess"'
    )
    world.fail("eviction", Refused(text, 403))
    with pytest.raises(StepFailure, match="not allowed: create pods/eviction in namespace vitess") as failure:
        world.run("pod_replace")
    assert failure.value.gate == "eviction"
    assert failure.value.next_command == "kubectl -n vitess auth can-i create pods --subresource=eviction"
    assert world.tablet(REPLICA).type == "REPLICA"


def test_a_budget_that_holds_it_for_ever_is_named_and_the_tablet_is_put_back(world: World) -> None:
    world.fail("eviction", Refused("Cannot evict pod: disruption budget commerce needs 2", 429), times=999)
    with pytest.raises(StepFailure) as failure:
        world.run("pod_replace", evict_timeout=5.0)
    assert failure.value.gate == "eviction"
    assert "disruption budget commerce needs 2" in failure.value.reason
    assert failure.value.next_command.startswith("kubectl -n vitess get pdb")
    assert world.tablet(REPLICA).type == "REPLICA"
    assert not world.journal[REPLICA].in_flight


def test_more_than_one_budget_is_permanent(world: World) -> None:
    world.fail("eviction", Refused("This pod has more than one PodDisruptionBudget", 500), times=999)
    with pytest.raises(StepFailure, match="more than one PodDisruptionBudget") as failure:
        world.run("pod_replace")
    assert failure.value.gate == "eviction"
    assert world.acts == [EVICTION, PUT_BACK]


def test_a_pod_that_changed_in_the_same_moment_is_read_and_evicted_again(world: World) -> None:
    world.fail("eviction", Refused("the object has been modified", 409))
    assert world.run("pod_replace")["changed"] is True
    assert world.acts == [EVICTION] * 2


def test_a_pod_that_is_gone_already_needs_no_second_eviction(world: World) -> None:
    world.before("eviction", lambda: world.stop_pod(POD))
    world.fail("eviction", Refused("not found", 404))
    assert world.run("pod_replace")["changed"] is True
    assert world.acts == [EVICTION]


def test_a_lost_answer_is_no_second_eviction_where_the_pod_stops(world: World) -> None:
    world.fail("eviction", OutcomeUnknown("cut"), done=True)
    assert world.run("pod_replace")["changed"] is True
    assert world.acts == [EVICTION]


def test_a_lost_answer_is_a_second_eviction_where_the_pod_stays(world: World) -> None:
    world.fail("eviction", OutcomeUnknown("cut"))
    assert world.run("pod_replace")["changed"] is True
    assert world.acts == [EVICTION] * 2


def test_a_sibling_that_is_lost_while_a_budget_holds_the_eviction_brings_the_tablet_back(world: World) -> None:
    world.fail("eviction", Refused("disruption budget", 429), times=3)
    world.clock.at(0.7, lambda: world.vtgates[1].instead.update({SIBLING: []}))
    with pytest.raises(StepFailure) as failure:
        world.run("pod_replace")
    assert failure.value.gate == "no_other_tablet_away"
    assert world.acts[-1] == PUT_BACK
    assert POD in world.pods
    assert "deletionTimestamp" not in world.pods[POD]["metadata"]


@pytest.mark.parametrize("happens", ["it is gone", "another came"])
def test_a_pod_that_goes_by_itself_while_a_budget_holds_the_eviction_is_what_was_wanted(
    world: World, happens: str
) -> None:
    world.fail("eviction", Refused("disruption budget", 429))

    def goes() -> None:
        world.stop_pod(POD)
        world.clock.pass_(world.stop_s + 0.1)
        if happens == "it is gone":
            world.pods.pop(POD)
            world.clock.at(2.0, lambda: world.recreate(world.tablet(REPLICA)))

    world.before(f"PATCH .*{POD}", lambda: world.before(f"PATCH .*{POD}", goes))
    result = world.run("pod_replace")
    assert result["changed"] is True
    assert world.acts == [EVICTION]


def test_kubernetes_that_does_not_answer_the_eviction_puts_the_tablet_back(world: World) -> None:
    world.fail("eviction", Unreachable("no route to host"), times=99)
    with pytest.raises(StepFailure) as failure:
        world.run("pod_replace")
    assert failure.value.state == "it was put back as REPLICA because its Pod could not be evicted"
    assert world.tablet(REPLICA).type == "REPLICA"


# -- a new MySQL series


def test_a_mysqld_whose_successor_is_of_another_series_is_stopped_slowly() -> None:
    world = World()
    world.run("tablet_drain", mysql_series="8.4")
    seen: list[str] = []
    world.before("eviction", lambda: seen.append(world.tablet(REPLICA).fast_shutdown))
    world.run("pod_replace", mysql_series="8.4")
    assert seen == ["0"]
    assert [tablet.fast_shutdown for tablet in (world.tablet(PRIMARY), world.tablet(SIBLING))] == ["1", "1"]


@pytest.mark.parametrize("series", [None, "8.0"])
def test_a_mysqld_whose_successor_is_of_the_same_series_is_stopped_as_ever(series: str | None) -> None:
    world = World()
    world.run("tablet_drain", mysql_series=series)
    world.run("pod_replace", mysql_series=series)
    assert world.tablet(REPLICA).fast_shutdown == "1"


def test_a_mysqld_that_would_not_stop_slowly_is_not_stopped_and_put_back() -> None:
    world = World()
    world.run("tablet_drain", mysql_series="8.4")
    world.no_slow_shutdown = "Access denied; you need SYSTEM_VARIABLES_ADMIN"
    with pytest.raises(StepFailure, match="innodb_fast_shutdown could not be set: Access denied") as failure:
        world.run("pod_replace", mysql_series="8.4")
    assert failure.value.gate == "slow_shutdown"
    assert failure.value.state == "it was put back as REPLICA because its mysqld would not be stopped slowly"
    assert EVICTION not in world.acts


def test_a_setting_that_does_not_hold_is_found_out() -> None:
    world = World()
    world.run("tablet_drain", mysql_series="8.4")
    world.before("SELECT @@global.innodb", lambda: setattr(world.tablet(REPLICA), "fast_shutdown", "1"))
    with pytest.raises(StepFailure, match="innodb_fast_shutdown is 1, not 0"):
        world.run("pod_replace", mysql_series="8.4")
    assert EVICTION not in world.acts


def test_a_gate_that_turns_red_while_it_is_set_stops_the_eviction() -> None:
    world = World()
    world.run("tablet_drain", mysql_series="8.4")
    world.before("SELECT @@global.innodb", lambda: setattr(world.tablet(SIBLING), "semi_sync", False))
    with pytest.raises(StepFailure) as failure:
        world.run("pod_replace", mysql_series="8.4")
    assert failure.value.gate == "enough_ackers_remain"
    assert EVICTION not in world.acts
    assert world.tablet(REPLICA).type == "REPLICA"


def test_a_series_that_is_none_is_refused(world: World) -> None:
    with pytest.raises(StepFailure, match=r"mysql_series is a release series of MySQL such as '8.4', not '8.4.6'"):
        world.run("pod_replace", mysql_series="8.4.6")


# -- the new Pod


def test_an_owner_that_recreates_another_revision_is_told_at_once(world: World) -> None:
    world.before(
        "eviction", lambda: world.stateful_sets["commerce-x-80"]["status"].update(updateRevision="newer"), times=1
    )
    with pytest.raises(StepFailure, match="recreated commerce-x-80-102 as newer, wanted is revision new") as failure:
        world.run("pod_replace")
    assert failure.value.gate == "spec_is_as_planned"
    assert failure.value.state == "it is DRAINED and its Pod was evicted"


def test_a_pod_that_never_gets_ready_is_a_bounded_wait_that_says_why(world: World) -> None:
    world.start_s = 1e6
    with pytest.raises(StepFailure) as failure:
        world.run("pod_replace", ready_timeout=10.0)
    assert failure.value.gate == "pod_ready"
    assert "commerce-x-80-102 is Pending, not Ready" in failure.value.reason
    assert failure.value.next_command == f"kubectl -n vitess describe pod {POD}"
    assert world.journal[REPLICA].steps["replace"][1] is None


def test_a_pod_that_is_never_recreated_is_a_bounded_wait(world: World) -> None:
    world.recreates = False
    with pytest.raises(StepFailure, match="the owner has not recreated commerce-x-80-102"):
        world.run("pod_replace", ready_timeout=10.0)


def test_an_image_that_cannot_be_pulled_is_given_up_before_the_bound(world: World) -> None:
    world.start_s = 1e6
    waiting = {"name": "vttablet", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}}
    world.clock.at(world.stop_s + 1, lambda: world.pods[POD]["status"].update(containerStatuses=[waiting]))
    start = world.clock.now
    with pytest.raises(StepFailure, match="ImagePullBackOff: no such tag") as failure:
        world.run("pod_replace", image_timeout=20.0, ready_timeout=600.0)
    assert failure.value.gate == "pod_ready"
    assert world.clock.now - start < 40


def test_wanted_by_time_takes_a_pod_that_was_created_later_whatever_its_revision() -> None:
    world = World()
    since = stamp(world.clock.time() - 10)
    world.stateful_sets["commerce-x-80"]["status"]["updateRevision"] = "old"
    world.run("tablet_drain", wanted_since=since)
    result = world.run("pod_replace", wanted_since=since)
    assert (result["changed"], result["after"]["revision"]) == (True, "old")
    world.run("vtgate_readmit")
    assert world.run("pod_replace", wanted_since=since)["changed"] is False


@pytest.mark.parametrize("operation", ["tablet_drain", "pod_replace"])
def test_a_time_that_is_yet_to_come_takes_no_tablet(operation: str) -> None:
    world = World()
    with pytest.raises(StepFailure, match=r"wanted_since .* is yet to come") as failure:
        world.run(operation, wanted_since=stamp(world.clock.time() + 3600))
    assert failure.value.next_command == "correct wanted_since, then run the same again"
    assert world.calls == []


def test_a_pod_that_is_too_old_is_named_with_a_time_that_people_read(world: World) -> None:
    since = stamp(world.clock.time())
    world.stop_s = 0.0
    with pytest.raises(StepFailure, match=f"wanted is created after {since}"):
        world.run("pod_replace", wanted_since=since)


def test_a_time_that_is_none_is_refused(world: World) -> None:
    with pytest.raises(StepFailure, match="wanted_since is no RFC 3339 time: yesterday"):
        world.run("pod_replace", wanted_since="yesterday")
