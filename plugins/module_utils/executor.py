# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which ansible-playbook runs this, and does it still run? A killed ansible-playbook leaves its module processes behind."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROC = Path("/proc")
PROGRAMS = ("ansible-playbook", "ansible", "ansible-console", "ansible-runner")


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
    def controlling(cls) -> Process:
        """The ansible-playbook above this process, else this process' parent (a test, or a module run by hand)."""
        pid = os.getpid()
        while pid > 1:
            if _program(pid) in PROGRAMS and _program(_parent(pid)) not in PROGRAMS:
                return cls(hostname(), pid, start_of(pid))
            pid = _parent(pid)
        parent = os.getppid()
        return cls(hostname(), parent, start_of(parent))

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


def _program(pid: int) -> str:
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    for word in words[:2]:
        name = os.path.basename(word.decode("utf-8", "replace"))
        if name in PROGRAMS:
            return name
    return ""
