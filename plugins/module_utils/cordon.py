# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node that is cordoned for maintenance: whose cordon it is, in which boot it was, whether it came back. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from . import labels, place

Json = dict[str, Any]


def node_path(name: str) -> str:
    """Where the API has it."""
    return f"/api/v1/nodes/{name}"


@dataclass(frozen=True)
class Cordon:
    """That we cordoned a node: kept on it, so that another run, and only that, takes it away again.

    at: RFC 3339. boot: the node's boot then. roll: who did it.
    """

    roll: str
    at: str
    boot: str

    def as_text(self) -> str:
        """For the annotation."""
        return json.dumps(vars(self), separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Cordon | None:
        """None where there is none. Raises ValueError on what this collection did not write."""
        if not text:
            return None
        try:
            data = json.loads(text)
            return cls(str(data["roll"]), str(data["at"]), str(data["boot"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"the annotation {labels.CORDON} cannot be read: {error}") from error


@dataclass(frozen=True)
class Seen:
    """A node as one read of it showed. cordon: ours, where it is; one that somebody undid by hand is none any more."""

    name: str
    resource_version: str
    boot: str
    ready: bool
    cordoned: bool
    cordon: Cordon | None
    marked: bool

    @property
    def rebooted(self) -> bool:
        """Whether it was booted again since we cordoned it."""
        return self.cordon is not None and bool(self.boot) and self.boot != self.cordon.boot


def parse(item: Json) -> Seen:
    """From core/v1. Raises ValueError where our annotation cannot be read."""
    meta, status = item["metadata"], item.get("status") or {}
    node = place.parse_node(item)
    text = str((meta.get("annotations") or {}).get(labels.CORDON) or "")
    return Seen(
        name=node.name,
        resource_version=str(meta.get("resourceVersion") or ""),
        boot=str((status.get("nodeInfo") or {}).get("bootID") or ""),
        ready=node.ready,
        cordoned=node.cordoned,
        cordon=Cordon.from_text(text) if node.cordoned else None,
        marked=bool(text),
    )
