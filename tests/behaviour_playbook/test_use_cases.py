# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The use cases, in real ansible-playbook runs on the simulated fleet, under the probe's clients where they are to end well."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vtops.vitess.tests.kind.demo import harmed
from ansible_collections.vtops.vitess.tests.kind.harness import watched
from ansible_collections.vtops.vitess.tests.sim.lab import SimulatedLab

VITESS, MYSQL, NODE = (f"vtops.vitess.{name}" for name in ("vitess_upgrade", "mysql_upgrade", "node_maintenance"))
SHARD = "vitess_shard_commerce_x_80"
THREE = ("--nodes", "3")


def images(lab: SimulatedLab, resource: str) -> set[str]:
    items = json.loads(lab.kubectl("get", resource, "-o", "json"))["items"]
    return {
        c["image"] for item in items for c in item["spec"]["template"]["spec"]["containers"] if c["name"] != "mysqld"
    }


def cordoned(lab: SimulatedLab, node: str) -> bool:
    found = lab.ask("GET", f"/api/v1/nodes/{node}")
    return bool(found["spec"].get("unschedulable"))


def placed(lab: SimulatedLab) -> dict[str, str]:
    """Tablets' Pods and their nodes."""
    items = json.loads(lab.kubectl("get", "pod", "-l", "planetscale.com/component=vttablet", "-o", "json"))["items"]
    return {item["metadata"]["name"]: item["spec"]["nodeName"] for item in items}


def acts(lab: SimulatedLab) -> list[str]:
    found: list[str] = lab.ask("GET", "/simulation/acts")
    return found


def test_vitess_is_upgraded_tablets_first() -> None:
    with SimulatedLab(old="23.0.3", new="23.0.3") as lab:
        image = ("-e", "rolling_upgrade_vitess_image=vitess/lite:v24.0.2")
        part = lab.play(VITESS, "--limit", SHARD, *image, name="vitess-shard", timeout_s=600)
        assert part.returncode == 0, part.text[-3000:]
        assert "the whole fleet): vtctld, vtgate, vtorc" in part.text
        early = ["-e", json.dumps({"rolling_upgrade_components": ["vtgate"]})]
        refused = lab.play(VITESS, "--limit", SHARD, *image, *early, name="vitess-early", timeout_s=600)
        assert refused.returncode == 2
        assert "vtgate comes after them" in refused.text
        assert images(lab, "deployment") == {"vitess/lite:v23.0.3"}
        # The probe keeps connections to vtgates by address; those that leave are for tests/behaviour/test_components.py.
        tablets = ["-e", json.dumps({"rolling_upgrade_components": []})]
        with watched(lab, "vitess-upgrade", rate=6.0) as ledger:
            done = lab.play(VITESS, *image, *tablets, name="vitess-tablets", timeout_s=600)
        assert done.returncode == 0, done.text[-3000:]
        assert not harmed(ledger)
        done = lab.play(VITESS, *image, name="vitess-upgrade", timeout_s=600)
        assert done.returncode == 0, done.text[-3000:]
        assert images(lab, "deployment") == images(lab, "sts") == {"vitess/lite:v24.0.2"}
        again = lab.play(VITESS, *image, name="vitess-again", timeout_s=600)
        assert (again.returncode, again.changed) == (0, 0), again.text[-3000:]
        assert lab.claims_held() == []


def test_mysql_is_upgraded_only_to_the_series_that_was_announced() -> None:
    with SimulatedLab(old="24.0.2", new="24.0.2") as lab:
        image = ("-e", "rolling_upgrade_mysqld_image=mysql:26.7.0", "--limit", SHARD)
        for arguments, says in (
            ((), "the MySQL series is not announced"),
            (("-e", "rolling_upgrade_mysql_series='8.4'"), "but the tag of mysql:26.7.0 says 26.7"),
        ):
            refused = lab.play(MYSQL, *image, *arguments, name="mysql-refused")
            assert refused.returncode == 2
            assert says in refused.text, refused.text[-3000:]
        before = json.loads(lab.kubectl("get", "sts", "-o", "json"))["items"]
        assert all(item["metadata"]["generation"] == 1 for item in before)
        back = ("-e", "rolling_upgrade_mysqld_image=mysql:8.4.6", "-e", "rolling_upgrade_mysql_series='8.4'")
        refused = lab.play(MYSQL, "--limit", SHARD, *back, name="mysql-back")
        assert "goes back over an upgrade of the data dictionary" in refused.text
        assert acts(lab) == []
        with watched(lab, "mysql-upgrade", rate=6.0) as ledger:
            done = lab.play(MYSQL, *image, "-e", "rolling_upgrade_mysql_series='26.7'", name="mysql", timeout_s=600)
        assert done.returncode == 0, done.text[-3000:]
        assert not harmed(ledger)
        assert json.loads(lab.vtctldclient("GetFullStatus", "zone1-0000000101"))["version"] == "26.7.0"


def test_a_node_is_emptied_and_given_back() -> None:
    with SimulatedLab(old="24.0.2", new="24.0.2", more=(*THREE, "--movable")) as lab:
        node = ("-e", "rolling_upgrade_node=worker-2")
        checked = lab.play(NODE, *node, "--check", name="node-check")
        assert checked.returncode == 0, checked.text[-3000:]
        assert (acts(lab), cordoned(lab, "worker-2")) == ([], False)
        with watched(lab, "node", rate=6.0) as ledger:
            done = lab.play(NODE, *node, name="node", timeout_s=600)
        assert done.returncode == 0, done.text[-3000:]
        assert not harmed(ledger)
        assert "worker-2" not in placed(lab).values()
        assert (cordoned(lab, "worker-2"), lab.claims_held()) == (False, [])
        assert len([act for act in acts(lab) if act.startswith("Evict")]) == 2


def in_place(lab: SimulatedLab, tmp_path: Path, node: str) -> tuple[str, ...]:
    """The arguments; the hook asks the simulation for the reboot, on the node, which is this machine here."""
    hook, nodes = tmp_path / "reboot.yml", tmp_path / "nodes.ini"
    nodes.write_text(f"{node} ansible_connection=local ansible_python_interpreter={sys.executable}\n", encoding="utf-8")
    url = f"{lab.facts['url']}/simulation/reboot?node={node}&seconds=3"
    task: list[dict[str, Any]] = [
        {"name": "Reboot it", "ansible.builtin.uri": {"url": url, "method": "POST"}, "changed_when": True}
    ]
    hook.write_text(json.dumps(task), encoding="utf-8")
    options = {
        "rolling_upgrade_node": node,
        "rolling_upgrade_node_in_place": True,
        "rolling_upgrade_node_hook": str(hook),
    }
    return "-i", str(nodes), "-e", json.dumps(options)


def test_a_node_is_rebooted_with_its_tablets_on_it(tmp_path: Path) -> None:
    with SimulatedLab(old="24.0.2", new="24.0.2", more=THREE) as lab:
        before = placed(lab)
        with watched(lab, "node-in-place", rate=6.0) as ledger:
            arguments = (*in_place(lab, tmp_path, "worker-2"), "--limit", "vitess_tablets")
            done = lab.play(NODE, *arguments, name="node-in-place", timeout_s=600)
        assert done.returncode == 0, done.text[-3000:]
        assert "-> worker-2" in done.text
        assert not harmed(ledger)
        assert placed(lab) == before
        assert [act for act in acts(lab) if act.startswith("Reboot")] == [
            "Reboot commerce-x-80-1",
            "Reboot commerce-80-x-0",
        ]
        assert (cordoned(lab, "worker-2"), lab.claims_held()) == (False, [])


@pytest.mark.parametrize(
    ("limit", "says"),
    [("all", "two of a shard would be away"), (SHARD, "also runs"), ("worker-2", "the selection is empty")],
    ids=["two of a shard", "a part of its tablets", "no tablet"],
)
def test_a_reboot_in_place_that_would_take_too_much_is_refused(limit: str, says: str, tmp_path: Path) -> None:
    with SimulatedLab(old="24.0.2", new="24.0.2") as lab:
        refused = lab.play(NODE, *in_place(lab, tmp_path, "worker-2"), "--limit", limit, name="node-refused")
        assert refused.returncode == 2, refused.text[-3000:]
        assert says in refused.text
        assert (acts(lab), cordoned(lab, "worker-2")) == ([], False)


def test_a_maintenance_that_stops_before_the_hook_gives_the_node_back_and_says_why(tmp_path: Path) -> None:
    with SimulatedLab(old="24.0.2", new="24.0.2", more=THREE) as lab:
        lab.pause("a disk alarm")
        arguments = (*in_place(lab, tmp_path, "worker-3"), "--limit", "vitess_tablets")
        stopped = lab.play(NODE, *arguments, name="node-stopped", timeout_s=600)
        assert stopped.returncode == 2, stopped.text[-3000:]
        (said,) = re.findall(r'"msg": "(paused: [^"]*)"}', stopped.text.partition("Stop before the maintenance")[2])
        assert "a disk alarm" in said
        assert "not back" not in said
        assert (acts(lab), cordoned(lab, "worker-3"), lab.claims_held()) == ([], False, [])
