# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A large simulated fleet: what vtgates share, what lists select, what is counted at the wire."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from ansible_collections.vtops.vitess.tests.sim.kubernetes import Rejected
from ansible_collections.vtops.vitess.tests.sim.layout import NAMESPACE, many
from ansible_collections.vtops.vitess.tests.sim.server import Server
from ansible_collections.vtops.vitess.tests.sim.simulation import Simulation
from ansible_collections.vtops.vitess.tests.sim.vtgate import Row, Rows

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


@pytest.fixture
def simulation() -> Simulation:
    return Simulation(many(10, 3, past=2))


def test_a_fleet_has_as_many_tablets_as_were_asked_for_and_a_node_for_each_shard(simulation: Simulation) -> None:
    assert [len(shard.tablets) for shard in simulation.layout.shards] == [3, 3, 4]
    assert len(simulation.store.of("nodes")) == 1 + 3
    assert not simulation.referee.open


def test_what_vtgates_knew_alike_is_kept_once_and_what_one_learns_is_its_own() -> None:
    shared = {alias: Row(alias, f"host-{alias}", "REPLICA") for alias in ("a", "b", "c")}
    one, other = Rows(shared), Rows(shared)
    one["a"].hostname = "moved"
    assert [row.hostname for row in other.seen()] == ["host-a", "host-b", "host-c"]
    assert other["a"].hostname == "host-a"
    del one["b"]
    one["d"] = Row("d", "host-d", "REPLICA")
    assert (list(one), one.gone, "b" in one, "b" in other) == (["a", "c", "d"], {"b"}, False, True)
    with pytest.raises(KeyError):
        one.pop("b")
    one["b"] = Row("b", "back", "REPLICA")
    assert (one["b"].hostname, one.gone, len(one)) == ("back", set(), 4)


def test_a_row_that_was_lost_comes_back_with_the_next_poll(simulation: Simulation) -> None:
    vtgate = simulation.vtgates["vtgate-0"]
    alias = simulation.fleet.of(simulation.layout.shards[1].name)[1].alias
    vtgate.rows.pop(alias)
    vtgate.refresh()
    simulation.pass_(1.0)
    assert vtgate.rows[alias].serving


def pods(simulation: Simulation, fields: str) -> list[str]:
    found = simulation.api.answer("GET", PODS, {"fieldSelector": fields}, None)
    return [item["metadata"]["name"] for item in found["items"]]


def test_pods_are_selected_by_name_address_and_node(simulation: Simulation) -> None:
    pod = simulation.store.of("pods")["commerce-x-5555-0"]
    assert pods(simulation, "metadata.name=commerce-x-5555-0") == ["commerce-x-5555-0"]
    assert pods(simulation, f"status.podIP={pod['status']['podIP']}") == ["commerce-x-5555-0"]
    on_its_node = f"spec.nodeName={pod['spec']['nodeName']},status.phase!=Failed"
    assert "commerce-x-5555-0" in pods(simulation, on_its_node)
    assert "commerce-x-5555-1" not in pods(simulation, on_its_node)
    assert pods(simulation, "status.phase!=Running") == []


@pytest.mark.parametrize("fields", ["status.hostIP=10.0.0.1", "nonsense"])
def test_a_field_that_kubernetes_does_not_select_by_is_refused(fields: str, simulation: Simulation) -> None:
    with pytest.raises(Rejected, match="field label not supported") as refusal:
        pods(simulation, fields)
    assert refusal.value.code == 400


def test_a_vtgates_pod_spells_out_its_flags(simulation: Simulation) -> None:
    (item,) = simulation.api.answer("GET", PODS, {"fieldSelector": "metadata.name=vtgate-1"}, None)["items"]
    assert "--cells-to-watch=zone1" in item["spec"]["containers"][0]["command"]


@pytest.fixture
def server(simulation: Simulation) -> Iterator[Server]:
    one = Server(simulation).start()
    yield one
    one.stop()


def ask(server: Server, method: str, path: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(server.url + path, method=method), timeout=10) as answer:
        return json.load(answer)


def test_what_arrives_is_counted_by_kind_and_the_simulations_own_pages_are_not(server: Server) -> None:
    ask(server, "GET", f"{PODS}?fieldSelector=metadata.name=vtgate-0")
    ask(server, "GET", f"{PODS}/vtgate-0:15000/proxy/debug/vars")
    ask(server, "GET", f"{PODS}/commerce-x-5555-0:15000/proxy/debug/vars")
    connection = pymysql.connect(host="127.0.0.1", port=server.mysql.ports["vtgate-0"], user="vtops")
    logged_in = ask(server, "GET", "/simulation/counted")["requests"]["sql"]  # how many, is PyMySQL's version's
    with connection.cursor() as cursor:
        cursor.execute("SHOW VITESS_TABLETS")
    counted = ask(server, "GET", "/simulation/counted")
    connection.close()
    assert counted["requests"] == {"kubernetes": 1, "vtgate page": 1, "vttablet page": 1, "sql": logged_in + 1}
    assert all(size > 100 for size in counted["bytes"].values())


def test_virtual_time_is_read_and_passes_by_request(server: Server) -> None:
    before = ask(server, "GET", "/simulation/clock")
    assert (
        ask(server, "POST", "/simulation/sleep?seconds=2.5") == before + 2.5 == ask(server, "GET", "/simulation/clock")
    )
