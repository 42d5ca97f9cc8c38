# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""As in a container of OpenShift: any user id, that no passwd knows, without a home, a terminal, or a place to write beside the collection."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.vtops.vitess.tests.kind.harness import TOP
from ansible_collections.vtops.vitess.tests.sim.lab import SimulatedLab

PLAN, ROLL, REPORT = "vtops.vitess.plan", "vtops.vitess.rolling_upgrade", "vtops.vitess.report"
TABLET = "zone1-0000000102"
UID = 1000690000

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="there is no setpriv"),
]


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    with SimulatedLab(out=open_to_all(tmp_path_factory.mktemp("fleet"))) as simulated:
        simulated.command("fleet", "--tablets", "23.0.3")
        simulated.command("fleet", "--tablets", "24.0.2", "--spec-only")
        yield simulated


@pytest.fixture
def writable(tmp_path: Path) -> Path:
    """All that this user may write to."""
    mine = open_to_all(tmp_path) / "mine"
    mine.mkdir()
    os.chown(mine, UID, 0)
    return mine


def open_to_all(directory: Path) -> Path:
    """Somebody else may read it; pytest keeps its directories to root."""
    for place in (directory, *directory.parents):
        if "pytest-" in str(place):
            place.chmod(0o755)
    return directory


def test_any_user_without_a_home_plans_rolls_and_reports(lab: SimulatedLab, writable: Path) -> None:
    # Of root only what opens this Python, which may lie below root's home; it lets nothing be written, and access(2) does not know it.
    reads = [
        "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=+dac_read_search",
        "--bounding-set=-all,+dac_read_search",
    ]
    somebody = ["setpriv", f"--reuid={UID}", "--regid=0", "--clear-groups", *reads, "--no-new-privs"]
    bare = ["env", "-u", "USER", "-u", "LOGNAME", "-u", "PYTHONPYCACHEPREFIX", "HOME=/"]
    # docs/awx.md: Ansible itself needs a directory of its own, and another one for the modules that run as a process.
    places = [f"ANSIBLE_HOME={writable}/ansible", f"ANSIBLE_REMOTE_TMP={writable}/tmp"]
    prefix = [*somebody, *bare, *places]
    plan = writable / "plan.json"
    options = (
        "--limit",
        TABLET,
        "-e",
        f"rolling_upgrade_plan_file={plan}",
        "-e",
        f"rolling_upgrade_report_dest={writable}",
    )
    for playbook in (PLAN, ROLL, REPORT):
        played = lab.play(playbook, *options, name=f"somebody-{playbook}", timeout_s=300, prefix=prefix)
        assert played.returncode == 0, played.text[-3000:]
    assert plan.stat().st_uid == UID
    assert [entry["pod"] for entry in lab.ask("GET", "/simulation/report")["replacements"]] == ["commerce-x-80-1"]
    assert json.loads((writable / "vtops-report.json").read_text())["verdict"] == "1 of 1 tablet done"
    theirs = [str(path) for place in ("plugins", "roles", "playbooks") for path in (TOP / place).rglob("*")]
    assert [path for path in theirs if os.stat(path).st_uid == UID] == []
