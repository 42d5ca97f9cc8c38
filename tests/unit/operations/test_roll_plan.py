# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Alias
from ansible_collections.vtops.vitess.plugins.module_utils.operations import roll_plan
from ansible_collections.vtops.vitess.plugins.module_utils.plan import Unfit
from ansible_collections.vtops.vitess.tests.unit.factories import PRIMARY, REPLICA, SIBLING
from ansible_collections.vtops.vitess.tests.unit.fakes import World, a_budget, stamp
from ansible_collections.vtops.vitess.tests.unit.operations.faults import ANY_ACT, MYSQL_SERIES, OWNER, Fault

ALL = [str(PRIMARY), str(REPLICA), str(SIBLING)]


@pytest.fixture
def world() -> World:
    return World()


def run(world: World, tablets: list[str] | None = None, **given: Any) -> dict[str, Any]:
    params = world.params("roll_plan", tablets=ALL if tablets is None else tablets, **given)
    result = roll_plan.run(params, world.cluster(), world.clock)
    assert world.calls == []
    return result


def actions(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["tablet"], step["action"]) for step in result["plan"]]


def test_replicas_come_first_and_the_primary_last(world: World) -> None:
    result = run(world)
    assert result["order"] == [str(REPLICA), str(SIBLING), str(PRIMARY)]
    assert (result["changed"], result["left"]) == (False, 3)


def test_each_step_says_what_would_be_done_and_why(world: World) -> None:
    step = run(world)["plan"][0]
    assert (step["action"], step["reason"]) == ("replace", "old, wanted revision new")
    assert (step["current"], step["wanted"]) == ("vitess/lite:v23.0.3", "vitess/lite:v24.0.2")
    assert step["wanted_revision"] == "new"


def test_each_step_knows_what_the_roll_will_have_replaced_before_it(world: World) -> None:
    assert [step["predicted"] for step in run(world)["plan"]] == [[], [str(REPLICA)], [str(REPLICA), str(SIBLING)]]


def test_a_finished_roll_has_nothing_left_and_asks_no_shard(world: World) -> None:
    for tablet in world.tablets.values():
        world.pods[tablet.pod]["metadata"]["labels"][labels.REVISION] = "new"
    world.before("GetFullStatus", lambda: pytest.fail("a finished roll read a shard"))
    result = run(world)
    assert result["left"] == 0
    assert {action for _tablet, action in actions(result)} == {"skip"}


def test_what_a_broken_roll_took_is_finished_first(world: World) -> None:
    world.run("tablet_drain", SIBLING)
    world.calls.clear()
    assert actions(run(world))[0] == (str(SIBLING), "finish")


def test_two_shards_come_one_after_the_other(world: World) -> None:
    world.add_shard("80-", *(Alias("zone1", uid) for uid in (201, 202, 203)))
    result = run(world, [*ALL, *(f"zone1-{uid}" for uid in (201, 202, 203))])
    assert [step["shard"] for step in result["plan"]] == ["commerce/-80"] * 3 + ["commerce/80-"] * 3


def test_wanted_by_time_replaces_what_is_older(world: World) -> None:
    assert run(world, wanted_since=stamp(world.clock.time()))["left"] == 3
    assert run(world, wanted_since=stamp(world.clock.time() - 86400))["left"] == 0


def test_refuses_a_time_that_is_yet_to_come_for_no_new_pod_would_count_as_done(world: World) -> None:
    with pytest.raises(
        ValueError, match=r"wanted_since 2026-09-21T17:01:40Z is yet to come \(it is 2026-09-21T17:00:00Z\)"
    ):
        run(world, wanted_since=stamp(world.clock.time() + 100))


def test_refuses_an_empty_selection(world: World) -> None:
    with pytest.raises(Unfit, match="the selection is empty"):
        run(world, [])


def test_refuses_a_tablet_that_the_topology_does_not_know(world: World) -> None:
    with pytest.raises(Unfit, match="no tablet zone1-0000000999"):
        run(world, [*ALL, "zone1-999"])


def test_refuses_the_primary_before_its_replicas(world: World) -> None:
    with pytest.raises(Unfit, match="also select zone1-0000000102, zone1-0000000103"):
        run(world, [str(PRIMARY)])


def test_a_primary_whose_replicas_are_done_may_come_alone(world: World) -> None:
    for alias in (REPLICA, SIBLING):
        world.pods[world.tablet(alias).pod]["metadata"]["labels"][labels.REVISION] = "new"
    assert run(world, [str(PRIMARY)])["order"] == [str(PRIMARY)]


PREFLIGHT = [
    fault
    for fault in (*ANY_ACT, *OWNER, *MYSQL_SERIES)
    if fault.gate
    in {
        "owner_is_supported",
        "owner_is_observed",
        "version_step_is_allowed",
        "mysql_step_is_allowed",
        "two_mysql_series_at_most",
        "new_pod_has_a_place",
        "every_vtgate_answers",
        "shard_has_healthy_primary",
        "no_foreign_drain",
    }
]


@pytest.mark.parametrize("fault", PREFLIGHT, ids=lambda f: f"{f.gate}: {f.name}")
def test_refuses_before_anything_is_touched(world: World, fault: Fault) -> None:
    fault.breaks(world)
    with pytest.raises(Unfit) as refusal:
        run(world, **fault.params)
    assert f"{fault.gate}: " in str(refusal.value)
    assert fault.reason in str(refusal.value)


def test_what_a_tablet_came_back_with_is_held_against_what_was_announced(world: World) -> None:
    world.tablet(REPLICA).mysql = "8.4.6"
    world.pods[world.tablet(REPLICA).pod]["metadata"]["labels"][labels.REVISION] = "new"
    with pytest.raises(Unfit, match=r"zone1-0000000103: mysql_step_is_allowed: .*: set mysql_series: '8.4'"):
        run(world)
    assert run(world, mysql_series="8.4")["left"] == 2


def test_refuses_a_mysql_series_that_is_none(world: World) -> None:
    with pytest.raises(ValueError, match="mysql_series is a release series"):
        run(world, mysql_series="lts")


def test_the_mysql_series_is_noted_and_is_what_a_plan_is_approved_with(world: World) -> None:
    result = run(world, mysql_series="8.4")
    assert [note for note in result["notes"] if note.startswith("MySQL 8.0 -> 8.4: ")]
    assert result["document"]["options"]["mysql_series"] == "8.4"
    with pytest.raises(Unfit, match=r"option mysql_series: the plan has '8.4', this run ''"):
        run(world, plan=result["document"])


def test_refuses_while_a_tablet_restores(world: World) -> None:
    world.tablet(SIBLING).type = "RESTORE"
    with pytest.raises(Unfit, match="no_backup_or_restore: zone1-0000000103 is RESTORE"):
        run(world)


def test_a_shard_that_a_broken_roll_left_unhealthy_may_be_resumed(world: World) -> None:
    world.run("tablet_drain", REPLICA)
    world.calls.clear()
    assert run(world)["left"] == 3


def shrink(world: World) -> None:
    del world.tablets[SIBLING]


def one_rdonly(world: World) -> None:
    world.durability = "none"
    world.tablet(SIBLING).type = "RDONLY"


NEVER: dict[str, tuple[Callable[[World], None], str]] = {
    "two tablets under semi_sync": (shrink, "with 2 tablets can never spare one"),
    "the only RDONLY": (one_rdonly, "zone1-0000000103 is the only RDONLY"),
    "an unknown policy": (lambda w: w.__setattr__("durability", "three_of_five"), "'three_of_five' is not known here"),
}


@pytest.mark.parametrize("case", NEVER)
def test_refuses_what_the_shards_size_forbids_for_ever(world: World, case: str) -> None:
    breaks, reason = NEVER[case]
    breaks(world)
    with pytest.raises(Unfit) as refusal:
        run(world, [str(alias) for alias in world.tablets])
    assert reason in str(refusal.value)


def test_the_only_rdonly_may_be_accepted_by_alias(world: World) -> None:
    one_rdonly(world)
    accepted = [str(SIBLING), str(REPLICA)]
    assert run(world, accept_no_route=accepted)["left"] == 3


def test_a_primary_without_any_replica_cannot_hand_over(world: World) -> None:
    world.durability = "none"
    del world.tablets[SIBLING], world.tablets[REPLICA]
    with pytest.raises(Unfit, match="has no REPLICA to hand over to"):
        run(world, [str(PRIMARY)])


def a_large_world(world: World, shards: int) -> list[str]:
    for number in range(shards - 1):
        first = 1000 + 10 * number
        world.add_shard(f"s{number:02d}", *(Alias("zone1", first + n) for n in range(3)))
    return [str(alias) for alias in world.tablets]


def test_only_the_shards_that_come_first_are_asked_and_the_plan_says_which(world: World) -> None:
    asked: list[str] = []
    world.before("GetFullStatus", lambda: asked.append("status"), times=999)
    everything = a_large_world(world, roll_plan.SHARDS_ASKED + 4)
    result = run(world, everything)
    assert result["asked"] == list(dict.fromkeys(step["shard"] for step in result["plan"]))[: roll_plan.SHARDS_ASKED]
    assert (result["left"], len(asked)) == (len(everything), 3 * roll_plan.SHARDS_ASKED)


def never_twice(world: World) -> None:
    world.stateful_sets["commerce-s18"]["spec"]["updateStrategy"]["type"] = "RollingUpdate"


FAR: dict[str, tuple[Callable[[World], Any], str]] = {
    "an owner that cannot be driven": (never_twice, "owner_is_supported: StatefulSet commerce-s18"),
    "a foreign drain": (lambda w: setattr(w.tablet(Alias("zone1", 1181)), "type", "DRAINED"), "no_foreign_drain"),
    "a restore": (lambda w: setattr(w.tablet(Alias("zone1", 1181)), "type", "RESTORE"), "zone1-0000001181 is RESTORE"),
    "too few ackers": (lambda w: w.tablets.pop(Alias("zone1", 1181)), "commerce/s18: semi_sync with 2 tablets"),
    "no replica to hand over to": (
        lambda w: [setattr(w.tablet(Alias("zone1", uid)), "type", "RDONLY") for uid in (1181, 1182)],
        "primary zone1-0000001180 has no REPLICA",
    ),
}


@pytest.mark.parametrize("case", FAR)
def test_what_the_lists_show_of_the_other_shards_is_refused_all_the_same(world: World, case: str) -> None:
    everything = a_large_world(world, roll_plan.SHARDS_ASKED + 4)
    breaks, reason = FAR[case]
    breaks(world)
    with pytest.raises(Unfit) as refusal:
        run(world, [alias for alias in everything if Alias.parse(alias) in world.tablets])
    assert reason in str(refusal.value)


def test_vtgates_are_asked_for_all_rows_unless_a_few_questions_are_less(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: list[str] = []
    world.before("SHOW VITESS_TABLETS$", lambda: whole.append("whole"), times=99)
    everything = a_large_world(world, 3)
    run(world, everything)
    assert len(whole) == len(world.vtgates)
    monkeypatch.setattr(roll_plan, "ROWS_WORTH_A_QUESTION", 0.5)
    assert run(world, everything)["left"] == 9
    assert len(whole) == len(world.vtgates)


def test_of_many_problems_some_are_named(world: World) -> None:
    everything = a_large_world(world, 12)
    for owner in world.stateful_sets.values():
        owner["spec"]["updateStrategy"]["type"] = "RollingUpdate"
    with pytest.raises(Unfit, match=r"; and 16 more$"):
        run(world, everything)


def test_what_comes_before_a_tablet_is_told_of_its_own_shard_only(world: World) -> None:
    """Of 10,000 tablets each one's whole past would be 50 million aliases."""
    plan = run(world, a_large_world(world, 2))["plan"]
    assert [len(step["predicted"]) for step in plan] == [0, 1, 2, 0, 1, 2]


def test_the_text_numbers_the_steps(world: World) -> None:
    assert run(world)["text"].splitlines()[2] == (
        "  3. zone1-0000000101 commerce/-80 PRIMARY replace: old, wanted revision new"
    )


# -- a plan that was approved


def test_an_approved_plan_is_done_in_its_order_and_handed_back(world: World) -> None:
    document = run(world)["document"]
    result = run(world, plan=document)
    assert (result["order"], result["document"]) == ([str(REPLICA), str(SIBLING), str(PRIMARY)], document)
    assert result["hash"] == document["hash"] == run(world)["hash"]


def test_a_stopped_roll_goes_on_with_the_same_plan(world: World) -> None:
    document = run(world)["document"]
    world.pods[world.tablet(REPLICA).pod]["metadata"]["labels"][labels.REVISION] = "new"
    world.run("tablet_drain", SIBLING)
    world.calls.clear()
    assert [action for _tablet, action in actions(run(world, plan=document))] == ["skip", "finish", "replace"]


def test_a_roll_that_died_before_its_new_pod_came_goes_on_with_the_same_plan(world: World) -> None:
    """Without the Pod nobody knows its owner: it is held to the revision that was approved."""
    document = run(world)["document"]
    world.run("tablet_drain", REPLICA)
    del world.pods[world.tablet(REPLICA).pod]
    world.calls.clear()
    step = run(world, plan=document)["plan"][0]
    assert (step["tablet"], step["action"], step["current"]) == (str(REPLICA), "finish", "")
    assert (step["wanted_revision"], step["wanted"]) == ("new", "vitess/lite:v24.0.2")


def test_a_tablet_that_lost_its_pod_otherwise_is_refused_for_that(world: World) -> None:
    document = run(world)["document"]
    del world.pods[world.tablet(REPLICA).pod]
    with pytest.raises(Unfit, match="zone1-0000000102: owner_is_supported: "):
        run(world, plan=document)


def test_a_tablet_of_the_plan_that_is_gone_is_named(world: World) -> None:
    document = run(world)["document"]
    del world.tablets[SIBLING]
    with pytest.raises(Unfit, match="zone1-0000000103: it is gone") as refusal:
        run(world, plan=document)
    assert refusal.value.next_command == "make a new plan: vtops.vitess.plan"


def test_a_tablet_that_runs_what_nobody_planned_is_named(world: World) -> None:
    document = run(world)["document"]
    world.pods[world.tablet(REPLICA).pod]["metadata"]["labels"][labels.REVISION] = "between"
    with pytest.raises(Unfit, match=r"zone1-0000000102: it runs between .* neither what the plan saw"):
        run(world, plan=document)


def test_a_failover_since_the_plan_to_one_that_it_takes_first_is_refused(world: World) -> None:
    document = run(world)["document"]
    world.reparent("-80", REPLICA, PRIMARY)
    with pytest.raises(Unfit, match=r"zone1-0000000102: it is the primary of commerce/-80 now"):
        run(world, plan=document)


def test_after_a_failover_to_one_that_is_done_the_rest_of_the_plan_is_done(world: World) -> None:
    document = run(world)["document"]
    world.pods[world.tablet(REPLICA).pod]["metadata"]["labels"][labels.REVISION] = "new"
    world.reparent("-80", REPLICA, PRIMARY)
    assert [action for _tablet, action in actions(run(world, plan=document))] == ["skip", "replace", "replace"]


def test_a_replica_that_came_since_and_that_the_plan_would_reparent_without_is_refused(world: World) -> None:
    two = [str(PRIMARY), str(REPLICA)]
    world.pods[world.tablet(SIBLING).pod]["metadata"]["labels"][labels.REVISION] = "new"
    document = run(world, two)["document"]
    world.pods[world.tablet(SIBLING).pod]["metadata"]["labels"][labels.REVISION] = "old"
    with pytest.raises(Unfit, match=r"takes it before zone1-0000000103$"):
        run(world, two, plan=document)


def test_a_larger_selection_than_the_plans_is_no_other_plan(world: World) -> None:
    document = run(world, [str(REPLICA)])["document"]
    assert run(world, plan=document)["order"] == [str(REPLICA)]


def test_a_plan_that_was_made_to_go_through_is_refused_to_a_roll_that_is_to_be_held(world: World) -> None:
    world.add_shard("80-", *(Alias("zone1", uid) for uid in (201, 202, 203)))
    every = [*ALL, *(f"zone1-{uid}" for uid in (201, 202, 203))]
    document = run(world, every)["document"]
    with pytest.raises(Unfit, match="hold_before_reparent: the plan was made without it"):
        run(world, every, plan=document, hold_before_reparent=True)
    held = run(world, every, hold_before_reparent=True)["document"]
    assert run(world, every, plan=held, hold_before_reparent=True)["order"] == run(world, every, plan=held)["order"]


def test_a_plan_whose_owner_wants_another_spec_now_is_refused(world: World) -> None:
    document = run(world)["document"]
    for owner in world.stateful_sets.values():
        owner["status"]["updateRevision"] = "newer"
    with pytest.raises(Unfit, match=r"the world has moved .* the plan wants new .* its owner's spec says newer"):
        run(world, plan=document)


def test_a_selection_that_leaves_a_tablet_of_the_plan_out_is_refused(world: World) -> None:
    document = run(world)["document"]
    with pytest.raises(Unfit, match="leaves out what the plan has: zone1-0000000101"):
        run(world, [str(REPLICA), str(SIBLING)], plan=document)


def test_a_plan_that_was_made_with_other_options_is_refused(world: World) -> None:
    document = run(world)["document"]
    with pytest.raises(Unfit, match="option accept_no_route"):
        run(world, plan=document, accept_no_route=[str(REPLICA)])


def test_what_is_no_plan_is_refused(world: World) -> None:
    with pytest.raises(Unfit, match="format None"):
        run(world, plan={"a": "b"})


def test_a_roll_that_is_to_stop_before_its_reparents_does_all_replicas_first(world: World) -> None:
    world.add_shard("80-", *(Alias("zone1", uid) for uid in (201, 202, 203)))
    every = [*ALL, *(f"zone1-{uid}" for uid in (201, 202, 203))]
    types = [step["type"] for step in run(world, every, hold_before_reparent=True)["plan"]]
    assert types == ["REPLICA"] * 4 + ["PRIMARY"] * 2


def test_a_pause_is_shown_and_hinders_no_plan(world: World) -> None:
    world.config_maps["vtops-pause"] = {"metadata": {"name": "vtops-pause"}, "data": {"reason": "a disk alarm"}}
    result = run(world)
    assert result["paused"].startswith("a disk alarm")
    assert result["text"].splitlines()[-1].startswith("paused: a disk alarm")


def test_a_vtgate_that_does_not_buffer_is_refused_before_anything_is_touched(world: World) -> None:
    world.vtgates[0].flags["enable-buffer"] = "false"
    with pytest.raises(Unfit, match="buffering_covers_reparent: vtgate-0 does not buffer"):
        run(world)
    run(world, [str(REPLICA), str(SIBLING)])
    run(world, hold_before_reparent=True)


def test_reparent_time_outs_that_no_buffer_covers_are_refused(world: World) -> None:
    with pytest.raises(Unfit, match="the reparent's time-outs add up to 13 s"):
        run(world, reparent_timeout=10.0)


# -- plans that are kept in the cluster


def keep(world: World, check: bool = False, **given: Any) -> dict[str, Any]:
    params = {**world.params("roll_plan", tablets=ALL, keep=True, **given), "_check_mode": check}
    return roll_plan.run(params, world.cluster(), world.clock)


def test_a_plan_is_kept_once_and_done_by_its_hash(world: World) -> None:
    first = keep(world)
    assert first["changed"] is True
    (name,) = world.config_maps
    assert name == f"vtops-plan-{first['hash'][:16]}"
    assert world.config_maps[name]["immutable"] is True
    assert keep(world)["changed"] is False
    world.calls.clear()
    by_hash = run(world, plan_hash=first["hash"].upper())
    assert (by_hash["document"], by_hash["changed"]) == (first["document"], False)


def test_check_mode_keeps_nothing_and_says_whether_it_would(world: World) -> None:
    assert keep(world, check=True)["changed"] is True
    assert world.config_maps == {}
    keep(world)
    assert keep(world, check=True)["changed"] is False


def test_a_hash_that_nobody_kept_is_refused_with_where_it_was_looked_for(world: World) -> None:
    with pytest.raises(Unfit, match=r"no plan of hash b{64} is kept \(ConfigMap vtops-plan-b{16}\)"):
        run(world, plan_hash="b" * 64)


def test_what_was_put_in_the_place_of_a_kept_plan_is_refused(world: World) -> None:
    kept, other = keep(world), keep(world, accept_no_route=["zone1-0000000104"])
    mine, its = (f"vtops-plan-{plan['hash'][:16]}" for plan in (kept, other))
    world.config_maps[mine]["binaryData"] = world.config_maps[its]["binaryData"]
    with pytest.raises(Unfit, match=f"holds the plan {other['hash']}, not {kept['hash']}"):
        run(world, plan_hash=kept["hash"])
    world.config_maps[mine]["binaryData"] = {labels.PLAN: "bm90IGd6aXA="}
    with pytest.raises(Unfit, match="cannot be read"):
        run(world, plan_hash=kept["hash"])


def test_a_plan_and_a_hash_are_two_plans(world: World) -> None:
    document = keep(world)["document"]
    with pytest.raises(Unfit, match="give one of them"):
        run(world, plan=document, plan_hash=document["hash"])


# -- what is ahead


def test_the_forecast_is_beside_what_the_hash_covers(world: World) -> None:
    result = run(world)
    assert result["forecast"] == result["document"]["forecast"]
    assert result["forecast"]["tablets"] == 3
    assert "forecast: 3 tablets in 3 batches" in result["text"]
    edited = {**result["document"], "forecast": {**result["forecast"], "least_s": 0}}
    assert run(world, plan=edited)["hash"] == result["hash"]


def test_an_old_transaction_on_a_primary_that_is_to_go_is_said(world: World) -> None:
    world.tablet(PRIMARY).transactions = [(7, 93.0), (8, 1.0)]
    assert any("zone1-0000000101: a transaction is open for 93 s" in note for note in run(world)["notes"])
    assert not any("transaction is open" in note for note in run(world, [str(REPLICA)])["notes"])


def test_a_controller_that_lags_behind_its_spec_is_no_reason_to_do_nothing(world: World) -> None:
    """Every Pod is what the owner wanted before, so all would be skipped, and the roll would be green with nothing done."""
    for tablet in world.tablets.values():
        world.pods[tablet.pod]["metadata"]["labels"][labels.REVISION] = "new"
    world.stateful_sets["commerce-x-80"]["metadata"]["generation"] = 9
    with pytest.raises(
        Unfit, match=r"owner_is_observed: StatefulSet commerce-x-80: observedGeneration \d lags generation 9"
    ):
        run(world)


@pytest.mark.parametrize(
    ("given", "sizes", "order"),
    [
        ({}, [1, 1, 1], [REPLICA, SIBLING, PRIMARY]),
        ({"shards_at_once": 4, "canary": 1}, [1, 1, 1], [REPLICA, SIBLING, PRIMARY]),
    ],
)
def test_the_batches_of_one_shard_are_of_one_tablet(
    world: World, given: dict[str, Any], sizes: list[int], order: list[Alias]
) -> None:
    result = run(world, **given)
    assert (result["batches"], result["order"]) == (sizes, [str(alias) for alias in order])


def test_a_primary_without_its_replicas_may_be_selected_where_it_waits_for_them(world: World) -> None:
    with pytest.raises(Unfit, match="comes last"):
        run(world, [str(PRIMARY)])
    assert run(world, [str(PRIMARY)], replicas_wait=60.0)["order"] == [str(PRIMARY)]


# -- disruption budgets


def test_a_pod_with_two_disruption_budgets_is_refused_before_anything_is_touched(world: World) -> None:
    world.budgets.append(a_budget("all-of-the-team", matchLabels={labels.REVISION: "old"}))
    with pytest.raises(
        Unfit, match="the disruption budgets all-of-the-team, tablets select Pod commerce-x-80-102: Kubernetes evicts"
    ):
        run(world)


@pytest.mark.parametrize(
    ("selector", "selects"),
    [
        ({}, True),
        ({"matchLabels": {labels.REVISION: "other"}}, False),
        ({"matchExpressions": [{"key": labels.REVISION, "operator": "In", "values": ["old", "new"]}]}, True),
        ({"matchExpressions": [{"key": labels.REVISION, "operator": "NotIn", "values": ["old"]}]}, False),
        ({"matchExpressions": [{"key": labels.REVISION, "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": labels.REVISION, "operator": "DoesNotExist"}]}, False),
    ],
)
def test_a_shard_without_a_disruption_budget_is_said(world: World, selector: dict[str, Any], selects: bool) -> None:
    world.budgets[:] = [a_budget(**selector)]
    said = [note for note in run(world)["notes"] if "no disruption budget selects" in note]
    assert bool(said) is not selects


def test_pods_that_are_taken_by_name_of_another_namespace_are_none_of_a_budgets(world: World) -> None:
    world.budgets[0]["metadata"]["namespace"] = "elsewhere"
    assert any("no disruption budget" in note for note in run(world)["notes"])
