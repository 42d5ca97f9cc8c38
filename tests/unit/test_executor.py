# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import executor
from ansible_collections.vtops.vitess.plugins.module_utils.executor import (
    HANDED_OVER,
    Process,
    hostname,
    is_playbook,
    start_of,
)

SLEEPS = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]


@pytest.fixture
def child() -> Iterator[subprocess.Popen]:
    with subprocess.Popen(SLEEPS) as started:
        yield started
        started.kill()


@pytest.fixture(autouse=True)
def nothing_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HANDED_OVER, raising=False)


def process(pid: int) -> Process:
    return Process(hostname(), pid, start_of(pid))


def test_a_process_that_lives_runs(child: subprocess.Popen) -> None:
    assert process(child.pid).runs


def test_a_killed_process_does_not_run_as_a_zombie_nor_when_it_is_gone(child: subprocess.Popen) -> None:
    seen = process(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    assert not seen.runs
    assert Process.of(child.pid) is None
    child.wait()
    assert not seen.runs


def test_a_later_process_with_the_same_pid_is_another_one(child: subprocess.Popen) -> None:
    seen = process(child.pid)
    assert not replace(seen, start=seen.start - 1).runs


def test_a_process_that_was_gone_when_it_was_first_seen_does_not_run() -> None:
    assert not Process(hostname(), 2**22 + 1, 0).runs


def test_a_process_of_another_host_counts_as_running() -> None:
    elsewhere = Process("other/boot", 1, 1)
    assert not elsewhere.is_here
    assert elsewhere.runs


def test_a_process_of_this_host_before_its_reboot_is_not_here() -> None:
    name = hostname().partition("/")[0]
    assert not Process(f"{name}/00000000", os.getpid(), 1).is_here


def test_this_process_runs_here() -> None:
    assert Process.current().runs
    assert Process.current().is_here
    assert Process.current().pid == os.getpid()


def test_a_process_survives_its_annotation() -> None:
    seen = Process("host/boot", 12, 34)
    assert Process.from_dict(seen.as_dict()) == seen
    assert str(seen) == "host:12"
    assert Process.from_text(seen.as_text()) == seen


@pytest.mark.parametrize("data", [{}, {"host": "h", "pid": "x", "start": 1}])
def test_refuses_an_annotation_that_names_no_process(data: dict) -> None:
    with pytest.raises((KeyError, ValueError)):
        Process.from_dict(data)


def a_proc(root: Path, tree: dict[int, tuple[int, list[str]]]) -> None:
    """/proc of processes with parent and command line; start is 1000 + pid."""
    for pid, (parent, words) in tree.items():
        (root / str(pid)).mkdir()
        fields = ["S", str(parent), *["0"] * 17, str(1000 + pid)]
        (root / str(pid) / "stat").write_text(f"{pid} (a ) b) {' '.join(fields)}")
        (root / str(pid) / "cmdline").write_bytes(b"\0".join(word.encode() for word in words) + b"\0")


def test_the_controlling_process_is_the_topmost_ansible_playbook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    playbook = ["/usr/bin/python3", "/usr/bin/ansible-playbook", "site.yml"]
    a_proc(
        tmp_path,
        {
            10: (1, ["/bin/bash"]),
            20: (10, playbook),
            30: (20, playbook),  # its worker, a fork
            40: (30, ["/bin/sh", "-c", "..."]),
            50: (40, ["/usr/bin/python3", "/root/.ansible/tmp/AnsiballZ_tablet_drain.py"]),
        },
    )
    monkeypatch.setattr(executor, "PROC", tmp_path)
    monkeypatch.setattr(os, "getpid", lambda: 50)
    assert Process.controlling() == Process(hostname(), 20, 1020)


def test_without_an_ansible_playbook_the_parent_controls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_proc(tmp_path, {10: (1, ["/bin/bash"]), 20: (10, ["pytest"])})
    monkeypatch.setattr(executor, "PROC", tmp_path)
    monkeypatch.setattr(os, "getpid", lambda: 20)
    monkeypatch.setattr(os, "getppid", lambda: 10)
    assert Process.controlling() == Process(hostname(), 10, 1010)


PLAY = ["/usr/bin/python3", "/opt/bin/ansible-playbook", "site.yml"]
OUTER = ["/usr/bin/python3", "/opt/bin/ansible-playbook", "outer.yml"]
MODULE = ["/usr/bin/python3", "/root/.ansible/tmp/AnsiballZ_client_probe.py"]


def playbook_above(root: Path, monkeypatch: pytest.MonkeyPatch, *chain: list[str]) -> Process | None:
    """The playbook above the last process of a chain whose first has pid 2."""
    a_proc(root, {pid: (pid - 1, words) for pid, words in enumerate(chain, 2)})
    monkeypatch.setattr(executor, "PROC", root)
    monkeypatch.setattr(os, "getpid", lambda: len(chain) + 1)
    return Process.playbook()


@pytest.mark.parametrize(
    ("chain", "pid"),
    [
        ([["bash"], PLAY, PLAY, ["/bin/sh", "-c", "x"], MODULE], 3),
        ([OUTER, OUTER, ["sh"], PLAY, PLAY, MODULE], 5),
        ([OUTER, OUTER, PLAY, PLAY, MODULE], 4),
        ([["/usr/bin/python3", "/opt/bin/ansible-runner", "run"], PLAY, PLAY, MODULE], 3),
    ],
    ids=[
        "not the worker that forked for the task",
        "the nearer of two",
        "the nearer of two without a shell",
        "not the runner",
    ],
)
def test_the_playbook_is_the_nearest_ansible_playbook_and_not_its_fork(
    chain: list[list[str]], pid: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert playbook_above(tmp_path, monkeypatch, *chain) == Process(hostname(), pid, 1000 + pid)


def test_there_is_no_playbook_above_a_module_on_another_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert playbook_above(tmp_path, monkeypatch, ["sshd"], ["sh"], MODULE) is None


@pytest.mark.parametrize("command", [["ansible-playbook", "x"], PLAY, ["/usr/bin/ansible", "all"]])
def test_knows_a_playbook_by_its_command(command: list[str]) -> None:
    assert is_playbook("\0".join(command).encode() + b"\0")


@pytest.mark.parametrize("command", [["vim", "x", "ansible-playbook"], ["ansible-playbook.sh"], []])
def test_knows_what_is_none(command: list[str]) -> None:
    assert not is_playbook("\0".join(command).encode())


def test_what_the_action_plugin_handed_over_controls_a_module_on_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    controller = Process("controller.example.com/b00t", 4711, 99)
    monkeypatch.setenv(HANDED_OVER, controller.as_text())
    assert Process.controlling() == controller
    assert Process.controlling().runs  # whether it does cannot be seen from here; the Lease decides
