# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulation's answers have the shape of what the real lab answered (python -m tests.sim.record)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.operations.tablet_drain import FOREIGN_SESSIONS
from ansible_collections.vtops.vitess.tests.sim import shell
from ansible_collections.vtops.vitess.tests.sim.layout import NAMESPACE, VtgatePlan, like_the_lab
from ansible_collections.vtops.vitess.tests.sim.record import READS, VTGATE_VARS, VTTABLET_VARS
from ansible_collections.vtops.vitess.tests.sim.session import Answer, Rows, Session
from ansible_collections.vtops.vitess.tests.sim.simulation import Simulation
from ansible_collections.vtops.vitess.tests.sim.vtctldclient import Printed

Json = dict[str, Any]
FOLDER = Path(__file__).parents[2] / "sim/recordings"
VERSIONS = sorted(folder.name for folder in FOLDER.iterdir())
PRIMARY, REPLICA = "zone1-0000000101", "zone1-0000000102"
NAMES = {"keyspace": "commerce", "shard": "-80", "primary": PRIMARY, "replica": REPLICA}
# By whom an answer is held is not its shape: below these, keys are names.
NAMED = {"annotations", "labels", "matchLabels"}
NOT_RECORDED = {"allocatable", "nodeInfo"}  # the lab has it; it says something of the machine


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def recorded(version: str, name: str) -> Json:
    found: Json = json.loads((FOLDER / version / f"{name}.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def simulation(version: str) -> Simulation:
    number = version.removeprefix("v")
    vtgates = tuple(VtgatePlan(f"vtgate-{n}", version=number) for n in range(2))
    return Simulation(like_the_lab(vtgates=vtgates, old=number, new=number))


def problems(mine: Any, real: Any, whole: bool, where: str = "") -> list[str]:
    """How the shape of an answer differs: what the lab does not have, or has of another type or in another order.

    whole: also what the lab has and the simulation has not.
    """
    if mine is None or real is None:
        return []
    if isinstance(mine, dict) and isinstance(real, dict):
        return _problems_of_objects(mine, real, whole, where)
    if isinstance(mine, list) and isinstance(real, list):
        return _problems_of_lists(mine, real, whole, where)
    return [] if type(mine) is type(real) else [f"{where}: {type(mine).__name__}, the lab has {type(real).__name__}"]


def _problems_of_objects(mine: Json, real: Json, whole: bool, where: str) -> list[str]:
    if where.rpartition(".")[2] in NAMED:
        return []
    found = [f"{where}.{key}: the lab does not have it" for key in mine if key not in real and key not in NOT_RECORDED]
    shared = [key for key in mine if key in real]
    if whole:
        found += [f"{where}.{key}: only the lab has it" for key in real if key not in mine]
        if shared != [key for key in real if key in mine]:
            found.append(f"{where}: another order than the lab's")
    for key in shared:
        found += problems(mine[key], real[key], whole, f"{where}.{key}")
    return found


def _problems_of_lists(mine: list[Any], real: list[Any], whole: bool, where: str) -> list[str]:
    """Each of mine must be like one of the lab's: a list may hold several kinds."""
    found: list[str] = []
    for item in mine:
        each = [problems(item, other, whole, f"{where}[]") for other in real]
        if each and all(each):
            found += min(each, key=len)
    return found


def ask(simulation: Simulation, words: list[str]) -> Printed:
    answers: list[Printed] = []
    shell.run(["vtctldclient", *words], simulation.vtctldclient, answers.append)
    return answers[0]


@pytest.mark.parametrize(
    "name",
    ["tablets", "tablet", "primary_tablet", "shard", "keyspace", "full_status_of_primary", "full_status_of_replica"],
)
def test_what_vtctldclient_prints_has_the_labs_keys_types_and_order(
    name: str, version: str, simulation: Simulation
) -> None:
    real = recorded(version, "vtctldclient")[name]
    mine = ask(simulation, [word.format(**NAMES) for word in READS[name]])
    assert mine.code == real["code"] == 0
    assert problems(json.loads(mine.out), real["out"], whole=True) == []


def test_tablets_as_text_have_the_labs_columns(version: str, simulation: Simulation) -> None:
    real = recorded(version, "vtctldclient")["tablets_as_text"]["out"].splitlines()
    mine = ask(simulation, [word.format(**NAMES) for word in READS["tablets_as_text"]]).out.splitlines()

    def shape(lines: list[str]) -> set[tuple[str, int, int, str]]:
        split = [line.split(" ") for line in lines]
        return {(words[3], len(words), words[4].count(":"), "T" if "T" in words[-1] else words[-1]) for words in split}

    assert shape(mine) == shape(real)


@pytest.mark.parametrize("name", ["no_such_tablet", "no_such_shard", "no_such_keyspace"])
def test_a_refusal_is_printed_as_the_lab_prints_it(name: str, version: str, simulation: Simulation) -> None:
    real = recorded(version, "vtctldclient")[name]
    mine = ask(simulation, [word.format(**NAMES) for word in READS[name]])
    assert mine.code == real["code"]

    def shape(line: str) -> tuple[bool, str]:
        if line.startswith("{"):
            return True, str(json.loads(line)["msg"])
        return False, line.partition("] ")[2]

    assert shape(mine.err.strip()) == shape(real["err"][-1])


def test_rows_of_mysqld_come_as_the_lab_sends_them(version: str, simulation: Simulation) -> None:
    simulation.tablet(PRIMARY).mysqld.sessions.append(("app", "Sleep", 2))
    mine = ask(simulation, [word.format(**NAMES) for word in READS["sessions"]])
    assert problems(json.loads(mine.out), recorded(version, "vtctldclient")["sessions"]["out"], whole=False) == []


@pytest.mark.parametrize(
    "resource",
    ["pods", "nodes", "persistentvolumeclaims", "persistentvolumes", "statefulsets", "poddisruptionbudgets"],
)
def test_kubernetes_objects_have_only_what_the_lab_has(resource: str, version: str, simulation: Simulation) -> None:
    real = recorded(version, "kubernetes")[resource]
    group = {"statefulsets": "/apis/apps/v1", "poddisruptionbudgets": "/apis/policy/v1"}.get(resource, "/api/v1")
    place = "" if resource in ("nodes", "persistentvolumes") else f"/namespaces/{NAMESPACE}"
    query = {"labelSelector": "planetscale.com/component=vttablet"} if resource == "pods" else {}
    mine = simulation.api.answer("GET", f"{group}{place}/{resource}", query, None)
    assert problems(mine, real, whole=False) == []


def test_a_page_of_a_list_says_how_to_go_on_as_the_lab_does(version: str, simulation: Simulation) -> None:
    query = {"labelSelector": "planetscale.com/component=vttablet", "limit": "1"}
    mine = simulation.api.answer("GET", f"/api/v1/namespaces/{NAMESPACE}/pods", query, None)
    assert set(mine["metadata"]) == set(recorded(version, "kubernetes")["first_page_of_pods"]["metadata"])


def test_a_vtgates_page_has_the_labs_variables(version: str, simulation: Simulation) -> None:
    real = recorded(version, "pages")["vtgate_vars"]
    vtgate = simulation.vtgates["vtgate-0"]
    page = simulation.api.answer(
        "GET", f"/api/v1/namespaces/{NAMESPACE}/pods/vtgate-0:15000/proxy/debug/vars", {}, None
    )
    assert set(page) <= set(VTGATE_VARS)
    assert problems({k: v for k, v in page.items() if not k.startswith("Buffer")}, real, whole=False) == []
    for name in ("BufferRequestsBuffered", "BufferRequestsDrained", "BufferRequestsEvicted", "BufferRequestsSkipped"):
        assert set(page[name]) == set(real[name]), name
    assert vtgate.plan.version == page["BuildVersion"] == real["BuildVersion"]


def test_a_vttablets_page_has_the_labs_variables(version: str, simulation: Simulation) -> None:
    real = recorded(version, "pages")
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/commerce-x-80-1:15000/proxy"
    page = simulation.api.answer("GET", f"{path}/debug/vars", {}, None)
    assert set(page) <= set(VTTABLET_VARS)
    assert problems(page, real["vttablet_vars"], whole=False) == []
    assert {name: page[name] for name in ("TabletType", "TabletStateName")} == {
        name: real["vttablet_vars"][name] for name in ("TabletType", "TabletStateName")
    }
    assert simulation.api.answer("GET", f"{path}/livequeryz", {}, None) == real["livequeryz"]


@pytest.mark.parametrize("like", ["", "HOSTNAME", "zone1-%"])
def test_show_vitess_tablets_filters_and_sorts_as_the_lab_does(like: str, version: str, simulation: Simulation) -> None:
    sql = "SHOW VITESS_TABLETS" + (f" LIKE '{like}'" if like else "")
    real = recorded(version, "sql")[sql]
    answers: list[Answer] = []
    session = Session(simulation.vtgates["vtgate-0"])
    session.execute(sql.replace("HOSTNAME", simulation.tablet(REPLICA).hostname), answers.append)
    answer = answers[0]
    assert isinstance(answer, Rows)
    assert [name for name, _kind in answer.columns] == [name for name, _code in real["columns"]]
    assert len(answer.rows) == len(real["rows"])

    def shape(rows: Any) -> list[tuple[bool, ...]]:
        return [(*(bool(cell) for cell in row), row[3] == "PRIMARY") for row in rows]

    assert shape(answer.rows) == shape(real["rows"])


def test_nothing_of_a_machine_is_kept() -> None:
    for path in FOLDER.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert len(text) < 50_000
        assert not any(word in text for word in ("/root", "/home", "/work", "hostPath", "managedFields")), path


def test_who_is_logged_in_is_read_where_performance_schema_is_off(version: str) -> None:
    """There its processlist is empty, which would read as nobody."""
    commands = recorded(version, "vtctldclient")
    assert commands["performance_schema"]["out"]["rows"] == [[0, 0]]
    assert commands["sessions"]["out"]["rows"]
    assert "FROM information_schema.processlist" in FOREIGN_SESSIONS
