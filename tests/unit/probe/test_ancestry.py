# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.probe.ancestry import (
    Process,
    alive,
    is_playbook,
    playbook_above,
    process,
)

PLAY = ("/usr/bin/python3", "/opt/bin/ansible-playbook", "site.yml")
OUTER = ("/usr/bin/python3", "/opt/bin/ansible-playbook", "outer.yml")


def above(*chain: tuple[str, ...]) -> Process | None:
    """The playbook above the last process of a chain whose first is pid 2."""
    processes = {
        pid: Process(pid, started=pid * 10, parent=pid - 1, command=command) for pid, command in enumerate(chain, 2)
    }
    return playbook_above(max(processes), processes.get)


def test_it_is_the_playbook_and_not_the_worker_that_forked_for_the_task():
    found = above(("bash",), PLAY, PLAY, ("/bin/sh", "-c", "x"), ("python3", "AnsiballZ_client_probe.py"))
    assert found is not None
    assert found.pid == 3


def test_a_playbook_that_a_playbook_started_is_the_nearer_one():
    found = above(OUTER, OUTER, ("sh",), PLAY, PLAY, ("python3", "x"))
    assert found is not None
    assert found.pid == 5
    found = above(OUTER, OUTER, PLAY, PLAY, ("python3", "x"))
    assert found is not None
    assert found.pid == 4


def test_there_is_none_on_a_remote_host():
    assert above(("sshd",), ("sh",), ("python3", "AnsiballZ_client_probe.py")) is None


@pytest.mark.parametrize("command", [("ansible-playbook", "x"), PLAY, ("/usr/bin/ansible", "all")])
def test_knows_a_playbook_by_its_command(command: tuple[str, ...]):
    assert is_playbook(command)


@pytest.mark.parametrize("command", [("vim", "x", "ansible-playbook"), ("ansible-playbook.sh",), ()])
def test_knows_what_is_none(command: tuple[str, ...]):
    assert not is_playbook(command)


def test_a_process_is_told_from_a_later_one_of_its_pid():
    myself = process(os.getpid())
    assert myself is not None
    assert alive(myself)
    assert not alive(Process(myself.pid, myself.started - 1))
    assert myself.parent == os.getppid()


def test_a_zombie_is_gone():
    pid = os.fork()
    if not pid:
        os._exit(0)
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert process(pid) is None
    finally:
        os.waitpid(pid, 0)
