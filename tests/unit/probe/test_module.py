# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.vtops.vitess.plugins.module_utils.probe import process as probe
from ansible_collections.vtops.vitess.plugins.module_utils.probe.vtgate import Layout, ProbeError, Target
from ansible_collections.vtops.vitess.plugins.modules import client_probe
from ansible_collections.vtops.vitess.tests.unit.fakes import LOGIN


@dataclass
class FakeModule:
    """What the functions of the module use of AnsibleModule."""

    params: dict[str, Any]
    check_mode: bool = False
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    defaults = {name: option.get("default") for name, option in client_probe.ARGUMENT_SPEC.items()}
    return {
        **defaults,
        "ledger": str(tmp_path / "probe"),
        "vtgates": ["192.0.2.1:3306", {"name": "b", "host": "192.0.2.2", "port": 3307}],
        "keyspace": "commerce",
        "table": "probe",
        "login_password": "pa55word",
    }


COLLECTION = Path(client_probe.__file__).parents[2]
GROUP = yaml.safe_load((COLLECTION / "meta/runtime.yml").read_text())["action_groups"]["vitess"]


def test_every_module_is_in_the_action_group():
    modules = {path.stem for path in (COLLECTION / "plugins/modules").glob("*.py")} - {"__init__"}
    assert set(GROUP) == modules


def test_the_probe_takes_the_options_that_a_play_sets_for_the_whole_group():
    """module_defaults of group/vtops.vitess.vitess reach it like any other member."""
    given = {**LOGIN, "kubeconfig": "/k", "vtgate_addresses": ["192.0.2.1:3306"], "ledger": "/l", "state": "summary"}
    done = ArgumentSpecValidator(client_probe.ARGUMENT_SPEC).validate(given)
    assert done.error_messages == []
    assert done.validated_parameters["login_password"] == LOGIN["login_password"]


def test_the_probe_needs_none_of_them():
    done = ArgumentSpecValidator(client_probe.ARGUMENT_SPEC).validate({"ledger": "/l"})
    assert done.error_messages == []
    assert done.validated_parameters["login_user"] == "vtops"


def test_the_documentation_says_what_is_required():
    documented = yaml.safe_load(client_probe.DOCUMENTATION)["options"]
    assert documented["namespace"]["required"] is False
    assert [name for name, option in client_probe.ARGUMENT_SPEC.items() if option.get("required")] == ["ledger"]


def test_the_probe_imports_no_client_of_a_cluster():
    code = f"import sys, {client_probe.__name__}; print('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_options_make_the_plan(params: dict[str, Any]):
    plan = client_probe.plan_from(params | {"rate": 10.0, "stale_after": 3.0, "deadline": 60.0})
    assert plan.targets == (Target("192.0.2.1:3306", "192.0.2.1", 3306), Target("b", "192.0.2.2", 3307))
    assert (plan.settings.rate, plan.settings.stale_after, plan.deadline) == (10.0, 3.0, 60.0)
    assert "pa55word" not in repr(plan)
    assert "pa55word" not in str(plan.described())


@pytest.mark.parametrize(
    ("name", "value"),
    [("rate", 0), ("deadline", -1), ("stale_after", 0), ("answer_limit", 0), ("fresh_share", 1.5), ("fresh_share", -1)],
)
def test_refuses_numbers_that_make_no_sense(params: dict[str, Any], name: str, value: float):
    with pytest.raises(ValueError, match=name):
        client_probe.plan_from(params | {name: value})


@pytest.mark.parametrize("state", ["started", "stopped", "summary"])
def test_check_mode_does_nothing_and_says_so(params: dict[str, Any], state: str):
    module = FakeModule(params, check_mode=True)
    result = getattr(client_probe, f"run_{state}")(module)
    assert result["skipped"]
    assert result["msg"].startswith("check mode")
    assert result["changed"] is (state == "started")
    assert not os.path.exists(params["ledger"])


def test_stopping_what_was_never_started_changes_nothing(params: dict[str, Any]):
    assert client_probe.run_stopped(FakeModule(params))["changed"] is False


def test_a_summary_of_what_was_never_started_fails(params: dict[str, Any]):
    with pytest.raises(ProbeError, match="no probe was ever started"):
        client_probe.run_summary(FakeModule(params))


def test_it_stays_with_the_process_that_was_named_or_none(params: dict[str, Any]):
    found = client_probe.companion(os.getpid())
    assert found is not None
    assert found.pid == os.getpid()
    assert client_probe.companion(0) is None
    with pytest.raises(ProbeError, match="no process"):
        client_probe.companion(2**22 + 1)


def test_started_stopped_and_summed_up(params: dict[str, Any], monkeypatch: pytest.MonkeyPatch, fake_vtgate: Any):
    fake = fake_vtgate()
    monkeypatch.setattr(probe, "Dialler", lambda targets, login, timeout: fake.dialler("192.0.2.1:3306", "b"))
    monkeypatch.setattr(probe, "look_at", lambda dialler, keyspace, table: Layout(("-80", "80-"), "hash"))
    module = FakeModule(params | {"stay_with": 0})
    started = client_probe.run_started(module)
    try:
        assert started["changed"]
        assert started["probe"]["stays_with"] is None
        assert client_probe.run_started(module)["changed"] is False
        assert client_probe.run_summary(module)["summary"]["running"]
    finally:
        stopped = client_probe.run_stopped(FakeModule(params | {"vtgates": []}))
    assert stopped["changed"]
    assert stopped["summary"]["stop_reason"] == "stopped"
    assert stopped["summary"]["acked_lost"] == 0
    assert client_probe.run_stopped(FakeModule(params | {"vtgates": []}))["changed"] is False


def test_without_a_playbook_above_it_warns_that_only_the_deadline_ends_it(
    params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client_probe.Process, "playbook", classmethod(lambda _kind: None))
    monkeypatch.setattr(client_probe, "start", lambda plan, companion: (_state(), True))
    module = FakeModule(params)
    client_probe.run_started(module)
    assert "only the deadline" in module.warnings[0]


def _state() -> probe.State:
    return probe.State("r", 1, 1, "l", {}, None)
