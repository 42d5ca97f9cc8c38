# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Kubernetes must let a roll do, what it says of that, and the Role in the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.vtops.vitess.plugins.module_utils import rights
from ansible_collections.vtops.vitess.plugins.module_utils.errors import Refused, StepFailure, Unreachable
from ansible_collections.vtops.vitess.plugins.module_utils.operations import roll_plan
from ansible_collections.vtops.vitess.plugins.module_utils.plan import Unfit
from ansible_collections.vtops.vitess.plugins.module_utils.rights import (
    Removal,
    Right,
    Rule,
    of_components,
    of_cordons,
    of_kept_plans,
    of_roll,
    of_spec,
    of_writes,
)
from ansible_collections.vtops.vitess.tests.unit.factories import PRIMARY, REPLICA, SIBLING, a_pod
from ansible_collections.vtops.vitess.tests.unit.fakes import World

RBAC = Path(__file__).parents[2] / "docs/rbac.yaml"
WRITES = of_writes("vitess", "vitess")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def reviews(world: World) -> list[str]:
    """The questions about ourselves, in order."""
    asked: list[str] = []
    for kind in ("rules", "access"):
        world.before(f"selfsubject{kind}reviews", lambda kind=kind: asked.append(kind), times=99)  # type: ignore[misc]
    return asked


def documents() -> dict[str, dict[str, Any]]:
    return {item["kind"]: item for item in yaml.safe_load(RBAC.read_text(encoding="utf-8"))["items"]}


def granted_by(role: dict[str, Any]) -> list[Right]:
    namespace = role["metadata"].get("namespace", "")
    found = []
    for rule in role["rules"]:
        for resource in rule["resources"]:
            assert rule["apiGroups"] == [rights.GROUPS.get(resource, "")]
            found += [Right(verb, resource, namespace) for verb in rule["verbs"]]
    return found


# -- the Role in the documentation


def test_the_documented_roles_grant_exactly_what_the_gate_asks_for() -> None:
    found = documents()
    granted = granted_by(found["Role"]) + granted_by(found["ClusterRole"])
    # Of ConfigMaps the pause switch alone, and where plans are kept in the cluster, those too.
    assert [right for right in set(granted) if granted.count(right) > 1] == [Right("get", "configmaps", "vitess")]
    rolling = of_roll("vitess", ["vitess"], ["vitess"], by_exec=True, removals=Removal)
    others = {*of_spec("vitess", ["vitess"]), *of_components("vitess", ["vitess"]), *of_cordons()}
    assert set(granted) == {*rolling, *others, *of_kept_plans("vitess")}


def test_only_the_use_cases_that_need_it_write_deployments_and_nodes() -> None:
    rolling = {str(right) for right in of_roll("vitess", ["vitess"], ["vitess"], by_exec=True)}
    components = {str(right) for right in of_components("vitess", ["vitess"])} - rolling
    assert components == {f"{verb} deployments in namespace vitess" for verb in ("get", "list", "patch")}
    assert {str(right) for right in of_cordons()} - rolling == {"get nodes cluster-wide", "patch nodes cluster-wide"}


def test_only_a_change_of_specs_writes_owners() -> None:
    rolling = of_roll("vitess", ["vitess"], ["vitess"], by_exec=True)
    assert set(of_spec("vitess", ["vitess"])) - set(rolling) == {Right("patch", "statefulsets", "vitess")}
    assert {str(right) for right in of_spec("control", ["data"])} == {
        "create leases in namespace control",
        "get leases in namespace control",
        "get statefulsets in namespace data",
        "list leases in namespace control",
        "patch statefulsets in namespace data",
        "update leases in namespace control",
    }


def test_the_documented_bindings_give_both_roles_to_the_service_account() -> None:
    found = documents()
    account = found["ServiceAccount"]["metadata"]
    for kind in ("Role", "ClusterRole"):
        binding = found[f"{kind}Binding"]
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == (kind, found[kind]["metadata"]["name"])
        assert binding["subjects"] == [{"kind": "ServiceAccount", **account}]


# -- which rights


def test_each_namespace_needs_only_what_is_done_there() -> None:
    found = of_roll("control", ["data"], ["edge"], by_exec=True)
    assert {r.resource for r in found if r.namespace == "control"} == {"pods", "pods/exec", "leases", "configmaps"}
    assert {r.resource for r in found if r.namespace == "edge"} == {"pods", "pods/portforward", "pods/proxy"}
    assert Right("create", "pods/eviction", "data") in found
    assert not [r for r in found if r.resource == "pods/eviction" and r.namespace != "data"]


def test_no_exec_and_no_port_forward_is_asked_for_where_none_is_done() -> None:
    found = of_roll("vitess", ["vitess"], [], by_exec=False)
    assert not {"pods/exec", "pods/portforward"} & {r.resource for r in found}


def test_before_a_tablet_is_taken_only_the_writes_to_come_are_asked_for() -> None:
    assert [str(right) for right in of_writes("control", "data")] == [
        "create leases in namespace control",
        "create pods/eviction in namespace data",
        "patch persistentvolumeclaims in namespace data",
        "patch pods in namespace data",
        "update leases in namespace control",
    ]


def test_with_vitess_operator_no_eviction_is_asked_for_and_a_delete_only_to_move() -> None:
    released, moved = (of_writes("control", "data", removal) for removal in (Removal.RELEASED, Removal.DRAINED))
    assert [str(r) for r in released if "vitess" in r.resource] == [
        "patch vitesskeyspaces in namespace data",
        "patch vitessshards in namespace data",
    ]
    assert Right("delete", "pods", "data") in moved
    assert Right("delete", "pods", "data") not in released
    assert not [right for right in (*released, *moved) if right.resource == "pods/eviction"]


# -- what a rule grants


@pytest.mark.parametrize(
    ("rule", "right", "grants"),
    [
        (("create", "", "pods/eviction"), ("create", "pods/eviction"), True),
        (("*", "*", "*"), ("create", "pods/eviction"), True),
        (("create", "", "*/eviction"), ("create", "pods/eviction"), True),
        (("create", "", "pods"), ("create", "pods/eviction"), False),
        (("create", "", "pods/*"), ("create", "pods/eviction"), False),
        (("get", "", "pods/eviction"), ("create", "pods/eviction"), False),
        (("create", "policy", "pods/eviction"), ("create", "pods/eviction"), False),
        (("update", "coordination.k8s.io", "leases"), ("update", "leases"), True),
        (("update", "", "leases"), ("update", "leases"), False),
        (("patch", "", "*/pods"), ("patch", "pods"), False),
    ],
)
def test_a_rule_grants_what_rbac_lets_through(rule: tuple[str, str, str], right: tuple[str, str], grants: bool) -> None:
    verb, group, resource = rule
    one = Rule(frozenset([verb]), frozenset([group]), frozenset([resource]))
    assert one.grants(Right(*right, "vitess")) is grants


# -- asking


def test_one_question_answers_for_a_namespace_and_is_not_asked_again(world: World, reviews: list[str]) -> None:
    cluster = world.cluster()
    for _time in range(2):
        assert cluster.rights_to_write(a_pod(REPLICA)) == rights.Granted()
    assert reviews == ["rules"]


def test_what_the_list_of_rules_does_not_show_is_asked_for_by_itself(world: World, reviews: list[str]) -> None:
    """A webhook's rules are in no list: it says that it is incomplete."""
    world.unlisted = {("create", "pods/eviction")}
    assert world.cluster().rights_to_write(a_pod(REPLICA)) == rights.Granted()
    assert reviews == ["rules", "access"]
    world.forbidden = {("create", "pods/eviction")}
    missing = world.cluster().rights_to_write(a_pod(REPLICA)).missing
    assert missing == (Right("create", "pods/eviction", "vitess"),)


def test_what_belongs_to_no_namespace_is_asked_for_by_itself(world: World) -> None:
    """A RoleBinding to a role with nodes is in the namespace's list, and grants no node."""
    world.forbidden = {("list", "nodes")}
    assert world.cluster().rights_of_roll().missing == (Right("list", "nodes"),)


@pytest.mark.parametrize("error", [Refused("forbidden", 403), Unreachable("no route")])
def test_where_kubernetes_cannot_be_asked_nothing_is_missing_and_that_is_said(world: World, error: Exception) -> None:
    world.fail("selfsubject", error, times=99)
    granted = world.cluster().rights_to_write(a_pod(REPLICA))
    assert granted.missing == ()
    assert granted.note == f"could not be asked: {', '.join(map(str, WRITES))}"


def test_where_the_list_of_rules_cannot_be_had_each_right_is_asked_for(world: World, reviews: list[str]) -> None:
    world.fail("selfsubjectrules", Refused("forbidden", 403), times=99)
    world.forbidden = {("patch", "pods")}
    assert world.cluster().rights_to_write(a_pod(REPLICA)).missing == (Right("patch", "pods", "vitess"),)
    assert reviews.count("access") == len(WRITES)


# -- before anything is touched


@pytest.mark.parametrize("right", WRITES, ids=str)
def test_a_drain_without_a_right_that_is_needed_later_touches_nothing_and_names_it(right: Right, world: World) -> None:
    world.forbidden = {(right.verb, right.resource)}
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain")
    assert failure.value.gate == "rights_are_granted"
    assert str(right) in failure.value.message()
    assert failure.value.next_command == "kubectl -n vitess auth can-i --list"
    assert world.calls == []


def test_a_drain_asks_once(world: World, reviews: list[str]) -> None:
    world.run("tablet_drain")
    assert reviews == ["rules"]


@pytest.mark.parametrize("right", of_roll("vitess", ["vitess"], ["vitess"], by_exec=True), ids=str)
def test_a_plan_is_refused_where_any_right_is_missing(right: Right, world: World) -> None:
    world.forbidden = {(right.verb, right.resource)}
    params = world.params("roll_plan", tablets=[str(alias) for alias in (PRIMARY, REPLICA, SIBLING)])
    with pytest.raises(Unfit) as refused:
        roll_plan.run(params, world.cluster(), world.clock)
    assert str(refused.value).count(str(right)) == 1
    assert world.calls == []


def test_a_plan_with_nothing_to_do_needs_no_right(world: World, reviews: list[str]) -> None:
    for pod in world.pods.values():
        pod["metadata"]["labels"]["controller-revision-hash"] = "new"
    world.forbidden = {("create", "pods/eviction")}
    params = world.params("roll_plan", tablets=[str(REPLICA)])
    assert roll_plan.run(params, world.cluster(), world.clock)["left"] == 0
    assert reviews == []
