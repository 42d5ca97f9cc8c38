# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods, owners and places as Kubernetes shows them, and a whole shard put together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.clients.kubernetes import Json
from ansible_collections.vtops.vitess.plugins.module_utils.cluster import (
    OWNERS_ONE_BY_ONE,
    explain,
    find_vtctld,
    in_parallel,
    parse_pod,
    parse_stateful_set,
    parse_timestamp,
    spelled_out_flags,
)
from ansible_collections.vtops.vitess.plugins.module_utils.errors import (
    EdgeError,
    OutcomeUnknown,
    Refused,
    Unreachable,
)
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Alias
from ansible_collections.vtops.vitess.plugins.module_utils.identity import (
    candidates,
    contested,
    field_of,
    is_at,
    settled,
)
from ansible_collections.vtops.vitess.tests.unit.factories import PRIMARY, REPLICA, SIBLING, a_pod, a_tablet
from ansible_collections.vtops.vitess.tests.unit.fakes import World, a_stateful_set

POD = {
    "metadata": {
        "name": "commerce-x-80-1",
        "namespace": "vitess",
        "uid": "u-1",
        "resourceVersion": "77",
        "creationTimestamp": "2026-11-24T00:00:00Z",
        "labels": {labels.REVISION: "rev-1"},
        "ownerReferences": [
            {"kind": "Other", "name": "x"},
            {"kind": "StatefulSet", "name": "commerce-x-80", "controller": True},
        ],
    },
    "spec": {
        "nodeName": "worker-1",
        "containers": [{"name": "vttablet", "image": "lite:v1"}, {"name": "mysqld"}],
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "d", "persistentVolumeClaim": {"claimName": "data-1"}}],
    },
    "status": {"podIP": "10.0.0.5", "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}


def changed(item: dict[str, Any], part: str, **changes: Any) -> dict[str, Any]:
    return {**item, part: {**item[part], **changes}}


# -- Pods


def test_a_pod_is_parsed_with_what_a_roll_needs() -> None:
    pod = parse_pod(POD)
    assert (pod.namespace, pod.name, pod.uid, pod.resource_version) == ("vitess", "commerce-x-80-1", "u-1", "77")
    assert (pod.ip, pod.node, pod.phase, pod.ready, pod.terminating) == ("10.0.0.5", "worker-1", "Running", True, False)
    assert (pod.created, pod.revision) == (1795478400.0, "rev-1")
    assert (pod.owner_kind, pod.owner_name) == ("StatefulSet", "commerce-x-80")
    assert (pod.image("vttablet"), pod.image("mysqld"), pod.volume_claims, pod.trouble) == (
        "lite:v1",
        "",
        ("data-1",),
        "",
    )


def test_a_pod_that_is_being_deleted_is_terminating() -> None:
    assert parse_pod(changed(POD, "metadata", deletionTimestamp="2026-11-24T00:01:00Z")).terminating


@pytest.mark.parametrize(
    "conditions", [[], None, [{"type": "Ready", "status": "False"}], [{"type": "Ready", "status": "Unknown"}]]
)
def test_a_pod_is_ready_only_if_kubernetes_says_so(conditions: Any) -> None:
    assert not parse_pod(changed(POD, "status", conditions=conditions)).ready


def test_an_owner_that_is_not_the_controller_is_none() -> None:
    pod = parse_pod(changed(POD, "metadata", ownerReferences=[{"kind": "StatefulSet", "name": "x"}]))
    assert (pod.owner_kind, pod.owner_name) == ("", "")


def test_a_pod_that_was_just_created_has_little() -> None:
    pod = parse_pod({"metadata": {"name": "a", "uid": "u"}})
    assert (pod.ip, pod.node, pod.ready, pod.created, pod.images) == ("", "", False, 0.0, ())


def test_why_a_container_does_not_start_is_told_in_kubernetes_words() -> None:
    waiting = {"name": "vttablet", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}}
    assert (
        parse_pod(changed(POD, "status", containerStatuses=[waiting])).trouble
        == "vttablet: ImagePullBackOff: no such tag"
    )
    init = {"name": "init", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    assert parse_pod(changed(POD, "status", initContainerStatuses=[init])).trouble == "init: CrashLoopBackOff"


@pytest.mark.parametrize("reason", ["PodInitializing", "ContainerCreating"])
def test_a_container_that_is_just_being_made_is_no_trouble(reason: str) -> None:
    state = {"name": "vttablet", "state": {"waiting": {"reason": reason}}}
    assert parse_pod(changed(POD, "status", containerStatuses=[state])).trouble == ""


def test_a_pod_that_cannot_be_scheduled_says_why() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    assert parse_pod(changed(POD, "status", conditions=[condition])).trouble == "Unschedulable: 0/3 nodes"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T01:01:00+01:00", 60.0),
        ("1970-01-01T00:01:00.500000Z", 60.5),
        ("", 0.0),
    ],
)
def test_a_time_is_rfc_3339(text: str, seconds: float) -> None:
    assert parse_timestamp(text) == seconds


@pytest.mark.parametrize(
    ("hostname", "here"),
    [
        ("10.0.0.5", True),
        ("commerce-x-80-1", True),
        ("commerce-x-80-1.vttablet.vitess.svc.cluster.local", True),
        ("commerce-x-80-12.vttablet", False),
        ("10.0.0.50", False),
        ("commerce-x-80-1.vttablet.other.svc.cluster.local", False),
        ("commerce-x-80-1.vttablet", True),
        ("", False),
    ],
)
def test_a_tablets_address_is_a_pods_ip_or_its_stable_name(hostname: str, here: bool) -> None:
    assert is_at(parse_pod(POD), hostname) is here


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_is_at_no_address_although_it_keeps_its_ip(phase: str) -> None:
    assert not is_at(parse_pod(changed(POD, "status", phase=phase)), "10.0.0.5")


@pytest.mark.parametrize(
    ("container", "alias"),
    [
        ({"args": ["--tablet-path=zone1-0000000102", "--port", "15000"]}, REPLICA),
        ({"command": ["/vt/bin/vttablet", "--tablet_path", "zone1-102"]}, REPLICA),
        ({"command": ["sh", "-c", "exec vttablet --tablet-path zone1-$((100 + 2))"]}, None),
        ({"args": ["--tablet-path=$(CELL)-$(UID)"]}, None),
        ({}, None),
    ],
)
def test_a_pod_names_its_tablet_where_its_command_line_writes_it_out(container: dict[str, Any], alias: Any) -> None:
    assert parse_pod(changed(POD, "spec", containers=[{"name": "vttablet", **container}])).alias == alias


def test_a_pod_whose_command_line_names_another_tablet_is_not_at_this_ones_address() -> None:
    mine = replace(a_pod(REPLICA), alias=REPLICA)
    other = replace(a_pod(SIBLING, ip="10.0.0.102"), alias=SIBLING)
    found = candidates([a_tablet(REPLICA)], [other, mine])
    assert found == {REPLICA: (mine,)}
    assert contested(found) == ()


def test_pods_of_one_name_in_two_namespaces_are_contested() -> None:
    here, there = a_pod(REPLICA), a_pod(REPLICA, namespace="other", uid="u", ip="10.0.0.9")
    found = candidates([a_tablet(REPLICA, hostname=here.name)], [here, there])
    assert contested(found) == (here, there)
    assert settled(found, {here.uid: REPLICA, "u": Alias("zone9", 102)}) == {REPLICA: (here,)}


def test_a_blank_address_is_not_the_pod_that_has_no_ip_yet() -> None:
    assert not is_at(a_pod(REPLICA, ip=""), "")


# -- owners


def test_a_stateful_set_is_parsed_with_both_revisions_and_generations() -> None:
    owner = parse_stateful_set(a_stateful_set("db", 3))
    assert (owner.kind, owner.name, owner.strategy, owner.refusal) == ("StatefulSet", "db", "OnDelete", "")
    assert (owner.current_revision, owner.update_revision) == ("old", "new")
    assert (owner.generation, owner.observed_generation) == (2, 2)
    assert owner.image("vttablet") == "vitess/lite:v24.0.2"


def test_a_stateful_set_without_a_strategy_has_kubernetes_default_and_is_refused() -> None:
    item = a_stateful_set("db", 3)
    del item["spec"]["updateStrategy"]
    assert "RollingUpdate" in parse_stateful_set(item).refusal


def test_a_stateful_set_whose_controller_never_saw_it_is_behind() -> None:
    item = {**a_stateful_set("db", 3), "status": {}}
    owner = parse_stateful_set(item)
    assert owner.observed_generation < owner.generation


# -- places


def test_a_volume_claim_that_is_not_bound_has_no_place() -> None:
    world = World()
    world.claims["data-commerce-x-80-102"]["spec"] = {}
    cluster = world.cluster()
    pod = cluster.pod("vitess", "commerce-x-80-102")
    assert pod is not None
    assert cluster.ground_for(pod).refusal == "volume claim data-commerce-x-80-102 is not bound"


# -- a shard


def test_a_shard_is_put_together_from_topology_pods_mysqlds_and_vtgates() -> None:
    world = World()
    start = world.clock.now
    shard = world.cluster().read_shard("commerce", "-80")
    assert [t.alias for t in shard.tablets] == [PRIMARY, REPLICA, SIBLING]
    assert all(t.pod is not None and t.mysqld is not None for t in shard.tablets)
    assert (shard.primary, shard.durability, len(shard.vtgates)) == (PRIMARY, "semi_sync", 2)
    assert shard.read_started == start


def test_its_evidence_is_as_old_as_the_start_of_its_read() -> None:
    world = World()
    start = world.clock.now
    world.before("GetFullStatus", lambda: world.clock.pass_(1.5))
    shard = world.cluster().read_shard("commerce", "-80")
    assert (shard.read_started, shard.read_ended) == (start, start + 1.5)


def test_a_mysqld_that_does_not_answer_is_told_in_the_shard_and_stops_no_read() -> None:
    world = World()
    world.tablet(SIBLING).mysqld_error = "no socket"
    tablet = world.cluster().read_shard("commerce", "-80").tablet(SIBLING)
    assert tablet is not None
    assert (tablet.mysqld, tablet.mysqld_error) == (None, "no socket")


def test_a_tablet_that_is_shut_down_is_said_to_be_and_has_no_pod() -> None:
    world = World()
    world.tablet(SIBLING).hostname, world.tablet(SIBLING).running = "", False
    tablet = world.cluster().read_shard("commerce", "-80").tablet(SIBLING)
    assert tablet is not None
    assert (tablet.pod, tablet.mysqld, tablet.mysqld_error) == (None, None, "the tablet is shut down")


@pytest.mark.parametrize("call", ["GetTablets", "GetShard", "GetKeyspace", "GET .*/pods$"])
def test_a_topology_or_kubernetes_that_does_not_answer_is_an_error_and_no_smaller_shard(call: str) -> None:
    world = World()
    world.fail(call, Unreachable("no route"))
    with pytest.raises(Unreachable):
        world.cluster().read_shard("commerce", "-80")


def with_pods(world: World) -> dict[Alias, str]:
    shard = world.cluster().read_shard("commerce", "-80", vtgates=False)
    return {tablet.alias: tablet.pod.name for tablet in shard.tablets if tablet.pod is not None}


def test_of_two_pods_at_one_address_the_one_that_says_so_is_the_tablets() -> None:
    """Two on the host's network, or an address that was given to another."""
    world = World()
    for alias in (REPLICA, SIBLING):
        world.tablet(alias).hostname = "192.0.2.7"
        world.pods[world.tablet(alias).pod]["status"]["podIP"] = "192.0.2.7"
    assert with_pods(world) == {
        PRIMARY: "commerce-x-80-101",
        REPLICA: "commerce-x-80-102",
        SIBLING: "commerce-x-80-103",
    }


def test_a_lost_tablets_address_that_was_given_to_another_is_not_the_lost_one() -> None:
    world = World()
    world.tablet(SIBLING).hostname = world.tablet(REPLICA).hostname
    assert SIBLING not in with_pods(world)
    assert with_pods(world)[REPLICA] == "commerce-x-80-102"


def test_of_contested_pods_one_that_does_not_answer_is_nobodys() -> None:
    world = World()
    world.tablet(SIBLING).hostname = world.tablet(REPLICA).hostname
    world.tablet(REPLICA).running = False
    assert with_pods(world) == {PRIMARY: "commerce-x-80-101"}


def test_two_pods_that_say_that_they_are_one_tablet_are_an_error_that_names_both() -> None:
    world = World()
    world.pods["commerce-x-80-103"]["status"]["podIP"] = "10.0.0.102"
    cluster = world.cluster()
    cluster.says = lambda pod: REPLICA  # type: ignore[method-assign]
    with pytest.raises(EdgeError, match="what 2 Pods say they are: vitess/commerce-x-80-102, vitess/commerce-x-80-103"):
        cluster.read_shard("commerce", "-80")


def test_nobody_is_asked_where_addresses_tell() -> None:
    world = World()
    asked: list[str] = []
    world.before("proxy/debug/vars", lambda: asked.append("asked"), times=99)
    with_pods(world)
    assert asked == []


def test_a_shard_is_read_without_listing_the_fleets_pods_and_without_its_rows() -> None:
    world = World()
    world.add_shard("80-", *(Alias("zone1", uid) for uid in (201, 202, 203)))
    cluster, selectors = world.cluster(), []
    pods = cluster.kube.pods

    def seen(namespace: str, selector: str, fields: str = "") -> list[Json]:
        selectors.append((selector, fields))
        return pods(namespace, selector, fields)

    cluster.kube.pods = seen  # type: ignore[method-assign]
    world.before("SHOW VITESS_TABLETS$", lambda: pytest.fail("a vtgate was asked for all tablets"))
    shard = cluster.read_shard("commerce", "-80")
    assert all(tablet.pod is not None for tablet in shard.tablets)
    assert {route.alias for view in shard.vtgates for route in view.routes} == {PRIMARY, REPLICA, SIBLING}
    assert sorted(fields for selector, fields in selectors if selector == labels.DEFAULT_TABLET_SELECTOR) == [
        f"status.podIP=10.0.0.{uid}" for uid in (101, 102, 103)
    ]


def test_pods_are_looked_up_in_every_namespace_and_counted_once() -> None:
    world = World()
    cluster = world.cluster()
    cluster.scope = replace(cluster.scope, tablet_namespaces=("vitess", "vitess"))
    found = cluster.pods_at({"10.0.0.102", "commerce-x-80-103.vttablet.vitess.svc"})
    assert sorted(pod.name for pod in found) == ["commerce-x-80-102", "commerce-x-80-103"]


def test_a_pod_that_is_no_tablets_by_its_labels_is_not_found_at_its_address() -> None:
    world = World()
    del world.pods["commerce-x-80-102"]["metadata"]["labels"][labels.COMPONENT]
    assert world.cluster().pods_at({"10.0.0.102"}) == ()


@pytest.mark.parametrize(
    ("hostname", "field"),
    [
        ("10.0.0.102", "status.podIP=10.0.0.102"),
        ("fd00::7", "status.podIP=fd00::7"),
        ("commerce-x-80-1.vttablet.vitess.svc.cluster.local", "metadata.name=commerce-x-80-1"),
        ("commerce-x-80-1", "metadata.name=commerce-x-80-1"),
    ],
)
def test_a_pod_is_asked_for_by_address_or_by_its_stable_name(hostname: str, field: str) -> None:
    assert field_of(hostname) == field


def test_vtgates_are_asked_for_the_addresses_at_which_a_tablet_was_seen_before_too() -> None:
    world = World()
    cluster = world.cluster()
    cluster.read_shard("commerce", "-80")
    old = world.tablet(REPLICA).hostname
    world.tablet(REPLICA).hostname = "10.0.1.102"
    world.vtgates[0].instead[REPLICA] = [("REPLICA", "SERVING", old), ("REPLICA", "SERVING", "10.0.1.102")]
    shard = cluster.read_shard("commerce", "-80")
    assert [route.hostname for route in shard.vtgates[0].routes_to(REPLICA)] == [old, "10.0.1.102"]


def test_where_a_former_address_is_not_known_vtgates_are_asked_for_all() -> None:
    world = World()
    world.vtgates[0].instead[REPLICA] = [("REPLICA", "SERVING", "10.9.9.9")]
    by_address = world.cluster().read_shard("commerce", "-80")
    assert by_address.vtgates[0].routes_to(REPLICA) == ()
    known = world.cluster().read_shard("commerce", "-80", former={"10.9.9.9"})
    whole = world.cluster().read_shard("commerce", "-80", former=None)
    assert [len(shard.vtgates[0].routes_to(REPLICA)) for shard in (known, whole)] == [1, 1]


def test_many_owners_are_listed_and_few_are_asked_for() -> None:
    world = World()
    for number in range(OWNERS_ONE_BY_ONE):
        world.add_shard(f"{number}", Alias("zone1", 200 + number))
    cluster, asked = world.cluster(), []
    world.before("GET .*/statefulsets", lambda: asked.append(1), times=99)
    pods = cluster.tablet_pods()
    assert {owner.name for owner in cluster.owners_of(pods).values()} == set(world.stateful_sets)
    assert len(asked) == 1
    cluster.owners_of(pods[:3])
    assert len(asked) == 2


def test_owners_that_may_be_read_but_not_listed_are_asked_for_one_by_one() -> None:
    world = World()
    for number in range(OWNERS_ONE_BY_ONE):
        world.add_shard(f"{number}", Alias("zone1", 200 + number))
    world.fail("GET .*/statefulsets$", Refused("cannot list", 403))
    cluster = world.cluster()
    assert len(cluster.owners_of(cluster.tablet_pods())) == OWNERS_ONE_BY_ONE + 1
    world.fail("GET .*/statefulsets$", Refused("broken", 500))
    with pytest.raises(Refused, match="broken"):
        cluster.owners_of(cluster.tablet_pods())


@pytest.mark.parametrize(
    ("container", "flags"),
    [
        (
            {"command": ["/vt/bin/vtgate", "--cell=zone1"], "args": ["--enable-buffer"]},
            {"cell": "zone1", "enable-buffer": "true"},
        ),
        ({"command": ["vtgate"]}, {}),
        ({"command": ["vtgate", "--cell=$(CELL)"]}, None),
        ({"command": ["sh", "-c", "exec vtgate --cell=zone1"]}, None),
        ({"args": ["--cell=zone1"]}, None),
        ({}, None),
    ],
    ids=["all of it", "no flag", "a variable", "a shell", "an entrypoint", "nothing"],
)
def test_flags_are_a_pods_only_where_its_spec_spells_out_the_command_line(
    container: Json, flags: dict[str, str] | None
) -> None:
    found = spelled_out_flags({"containers": [{"name": "sidecar", "command": ["agent"]}, container]}, "vtgate")
    assert (None if found is None else dict(found)) == flags


def test_vtgates_of_one_name_in_two_namespaces_are_two() -> None:
    world = World()
    cluster = world.cluster()
    cluster.scope = replace(cluster.scope, vtgate_namespaces=("vitess", "edge"))
    items = list(world.pods.values())
    cluster.kube.pods = lambda namespace, selector: [  # type: ignore[method-assign]
        {
            **item,
            "metadata": {**item["metadata"], "namespace": namespace, "uid": f"{namespace}-{item['metadata']['uid']}"},
        }
        for item in items
        if item["metadata"]["name"] == "vtgate-0"
    ]
    first = cluster.vtgates()
    assert [client.endpoint.name for client in first] == ["vitess/vtgate-0", "edge/vtgate-0"]
    assert [a is b for a, b in zip(first, cluster.vtgates(), strict=True)] == [True, True]


def test_vtgates_are_listed_anew_at_each_look() -> None:
    world = World()
    cluster = world.cluster()
    assert len(cluster.vtgates()) == 2
    del world.pods["vtgate-1"]
    assert [c.endpoint.name for c in cluster.vtgates()] == ["vtgate-0"]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_vtgate_pod_that_has_ended_is_no_vtgate(phase: str) -> None:
    world = World()
    world.pods["vtgate-1"]["status"]["phase"] = phase
    assert [c.endpoint.name for c in world.cluster().vtgates()] == ["vtgate-0"]


def test_the_identity_is_what_the_vttablet_says_and_not_its_address() -> None:
    world = World()
    cluster = world.cluster()
    tablet = cluster.read_shard("commerce", "-80", vtgates=False).tablet(REPLICA)
    assert tablet is not None
    assert tablet.pod is not None
    cluster.confirm_identity(tablet, tablet.pod)
    world.tablet(REPLICA).pod, world.tablet(SIBLING).pod = world.tablet(SIBLING).pod, world.tablet(REPLICA).pod
    with pytest.raises(EdgeError, match="says that it is zone1-0000000103, not zone1-0000000102"):
        cluster.confirm_identity(tablet, tablet.pod)


def test_a_volume_claim_is_named_once() -> None:
    world = World()
    cluster = world.cluster()
    pod = cluster.pod("vitess", "commerce-x-80-102")
    assert pod is not None
    cluster.label_volume(pod, REPLICA)
    cluster.label_volume(pod, REPLICA)
    assert [c for c in world.calls if c.startswith("PATCH")] == [
        "PATCH /api/v1/namespaces/vitess/persistentvolumeclaims/data-commerce-x-80-102"
    ]


def test_vtctld_is_a_ready_pod_that_stays() -> None:
    world = World()
    for name in ("vtctld-0", "vtctld-1"):
        world.pods[name] = world.pod_of_program(name, "vtctld")
    world.pods["vtctld-0"]["metadata"]["deletionTimestamp"] = "2026-11-24T00:00:00Z"
    selector = labels.DEFAULT_VTCTLD_SELECTOR
    assert find_vtctld(world.kube, "vitess", selector)[:2] == ("vtctld-1", "vtctld")
    world.pods["vtctld-1"]["status"]["conditions"][0]["status"] = "False"
    with pytest.raises(Unreachable, match=r"has no Ready vtctld Pod \(planetscale\.com/component=vtctld\)"):
        find_vtctld(world.kube, "vitess", selector)


# -- the rest


def test_calls_run_in_parallel_and_keep_their_order_and_the_first_error_is_raised() -> None:
    assert in_parallel([lambda: 1, lambda: 2]) == [1, 2]
    assert in_parallel([]) == []

    def fails() -> int:
        raise Refused("no")

    with pytest.raises(Refused, match="no"):
        in_parallel([lambda: 1, fails])


def test_a_refusal_by_rbac_is_said_to_be_one() -> None:
    assert explain(Refused("cannot list pods", 403)) == "not allowed: cannot list pods"
    assert explain(Refused("gone", 404)) == "gone"
    text = 'pods "vtctld-0" is forbidden: User "ci" cannot create resource "pods/exec" in API group "" in the namespace "vitess"'
    assert explain(Refused(text, 403)) == f"not allowed: create pods/exec in namespace vitess: {text}"
    text = 'nodes is forbidden: User "ci" cannot list resource "nodes" in API group "" at the cluster scope'
    assert explain(Refused(text, 403)) == f"not allowed: list nodes cluster-wide: {text}"
    assert explain(OutcomeUnknown("cut")) == "cut"


@pytest.mark.parametrize(
    ("keyspace", "shard", "name"),
    [
        ("commerce", "-80", "vtops-shard-commerce-x-80"),
        ("commerce", "80-", "vtops-shard-commerce-80-x"),
        ("commerce", "-", "vtops-shard-commerce-x-x"),
        ("commerce", "0", "vtops-shard-commerce-0"),
        ("My_Keyspace", "40-80", "vtops-shard-my-keyspace-40-80"),
    ],
)
def test_a_shards_lease_has_a_name_that_kubernetes_takes(keyspace: str, shard: str, name: str) -> None:
    assert labels.shard_lease(keyspace, shard) == name
