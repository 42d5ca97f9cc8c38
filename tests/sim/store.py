# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubernetes objects as JSON, with resourceVersions and a history for watches."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
KINDS = {
    "pods": ("v1", "Pod"),
    "nodes": ("v1", "Node"),
    "persistentvolumeclaims": ("v1", "PersistentVolumeClaim"),
    "persistentvolumes": ("v1", "PersistentVolume"),
    "statefulsets": ("apps/v1", "StatefulSet"),
    "deployments": ("apps/v1", "Deployment"),
    "leases": ("coordination.k8s.io/v1", "Lease"),
    "poddisruptionbudgets": ("policy/v1", "PodDisruptionBudget"),
    "configmaps": ("v1", "ConfigMap"),
    "vitessclusters": ("planetscale.com/v2", "VitessCluster"),
    "vitesskeyspaces": ("planetscale.com/v2", "VitessKeyspace"),
    "vitessshards": ("planetscale.com/v2", "VitessShard"),
}


class Store:
    """All objects of one cluster, by resource and name (one namespace). The object in here is the live one."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Json]] = {resource: {} for resource in KINDS}
        self.version = 1000
        self.watchers: list[Callable[[str, str, Json], None]] = []

    def of(self, resource: str) -> dict[str, Json]:
        """All objects of a resource, by name."""
        return self.objects[resource]

    def put(self, resource: str, item: Json) -> Json:
        """Add an object, or say that it changed."""
        name = item["metadata"]["name"]
        known = name in self.objects[resource]
        self.version += 1
        meta = item["metadata"]
        item["apiVersion"], item["kind"] = KINDS[resource]
        meta["resourceVersion"] = str(self.version)
        meta.setdefault("uid", f"{resource[:4]}-{self.version:08x}")
        self.objects[resource][name] = item
        self._tell(resource, "MODIFIED" if known else "ADDED", item)
        return item

    def remove(self, resource: str, name: str) -> None:
        """Drop an object."""
        item = self.objects[resource].pop(name)
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        self._tell(resource, "DELETED", item)

    def _tell(self, resource: str, change: str, item: Json) -> None:
        for watcher in list(self.watchers):
            watcher(resource, change, json.loads(json.dumps(item)))


def matches(selector: str, labels: Json) -> bool:
    """Whether labels fulfil a selector: equality, inequality, existence and sets."""
    return all(_fulfils(part, labels) for part in _requirements(selector))


def _requirements(selector: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for position, letter in enumerate(selector):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(selector[start:position])
            start = position + 1
    return [part.strip() for part in [*parts, selector[start:]] if part.strip()]


def _fulfils(part: str, labels: Json) -> bool:
    for word, wanted in ((" notin ", False), (" in ", True)):
        if word in part:
            key, _word, values = part.partition(word)
            listed = [value.strip() for value in values.strip().strip("()").split(",")]
            return (labels.get(key.strip()) in listed) is wanted
    if "!=" in part:
        key, _sign, value = part.partition("!=")
        return bool(labels.get(key.strip()) != value.strip())
    if "=" in part:
        key, _sign, value = part.replace("==", "=").partition("=")
        return bool(labels.get(key.strip()) == value.strip())
    return part[1:] not in labels if part.startswith("!") else part in labels


# What the API server selects Pods by; of anything else only the name (k8s.io/kubernetes/pkg/apis/core/v1/conversion.go).
POD_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)
FIELD = re.compile(r"([\w.]+)(!=|==?)(.*)")


def fields_of(selector: str, known: tuple[str, ...]) -> list[tuple[list[str], bool, str]]:
    """A field selector as paths, whether they must be so, and values. Raises LookupError naming a field that is not supported."""
    found = []
    for part in filter(None, selector.split(",")):
        match = FIELD.fullmatch(part)
        if match is None or match[1] not in known:
            raise LookupError(match[1] if match else part)
        found.append((match[1].split("."), match[2] != "!=", match[3]))
    return found


def has_fields(item: Json, fields: list[tuple[list[str], bool, str]]) -> bool:
    """Whether an object is what a field selector asks for; a field that is not there is empty."""
    for path, equal, value in fields:
        have: Any = item
        for word in path:
            have = have.get(word) or {}
        if ((have or "") == value) is not equal:
            return False
    return True


def merged(have: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(have) if isinstance(have, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
