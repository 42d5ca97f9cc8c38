# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What docs/including.md shows is run as it stands there, in real ansible-playbook runs on the simulated fleet."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ansible_collections.vtops.vitess.tests.behaviour_playbook.test_other_host import CONNECTION, Agent
from ansible_collections.vtops.vitess.tests.kind.harness import TOP
from ansible_collections.vtops.vitess.tests.sim.lab import Credentials, SimulatedLab

PAGE = (TOP / "docs/including.md").read_text(encoding="utf-8")
BLOCKS: dict[str, str] = dict(re.findall(r"```(?:yaml|ini)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))
PRIMARY, TABLET, SIBLING = "zone1-0000000101", "zone1-0000000102", "zone1-0000000103"
CREDENTIALS = Credentials("token-of-a-pod", "roller", "password-of-a-pod")
# Where Kubernetes puts a Pod's ServiceAccount, in a mount namespace of its own.
IN_A_POD = """
set -e
mount -t tmpfs tmpfs /var/run/.
mkdir -p /var/run/secrets/kubernetes.io/serviceaccount
cd /var/run/secrets/kubernetes.io/serviceaccount
printf %s "$POD_TOKEN" > token
cp "$POD_CA" ca.crt
cd "$OLDPWD"
exec "$@"
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    with SimulatedLab(out=tmp_path_factory.mktemp("fleet")) as simulated:
        yield simulated


@pytest.fixture
def lab(fleet: SimulatedLab) -> SimulatedLab:
    """A fleet at the old version whose owners want the new one."""
    fleet.command("fleet", "--tablets", "23.0.3")
    fleet.command("fleet", "--tablets", "24.0.2", "--spec-only")
    return fleet


@pytest.fixture
def page(lab: SimulatedLab, tmp_path: Path) -> Path:
    """The directory with the page's files, and the inventory beside them."""
    for name, text in BLOCKS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    shutil.copy(lab.inventory, tmp_path / "lab.vitess.yml")
    return tmp_path


def replaced(lab: SimulatedLab) -> list[str]:
    report: dict[str, Any] = lab.ask("GET", "/simulation/report")
    assert report["violations"] == []
    return [entry["pod"] for entry in report["replacements"]]


def acts(lab: SimulatedLab) -> list[str]:
    found: list[str] = lab.ask("GET", "/simulation/acts")
    return found


def test_each_block_of_yaml_is_run_here() -> None:
    assert set(BLOCKS) == {
        "role.yml",
        "decide.yml",
        "steps.yml",
        "bastion.yml",
        "delegated.yml",
        "pod.vitess.yml",
        "ansible.cfg",
    }
    assert len(BLOCKS) == len(re.findall(r"^```(?:yaml|ini)$", PAGE, re.MULTILINE))


def test_the_role_in_a_serial_play_of_ones_own(lab: SimulatedLab, page: Path) -> None:
    played = lab.play(str(page / "role.yml"), name="role", timeout_s=300, inventory=page / "lab.vitess.yml")
    assert played.returncode == 0, played.text[-3000:]
    assert (page / "done.txt").read_text().split() == [TABLET, SIBLING]
    assert replaced(lab) == ["commerce-x-80-1", "commerce-x-80-2"]
    assert lab.claims_held() == []


def test_a_decision_on_what_is_left(lab: SimulatedLab, page: Path) -> None:
    played = lab.play(str(page / "decide.yml"), name="decide", inventory=page / "lab.vitess.yml")
    assert (played.returncode, played.changed) == (0, 0), played.text[-3000:]
    assert len(re.findall(r'^        "zone1-', played.text, re.MULTILINE)) == 6
    assert acts(lab) == []


def test_a_tablet_is_out_for_other_work_and_back(lab: SimulatedLab, page: Path) -> None:
    played = lab.play(str(page / "steps.yml"), name="steps", timeout_s=300, inventory=page / "lab.vitess.yml")
    assert played.returncode == 0, played.text[-3000:]
    assert [act.split()[0] for act in acts(lab) if TABLET in act] == ["ChangeTabletType"] * 2
    assert replaced(lab) == []
    assert lab.ask("GET", "/simulation/report")["types"][TABLET] == "REPLICA"
    assert lab.claims_held() == []


@pytest.fixture
def bastion(lab: SimulatedLab, page: Path) -> Iterator[Agent]:
    """Another host, which knows how to reach the cluster: a shell that ansible-playbook did not start, in ssh's place."""
    (page / "elsewhere.py").write_text(CONNECTION)
    elsewhere = {
        "ansible_connection: ssh": "ansible_connection: elsewhere",
        "ansible_host: bastion.example.com": f"elsewhere_agent: {page}/agent",
        "/opt/vtops/bin/python": sys.executable,
        "/etc/vtops/kubeconfig": lab.facts["kubeconfig"],
    }
    text = BLOCKS["bastion.yml"]
    for printed, here in elsewhere.items():
        assert printed in text
        text = text.replace(printed, here)
    (page / "bastion.yml").write_text(text, encoding="utf-8")
    (page / "hosts.yml").write_text(
        f"all:\n  hosts:\n    bastion:\n      ansible_connection: elsewhere\n      elsewhere_agent: {page}/agent\n"
        f"      ansible_python_interpreter: {sys.executable}\n      vtops_kubeconfig: {lab.facts['kubeconfig']}\n"
    )
    running = Agent(str(page / "agent"))
    yield running
    running.close()


def test_a_roll_by_the_modules_of_a_bastion(
    lab: SimulatedLab, page: Path, bastion: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_CONNECTION_PLUGINS", str(page))
    rolled = lab.play(
        "vtops.vitess.rolling_upgrade", "--limit", TABLET, name="bastion", timeout_s=300, inventory=page / "bastion.yml"
    )
    assert rolled.returncode == 0, rolled.text[-3000:]
    assert replaced(lab) == ["commerce-x-80-1"]
    assert any("AnsiballZ_pod_replace" in command for command in bastion.commands)


def test_a_module_that_is_delegated_to_a_bastion(
    lab: SimulatedLab, page: Path, bastion: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_CONNECTION_PLUGINS", str(page))
    asked = lab.play(str(page / "delegated.yml"), name="delegated", inventory=page / "hosts.yml")
    assert asked.returncode == 0, asked.text[-3000:]
    assert asked.text.count('"zone1-') == 6
    assert any("AnsiballZ_fleet_info" in command for command in bastion.commands)


def test_a_pod_uses_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("only root can have a mount namespace of its own")
    inventory = tmp_path / "pod.vitess.yml"
    inventory.write_text(BLOCKS["pod.vitess.yml"])
    with SimulatedLab(out=tmp_path / "fleet", credentials=CREDENTIALS) as lab:
        lab.command("fleet", "--tablets", "23.0.3")
        lab.command("fleet", "--tablets", "24.0.2", "--spec-only")
        address = urlsplit(lab.facts["url"])
        for name, value in {
            "HOME": str(tmp_path),  # no kubeconfig there
            "KUBERNETES_SERVICE_HOST": address.hostname,
            "KUBERNETES_SERVICE_PORT": str(address.port),
            "POD_TOKEN": CREDENTIALS.token,
            "POD_CA": lab.facts["ca_cert"],
            "VTGATE_USER": CREDENTIALS.user,
            "VTGATE_PASSWORD": CREDENTIALS.password,
        }.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.delenv("KUBECONFIG", raising=False)
        prefix = ["unshare", "-m", "sh", "-c", IN_A_POD, "pod"]
        limit = ("--limit", TABLET)
        rolled = lab.play(
            "vtops.vitess.rolling_upgrade", *limit, name="pod", timeout_s=300, inventory=inventory, prefix=prefix
        )
        assert rolled.returncode == 0, rolled.text[-3000:]
        assert replaced(lab) == ["commerce-x-80-1"]


def test_an_inventory_that_cannot_be_read_fails_also_with_a_limit(
    lab: SimulatedLab, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = page / "broken.vitess.yml"
    broken.write_text("plugin: vtops.vitess.fleet\nkubeconfig: /nowhere\nnamespace: vitess\n")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(page / "ansible.cfg"))
    for limit in ((), ("--limit", TABLET)):
        assert lab.play("vtops.vitess.rolling_upgrade", *limit, name="broken", inventory=broken).returncode != 0
