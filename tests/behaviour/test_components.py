# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""vtctld, vtgate and vtorc get another version after the tablets, by their Deployments, while clients use the vtgates."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process
from ansible_collections.vtops.vitess.tests.behaviour.conftest import Make
from ansible_collections.vtops.vitess.tests.behaviour.player import Result
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig
from ansible_collections.vtops.vitess.tests.behaviour.test_rights import everything_documented
from ansible_collections.vtops.vitess.tests.sim.layout import one_shard

Json = dict[str, Any]
NEW = "vitess/lite:v24.0.2"


@pytest.fixture
def upgraded(make: Make) -> Rig:
    """The tablets run 24, all the rest 23."""
    rig = make(one_shard(old="24.0.2", new="24.0.2"))
    for name in ("vtctld", "vtorc"):
        item = deployment(rig, name)
        item["spec"]["template"]["spec"]["containers"][0]["image"] = "vitess/lite:v23.0.3"
        rig.simulation.deployments.changed(item)
    rig.simulation.pass_(30.0)
    return rig


def deployment(rig: Rig, name: str) -> Json:
    return rig.simulation.store.of("deployments")[name]


def image(rig: Rig, name: str) -> str:
    return str(deployment(rig, name)["spec"]["template"]["spec"]["containers"][0]["image"])


def given_image(rig: Rig, component: str, wanted: str = NEW, check: bool = False, **given: Any) -> Result:
    return rig.execute("component_spec", check=check, component=component, image=wanted, **given)


def vtgates(rig: Rig) -> dict[str, str]:
    return {name: vtgate.plan.version for name, vtgate in rig.simulation.vtgates.items()}


def refusal(result: Result, gate: str) -> str:
    assert result.get("failed") is True
    failure = result["failure"]
    assert (failure["gate"], failure["state"]) == (gate, "nothing was changed"), failure
    return str(failure["reason"])


def test_vtctld_vtgates_and_vtorc_are_upgraded_in_order_and_no_client_sees_it(upgraded: Rig) -> None:
    for component in ("vtctld", "vtgate", "vtorc"):
        result = given_image(upgraded, component)
        assert result.get("failed") is None, result
        assert (result["changed"], image(upgraded, component)) == (True, NEW)
        assert given_image(upgraded, component)["changed"] is False
    upgraded.simulation.pass_(10.0)
    assert list(vtgates(upgraded).values()) == ["24.0.2", "24.0.2"]
    assert not {"vtgate-0", "vtgate-1"} & set(vtgates(upgraded))
    assert upgraded.claims_held() == []
    ledger = upgraded.settle()
    assert ledger.errors == []
    assert sum(ledger.requests.values()) > 100
    upgraded.assert_unharmed()


def test_vtgates_do_not_come_before_the_tablets(make: Make) -> None:
    rig = make()
    reason = refusal(given_image(rig, "vtgate"), "components_are_in_order")
    assert "zone1-0000000101 reports 23.0.3" in reason
    assert image(rig, "vtgate") == "vitess/lite:v23.0.3"


def test_vtgates_do_not_come_before_vtctld(upgraded: Rig) -> None:
    assert "vtctld" in refusal(given_image(upgraded, "vtgate"), "components_are_in_order")
    why = {"components_are_in_order": "the release notes of 24.0.4 want vtgate first"}
    passed = given_image(upgraded, "vtgate", override_gates=why)
    assert passed["changed"] is True
    assert why["components_are_in_order"] in passed["notes"][0]


def test_what_servers_report_counts_and_not_their_images(upgraded: Rig) -> None:
    upgraded.simulation.tablet("103").version = "23.0.9"
    assert "zone1-0000000103 reports 23.0.9" in refusal(given_image(upgraded, "vtctld"), "components_are_in_order")


def test_a_skipped_major_is_refused_for_vtgates(make: Make) -> None:
    rig = make(one_shard(old="25.0.0", new="25.0.0"), clients=False)
    reason = refusal(given_image(rig, "vtgate", "vitess/lite:v25.0.0"), "version_step_is_allowed")
    assert "23.0.3 -> 25.0.0 skips a major version" in reason


@pytest.mark.parametrize(
    "strategy",
    [
        {"type": "Recreate"},
        {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}},
        {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "50%", "maxSurge": "25%"}},
    ],
    ids=["Recreate", "one away", "half away"],
)
def test_vtgates_that_would_go_before_others_serve_are_refused_and_the_strategy_stays(
    strategy: Json, upgraded: Rig
) -> None:
    given_image(upgraded, "vtctld")
    deployment(upgraded, "vtgate")["spec"]["strategy"] = strategy
    assert "maxUnavailable: 0" in refusal(given_image(upgraded, "vtgate"), "rollout_surges")
    assert deployment(upgraded, "vtgate")["spec"]["strategy"] == strategy


def test_vtgates_are_not_rolled_while_a_reparent_is_pending(upgraded: Rig) -> None:
    given_image(upgraded, "vtctld")
    other = Process("elsewhere", 1, 0)
    held = upgraded.execute("shard_claim", 102, executor=other)
    lease = upgraded.simulation.store.of("leases")[held["claim"]["name"]]
    name = labels.keyspace_lease("commerce")
    keyspace = {**lease, "metadata": {**lease["metadata"], "name": name}}
    upgraded.simulation.store.put("leases", keyspace)

    def renew() -> None:
        if name in upgraded.simulation.store.of("leases"):
            upgraded.simulation.store.put("leases", keyspace)
            upgraded.simulation.timeline.after(5.0, renew)

    renew()
    checked = given_image(upgraded, "vtgate", check=True)
    assert "a reparent is pending" in refusal(checked, "claim")
    assert "is held by nightly@elsewhere" in refusal(given_image(upgraded, "vtgate", keyspace_wait=3.0), "claim")
    assert image(upgraded, "vtgate") == "vitess/lite:v23.0.3"


def test_a_vtgate_that_never_gets_ready_is_said_and_the_old_ones_serve(upgraded: Rig) -> None:
    given_image(upgraded, "vtctld")
    upgraded.simulation.deployments.broken_images[NEW] = "ImagePullBackOff"
    failed = given_image(upgraded, "vtgate", rollout_timeout=20.0)
    assert failed["failure"]["gate"] == "rollout"
    assert "ImagePullBackOff" in failed["failure"]["reason"]
    assert failed["failure"]["state"] == "written: vitess/vtgate"
    back = upgraded.execute("component_spec", component="vtgate", state="previous")
    assert (back["changed"], image(upgraded, "vtgate")) == (True, "vitess/lite:v23.0.3")
    assert {"vtgate-0", "vtgate-1"} <= set(vtgates(upgraded))
    upgraded.assert_unharmed()


def test_a_vtgate_that_is_ready_and_does_not_route_is_found_out(upgraded: Rig) -> None:
    given_image(upgraded, "vtctld")
    upgraded.simulation.on_vtgate.append(lambda vtgate: vtgate.rows.pop(upgraded.alias(102)))
    upgraded.simulation.on_vtgate.append(lambda vtgate: vtgate.deaf_to.add(upgraded.alias(102)))
    failed = given_image(upgraded, "vtgate", route_timeout=20.0)
    assert failed["failure"]["gate"] == "routes"
    assert "zone1-0000000102" in failed["failure"]["reason"]


def test_check_mode_and_a_refused_dry_run_leave_no_trace(upgraded: Rig) -> None:
    before = repr(upgraded.simulation.store.of("deployments"))
    checked = given_image(upgraded, "vtctld", check=True)
    assert checked["changed"] is True
    assert checked["diff"]["after"]["vitess/vtctld"]["containers"]["vtctld"]["image"] == NEW
    upgraded.simulation.kubernetes.not_admitted = "no"
    assert "policy.example.com" in refusal(given_image(upgraded, "vtctld"), "admission")
    assert repr(upgraded.simulation.store.of("deployments")) == before


def test_a_paused_fleets_components_are_not_rolled(upgraded: Rig) -> None:
    pause = {"metadata": {"name": labels.PAUSE}, "data": {"reason": "black friday"}}
    upgraded.simulation.store.put("configmaps", pause)
    assert "black friday" in refusal(given_image(upgraded, "vtctld"), "roll_is_not_paused")


def test_the_documented_rights_are_enough(upgraded: Rig) -> None:
    upgraded.simulation.api.authorizer.granted = everything_documented()
    assert given_image(upgraded, "vtctld")["changed"] is True
    assert given_image(upgraded, "vtgate")["changed"] is True
    upgraded.simulation.api.authorizer.granted -= {("patch", "deployments", True)}
    reason = refusal(given_image(upgraded, "vtorc"), "rights_are_granted")
    assert "patch deployments in namespace vitess" in reason
