# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook recover on the simulated fleet: what is well is left alone, what ails is brought back, what may not be is reported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.vtops.vitess.tests.kind.harness import until
from ansible_collections.vtops.vitess.tests.sim.lab import SimulatedLab

RECOVER, REPORT = "vtops.vitess.recover", "vtops.vitess.report"
WAITS = {f"tablet_recovery_{name}_wait": 3 for name in ("owner", "node", "process", "replication")}
QUICK = ("-e", json.dumps({**WAITS, "tablet_recovery_primary_wait": 20}))


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    """As wanted."""
    with SimulatedLab() as simulated:
        simulated.command("fleet", "--tablets", "24.0.2")
        yield simulated


def fail(lab: SimulatedLab, *how: str) -> None:
    lab.ask("POST", f"/simulation/fail?how={','.join(how)}")


def acts(lab: SimulatedLab) -> list[str]:
    found: list[str] = lab.ask("GET", "/simulation/acts")
    return found


def report(lab: SimulatedLab) -> dict[str, Any]:
    found: dict[str, Any] = lab.ask("GET", "/simulation/report")
    return found


def test_a_fleet_that_is_well_is_left_alone_and_an_empty_selection_fails(lab: SimulatedLab) -> None:
    well = lab.play(RECOVER, name="recover-well")
    assert (well.returncode, well.changed) == (0, 0), well.text[-3000:]
    assert "6 tablets, none is away by itself" in well.text
    empty = lab.play(RECOVER, "-i", "localhost,", "--limit", "localhost", name="recover-empty")
    assert empty.returncode != 0
    assert "the selection is empty" in empty.text
    assert acts(lab) == []


def test_what_ails_in_two_shards_is_brought_back_and_reported(lab: SimulatedLab) -> None:
    fail(lab, "crash", "zone1-0000000102", "mysqld")
    fail(lab, "crash", "zone1-0000000201", "vttablet")
    until(lambda: any(act.startswith("Emergency") for act in acts(lab)), "vtorc's election", 60)
    checked = lab.play(RECOVER, *QUICK, "--check", name="recover-check")
    assert checked.returncode == 0, checked.text[-3000:]
    assert checked.changed == 2
    assert not any(act.startswith("Evict") for act in acts(lab))

    done = lab.play(RECOVER, *QUICK, name="recover", timeout_s=300)
    assert done.returncode == 0, done.text[-4000:]
    assert sorted(act for act in acts(lab) if act.startswith("Evict")) == [
        "Evict commerce-80-x-0",
        "Evict commerce-x-80-1",
    ]
    seen = report(lab)
    assert seen["violations"] == []
    assert (seen["types"]["zone1-0000000102"], seen["types"]["zone1-0000000201"]) == ("REPLICA", "REPLICA")
    assert lab.claims_held() == []
    assert all(lab.journal()[alias]["finished"] for alias in ("zone1-0000000102", "zone1-0000000201"))

    again = lab.play(RECOVER, *QUICK, name="recover-again")
    assert (again.returncode, again.changed) == (0, 0), again.text[-3000:]
    told = lab.play(REPORT, "-e", f"rolling_upgrade_report_dest={lab.out}", name="recover-report")
    assert told.returncode == 0, told.text[-3000:]
    tablets = {
        t["tablet"]: t for s in json.loads((lab.out / "vtops-report.json").read_text())["shards"] for t in s["tablets"]
    }
    assert tablets["zone1-0000000102"]["note"].startswith("brought back: it was away by itself")


def test_one_that_may_not_be_acted_on_keeps_no_other_from_coming_back_and_fails_the_run(lab: SimulatedLab) -> None:
    fail(lab, "lose_node", "worker-2")
    fail(lab, "stop_replication", "zone1-0000000103")
    lost = lab.play(RECOVER, *QUICK, name="recover-lost", timeout_s=300)
    assert lost.returncode == 2, lost.text[-4000:]
    assert "node worker-2 is not Ready" in lost.text
    assert "out-of-service" in lost.text
    assert not any(act.startswith(("Evict", "Delete")) for act in acts(lab))
