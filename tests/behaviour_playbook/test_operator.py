# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real ansible-playbook on a simulated fleet whose Pods vitess-operator owns."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.vtops.vitess.tests.kind.harness import until
from ansible_collections.vtops.vitess.tests.sim.lab import SimulatedLab

PLAYBOOK, ABORT = "vtops.vitess.rolling_upgrade", "vtops.vitess.abort"
TABLET = "zone1-0000000102"


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    """The old version runs, the new one is scheduled on the VitessKeyspace."""
    with SimulatedLab(more=("--operator",)) as simulated:
        yield simulated


def _report(lab: SimulatedLab) -> dict[str, Any]:
    found: dict[str, Any] = lab.ask("GET", "/simulation/report")
    return found


@pytest.mark.parametrize("shards_at_once", [1, 2])
def test_a_roll_with_the_operator_to_its_end_and_again(shards_at_once: int, lab: SimulatedLab) -> None:
    done = lab.play(PLAYBOOK, "-e", f"rolling_upgrade_shards_at_once={shards_at_once}", name="operator", timeout_s=600)
    assert done.returncode == 0, done.text[-3000:]
    report = _report(lab)
    assert report["violations"] == []
    assert report["versions"] == ["24.0.2"]
    assert report["most_away_per_shard"] == 1
    deleted = [act for act in report["acts"] if act.startswith(("Evict", "Delete"))]
    assert [act.partition(" ")[0] for act in deleted] == ["Delete"] * 6
    assert lab.claims_held() == []
    again = lab.play(PLAYBOOK, name="operator-again", timeout_s=300)
    assert (again.returncode, again.changed) == (0, 0), again.text[-3000:]


def test_a_roll_with_the_operator_that_was_killed_is_aborted_and_then_done(lab: SimulatedLab) -> None:
    limit = ("--limit", TABLET)
    log = lab.out / "operator-killed.log"
    process = lab.start_playbook(PLAYBOOK, *limit, log=log)
    try:
        until(lambda: "replace" in ((lab.journal().get(TABLET) or {}).get("steps") or {}), "replace", 120, 0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    aborted = lab.play(ABORT, *limit, name="operator-abort", timeout_s=300)
    assert aborted.returncode == 0, aborted.text[-3000:]
    report = _report(lab)
    assert report["violations"] == []
    assert report["types"][TABLET] == "REPLICA"
    assert lab.claims_held() == []
    marks = lab.kubectl("get", "pod", "-l", "planetscale.com/component=vttablet", "-o", "json")
    assert "rollout.planetscale.com/released" not in marks
    assert "drain.planetscale.com/started" not in marks
    done = lab.play(PLAYBOOK, *limit, name="operator-after-abort", timeout_s=300)
    assert done.returncode == 0, done.text[-3000:]
    assert _report(lab)["violations"] == []
