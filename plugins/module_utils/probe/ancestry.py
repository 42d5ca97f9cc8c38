# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes as /proc shows them: the ansible-playbook above a module, and whether it still lives."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

PLAYBOOK_COMMANDS = frozenset({"ansible-playbook", "ansible", "ansible-console"})


@dataclass(frozen=True)
class Process:
    """A process, told from a later one of the same pid by its start."""

    pid: int
    started: int
    """Clock ticks after the boot."""
    parent: int = 0
    command: tuple[str, ...] = ()


def process(pid: int, root: str = "/proc") -> Process | None:
    """The process with this pid; None where there is none (a zombie counts as none) or no /proc."""
    try:
        with open(f"{root}/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        with open(f"{root}/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            command = tuple(file.read().split("\0")[:-1])
    except OSError:
        return None
    if fields[0] in ("Z", "X"):
        return None
    return Process(pid=pid, parent=int(fields[1]), started=int(fields[19]), command=command)


def alive(known: Process, look: Callable[[int], Process | None] = process) -> bool:
    """Whether this very process still runs."""
    now = look(known.pid)
    return now is not None and now.started == known.started


def is_playbook(command: tuple[str, ...]) -> bool:
    """Whether a command line is that of ansible-playbook or its like, started as a script or by an interpreter."""
    return any(os.path.basename(word) in PLAYBOOK_COMMANDS for word in command[:2])


def playbook_above(pid: int, look: Callable[[int], Process | None] = process) -> Process | None:
    """The ansible-playbook that a process runs under, None if there is none (a remote host, a shell).

    Above a module stands first a worker, a fork of ansible-playbook with the same command line: the process that
    counts is the uppermost of these, but no other ansible-playbook that started this one.
    """
    found: Process | None = None
    current = look(pid)
    while current is not None and current.pid > 1:
        if found is not None and current.command != found.command:
            break
        if is_playbook(current.command):
            found = current
        current = look(current.parent)
    return found
