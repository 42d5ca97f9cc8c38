# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The owners' specs are changed, by us and by others, and the roll that follows brings the tablets to them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process, hostname
from ansible_collections.vtops.vitess.tests.behaviour.conftest import Make
from ansible_collections.vtops.vitess.tests.behaviour.player import Result
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig
from ansible_collections.vtops.vitess.tests.behaviour.test_rights import ONLY_FOR_SPECS, everything_documented
from ansible_collections.vtops.vitess.tests.sim.layout import like_the_lab, one_shard

Json = dict[str, Any]
PATCH = "PATCH .*/statefulsets/"
ONE = "commerce-x-x"


@pytest.fixture
def settled(make: Make) -> Rig:
    """One shard that is as wanted, on two nodes of four cores."""
    return make(one_shard(old="24.0.2", new="24.0.2"))


def resized(rig: Rig, cpu: str = "1", check: bool = False, **given: Any) -> Result:
    given = {"keyspace": "commerce", "resources": {"mysqld": {"requests": {"cpu": cpu}}}, **given}
    return rig.execute("tablet_spec", check=check, **given)


def owner(rig: Rig, name: str = ONE) -> Json:
    return rig.simulation.store.of("statefulsets")[name]


def requests(item: Json) -> list[str]:
    """What mysqld requests, of an owner's template or a Pod."""
    spec = item["spec"].get("template", item)["spec"]
    return [c["resources"]["requests"]["cpu"] for c in spec["containers"] if c["name"] == "mysqld"]


def pods(rig: Rig) -> list[Json]:
    return [pod for pod in rig.simulation.store.of("pods").values() if pod["metadata"]["name"].startswith("commerce")]


def test_a_resize_and_its_roll_give_every_tablet_the_new_size_and_no_client_sees_it(settled: Rig) -> None:
    assert resized(settled)["changed"] is True
    assert settled.acts == []
    assert settled.roll().failure is None
    assert [requests(pod) for pod in pods(settled)] == [["1"]] * 3
    assert len(settled.simulation.kubernetes.evictions) == 3
    again = resized(settled, "1000m")
    assert (again["changed"], settled.roll().changed) == (False, 0)
    settled.assert_unharmed()


def test_the_roll_back_gives_every_tablet_its_old_size(settled: Rig) -> None:
    before = owner(settled)["spec"]["template"]
    resized(settled)
    assert settled.roll(uids=[102, 103]).failure is None
    back = settled.execute("tablet_spec", keyspace="commerce", state="previous")
    assert back["changed"] is True
    assert owner(settled)["spec"]["template"] == before
    assert settled.roll().failure is None
    assert [requests(pod) for pod in pods(settled)] == [["150m"]] * 3
    settled.assert_unharmed()


def test_check_mode_and_a_refusal_leave_no_trace(settled: Rig) -> None:
    seen = repr(settled.simulation.store.of("statefulsets"))
    assert resized(settled, check=True)["changed"] is True
    settled.simulation.kubernetes.not_admitted = "memory must be set"
    failure = resized(settled)["failure"]
    assert (failure["gate"], failure["state"]) == ("admission", "nothing was changed")
    assert "memory must be set" in failure["reason"]
    assert repr(settled.simulation.store.of("statefulsets")) == seen
    assert settled.simulation.store.of("leases") == {}


def test_a_request_above_the_limit_is_refused_by_the_dry_run_before_any_owner_is_written(make: Make) -> None:
    rig = make(like_the_lab(old="24.0.2", new="24.0.2"), clients=False)
    owner(rig, "commerce-x-80")["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] = {"cpu": "500m"}
    failure = resized(rig)["failure"]
    assert failure["gate"] == "admission"
    assert "must be <= cpu limit" in failure["reason"]
    assert requests(owner(rig, "commerce-x-80")) == requests(owner(rig, "commerce-80-x")) == ["150m"]


def test_a_resize_that_fits_no_node_is_refused_with_the_figures(settled: Rig) -> None:
    failure = resized(settled, "5")["failure"]
    assert failure["gate"] == "new_pod_has_a_place"
    assert "worker-1 has too little cpu (asks 5.15, 3.7 are free)" in failure["reason"]
    assert requests(owner(settled)) == ["150m"]


def test_a_resize_for_which_the_nodes_have_room_only_once_is_refused(settled: Rig) -> None:
    """101 and 103 share worker-1: each alone would fit."""
    failure = resized(settled, "3")["failure"]
    assert failure["gate"] == "new_pod_has_a_place"
    assert "beside 1 more of these Pods" in failure["reason"]
    assert settled.alias(103) in failure["reason"]


def test_while_another_roll_holds_a_shard_its_spec_is_not_changed(settled: Rig) -> None:
    settled.execute("shard_claim", 102)
    other = Process(hostname(), 1, 0)
    failure = resized(settled, executor=other)["failure"]
    assert failure["gate"] == "claim"
    assert "is held by nightly@" in failure["reason"]
    assert requests(owner(settled)) == ["150m"]
    assert resized(settled, roll="nightly")["changed"] is True
    assert settled.claims_held() == ["vtops-shard-commerce-x-x"]


def test_a_write_that_meets_the_controllers_is_repeated(settled: Rig) -> None:
    def touched() -> None:
        settled.simulation.store.put("statefulsets", owner(settled))

    settled.wire.trouble(PATCH, happens=touched, skip=1, times=2)
    assert resized(settled)["changed"] is True
    assert requests(owner(settled)) == ["1"]
    assert sum(call.startswith("PATCH") and "statefulsets" in call for call in settled.wire.calls) == 4


def test_a_write_whose_answer_was_lost_is_not_done_twice(settled: Rig) -> None:
    settled.wire.trouble(PATCH, skip=1, cut=True, after=True)
    assert resized(settled)["changed"] is True
    assert owner(settled)["metadata"]["generation"] == 2
    assert settled.claims_held() == []


def test_a_controller_that_lags_is_waited_for_and_one_that_sleeps_is_said(settled: Rig) -> None:
    settled.simulation.kubernetes.owner_stopped = True
    result = resized(settled, observe_timeout=5.0)
    assert (result["failed"], result["changed"], result["failure"]["gate"]) == (True, True, "owner_is_observed")
    settled.simulation.kubernetes.owner_stopped = False
    settled.simulation.kubernetes._observe(owner(settled))
    again = resized(settled)
    assert (again.get("failed"), again["changed"]) == (None, False)
    assert again["owners"][0]["revision"] == owner(settled)["status"]["updateRevision"]


def test_a_spec_that_no_pod_can_start_from_is_put_back_while_its_tablet_is_in_flight(settled: Rig) -> None:
    """The way out of a roll that is stuck at its first tablet."""
    settled.simulation.kubernetes.image_trouble["vitess/lite:v24.0.9"] = "ImagePullBackOff"
    bad = {"keyspace": "commerce", "vttablet_image": "vitess/lite:v24.0.9"}
    assert settled.execute("tablet_spec", **bad)["changed"] is True
    rolled = settled.roll(image_timeout=5.0, ready_timeout=30.0)
    assert rolled.gate == "pod_ready"
    back = settled.execute("tablet_spec", keyspace="commerce", state="previous")
    assert back["changed"] is True
    assert len(back["notes"]) == 1
    assert "in flight" in back["notes"][0]
    assert owner(settled)["spec"]["template"]["spec"]["containers"][1]["image"] == "vitess/lite:v24.0.2"
    settled.simulation.kubernetes.delete("commerce-x-x-1", "Delete by hand")
    settled.simulation.pass_(10.0)  # kubectl delete returns when it is gone
    # As the role has it, from the plan.
    again = settled.roll(wanted_revision=back["owners"][0]["revision"])
    assert again.failure is None, again.failure
    assert settled.types() == {101: "PRIMARY", 102: "REPLICA", 103: "REPLICA"}


def test_the_documented_rights_are_enough(settled: Rig) -> None:
    api = settled.simulation.api.authorizer
    api.granted = everything_documented()
    result = resized(settled)
    assert result["changed"] is True
    assert len(result["notes"]) == 1
    assert result["notes"][0].startswith(
        "Pods of other namespaces were not counted: not allowed: list pods cluster-wide"
    )
    assert ONLY_FOR_SPECS in api.used


def test_without_the_right_to_patch_owners_it_is_refused_and_the_verb_is_named(settled: Rig) -> None:
    settled.simulation.api.authorizer.granted = everything_documented() - {ONLY_FOR_SPECS}
    failure = resized(settled)["failure"]
    assert "patch statefulsets in namespace vitess" in failure["reason"]
    assert not [call for call in settled.wire.calls if call.startswith("PATCH")]


def test_the_record_is_in_no_result(settled: Rig) -> None:
    result = resized(settled)
    assert labels.PREVIOUS in owner(settled)["metadata"]["annotations"]
    assert labels.PREVIOUS not in repr(result)
