# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A roll is killed, reported, finished and reported again, in real ansible-playbook runs on the simulated fleet."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vtops.vitess.tests.kind.harness import until
from ansible_collections.vtops.vitess.tests.sim.lab import SimulatedLab

REPORT, ROLL = "vtops.vitess.report", "vtops.vitess.rolling_upgrade"
OLD, NEW = "23.0.3", "24.0.2"
SHARD, TABLET = "vitess_shard_commerce_x_80", "zone1-0000000102"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[SimulatedLab]:
    """A fleet whose Pods take seconds, at the old version, its specs at the new one."""
    with SimulatedLab(speed=8.0, out=tmp_path / "fleet") as simulated:
        simulated.command("fleet", "--tablets", OLD)
        simulated.command("fleet", "--tablets", NEW, "--spec-only")
        yield simulated


def test_a_roll_that_was_killed_and_finished_is_reported_both_times(lab: SimulatedLab, tmp_path: Path) -> None:
    limit, dest = ("--limit", SHARD), tmp_path / "reports"
    to = (*limit, "-e", f"rolling_upgrade_report_dest={dest}")

    def report() -> dict[str, Any]:
        data: dict[str, Any] = json.loads((dest / "vtops-report.json").read_text())
        return data

    checked = lab.play(REPORT, *to, "--check", name="report-check")
    assert (checked.returncode, checked.changed) == (0, 1), checked.text[-3000:]
    assert not dest.exists()
    nothing = lab.play(REPORT, *to, name="report-nothing")
    assert nothing.returncode == 0, nothing.text[-3000:]
    assert report()["verdict"].startswith("No roll")

    process = lab.start_playbook(ROLL, *limit, log=lab.out / "killed.log")
    until(lambda: "replace" in (lab.journal().get(TABLET) or {}).get("steps", {}), "the eviction", 120, 0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    killed = lab.play(REPORT, *to, name="report-killed")
    assert (killed.returncode, killed.changed) == (0, 1), killed.text[-3000:]
    assert report()["verdict"] == "0 of 3 tablets done, 1 in flight, 2 left"
    assert f"{TABLET}: in flight" in killed.text
    assert report()["next_command"].startswith("run the same playbook again")

    done = lab.play(ROLL, *limit, name="finish", timeout_s=600)
    assert done.returncode == 0, done.text[-3000:]
    writes = lab.ask("GET", "/simulation/acts")
    finished = lab.play(REPORT, *to, name="report-finished")
    assert (finished.returncode, finished.changed) == (0, 1), finished.text[-3000:]
    data = report()
    assert (data["verdict"], data["complete"]) == ("3 of 3 tablets done", True)
    assert len(data["rolls"]) == 2
    (shard,) = data["shards"]
    assert (shard["away_at_once"], shard["still_away"], len(shard["reparents"])) == (1, 0, 1)
    assert {t["image_before"] for t in shard["tablets"]} == {f"vitess/lite:v{OLD}"}
    assert {t["image_now"] for t in shard["tablets"]} == {f"vitess/lite:v{NEW}"}
    page = (dest / "vtops-report.html").read_bytes()
    assert b"3 of 3 tablets done" in page

    again = lab.play(REPORT, *to, name="report-again")
    assert (again.returncode, again.changed) == (0, 0), again.text[-3000:]
    assert (dest / "vtops-report.html").read_bytes() == page
    assert lab.ask("GET", "/simulation/acts") == writes

    empty = lab.play(REPORT, "--limit", "localhost", name="report-empty")
    assert empty.returncode != 0
