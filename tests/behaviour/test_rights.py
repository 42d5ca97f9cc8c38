# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A roll with exactly the rights that the documentation grants, with fewer, and where Kubernetes cannot be asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.vtops.vitess.tests.behaviour.conftest import Make
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig
from ansible_collections.vtops.vitess.tests.sim.authorizer import Grant

RBAC = Path(__file__).parents[2] / "docs/rbac.yaml"


ONLY_FOR_SPECS: Grant = ("patch", "statefulsets", True)
ONLY_FOR_KEPT_PLANS: Grant = ("create", "configmaps", True)
ONLY_FOR_COMPONENTS: set[Grant] = {(verb, "deployments", True) for verb in ("get", "list", "patch")}
ONLY_FOR_CORDONS: set[Grant] = {(verb, "nodes", False) for verb in ("get", "patch")}
NO_ROLL_NEEDS = {ONLY_FOR_SPECS, ONLY_FOR_KEPT_PLANS, *ONLY_FOR_COMPONENTS, *ONLY_FOR_CORDONS}
ONLY_FOR_STATEFUL_SETS: set[Grant] = {("get", "statefulsets", True), ("create", "pods/eviction", True)}
ONLY_FOR_MOVES: Grant = ("delete", "pods", True)
ONLY_FOR_RELEASES: set[Grant] = {("patch", "vitesskeyspaces", True), ("patch", "vitessshards", True)}
ONLY_FOR_THE_OPERATOR: set[Grant] = {
    ("get", "vitessclusters", True),
    ("get", "vitesskeyspaces", True),
    ("get", "vitessshards", True),
    *ONLY_FOR_RELEASES,
    ONLY_FOR_MOVES,
}


def documented() -> set[Grant]:
    """What docs/rbac.yaml grants for a roll of StatefulSets."""
    return everything_documented() - NO_ROLL_NEEDS - ONLY_FOR_THE_OPERATOR


def documented_for_operator(moves: bool) -> set[Grant]:
    """What it grants for a roll with vitess-operator, or for moves with it."""
    of_other_ways = ONLY_FOR_RELEASES if moves else {ONLY_FOR_MOVES}
    return everything_documented() - NO_ROLL_NEEDS - ONLY_FOR_STATEFUL_SETS - of_other_ways


def everything_documented() -> set[Grant]:
    """What docs/rbac.yaml grants."""
    return {
        (verb, resource, item["kind"] == "Role")
        for item in yaml.safe_load(RBAC.read_text(encoding="utf-8"))["items"]
        for rule in item.get("rules") or []
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_documented_rights_are_enough_for_a_whole_roll_and_none_is_too_much(rig: Rig) -> None:
    rig.simulation.api.authorizer.granted = documented()
    rolled = rig.roll()
    assert rolled.failure is None, rolled.failure
    assert rig.simulation.api.authorizer.used == documented()
    assert rig.upgraded() == [101, 102, 103]
    assert rig.claims_held() == []
    rig.assert_unharmed()


def test_the_rights_of_a_roll_are_enough_for_a_recovery(rig: Rig) -> None:
    rig.simulation.api.authorizer.granted = documented()
    rig.simulation.failures.crash(rig.alias(102), "vttablet")
    rig.simulation.pass_(1.0)
    rolled = rig.recover(102, process_wait=1.0)
    assert rolled.failure is None, rolled.failure
    assert rig.simulation.api.authorizer.used <= documented()
    assert rig.execute("tablet_diagnose")["ailing"] == []


@pytest.mark.parametrize("missing", sorted(documented()), ids=lambda grant: f"{grant[0]} {grant[1]}")
def test_without_one_of_them_a_roll_is_refused_before_anything_is_touched_and_the_verb_is_named(
    missing: Grant, make: Make
) -> None:
    """The issue: a clear failure before anything is touched for missing RBAC."""
    rig = make(clients=False)
    rig.simulation.api.authorizer.granted = documented() - {missing}
    rolled = rig.roll()
    verb, resource, _namespaced = missing
    assert rolled.failure is not None
    assert f"{verb} {resource}" in rolled.failure["msg"], rolled.failure["msg"]
    assert len(rolled.failure["msg"]) < 200
    assert rolled.failure["failure"]["state"] == "nothing was changed"
    assert rig.acts == []
    assert rig.simulation.store.of("leases") == {}


def test_a_right_that_is_lost_between_the_drain_and_the_eviction_brings_the_tablet_back(rig: Rig) -> None:
    assert rig.execute("tablet_drain", 102)["changed"] is True
    rig.simulation.api.authorizer.forbidden.add(("create", "pods/eviction"))
    failure = rig.execute("pod_replace", 102)["failure"]
    assert failure["gate"] == "eviction"
    assert failure["reason"].startswith("not allowed: create pods/eviction in namespace vitess")
    assert "pdb" not in failure["next_command"]
    assert rig.types()[102] == "REPLICA"
    rig.assert_unharmed()


def test_rights_that_a_webhook_grants_are_found_although_no_list_shows_them(rig: Rig) -> None:
    rig.simulation.api.authorizer.lists_rules = False
    assert rig.roll(uids=[102]).failure is None
    rig.assert_unharmed()


def test_where_kubernetes_cannot_be_asked_the_roll_goes_on_and_the_gate_says_so(rig: Rig) -> None:
    rig.wire.trouble("selfsubject", status=403, times=10**6)
    rolled = rig.roll(uids=[102])
    assert rolled.failure is None
    gates = {gate["gate"]: gate for gate in rolled.results[rig.alias(102)]["tablet_drain"]["gates"]}
    assert gates["rights_are_granted"]["verdict"] == "pass"
    assert "could not be asked: create leases" in gates["rights_are_granted"]["reason"]
    rig.assert_unharmed()
