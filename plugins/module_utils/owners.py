# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who recreates a tablet's Pod, what it will create, and whether a Pod is already that. Pure.

Supported: a StatefulSet with OnDelete, and vitess-operator's VitessShard (vitess_operator.py). Everything else is refused by its
kind, with the reason.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from .fleet import Pod
from .place import Needs
from .timestamps import parse_timestamp, timestamp


@dataclass(frozen=True)
class Owner:
    """The owner of a tablet's Pod as one read of it showed. refusal says why it cannot be driven, empty if it can."""

    kind: str
    name: str
    strategy: str = ""
    current_revision: str = ""
    update_revision: str = ""
    generation: int = 0
    observed_generation: int = 0
    images: tuple[tuple[str, str], ...] = ()
    needs: Needs = field(default_factory=Needs)  # what the next Pod asks of a node
    like_the_last: bool = False  # the next Pod is taken to ask what the last one does
    pending: str = ""  # vitess-operator's: what still waits for a release before the Pods' own
    refusal: str = ""

    @property
    def lag(self) -> str:
        """That its controller has not seen its latest spec yet, in words; empty if it has. What it wants is not known until then."""
        if self.observed_generation >= self.generation:
            return ""
        return (
            f"{self.kind} {self.name}: observedGeneration {self.observed_generation} lags generation {self.generation}"
        )

    def image(self, container: str) -> str:
        """The image that the next Pod's container will run, empty if there is none of that name."""
        return dict(self.images).get(container, "")

    def needs_of(self, last: Pod) -> Needs:
        """What the successor of a Pod asks of a node."""
        return last.needs if self.like_the_last else self.needs


@dataclass(frozen=True)
class Wanted:
    """What a tablet must be to count as done: a revision of its owner, or a Pod created after a fixed time.

    revision: the owner's revision hash. since: seconds since the epoch. One of the two is set.
    """

    revision: str = ""
    since: float | None = None

    @classmethod
    def created_after(cls, text: str, now: float) -> Wanted:
        """From the option wanted_since; now is in seconds since the epoch.

        Raises ValueError also for a time that is yet to come: a Pod that is recreated before it would not count as done, so
        its tablet would be taken for nothing.
        """
        try:
            since = parse_timestamp(text)
        except ValueError as error:
            raise ValueError(f"wanted_since is no RFC 3339 time: {text}") from error
        if since > now:
            raise ValueError(f"wanted_since {timestamp(since)} is yet to come (it is {timestamp(now)})")
        return cls(since=since)

    def met_by(self, pod: Pod | None) -> bool:
        """Whether this Pod is what is wanted."""
        if pod is None:
            return False
        if self.since is not None:
            return pod.created > self.since
        return pod.revision == self.revision

    def __str__(self) -> str:
        return f"revision {self.revision}" if self.since is None else f"created after {timestamp(self.since)}"


def stateful_set_refusal(name: str, strategy: str, replicas: int, partition: int = 0) -> str:
    """Why a StatefulSet cannot be driven, empty if it can. partition: of a RollingUpdate, from which ordinal on Pods are replaced."""
    if strategy != "OnDelete" and partition:
        return (
            f"StatefulSet {name} has updateStrategy {strategy} with partition {partition}: its controller replaces Pods from there on by "
            "itself, and one below that goes comes back as it was; set updateStrategy.type to OnDelete"
        )
    if strategy != "OnDelete":
        return (
            f"StatefulSet {name} has updateStrategy {strategy}: its controller replaces Pods on its own and would race this roll; "
            "set updateStrategy.type to OnDelete"
        )
    if replicas == 0:
        return f"StatefulSet {name} is scaled to 0"
    return ""


@dataclass(frozen=True)
class Recorded:
    """The Pod template that an owner had, kept on it, so that it can be put back exactly.

    revision: the owner's then. fingerprint: of the template that was written in its place; with another one there, somebody else
    changed it since, and putting back would undo that too. template is None where it was put back already.
    """

    template: dict[str, Any] | None
    revision: str
    fingerprint: str
    roll: str = ""
    at: str = ""

    def as_text(self) -> str:
        """For the annotation."""
        return json.dumps(vars(self), separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Recorded | None:
        """None where nothing was recorded. Raises ValueError on what this collection did not write."""
        if not text:
            return None
        try:
            data = json.loads(text)
            template = data["template"]
            if template is not None and not isinstance(template, dict):
                raise TypeError(template)
            return cls(template, *(str(data.get(key) or "") for key in ("revision", "fingerprint", "roll", "at")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the spec that was recorded cannot be read: {error}") from error


def unsupported(kind: str, name: str) -> Owner:
    """An owner of a kind that this version does not drive."""
    if not kind:
        return Owner("none", "", refusal="the Pod has no controller: nothing would recreate it")
    return Owner(
        kind,
        name,
        refusal=f"the Pod's owner is a {kind} ({name}); supported are StatefulSet with OnDelete and VitessShard",
    )
