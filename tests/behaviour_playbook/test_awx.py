# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The jobs of extensions/awx as AWX runs them: its project, its credentials' environment, its inventory, answers as text, artifacts.

No AWX runs here. What it makes of a survey, a credential, an inventory source and set_stats was read in its source.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.vtops.vitess.tests.kind.harness import TOP, Played
from ansible_collections.vtops.vitess.tests.sim.lab import Credentials, SimulatedLab

AWX = TOP / "extensions/awx"
SHARD = "vitess_shard_commerce_x_80"
CREDENTIALS = Credentials("token-of-awx", "roller", "password-of-awx")


class Loader(yaml.SafeLoader):
    """Ansible's !unsafe is text."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))  # type: ignore[no-untyped-call]
CONTROLLER: dict[str, Any] = yaml.load((AWX / "controller.yml").read_text(encoding="utf-8"), Loader)


def defaults(asker: dict[str, Any]) -> dict[str, Any]:
    return {question["variable"]: question["default"] for question in asker["survey_spec"]["spec"]}


class Controller:
    """Launches the templates of the configuration."""

    def __init__(self, lab: SimulatedLab, directory: Path) -> None:
        self.lab, self.project = lab, directory / "project"
        shutil.copytree(AWX / "project", self.project)
        self.inventory = directory / "hosts"
        self.jobs = 0

    def update_inventory(self) -> None:
        """From the project's inventory source; a job gets it as a script that prints it."""
        source = self.project / CONTROLLER["controller_inventory_sources"][0]["source_path"]
        program = str(Path(sys.executable).with_name("ansible-inventory"))
        listed = subprocess.run(
            [program, "-i", str(source), "--list", "--export"],
            env=self.lab.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        self.inventory.write_text(f"#!/bin/sh\ncat <<'EOF'\n{listed.stdout}\nEOF\n")
        self.inventory.chmod(0o755)

    def launch(self, name: str, answers: dict[str, Any], *arguments: str, workflow: int = 0) -> Played:
        """A job of a template: its survey's defaults, then what was answered or handed on."""
        (template,) = (t for t in CONTROLLER["controller_templates"] if t["name"] == f"vtops {name}")
        self.jobs += 1
        given = {**defaults(template), **answers, "awx_job_id": self.jobs, "tower_job_id": self.jobs}
        if workflow:
            given |= {"awx_workflow_job_id": workflow, "tower_workflow_job_id": workflow}
        extra = self.project.with_name("extravars.json")
        extra.write_text(json.dumps(given))
        playbook = str(self.project / template["playbook"])
        limit = ("--limit", SHARD, "-e", f"@{extra}")
        return self.lab.play(playbook, *limit, *arguments, name=f"awx-{name}", timeout_s=600, inventory=self.inventory)


def artifacts(played: Played) -> dict[str, Any]:
    """What set_stats left, as AWX keeps it: as JSON."""
    found = re.search(r"^\s*RUN: (\{.*\})\s*$", played.text, re.MULTILINE)
    data: dict[str, Any] = json.loads(found[1]) if found else {}
    return data


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    with SimulatedLab(out=tmp_path_factory.mktemp("fleet"), credentials=CREDENTIALS) as simulated:
        yield simulated


@pytest.fixture
def awx(fleet: SimulatedLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Controller:
    """Tablets at v23 whose owners want v24, and the environment that both credentials make."""
    fleet.command("fleet", "--tablets", "23.0.3")
    fleet.command("fleet", "--tablets", "24.0.2", "--spec-only")
    for name, value in {
        "K8S_AUTH_HOST": fleet.facts["url"],
        "K8S_AUTH_API_KEY": CREDENTIALS.token,
        "K8S_AUTH_VERIFY_SSL": "True",
        "K8S_AUTH_SSL_CA_CERT": fleet.facts["ca_cert"],
        "VTGATE_USER": CREDENTIALS.user,
        "VTGATE_PASSWORD": CREDENTIALS.password,
        "ANSIBLE_SHOW_CUSTOM_STATS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    controller = Controller(fleet, tmp_path)
    controller.update_inventory()
    return controller


def test_the_workflow_rolls_what_was_planned_and_reports_it(awx: Controller, tmp_path: Path) -> None:
    (workflow,) = CONTROLLER["controller_workflows"]
    answers = {
        **defaults(workflow),
        # As people write them.
        "rolling_upgrade_accept_drained": "zone1-0000000102 , zone1-0000000103",
        "rolling_upgrade_override_gates": '{"no_migration_running": "none of ours, see #12"}',
        "rolling_upgrade_report_dest": str(tmp_path / "report"),
    }
    planned = awx.launch("plan", answers, workflow=7)
    assert planned.returncode == 0, planned.text[-3000:]
    handed_on = artifacts(planned)
    document = handed_on["rolling_upgrade_plan"]
    assert len(document["tablets"]) == 3
    assert document["hash"] == handed_on["rolling_upgrade_plan_hash"]
    assert awx.lab.ask("GET", "/simulation/acts") == []

    # The workflow's own variables win over artifacts.
    rolled = awx.launch("rolling_upgrade", {**handed_on, **answers}, workflow=7)
    assert rolled.returncode == 0, rolled.text[-3000:]
    assert len([act for act in awx.lab.ask("GET", "/simulation/acts") if act.startswith("Evict")]) == 3

    reported = awx.launch("report", {**handed_on, **artifacts(rolled), **answers}, workflow=7)
    assert reported.returncode == 0, reported.text[-3000:]
    report = json.loads((tmp_path / "report/vtops-report.json").read_text())
    assert (report["verdict"], report["complete"]) == ("3 of 3 tablets done", True)
    assert report["rolls"] == ["7"]


def test_another_answer_than_the_plans_is_refused(awx: Controller) -> None:
    handed_on = artifacts(awx.launch("plan", {}, workflow=8))
    refused = awx.launch("rolling_upgrade", {**handed_on, "rolling_upgrade_accept_drained": "zone1-0000000102"})
    assert refused.returncode == 2
    assert "accept_drained" in refused.text
    assert awx.lab.ask("GET", "/simulation/acts") == []


def test_a_resize_by_text_its_way_back_and_an_abort_of_nothing(awx: Controller) -> None:
    spec = json.dumps({"resources": {"mysqld": {"requests": {"cpu": "500m"}}}, "images_together": False})
    resized = awx.launch("resize", {"rolling_upgrade_spec": spec})
    assert resized.returncode == 0, resized.text[-3000:]
    assert cpus(awx.lab) == ["500m"] * 3 + ["150m"] * 3
    nothing = awx.launch("resize", {})
    assert nothing.returncode == 2
    assert "nothing is wanted" in nothing.text
    back = awx.launch("rollback", {})
    assert back.returncode == 0, back.text[-3000:]
    assert cpus(awx.lab) == ["150m"] * 6
    aborted = awx.launch("abort", {})
    assert (aborted.returncode, aborted.changed) == (0, 0), aborted.text[-3000:]


def cpus(lab: SimulatedLab) -> list[str]:
    """What the mysqlds request."""
    pods = json.loads(lab.kubectl("get", "pod", "-l", "planetscale.com/component=vttablet", "-o", "json"))["items"]
    return sorted((pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] for pod in pods), reverse=True)
