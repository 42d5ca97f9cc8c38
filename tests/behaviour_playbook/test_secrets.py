# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Credentials of a fleet that asks for them are nowhere to be read: in no output, result, journal, report or process list."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.vtops.vitess.tests.sim.lab import Credentials, SimulatedLab

PLAN, ROLL, REPORT = "vtops.vitess.plan", "vtops.vitess.rolling_upgrade", "vtops.vitess.report"
SHARD, TABLET, NAMESPACE = "vitess_shard_commerce_x_80", "zone1-0000000102", "vitess"
TOKEN, PASSWORD = "token-Gq7vPz1tR4", "password-8KxW2mLd"
SECRETS = (TOKEN, PASSWORD)
CREDENTIALS = Credentials(TOKEN, "roller", PASSWORD)
# Of the cluster's options where the environment has none; the probe is given the same, and starts a process of its own.
PROBE = """
- hosts: {tablet}
  gather_facts: false
  module_defaults:
    group/vtops.vitess.vitess: "{{{{ rolling_upgrade_cluster }}}}"
  tasks:
    - vtops.vitess.client_probe:
        ledger: {ledger}
        vtgates: {vtgates}
        keyspace: commerce
        table: probe
        rate: 5
        state: "{{{{ item }}}}"
      loop: [started, summary, stopped]
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    """The process of a guarded fleet whose Pods take a second or two, so that there is a process list to look at."""
    with SimulatedLab(speed=8.0, out=tmp_path_factory.mktemp("fleet"), credentials=CREDENTIALS) as simulated:
        yield simulated


@pytest.fixture
def lab(fleet: SimulatedLab, monkeypatch: pytest.MonkeyPatch) -> SimulatedLab:
    """A fleet at the old version whose owners want the new one, and the environment that a credential of AWX makes."""
    fleet.command("fleet", "--tablets", "23.0.3")
    fleet.command("fleet", "--tablets", "24.0.2", "--spec-only")
    monkeypatch.setenv("K8S_AUTH_API_KEY", TOKEN)
    monkeypatch.setenv("VTGATE_USER", CREDENTIALS.user)
    monkeypatch.setenv("VTGATE_PASSWORD", PASSWORD)
    return fleet


@contextmanager
def process_list() -> Iterator[set[str]]:
    """All command lines of this machine, as long as it lasts."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
                except OSError:
                    continue

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        looking.join()


def said(secret: str, directory: Path) -> list[str]:
    """Files below a directory that hold it."""
    return [str(path) for path in directory.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def assert_silent(lab: SimulatedLab, lines: set[str], *directories: Path) -> None:
    """Neither secret is in a command line, a file, the cluster's Leases or its objects."""
    kept = json.dumps([json.loads(lab.kubectl("get", kind, "-o", "json")) for kind in ("lease", "pod", "sts")])
    for secret in SECRETS:
        assert [line for line in lines if secret in line] == []
        assert [found for directory in directories for found in said(secret, directory)] == []
        assert secret not in kept


def test_a_plan_a_roll_and_a_report_keep_the_environments_secrets(lab: SimulatedLab, tmp_path: Path) -> None:
    verbose = ("-vvv", "--diff", "--limit", SHARD)
    with process_list() as lines:
        for playbook, name in ((PLAN, "plan"), (ROLL, "roll"), (REPORT, "report")):
            to = ("-e", f"rolling_upgrade_report_dest={tmp_path}")
            played = lab.play(playbook, *verbose, *to, name=f"secrets-{name}", timeout_s=300)
            assert played.returncode == 0, played.text[-3000:]
    assert any(ROLL in line for line in lines)
    assert "3 of 3 tablets done" in (tmp_path / "vtops-report.html").read_text()
    assert len(lab.journal()) == 3
    assert_silent(lab, lines, lab.out, tmp_path)


def test_options_of_the_roles_keep_them_too(lab: SimulatedLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a file of variables, as a vault gives them; the inventory, which the environment guards, is read already."""
    for name in ("K8S_AUTH_API_KEY", "VTGATE_USER", "VTGATE_PASSWORD"):
        monkeypatch.delenv(name)
    reach = {name: lab.facts[name] for name in ("kubeconfig", "context", "namespace")}
    cluster = {**reach, "api_key": TOKEN, "login_user": CREDENTIALS.user, "login_password": PASSWORD}
    vault, files = tmp_path / "vault.json", tmp_path / "files"
    vault.write_text(json.dumps({"rolling_upgrade_cluster": cluster}))
    files.mkdir()
    inventory = tmp_path / "tablets.json"
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    inventory.write_text(json.dumps({"vitess_tablets": {"hosts": {TABLET: local}}}))
    probe = tmp_path / "probe.yml"
    vtgates = json.dumps([f"{vtgate['host']}:{vtgate['port']}" for vtgate in lab.facts["vtgates"]])
    probe.write_text(PROBE.format(tablet=TABLET, ledger=files / "probe", vtgates=vtgates))
    given = ("-vvv", "-e", f"@{vault}")
    with process_list() as lines:
        for playbook, name in ((str(probe), "probe"), (PLAN, "plan"), (ROLL, "roll"), (REPORT, "report")):
            to = ("-e", f"rolling_upgrade_report_dest={files}")
            played = lab.play(playbook, *given, *to, name=f"vaulted-{name}", timeout_s=300, inventory=inventory)
            assert played.returncode == 0, played.text[-3000:]
    assert_silent(lab, lines, lab.out, files)


@pytest.mark.parametrize(
    ("name", "says"),
    [("K8S_AUTH_API_KEY", "401"), ("VTGATE_PASSWORD", "Access denied for user 'roller'")],
    ids=["token", "password"],
)
def test_a_refused_credential_is_not_repeated(
    name: str, says: str, lab: SimulatedLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "wrong-5tYb9QcA"
    monkeypatch.setenv(name, wrong)
    refused = lab.play(PLAN, "-vvv", name="refused", timeout_s=120)
    assert refused.returncode != 0
    assert says in refused.text
    assert wrong not in refused.text
    assert lab.ask("GET", "/simulation/acts") == []
