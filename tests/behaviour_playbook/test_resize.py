# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A resize and the way back, in real ansible-playbook runs on the simulated fleet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.vtops.vitess.tests.sim.lab import SimulatedLab

RESIZE, ROLLBACK = "vtops.vitess.resize", "vtops.vitess.rollback"
SHARD = "vitess_shard_commerce_x_80"


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    """As wanted."""
    with SimulatedLab() as simulated:
        simulated.command("fleet", "--tablets", "24.0.2")
        yield simulated


def _evicted(lab: SimulatedLab) -> list[str]:
    return [act for act in lab.ask("GET", "/simulation/acts") if act.startswith("Evict")]


def _to(cpu: str, **more: Any) -> tuple[str, str]:
    spec = {"resources": {"mysqld": {"requests": {"cpu": cpu}}}, **more}
    return "-e", json.dumps({"rolling_upgrade_spec": spec})


def _sizes(lab: SimulatedLab, resource: str) -> dict[str, str]:
    """What mysqld requests, by name of the Pod or owner."""
    found = {}
    for item in json.loads(lab.kubectl("get", resource, "-l", "planetscale.com/component=vttablet", "-o", "json"))[
        "items"
    ]:
        spec = item["spec"].get("template", item)["spec"]
        found[item["metadata"]["name"]] = spec["containers"][0]["resources"]["requests"]["cpu"]
    return found


def test_a_resize_to_its_end_again_and_back(lab: SimulatedLab) -> None:
    checked = lab.play(RESIZE, "--limit", SHARD, *_to("500m"), "--check", "--diff", name="resize-check")
    assert checked.returncode == 0, checked.text[-3000:]
    assert '"cpu": "500m"' in checked.text
    assert set(_sizes(lab, "sts").values()) == {"150m"}

    done = lab.play(RESIZE, "--limit", SHARD, *_to("500m"), name="resize", timeout_s=600)
    assert done.returncode == 0, done.text[-3000:]
    assert len(_evicted(lab)) == 3
    assert _sizes(lab, "sts") == {"commerce-x-80": "500m", "commerce-80-x": "150m"}
    assert sorted(_sizes(lab, "pod").values()) == ["150m"] * 3 + ["500m"] * 3
    assert lab.claims_held() == []

    again = lab.play(RESIZE, "--limit", SHARD, *_to("0.5"), name="resize-again", timeout_s=600)
    assert (again.returncode, again.changed) == (0, 0), again.text[-3000:]

    back = lab.play(ROLLBACK, "--limit", SHARD, name="rollback", timeout_s=600)
    assert back.returncode == 0, back.text[-3000:]
    assert set(_sizes(lab, "pod").values()) == {"150m"}
    assert len(_evicted(lab)) == 6


@pytest.mark.parametrize(
    ("limit", "arguments", "says"),
    [
        (SHARD, _to("5"), "has too little cpu (asks 5.15, 3.4 are free)"),
        ("zone1-0000000102", _to("500m"), "one spec for all of its tablets"),
        (SHARD, (), "nothing is wanted"),
        ("localhost", _to("500m"), "the selection is empty"),
    ],
    ids=["no node has room", "half an owner", "nothing wanted", "no tablet"],
)
def test_a_resize_that_is_refused_touches_nothing(
    limit: str, arguments: tuple[str, ...], says: str, lab: SimulatedLab
) -> None:
    refused = lab.play(RESIZE, "-i", "localhost,", "--limit", limit, *arguments, name="resize-refused")
    assert refused.returncode == 2, refused.text[-3000:]
    assert says in refused.text
    assert lab.ask("GET", "/simulation/acts") == []
    assert set(_sizes(lab, "sts").values()) == {"150m"}
    assert json.loads(lab.kubectl("get", "lease", "-o", "json"))["items"] == []
