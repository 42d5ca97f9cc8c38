# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.clients.login import Login
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process
from ansible_collections.vtops.vitess.plugins.module_utils.probe import process as probe
from ansible_collections.vtops.vitess.plugins.module_utils.probe.load import Settings
from ansible_collections.vtops.vitess.plugins.module_utils.probe.process import (
    Plan,
    compared,
    start,
    state_of,
    stop,
    summary,
)
from ansible_collections.vtops.vitess.plugins.module_utils.probe.vtgate import Layout, ProbeError, Target

TARGETS = (Target("a", "192.0.2.1", 3306),)


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_vtgate: Any) -> Plan:
    """A run against a vtgate in memory: the forked process takes it along."""
    fake = fake_vtgate()
    monkeypatch.setattr(probe, "Dialler", lambda targets, login, timeout: fake.dialler("a"))
    monkeypatch.setattr(probe, "look_at", lambda dialler, keyspace, table: Layout(("-80", "80-"), "hash"))
    settings = Settings("commerce", "probe", rate=50.0)
    return Plan(TARGETS, Login("app", "pa55word"), settings, str(tmp_path / "ledger"), deadline=60.0)


def wait_for_lines(ledger: str, count: int) -> None:
    """Follow the ledger until it has so many lines (or the test's own time limit ends it)."""
    with subprocess.Popen(["timeout", "20", "tail", "-n", "+1", "-f", ledger], stdout=subprocess.PIPE) as tail:
        assert tail.stdout is not None
        for _number in range(count):
            assert tail.stdout.readline(), "the ledger does not grow"
        tail.kill()


def test_it_runs_in_a_session_of_its_own_without_our_files_and_is_summed_up_when_stopped(plan: Plan):
    inside, outside = os.pipe()
    state, changed = start(plan, None)
    try:
        os.close(outside)
        assert changed
        assert state.running
        assert os.getsid(state.pid) not in (os.getsid(0), 0)
        kinds = [os.stat(f"/proc/{state.pid}/fd/{fd}").st_mode for fd in os.listdir(f"/proc/{state.pid}/fd")]
        assert not [mode for mode in kinds if stat.S_ISFIFO(mode)], "a pipe would keep Ansible's task waiting"
        assert os.read(inside, 1) == b"", "nobody else holds our pipe"
        wait_for_lines(state.ledger, 30)
    finally:
        assert stop(plan.directory, 30)
        os.close(inside)
    result = summary(plan.directory)
    assert (result.running, result.stop_reason) == (False, "stopped")
    assert result.requests >= 29
    assert (result.errors, result.acked_lost) == (0, 0)
    assert result.found == result.acked > 0
    assert not stop(plan.directory, 1), "a second stop finds nothing to do"


def test_a_second_start_leaves_it_alone_and_one_with_other_settings_is_refused(plan: Plan):
    state, _changed = start(plan, None)
    try:
        again, changed = start(plan, None)
        assert (again.pid, changed) == (state.pid, False)
        other = Plan(plan.targets, plan.login, Settings("commerce", "probe", rate=1.0), plan.directory, 60.0)
        with pytest.raises(ProbeError, match="other settings"):
            start(other, None)
    finally:
        stop(plan.directory, 30)


def test_it_ends_when_the_process_that_it_stays_with_ends(plan: Plan):
    with subprocess.Popen(["sleep", "600"]) as companion:
        companion_process = Process.of(companion.pid)
        assert companion_process is not None
        state, _changed = start(plan, companion_process)
        assert state.running
        companion.kill()
    wait_for_end(state.ledger)
    assert summary(plan.directory).stop_reason == f"its process {companion_process.pid} is gone"


def wait_for_end(ledger: str) -> None:
    with subprocess.Popen(["timeout", "30", "tail", "-n", "+1", "-f", ledger], stdout=subprocess.PIPE) as tail:
        assert tail.stdout is not None
        assert any(json.loads(line)["e"] == "stop" for line in tail.stdout), "it did not end"
        tail.kill()


def test_it_ends_at_its_deadline(plan: Plan):
    state, _changed = start(Plan(plan.targets, plan.login, plan.settings, plan.directory, deadline=0.2), None)
    wait_for_end(state.ledger)
    result = summary(plan.directory)
    assert result.stop_reason == "deadline"
    # Not before its time; how late a busy machine lets it see that time is not this test's business.
    assert result.seconds >= 0.2


def test_a_killed_probe_is_summed_up_and_its_rows_are_read_back_by_the_summary(plan: Plan):
    state, _changed = start(plan, None)
    wait_for_lines(state.ledger, 30)
    os.kill(state.pid, signal.SIGKILL)
    stop(plan.directory, 10)
    result = summary(plan.directory)
    assert (result.running, result.stop_reason, result.acked_lost) == (False, None, None)
    assert result.acked > 0
    lost = summary(plan.directory, read_back=lambda first, end: set())
    assert lost.acked_lost == result.acked
    kept = summary(plan.directory, read_back=lambda first, end: set(range(first, min(end, first + 5000))))
    assert kept.acked_lost == 0


def test_the_password_is_in_no_file_and_on_no_command_line(plan: Plan):
    state, _changed = start(plan, None)
    try:
        wait_for_lines(state.ledger, 5)
        for path in Path(plan.directory).iterdir():
            assert "pa55word" not in path.read_text()
        assert b"pa55word" not in Path(f"/proc/{state.pid}/cmdline").read_bytes()
    finally:
        stop(plan.directory, 30)


def test_a_probe_that_can_not_start_says_why(plan: Plan, monkeypatch: pytest.MonkeyPatch, fake_vtgate: Any):
    def down(_database: str, _sql: str) -> None:
        raise OSError("down")

    monkeypatch.setattr(probe, "Dialler", lambda targets, login, timeout: fake_vtgate(down).dialler("a"))
    with pytest.raises(ProbeError, match=r"did not start: no vtgate tells.*down"):
        start(plan, None)
    assert state_of(plan.directory) is None


def test_there_is_no_summary_of_a_probe_that_never_ran(tmp_path: Path):
    with pytest.raises(ProbeError, match="no probe was ever started"):
        summary(str(tmp_path))


def test_acknowledged_rows_are_compared_with_those_found():
    assert compared(acked={1, 2, 3}, written={1, 2, 3, 4, 5}, found={2, 3, 4, 99}) == {
        "found": 2,
        "acked_lost": 1,
        "lost": [1],
        "found_unacked": 1,
    }
