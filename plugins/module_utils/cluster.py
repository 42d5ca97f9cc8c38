# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a shard as it is now: topology, Pods, mysqlds and every vtgate's own view, in parallel. The only place that puts them together."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, TypeVar

from . import identity, labels, place, rights, vitess_operator
from .clients.kubernetes import Json, KubernetesClient
from .clients.login import Login
from .clients.vtctld import Vtctld
from .clients.vtgate import Endpoint, VtgateClient
from .clients.vttablet import Vttablet, VttabletVars, alias_of_command_line, parse_flags
from .errors import EdgeError, Refused, Unreachable
from .fleet import Alias, Budget, Mysqld, Pod, Shard, Tablet, Vtgate
from .owners import Owner, stateful_set_refusal, unsupported
from .place import Ground, Needs, Node, Place, Resources, Term
from .rights import Granted, Right, Rule
from .timestamps import parse_timestamp
from .topology import Component, component_of, refuse_strangers
from .waiting import Clock

T = TypeVar("T")
# kubernetes/apiserver pkg/endpoints/handlers/responsewriters/errors.go
FORBIDDEN = re.compile(r'cannot (\w+) resource "([\w/]+)" in API group "[^"]*"(?: in the namespace "([^"]+)")?')
VTGATES_AT_ONCE = 16
NODES_KEPT_S = 1.0
OWNERS_ONE_BY_ONE = 8  # more than these are listed at once


@dataclass(frozen=True)
class Scope:
    """Which Vitess cluster: its namespaces and how its Pods are found."""

    namespace: str
    tablet_namespaces: tuple[str, ...] = ()
    vtgate_namespaces: tuple[str, ...] = ()
    tablet_selector: str = labels.DEFAULT_TABLET_SELECTOR
    vtgate_selector: str = labels.DEFAULT_VTGATE_SELECTOR
    vtgate_addresses: tuple[str, ...] = ()
    vtgate_port: int = 3306
    vtgate_web_port: int = 15000
    vtctld_by_exec: bool = True

    @property
    def namespaces_of_tablets(self) -> tuple[str, ...]:
        """Where tablets are looked for."""
        return self.tablet_namespaces or (self.namespace,)

    @property
    def namespaces_of_vtgates(self) -> tuple[str, ...]:
        """Where vtgates are looked for; none where their addresses are given."""
        return () if self.vtgate_addresses else self.vtgate_namespaces or (self.namespace,)


class Cluster:
    """One Vitess cluster in one Kubernetes cluster."""

    def __init__(
        self,
        kube: KubernetesClient,
        vtctld: Vtctld,
        vttablet: Vttablet,
        scope: Scope,
        login: Login,
        clock: Clock,
        member: Component | None = None,
    ) -> None:
        """member: the vtctld that is asked, where it is known; every vtgate must be of its Vitess cluster."""
        self.kube = kube
        self.vtctld = vtctld
        self.vttablet = vttablet
        self.scope = scope
        self._login = login
        self._clock = clock
        self._member = member
        self._durability: dict[str, str] = {}
        self._vtgates: dict[str, VtgateClient] = {}
        self._nodes: tuple[float, tuple[Node, ...]] | None = None
        self._seen: dict[tuple[str, str], set[str]] = {}  # every address at which a shard's tablets were seen
        self._rules: dict[str, tuple[Rule, ...]] = {}
        self._listing = threading.Lock()

    # -- the shard

    def shard_of(self, alias: Alias) -> tuple[str, str]:
        """Keyspace and shard of a tablet. Raises Refused where the topology has no such tablet."""
        record = self.vtctld.tablet(alias)
        return record.keyspace, record.shard

    def read_shard(
        self,
        keyspace: str,
        shard: str,
        mysqlds: bool = True,
        vtgates: bool = True,
        work: bool = False,
        canary: bool = False,
        former: Iterable[str] | None = (),
    ) -> Shard:
        """A shard at one moment. Raises EdgeError where topology or Kubernetes cannot be asked; a mysqld's or vtgate's error is in the result.

        What it costs does not grow with the fleet: Pods and vtgates are asked for the addresses of this shard's tablets alone,
        the present ones, those that were seen before, and the former ones that the caller knows (None: vtgates are asked for all).
        """
        started = self._clock.monotonic()
        with ThreadPoolExecutor(2) as pool:
            known = self._durability.get(keyspace)
            asked = pool.submit(self.vtctld.shard_records, keyspace, shard, mysqlds, known is None, work, canary)
            clients = self._opened_vtgates() if vtgates else []
            records = asked.result()
            present = {tablet.hostname for tablet in records.tablets} - {""}
            listed = pool.submit(self.pods_at, present)
            with self._listing:
                seen = self._seen.setdefault((keyspace, shard), set())
                seen |= present
                addresses = None if former is None else frozenset(seen.union(former))
            views = views_of(clients, addresses)
            pods = listed.result()
        if records.durability is not None:
            self._durability[keyspace] = records.durability
        tablets = tuple(
            _with_status(tablet, records.statuses.get(tablet.alias) if mysqlds else None)
            for tablet in self.with_pods(sorted(records.tablets, key=lambda t: t.alias), pods)
        )
        return Shard(
            keyspace=keyspace,
            name=shard,
            durability=self._durability[keyspace],
            primary=records.primary,
            primary_term_start=records.primary_term_start,
            tablets=tablets,
            vtgates=of_tablets(views, tablets),
            work=records.work,
            canary=records.canary,
            read_started=started,
            read_ended=self._clock.monotonic(),
        )

    # -- vtgates

    def vtgates(self) -> list[VtgateClient]:
        """The declared vtgates, listed anew at each look (design rule 8). Raises EdgeError where they are of two Vitess clusters."""
        scope = self.scope
        members = [self._member] if self._member else []
        endpoints: list[Endpoint] = []
        for address in scope.vtgate_addresses:
            host, _colon, port = address.rpartition(":")
            endpoints.append(
                Endpoint(name=address, host=host or address, port=int(port) if host else scope.vtgate_port)
            )
        if not endpoints:
            namespaces = scope.namespaces_of_vtgates
            for namespace in namespaces:
                for item in self.kube.pods(namespace, scope.vtgate_selector):
                    pod = parse_pod(item)
                    if pod.phase in ("Succeeded", "Failed"):
                        continue
                    members.append(component_of(item))
                    endpoints.append(
                        Endpoint(
                            name=pod.name if len(namespaces) == 1 else f"{namespace}/{pod.name}",
                            namespace=namespace,
                            pod=pod.name,
                            uid=pod.uid,
                            port=scope.vtgate_port,
                            web_port=scope.vtgate_web_port,
                            ready=pod.ready,
                            terminating=pod.terminating,
                            flags=spelled_out_flags(item.get("spec") or {}, "vtgate"),
                        )
                    )
        refuse_strangers(members, "vtgate_selector")
        return [self._client(endpoint) for endpoint in endpoints]

    def _opened_vtgates(self) -> list[VtgateClient]:
        clients = self.vtgates()
        in_parallel([client.open for client in clients])
        return clients

    def _client(self, endpoint: Endpoint) -> VtgateClient:
        """The client of a vtgate that was seen before keeps its connection; one whose Pod is another by now does not."""
        with self._listing:
            known = self._vtgates.get(endpoint.name)
            if known is not None and known.endpoint == endpoint:
                return known
            if known is not None:
                known.close()
            self._vtgates[endpoint.name] = VtgateClient(self.kube, endpoint, self._login)
            return self._vtgates[endpoint.name]

    def close(self) -> None:
        """Close the vtgate connections that were kept."""
        for client in self._vtgates.values():
            client.close()

    def views(self, addresses: Collection[str] | None) -> tuple[Vtgate, ...]:
        """Every vtgate's own view of the tablets at these addresses (None: of all), all at once. Connections are kept for this operation."""
        return views_of(self.vtgates(), addresses)

    # -- the operator's word

    def paused(self) -> str:
        """Why no roll may take another tablet, as the ConfigMap in vtctld's namespace says; empty where there is none."""
        found = self.kube.find(f"/api/v1/namespaces/{self.scope.namespace}/configmaps/{labels.PAUSE}")
        if found is None:
            return ""
        reason = str((found.get("data") or {}).get(labels.REASON) or "").strip() or "no reason is given"
        return f"{reason} (ConfigMap {labels.PAUSE}, since {found['metadata'].get('creationTimestamp') or 'an unknown time'})"

    # -- plans that are kept

    def keep(self, name: str, key: str, content: bytes) -> bool:
        """Keep something in a ConfigMap that nobody changes any more; whether it was not there yet. Raises EdgeError."""
        path = f"/api/v1/namespaces/{self.scope.namespace}/configmaps"
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "labels": {labels.MANAGED_BY: labels.MANAGER}},
            "immutable": True,
            "binaryData": {key: base64.b64encode(content).decode("ascii")},
        }
        try:
            self.kube.request("POST", path, body=body)
        except Refused as error:
            if error.status != 409:
                raise
            return False
        return True

    def kept(self, name: str, key: str) -> bytes | None:
        """What was kept under that name; None where nothing is. Raises EdgeError."""
        found = self.kube.find(f"/api/v1/namespaces/{self.scope.namespace}/configmaps/{name}")
        try:
            return None if found is None else base64.b64decode((found.get("binaryData") or {})[key], validate=True)
        except (KeyError, ValueError) as error:
            raise EdgeError(f"ConfigMap {name} holds no {key}") from error

    # -- Pods and owners

    def budgets(self) -> tuple[Budget, ...]:
        """The disruption budgets of the namespaces with tablets."""
        return tuple(
            parse_budget(item)
            for namespace in self.scope.namespaces_of_tablets
            for item in self.kube.items(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets")
        )

    def tablet_pods(self) -> tuple[Pod, ...]:
        """All tablet Pods of the cluster."""
        return tuple(
            parse_pod(item)
            for namespace in self.scope.namespaces_of_tablets
            for item in self.kube.each(f"/api/v1/namespaces/{namespace}/pods", self.scope.tablet_selector)
        )

    def pods_at(self, addresses: Iterable[str]) -> tuple[Pod, ...]:
        """The tablet Pods at these addresses, each in every namespace: what tablet_pods() has of them, without listing the rest."""
        selector = self.scope.tablet_selector
        lists = in_parallel(
            [
                partial(self.kube.pods, namespace, selector, identity.field_of(address))
                for namespace in self.scope.namespaces_of_tablets
                for address in sorted(addresses)
            ]
        )
        return tuple({item["metadata"]["uid"]: parse_pod(item) for items in lists for item in items}.values())

    def with_pods(self, tablets: Sequence[Tablet], pods: Sequence[Pod]) -> tuple[Tablet, ...]:
        """The tablets with the Pods that they run in. Where addresses do not tell, the vttablets are asked who they are.

        Raises EdgeError where two say that they are the same tablet.
        """
        found = identity.candidates(tablets, pods)
        unclear = identity.contested(found)
        answers = in_parallel([partial(self.says, pod) for pod in unclear])
        found = identity.settled(found, {pod.uid: said for pod, said in zip(unclear, answers, strict=True)})
        for alias, matches in found.items():
            if len(matches) > 1:
                names = ", ".join(f"{pod.namespace}/{pod.name}" for pod in matches)
                raise EdgeError(f"{alias} is what {len(matches)} Pods say they are: {names}")
        return tuple(
            replace(tablet, pod=found[tablet.alias][0]) if found[tablet.alias] else tablet for tablet in tablets
        )

    def says(self, pod: Pod) -> Alias | None:
        """Who the vttablet in a Pod says it is; None where it does not answer."""
        try:
            return self.vttablet.vars(pod).alias
        except EdgeError:
            return None

    def pod(self, namespace: str, name: str) -> Pod | None:
        """One Pod by name, None if there is none."""
        item = self.kube.find(f"/api/v1/namespaces/{namespace}/pods/{name}")
        return None if item is None else parse_pod(item)

    def owner_of(self, pod: Pod) -> Owner:
        """Who recreates this Pod."""
        if pod.owner_kind == vitess_operator.KIND:
            return vitess_operator.owner_of(self.operator_tree(pod), pod)
        if pod.owner_kind != "StatefulSet":
            return unsupported(pod.owner_kind, pod.owner_name)
        return parse_stateful_set(self.kube.get(stateful_set_path(pod.namespace, pod.owner_name)))

    def operator_tree(self, pod: Pod) -> vitess_operator.Tree:
        """What vitess-operator has above this Pod. Raises EdgeError where a level is not there."""
        return self._operator_trees([pod])[pod.owner]

    def _operator_trees(self, pods: Iterable[Pod]) -> dict[tuple[str, str, str], vitess_operator.Tree]:
        """By Pod.owner; each object is read once."""
        owners = {pod.owner for pod in pods}
        shards = self._levels(vitess_operator.SHARDS, {(namespace, name) for namespace, _kind, name in owners})
        keyspaces = self._levels(vitess_operator.KEYSPACES, {(key[0], level.parent) for key, level in shards.items()})
        clusters = self._levels(vitess_operator.CLUSTERS, {(key[0], level.parent) for key, level in keyspaces.items()})
        found = {}
        for owner in owners:
            namespace, _kind, name = owner
            shard = shards[namespace, name]
            keyspace = keyspaces[namespace, shard.parent]
            found[owner] = vitess_operator.Tree(clusters[namespace, keyspace.parent], keyspace, shard)
        return found

    def _levels(
        self, resource: str, names: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], vitess_operator.Level]:
        keys = sorted(names)
        for namespace, name in keys:
            if not name:
                raise EdgeError(f"of the {resource} in namespace {namespace} none is named as an owner")
        paths = [vitess_operator.path(resource, namespace, name) for namespace, name in keys]
        items = in_parallel([partial(self.kube.get, path) for path in paths])
        return {key: vitess_operator.parse_level(item) for key, item in zip(keys, items, strict=True)}

    def owners_of(self, pods: Iterable[Pod]) -> dict[tuple[str, str, str], Owner]:
        """Who recreates these Pods, by Pod.owner: asked for one by one; StatefulSets, where they are many, from one list in each namespace."""
        one_of = {pod.owner: pod for pod in pods}
        listed: dict[tuple[str, str, str], Owner] = {}
        if len(one_of) > OWNERS_ONE_BY_ONE:
            for namespace in sorted({pod.namespace for pod in one_of.values()}):
                listed.update(self._stateful_sets(namespace, one_of))
        operated = [pod for pod in one_of.values() if pod.owner_kind == vitess_operator.KIND]
        for key, tree in self._operator_trees(operated).items():
            listed[key] = vitess_operator.owner_of(tree, one_of[key])
        missing = [pod for key, pod in one_of.items() if key not in listed]
        asked = in_parallel([partial(self.owner_of, pod) for pod in missing])
        return listed | {pod.owner: owner for pod, owner in zip(missing, asked, strict=True)}

    def _stateful_sets(
        self, namespace: str, wanted: Collection[tuple[str, str, str]]
    ) -> dict[tuple[str, str, str], Owner]:
        """Of a namespace, those that are wanted; none where they may be read but not listed."""
        found = {}
        try:
            for item in self.kube.each(f"/apis/apps/v1/namespaces/{namespace}/statefulsets"):
                key = (namespace, "StatefulSet", str(item["metadata"]["name"]))
                if key in wanted:
                    found[key] = parse_stateful_set(item)
        except Refused as error:
            if error.status != 403:
                raise
        return found

    def nodes(self) -> tuple[Node, ...]:
        """All nodes, as they were at most NODES_KEPT_S ago."""
        now = self._clock.monotonic()
        if self._nodes is None or now - self._nodes[0] > NODES_KEPT_S:
            self._nodes = now, tuple(place.parse_node(item) for item in self.kube.items("/api/v1/nodes"))
        return self._nodes[1]

    def node(self, name: str) -> tuple[Node, ...]:
        """The node of that name, if there is one; by the right to list nodes."""
        return tuple(
            place.parse_node(item) for item in self.kube.items("/api/v1/nodes", fields=f"metadata.name={name}")
        )

    def ground_for(self, pod: Pod) -> Ground:
        """The Pod's own node and what its volumes say of nodes. What may not be read is in the result, with the verb."""
        volumes: list[tuple[Term, ...]] = []
        try:
            nodes = self.node(pod.node) if pod.node else ()
            for name in pod.volume_claims:
                claim = self.kube.get(f"/api/v1/namespaces/{pod.namespace}/persistentvolumeclaims/{name}")
                topology = (claim["metadata"].get("annotations") or {}).get(labels.TOPOLOGY)
                if topology not in (None, self.scope.namespace):
                    return Ground(
                        refusal=f"volume claim {name} holds a tablet of the Vitess cluster in namespace {topology} ({labels.TOPOLOGY})"
                    )
                volume_name = (claim.get("spec") or {}).get("volumeName")
                if not volume_name:
                    return Ground(refusal=f"volume claim {name} is not bound")
                terms = place.parse_volume(self.kube.get(f"/api/v1/persistentvolumes/{volume_name}"))
                if terms is not None:
                    volumes.append(terms)
        except Refused as error:
            if error.status != 403:
                raise
            return Ground(refusal=f"where the new Pod could go is not known: {explain(error)}")
        return Ground(nodes, tuple(volumes))

    def place_on(self, ground: Ground, pod: Pod, owner: Owner) -> Place:
        """Where the Pod's successor may go.

        Other nodes are listed only for a successor that may not go to its predecessor's or does not fit into what that leaves;
        then other Pods too, node by node, that one first, until one has room. Where they may not be listed, that is said and
        room is not compared.
        """
        needs = owner.needs_of(pod)
        asks = needs.requests
        nodes, refusal = place.fitting(ground, needs)
        if nodes and place.covered_by(asks, pod.requests):
            return Place((pod.node,))
        if not ground.refusal:
            nodes, refusal = place.fitting(replace(ground, nodes=self.nodes()), needs)
        if refusal:
            return Place((), refusal)
        names = tuple(sorted(node.name for node in nodes))
        short: list[str] = []
        for node in sorted(nodes, key=lambda node: (node.name != pod.node, node.name)):
            try:
                problem = place.lacking(node, asks, self.requested_on(node.name, but=pod.uid))
            except Refused as error:
                if error.status != 403:
                    raise
                return Place(names, note=f"whether there is room was not compared: {explain(error)}")
            if not problem:
                return Place((node.name,))
            short.append(problem)
        return Place((), place.summary(short))

    def requested_on(self, node: str, but: str) -> Resources:
        """What the Pods of a node reserve, all namespaces, but one Pod (by uid)."""
        fields = f"spec.nodeName={node},status.phase!=Succeeded,status.phase!=Failed"
        items = self.kube.items("/api/v1/pods", fields=fields)
        return place.total(
            place.parse_requests(item.get("spec") or {}) for item in items if item["metadata"]["uid"] != but
        )

    def requested_in_sight(self, node: str) -> tuple[Resources, str]:
        """What the Pods of a node reserve; where not all may be listed, those of the tablets' namespaces, and a note that says so."""
        try:
            return self.requested_on(node, but=""), ""
        except Refused as error:
            if error.status != 403:
                raise
            fields = f"spec.nodeName={node},status.phase!=Succeeded,status.phase!=Failed"
            found = [
                place.parse_requests(item.get("spec") or {})
                for namespace in self.scope.namespaces_of_tablets
                for item in self.kube.pods(namespace, "", fields)
            ]
            return place.total(found), f"Pods of other namespaces were not counted: {explain(error)}"

    def rights_of_roll(self, removals: Iterable[rights.Removal] = (rights.Removal.EVICTED,)) -> Granted:
        """Whether Kubernetes lets us do all that a roll does. removals: the ways in which it takes Pods away."""
        scope = self.scope
        return self.granted(
            rights.of_roll(
                scope.namespace,
                scope.namespaces_of_tablets,
                scope.namespaces_of_vtgates,
                scope.vtctld_by_exec,
                removals,
            )
        )

    def rights_to_write(self, pod: Pod, moves: bool = False) -> Granted:
        """Whether Kubernetes lets us do what is still to be written when this Pod's tablet is about to be taken.

        moves: it is recreated without a change of its spec.
        """
        removal = rights.removal_of(pod.owner_kind == vitess_operator.KIND, moves)
        return self.granted(rights.of_writes(self.scope.namespace, pod.namespace, removal))

    def rights_to_specify(self, namespaces: Iterable[str]) -> Granted:
        """Whether Kubernetes lets us change the spec of the tablets' owners in these namespaces."""
        return self.granted(rights.of_spec(self.scope.namespace, namespaces))

    def rights_to_roll_components(self, namespaces: Iterable[str]) -> Granted:
        """Whether Kubernetes lets us change and watch Deployments in these namespaces."""
        return self.granted(rights.of_components(self.scope.namespace, namespaces))

    def rights_to_cordon(self) -> Granted:
        """Whether Kubernetes lets us cordon nodes."""
        return self.granted(rights.of_cordons())

    def granted(self, needed: Sequence[Right]) -> Granted:
        """What of it is missing: one question per namespace, kept for this operation, and one more for each right that its answer does not show.

        Where that cannot be asked either, it is a note: the act itself will tell.
        """
        unknown = sorted({right.namespace for right in needed if right.namespace} - set(self._rules))
        self._rules.update(
            zip(unknown, in_parallel([partial(self._rules_in, place) for place in unknown]), strict=True)
        )
        unseen = [
            right for right in needed if not any(rule.grants(right) for rule in self._rules.get(right.namespace, ()))
        ]
        answers = list(zip(unseen, in_parallel([partial(self._may, right) for right in unseen]), strict=True))
        unasked = [str(right) for right, may in answers if may is None]
        return Granted(
            tuple(right for right, may in answers if may is False),
            f"could not be asked: {', '.join(unasked)}" if unasked else "",
        )

    def _rules_in(self, namespace: str) -> tuple[Rule, ...]:
        try:
            return rights.parse_rules(self.kube.review(rights.rules_review(namespace)))
        except EdgeError:
            return ()

    def _may(self, right: Right) -> bool | None:
        try:
            return bool((self.kube.review(rights.access_review(right)).get("status") or {}).get("allowed"))
        except EdgeError:
            return None

    def label_volume(self, pod: Pod, alias: Alias) -> None:
        """Write the alias on the Pod's volume claims, so that the tablet can be found when it is dead (design section 5)."""
        for name in pod.volume_claims:
            path = f"/api/v1/namespaces/{pod.namespace}/persistentvolumeclaims/{name}"
            have = self.kube.get(path)["metadata"].get("annotations") or {}
            if have.get(labels.TABLET) != str(alias):
                self.kube.merge(
                    path,
                    {"metadata": {"annotations": {labels.TABLET: str(alias), labels.TOPOLOGY: self.scope.namespace}}},
                )

    def tablet_on_volumes(self, pod: Pod) -> Alias | None:
        """The tablet whose data the Pod's volume claims hold, as label_volume() wrote while it was healthy; None where nobody did."""
        for name in pod.volume_claims:
            item = self.kube.find(f"/api/v1/namespaces/{pod.namespace}/persistentvolumeclaims/{name}")
            notes = (item["metadata"].get("annotations") or {}) if item else {}
            if labels.TABLET in notes and notes.get(labels.TOPOLOGY) == self.scope.namespace:
                return Alias.parse(notes[labels.TABLET])
        return None

    def volume_problem(self, pod: Pod) -> str:
        """Why a Pod that waits cannot have its volumes: a claim is not there or lost, or its volume is on nodes that are not there."""
        for name in pod.volume_claims:
            claim = self.kube.find(f"/api/v1/namespaces/{pod.namespace}/persistentvolumeclaims/{name}")
            if claim is None:
                return f"volume claim {name} is not there"
            volume = (claim.get("spec") or {}).get("volumeName")
            if (claim.get("status") or {}).get("phase") == "Lost":
                return f"volume claim {name} has lost its volume {volume}"
            item = self.kube.find(f"/api/v1/persistentvolumes/{volume}") if volume else None
            terms = place.parse_volume(item) if item else None
            if terms is not None and not any(place.reaches(terms, node) for node in self.nodes()):
                return f"volume {volume} of claim {name} is on a node that is not there"
        return ""

    def confirm_identity(self, tablet: Tablet, pod: Pod) -> VttabletVars:
        """Ask the vttablet in the tablet's Pod who it is: an address is only a hint (design section 5). Raises EdgeError."""
        said = self.vttablet.vars(pod)
        if said.alias != tablet.alias:
            raise EdgeError(
                f"Pod {pod.name} at {tablet.hostname} says that it is {said.alias or 'no tablet'}, not {tablet.alias}"
            )
        return said


def of_tablets(views: Sequence[Vtgate], tablets: Sequence[Tablet]) -> tuple[Vtgate, ...]:
    """The views, with the rows of these tablets only."""
    aliases = {tablet.alias for tablet in tablets}
    return tuple(
        replace(view, routes=tuple(route for route in view.routes if route.alias in aliases)) for view in views
    )


def _with_status(tablet: Tablet, status: Mysqld | str | None) -> Tablet:
    if status is None:
        return tablet
    return replace(tablet, mysqld_error=status) if isinstance(status, str) else replace(tablet, mysqld=status)


def in_parallel(calls: Sequence[Callable[[], T]], at_once: int = VTGATES_AT_ONCE) -> list[T]:
    """Run the calls at once, at most so many at a time; results in order. Raises the first error."""
    if not calls:
        return []
    with ThreadPoolExecutor(min(at_once, len(calls))) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def views_of(clients: Sequence[VtgateClient], addresses: Collection[str] | None) -> tuple[Vtgate, ...]:
    """What these vtgates show at these addresses (None: of all), all at once."""
    return tuple(in_parallel([partial(client.view, addresses) for client in clients]))


class VtctldPod(NamedTuple):
    """Where vtctldclient runs, and which Vitess cluster it speaks for."""

    name: str
    container: str
    member: Component


def find_vtctld(kube: KubernetesClient, namespace: str, selector: str) -> VtctldPod:
    """A Ready vtctld. Raises Unreachable where there is none, EdgeError where those found are of two Vitess clusters."""
    items = [item for item in kube.pods(namespace, selector) if parse_pod(item).phase not in ("Succeeded", "Failed")]
    refuse_strangers([component_of(item) for item in items], "vtctld_selector")
    for item in items:
        pod = parse_pod(item)
        if pod.ready and not pod.terminating:
            containers = [str(c["name"]) for c in item["spec"]["containers"]]
            return VtctldPod(pod.name, "vtctld" if "vtctld" in containers else containers[0], component_of(item))
    raise Unreachable(f"namespace {namespace} has no Ready vtctld Pod ({selector})")


def parse_pod(item: Json) -> Pod:
    """From core/v1."""
    meta, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    owner: Json = next((o for o in meta.get("ownerReferences") or [] if o.get("controller")), {})
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or []}
    annotations = meta.get("annotations") or {}
    operated = owner.get("kind") == vitess_operator.KIND
    since = next((c.get("lastTransitionTime") for c in status.get("conditions") or [] if c["type"] == "Ready"), None)
    return Pod(
        namespace=str(meta.get("namespace") or ""),
        name=str(meta["name"]),
        uid=str(meta["uid"]),
        resource_version=str(meta.get("resourceVersion") or ""),
        ip=str(status.get("podIP") or ""),
        node=str(spec.get("nodeName") or ""),
        phase=str(status.get("phase") or ""),
        ready=conditions.get("Ready") == "True",
        terminating=bool(meta.get("deletionTimestamp")),
        created=parse_timestamp(str(meta.get("creationTimestamp") or "")),
        ready_since=parse_timestamp(since) if since and conditions.get("Ready") == "True" else 0.0,
        revision=vitess_operator.revision_of(str(owner["name"]), annotations)
        if operated
        else str((meta.get("labels") or {}).get(labels.REVISION) or ""),
        owner_kind=str(owner.get("kind") or ""),
        owner_name=str(owner.get("name") or ""),
        images=_images(spec),
        volume_claims=tuple(
            str(v["persistentVolumeClaim"]["claimName"])
            for v in spec.get("volumes") or []
            if "persistentVolumeClaim" in v
        ),
        requests=place.parse_requests(spec),
        alias=_alias(spec),
        trouble=_trouble(status),
        marks=vitess_operator.parse_marks(annotations),
        underscored=_underscored(spec) if operated else "",
        needs=place.parse_needs(spec) if operated else Needs(),
        labels=frozenset((str(key), str(value)) for key, value in (meta.get("labels") or {}).items()),
        grace_s=float(spec.get("terminationGracePeriodSeconds", 30)),
        running=frozenset(
            str(one["name"])
            for one in status.get("containerStatuses") or []
            if (one.get("state") or {}).get("running") is not None
        ),
    )


def parse_budget(item: Json) -> Budget:
    """From policy/v1."""
    selector = (item.get("spec") or {}).get("selector") or {}
    return Budget(
        namespace=str(item["metadata"].get("namespace") or ""),
        name=str(item["metadata"]["name"]),
        wants=frozenset((str(key), str(value)) for key, value in (selector.get("matchLabels") or {}).items()),
        rules=tuple(
            (str(rule["key"]), str(rule["operator"]), frozenset(map(str, rule.get("values") or [])))
            for rule in selector.get("matchExpressions") or []
        ),
    )


def _alias(pod_spec: Json) -> Alias | None:
    """The tablet that a container's command line names; None where a shell or a variable makes it up."""
    for container in pod_spec.get("containers") or []:
        words = [*(container.get("command") or []), *(container.get("args") or [])]
        if found := alias_of_command_line(parse_flags([str(word) for word in words])):
            return found
    return None


def _underscored(pod_spec: Json) -> str:
    """A flag of vttablet that is written with underscores, empty where there is none."""
    for container in pod_spec.get("containers") or []:
        if container["name"] == "vttablet":
            for word in [*(container.get("command") or []), *(container.get("args") or [])]:
                flag = str(word).partition("=")[0]
                if flag.startswith("--") and "_" in flag:
                    return flag.lstrip("-")
    return ""


def spelled_out_flags(pod_spec: Json, program: str) -> tuple[tuple[str, str], ...] | None:
    """The flags with which a container runs this very program; None where a shell, an entrypoint or a variable makes them up."""
    for container in pod_spec.get("containers") or []:
        words = [str(word) for word in [*(container.get("command") or []), *(container.get("args") or [])]]
        if words and words[0].rpartition("/")[2] == program and not any("$(" in word for word in words):
            return tuple(sorted(parse_flags(words).items()))
    return None


def _images(pod_spec: Json) -> tuple[tuple[str, str], ...]:
    return tuple((str(c["name"]), str(c.get("image") or "")) for c in pod_spec.get("containers") or [])


def _trouble(status: Json) -> str:
    """Why a Pod does not start: a container's waiting reason, or that it cannot be scheduled."""
    for state in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (state.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            return f"{state['name']}: {waiting['reason']}: {str(waiting.get('message') or '')[:120]}".rstrip(": ")
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason')}: {str(condition.get('message') or '')[:160]}"
    return ""


def stateful_set_path(namespace: str, name: str) -> str:
    """Where the API has it."""
    return f"/apis/apps/v1/namespaces/{namespace}/statefulsets/{name}"


def parse_stateful_set(item: Json) -> Owner:
    """From apps/v1."""
    meta, spec, status = item["metadata"], item["spec"], item.get("status") or {}
    update = spec.get("updateStrategy") or {}
    strategy = str(update.get("type") or "RollingUpdate")
    partition = int((update.get("rollingUpdate") or {}).get("partition") or 0)
    return Owner(
        kind="StatefulSet",
        name=str(meta["name"]),
        strategy=strategy,
        current_revision=str(status.get("currentRevision") or ""),
        update_revision=str(status.get("updateRevision") or ""),
        generation=int(meta.get("generation") or 0),
        observed_generation=int(status.get("observedGeneration") or 0),
        images=_images(spec["template"].get("spec") or {}),
        needs=place.parse_needs(spec["template"].get("spec") or {}),
        refusal=stateful_set_refusal(str(meta["name"]), strategy, int(spec.get("replicas", 1)), partition),
    )


def explain(error: EdgeError) -> str:
    """An edge's error for an operator; of a refusal by RBAC first the verb, as its own text may be cut off before that."""
    if isinstance(error, Refused) and error.status in (401, 403):
        if match := FORBIDDEN.search(str(error)):
            where = f"in namespace {match[3]}" if match[3] else "cluster-wide"
            return f"not allowed: {match[1]} {match[2]} {where}: {error}"
        return f"not allowed: {error}"
    return str(error)
