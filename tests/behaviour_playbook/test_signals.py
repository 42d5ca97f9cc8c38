# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real ansible-playbook on the simulated fleet, killed in four ways at three steps; the same command then finishes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.vtops.vitess.tests.kind.harness import until
from ansible_collections.vtops.vitess.tests.sim.lab import SimulatedLab

PLAYBOOK = "vtops.vitess.rolling_upgrade"
OLD, NEW = "23.0.3", "24.0.2"
TABLET = "zone1-0000000102"

WAYS: dict[str, Callable[[subprocess.Popen[bytes]], None]] = {
    "SIGKILL to it alone": lambda process: os.kill(process.pid, signal.SIGKILL),
    "SIGKILL to its group": lambda process: os.killpg(process.pid, signal.SIGKILL),
    "SIGTERM": lambda process: os.kill(process.pid, signal.SIGTERM),
    "Ctrl-C": lambda process: os.killpg(process.pid, signal.SIGINT),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    """A fleet whose Pods take seconds, so that there is a moment to kill in."""
    with SimulatedLab(speed=8.0, out=tmp_path_factory.mktemp("fleet")) as simulated:
        yield simulated


def _entry(lab: SimulatedLab) -> dict[str, Any]:
    entry: dict[str, Any] = lab.journal().get(TABLET) or {}
    return entry


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("step", ["drain", "replace", "readmit"])
def test_a_killed_playbook_is_finished_by_the_same_command(step: str, way: str, lab: SimulatedLab) -> None:
    lab.command("fleet", "--tablets", OLD)
    lab.command("fleet", "--tablets", NEW, "--spec-only")
    log = lab.out / "signalled.log"
    limit = ("--limit", TABLET)
    process = lab.start_playbook(PLAYBOOK, *limit, log=log)
    try:
        until(lambda: process.poll() is not None or step in (_entry(lab).get("steps") or {}), step, 120, 0.05)
        assert process.poll() is None, log.read_text()[-2000:]
        WAYS[way](process)
        process.wait(60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    rerun = lab.play(PLAYBOOK, *limit, name="signalled-rerun", timeout_s=300)
    assert rerun.returncode == 0, rerun.text[-3000:]
    report = lab.ask("GET", "/simulation/report")
    assert report["violations"] == []
    assert [entry["pod"] for entry in report["replacements"]] == ["commerce-x-80-1"]
    assert sorted(report["types"].values()) == ["PRIMARY"] * 2 + ["REPLICA"] * 4
    assert lab.claims_held() == []
    again = lab.play(PLAYBOOK, *limit, name="signalled-again", timeout_s=300)
    assert (again.returncode, again.changed) == (0, 0)
