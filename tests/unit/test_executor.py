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
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process, hostname, start_of

SLEEPS = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]


@pytest.fixture
def child() -> Iterator[subprocess.Popen]:
    with subprocess.Popen(SLEEPS) as started:
        yield started
        started.kill()


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
