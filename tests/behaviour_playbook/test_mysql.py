# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is announced of MySQL reaches the plan and every step, in real ansible-playbook runs on the simulated fleet."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ansible_collections.vtops.vitess.tests.sim.lab import SimulatedLab

ROLL = "vtops.vitess.rolling_upgrade"
SHARD = "vitess_shard_commerce_x_80"


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    """It runs MySQL 9.7, and its specs bring 26.7."""
    with SimulatedLab() as simulated:
        for item in json.loads(simulated.kubectl("get", "sts", "-o", "json"))["items"]:
            template = item["spec"]["template"]
            for container in template["spec"]["containers"]:
                if container["name"] == "mysqld":
                    container["image"] = "mysql:26.7.0"
            path = f"/apis/apps/v1/namespaces/vitess/statefulsets/{item['metadata']['name']}"
            simulated.ask("PATCH", path, {"spec": {"template": template}})
        yield simulated


def test_the_announced_series_is_planned_and_rolled(lab: SimulatedLab) -> None:
    back = lab.play(ROLL, "--limit", SHARD, "-e", "rolling_upgrade_mysql_series=8.4", name="back")
    assert back.returncode == 2
    assert "MySQL 9.7.4 -> 8.4 goes back over an upgrade of the data dictionary" in back.text
    assert lab.ask("GET", "/simulation/acts") == []
    done = lab.play(ROLL, "--limit", SHARD, "-e", "rolling_upgrade_mysql_series=26.7", name="series", timeout_s=600)
    assert done.returncode == 0, done.text[-3000:]
    assert "MySQL 9.7 -> 26.7: a tablet that was replaced has no way back" in done.text
    status = json.loads(lab.vtctldclient("GetFullStatus", "zone1-0000000101"))
    assert status["version"] == "26.7.0"
    assert lab.ask("GET", "/simulation/report")["upgraded_in_haste"] == []
