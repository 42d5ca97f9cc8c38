# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.errors import OutcomeUnknown, Refused
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Alias
from ansible_collections.vtops.vitess.tests.unit.factories import OLD, PRIMARY, REPLICA, SIBLING
from ansible_collections.vtops.vitess.tests.unit.fakes import World

Json = dict[str, Any]
NAME = "commerce-x-80"
PATCH = f"PATCH .*/statefulsets/{NAME}$"
BIGGER = {"mysqld": {"requests": {"cpu": "500m"}}}
ELSEWHERE = Process("elsewhere", 1, 1)


class Specified:
    """tablet_spec on a World."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self._monkeypatch = world, monkeypatch

    def __call__(self, check: bool = False, executor: Process | None = None, **given: Any) -> Json:
        given = {"keyspace": "commerce", "shard": "-80", **given}
        if not {"state", "resources", "vttablet_image", "mysqld_image", "flags", "node_selector"} & set(given):
            given["resources"] = BIGGER
        return self.world.execute("tablet_spec", self._monkeypatch, check, executor=executor, **given)

    @property
    def item(self) -> Json:
        return self.world.stateful_sets[NAME]

    @property
    def spec(self) -> Json:
        spec: Json = self.item["spec"]["template"]["spec"]
        return spec

    @property
    def recorded(self) -> Json:
        found: Json = json.loads(self.item["metadata"]["annotations"][labels.PREVIOUS])
        return found

    def container(self, name: str) -> Json:
        return next(c for c in self.spec["containers"] if c["name"] == name)

    def rolled(self) -> None:
        """Every Pod is as its owner wants it."""
        for tablet in self.world.tablets.values():
            owner = self.world.stateful_sets[f"commerce-{labels.safe_shard(tablet.shard)}"]
            pod = self.world.pods[tablet.pod]
            pod["metadata"]["labels"][labels.REVISION] = owner["status"]["updateRevision"]
            pod["spec"]["containers"] = json.loads(json.dumps(owner["spec"]["template"]["spec"]["containers"]))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def specify(world: World, monkeypatch: pytest.MonkeyPatch) -> Specified:
    return Specified(world, monkeypatch)


def writes(world: World) -> list[str]:
    return [call for call in world.calls if "statefulsets" in call]


def refused(result: Json, gate: str | None) -> str:
    assert result["failed"] is True, result
    assert result["failure"]["gate"] == gate, result["failure"]
    assert (result["changed"], result["failure"]["state"]) == (False, "nothing was changed")
    return str(result["failure"]["reason"])


# -- what it does


def test_a_resize_changes_the_spec_and_no_pod_and_waits_for_its_controller(world: World, specify: Specified) -> None:
    result = specify()
    assert result["changed"] is True
    assert specify.container("mysqld")["resources"] == {"requests": {"cpu": "500m"}}
    assert result["owners"] == [
        {
            "owner": f"StatefulSet/{NAME}",
            "namespace": "vitess",
            "tablets": [str(alias) for alias in (PRIMARY, REPLICA, SIBLING)],
            "changed": True,
            "revision": "new-3",
        }
    ]
    assert result["diff"]["before"][f"vitess/{NAME}"]["containers"]["mysqld"]["resources"] == {}
    assert result["diff"]["after"][f"vitess/{NAME}"]["containers"]["mysqld"]["resources"] == BIGGER["mysqld"]
    assert world.acts == []
    assert world.holder == ""


@pytest.mark.parametrize("cpu", ["500m", "0.5", 0.5])
def test_the_same_again_changes_nothing_claims_nothing_and_writes_nothing(
    cpu: Any, world: World, specify: Specified
) -> None:
    specify()
    world.calls.clear()
    again = specify(resources={"mysqld": {"requests": {"cpu": cpu}}})
    assert (again["changed"], world.calls) == (False, [])
    assert again["owners"][0]["revision"] == "new-3"


def test_check_mode_asks_admission_and_writes_nothing(world: World, specify: Specified) -> None:
    predicted = specify(check=True)
    assert predicted["changed"] is True
    assert specify.item["metadata"]["generation"] == 2
    assert [call for call in world.calls if "leases" in call] == []
    done = specify()
    assert {key: predicted[key] for key in ("before", "after", "changed")} == {
        key: done[key] for key in ("before", "after", "changed")
    }


def test_every_owner_goes_through_admission_before_the_first_is_written(world: World, specify: Specified) -> None:
    world.add_shard("80-", Alias("zone1", 201), Alias("zone1", 202))
    assert specify(shard=None)["changed"] is True
    assert [call.rpartition("/")[2] for call in writes(world)] == ["commerce-80-x", NAME] * 2


# -- what it refuses


def test_an_owner_that_would_roll_by_itself_is_refused_by_its_name(world: World, specify: Specified) -> None:
    specify.item["spec"]["updateStrategy"]["type"] = "RollingUpdate"
    assert f"StatefulSet {NAME} has updateStrategy RollingUpdate" in refused(specify(), "owner_is_supported")
    assert world.calls == []


def test_an_owner_that_begins_to_roll_by_itself_in_between_is_not_written(world: World, specify: Specified) -> None:
    def change() -> None:
        specify.item["spec"]["updateStrategy"]["type"] = "RollingUpdate"
        specify.item["metadata"]["resourceVersion"] = world.next_version()

    world.before("POST .*leases", change)
    refused(specify(), "owner_is_supported")
    assert "resources" not in specify.container("mysqld")


def test_half_an_owners_tablets_are_refused_naming_the_others(world: World, specify: Specified) -> None:
    reason = refused(specify(keyspace=None, shard=None, tablets=[str(REPLICA)]), "selection")
    assert f"choose {PRIMARY}, {SIBLING} too" in reason
    assert world.calls == []


def test_a_tablet_whose_pod_is_not_found_is_refused(world: World, specify: Specified) -> None:
    del world.pods[world.tablet(REPLICA).pod]
    assert f"{REPLICA}: no Pod was found" in refused(specify(), "owner_is_supported")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"keyspace": None, "shard": None}, "the selection is empty"),
        ({"keyspace": None, "tablets": [str(REPLICA)]}, "a shard needs its keyspace"),
        ({"keyspace": "other"}, "the topology has no tablet in other/-80"),
        ({"tablets": ["zone1-0000000999"]}, "the topology has no tablet zone1-0000000999"),
        ({"flags": {}}, "nothing is wanted"),
        ({"state": "previous", "vttablet_image": "x"}, "nothing else can be wanted with it"),
        ({"resources": {"mysqld": {"requests": {"cpu": "much"}}}}, "not a quantity: 'much'"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(given: Json, says: str, world: World, specify: Specified) -> None:
    result = specify(**given)
    assert result["failed"] is True
    assert says in result["failure"]["reason"]
    assert world.calls == []


def test_what_admission_refuses_is_known_before_anything_is_claimed_or_written(
    world: World, specify: Specified
) -> None:
    world.not_admitted = "spec.template.spec.containers[1].resources.requests: Invalid value"
    assert "Invalid value" in refused(specify(), "admission")
    assert world.leases == {}
    assert writes(world) == [f"PATCH /apis/apps/v1/namespaces/vitess/statefulsets/{NAME}"]


def test_two_images_at_once_are_refused_unless_they_are_wanted_together(world: World, specify: Specified) -> None:
    """The Pods run the old one of both; the spec has a new one of both already, and is not made worse by resources."""
    assert specify()["changed"] is True
    assert "other images of mysqld and vttablet at once" in refused(specify(mysqld_image="m"), "one_image_at_a_time")
    assert specify(mysqld_image="m", images_together=True)["changed"] is True
    assert specify(vttablet_image=OLD)["changed"] is True


def test_the_second_image_goes_when_the_first_was_rolled(world: World, specify: Specified) -> None:
    specify.rolled()
    assert specify(vttablet_image="v")["changed"] is True
    refused(specify(mysqld_image="m"), "one_image_at_a_time")
    specify.rolled()
    assert specify(mysqld_image="m")["changed"] is True
    assert (specify.container("vttablet")["image"], specify.container("mysqld")["image"]) == ("v", "m")


def test_flags_of_a_command_that_the_image_has_are_refused(specify: Specified) -> None:
    reason = refused(specify(flags={"vttablet": {"port": 1}}), "spec_is_editable")
    assert f"StatefulSet {NAME} leaves the command of container vttablet to the image" in reason


@pytest.mark.parametrize("right", [("patch", "statefulsets"), ("update", "leases")])
def test_a_right_that_is_missing_is_named_before_anything_is_sent(
    right: tuple[str, str], world: World, specify: Specified
) -> None:
    world.forbidden = {right}
    assert " ".join(right) in refused(specify(), "rights_are_granted")
    assert world.calls == []


# -- a place for every Pod


def test_a_pod_that_fits_no_node_that_its_volume_allows_is_refused_with_the_figures(
    world: World, specify: Specified
) -> None:
    reason = refused(specify(resources={"mysqld": {"requests": {"cpu": "6"}}}), "new_pod_has_a_place")
    assert f"{PRIMARY}: worker-1 has too little cpu (asks 6, 4 are free)" in reason
    assert writes(world) == [f"PATCH /apis/apps/v1/namespaces/vitess/statefulsets/{NAME}"]  # the dry run
    assert world.leases == {}


def test_pods_that_fit_one_by_one_and_not_together_are_refused(world: World, specify: Specified) -> None:
    """4 cores for three tablets on one node."""
    reason = refused(specify(resources={"mysqld": {"requests": {"cpu": "1500m"}}}), "new_pod_has_a_place")
    assert reason == f"{SIBLING}: worker-1 has too little cpu (asks 1.5, 1 are free), beside 2 more of these Pods"
    assert specify(resources={"mysqld": {"requests": {"cpu": "1300m"}}})["changed"] is True


def test_what_other_pods_request_is_not_free(world: World, specify: Specified) -> None:
    other = world.pod_of_program("other", "app")
    other["spec"] = {"nodeName": "worker-1", "containers": [{"resources": {"requests": {"cpu": "3"}}}]}
    world.pods["other"] = other
    assert "(asks 2, 1 are free)" in refused(
        specify(resources={"mysqld": {"requests": {"cpu": "2"}}}), "new_pod_has_a_place"
    )


def test_a_smaller_pod_needs_no_room(world: World, specify: Specified) -> None:
    for tablet in world.tablets.values():
        world.pods[tablet.pod]["spec"]["containers"][1]["resources"] = {"requests": {"cpu": "9"}}
    assert specify(resources={"mysqld": {"requests": {"cpu": "8"}}})["changed"] is True


def test_a_node_selector_that_the_volumes_node_does_not_have_is_refused(world: World, specify: Specified) -> None:
    world.nodes["worker-2"]["metadata"]["labels"]["disk"] = "ssd"
    reason = refused(specify(node_selector={"disk": "ssd"}), "new_pod_has_a_place")
    assert "worker-1 has not the label disk=ssd" in reason


def test_where_other_namespaces_cannot_be_seen_the_own_ones_are_counted_and_that_is_said(
    world: World, specify: Specified
) -> None:
    world.fail("GET /api/v1/pods$", Refused("forbidden", 403), times=9)
    assert "asks 6, 4 are free" in refused(
        specify(resources={"mysqld": {"requests": {"cpu": "6"}}}), "new_pod_has_a_place"
    )
    assert specify()["notes"] == ["Pods of other namespaces were not counted: not allowed: forbidden"]


# -- claims


@pytest.mark.parametrize("check", [True, False], ids=["check", "act"])
def test_a_shard_that_another_roll_holds_and_renews_is_refused(check: bool, world: World, specify: Specified) -> None:
    world.run("shard_claim", roll="nightly", executor=Process.current())  # this process lives
    world.calls.clear()
    result = specify(check=check, executor=ELSEWHERE)
    assert "is held by nightly@" in refused(result, "claim")
    assert "resources" not in specify.container("mysqld")
    assert world.holder.startswith("nightly@")


def test_the_same_roll_goes_on_and_keeps_its_claim(world: World, specify: Specified) -> None:
    world.run("shard_claim", roll="nightly", executor=Process.current())
    held = world.holder
    assert specify(roll="nightly", executor=Process.current())["changed"] is True
    assert world.holder == held


def test_a_tablet_that_a_stopped_roll_left_in_flight_is_told_of(world: World, specify: Specified) -> None:
    world.run("tablet_drain", executor=Process.current())
    result = specify(roll="nightly", executor=Process.current())
    assert result["notes"] == [f"{REPLICA} is in flight: it comes back with this spec"]


# -- others who write


def test_a_status_that_was_written_in_between_is_read_and_the_write_repeated(world: World, specify: Specified) -> None:
    def touch() -> None:
        specify.item["metadata"]["resourceVersion"] = world.next_version()

    world.before("POST .*leases", touch)
    assert specify()["changed"] is True
    assert len(writes(world)) == 3  # the dry run, the conflict, the write


def test_a_spec_that_somebody_else_changed_in_between_keeps_that_change_and_is_proved_again(
    world: World, specify: Specified
) -> None:
    def change() -> None:
        specify.container("vttablet")["image"] = "theirs"
        specify.item["metadata"]["resourceVersion"] = world.next_version()

    world.before("POST .*leases", change)
    assert specify()["changed"] is True
    assert specify.container("vttablet")["image"] == "theirs"
    assert specify.container("mysqld")["resources"] == BIGGER["mysqld"]
    assert len(writes(world)) == 4  # dry run, conflict, dry run, write
    assert specify.recorded["template"]["spec"]["containers"][0]["image"] == "theirs"


def test_conflicts_without_end_end_it(world: World, specify: Specified) -> None:
    def touch() -> None:
        specify.item["metadata"]["resourceVersion"] = world.next_version()

    world.before("POST .*leases", lambda: world.before(PATCH, touch, times=99))  # the dry run came before
    assert "at each of 5 tries" in refused(specify(), "conflict")
    assert len(writes(world)) == 6
    assert world.holder == ""


def test_a_write_whose_answer_was_lost_is_found_to_be_done(world: World, specify: Specified) -> None:
    world.before("POST .*leases", lambda: world.fail(PATCH, OutcomeUnknown("cut"), done=True))
    assert specify()["changed"] is True
    assert len(writes(world)) == 2


def test_a_failure_at_the_second_owner_says_what_is_written_and_a_rerun_finishes(
    world: World, specify: Specified
) -> None:
    world.add_shard("80-", Alias("zone1", 201), Alias("zone1", 202))
    world.before("POST .*leases/?$", lambda: world.fail(PATCH, Refused("etcd is sad", 500)), times=1)
    result = specify(shard=None)
    assert (result["failed"], result["changed"]) == (True, True)
    assert result["failure"]["state"] == f"written: vitess/commerce-80-x; not written: vitess/{NAME}"
    assert all(lease["spec"]["holderIdentity"] == "" for lease in world.leases.values())
    again = specify(shard=None)
    assert [owner["changed"] for owner in again["owners"]] == [False, True]


def test_a_controller_that_never_sees_the_spec_is_a_failure_that_says_what_is_written(
    world: World, specify: Specified
) -> None:
    world.observe_s = 1000.0
    result = specify()
    assert (result["failed"], result["changed"]) == (True, True)
    assert result["failure"]["gate"] == "owner_is_observed"
    assert result["failure"]["state"] == f"the spec of vitess/{NAME} is written"


# -- the way back


def test_the_previous_spec_comes_back_exactly_and_once(world: World, specify: Specified) -> None:
    specify.rolled()
    before = json.loads(json.dumps(specify.item["spec"]["template"]))
    specify(node_selector={"kubernetes.io/hostname": "worker-1"}, resources=BIGGER)
    assert specify.recorded["template"] == before
    assert specify.recorded["revision"] == "new"
    assert specify(state="previous")["changed"] is True
    assert specify.item["spec"]["template"] == before
    world.calls.clear()
    assert specify(state="previous")["changed"] is False
    assert world.calls == []


def test_a_spec_that_no_pod_ran_is_not_what_comes_back(world: World, specify: Specified) -> None:
    specify.rolled()
    before = json.loads(json.dumps(specify.item["spec"]["template"]))
    specify()
    specify(resources={"mysqld": {"requests": {"cpu": "700m"}}})
    specify(state="previous")
    assert specify.item["spec"]["template"] == before


def test_a_spec_with_which_no_pod_gets_ready_is_not_what_comes_back(world: World, specify: Specified) -> None:
    specify.rolled()
    before = json.loads(json.dumps(specify.item["spec"]["template"]))
    specify(vttablet_image="bad")
    pod = world.pods[world.tablet(REPLICA).pod]
    pod["metadata"]["labels"][labels.REVISION] = "new-3"
    pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    specify(vttablet_image="worse")
    specify(state="previous")
    assert specify.item["spec"]["template"] == before


def test_a_spec_that_a_pod_ran_is_what_comes_back(world: World, specify: Specified) -> None:
    specify()
    specify.rolled()
    specify(resources={"mysqld": {"requests": {"cpu": "700m"}}})
    specify(state="previous")
    assert specify.container("mysqld")["resources"] == BIGGER["mysqld"]


def test_what_somebody_else_changed_since_is_not_undone(specify: Specified) -> None:
    specify()
    specify.container("vttablet")["image"] = "theirs"
    assert "was changed by somebody else since" in refused(specify(state="previous"), "spec_is_recorded")


def test_without_a_record_nothing_comes_back(specify: Specified) -> None:
    assert "has no earlier spec on record" in refused(specify(state="previous"), "spec_is_recorded")
    specify.item["metadata"]["annotations"] = {labels.PREVIOUS: "[]"}
    assert "cannot be read" in refused(specify(state="previous"), "spec_is_editable")
