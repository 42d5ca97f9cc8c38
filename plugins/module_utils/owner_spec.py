# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writing a Pod template into what owns it, whatever its kind: the dry run, the fenced PATCH, and the way back that is kept on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import gates, labels, template
from .clients.kubernetes import Json, KubernetesClient
from .cluster import explain
from .errors import Refused
from .owners import Recorded

Key = tuple[str, str]  # namespace and name


@dataclass(frozen=True)
class Owning:
    """What owns Pods as one read of it showed, the template that it is to have, and what is on record of the one before."""

    key: Key
    item: Json
    wanted: Json
    recorded: Recorded | None

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.key[0]}/{self.key[1]}"

    @property
    def template(self) -> Json:
        """The Pod template that it has."""
        found: Json = self.item["spec"]["template"]
        return found

    @property
    def differs(self) -> bool:
        """Whether there is something to write."""
        return not template.same(self.template, self.wanted)


class Stop(Exception):
    """Why an owner cannot be given its spec: the gate, and the reason."""

    def __init__(self, gate: str, reason: str, next_command: str = "") -> None:
        super().__init__(reason)
        self.gate, self.next_command = gate, next_command


def can_i(namespace: str) -> str:
    """The command that shows one's rights."""
    return f"kubectl -n {namespace} auth can-i --list"


def recorded_on(item: Json) -> Recorded | None:
    """What is kept on an owner. Raises ValueError on what this collection did not write."""
    return Recorded.from_text((item["metadata"].get("annotations") or {}).get(labels.PREVIOUS, ""))


def to_put_back(recorded: Recorded | None, now: Json, name: str) -> Json:
    """The template to put back; the present one where that was done already. Raises Stop."""
    if recorded is None:
        raise Stop("spec_is_recorded", f"{name} has no earlier spec on record")
    if recorded.fingerprint != template.fingerprint(now):
        raise Stop(
            "spec_is_recorded",
            f"{name} was changed by somebody else since: what is on record ({recorded.at}) would undo that too",
        )
    return now if recorded.template is None else recorded.template


def send(
    kube: KubernetesClient, path: str, item: Json, wanted: Json, name: str, dry_run: bool, record: Recorded | None
) -> Json:
    """The PATCH of what was read. Raises Stop where it is not admitted, Refused (409) where it was changed since."""
    meta: Json = {"resourceVersion": item["metadata"]["resourceVersion"]}
    if record is not None:
        meta["annotations"] = {labels.PREVIOUS: record.as_text()}
    spec: dict[str, Any] = {"template": template.merge_patch(item["spec"]["template"], wanted)}
    try:
        return kube.merge(path, {"metadata": meta, "spec": spec}, dry_run)
    except Refused as error:
        if error.status in (401, 403) and "admission" not in str(error):
            namespace = str(item["metadata"].get("namespace") or "")
            raise Stop(gates.rights_are_granted.__name__, explain(error), can_i(namespace)) from error
        if error.status in (400, 403, 422):
            raise Stop("admission", f"{name} is not admitted: {error}") from error
        raise
