# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.errors import Refused
from ansible_collections.vtops.vitess.plugins.module_utils.operations import fleet_info
from ansible_collections.vtops.vitess.tests.unit.factories import PRIMARY, REPLICA, SIBLING
from ansible_collections.vtops.vitess.tests.unit.fakes import World, stamp


@pytest.fixture
def world() -> World:
    return World()


def run(world: World, **given: Any) -> dict[str, dict[str, Any]]:
    result = fleet_info.run(world.params("fleet_info", **given), world.cluster(), world.clock)
    assert result["changed"] is False
    assert world.calls == []
    return {tablet["alias"]: tablet for tablet in result["tablets"]}


def test_shows_every_tablet_with_pod_owner_and_what_is_wanted(world: World) -> None:
    shown = run(world)
    assert list(shown) == [str(PRIMARY), str(REPLICA), str(SIBLING)]
    tablet = shown[str(REPLICA)]
    assert (tablet["type"], tablet["cell"], tablet["keyspace"], tablet["shard"]) == (
        "REPLICA",
        "zone1",
        "commerce",
        "-80",
    )
    assert (tablet["pod"], tablet["node"], tablet["ready"]) == ("commerce-x-80-102", "worker-1", True)
    assert (tablet["owner"], tablet["refusal"]) == ("StatefulSet/commerce-x-80", "")
    assert (tablet["revision"], tablet["wanted_revision"], tablet["as_wanted"]) == ("old", "new", False)
    assert (tablet["image"], tablet["wanted_image"]) == ("vitess/lite:v23.0.3", "vitess/lite:v24.0.2")


def test_asks_once_for_the_topology_the_pods_and_each_owner_whatever_the_size(world: World) -> None:
    reads: list[str] = []
    for call in ("GetTablets", "GET .*/pods$", "GET .*/statefulsets/", "GET .*/leases$"):
        world.before(call, partial(reads.append, call), times=99)
    run(world)
    assert sorted(reads) == sorted(["GetTablets", "GET .*/pods$", "GET .*/statefulsets/", "GET .*/leases$"])


def test_a_tablet_whose_pod_is_at_the_wanted_revision_is_as_wanted(world: World) -> None:
    world.pods["commerce-x-80-102"]["metadata"]["labels"][labels.REVISION] = "new"
    assert [t["as_wanted"] for t in run(world).values()] == [False, True, False]


def test_a_tablet_in_flight_is_not_as_wanted_although_its_pod_is(world: World) -> None:
    world.run("tablet_drain")
    world.pods["commerce-x-80-102"]["metadata"]["labels"][labels.REVISION] = "new"
    world.calls.clear()
    tablet = run(world)[str(REPLICA)]
    assert (tablet["in_flight"], tablet["as_wanted"]) == (True, False)
    assert tablet["claim"].startswith("nightly@")


def test_the_goal_may_be_a_revision_or_a_time(world: World) -> None:
    assert all(t["as_wanted"] for t in run(world, wanted_revision="old").values())
    assert all(t["as_wanted"] for t in run(world, wanted_since=stamp(world.clock.time() - 86400)).values())
    assert not any(t["as_wanted"] for t in run(world, wanted_since=stamp(world.clock.time())).values())


def test_a_time_that_is_yet_to_come_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match=r"wanted_since .* is yet to come"):
        run(world, wanted_since=stamp(world.clock.time() + 60))


def test_a_tablet_without_a_pod_says_so(world: World) -> None:
    del world.pods["commerce-x-80-102"]
    tablet = run(world)[str(REPLICA)]
    assert (tablet["pod"], tablet["owner"], tablet["ready"]) == (None, None, False)
    assert tablet["refusal"] == "no Pod was found"
    assert tablet["as_wanted"] is False


def test_a_tablet_in_flight_with_a_blank_address_is_found_by_the_name_in_the_journal(world: World) -> None:
    world.run("tablet_drain")
    world.tablet(REPLICA).hostname = ""
    world.calls.clear()
    tablet = run(world)[str(REPLICA)]
    assert (tablet["pod"], tablet["ready"]) == ("commerce-x-80-102", False)


def test_a_tablet_is_found_by_its_pods_stable_name(world: World) -> None:
    world.tablet(REPLICA).hostname = "commerce-x-80-102.vttablet.vitess.svc"
    assert run(world)[str(REPLICA)]["pod"] == "commerce-x-80-102"


def test_a_lost_tablet_is_not_as_wanted_because_its_address_was_given_to_one_that_is(world: World) -> None:
    world.pods["commerce-x-80-103"]["metadata"]["labels"][labels.REVISION] = "new"
    world.tablet(REPLICA).hostname = world.tablet(SIBLING).hostname
    shown = run(world)
    assert (shown[str(REPLICA)]["pod"], shown[str(REPLICA)]["as_wanted"]) == (None, False)
    assert (shown[str(SIBLING)]["pod"], shown[str(SIBLING)]["as_wanted"]) == ("commerce-x-80-103", True)


def test_only_the_tablets_and_keyspaces_that_were_asked_for(world: World) -> None:
    assert list(run(world, tablets=[str(SIBLING)])) == [str(SIBLING)]
    assert list(run(world, keyspaces=["customer"])) == []


def test_a_few_tablets_are_looked_up_and_nothing_is_listed(world: World) -> None:
    world.run("tablet_drain")
    world.calls.clear()
    for call in ("GetTablets", "GET .*/leases$", "GET .*/statefulsets$"):
        world.before(call, partial(pytest.fail, f"{call} was asked"))
    whole = run(world, tablets=[str(REPLICA), str(SIBLING)])
    assert (whole[str(REPLICA)]["in_flight"], whole[str(SIBLING)]["in_flight"]) == (True, False)
    assert whole[str(SIBLING)]["owner"] == "StatefulSet/commerce-x-80"


def test_what_is_looked_up_is_what_is_listed(world: World) -> None:
    world.run("tablet_drain")
    world.calls.clear()
    assert run(world, tablets=[str(SIBLING), str(REPLICA)]) == {
        alias: shown for alias, shown in run(world).items() if alias != str(PRIMARY)
    }


def test_one_in_flight_with_a_blank_address_is_looked_up_by_the_name_in_the_journal(world: World) -> None:
    world.run("tablet_drain")
    world.tablet(REPLICA).hostname = ""
    world.calls.clear()
    assert run(world, tablets=[str(REPLICA)])[str(REPLICA)]["pod"] == "commerce-x-80-102"


def test_a_lost_tablet_that_is_looked_up_is_not_as_wanted_because_of_a_tablet_that_was_not_asked_for(
    world: World,
) -> None:
    world.pods["commerce-x-80-103"]["metadata"]["labels"][labels.REVISION] = "new"
    world.tablet(REPLICA).hostname = world.tablet(SIBLING).hostname
    shown = run(world, tablets=[str(REPLICA)])[str(REPLICA)]
    assert (shown["pod"], shown["as_wanted"], shown["refusal"]) == (None, False, "no Pod was found")


def test_one_that_is_as_wanted_and_does_not_answer_is_as_wanted_still(world: World) -> None:
    world.pods["commerce-x-80-102"]["metadata"]["labels"][labels.REVISION] = "new"
    world.tablet(REPLICA).running = False
    assert run(world, tablets=[str(REPLICA)])[str(REPLICA)]["as_wanted"] is True


def test_a_topology_that_does_not_answer_is_an_error_and_no_tablet_less(world: World) -> None:
    world.fail("GetTablet ", Refused("context deadline exceeded", 1))
    with pytest.raises(Refused, match="deadline"):
        run(world, tablets=[str(REPLICA)])


def test_refuses_a_tablet_that_the_topology_does_not_know(world: World) -> None:
    with pytest.raises(ValueError, match="no tablet zone1-0000000999"):
        run(world, tablets=["zone1-999"])


def test_an_owner_of_another_kind_is_shown_with_its_refusal(world: World) -> None:
    world.pods["commerce-x-80-102"]["metadata"]["ownerReferences"][0]["kind"] = "Deployment"
    assert "Deployment" in run(world)[str(REPLICA)]["refusal"]
