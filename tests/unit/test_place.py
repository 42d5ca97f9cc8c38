# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import place
from ansible_collections.vtops.vitess.plugins.module_utils.clients.kubernetes import Json
from ansible_collections.vtops.vitess.plugins.module_utils.errors import Refused, StepFailure, Unreachable
from ansible_collections.vtops.vitess.plugins.module_utils.place import (
    Expression,
    Ground,
    Needs,
    Node,
    Place,
    Room,
    Taint,
    Toleration,
    covered_by,
    fitting,
    lacking,
    parse_needs,
    parse_node,
    parse_quantity,
    parse_requests,
    parse_terms,
    parse_volume,
    unfit,
)
from ansible_collections.vtops.vitess.tests.unit.factories import REPLICA
from ansible_collections.vtops.vitess.tests.unit.fakes import World, a_node

HOST = "kubernetes.io/hostname"


def node(name: str = "worker-1", **changes: Any) -> Node:
    return replace(Node(name, ((HOST, name), ("disk", "ssd"), ("rank", "7"))), **changes)


def resources(**quantities: str) -> place.Resources:
    return place.parse_resources(quantities)


# -- quantities


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", "2"),
        (2, "2"),
        ("500m", "0.5"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("1k", "1000"),
        ("2M", "2000000"),
        ("1Ki", "1024"),
        ("1Gi", "1073741824"),
        ("1e3", "1000"),
        ("12E2", "1200"),
        ("1E", "1000000000000000000"),
        ("100n", "0.0000001"),
    ],
)
def test_quantities_are_read_as_kubernetes_writes_them(text: Any, value: str) -> None:
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "much", "1 Gi", "1KiB"])
def test_what_is_no_quantity_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)


# -- what a Pod asks for


def container(**resources: Any) -> Json:
    return {"name": "c", "resources": resources}


def test_a_pod_asks_for_the_sum_of_its_containers_and_one_place() -> None:
    spec = {"containers": [container(requests={"cpu": "1", "memory": "1Gi"}), container(requests={"cpu": "500m"})]}
    assert parse_requests(spec) == resources(cpu="1500m", memory="1Gi", pods="1")
    assert parse_requests({}) == resources(pods="1")


def test_a_limit_without_a_request_is_the_request() -> None:
    spec = {"containers": [container(limits={"cpu": "2", "memory": "2Gi"}, requests={"cpu": "1"})]}
    assert parse_requests(spec) == resources(cpu="1", memory="2Gi", pods="1")


def test_a_large_init_container_counts_and_a_sidecar_adds_up() -> None:
    spec = {
        "containers": [container(requests={"cpu": "1"})],
        "initContainers": [
            container(requests={"cpu": "3", "memory": "1Gi"}),
            {**container(requests={"cpu": "500m"}), "restartPolicy": "Always"},
        ],
        "overhead": {"cpu": "100m"},
    }
    assert parse_requests(spec) == resources(cpu="3100m", memory="1Gi", pods="1")


def test_needs_are_read_from_a_template() -> None:
    affinity = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": []}]}}
    needs = parse_needs(
        {
            "nodeSelector": {"disk": "ssd"},
            "affinity": {"nodeAffinity": affinity},
            "tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoSchedule"}],
        }
    )
    assert needs.selector == (("disk", "ssd"),)
    assert needs.terms == ((),)
    assert needs.tolerations == (Toleration(operator="Exists"), Toleration("a", "Equal", "b", "NoSchedule"))
    assert parse_needs({}) == Needs(requests=resources(pods="1"))


# -- what a node offers


def test_a_node_is_parsed_with_what_it_repels_and_what_it_has() -> None:
    item = a_node("worker-1")
    item["spec"] = {"unschedulable": True, "taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}, {"key": "x"}]}
    item["status"]["conditions"][0]["status"] = "Unknown"
    parsed = parse_node(item)
    assert (parsed.name, parsed.ready, parsed.cordoned) == ("worker-1", False, True)
    assert [str(taint) for taint in parsed.taints] == ["k=v:NoSchedule", "x:"]
    assert parsed.allocatable == resources(cpu="4", memory="8Gi", pods="110")


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        (Expression("disk", "In", ("ssd", "nvme")), True),
        (Expression("disk", "In", ("hdd",)), False),
        (Expression("gpu", "In", ("yes",)), False),
        (Expression("disk", "NotIn", ("hdd",)), True),
        (Expression("gpu", "NotIn", ("yes",)), True),
        (Expression("disk", "NotIn", ("ssd",)), False),
        (Expression("disk", "Exists"), True),
        (Expression("gpu", "Exists"), False),
        (Expression("gpu", "DoesNotExist"), True),
        (Expression("disk", "DoesNotExist"), False),
        (Expression("rank", "Gt", ("6",)), True),
        (Expression("rank", "Gt", ("7",)), False),
        (Expression("rank", "Lt", ("8",)), True),
        (Expression("disk", "Gt", ("1",)), False),
        (Expression("rank", "Gt", ()), False),
        (Expression("metadata.name", "In", ("worker-1",), on_name=True), True),
        (Expression("metadata.name", "In", ("worker-2",), on_name=True), False),
        (Expression("disk", "Near", ("ssd",)), False),
    ],
)
def test_a_requirement_matches_as_the_scheduler_does(expression: Expression, matches: bool) -> None:
    assert expression.matches(node()) is matches


def test_terms_are_alternatives_and_the_expressions_of_one_must_all_match() -> None:
    selector = {
        "nodeSelectorTerms": [
            {
                "matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}],
                "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["worker-2"]}],
            },
            {"matchExpressions": [{"key": "rank", "operator": "Exists"}]},
        ]
    }
    both, one = parse_terms(selector)
    assert unfit(node(), Needs(terms=(both,))) == "worker-1 does not match the Pod's required node affinity"
    assert unfit(node(), Needs(terms=(both, one))) == ""


@pytest.mark.parametrize("terms", [(), ((),)])
def test_an_affinity_without_a_requirement_matches_no_node(terms: tuple[place.Term, ...]) -> None:
    assert unfit(node(), Needs(terms=terms)) != ""


TAINT = Taint("dedicated", "db", "NoSchedule")


@pytest.mark.parametrize(
    ("toleration", "tolerates"),
    [
        (Toleration("dedicated", "Equal", "db", "NoSchedule"), True),
        (Toleration("dedicated", "Equal", "db"), True),
        (Toleration("dedicated", "Exists"), True),
        (Toleration("", "Exists"), True),
        (Toleration("dedicated", "Equal", "web"), False),
        (Toleration("dedicated", "Exists", effect="NoExecute"), False),
        (Toleration("other", "Exists"), False),
        (Toleration("", "Equal"), False),
    ],
)
def test_a_taint_must_be_tolerated(toleration: Toleration, tolerates: bool) -> None:
    problem = unfit(node(taints=(TAINT,)), Needs(tolerations=(toleration,)))
    assert problem == (
        "" if tolerates else "worker-1 has the taint dedicated=db:NoSchedule, which the Pod does not tolerate"
    )


def test_a_taint_that_only_prefers_is_none() -> None:
    assert unfit(node(taints=(Taint("dedicated", "db", "PreferNoSchedule"),)), Needs()) == ""
    assert unfit(node(taints=(Taint("gone", "", "NoExecute"),)), Needs()) != ""


@pytest.mark.parametrize(
    ("changes", "needs", "problem"),
    [
        ({"cordoned": True}, Needs(), "worker-1 is cordoned"),
        ({"ready": False}, Needs(), "worker-1 is not Ready"),
        ({}, Needs(selector=(("disk", "nvme"),)), "worker-1 has not the label disk=nvme of the Pod's nodeSelector"),
        ({}, Needs(selector=(("disk", "ssd"),)), ""),
    ],
)
def test_a_node_says_why_it_does_not_fit(changes: dict[str, Any], needs: Needs, problem: str) -> None:
    assert unfit(node(**changes), needs) == problem


# -- room


def test_room_is_what_is_allocatable_less_what_is_requested() -> None:
    one = node(allocatable=resources(cpu="4", memory="8Gi", pods="3"))
    used = resources(cpu="3", memory="2Gi", pods="2")
    assert lacking(one, resources(cpu="1", memory="6Gi", pods="1"), used) == ""
    assert lacking(one, resources(cpu="1500m", memory="7Gi", pods="2"), used) == (
        "worker-1 has too little cpu (asks 1.5, 1 are free), memory (asks 7.0Gi, 6.0Gi are free), pods (asks 2, 1 are free)"
    )
    assert "example.com/gpu (asks 1, 0 are free)" in lacking(one, (("example.com/gpu", Decimal(1)),), ())


def test_what_asks_for_no_more_fits_where_the_old_one_leaves() -> None:
    assert covered_by(resources(cpu="1"), resources(cpu="1", memory="1Gi"))
    assert not covered_by(resources(cpu="2"), resources(cpu="1"))
    assert not covered_by(resources(memory="1"), resources(cpu="1"))


# -- all together


def on(name: str) -> tuple[place.Term, ...]:
    return ((Expression(HOST, "In", (name,)),),)


def test_the_nodes_are_those_that_every_volume_allows() -> None:
    nodes = (node("a"), node("b"), node("c", cordoned=True))
    assert fitting(Ground(nodes), Needs()) == ((nodes[0], nodes[1]), "")
    assert fitting(Ground(nodes, (on("b"),)), Needs()) == ((nodes[1],), "")
    assert fitting(Ground(nodes, (on("c"),)), Needs()) == ((), "c is cordoned")
    for volumes in ((on("a"), on("b")), (on("gone"),), ((),)):
        assert fitting(Ground(nodes, volumes), Needs()) == ((), "no node fits the tablet's volumes")
    assert fitting(Ground(), Needs()) == ((), "no node fits the tablet's volumes")


def test_a_refusal_names_only_the_first_nodes() -> None:
    nodes = tuple(node(f"n{number}", cordoned=True) for number in range(9))
    refusal = fitting(Ground(nodes), Needs())[1]
    assert refusal == "; ".join(f"n{number} is cordoned" for number in range(5)) + "; and 4 more nodes"


def test_a_volume_without_node_affinity_may_go_anywhere() -> None:
    assert parse_volume({"spec": {}}) is None
    assert parse_volume({}) is None
    item = {"matchExpressions": [{"key": HOST, "operator": "In", "values": ["worker-1"]}]}
    assert parse_volume({"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [item]}}}}) == on("worker-1")


# -- in a whole fleet


@pytest.fixture
def world() -> World:
    return World()


def template(world: World) -> Json:
    spec: Json = world.stateful_sets["commerce-x-80"]["spec"]["template"]["spec"]
    return spec


def found(world: World) -> Place:
    cluster = world.cluster()
    pod = cluster.pod("vitess", "commerce-x-80-102")
    assert pod is not None
    return cluster.place_on(cluster.ground_for(pod), pod, cluster.owner_of(pod))


def asked(world: World, call: str) -> list[str]:
    seen: list[str] = []
    world.before(call, lambda: seen.append(call), times=99)
    return seen


def test_a_successor_that_asks_for_no_more_fits_where_it_is_and_no_pods_are_listed(world: World) -> None:
    lists = asked(world, "GET /api/v1/pods$")
    assert found(world) == Place(("worker-1",))
    assert lists == []


def test_a_larger_successor_must_find_room(world: World) -> None:
    template(world)["containers"][0]["resources"] = {"requests": {"cpu": "3"}}
    assert found(world) == Place(("worker-1",))
    world.pods["commerce-x-80-103"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1500m"}}
    assert found(world).refusal == "worker-1 has too little cpu (asks 3, 2.5 are free)"


def test_what_the_pod_itself_requests_is_free_for_its_successor(world: World) -> None:
    world.pods["commerce-x-80-102"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "3"}}
    template(world)["containers"][0]["resources"] = {"requests": {"cpu": "4"}}
    assert found(world) == Place(("worker-1",))


@pytest.mark.parametrize(
    ("breaks", "refusal"),
    [
        (lambda w: template(w).update(nodeSelector={"disk": "nvme"}), "has not the label disk=nvme"),
        (
            lambda w: w.nodes["worker-1"]["spec"].update(taints=[{"key": "dedicated", "effect": "NoSchedule"}]),
            "has the taint dedicated:NoSchedule",
        ),
        (
            lambda w: template(w).update(
                affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
            ),
            "required node affinity",
        ),
    ],
    ids=["nodeSelector", "taint", "affinity"],
)
def test_a_spec_that_no_node_fits_is_refused_before_anything_is_touched(
    world: World, breaks: Any, refusal: str
) -> None:
    breaks(world)
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain", REPLICA)
    assert failure.value.gate == "new_pod_has_a_place"
    assert refusal in failure.value.reason
    assert world.calls == []


FORBIDDEN = Refused('GET /x: HTTP 403: User "roll" cannot list resource at the cluster scope', 403)


@pytest.mark.parametrize("call", ["GET /api/v1/nodes", "GET /api/v1/persistentvolumes/"])
def test_nodes_or_volumes_that_may_not_be_read_are_a_red_gate_that_names_the_verb(world: World, call: str) -> None:
    world.fail(call, FORBIDDEN, times=99)
    with pytest.raises(StepFailure, match=r"not allowed: .* cannot list resource") as failure:
        world.run("tablet_drain", REPLICA)
    assert failure.value.gate == "new_pod_has_a_place"
    assert world.calls == []


def test_where_pods_of_all_namespaces_may_not_be_listed_room_is_not_compared_and_that_is_said(world: World) -> None:
    template(world)["containers"][0]["resources"] = {"requests": {"cpu": "300"}}
    world.fail("GET /api/v1/pods$", FORBIDDEN, times=99)
    result = world.run("tablet_drain", REPLICA)
    (verdict,) = [v for v in result["gates"] if v["gate"] == "new_pod_has_a_place"]
    assert verdict["verdict"] == "pass"
    assert "whether there is room was not compared: not allowed: " in verdict["reason"]


@pytest.mark.parametrize("call", ["GET /api/v1/nodes", "GET /api/v1/pods$"])
def test_what_does_not_answer_is_an_error_and_no_place(world: World, call: str) -> None:
    template(world)["containers"][0]["resources"] = {"requests": {"cpu": "3"}}
    world.fail(call, Unreachable("no route"))
    with pytest.raises(Unreachable):
        found(world)


def test_where_the_pod_may_stay_no_other_node_is_looked_at(world: World) -> None:
    cluster = world.cluster()
    cluster.nodes = lambda: pytest.fail("all nodes were listed")  # type: ignore[method-assign]
    pod = cluster.pod("vitess", "commerce-x-80-102")
    assert pod is not None
    ground = cluster.ground_for(pod)
    assert [node.name for node in ground.nodes] == ["worker-1"]
    assert cluster.place_on(ground, pod, cluster.owner_of(pod)) == Place(("worker-1",))


def test_where_its_node_does_not_take_the_successor_the_others_are_looked_at(world: World) -> None:
    world.nodes["worker-1"]["spec"]["unschedulable"] = True
    world.nodes["worker-3"] = a_node("worker-3")
    world.nodes["worker-3"]["metadata"]["labels"]["kubernetes.io/hostname"] = "worker-1"  # where the volume may go
    assert found(world) == Place(("worker-3",))


def test_all_nodes_are_read_once_for_many_tablets(world: World) -> None:
    template(world)["containers"][0]["resources"] = {"requests": {"cpu": "3"}}
    cluster = world.cluster()
    lists = asked(world, "GET /api/v1/nodes")
    for name in ("commerce-x-80-102", "commerce-x-80-103"):
        pod = cluster.pod("vitess", name)
        assert pod is not None
        cluster.place_on(cluster.ground_for(pod), pod, cluster.owner_of(pod))
    assert len(lists) == 3  # each one's own node, and all of them once
    world.clock.sleep(1.5)
    cluster.nodes()
    assert len(lists) == 4


# -- several Pods, one after the other


def room(used: dict[str, str], *nodes: Node) -> Room:
    return Room(nodes, lambda name: resources(cpu=used[name]))


CORES = resources(cpu="4")
ANYWHERE = Ground()


def test_each_pod_leaves_less_room_to_the_next() -> None:
    here = room({"worker-1": "2"}, node(allocatable=CORES))
    bigger = Needs(requests=resources(cpu="2"))
    assert here.take(ANYWHERE, bigger, "worker-1", resources(cpu="1")) == Place(("worker-1",))
    assert here.take(ANYWHERE, bigger, "worker-1", resources(cpu="1")) == Place(("worker-1",))
    assert here.take(ANYWHERE, Needs(requests=resources(cpu="1")), "", ()).refusal == (
        "worker-1 has too little cpu (asks 1, 0 are free), beside 2 more of these Pods"
    )


def test_a_pod_that_has_no_room_on_its_node_goes_to_another_and_frees_nothing() -> None:
    here = room({"worker-1": "4", "worker-2": "1"}, node(allocatable=CORES), node("worker-2", allocatable=CORES))
    bigger = Needs(requests=resources(cpu="3"))
    assert here.take(ANYWHERE, bigger, "worker-1", resources(cpu="2")) == Place(("worker-2",))
    assert here.take(ANYWHERE, Needs(requests=resources(cpu="1")), "", ()).refusal.startswith("worker-1 has too little")


def test_a_smaller_pod_gives_nobody_what_it_frees() -> None:
    here = room({"worker-1": "4"}, node(allocatable=CORES))
    assert here.take(ANYWHERE, Needs(requests=resources(cpu="1")), "worker-1", resources(cpu="3")).refusal == ""
    assert here.take(ANYWHERE, Needs(requests=resources(cpu="2")), "worker-1", resources(cpu="1")).refusal
