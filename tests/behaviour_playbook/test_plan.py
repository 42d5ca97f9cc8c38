# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan is written, approved and done exactly, in real ansible-playbook runs on the simulated fleet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.vtops.vitess.tests.sim.lab import SimulatedLab

PLAN, ROLL, REPORT = "vtops.vitess.plan", "vtops.vitess.rolling_upgrade", "vtops.vitess.report"
OLD, NEW, NEWER = "23.0.3", "24.0.2", "24.0.3"
SHARD = "vitess_shard_commerce_x_80"


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    """At the old version, its specs at the new one."""
    with SimulatedLab() as simulated:
        simulated.command("fleet", "--tablets", OLD)
        simulated.command("fleet", "--tablets", NEW, "--spec-only")
        yield simulated


def _acts(lab: SimulatedLab) -> list[str]:
    acts: list[str] = lab.ask("GET", "/simulation/acts")
    return acts


def test_an_approved_plan_is_done_exactly_or_not_at_all(lab: SimulatedLab) -> None:
    file = lab.out / "vtops-plan.json"  # where the playbook was started
    file.unlink(missing_ok=True)
    checked = lab.play(PLAN, "--limit", SHARD, "--check", name="plan-check-only")
    assert checked.returncode == 0, checked.text[-3000:]
    assert not file.exists()
    planned = lab.play(PLAN, "--limit", SHARD, name="plan")
    assert planned.returncode == 0, planned.text[-3000:]
    document = json.loads(file.read_text())
    assert f"{file}: {document['hash']}" in planned.text
    assert [entry["action"] for entry in document["tablets"]] == ["replace"] * 3
    assert _acts(lab) == []

    by_plan = ("-e", "rolling_upgrade_plan=vtops-plan.json")
    first = document["tablets"][0]["tablet"]
    half = lab.play(ROLL, "--limit", first, *by_plan, name="half")
    assert half.returncode == 2
    assert "the selection leaves out what the plan has" in half.text

    lab.command("fleet", "--tablets", NEWER, "--spec-only")
    moved = lab.play(ROLL, *by_plan, name="moved")
    assert moved.returncode == 2
    assert "the world has moved since the plan was made" in moved.text
    assert "its owner's spec says" in moved.text
    assert _acts(lab) == []

    lab.command("fleet", "--tablets", NEW, "--spec-only")
    done = lab.play(ROLL, *by_plan, name="by-plan", timeout_s=600)
    assert done.returncode == 0, done.text[-3000:]
    evicted = [act for act in _acts(lab) if act.startswith("Evict")]
    assert len(evicted) == 3
    again = lab.play(ROLL, *by_plan, name="by-plan-again", timeout_s=600)
    assert (again.returncode, again.changed) == (0, 0), again.text[-3000:]


def test_the_plan_itself_does_in_place_of_a_file_and_an_edited_one_does_not(lab: SimulatedLab, tmp_path: Path) -> None:
    """As an AWX workflow hands it on, as a variable."""
    file = tmp_path / "plan.json"
    assert lab.play(PLAN, "--limit", SHARD, "-e", f"rolling_upgrade_plan_file={file}", name="plan").returncode == 0
    document = json.loads(file.read_text())
    checked = lab.play(ROLL, "--check", "-e", json.dumps({"rolling_upgrade_plan": document}), name="plan-check")
    assert checked.returncode == 0, checked.text[-3000:]
    assert all(entry["tablet"] in checked.text for entry in document["tablets"])
    document["tablets"].reverse()
    edited = lab.play(ROLL, "-e", json.dumps({"rolling_upgrade_plan": document}), name="plan-edited")
    assert edited.returncode == 2
    assert "the plan was edited" in edited.text
    nothing = lab.play(ROLL, "-e", json.dumps({"rolling_upgrade_plan": {}}), name="plan-nothing")
    assert nothing.returncode == 2
    assert "the plan has format None" in nothing.text
    assert _acts(lab) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [("not a plan", "could not parse JSON"), ("", "could not parse JSON"), ("{}", "format None"), (None, "plan.json")],
    ids=["no JSON", "empty", "an empty dict", "missing"],
)
def test_a_file_that_is_no_plan_never_means_a_plan_of_now(
    lab: SimulatedLab, tmp_path: Path, content: str | None, reason: str
) -> None:
    file = tmp_path / "plan.json"
    if content is not None:
        file.write_text(content)
    refused = lab.play(ROLL, "-e", f"rolling_upgrade_plan={file}", name="plan-broken")
    assert refused.returncode == 2, refused.text[-3000:]
    assert reason in refused.text
    assert _acts(lab) == []


def test_a_plan_that_is_kept_in_the_cluster_is_done_by_its_hash(lab: SimulatedLab) -> None:
    """As by jobs in containers of their own: nothing but the hash goes from one to the other."""
    keep = ("-e", "rolling_upgrade_plan_in_cluster=true")
    planned = lab.play(PLAN, "--limit", SHARD, *keep, name="plan-kept")
    assert planned.returncode == 0, planned.text[-3000:]
    (digest,) = re.findall(r"in the cluster: ([0-9a-f]{64})", planned.text)
    assert (planned.changed, lab.play(PLAN, "--limit", SHARD, *keep, name="plan-kept-again").changed) == (1, 0)
    other = lab.play(ROLL, "-e", f"rolling_upgrade_plan={'b' * 64}", name="by-another-hash")
    assert other.returncode == 2
    assert "no plan of hash bbbb" in other.text
    done = lab.play(ROLL, "-e", f"rolling_upgrade_plan={digest}", name="by-hash", timeout_s=600)
    assert done.returncode == 0, done.text[-3000:]
    assert len([act for act in _acts(lab) if act.startswith("Evict")]) == 3
    reported = lab.play(REPORT, "--limit", SHARD, "-e", f"rolling_upgrade_plan={digest}", name="report-by-hash")
    assert reported.returncode == 0, reported.text[-3000:]
    assert json.loads((lab.out / "vtops-report.json").read_text())["forecast"]["hash"] == digest


@pytest.mark.parametrize("playbook", [PLAN, ROLL, "vtops.vitess.abort", "vtops.vitess.report", "vtops.vitess.resize"])
def test_an_inventory_that_cannot_be_read_fails(playbook: str, lab: SimulatedLab, tmp_path: Path) -> None:
    """It is empty then, and plays without hosts are green with nothing done."""
    broken = tmp_path / "broken.vitess.yml"
    broken.write_text("plugin: vtops.vitess.fleet\nhost: http://127.0.0.1:9\nnamespace: vitess\n", encoding="utf-8")
    played = lab.play(playbook, name="broken", inventory=broken)
    assert played.returncode == 2
    assert "the selection is empty" in played.text, played.text[-3000:]
