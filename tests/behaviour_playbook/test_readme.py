# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the README prints is run as it stands there, on the simulated fleet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.vtops.vitess.tests.sim.lab import SimulatedLab

README = Path(__file__).resolve().parents[2] / "README.md"
PLAYBOOK = "vtops.vitess.rolling_upgrade"
TABLET, SIBLING, PRIMARY = "zone1-0000000102", "zone1-0000000103", "zone1-0000000101"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    """Tablets at v23 whose owners want v24."""
    with SimulatedLab(out=tmp_path_factory.mktemp("fleet")) as simulated:
        simulated.command("fleet", "--tablets", "23.0.3")
        simulated.command("fleet", "--tablets", "24.0.2", "--spec-only")
        yield simulated


@pytest.fixture
def inventory(lab: SimulatedLab, tmp_path: Path) -> Path:
    """The README's static inventory; only where the cluster is differs."""
    (text,) = re.findall(r"```yaml\n# tablets\.yml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    for printed, here in {"~/.kube/config": "kubeconfig", "my-cluster": "context", "vitess\n": "namespace"}.items():
        assert f": {printed}" in text
        text = text.replace(f": {printed}", f": {lab.facts[here]}" + "\n" * printed.endswith("\n"))
    path = tmp_path / "tablets.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_static_inventory_plans_its_shard_replicas_first(lab: SimulatedLab, inventory: Path) -> None:
    planned = lab.play(PLAYBOOK, "--check", name="readme-check", timeout_s=120, inventory=inventory)
    assert planned.returncode == 0, planned.text[-3000:]
    assert re.findall(r"\d\. (\S+) commerce/-80 \S+ replace:", planned.text) == [TABLET, SIBLING, PRIMARY]
    assert lab.journal() == {}


def test_the_static_inventory_rolls_a_tablet(lab: SimulatedLab, inventory: Path) -> None:
    rolled = lab.play(PLAYBOOK, "--limit", TABLET, name="readme", timeout_s=120, inventory=inventory)
    assert rolled.returncode == 0, rolled.text[-3000:]
    assert [entry["pod"] for entry in lab.ask("GET", "/simulation/report")["replacements"]] == ["commerce-x-80-1"]
