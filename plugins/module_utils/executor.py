# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which ansible-playbook runs this, and does it still run? A killed ansible-playbook leaves its module processes behind.

A module on another host cannot see its ansible-playbook: the action plugin hands it over in the module's environment, so that
all steps of a roll have one holder. That host cannot tell whether it still runs; there the Lease alone decides.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROC = Path("/proc")
PROGRAMS = frozenset({"ansible-playbook", "ansible", "ansible-console"})
HANDED_OVER = "VTOPS_EXECUTOR"


@dataclass(frozen=True)
class Process:
    """A process on one host; start (clock ticks since boot) tells it from a later one with the same pid."""

    host: str
    pid: int
    start: int

    @classmethod
    def current(cls) -> Process:
        """This very process."""
        return cls(hostname(), os.getpid(), start_of(os.getpid()))

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process with that pid; None where there is none (a zombie counts as none), or no /proc."""
        start = start_of(pid)
        return cls(hostname(), pid, start) if start else None

    @classmethod
    def playbook(cls) -> Process | None:
        """The ansible-playbook above this process; None if there is none (another host, a shell).

        Above a module stands first a worker, a fork of ansible-playbook with the same command line: the process that counts
        is the uppermost of these, but no other ansible-playbook that started this one.
        """
        found, command = 0, b""
        pid = os.getpid()
        while pid > 1:
            words = _command(pid)
            if found and words != command:
                break
            if is_playbook(words):
                found, command = pid, words
            pid = _parent(pid)
        return cls.of(found) if found else None

    @classmethod
    def controlling(cls) -> Process:
        """What the action plugin handed over, or the ansible-playbook above, else the parent (a test, or a module run by hand)."""
        handed = os.environ.get(HANDED_OVER, "")
        if handed:
            return cls.from_text(handed)
        parent = os.getppid()
        return cls.playbook() or cls(hostname(), parent, start_of(parent))

    def as_text(self) -> str:
        """For the environment of a module on another host."""
        return f"{self.host}:{self.pid}:{self.start}"

    @classmethod
    def from_text(cls, text: str) -> Process:
        """Raises ValueError."""
        host, pid, start = text.rsplit(":", 2)
        return cls(host, int(pid), int(start))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Process:
        """Raises KeyError, ValueError."""
        return cls(str(data["host"]), int(data["pid"]), int(data["start"]))

    def as_dict(self) -> dict[str, Any]:
        """For an annotation."""
        return {"host": self.host, "pid": self.pid, "start": self.start}

    @property
    def is_here(self) -> bool:
        """Whether it ran on this host, so that its being gone can be seen."""
        return self.host == hostname()

    @property
    def runs(self) -> bool:
        """Whether it still runs, as far as this host can tell; one of another host counts as running."""
        return not self.is_here or (self.start > 0 and start_of(self.pid) == self.start)

    def __str__(self) -> str:
        return f"{self.host.partition('/')[0]}:{self.pid}"


def hostname() -> str:
    """Host name and boot: a pid means nothing after a reboot or in another container."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        boot = ""
    return f"{socket.gethostname()}/{boot}"


def _stat(pid: int) -> list[str]:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def start_of(pid: int) -> int:
    """Start time of a process in clock ticks since boot; 0 where there is none or it is a zombie."""
    fields = _stat(pid)
    return int(fields[19]) if len(fields) > 19 and fields[0] != "Z" else 0


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if len(fields) > 1 else 0


def _command(pid: int) -> bytes:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def is_playbook(command: bytes) -> bool:
    """Whether a command line (words that end in NUL) is ansible-playbook's or its like's, as a script or by an interpreter."""
    return any(os.path.basename(word).decode("utf-8", "replace") in PROGRAMS for word in command.split(b"\0")[:2])
