# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Pod, its owner, its node and its budgets can do wrong while a tablet is replaced."""

from __future__ import annotations

from ansible_collections.vtops.vitess.tests.behaviour.conftest import Make
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig
from ansible_collections.vtops.vitess.tests.sim.layout import one_shard

POD = "commerce-x-x-1"  # of 102
QUICK = {"ready_timeout": 40.0, "evict_timeout": 15.0, "catch_up_timeout": 30.0, "route_timeout": 30.0}


def _budget(rig: Rig, name: str = "commerce-x-x", **spec: int) -> None:
    labels = {"planetscale.com/component": "vttablet"}
    item = {"metadata": {"name": name, "namespace": "vitess"}, "spec": {**spec, "selector": {"matchLabels": labels}}}
    rig.simulation.store.put("poddisruptionbudgets", item)


def test_a_budget_that_blocks_for_a_while_is_waited_for(rig: Rig) -> None:
    """openshift/origin#22583: the eviction is repeated, bounded."""
    _budget(rig, minAvailable=3)
    rig.simulation.timeline.after(6.0, lambda: _budget(rig, maxUnavailable=1))
    assert rig.replace(102, **QUICK).failure is None
    rig.assert_unharmed()


def test_a_budget_that_blocks_for_ever_ends_in_a_failure_that_names_it_and_the_tablet_is_put_back(rig: Rig) -> None:
    _budget(rig, minAvailable=3)
    rolled = rig.replace(102, **QUICK)
    assert rolled.gate == "eviction"
    assert "disruption budget" in rolled.reason
    assert "get pdb" in str(rolled.failure)
    assert rig.simulation.kubernetes.evictions == []
    rig.assert_nothing_taken()
    rig.assert_unharmed()


def test_two_budgets_on_a_pod_are_permanent_and_never_a_forced_delete(rig: Rig) -> None:
    _budget(rig, "another", maxUnavailable=1)
    before = rig.simulation.timeline.now
    rolled = rig.replace(102, evict_timeout=600.0)
    assert "more than one PodDisruptionBudget" in rolled.reason
    assert rig.simulation.timeline.now - before < 60, "what is permanent is not waited for"
    assert not any(call.startswith("DELETE") for call in rig.wire.calls)
    rig.assert_nothing_taken()
    rig.assert_unharmed()


def test_a_pod_with_two_budgets_is_refused_by_the_plan_before_anything_is_touched(rig: Rig) -> None:
    """Kubernetes evicts none that has two, so the roll would drain it and put it back."""
    _budget(rig, "another", maxUnavailable=1)
    rolled = rig.roll()
    assert "Kubernetes evicts no Pod that has two" in str((rolled.failure or {}).get("failure", {}).get("reason"))
    assert (rig.acts, rig.journal()) == ([], {})
    rig.assert_unharmed()


def test_a_sibling_that_is_lost_while_the_budget_blocks_stops_the_eviction(rig: Rig) -> None:
    """operators.md D28: the wait made the evidence void."""
    _budget(rig, minAvailable=3)

    def lost() -> None:
        rig.simulation.kubernetes.owner_stopped = True
        rig.simulation.kubernetes.kill(rig.alias(103))
        _budget(rig, maxUnavailable=2)

    rig.simulation.timeline.after(4.0, lost)
    rolled = rig.replace(102, evict_timeout=60.0)
    assert rolled.failure is not None
    assert rig.simulation.kubernetes.evictions == []
    assert rig.types()[102] == "REPLICA"
    rig.assert_unharmed(errors=True)


def test_a_new_pod_whose_image_cannot_be_pulled_fails_early_and_names_it(rig: Rig) -> None:
    rig.simulation.kubernetes.image_trouble["vitess/lite:v24.0.2"] = "ImagePullBackOff"
    before = rig.simulation.timeline.now
    rolled = rig.roll(ready_timeout=600.0, image_timeout=20.0)
    assert rolled.gate == "pod_ready"
    assert "ImagePullBackOff" in rolled.reason
    assert rig.simulation.timeline.now - before < 120
    assert len(rig.simulation.kubernetes.evictions) == 1, "the roll stops at the first tablet"
    rig.assert_unharmed()


def test_a_new_pod_that_cannot_be_scheduled_stops_the_roll_at_the_first(rig: Rig) -> None:
    """zalando/postgres-operator#1765: Pods Pending one after the other until all were down."""

    def cordon() -> None:
        for node in rig.simulation.store.of("nodes").values():
            node["spec"]["unschedulable"] = True

    rig.wire.trouble("POST .*/eviction", happens=cordon, after=True)
    rolled = rig.roll(**QUICK)
    assert rolled.gate == "pod_ready"
    assert "Unschedulable" in rolled.reason
    assert len(rig.simulation.kubernetes.evictions) == 1
    rig.assert_unharmed()


def test_a_new_pod_that_crashes_stops_the_roll_and_a_rerun_finishes_once_it_is_mended(rig: Rig) -> None:
    rig.simulation.kubernetes.crashing.add("commerce-x-x-1")
    rolled = rig.roll(**QUICK)
    assert rolled.gate == "pod_ready"
    assert "CrashLoopBackOff" in rolled.reason
    rig.simulation.kubernetes.crashing.clear()
    rig.simulation.pass_(10)
    assert rig.roll(**QUICK).failure is None
    assert sorted(rig.upgraded()) == [101, 102, 103]
    assert rig.simulation.kubernetes.evictions.count(POD) == 1
    rig.assert_unharmed()


def test_an_owner_that_recreates_something_else_is_found_out(rig: Rig) -> None:
    rig.simulation.kubernetes.other_image[POD] = "vitess/lite:v24.0.9"
    rolled = rig.roll(**QUICK)
    assert rolled.gate == "spec_is_as_planned"
    assert len(rig.simulation.kubernetes.evictions) == 1
    rig.assert_unharmed()


def test_an_owner_that_recreates_nothing_is_a_failure_after_a_bounded_wait(rig: Rig) -> None:
    rig.wire.trouble(
        "POST .*/eviction", happens=lambda: setattr(rig.simulation.kubernetes, "owner_stopped", True), after=True
    )
    rolled = rig.replace(102, **QUICK)
    assert rolled.gate == "pod_ready"
    assert "not recreated" in rolled.reason or "stopping" in rolled.reason
    rig.assert_unharmed()


def test_an_empty_volume_is_found_out_and_never_readmitted(rig: Rig) -> None:
    """lab.md: a tablet that moved to an empty directory seeds itself again without a word; here its binlogs are gone too."""
    rig.simulation.kubernetes.empty_volumes.add(POD)
    rig.simulation.vtorc.mends_replication = False
    stops = rig.simulation.fleet.follow
    rig.simulation.fleet.follow = lambda tablet: None if tablet.uid == 102 else stops(tablet)  # type: ignore[method-assign]
    rolled = rig.roll(**QUICK)
    assert rolled.gate == "position_contained"
    assert "volume" in rolled.reason
    assert rig.types()[102] == "DRAINED", "held: it serves nobody"
    rig.assert_unharmed()


def test_another_pod_of_the_same_name_is_not_evicted(rig: Rig) -> None:
    """operators.md D28: uid and resourceVersion, read right before."""
    rig.execute("tablet_drain", 102)

    def replaced_meanwhile() -> None:
        pod = rig.simulation.store.of("pods")[POD]
        pod["metadata"]["uid"] = "another-uid"
        rig.simulation.store.put("pods", pod)

    rig.wire.before("POST .*/eviction", replaced_meanwhile)
    rig.execute("pod_replace", 102, **{k: v for k, v in QUICK.items() if k in ("ready_timeout", "evict_timeout")})
    assert rig.simulation.kubernetes.evictions == []


def test_a_pod_that_changed_since_it_was_marked_is_not_evicted_by_the_old_mark(rig: Rig) -> None:
    """design rule 10: a take-over re-annotates each Pod, so a late eviction carries an outdated resourceVersion."""
    rig.execute("tablet_drain", 102)
    evicted_at: list[str] = []

    def re_annotated() -> None:
        pod = rig.simulation.store.of("pods")[POD]
        rig.simulation.store.put("pods", pod)
        evicted_at.append(pod["metadata"]["resourceVersion"])

    rig.wire.before("POST .*/eviction", re_annotated)
    rig.execute("pod_replace", 102)
    evictions = [call for call in rig.wire.calls if call.endswith("/eviction")]
    assert len(evictions) == 2, "the first was refused (409), the second came with a fresh mark"
    assert rig.simulation.kubernetes.evictions == [POD]


def test_an_identity_that_does_not_match_stops_before_the_drain(rig: Rig) -> None:
    """design section 5: the address is a hint; the vttablet in the Pod names its alias."""
    rig.simulation.tablet("102").claims_to_be = "zone1-0000000103"
    rolled = rig.replace(102)
    assert rolled.failure is not None
    assert "says that it is zone1-0000000103" in rolled.reason
    rig.assert_nothing_taken()


def test_a_pod_that_never_gets_idle_is_put_back(rig: Rig) -> None:
    rig.simulation.tablet("102").stuck["StreamConnPoolInUse"] = 1
    rolled = rig.replace(102, idle_timeout=5.0)
    assert rolled.gate == "idle"
    assert "StreamConnPoolInUse" in rolled.reason
    rig.assert_nothing_taken()
    rig.assert_unharmed()


def test_a_pool_that_is_not_shown_is_red(rig: Rig) -> None:
    rig.simulation.tablet("102").hidden_pools.add("ConnPoolInUse")
    rolled = rig.replace(102, idle_timeout=5.0)
    assert rolled.gate == "idle"
    assert "unknown" in rolled.reason
    rig.assert_nothing_taken()


def test_old_transactions_on_the_replica_are_waited_for_and_then_refuse_the_drain(rig: Rig) -> None:
    """vitess.md 2.1: DRAINED breaks open replica transactions."""
    tablet = rig.simulation.tablet("102")
    tablet.stuck["TransactionPoolInUse"] = 1
    tablet.mysqld.old_transactions.append((77, rig.simulation.timeline.now - 30))
    rolled = rig.replace(102, transaction_wait=5.0)
    assert rolled.gate == "transactions"
    assert "77" in rolled.reason
    assert rig.acts == []


def test_old_transactions_on_the_primary_refuse_the_reparent(rig: Rig) -> None:
    """vitess#2279, #6645: a long transaction makes the demotion hang or is cut by it."""
    for uid in (102, 103):
        rig.replace(uid)
    rig.simulation.tablet("101").mysqld.old_transactions.append((78, rig.simulation.timeline.now - 30))
    rolled = rig.replace(101, transaction_wait=5.0)
    assert rolled.gate == "transactions"
    assert rig.types()[101] == "PRIMARY"
    rig.assert_unharmed()


def test_replication_that_does_not_come_back_fails_and_a_rerun_finishes(make: Make) -> None:
    rig = make(one_shard())
    rig.simulation.vtorc.mends_replication = False
    follow = rig.simulation.fleet.follow
    rig.simulation.fleet.follow = lambda tablet: None if tablet.uid == 102 else follow(tablet)  # type: ignore[method-assign]
    rolled = rig.roll(**QUICK)
    assert rolled.failure is not None
    assert "replicat" in rolled.reason
    assert rig.types()[102] == "DRAINED"
    rig.simulation.fleet.follow = follow  # type: ignore[method-assign]
    follow(rig.simulation.tablet("102"))
    assert rig.roll(**QUICK).failure is None
    rig.assert_unharmed()


def test_an_unplanned_loss_before_the_roll_counts_as_the_one_that_is_away(rig: Rig) -> None:
    """cybozu-go/moco: a node's failure took one, the update another."""
    rig.simulation.kubernetes.owner_stopped = True
    rig.simulation.kubernetes.kill(rig.alias(103))
    rolled = rig.roll([102])
    assert rolled.failure is not None
    assert rig.simulation.kubernetes.evictions == []
    rig.assert_nothing_taken()
