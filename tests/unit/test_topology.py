# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.cluster import find_vtctld
from ansible_collections.vtops.vitess.plugins.module_utils.errors import EdgeError
from ansible_collections.vtops.vitess.plugins.module_utils.topology import (
    Component,
    Topology,
    component_of,
    refuse_strangers,
)
from ansible_collections.vtops.vitess.tests.unit.factories import REPLICA
from ansible_collections.vtops.vitess.tests.unit.fakes import World

MINE = Topology("/vitess/global", frozenset({"etcd.vitess:2379"}))
# tests/lab/manifests/vtctld.yaml
SCRIPT = """until vtctldclient --server internal $TOPOLOGY GetCellInfo zone1 ||
  vtctldclient --server internal $TOPOLOGY AddCellInfo --root /vitess/zone1 --server-address etcd:2379 zone1
do sleep 1; done
exec vtctld $TOPOLOGY --cell zone1 --port 15000
"""
IN_ENV = {
    "name": "TOPOLOGY",
    "value": "--topo-implementation etcd2 --topo-global-server-address etcd:2379 --topo-global-root /vitess/global",
}


def pod(name: str = "p", cluster: str = "", namespace: str = "vitess", **container: Any) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name, "namespace": namespace, "uid": f"uid-{name}"}
    if cluster:
        meta["labels"] = {labels.CLUSTER: cluster}
    return {"metadata": meta, "spec": {"containers": [{"name": "x"}, {"name": "vtctld", **container}]}, "status": {}}


def flags(root: str = "/vitess/global", servers: str = "etcd:2379") -> list[str]:
    return [f"--topo-global-root={root}", f"--topo-global-server-address={servers}"]


@pytest.mark.parametrize(
    "container",
    [
        {"args": flags()},
        {"command": ["vtctld", "--topo-global-root", "/vitess/global/", "--topo-global-server-address", "etcd:2379"]},
        {"args": ["--topo_global_root=/vitess/global", "--topo_global_server_address=etcd:2379"]},
        {
            "command": [
                "sh",
                "-c",
                "exec vtctld --topo-global-root=/vitess/global \\\n --topo-global-server-address etcd:2379;",
            ]
        },
        {"command": ["bash", "-c", SCRIPT], "env": [IN_ENV]},
        {"command": ["bash", "-c", 'exec vtctld "${TOPOLOGY}"'], "env": [IN_ENV]},
        {"args": ["$(TOPOLOGY)"], "env": [IN_ENV]},
        {"command": ["sh", "-c", "echo it's up; vtctld " + " ".join(flags())]},
    ],
)
def test_the_topology_is_read_from_command_lines_and_shell_scripts(container: dict[str, Any]) -> None:
    assert component_of(pod(**container)) == Component("p", MINE)


@pytest.mark.parametrize(
    "container",
    [
        {},
        {"command": ["bash", "-c", SCRIPT]},
        {"args": ["--topo-global-root=$(ROOT)"], "env": [{"name": "ROOT", "valueFrom": {"configMapKeyRef": {}}}]},
        {"args": ["--topo-global-root"]},
    ],
)
def test_what_a_spec_does_not_tell_is_left_to_the_operators_label(container: dict[str, Any]) -> None:
    assert component_of(pod(cluster="one", **container)).topology == Topology(cluster="one")


@pytest.mark.parametrize("servers", ["etcd.vitess:2379", "etcd.vitess.svc:2379", "etcd.vitess.svc.cluster.local:2379"])
def test_a_service_has_one_name_in_all_namespaces(servers: str) -> None:
    elsewhere = component_of(pod(namespace="gates", args=flags(servers=servers)))
    assert not elsewhere.topology.differs_from(MINE)
    assert component_of(pod(namespace="gates", args=flags())).topology.differs_from(MINE)


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        (Topology("/vitess/other", MINE.servers), True),
        (Topology("/vitess/global", frozenset({"etcd.other:2379"})), True),
        (Topology("/vitess/global", MINE.servers | {"etcd-1.vitess:2379"}), False),
        (Topology("/vitess/global"), False),
        (Topology("/vitess/other"), True),
        (Topology(servers=MINE.servers, cluster="two"), False),
        (Topology(cluster="two"), True),
        (Topology(cluster="one"), False),
        (Topology(), False),
    ],
)
def test_two_topologies_are_two_where_a_flag_says_so_and_else_by_the_label(other: Topology, differs: bool) -> None:
    mine = Topology(MINE.root, MINE.servers, "one")
    assert mine.differs_from(other) is differs
    assert other.differs_from(mine) is differs


def test_one_that_does_not_tell_hides_no_two_that_differ() -> None:
    with pytest.raises(EdgeError, match="a and b are of two"):
        refuse_strangers(
            [Component("x", Topology()), Component("a", MINE), Component("b", Topology("/b"))], "vtgate_selector"
        )


def test_the_refusal_names_both_and_the_option_in_one_line() -> None:
    members = [
        Component("vtctld-0", MINE),
        Component("vtctld-1", MINE),
        Component("b-vtctld-0", Topology("/vitess/b", MINE.servers)),
    ]
    refuse_strangers(members[:2], "vtctld_selector")
    with pytest.raises(
        EdgeError, match=r"vtctld-0 and b-vtctld-0 .*/vitess/b at .*: narrow vtctld_selector$"
    ) as refusal:
        refuse_strangers(members, "vtctld_selector")
    assert len(str(refusal.value)) < 200


# -- in a fleet


def programs(world: World, *pods: tuple[str, str, str]) -> None:
    for name, component, root in pods:
        item = world.pod_of_program(name, component)
        item["spec"]["containers"][0]["args"] = flags(root)
        world.pods[name] = item


@pytest.mark.parametrize("ready", ["True", "False"])
def test_two_clusters_in_one_namespace_are_refused_and_not_one_of_them_taken(ready: str) -> None:
    world = World()
    programs(world, ("a-vtctld", "vtctld", "/vitess/a"), ("b-vtctld", "vtctld", "/vitess/b"))
    world.pods["b-vtctld"]["status"]["conditions"][0]["status"] = ready
    with pytest.raises(EdgeError, match="a-vtctld and b-vtctld are of two Vitess clusters"):
        find_vtctld(world.kube, "vitess", labels.DEFAULT_VTCTLD_SELECTOR)
    world.pods["b-vtctld"]["status"]["phase"] = "Failed"
    assert find_vtctld(world.kube, "vitess", labels.DEFAULT_VTCTLD_SELECTOR).name == "a-vtctld"


def test_a_vtgate_of_another_cluster_is_refused_wherever_the_vtgates_are_read() -> None:
    world = World()
    programs(world, ("vtgate-0", "vtgate", "/vitess/a"), ("vtgate-1", "vtgate", "/vitess/b"))
    with pytest.raises(EdgeError, match=r"vtgate-0 and vtgate-1 .* narrow vtgate_selector"):
        world.cluster().vtgates()


def test_vtgates_that_are_all_of_another_cluster_than_vtctld_are_refused() -> None:
    world = World()
    programs(world, ("vtgate-0", "vtgate", "/vitess/b"), ("vtgate-1", "vtgate", "/vitess/b"))
    cluster = world.cluster()
    assert len(cluster.vtgates()) == 2
    cluster._member = Component("vtctld-0", Topology("/vitess/a"))
    with pytest.raises(EdgeError, match=r"vtctld-0 and vtgate-0 .* narrow vtgate_selector"):
        cluster.vtgates()


def test_a_tablet_whose_volume_another_cluster_annotated_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    (name,) = [claim for claim in world.claims if str(REPLICA.uid) in claim]
    world.claims[name]["metadata"].setdefault("annotations", {})[labels.TOPOLOGY] = "elsewhere"
    result = world.execute("tablet_drain", monkeypatch, tablet=str(REPLICA))
    assert result["failure"]["gate"] == "new_pod_has_a_place"
    assert f"volume claim {name} holds a tablet of the Vitess cluster in namespace elsewhere" in result["msg"]
    assert world.acts == []
