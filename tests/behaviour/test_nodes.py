# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node is emptied, or rebooted with its tablets on it, while clients use them."""

from __future__ import annotations

from typing import Any

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.tests.behaviour.conftest import Make
from ansible_collections.vtops.vitess.tests.behaviour.player import Result
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig
from ansible_collections.vtops.vitess.tests.behaviour.test_rights import everything_documented
from ansible_collections.vtops.vitess.tests.sim.layout import like_the_lab

NODES = ("worker-1", "worker-2", "worker-3")
ON_2 = [102, 201]  # 201 is the primary of 80-


def settled(make: Make, nodes: tuple[str, ...] = NODES, **given: Any) -> Rig:
    return make(like_the_lab(old="24.0.2", new="24.0.2", nodes=nodes, **given))


def cordoned(rig: Rig, node: str = "worker-2") -> bool:
    return bool(rig.simulation.store.of("nodes")[node]["spec"].get("unschedulable"))


def planned(rig: Rig, node: str = "worker-2", uids: list[int] | None = None, **given: Any) -> Result:
    tablets = [rig.alias(uid) for uid in uids] if uids else list(rig.simulation.fleet.tablets)
    return rig.execute("node_plan", node=node, tablets=tablets, **given)


def on(rig: Rig, node: str) -> list[int]:
    pods = rig.simulation.store.of("pods")
    return [t.uid for t in rig.simulation.fleet.tablets.values() if pods[t.pod]["spec"]["nodeName"] == node]


def test_a_node_is_emptied_and_no_client_sees_it(make: Make) -> None:
    rig = settled(make, movable=True)
    assert [row["alias"] for row in planned(rig)["tablets"]] == [rig.alias(uid) for uid in ON_2]
    cordon = rig.execute("node_cordon", node="worker-2", roll="nightly")
    assert (cordon["changed"], cordon["ours"], cordoned(rig)) == (True, True, True)
    moved = rig.execute("shard_reparent", 201, avoid_nodes=["worker-2"])
    assert moved["changed"] is True, moved
    rig.execute("shard_claim", 201, state="absent")
    rolled = rig.roll(uids=ON_2, wanted_since=cordon["since"])
    assert rolled.failure is None, rolled.failure
    assert (on(rig, "worker-2"), planned(rig)["tablets"]) == ([], [])
    assert rig.execute("node_cordon", node="worker-2", state="absent")["changed"] is True
    assert cordoned(rig) is False
    rig.assert_unharmed()


def test_a_node_is_rebooted_in_place_and_no_client_sees_it(make: Make) -> None:
    rig = settled(make)
    assert planned(rig, in_place=True)["shards"] == ["commerce/-80", "commerce/80-"]
    cordon = rig.execute("node_cordon", node="worker-2", roll="nightly")
    why = {"new_pod_has_a_place": "in place: no Pod is replaced"}
    moved = rig.execute("shard_reparent", 201, avoid_nodes=["worker-2"], override_gates=why)
    assert moved["changed"] is True, moved
    for uid in ON_2:
        drained = rig.execute("tablet_drain", uid, override_gates=why)
        assert drained["changed"] is True, drained
    rig.simulation.kubernetes.reboot("worker-2", 90.0)
    shards = ["commerce/-80", "commerce/80-"]
    back = rig.execute("node_wait", node="worker-2", boot=cordon["boot"], shards=shards, roll="nightly", timeout=300)
    assert back.get("failed") is None, back
    assert back["boot"] != cordon["boot"]
    assert rig.execute("node_cordon", node="worker-2", roll="nightly")["rebooted"] is True
    for uid in ON_2:
        assert rig.execute("vtgate_readmit", uid, release=True).get("failed") is None
    assert rig.types()[102] == rig.types()[201] == "REPLICA"
    assert rig.claims_held() == []
    rig.assert_unharmed()


def test_a_node_that_does_not_come_back_in_time_is_said(make: Make) -> None:
    rig = settled(make)
    boot = rig.execute("node_cordon", node="worker-2")["boot"]
    failure = rig.execute("node_wait", node="worker-2", boot=boot, timeout=10.0)["failure"]
    assert (failure["gate"], "not booted again yet" in failure["reason"]) == ("node_is_back", True)


def test_two_tablets_of_a_shard_on_a_node_are_not_taken_in_place(make: Make) -> None:
    rig = settled(make, nodes=("worker-1", "worker-2"))
    failure = planned(rig, in_place=True)["failure"]
    assert failure["gate"] == "one_tablet_of_shard_on_node"
    assert f"{rig.alias(201)} and {rig.alias(203)} of commerce/80-" in failure["reason"]


def test_in_place_takes_all_of_a_nodes_tablets_or_none(make: Make) -> None:
    failure = planned(settled(make), uids=[102], in_place=True)["failure"]
    assert (failure["gate"], "zone1-0000000201" in failure["reason"]) == ("selection", True)


def test_a_node_with_a_vtgate_is_not_taken_in_place(make: Make) -> None:
    failure = planned(settled(make), node="worker-1", in_place=True)["failure"]
    assert (failure["gate"], "vtgate-0" in failure["reason"]) == ("no_vtgate_on_node", True)


def test_tablets_whose_volumes_are_bound_to_the_node_are_not_moved(make: Make) -> None:
    failure = planned(settled(make))["failure"]
    assert failure["gate"] == "new_pod_has_a_place"
    assert "can go nowhere else" in failure["reason"]
    assert "in_place" in failure["next_command"]


def test_a_move_is_no_upgrade(make: Make) -> None:
    rig = make(like_the_lab(nodes=NODES, movable=True), clients=False)
    assert planned(rig)["failure"]["gate"] == "move_is_no_upgrade"


def test_no_primary_is_moved_to_the_node_that_is_emptied(make: Make) -> None:
    rig = settled(make)
    nodes = [
        rig.simulation.store.of("pods")[rig.simulation.tablet(uid).pod]["spec"]["nodeName"] for uid in ("202", "203")
    ]
    failure = rig.execute("shard_reparent", 201, avoid_nodes=nodes)["failure"]
    assert failure["gate"] == "candidate_is_fit"
    assert "is being emptied" in failure["reason"]


def test_a_cordon_that_is_not_ours_stays(make: Make) -> None:
    rig = settled(make)
    rig.simulation.store.of("nodes")["worker-2"]["spec"]["unschedulable"] = True
    for state in ("present", "absent"):
        result = rig.execute("node_cordon", node="worker-2", state=state)
        assert (result["changed"], result["ours"], cordoned(rig)) == (False, False, True)


def test_a_cordon_is_made_once_and_remembers_its_beginning(make: Make) -> None:
    rig = settled(make)
    checked = rig.execute("node_cordon", node="worker-2", check=True)
    assert (checked["changed"], cordoned(rig)) == (True, False)
    first = rig.execute("node_cordon", node="worker-2")
    rig.simulation.pass_(60.0)
    again = rig.execute("node_cordon", node="worker-2")
    assert (again["changed"], again["since"]) == (False, first["since"])
    rig.execute("node_cordon", node="worker-2", state="absent")
    assert labels.CORDON not in rig.simulation.store.of("nodes")["worker-2"]["metadata"]["annotations"]
    assert rig.execute("node_cordon", node="worker-2", state="absent")["changed"] is False


def test_a_write_that_meets_the_kubelets_is_repeated(make: Make) -> None:
    rig = settled(make)

    def touched() -> None:
        rig.simulation.store.put("nodes", rig.simulation.store.of("nodes")["worker-2"])

    rig.wire.trouble("PATCH .*/nodes/", happens=touched, times=2)
    assert rig.execute("node_cordon", node="worker-2")["changed"] is True
    assert cordoned(rig)


def test_without_the_right_to_cordon_the_verb_is_named(make: Make) -> None:
    rig = settled(make)
    rig.simulation.api.authorizer.granted = everything_documented() - {("patch", "nodes", False)}
    failure = rig.execute("node_cordon", node="worker-2")["failure"]
    assert (failure["gate"], "patch nodes cluster-wide" in failure["reason"]) == ("rights_are_granted", True)
    rig.simulation.api.authorizer.granted = everything_documented()
    assert rig.execute("node_cordon", node="worker-2")["changed"] is True
