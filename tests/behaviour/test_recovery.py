# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tablets that get away by themselves: what is found, what is waited for, what is done, and what is never done."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vtops.vitess.tests.behaviour.conftest import Make
from ansible_collections.vtops.vitess.tests.behaviour.player import Rolled
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig
from ansible_collections.vtops.vitess.tests.sim.layout import one_shard

POD, NODE = "commerce-x-x-1", "worker-2"  # of 102
QUICK: dict[str, float] = {
    "owner_wait": 20.0,
    "node_wait": 10.0,
    "process_wait": 10.0,
    "replication_wait": 5.0,
    "primary_wait": 10.0,
    "stall_wait": 10.0,
    "catch_up_timeout": 60.0,
    "route_timeout": 60.0,
    "evict_timeout": 15.0,
}
# A fleet at rest: what comes back is what was there.
AT_REST: dict[str, Any] = {"old": "24.0.2", "new": "24.0.2"}


@pytest.fixture
def rig(make: Make) -> Rig:
    """Three tablets that are as wanted; 101 is the primary."""
    return make(one_shard(**AT_REST))


def recover(rig: Rig, uid: int = 102, **given: Any) -> Rolled:
    return rig.recover(uid, **{**QUICK, **given})


def did(rolled: Rolled) -> str:
    (steps,) = rolled.results.values()
    return str(steps["tablet_recover"].get("did"))


def is_back(rig: Rig, uid: int = 102, kind: str = "REPLICA") -> None:
    """It serves at every vtgate, and whoever acted let go of the shard."""
    alias = rig.alias(uid)
    assert rig.types()[uid] == kind
    assert rig.simulation.referee.reasons(rig.simulation.tablet(alias)) == []
    assert rig.claims_held() == []
    assert not any(entry["steps"] and entry["finished"] is None for entry in rig.journal().values())


def removed(rig: Rig) -> list[str]:
    return [act for act in rig.acts if act.startswith(("Evict", "Delete", "Planned"))]


# -- what mends itself is waited for, and costs no write


def test_a_fleet_at_rest_ails_of_nothing_and_nothing_is_written(rig: Rig) -> None:
    result = rig.execute("tablet_diagnose")
    assert (result["ailing"], result["rounds"]) == ([], [])
    rolled = recover(rig)
    assert (rolled.failure, rolled.changed, did(rolled), rig.acts) == (None, 0, "nothing", [])
    assert rig.journal() == {}
    rig.assert_unharmed()


def test_a_pod_that_its_owner_recreates_is_waited_for(rig: Rig) -> None:
    rig.simulation.kubernetes.kill(rig.alias(102))
    assert rig.diagnosed(102)["cause"] == "pod_missing"
    rolled = recover(rig)
    assert (rolled.failure, did(rolled), removed(rig)) == (None, "nothing", [])
    is_back(rig)
    rig.assert_unharmed(errors=True)


@pytest.mark.parametrize("container", ["mysqld", "vttablet"])
def test_a_process_that_its_kubelet_restarts_is_waited_for(container: str, rig: Rig) -> None:
    rig.simulation.failures.crash(rig.alias(102), container, 4.0)
    rig.simulation.pass_(1.0)
    assert rig.diagnosed(102)["cause"] == f"{container}_dead"
    rolled = recover(rig)
    assert (rolled.failure, did(rolled), removed(rig)) == (None, "nothing", [])
    is_back(rig)
    rig.assert_unharmed(errors=True)


def test_replication_that_vtorc_starts_again_is_waited_for(rig: Rig) -> None:
    rig.simulation.vtorc.enabled = False
    rig.simulation.failures.stop_replication(rig.alias(102))
    assert rig.diagnosed(102)["cause"] == "replication_stopped"
    rig.simulation.timeline.after(2.0, lambda: setattr(rig.simulation.vtorc, "enabled", True))
    rolled = recover(rig)
    assert (rolled.failure, did(rolled), rig.acts) == (None, "nothing", [])
    is_back(rig)
    rig.assert_unharmed()


def test_a_node_that_comes_back_is_waited_for(rig: Rig) -> None:
    rig.simulation.failures.lose_node(NODE)
    rig.simulation.timeline.after(6.0, lambda: rig.simulation.failures.return_node(NODE))
    rolled = recover(rig)
    assert (rolled.failure, did(rolled), removed(rig)) == (None, "nothing", [])
    is_back(rig)
    rig.assert_unharmed(errors=True)


# -- what does not mend itself, and what mends it


@pytest.mark.parametrize("container", ["mysqld", "vttablet"])
def test_a_process_that_stays_dead_costs_its_pod(container: str, rig: Rig) -> None:
    rig.simulation.failures.crash(rig.alias(102), container)
    rig.simulation.pass_(1.0)
    rolled = recover(rig)
    assert (rolled.failure, did(rolled), removed(rig)) == (None, "replace_pod", [f"Evict {POD}"])
    is_back(rig)
    assert recover(rig).changed == 0
    rig.assert_unharmed(errors=True)


def test_a_failed_pod_that_its_owner_leaves_is_evicted(rig: Rig) -> None:
    rig.simulation.kubernetes.leaves_failed = True
    rig.simulation.failures.fail_pod(rig.alias(102))
    assert rig.diagnosed(102)["cause"] == "pod_failed"
    rolled = recover(rig)
    assert (rolled.failure, did(rolled), removed(rig)) == (None, "replace_pod", [f"Evict {POD}"])
    is_back(rig)
    rig.assert_unharmed(errors=True)


def test_a_crash_loop_gets_one_new_pod_and_then_quiet(rig: Rig) -> None:
    rig.simulation.kubernetes.crashing.add(POD)
    rig.simulation.kubernetes.kill(rig.alias(102))
    rig.simulation.pass_(8.0)
    assert rig.diagnosed(102)["cause"] == "crash_loop"
    rolled = recover(rig)
    assert (rolled.gate, removed(rig)) == ("crash_loop", [f"Evict {POD}"])
    assert "after replace_pod" in rolled.reason
    again = recover(rig)
    assert (again.gate, removed(rig)) == ("quiet_period", [f"Evict {POD}"])
    rig.simulation.kubernetes.crashing.clear()
    rig.simulation.pass_(10.0)
    assert recover(rig).failure is None
    is_back(rig)
    rig.assert_unharmed(errors=True)


def test_replication_that_nobody_starts_is_started(rig: Rig) -> None:
    rig.simulation.vtorc.enabled = False
    rig.simulation.failures.stop_replication(rig.alias(102))
    rolled = recover(rig)
    assert (rolled.failure, did(rolled), rig.acts) == (
        None,
        "start_replication",
        [f"StartReplication {rig.alias(102)}"],
    )
    is_back(rig)
    rig.assert_unharmed()


def test_replication_that_stops_with_an_error_is_started_once_and_reported(rig: Rig) -> None:
    rig.simulation.failures.stop_replication(rig.alias(102), "Duplicate entry '7' for key 'PRIMARY'")
    rolled = recover(rig)
    assert rolled.gate == "replication_stopped"
    assert "Duplicate entry" in rolled.reason
    assert removed(rig) == []
    rig.assert_unharmed()


def test_purged_binary_logs_are_reported_with_the_command_that_restores(rig: Rig) -> None:
    rig.simulation.failures.stop_replication(rig.alias(102), "Got fatal error 1236: purged required binary logs")
    rolled = recover(rig)
    assert (rolled.gate, rig.acts) == ("binlogs_purged", [])
    assert "RestoreFromBackup" in str(rolled.failure)
    rig.assert_unharmed()


@pytest.mark.parametrize("trouble", ["image", "no node"])
def test_a_pod_that_would_come_back_the_same_is_not_replaced_and_one_with_another_spec_is(
    trouble: str, rig: Rig
) -> None:
    kubernetes, nodes = rig.simulation.kubernetes, rig.simulation.store.of("nodes")
    if trouble == "image":
        kubernetes.image_trouble["vitess/lite:v24.0.2"] = "ImagePullBackOff"
    else:
        nodes[NODE]["spec"]["unschedulable"] = True
    kubernetes.kill(rig.alias(102))
    rig.simulation.pass_(6.0)
    cause = {"image": "image_not_pulled", "no node": "pod_unschedulable"}[trouble]
    assert rig.diagnosed(102)["cause"] == cause
    rolled = recover(rig)
    assert (rolled.gate, removed(rig)) == (cause, [])
    assert "the same Pod again" in rolled.reason
    nodes[NODE]["spec"].pop("unschedulable", None)
    if trouble == "image":
        template = {
            "spec": {
                "containers": [
                    {"name": "mysqld", "image": "mysql:9.7.4"},
                    {"name": "vttablet", "image": "vitess/lite:v24.0.3"},
                ]
            }
        }
        owner = rig.simulation.store.of("statefulsets")["commerce-x-x"]
        owner["spec"]["template"]["spec"]["containers"] = template["spec"]["containers"]
        kubernetes.spec_changed(owner)
        rig.simulation.pass_(1.0)
    rolled = recover(rig)
    assert (rolled.failure, removed(rig)) == (None, [f"Evict {POD}"] if trouble == "image" else [])
    is_back(rig)
    rig.assert_unharmed(errors=True)


# -- a lost node


def test_a_lost_node_without_a_fence_is_never_acted_on(rig: Rig) -> None:
    rig.simulation.failures.lose_node(NODE)
    rolled = recover(rig, node_wait=60.0, recover_timeout=120.0)
    assert (rolled.gate, rig.acts) == ("node_lost", [])
    assert "out-of-service" in str(rolled.failure)
    rig.assert_unharmed(errors=True)


def test_a_lost_node_that_the_operator_fences_gives_up_its_pod_at_once(rig: Rig) -> None:
    rig.simulation.failures.lose_node(NODE)
    rig.simulation.failures.move_volume(rig.alias(102), "worker-1")
    rolled = recover(rig, node_fenced=[NODE])
    assert (rolled.failure, removed(rig)) == (None, [f"Evict {POD} without grace"])
    is_back(rig)
    rig.assert_unharmed(errors=True)


@pytest.mark.parametrize("fence", ["remove_node", "taint_out_of_service"])
def test_behind_kubernetes_own_fence_the_owner_is_waited_for(fence: str, rig: Rig) -> None:
    rig.simulation.failures.lose_node(NODE)
    rig.simulation.failures.move_volume(rig.alias(102), "worker-1")
    getattr(rig.simulation.failures, fence)(NODE)
    rolled = recover(rig)
    assert (rolled.failure, did(rolled), removed(rig)) == (None, "nothing", [])
    is_back(rig)
    rig.assert_unharmed(errors=True)


def test_a_volume_on_a_node_that_is_gone_is_reported_and_never_deleted(rig: Rig) -> None:
    rig.simulation.failures.lose_node(NODE)
    rig.simulation.failures.remove_node(NODE)
    rig.simulation.pass_(10.0)
    rolled = recover(rig)
    assert (rolled.gate, rig.acts) == ("volume_lost", [])
    assert "data-commerce-x-x-1" in rolled.reason
    rig.assert_unharmed(errors=True)


# -- an empty volume


def test_a_restore_that_gets_on_is_waited_for_however_long_it_takes(rig: Rig) -> None:
    kubernetes = rig.simulation.kubernetes
    kubernetes.empty_volumes.add(POD)
    kubernetes.backups[POD] = [1000 * second for second in range(1, 61)]
    kubernetes.kill(rig.alias(102))
    rig.simulation.pass_(8.0)
    assert rig.diagnosed(102)["cause"] == "restoring"
    rolled = recover(rig, stall_wait=5.0)
    assert (rolled.failure, did(rolled), rig.acts) == (None, "nothing", [])
    is_back(rig)
    rig.assert_unharmed(errors=True)


def test_a_restore_that_stalls_is_reported_and_not_cut(rig: Rig) -> None:
    kubernetes = rig.simulation.kubernetes
    kubernetes.empty_volumes.add(POD)
    kubernetes.backups[POD] = [1000] * 600
    kubernetes.kill(rig.alias(102))
    started = rig.simulation.timeline.now
    rolled = recover(rig)
    assert (rolled.gate, rig.acts) == ("restoring", [])
    assert rig.simulation.timeline.now - started < 60.0
    rig.assert_unharmed(errors=True)


def test_replication_that_gets_on_is_waited_for_and_one_that_does_not_is_reported(rig: Rig) -> None:
    mysqld = rig.simulation.tablet("102").mysqld
    mysqld.shown_lag = 300.0
    rig.simulation.timeline.after(30.0, lambda: setattr(mysqld, "shown_lag", None))
    rolled = recover(rig, stall_wait=5.0)
    assert (rolled.failure, rig.acts) == (None, [])
    mysqld.shown_lag, rig.clients.running = 300.0, False
    rig.simulation.pass_(5.0)
    assert recover(rig, stall_wait=5.0).gate == "catching_up"
    mysqld.shown_lag = None
    rig.assert_unharmed()


# -- the primary


@pytest.mark.parametrize("container", ["mysqld", "vttablet", "node", "pod"])
def test_a_dead_primary_is_waited_for_until_vtorc_has_elected_and_comes_back_as_replica(
    container: str, rig: Rig
) -> None:
    failures = rig.simulation.failures
    if container == "node":
        budget = rig.simulation.store.of("poddisruptionbudgets")["commerce-x-x"]
        budget["spec"]["unhealthyPodEvictionPolicy"] = "AlwaysAllow"
        failures.lose_node("worker-1")
        failures.move_volume(rig.alias(101), NODE)
        failures.move_volume(rig.alias(103), NODE)
    elif container == "pod":
        rig.simulation.kubernetes.leaves_failed = True
        failures.fail_pod(rig.alias(101))
    else:
        failures.crash(rig.alias(101), container)
    assert rig.diagnosed(101)["refusal"].startswith("it is the PRIMARY")
    rolled = recover(rig, 101, node_fenced=["worker-1"], primary_wait=30.0)
    assert rolled.failure is None, rolled.failure
    assert [act.split()[0] for act in rig.acts if not act.startswith("ChangeTabletType")] == [
        "EmergencyReparentShard",
        "Evict",
    ]
    is_back(rig, 101)
    rig.assert_unharmed(errors=True)


@pytest.mark.parametrize("container", ["mysqld", "vttablet"])
def test_a_primary_that_vtorc_does_not_replace_is_never_touched(container: str, rig: Rig) -> None:
    """vitess#19918: before v25 vtorc does not replace a primary whose vttablet alone is dead."""
    rig.simulation.vtorc.enabled = False
    rig.simulation.failures.crash(rig.alias(101), container)
    rolled = recover(rig, 101, primary_wait=60.0)
    assert (rolled.gate, rig.acts) == (f"{container}_dead", [])
    assert "PRIMARY" in rolled.reason
    assert "EmergencyReparentShard" in str(rolled.failure)
    rig.assert_unharmed(errors=True)


def test_a_replica_of_a_dead_primary_is_not_taken_for_ill(rig: Rig) -> None:
    rig.simulation.vtorc.enabled = False
    rig.simulation.failures.crash(rig.alias(101), "mysqld")
    rig.simulation.pass_(1.0)
    assert rig.execute("tablet_diagnose")["ailing"] == [rig.alias(101)]


# -- what is never done without a word


def test_an_errant_gtid_is_never_brought_back_without_an_explicit_yes(rig: Rig) -> None:
    rig.simulation.vtorc.drains_errant = True
    rig.simulation.failures.write_errant(rig.alias(102))
    rig.simulation.pass_(3.0)
    acts = list(rig.acts)
    rolled = recover(rig, accept_drained=[rig.alias(102)])
    assert (rolled.gate, rig.acts) == ("errant_gtid", acts)
    rig.simulation.vtorc.drains_errant = False
    rolled = recover(rig, accept_drained=[rig.alias(102)], accept_errant=[rig.alias(102)])
    assert rolled.failure is None
    is_back(rig)


def test_what_somebody_else_drained_is_left_alone_unless_it_is_accepted(rig: Rig) -> None:
    rig.simulation.fleet.change_type(rig.alias(102), "DRAINED")
    acts = list(rig.acts)
    assert (recover(rig).gate, rig.acts) == ("drained", acts)
    assert recover(rig, accept_drained=[rig.alias(102)]).failure is None
    is_back(rig)
    rig.assert_unharmed(errors=True)


def test_what_a_roll_has_in_flight_is_left_to_it(rig: Rig) -> None:
    assert not rig.execute("tablet_drain", 102, wanted_since="2026-01-01T00:00:00Z").get("failed")
    found = rig.diagnosed(102)
    assert (found["cause"], found["ails"]) == ("taken", False)
    assert recover(rig, roll="another").results[rig.alias(102)]["tablet_recover"]["did"] == "nothing"


# -- what it takes away


def test_the_last_acker_whose_vttablet_is_dead_is_not_evicted(rig: Rig) -> None:
    """Its mysqld may be the one that acknowledges: without it writes would hang."""
    rig.simulation.failures.crash(rig.alias(102), "vttablet")
    rig.simulation.vtorc.enabled = False
    rig.simulation.failures.stop_replication(rig.alias(103))
    rolled = recover(rig)
    assert (rolled.gate, removed(rig)) == ("nothing_is_taken_away", [])
    assert recover(rig, 103).failure is None
    assert recover(rig).failure is None
    is_back(rig)
    rig.assert_unharmed(errors=True)


def _crash_both(rig: Rig) -> None:
    for uid in (102, 103):
        rig.simulation.failures.crash(rig.alias(uid), "mysqld")
    rig.simulation.pass_(1.0)


def test_two_that_are_down_come_back_one_after_the_other(rig: Rig) -> None:
    budget = rig.simulation.store.of("poddisruptionbudgets")["commerce-x-x"]
    budget["spec"]["unhealthyPodEvictionPolicy"] = "AlwaysAllow"
    _crash_both(rig)
    rounds = rig.execute("tablet_diagnose")["rounds"]
    assert rounds == [[rig.alias(102)], [rig.alias(103)]]
    for uid in (102, 103):
        assert recover(rig, uid).failure is None
        is_back(rig, uid)
    assert removed(rig) == ["Evict commerce-x-x-1", "Evict commerce-x-x-2"]
    assert rig.clients.lost_writes() == []


def test_a_budget_that_guards_broken_pods_too_is_named_and_never_gone_around(rig: Rig) -> None:
    """Kubernetes' default, IfHealthyBudget, keeps a broken Pod from being evicted as long as another one is down too."""
    _crash_both(rig)
    rolled = recover(rig)
    assert (rolled.gate, removed(rig)) == ("eviction", [])
    assert "disruption budget" in rolled.reason


def test_a_shard_that_another_roll_holds_is_not_touched(rig: Rig) -> None:
    rig.execute("shard_claim", 103, roll="another")
    rig.simulation.failures.crash(rig.alias(102), "mysqld")
    holder = rig.claims_held()
    rolled = rig.player.execute(
        "tablet_recover",
        rig.alias(102),
        roll="mine",
        **{k: v for k, v in QUICK.items() if "timeout" not in k or k == "evict_timeout"},
    )
    assert rolled["failure"]["gate"] == "claim"
    assert (rig.claims_held(), removed(rig)) == (holder, [])


def test_a_paused_fleet_is_not_acted_on(rig: Rig) -> None:
    pause = {"metadata": {"name": "vtops-pause"}, "data": {"reason": "somebody works on 102"}}
    rig.simulation.store.put("configmaps", pause)
    rig.simulation.failures.crash(rig.alias(102), "mysqld")
    rolled = recover(rig)
    assert (rolled.gate, removed(rig)) == ("roll_is_not_paused", [])


def test_a_successor_that_may_not_start_is_not_asked_for(make: Make) -> None:
    """The owner's spec has moved on: the version rules come first."""
    rig = make(one_shard(old="23.0.3", new="25.0.0"))
    rig.simulation.failures.crash(rig.alias(102), "vttablet")
    rolled = recover(rig)
    assert (rolled.gate, removed(rig)) == ("version_step_is_allowed", [])
    other = make(one_shard(**AT_REST, old_mysql="8.0.40", new_mysql="9.7.4"))
    other.simulation.failures.crash(other.alias(102), "mysqld")
    rolled = recover(other)
    assert (rolled.gate, removed(other)) == ("mysqld_may_start_again", [])


def test_check_mode_says_what_would_be_done_and_does_nothing(rig: Rig) -> None:
    rig.simulation.failures.crash(rig.alias(102), "mysqld")
    rig.simulation.pass_(1.0)
    result = rig.execute("tablet_recover", 102, check=True, process_wait=10.0)
    assert (result["changed"], result["would"]) == (
        True,
        "wait at most 10 s for the kubelet to restart mysqld, then replace_pod",
    )
    rig.simulation.kubernetes.kill(rig.alias(103))
    result = rig.execute("tablet_recover", 103, check=True)
    assert (result["changed"], "then stop: only its owner" in result["would"]) == (False, True)
    assert (rig.acts, rig.journal(), rig.claims_held()) == ([], {}, [])


def test_a_recovery_that_dies_before_its_eviction_is_finished_by_the_next(rig: Rig) -> None:
    rig.simulation.failures.crash(rig.alias(102), "mysqld")
    rig.wire.trouble("POST .*/eviction", cut=True, times=10**6)
    assert recover(rig).failure is not None
    rig.wire.troubles.clear()
    assert rig.journal()[rig.alias(102)]["finished"] is None
    rig.simulation.pass_(30)
    rolled = recover(rig)
    assert (rolled.failure, removed(rig)) == (None, [f"Evict {POD}"])
    is_back(rig)
    assert "crash" not in str(rolled.failure)
    rig.assert_unharmed(errors=True)


def _dies_after_its_eviction(rig: Rig) -> None:
    rig.simulation.failures.crash(rig.alias(102), "mysqld")
    rig.simulation.pass_(1.0)

    def dies() -> None:
        rig.wire.trouble(".", cut=True, times=10**6)

    rig.wire.trouble("POST .*/eviction", happens=dies, after=True)
    assert recover(rig).failure is not None
    rig.wire.troubles.clear()
    assert removed(rig) == [f"Evict {POD}"]


def test_a_recovery_that_dies_after_its_eviction_is_finished_by_the_next_without_a_second_one(rig: Rig) -> None:
    _dies_after_its_eviction(rig)
    rolled = recover(rig)
    assert (rolled.failure, removed(rig)) == (None, [f"Evict {POD}"])
    is_back(rig)
    rig.assert_unharmed(errors=True)


def test_what_a_dead_recovery_left_is_known_to_abort(rig: Rig) -> None:
    _dies_after_its_eviction(rig)
    info = rig.execute("fleet_info", tablets=[rig.alias(102)])["tablets"][0]
    assert info["in_flight"] is True
    rig.execute("shard_claim", 102, state="absent")
    # As the playbook abort does it: by hand, without a roll.
    assert not rig.player.execute("vtgate_readmit", rig.alias(102), roll=None).get("failed")
    is_back(rig)
    rig.assert_unharmed(errors=True)


def test_a_roll_after_a_recovery_plans_and_takes_the_tablet_as_any_other(make: Make) -> None:
    rig = make(one_shard())
    rig.simulation.failures.crash(rig.alias(103), "vttablet")
    rig.simulation.pass_(1.0)
    assert rig.execute("roll_plan", tablets=[rig.alias(102)]).get("failed"), "one that is away stops a roll's plan"
    assert recover(rig, 103).failure is None
    assert rig.upgraded() == [103], "it came back as its owner wants it now"
    assert rig.roll().failure is None
    assert sorted(rig.upgraded()) == [101, 102, 103]
    rig.assert_unharmed(errors=True)
