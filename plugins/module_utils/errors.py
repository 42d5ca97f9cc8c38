# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one error type of an operation, and the one of each edge.

An operation ends with a result or raises L(StepFailure); only a module's
main() and the action plugin turn it into Ansible's failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


class EdgeError(Exception):
    """What a client could not do: the cluster, a vtgate or vtctld refused, broke or did not answer."""


class Unreachable(EdgeError):
    """The other side could not be asked at all; nothing was changed by this call."""


class Refused(EdgeError):
    """The other side answered no; status is its own code (HTTP status, exit code, MySQL errno)."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class OutcomeUnknown(EdgeError):
    """A command was sent and its answer was lost: read the state again before anything else."""


def in_short(texts: Sequence[str], most: int, what: str = "more") -> str:
    """The first of them, and how many there are besides."""
    rest = f"; and {len(texts) - most} {what}" if len(texts) > most else ""
    return "; ".join(texts[:most]) + rest


MSG_LIMIT = 199
FAILURE_LIMIT = 2000


@dataclass
class StepFailure(Exception):
    """Why one step of one tablet stopped, for a person who was woken up by it.

    tablet: alias or keyspace/shard. step: the step's name. reason: one sentence.
    gate: the gate that was red, if one was. state: what state things are left in.
    next_command: what to run next: it shows the state, or mends it. resume_command: what goes on after that.
    headline: the first words of the message, where the stop was wanted and nothing is wrong.
    """

    tablet: str
    step: str
    reason: str
    gate: str | None = None
    state: str = "nothing was changed"
    next_command: str = "run the same command again"
    details: dict[str, Any] = field(default_factory=dict)
    resume_command: str = ""
    headline: str = ""

    def __str__(self) -> str:
        return self.message()

    def message(self) -> str:
        """One line of at most 199 characters: tablet, step, reason, next command."""
        tablet, reason, command = (" ".join(text.split()) for text in (self.tablet, self.reason, self.next_command))
        head, tail = f"{tablet}: {self.step}: ", f" | next: {command}"
        if self.headline:
            head = f"{self.headline}: {head}"
        room = max(60, MSG_LIMIT - len(head) - len(tail))
        if len(reason) > room:
            reason = reason[: room - 1] + "…"
        return (head + reason + tail)[:MSG_LIMIT]

    def as_dict(self) -> dict[str, Any]:
        """The structured failure of the result, under 2 KB."""
        out: dict[str, Any] = {
            "tablet": self.tablet[:100],
            "step": self.step,
            "gate": self.gate,
            "reason": self.reason[:600],
            "state": self.state[:300],
            "next_command": self.next_command[:250],
            "resume_command": self.resume_command[:350],
        }
        for key, value in self.details.items():
            if len(str(out)) + len(str(value)) < FAILURE_LIMIT - 100:
                out[key] = value
        return out
