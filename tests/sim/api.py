# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Kubernetes API of the simulated fleet: a request in, JSON out. No sockets."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from .authorizer import OF_METHOD, Authorizer
from .deployments import Deployments
from .fleet import POOLS, Fleet, Tablet
from .kubernetes import Kubernetes, Rejected, is_ready, version_of
from .layout import NAMESPACE
from .store import KINDS, POD_FIELDS, Json, Store, fields_of, has_fields, matches, merged
from .vtgate import Vtgate

PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[\w.]+)/v[12])(?:/namespaces/(?P<namespace>[\w-]+))?/(?P<resource>[a-z]+)"
    r"(?:/(?P<name>[\w.-]+)(?P<rest>/[a-z]+)?)?"
)
REVIEW = re.compile(r"/apis/authorization\.k8s\.io/v1/(selfsubject(?:rules|access)reviews)")
PROXY = re.compile(r"/api/v1/namespaces/[\w-]+/pods/(?P<pod>[\w.-]+?)(?::(?P<port>\d+))?/proxy(?P<page>/.*)")


class Api:
    """Answers requests on the objects of one namespace. largest_page: how many items a list's page has at most.

    What a list holds is live: it must be made text before anything else happens in the fleet.
    """

    def __init__(
        self, store: Store, kubernetes: Kubernetes, fleet: Fleet, vtgates: dict[str, Vtgate], deployments: Deployments
    ) -> None:
        self.store, self.kubernetes, self.fleet, self.vtgates = store, kubernetes, fleet, vtgates
        self.deployments = deployments
        self.largest_page = 500
        self.authorizer = Authorizer()

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        """The JSON of an answer. Raises Rejected."""
        if match := REVIEW.fullmatch(path):
            return self.authorizer.review(match[1], body)
        if match := PROXY.fullmatch(path):
            self.authorizer.check("get", "pods/proxy", True, match["pod"])
            return self._page_of(match["pod"], match["page"])
        match = PATH.fullmatch(path)
        if match is None or match["resource"] not in KINDS:
            raise Rejected(404, "NotFound", "the server could not find the requested resource")
        resource, name = match["resource"], match["name"]
        if match["namespace"] not in (None, NAMESPACE):
            raise (
                Rejected(404, "NotFound", f'namespaces "{match["namespace"]}" not found')
                if name
                else Rejected(403, "Forbidden", f"{resource} is forbidden")
            )
        verb = OF_METHOD.get(method) or ("get" if name else "list")
        self.authorizer.check(verb, resource + (match["rest"] or ""), match["namespace"] is not None, name or "")
        if match["rest"] == "/eviction" and method == "POST":
            self.kubernetes.evict(name, body)
            return status(201, "Success")
        if name is None:
            return self._list(resource, query) if method == "GET" else self._create(resource, body)
        item = self.store.of(resource).get(name)
        if item is None:
            raise Rejected(404, "NotFound", f'{resource} "{name}" not found', name=name)
        return self._one(method, resource, item, body, query.get("dryRun") == "All")

    def _one(self, method: str, resource: str, item: Json, body: Any, dry_run: bool = False) -> Any:
        if method == "GET":
            return copy.deepcopy(item)
        if method == "DELETE":
            self.kubernetes.check_preconditions(item, (body or {}).get("preconditions") or {})
            if resource == "pods":
                self.kubernetes.delete(item["metadata"]["name"])
            else:
                self.store.remove(resource, item["metadata"]["name"])
            return status(200, "Success")
        if method == "PATCH":
            return self._patch(resource, item, body, dry_run)
        if method == "PUT":
            wanted = body["metadata"].get("resourceVersion")
            if wanted and wanted != item["metadata"]["resourceVersion"]:
                raise self._modified(resource, item)
            body["metadata"]["uid"] = item["metadata"]["uid"]
            return copy.deepcopy(self.store.put(resource, body))
        raise Rejected(405, "MethodNotAllowed", f"{method} is not supported")

    @staticmethod
    def _modified(resource: str, item: Json) -> Rejected:
        text = "the object has been modified; please apply your changes to the latest version and try again"
        return Rejected(
            409, "Conflict", f'Operation cannot be fulfilled on {resource} "{item["metadata"]["name"]}": {text}'
        )

    def _patch(self, resource: str, item: Json, body: Any, dry_run: bool) -> Json:
        meta = body.get("metadata") or {}
        if "uid" in meta and meta["uid"] != item["metadata"]["uid"]:
            raise Rejected(409, "Conflict", "Precondition failed: UID in precondition does not match the object's")
        if "resourceVersion" in meta and meta["resourceVersion"] != item["metadata"]["resourceVersion"]:
            raise self._modified(resource, item)
        spec = json.dumps(item.get("spec"), sort_keys=True)
        changed: Json = copy.deepcopy(merged(item, body))
        owner = resource in ("statefulsets", "deployments")
        if owner:
            self.kubernetes.admit(changed, item)
        if dry_run:
            if owner and changed["spec"] != item["spec"]:
                changed["metadata"]["generation"] += 1
            return changed
        item.clear()
        item.update(changed)
        self.store.put(resource, item)
        if owner and json.dumps(item.get("spec"), sort_keys=True) != spec:
            (self.kubernetes.spec_changed if resource == "statefulsets" else self.deployments.changed)(item)
        return copy.deepcopy(item)

    def _create(self, resource: str, body: Json) -> Json:
        name = body["metadata"]["name"]
        if name in self.store.of(resource):
            raise Rejected(409, "AlreadyExists", f'{resource} "{name}" already exists')
        return copy.deepcopy(self.store.put(resource, body))

    def _list(self, resource: str, query: dict[str, str]) -> Json:
        try:
            fields = fields_of(query.get("fieldSelector", ""), POD_FIELDS if resource == "pods" else ("metadata.name",))
        except LookupError as error:
            raise Rejected(400, "BadRequest", f"field label not supported: {error.args[0]}") from error
        every = self.store.of(resource)
        named = [value for path, equal, value in fields if equal and path == ["metadata", "name"]]
        some = every.values() if not named else [every[named[0]]] if named[0] in every else []
        found = [item for item in some if has_fields(item, fields)]
        if selector := query.get("labelSelector", ""):
            found = [item for item in found if matches(selector, item["metadata"].get("labels") or {})]
        found.sort(key=lambda item: str(item["metadata"]["name"]))
        start = int(query.get("continue") or 0)
        limit = min(int(query.get("limit") or self.largest_page), self.largest_page)
        page = found[start : start + limit]
        meta: Json = {"resourceVersion": str(self.store.version)}
        if start + limit < len(found):
            meta["continue"] = str(start + limit)
            if not query.get("labelSelector"):
                meta["remainingItemCount"] = len(found) - start - limit
        version, kind = KINDS[resource]
        return {
            "apiVersion": version,
            "kind": f"{kind}List",
            "metadata": meta,
            "items": [self._item(each) for each in page],
        }

    def _item(self, item: Json) -> Json:
        """As a list holds it: its kind is the list's, and a map that is empty is not there; a vtgate's Pod spells out its command line."""
        shown = {key: value for key, value in item.items() if key not in ("apiVersion", "kind")}
        if not shown["metadata"].get("annotations", True):
            shown["metadata"] = {key: value for key, value in shown["metadata"].items() if key != "annotations"}
        if vtgate := self.vtgates.get(shown["metadata"]["name"]):
            container = {**shown["spec"]["containers"][0], "command": vtgate.command}
            shown["spec"] = {**shown["spec"], "containers": [container]}
        return shown

    # -- web pages through the Pod proxy

    def _page_of(self, pod: str, page: str) -> Any:
        if pod not in self.store.of("pods"):
            raise Rejected(404, "NotFound", f'pods "{pod}" not found')
        vtgate = self.vtgates.get(pod)
        if vtgate is not None:
            if vtgate.down:
                raise Rejected(503, "ServiceUnavailable", "error trying to reach service: dial tcp: connection refused")
            return vtgate.variables()
        item = self.store.of("pods")[pod]
        container = item["spec"]["containers"][0]
        if container["name"] in ("vtctld", "vtorc") and is_ready(item):
            return {"cmdline": [container["name"]], "BuildVersion": version_of(container["image"])}
        tablet = self.kubernetes.tablet_of(pod)
        if tablet is None or not tablet.running:
            raise Rejected(503, "ServiceUnavailable", "error trying to reach service: dial tcp: connection refused")
        if page.startswith("/livequeryz"):
            return [{"Type": "stateless", "Query": text} for text in tablet.live_queries] or None
        return tablet_variables(tablet)


def tablet_variables(tablet: Tablet) -> Json:
    """/debug/vars of a vttablet."""
    cell, uid = (tablet.claims_to_be or tablet.alias).rsplit("-", 1)
    pools = {name: tablet.pool(name) for name in POOLS if name not in tablet.hidden_pools}
    state = "SERVING" if tablet.serving and not tablet.stopping else "NOT_SERVING"
    return {
        "cmdline": ["vttablet", "--tablet-path", f"{cell}-{int(uid)}", "--tablet-hostname", tablet.hostname],
        "BuildVersion": tablet.version,
        "TabletType": tablet.type.lower(),
        "TabletStateName": state,
        **pools,
        **({"RestoreBytes": {"BackupEngine.Builtin.Source:Read": tablet.restored}} if tablet.restored else {}),
    }


def status(code: int, word: str, reason: str = "", message: str = "", details: Json | None = None) -> Json:
    """A Status object."""
    found: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": word, "code": code}
    if reason:
        found |= {"reason": reason, "message": message, "details": details or {}}
    return found
