# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each operation as a module's main() and as its action plugin: the same result, the same failure, no password in either."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import operation
from ansible_collections.vtops.vitess.plugins.module_utils.errors import Refused
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Alias
from ansible_collections.vtops.vitess.plugins.plugin_utils import operation_action
from ansible_collections.vtops.vitess.tests.unit.factories import PRIMARY, REPLICA, SIBLING
from ansible_collections.vtops.vitess.tests.unit.fakes import LOGIN, PASSWORD, SPECS, TOKEN, World
from ansible_collections.vtops.vitess.tests.unit.module_args import patch_module_args
from ansible_collections.vtops.vitess.tests.unit.operations.faults import (
    DRAIN_FAULTS,
    REPARENT_FAULTS,
    REPLACE_FAULTS,
    Fault,
    with_a_dead_mysqld,
)

PACKAGE = "ansible_collections.vtops.vitess.plugins"
Way = Callable[..., dict[str, Any]]


def connected(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setattr(operation, "connect", lambda _params, _clock: world.cluster())
    monkeypatch.setattr(operation, "SystemClock", lambda: world.clock)


@pytest.fixture
def as_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Way:
    """What the module process prints."""

    def run(world: World, name: str, args: dict[str, Any], check: bool = False) -> dict[str, Any]:
        connected(monkeypatch, world)
        module = importlib.import_module(f"{PACKAGE}.modules.{name}")
        with patch_module_args({**args, "_ansible_check_mode": check}), pytest.raises(SystemExit) as exit_:
            module.main()
        printed = json.loads(capsys.readouterr().out)
        assert exit_.value.code == (1 if printed.get("failed") else 0)
        printed.pop("invocation", None)
        return printed

    return run


@pytest.fixture
def as_action(monkeypatch: pytest.MonkeyPatch) -> Way:
    """What the action plugin returns in the worker."""

    def run(world: World, name: str, args: dict[str, Any], check: bool = False) -> dict[str, Any]:
        connected(monkeypatch, world)
        result = an_action(name, args, check, "local").run(task_vars={})
        return json.loads(json.dumps(result))

    return run


def an_action(name: str, args: dict[str, Any], check: bool, transport: str) -> Any:
    plugin = importlib.import_module(f"{PACKAGE}.action.{name}")
    task = MagicMock(args=args, check_mode=check, async_val=0, diff=False)
    connection = MagicMock(transport=transport)
    return plugin.ActionModule(task, connection, MagicMock(), MagicMock(), MagicMock(), MagicMock())


def args_of(alias: Alias = REPLICA, **given: Any) -> dict[str, Any]:
    return {**LOGIN, "tablet": str(alias), "roll": "nightly", **given}


def drained() -> World:
    world = World()
    world.run("tablet_drain", executor=Process.controlling())
    return world


def replaced() -> World:
    world = drained()
    world.run("pod_replace", executor=Process.controlling())
    return world


def upgraded_replicas() -> World:
    world = World()
    for alias in (REPLICA, SIBLING):
        world.pods[world.tablet(alias).pod]["metadata"]["labels"]["controller-revision-hash"] = "new"
    return world


FLEET = {**LOGIN, "tablets": [str(alias) for alias in (PRIMARY, REPLICA, SIBLING)]}
HAPPY: dict[str, tuple[Callable[[], World], dict[str, Any]]] = {
    "tablet_drain": (World, args_of()),
    "pod_replace": (drained, args_of()),
    "vtgate_readmit": (replaced, args_of()),
    "shard_reparent": (upgraded_replicas, args_of(PRIMARY)),
    "shard_claim": (World, args_of()),
    "roll_plan": (World, FLEET),
    "fleet_info": (World, LOGIN),
    "tablet_diagnose": (World, LOGIN),
    "tablet_recover": (with_a_dead_mysqld, args_of(process_wait=0.0)),
    "roll_report": (replaced, LOGIN),
    "tablet_spec": (
        World,
        {**LOGIN, "keyspace": "commerce", "shard": "-80", "resources": {"mysqld": {"requests": {"cpu": "100m"}}}},
    ),
}


def test_every_operation_runs_both_ways_here() -> None:
    assert set(HAPPY) == set(SPECS)
    every = {*operation.ON_A_TABLET, *operation.ON_THE_FLEET, *operation.ON_OWNERS}
    # These need Deployments and nodes, which the simulated fleet has (tests/behaviour, tests/behaviour_playbook).
    assert every - {"component_spec", "node_cordon", "node_plan", "node_wait"} == set(HAPPY)


@pytest.mark.parametrize("check", [False, True], ids=["act", "check mode"])
@pytest.mark.parametrize("name", HAPPY)
def test_module_and_action_plugin_give_the_same_result(name: str, check: bool, as_module: Way, as_action: Way) -> None:
    make, args = HAPPY[name]
    one, other = make(), make()
    module, action = as_module(one, name, args, check), as_action(other, name, args, check)
    assert module == action
    assert module["changed"] is (name not in operation.ON_THE_FLEET)
    assert one.acts == other.acts


@pytest.mark.parametrize(
    ("name", "make", "alias", "fault"),
    [
        *(("tablet_drain", World, REPLICA, fault) for fault in DRAIN_FAULTS),
        *(("pod_replace", drained, REPLICA, fault) for fault in REPLACE_FAULTS),
        *(("shard_reparent", upgraded_replicas, PRIMARY, fault) for fault in REPARENT_FAULTS),
    ],
    ids=lambda value: (
        f"{value.gate}: {value.name}" if isinstance(value, Fault) else getattr(value, "__name__", str(value))
    ),
)
def test_each_red_gate_fails_both_ways_with_the_same_structure(
    name: str, make: Callable[[], World], alias: Alias, fault: Fault, as_module: Way, as_action: Way
) -> None:
    results = []
    for way in (as_module, as_action):
        world = make()
        world.calls.clear()
        fault.breaks(world)
        results.append(way(world, name, args_of(alias, **fault.params)))
        assert [act for act in world.acts if not act.startswith("ChangeTabletType zone1-0000000102 replica")] == []
    module, action = results
    assert module == action
    assert module["failed"] is True
    assert module["failure"]["gate"] == (fault.first or fault.gate)
    assert fault.gate in {gate["gate"] for gate in module["gates"] if gate["verdict"] == "fail"}
    assert module["tablet"] == str(alias)
    assert len(module["msg"]) < 200
    assert "\n" not in module["msg"]
    assert len(json.dumps(module["failure"])) < 2048
    assert {"tablet", "step", "gate", "reason", "state", "next_command"} <= set(module["failure"])


@pytest.mark.parametrize("name", HAPPY)
def test_no_password_is_in_a_result(name: str, as_module: Way, as_action: Way) -> None:
    make, args = HAPPY[name]
    for way in (as_module, as_action):
        text = json.dumps(way(make(), name, args))
        assert PASSWORD not in text
        assert TOKEN not in text


def test_no_password_that_an_edge_repeats_is_in_a_failure(as_module: Way, as_action: Way) -> None:
    for way in (as_module, as_action):
        world = World()
        world.fail("GetTablets", Refused(f"denied for vtops using {PASSWORD} and {TOKEN}", 1), times=99)
        text = json.dumps(way(world, "tablet_drain", args_of()))
        assert "denied for vtops using" in text
        assert PASSWORD not in text
        assert TOKEN not in text


def test_no_password_is_in_a_line_that_tells_of_a_wait() -> None:
    world = drained()
    world.run("pod_replace", executor=Process.controlling())
    assert any("waiting for" in line for line in world.reported)
    assert not any(PASSWORD in line or TOKEN in line for line in world.reported)


def test_waiting_is_told_by_the_action_plugin_straight_from_the_worker(
    monkeypatch: pytest.MonkeyPatch, as_action: Way
) -> None:
    told: list[str] = []
    monkeypatch.setattr(operation_action.display, "display", lambda text, *_args, **_more: told.append(text))
    as_action(drained(), "pod_replace", args_of())
    assert told
    assert told[0].startswith("  zone1-0000000102: pod_replace: waiting for the new Pod")


def test_the_lines_that_told_of_a_wait_are_in_the_result_both_ways(as_module: Way, as_action: Way) -> None:
    for way in (as_module, as_action):
        result = way(drained(), "pod_replace", args_of())
        assert result["progress"][0].startswith("zone1-0000000102: pod_replace: waiting for the new Pod")
        assert "progress" not in way(World(), "fleet_info", LOGIN)


def test_a_connection_that_is_not_local_runs_the_real_module(monkeypatch: pytest.MonkeyPatch) -> None:
    action = an_action("tablet_drain", args_of(), False, "ssh")
    action._task.environment = [{"PATH": "/x"}]
    asked: list[dict[str, Any]] = []

    told: list[str] = []

    def execute_module(**given: Any) -> dict[str, Any]:
        asked.append({**given, "environment": action._task.environment})
        return {"changed": True, "progress": ["zone1-0000000102: tablet_drain: waiting"]}

    monkeypatch.setattr(operation_action.display, "display", lambda text, *_args, **_more: told.append(text))
    monkeypatch.setattr(action, "_execute_module", execute_module)
    monkeypatch.setattr(operation_action, "execute", lambda *_args, **_more: pytest.fail("it ran in the worker"))
    assert action.run(task_vars={})["changed"] is True
    assert [call["module_name"] for call in asked] == ["vtops.vitess.tablet_drain"]
    assert asked[0]["environment"] == [{"PATH": "/x"}, {"VTOPS_EXECUTOR": Process.controlling().as_text()}]
    assert told == ["  zone1-0000000102: tablet_drain: waiting"]


def test_a_missing_library_is_told_with_interpreter_and_pip_command_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ansible_collections.vtops.vitess.plugins.module_utils import options

    monkeypatch.setattr(options, "PYMYSQL_IMPORT_ERROR", "Traceback ...")
    monkeypatch.setattr(operation, "connect", lambda *_args: pytest.fail("it connected"))
    result = operation.execute("fleet_info", {}, False)
    assert result["failed"] is True
    assert "(PyMySQL)" in result["msg"]
    assert "-m pip install PyMySQL" in result["msg"]


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("tablet_drain", {"tablet": "zone1-0000000999"}, "the topology has no tablet"),
        ("roll_plan", {"tablets": []}, "the selection is empty"),
        ("roll_plan", {"tablets": ["everything"]}, "is no tablet alias"),
        ("fleet_info", {"tablets": ["zone1-999"]}, "the topology has no tablet"),
    ],
)
def test_what_the_caller_got_wrong_is_one_clear_failure(
    name: str, given: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = World().execute(name, monkeypatch, **given)
    assert result["failed"] is True
    assert says in result["msg"]
    assert result["changed"] is False


def test_a_cluster_that_is_not_reachable_is_a_failure_that_points_at_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_params: Any, _clock: Any) -> None:
        raise Refused("pods is forbidden: cannot list resource pods", 403)

    monkeypatch.setattr(operation, "connect", refuse)
    result = operation.execute("fleet_info", {}, False)
    assert "not allowed: pods is forbidden" in result["msg"]
    assert result["failure"]["next_command"].startswith("check the connection options")


def test_a_failure_after_the_drain_says_that_something_was_changed(as_module: Way) -> None:
    world = World()
    world.before("ChangeTabletType .* drained", lambda: world.tablet(REPLICA).pools.update(ConnPoolInUse=1))
    result = as_module(world, "tablet_drain", args_of(idle_timeout=1.0))
    assert (result["failed"], result["changed"]) == (True, True)
    assert result["failure"]["state"].startswith("it was put back")
