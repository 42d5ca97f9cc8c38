# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the API server of the simulated fleet lets its one user do, and its answers when it is asked for that."""

from __future__ import annotations

from .kubernetes import Rejected
from .layout import NAMESPACE
from .store import Json

OPERATED = ("vitessclusters", "vitesskeyspaces", "vitessshards")
GROUPS = {
    "leases": "coordination.k8s.io",
    "statefulsets": "apps",
    "deployments": "apps",
    "poddisruptionbudgets": "policy",
    **dict.fromkeys(OPERATED, "planetscale.com"),
}
VERBS = ("get", "list", "create", "update", "patch", "delete")
RESOURCES = (
    "pods",
    "pods/eviction",
    "pods/exec",
    "pods/portforward",
    "pods/proxy",
    "leases",
    "configmaps",
    "persistentvolumeclaims",
    "statefulsets",
    "deployments",
    "poddisruptionbudgets",
    "nodes",
    "persistentvolumes",
    *OPERATED,
)
OF_METHOD = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
Grant = tuple[str, str, bool]  # verb, resource, whether in the namespace only


class Authorizer:
    """Everything is allowed until that is narrowed.

    granted: the only rights there are. forbidden: verb and resource. lists_rules: whether its list of rules is whole, as it
    is with RBAC; a webhook's is not. used: what was done or tried.
    """

    def __init__(self) -> None:
        self.granted: set[Grant] | None = None
        self.forbidden: set[tuple[str, str]] = set()
        self.lists_rules = True
        self.used: set[Grant] = set()

    def allows(self, verb: str, resource: str, namespaced: bool) -> bool:
        """One question."""
        if (verb, resource) in self.forbidden:
            return False
        return self.granted is None or bool(self.granted & {(verb, resource, namespaced), (verb, resource, False)})

    def check(self, verb: str, resource: str, namespaced: bool, name: str) -> None:
        """Raises Rejected (403), in the API server's words."""
        self.used.add((verb, resource, namespaced))
        if self.allows(verb, resource, namespaced):
            return
        plain = resource.partition("/")[0]
        where = f'in the namespace "{NAMESPACE}"' if namespaced else "at the cluster scope"
        text = f'cannot {verb} resource "{resource}" in API group "{GROUPS.get(plain, "")}" {where}'
        what = f'{plain} "{name}" is' if name else f"{plain} is"
        raise Rejected(403, "Forbidden", f'{what} forbidden: User "roll" {text}', name=name, kind=plain)

    def review(self, kind: str, body: Json) -> Json:
        """Answers a SelfSubjectRulesReview or a SelfSubjectAccessReview."""
        if kind == "selfsubjectaccessreviews":
            asked = body["spec"]["resourceAttributes"]
            resource = "/".join(part for part in (asked["resource"], asked.get("subresource")) if part)
            return {**body, "status": {"allowed": self.allows(asked["verb"], resource, bool(asked.get("namespace")))}}
        rules = [
            {"verbs": [verb], "apiGroups": [GROUPS.get(resource.partition("/")[0], "")], "resources": [resource]}
            for resource in RESOURCES
            for verb in VERBS
            if self.lists_rules and self.allows(verb, resource, namespaced=True)
        ]
        status: Json = {"resourceRules": rules, "nonResourceRules": [], "incomplete": not self.lists_rules}
        if not self.lists_rules:
            status["evaluationError"] = "webhook authorizer does not support user rule resolution"
        return {**body, "status": status}
