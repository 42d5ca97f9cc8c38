# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deployments of vtctld, vtgate and vtorc: whether one may be rolled, and how far its rollout is. Pure."""

from __future__ import annotations

import math
from typing import Any

Json = dict[str, Any]


def deployments_path(namespace: str, name: str = "") -> str:
    """Where the API has a namespace's Deployments, or one of them."""
    return f"/apis/apps/v1/namespaces/{namespace}/deployments" + (f"/{name}" if name else "")


def name_of(item: Json) -> str:
    """For people."""
    return f"Deployment {item['metadata']['name']}"


def selector_of(item: Json) -> str:
    """Its Pods' label selector, as a query has it. Raises ValueError where it has expressions."""
    selector = item["spec"].get("selector") or {}
    if selector.get("matchExpressions") or not selector.get("matchLabels"):
        raise ValueError(f"{name_of(item)} selects its Pods by more than labels")
    return ",".join(f"{key}={value}" for key, value in sorted(selector["matchLabels"].items()))


def replicas_of(item: Json) -> int:
    """How many Pods it wants."""
    wanted = item["spec"].get("replicas")
    return 1 if wanted is None else int(wanted)


def refusal(item: Json) -> str:
    """Why it cannot be changed here, empty if it can."""
    owner = next((o for o in item["metadata"].get("ownerReferences") or [] if o.get("controller")), None)
    if owner is not None:
        return f"{name_of(item)} belongs to {owner['kind']} {owner['name']}, which would take the change back: change it there"
    if item["spec"].get("paused"):
        return f"{name_of(item)} is paused: it would not roll"
    if replicas_of(item) == 0:
        return f"{name_of(item)} is scaled to 0"
    return ""


def surge_problem(item: Json) -> str:
    """Why its rollout would take a Pod away before the next one serves, empty if it would not."""
    strategy = item["spec"].get("strategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return f"{name_of(item)} has the strategy {strategy['type']}: all its Pods would go at once; set RollingUpdate with maxUnavailable: 0"
    rolling, replicas = strategy.get("rollingUpdate") or {}, replicas_of(item)
    unavailable = _count(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
    surge = _count(rolling.get("maxSurge", "25%"), replicas, math.ceil)
    if unavailable > 0 or surge < 1:
        return (
            f"{name_of(item)} rolls with maxUnavailable {rolling.get('maxUnavailable', '25%')} and maxSurge "
            f"{rolling.get('maxSurge', '25%')}: set maxUnavailable: 0 and maxSurge: 1"
        )
    return ""


def _count(value: int | str, replicas: int, rounded: Any) -> int:
    """A number, or a percentage of the replicas (kubernetes pkg/controller/deployment/util ResolveFenceposts)."""
    text = str(value)
    return int(rounded(replicas * float(text[:-1]) / 100)) if text.endswith("%") else int(text)


def rollout_problem(item: Json) -> str:
    """What its rollout still lacks, empty if it is complete (kubectl rollout status)."""
    meta, status, wanted = item["metadata"], item.get("status") or {}, replicas_of(item)
    if int(status.get("observedGeneration") or 0) < int(meta.get("generation") or 0):
        return f"{name_of(item)}: its controller has not seen the new spec"
    updated, every, available = (
        int(status.get(key) or 0) for key in ("updatedReplicas", "replicas", "availableReplicas")
    )
    if updated < wanted or every > updated or available < wanted:
        return f"{name_of(item)}: {updated} of {wanted} Pods are new, {available} available, {every} in all"
    return ""


def stuck(item: Json) -> str:
    """Why its controller gave the rollout up, empty if it did not."""
    status = item.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(item["metadata"].get("generation") or 0):
        return ""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return f"{name_of(item)}: {condition.get('message') or 'its progress deadline is exceeded'}"
    return ""


def container_of(template: Json, component: str) -> str:
    """The container that runs it: of its name, else the only one. Raises ValueError."""
    names = [str(one["name"]) for one in (template.get("spec") or {}).get("containers") or []]
    if component in names:
        return component
    if len(names) == 1:
        return names[0]
    raise ValueError(f"has no container {component} (it has {', '.join(names)})")


def image_of(template: Json, container: str) -> str:
    """A container's image."""
    return next(str(one.get("image") or "") for one in template["spec"]["containers"] if one["name"] == container)
