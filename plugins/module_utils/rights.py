# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Kubernetes must let a roll do, and what it says that it does. Pure. docs/rbac.yaml grants exactly this."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

Json = dict[str, Any]
# What is not here is in the core group.
GROUPS = {
    "leases": "coordination.k8s.io",
    "poddisruptionbudgets": "policy",
    "statefulsets": "apps",
    "deployments": "apps",
    "vitessclusters": "planetscale.com",
    "vitesskeyspaces": "planetscale.com",
    "vitessshards": "planetscale.com",
}


@dataclass(frozen=True, order=True)
class Right:
    """A verb on a resource (C(pods/eviction) where it is a part of one); namespace is empty for what belongs to none."""

    verb: str
    resource: str
    namespace: str = ""

    @property
    def group(self) -> str:
        """The resource's API group."""
        return GROUPS.get(self.resource, "")

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} " + (
            f"in namespace {self.namespace}" if self.namespace else "cluster-wide"
        )


@dataclass(frozen=True)
class Granted:
    """What of the rights asked for is missing; note: what could not be found out."""

    missing: tuple[Right, ...] = ()
    note: str = ""

    def problem(self, purpose: str = "") -> str:
        """What is missing, in words, and where it is listed; empty if nothing is. purpose: what alone needs it."""
        if not self.missing:
            return ""
        needed = f" for {purpose}" if purpose else ""
        return (
            f"Kubernetes does not let us {', '.join(map(str, self.missing))}: grant what docs/rbac.yaml lists{needed}"
        )


# Verbs by resource. An exec and a port-forward are websockets: a GET, for which Kubernetes 1.35 asks for create as well
# (kubernetes#134577).
_OF_VTCTLD = {"pods": ("list",), "pods/exec": ("get", "create")}
_OF_PAUSE = {"configmaps": ("get",)}
_OF_CLAIMS = {"leases": ("get", "list", "create", "update")}
_OF_TABLETS = {
    "pods": ("get", "list", "patch"),
    "pods/proxy": ("get",),
    "persistentvolumeclaims": ("get", "patch"),
    "poddisruptionbudgets": ("list",),
}
_OF_SPECS = {"statefulsets": ("get", "patch")}
_OF_COMPONENTS = {"pods": ("list",), "pods/proxy": ("get",), "deployments": ("get", "list", "patch")}
_OF_CORDONS = {"nodes": ("list", "get", "patch")}
_OF_VTGATES = {"pods": ("list",), "pods/portforward": ("get", "create"), "pods/proxy": ("get",)}
_OF_NODES = {"nodes": ("list",), "persistentvolumes": ("get",)}
_WRITES = ("create", "update", "patch", "delete")


class Removal(Enum):
    """The ways in which a tablet's Pod is taken away."""

    EVICTED = "evicted"  # a StatefulSet's
    RELEASED = "released"  # vitess-operator's, for a change of its spec
    DRAINED = "drained"  # vitess-operator's, to be moved: drained by its protocol, then deleted


_OPERATOR: dict[str, tuple[str, ...]] = {
    "vitessclusters": ("get",),
    "vitesskeyspaces": ("get",),
    "vitessshards": ("get",),
}
_BY_REMOVAL: dict[Removal, tuple[dict[str, tuple[str, ...]], ...]] = {
    Removal.EVICTED: ({"pods/eviction": ("create",), "statefulsets": ("get",)},),
    Removal.RELEASED: (_OPERATOR, {"vitesskeyspaces": ("patch",), "vitessshards": ("patch",)}),
    Removal.DRAINED: (_OPERATOR, {"pods": ("delete",)}),
}


def removal_of(operated: bool, moves: bool) -> Removal:
    """How a Pod is taken away. operated: vitess-operator owns it. moves: without a change of its spec."""
    if not operated:
        return Removal.EVICTED
    return Removal.DRAINED if moves else Removal.RELEASED


def _in(namespace: str, verbs: Mapping[str, tuple[str, ...]]) -> Iterable[Right]:
    return (Right(verb, resource, namespace) for resource, several in verbs.items() for verb in several)


def _to_remove(namespace: str, removal: Removal) -> Iterable[Right]:
    return (right for verbs in _BY_REMOVAL[removal] for right in _in(namespace, verbs))


def of_roll(
    namespace: str,
    tablet_namespaces: Iterable[str],
    vtgate_namespaces: Iterable[str],
    by_exec: bool,
    removals: Iterable[Removal] = (Removal.EVICTED,),
) -> tuple[Right, ...]:
    """All that a roll does. namespace: vtctld's. vtgate_namespaces: none where they are asked at static addresses.

    by_exec: vtctldclient runs in vtctld's Pod. removals: the ways in which it takes Pods away.
    """
    ways = tuple(removals)
    found = {*_in(namespace, _OF_CLAIMS), *_in(namespace, _OF_PAUSE), *_in("", _OF_NODES)}
    if by_exec:
        found.update(_in(namespace, _OF_VTCTLD))
    for place in tablet_namespaces:
        found.update(_in(place, _OF_TABLETS))
        for removal in ways:
            found.update(_to_remove(place, removal))
    for place in vtgate_namespaces:
        found.update(_in(place, _OF_VTGATES))
    return tuple(sorted(found))


def of_writes(namespace: str, tablet_namespace: str, removal: Removal = Removal.EVICTED) -> tuple[Right, ...]:
    """What is still to be written when one tablet is about to be taken. What is read, and exec, is proved by having read."""
    every = (
        *_in(namespace, _OF_CLAIMS),
        *_in(tablet_namespace, _OF_TABLETS),
        *_to_remove(tablet_namespace, removal),
    )
    return tuple(sorted(right for right in every if right.verb in _WRITES))


def of_spec(namespace: str, tablet_namespaces: Iterable[str]) -> tuple[Right, ...]:
    """What it takes beside reading to change the spec of tablets' owners. namespace: vtctld's."""
    found = set(_in(namespace, _OF_CLAIMS))
    for place in tablet_namespaces:
        found.update(_in(place, _OF_SPECS))
    return tuple(sorted(found))


def of_kept_plans(namespace: str) -> tuple[Right, ...]:
    """What it takes to keep a plan in the cluster and to find it again. namespace: vtctld's."""
    return tuple(sorted(_in(namespace, {"configmaps": ("create", "get")})))


def of_components(namespace: str, places: Iterable[str]) -> tuple[Right, ...]:
    """What it takes to change the Deployments of vtctld, vtgate or vtorc in these namespaces, and to watch them roll."""
    found = set(_in(namespace, _OF_CLAIMS))
    for place in places:
        found.update(_in(place, _OF_COMPONENTS))
    return tuple(sorted(found))


def of_cordons() -> tuple[Right, ...]:
    """What it takes to cordon nodes."""
    return tuple(sorted(_in("", _OF_CORDONS)))


@dataclass(frozen=True)
class Rule:
    """One rule of a SelfSubjectRulesReview."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]

    def grants(self, right: Right) -> bool:
        """As RBAC matches (kubernetes pkg/apis/rbac/v1/evaluation_helpers.go). A rule for named objects counts: names are not known here."""
        whole, slash, part = right.resource.partition("/")
        resources = {"*", right.resource, *([f"*/{part}"] if slash and whole else [])}
        return (
            bool(self.verbs & {"*", right.verb})
            and bool(self.groups & {"*", right.group})
            and bool(self.resources & resources)
        )


def parse_rules(review: Json) -> tuple[Rule, ...]:
    """From authorization.k8s.io/v1. What it does not list may be granted all the same (C(incomplete))."""
    return tuple(
        Rule(
            frozenset(rule.get("verbs") or []),
            frozenset(rule.get("apiGroups") or []),
            frozenset(rule.get("resources") or []),
        )
        for rule in (review.get("status") or {}).get("resourceRules") or []
    )


def rules_review(namespace: str) -> Json:
    """The question which rules apply to us in a namespace."""
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }


def access_review(right: Right) -> Json:
    """The question whether we have one right."""
    resource, _slash, part = right.resource.partition("/")
    attributes = {"verb": right.verb, "group": right.group, "resource": resource}
    if part:
        attributes["subresource"] = part
    if right.namespace:
        attributes["namespace"] = right.namespace
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
