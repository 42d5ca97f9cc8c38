# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Vitess cluster in memory, behind the same wires as a real one: the Kubernetes API, vtctldclient's output, MySQL, /debug/vars.

The product's own clients and parsers run; only what goes over the wire is made here. Time stands still but for sleeps.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from typing import Any

import pymysql.err
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.vtops.vitess.plugins.module_utils import claim, labels, operation, rights
from ansible_collections.vtops.vitess.plugins.module_utils.clients.kubernetes import Json, KubernetesClient
from ansible_collections.vtops.vitess.plugins.module_utils.clients.login import Login
from ansible_collections.vtops.vitess.plugins.module_utils.clients.vtctld import Vtctld
from ansible_collections.vtops.vitess.plugins.module_utils.clients.vtgate import Endpoint, VtgateClient
from ansible_collections.vtops.vitess.plugins.module_utils.clients.vttablet import Vttablet
from ansible_collections.vtops.vitess.plugins.module_utils.cluster import Cluster, Scope
from ansible_collections.vtops.vitess.plugins.module_utils.errors import Refused, Unreachable
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process, hostname
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Alias
from ansible_collections.vtops.vitess.plugins.module_utils.operations import (
    fleet_info,
    pod_replace,
    roll_plan,
    roll_report,
    shard_claim,
    shard_reparent,
    tablet_diagnose,
    tablet_drain,
    tablet_recover,
    tablet_spec,
    vtgate_readmit,
)
from ansible_collections.vtops.vitess.plugins.module_utils.session import Session
from ansible_collections.vtops.vitess.plugins.module_utils.waiting import Report, silent
from ansible_collections.vtops.vitess.tests.unit.factories import (
    EXECUTED,
    MYSQL,
    NEW,
    OLD,
    PRIMARY,
    REPLICA,
    SIBLING,
    uuid_of,
)

NAMESPACE = "vitess"
PASSWORD, TOKEN = "s3cret-at-vtgate", "s3cret-at-kubernetes"
SPECS = {
    "tablet_drain": tablet_drain.argument_spec,
    "pod_replace": pod_replace.argument_spec,
    "vtgate_readmit": vtgate_readmit.argument_spec,
    "shard_reparent": shard_reparent.argument_spec,
    "shard_claim": shard_claim.argument_spec,
    "roll_plan": roll_plan.argument_spec,
    "roll_report": roll_report.argument_spec,
    "fleet_info": fleet_info.argument_spec,
    "tablet_spec": tablet_spec.argument_spec,
    "tablet_diagnose": tablet_diagnose.argument_spec,
    "tablet_recover": tablet_recover.argument_spec,
}
TYPE_NUMBERS = ("UNKNOWN", "PRIMARY", "REPLICA", "RDONLY", "SPARE", "EXPERIMENTAL", "BACKUP", "RESTORE", "DRAINED")


class FakeClock:
    """Stands still but for sleeps; what is planned with at() happens when its time comes."""

    def __init__(self) -> None:
        self.now = 10_000.0
        self.slept = 0.0
        self._planned: list[tuple[float, int, Callable[[], object]]] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now + 1_790_000_000.0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.pass_(seconds)

    def pass_(self, seconds: float) -> None:
        """Let time pass without a sleep, as a slow read does."""
        end = self.now + seconds
        while self._planned and min(self._planned)[0] <= end:
            due = min(self._planned)
            self._planned.remove(due)
            self.now = max(self.now, due[0])
            due[2]()
        self.now = end

    def at(self, delay_s: float, happens: Callable[[], object]) -> None:
        """Something happens after some seconds."""
        self._planned.append((self.now + delay_s, len(self._planned) + id(happens), happens))


@dataclass
class FakeTablet:
    """A tablet and its mysqld. hostname is what the topology has; running is whether vttablet and mysqld answer."""

    alias: Alias
    type: str
    shard: str
    pod: str
    hostname: str
    running: bool = True
    uuid: str = ""
    mysql: str = MYSQL
    fast_shutdown: str = "1"
    gtid: str = EXECUTED
    read_only: bool = True
    io: bool = True
    sql: bool = True
    source: Alias | None = None
    lag: float | None = 0.0
    semi_sync: bool = True
    init_type: str = "REPLICA"
    mysqld_error: str = ""
    pools: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("ConnPoolInUse", "StreamConnPoolInUse", "TransactionPoolInUse", "FoundRowsPoolInUse"), 0
        )
    )
    transactions: list[tuple[int, float]] = field(default_factory=list)
    live_queries: int = 0
    backs_up: bool = False


@dataclass
class FakeVtgate:
    """A vtgate; instead replaces its own rows for a tablet (type, state, address)."""

    name: str
    addresses_tablets: bool = True  # v24's USE `ks:shard@type|alias`
    flags: dict[str, str] = field(
        default_factory=lambda: {
            "cells-to-watch": "zone1",
            "enable-buffer": "true",
            "buffer-window": "10s",
            "buffer-max-failover-duration": "10s",
            "buffer-min-time-between-failovers": "20s",
        }
    )
    instead: dict[Alias, list[tuple[str, str, str]]] = field(default_factory=dict)
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    down: bool = False
    denies: bool = False
    reads: int = 0


def a_budget(name: str = "tablets", **selector: Any) -> Json:
    """One that selects every Pod, unless it is told which."""
    return {"metadata": {"namespace": "vitess", "name": name}, "spec": {"maxUnavailable": 1, "selector": selector}}


class World:
    """One shard commerce/-80 with PRIMARY 101 and REPLICAs 102 and 103 under semi_sync, two vtgates, StatefulSets with OnDelete.

    The owner wants revision new, the Pods run old. calls: every write, in order.
    """

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.lock = threading.RLock()
        self.calls: list[str] = []
        self.reported: list[str] = []
        self.tablets: dict[Alias, FakeTablet] = {}
        self.vtgates = [FakeVtgate("vtgate-0"), FakeVtgate("vtgate-1")]
        self.pods: dict[str, Json] = {}
        self.leases: dict[str, Json] = {}
        self.config_maps: dict[str, Json] = {}
        self.budgets: list[Json] = [a_budget()]
        self.claims: dict[str, Json] = {}
        self.stateful_sets: dict[str, Json] = {}
        self.nodes: dict[str, Json] = {name: a_node(name) for name in ("worker-1", "worker-2")}
        self.primaries: dict[str, Alias | None] = {}
        self.terms: dict[str, float] = {}
        self.durability = "semi_sync"
        self.forbidden: set[tuple[str, str]] = set()  # verb and resource that Kubernetes does not let us do
        self.unlisted: set[tuple[str, str]] = set()  # what it lets us do, and its list of rules does not show
        self.no_slow_shutdown = ""  # why innodb_fast_shutdown cannot be set
        self.acks = True  # whether those that say they acknowledge do so
        self.work: list[tuple[str, str, str, int]] = []
        self.stop_s, self.start_s, self.refresh_s = 2.0, 3.0, 1.0
        self.observe_s = 0.5  # until a StatefulSet's controller has seen a new spec
        self.not_admitted = ""  # why no change of a StatefulSet is admitted
        self.recreates = True
        self.held = True  # --init-tablet-type-lookup (v24): a restarted tablet keeps its recorded type
        self.on_return: Callable[[FakeTablet], object] = lambda _tablet: None
        self.on_reparent: Callable[[], object] = lambda: None
        self._version = 100
        self._hooks: list[tuple[str, Callable[[], object], bool, int]] = []
        self.kube = FakeKubernetes(self)
        self.add_shard("-80", PRIMARY, REPLICA, SIBLING)
        for vtgate in self.vtgates:
            self.pods[vtgate.name] = self.pod_of_program(vtgate.name, "vtgate")

    # -- making it

    def add_shard(self, shard: str, *aliases: Alias) -> None:
        """A shard; the first tablet is its primary."""
        name = f"commerce-{labels.safe_shard(shard)}"
        self.stateful_sets[name] = a_stateful_set(name, len(aliases))
        self.primaries[shard], self.terms[shard] = aliases[0], self.clock.time() - 3600
        for alias in aliases:
            first = alias == aliases[0]
            pod = f"{name}-{alias.uid}"
            self.tablets[alias] = FakeTablet(
                alias,
                "PRIMARY" if first else "REPLICA",
                shard,
                pod,
                address_of(alias),
                uuid=uuid_of(alias),
                read_only=not first,
                io=not first,
                sql=not first,
                source=None if first else aliases[0],
                gtid=f"{uuid_of(aliases[0])}:1-100",
            )
            self.pods[pod] = self.tablet_pod(self.tablets[alias], "old", OLD, address_of(alias))
            self.claims[f"data-{pod}"] = {
                "metadata": {"name": f"data-{pod}"},
                "spec": {"volumeName": f"pv-{pod}"},
            }

    def next_version(self) -> str:
        self._version += 1
        return str(self._version)

    def tablet_pod(self, tablet: FakeTablet, revision: str, image: str, ip: str) -> Json:
        name = f"commerce-{labels.safe_shard(tablet.shard)}"
        return {
            "metadata": {
                "name": tablet.pod,
                "namespace": NAMESPACE,
                "uid": f"uid-{self.next_version()}",
                "resourceVersion": self.next_version(),
                "creationTimestamp": stamp(self.clock.time() - 7200),
                "labels": {labels.COMPONENT: "vttablet", labels.REVISION: revision},
                "annotations": {},
                "ownerReferences": [{"kind": "StatefulSet", "name": name, "controller": True}],
            },
            "spec": {
                "nodeName": "worker-1",
                "containers": [{"name": "vttablet", "image": image}, {"name": "mysqld", "image": image}],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": f"data-{tablet.pod}"}}],
            },
            "status": {"podIP": ip, "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }

    def pod_of_program(self, name: str, component: str) -> Json:
        return {
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "uid": f"uid-{name}",
                "resourceVersion": "1",
                "creationTimestamp": stamp(self.clock.time()),
                "labels": {labels.COMPONENT: component},
            },
            "spec": {"containers": [{"name": component}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }

    # -- what goes wrong

    def before(self, call: str, happens: Callable[[], object], times: int = 1) -> None:
        """Something happens right before a call (a regular expression) takes effect; it may raise."""
        self._hooks.append((call, happens, False, times))

    def fail(self, call: str, error: Exception, times: int = 1, done: bool = False) -> None:
        """A call fails; done: although it took effect."""
        self._hooks.append((call, lambda: _raise(error), done, times))

    def called(self, call: str, write: bool, does: Callable[[], Any]) -> Any:
        """One call over a wire."""
        with self.lock:
            if write:
                self.calls.append(call)
            self._run_hooks(call, after=False)
            answer = does()
            self._run_hooks(call, after=True)
            return answer

    def _run_hooks(self, call: str, after: bool) -> None:
        for number, (pattern, happens, done, times) in enumerate(list(self._hooks)):
            if done == after and times > 0 and re.search(pattern, call):
                self._hooks[number] = (pattern, happens, done, times - 1)
                happens()

    # -- looking at it

    @property
    def acts(self) -> list[str]:
        """The writes that change the fleet: no claim, no annotation."""
        return [c for c in self.calls if re.match(r"ChangeTabletType|PlannedReparentShard|POST .*/eviction|DELETE", c)]

    def tablet(self, alias: Alias) -> FakeTablet:
        return self.tablets[alias]

    def lease(self, shard: str = "-80") -> Json:
        return self.leases[labels.shard_lease("commerce", shard)]

    @property
    def journal(self) -> claim.Journal:
        """What the shard's Lease says."""
        found = self.leases.get(labels.shard_lease("commerce", "-80"))
        return claim.parse_lease(found).journal if found else {}

    @property
    def holder(self) -> str:
        found = self.leases.get(labels.shard_lease("commerce", "-80"))
        return str(found["spec"]["holderIdentity"]) if found else ""

    # -- using it

    def params(self, name: str, **given: Any) -> dict[str, Any]:
        """The options of a module with their defaults, as AnsibleModule makes them."""
        return validated(name, {**LOGIN, **given})

    def cluster(self) -> FakeCluster:
        return FakeCluster(self)

    def session(
        self, name: str, alias: Alias = REPLICA, check: bool = False, executor: Process | None = None, **given: Any
    ) -> Session:
        """A session of one operation."""
        given = {"tablet": str(alias), "roll": "nightly", **given}
        params = {**self.params(name, **given), "_check_mode": check}
        return Session(name, params, self.cluster(), self.clock, self.reported.append, executor or Process.current())

    def run(
        self, name: str, alias: Alias = REPLICA, check: bool = False, executor: Process | None = None, **given: Any
    ) -> dict[str, Any]:
        """One operation's result. Raises StepFailure."""
        return operation.ON_A_TABLET[name](self.session(name, alias, check, executor, **given))

    def execute(
        self,
        name: str,
        monkeypatch: Any,
        check: bool = False,
        report: Report = silent,
        executor: Process | None = None,
        **given: Any,
    ) -> dict[str, Any]:
        """One operation's result as a module returns it, failures too."""
        monkeypatch.setattr(operation, "connect", lambda _params, _clock: self.cluster())
        params = self.params(name, **given)
        return operation.execute(name, params, check, report, executor or Process.current(), self.clock)

    # -- how it behaves

    def evict(self, name: str, body: Json) -> Json:
        pod = self.pods.get(name)
        if pod is None:
            raise Refused("pod not found", 404)
        wanted = body["deleteOptions"]["preconditions"]
        have = pod["metadata"]
        if (wanted["uid"], wanted["resourceVersion"]) != (have["uid"], have["resourceVersion"]):
            raise Refused("precondition failed", 409)
        self.stop_pod(name)
        return {"kind": "Status", "status": "Success"}

    def stop_pod(self, name: str) -> None:
        """The Pod terminates, goes, and its owner makes a new one."""
        pod = self.pods[name]
        pod["metadata"]["deletionTimestamp"] = stamp(self.clock.time())
        pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
        tablet = next(t for t in self.tablets.values() if t.pod == name)
        self.clock.at(self.stop_s, lambda: self._pod_gone(tablet))

    def _pod_gone(self, tablet: FakeTablet) -> None:
        del self.pods[tablet.pod]
        tablet.running = False
        if self.recreates:
            self.recreate(tablet)

    def recreate(self, tablet: FakeTablet) -> None:
        """The owner's new Pod: not Ready at first."""
        owner = self.stateful_sets[f"commerce-{labels.safe_shard(tablet.shard)}"]
        image = owner["spec"]["template"]["spec"]["containers"][0]["image"]
        pod = self.tablet_pod(tablet, owner["status"]["updateRevision"], image, f"10.0.1.{tablet.alias.uid}")
        pod["metadata"]["creationTimestamp"] = stamp(self.clock.time())
        pod["status"].update(phase="Pending", conditions=[{"type": "Ready", "status": "False"}])
        self.pods[tablet.pod] = pod
        self.clock.at(self.start_s, lambda: self._pod_started(tablet, pod))

    def _pod_started(self, tablet: FakeTablet, pod: Json) -> None:
        old = tablet.hostname
        pod["status"].update(phase="Running", conditions=[{"type": "Ready", "status": "True"}])
        tablet.running, tablet.hostname = True, pod["status"]["podIP"]
        tablet.pools = dict.fromkeys(tablet.pools, 0)
        if not self.held:
            tablet.type = tablet.init_type
        for vtgate in self.vtgates:
            vtgate.instead[tablet.alias] = [(tablet.type, "NOT_SERVING", old)]
            self.clock.at(self.refresh_s, partial(vtgate.instead.pop, tablet.alias, None))
        self.on_return(tablet)

    def change_type(self, alias: Alias, kind: str) -> str:
        tablet = self.tablets[alias]
        if not tablet.running:
            raise Refused(f"rpc error: tablet {alias} is not reachable", 1)
        if tablet.type == "PRIMARY":
            raise Refused("cannot change a primary's type", 1)
        tablet.type = kind.upper()
        return ""

    def reparent(self, shard: str, new: Alias, expected: Alias) -> str:
        if self.primaries[shard] != expected:
            raise Refused(f"primary is {self.primaries[shard]}, expected {expected}", 1)
        old, to = self.tablets[expected], self.tablets[new]
        old.type, old.read_only, old.source, old.io, old.sql = "REPLICA", True, new, True, True
        to.type, to.read_only, to.source, to.io, to.sql = "PRIMARY", False, None, False, False
        for tablet in self.tablets.values():
            if tablet.shard == shard and tablet.alias != new:
                tablet.source = new
        self.primaries[shard], self.terms[shard] = new, self.clock.time()
        self.on_reparent()
        return ""

    def rows_of(self, vtgate: FakeVtgate) -> list[tuple[str, ...]]:
        """SHOW VITESS_TABLETS."""
        rows: list[tuple[str, ...]] = []
        for tablet in self.tablets.values():
            state = "SERVING" if tablet.running and tablet.type in ("PRIMARY", "REPLICA", "RDONLY") else "NOT_SERVING"
            for kind, shown, address in vtgate.instead.get(tablet.alias, [(tablet.type, state, tablet.hostname)]):
                cell = tablet.alias.cell
                rows.append((cell, "commerce", tablet.shard, kind, shown, str(tablet.alias), address, ""))
        return rows


LOGIN = {"namespace": NAMESPACE, "host": "https://192.0.2.1", "api_key": TOKEN, "login_password": PASSWORD}


def validated(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Raises AssertionError where the options are not the module's."""
    done = ArgumentSpecValidator(SPECS[name]()).validate(given)
    assert done.error_messages == []
    return done.validated_parameters


def _raise(error: Exception) -> None:
    raise error


def address_of(alias: Alias) -> str:
    """Where a tablet is at first: 10.0.0.UID as long as that is an address."""
    return f"10.0.0.{alias.uid}" if alias.uid < 256 else f"10.2.{alias.uid // 250}.{alias.uid % 250}"


def stamp(seconds: float) -> str:
    """RFC 3339."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_node(name: str) -> Json:
    """Ready and schedulable."""
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
        },
    }


def a_stateful_set(name: str, replicas: int) -> Json:
    """OnDelete, wants revision new."""
    containers = [{"name": "vttablet", "image": NEW}, {"name": "mysqld", "image": NEW}]
    return {
        "metadata": {"name": name, "namespace": NAMESPACE, "generation": 2, "resourceVersion": "7"},
        "spec": {
            "replicas": replicas,
            "updateStrategy": {"type": "OnDelete"},
            "template": {"spec": {"containers": containers}},
        },
        "status": {"currentRevision": "old", "updateRevision": "new", "observedGeneration": 2},
    }


# -- Kubernetes


class FakeKubernetes(KubernetesClient):
    """The API server's answers; what the client makes of them is the product's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.timeout_s = 15.0

    def _raw(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None,
        body: Any,
        content_type: str,
        timeout_s: float | None = None,
    ) -> bytes:
        body = None if body is None else json.loads(json.dumps(body))
        answer = self.world.called(
            f"{method} {path}",
            method != "GET" and "selfsubject" not in path,
            lambda: self._answer(method, path, dict(query or []), body),
        )
        return json.dumps(answer).encode()

    def _answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        for pattern, handler in self._routes():
            if match := re.fullmatch(pattern, f"{method} {path}"):
                if handler == self._patch_stateful_set:
                    return handler(*match.groups(), query=query, body=body)
                return handler(
                    *match.groups(),
                    **({"query": query} if handler in (self._pods, self._nodes) else {"body": body}),
                )
        raise AssertionError(f"the fake has no {method} {path}")

    def _routes(self) -> list[tuple[str, Callable[..., Any]]]:
        lease = r"/apis/coordination\.k8s\.io/v1/namespaces/vitess/leases"
        pod = r"/api/v1/namespaces/vitess/pods"
        world = self.world
        return [
            (rf"GET {pod}", self._pods),
            (rf"GET {pod}/([\w.-]+)", lambda name, body: found(world.pods, name)),
            (rf"PATCH {pod}/([\w.-]+)", self._patch_pod),
            (rf"POST {pod}/([\w.-]+)/eviction", world.evict),
            (rf"GET {pod}/([\w.-]+):15000/proxy/debug/vars", self._debug_vars),
            (rf"GET {pod}/([\w.-]+):15000/proxy/livequeryz/\?format=json", self._live_queries),
            (rf"GET {lease}", lambda body: {"items": list(world.leases.values())}),
            (rf"GET {lease}/([\w.-]+)", lambda name, body: found(world.leases, name)),
            (
                r"GET /api/v1/namespaces/vitess/configmaps/([\w.-]+)",
                lambda name, body: found(world.config_maps, name),
            ),
            (r"POST /api/v1/namespaces/vitess/configmaps", self._create_config_map),
            (
                r"GET /apis/policy/v1/namespaces/vitess/poddisruptionbudgets",
                lambda body: {"items": world.budgets},
            ),
            (rf"POST {lease}", self._create_lease),
            (rf"PUT {lease}/([\w.-]+)", self._replace_lease),
            (
                r"GET /apis/apps/v1/namespaces/vitess/statefulsets/([\w.-]+)",
                lambda name, body: found(world.stateful_sets, name),
            ),
            (r"PATCH /apis/apps/v1/namespaces/vitess/statefulsets/([\w.-]+)", self._patch_stateful_set),
            (
                r"GET /apis/apps/v1/namespaces/vitess/statefulsets",
                lambda body: {"items": list(world.stateful_sets.values())},
            ),
            (r"POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews", self._rules),
            (r"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews", self._access),
            (r"GET /api/v1/pods", self._pods),
            (r"GET /api/v1/nodes", self._nodes),
            (
                r"GET /api/v1/namespaces/vitess/persistentvolumeclaims/([\w.-]+)",
                lambda name, body: found(world.claims, name),
            ),
            (r"PATCH /api/v1/namespaces/vitess/persistentvolumeclaims/([\w.-]+)", self._patch_claim),
            (r"GET /api/v1/persistentvolumes/([\w.-]+)", lambda name, body: {"spec": {"nodeAffinity": ON_WORKER_1}}),
        ]

    def _pods(self, query: dict[str, str]) -> Json:
        key, _equals, value = query.get("labelSelector", "").partition("=")
        found = [p for p in self.world.pods.values() if not key or p["metadata"]["labels"].get(key) == value]
        return {"items": [p for p in found if selected(p, query)]}

    def _nodes(self, query: dict[str, str]) -> Json:
        return {"items": [node for node in self.world.nodes.values() if selected(node, query)]}

    def _rules(self, body: Json) -> Json:
        every = {
            *rights.of_roll(NAMESPACE, [NAMESPACE], [NAMESPACE], by_exec=True),
            *rights.of_spec(NAMESPACE, [NAMESPACE]),
        }
        rules = [
            {"verbs": [right.verb], "apiGroups": [right.group], "resources": [right.resource]}
            for right in every
            if (right.verb, right.resource) not in self.world.forbidden | self.world.unlisted
        ]
        return {"status": {"resourceRules": rules, "nonResourceRules": [], "incomplete": bool(self.world.unlisted)}}

    def _access(self, body: Json) -> Json:
        asked = body["spec"]["resourceAttributes"]
        part = asked.get("subresource")
        resource = f"{asked['resource']}/{part}" if part else asked["resource"]
        return {"status": {"allowed": (asked["verb"], resource) not in self.world.forbidden}}

    def _patch_pod(self, name: str, body: Json) -> Json:
        pod = found(self.world.pods, name)
        if body["metadata"].get("uid", pod["metadata"]["uid"]) != pod["metadata"]["uid"]:
            raise Refused("the UID in the precondition does not match", 409)
        pod["metadata"]["annotations"].update(body["metadata"]["annotations"])
        pod["metadata"]["resourceVersion"] = self.world.next_version()
        return pod

    def _patch_stateful_set(self, name: str, query: dict[str, str], body: Json) -> Json:
        """Its controller sees the new spec observe_s later."""
        have = found(self.world.stateful_sets, name)
        if (
            body["metadata"].get("resourceVersion", have["metadata"]["resourceVersion"])
            != (have["metadata"]["resourceVersion"])
        ):
            raise Refused("the object has been modified", 409)
        if self.world.not_admitted:
            raise Refused(self.world.not_admitted, 422)
        changed: Json = merged(have, body)
        if changed["spec"] != have["spec"]:
            changed["metadata"]["generation"] += 1
        if query.get("dryRun") == "All":
            return changed
        changed["metadata"]["resourceVersion"] = self.world.next_version()
        self.world.stateful_sets[name] = changed
        self.world.clock.at(self.world.observe_s, lambda: self._observe(name))
        return changed

    def _observe(self, name: str) -> None:
        owner = self.world.stateful_sets[name]
        generation = owner["metadata"]["generation"]
        if owner["status"]["observedGeneration"] != generation:
            owner["status"].update(observedGeneration=generation, updateRevision=f"new-{generation}")

    def _patch_claim(self, name: str, body: Json) -> Json:
        found(self.world.claims, name)["metadata"].setdefault("annotations", {}).update(body["metadata"]["annotations"])
        return self.world.claims[name]

    def _create_config_map(self, body: Json) -> Json:
        name = body["metadata"]["name"]
        if name in self.world.config_maps:
            raise Refused("already exists", 409)
        self.world.config_maps[name] = body
        return body

    def _create_lease(self, body: Json) -> Json:
        name = body["metadata"]["name"]
        if name in self.world.leases:
            raise Refused("already exists", 409)
        return self._store_lease(name, body)

    def _replace_lease(self, name: str, body: Json) -> Json:
        have = found(self.world.leases, name)["metadata"]["resourceVersion"]
        if body["metadata"]["resourceVersion"] != have:
            raise Refused("the object has been modified", 409)
        return self._store_lease(name, body)

    def _store_lease(self, name: str, body: Json) -> Json:
        body["metadata"]["resourceVersion"] = self.world.next_version()
        self.world.leases[name] = body
        return body

    def _live_queries(self, name: str, body: Any) -> list[Json]:
        tablet = next(t for t in self.world.tablets.values() if t.pod == name)
        return [{"Query": "select sleep(9)"}] * tablet.live_queries

    def _debug_vars(self, name: str, body: Any) -> Json:
        vtgate = next((v for v in self.world.vtgates if v.name == name), None)
        if vtgate is not None:
            words = [f"--{flag}={value}" for flag, value in vtgate.flags.items()]
            return {"cmdline": ["/vt/bin/vtgate", *words], "BuildVersion": "24.0.2", **vtgate.counters}
        tablet = next(t for t in self.world.tablets.values() if t.pod == name)
        if not tablet.running:
            raise Refused("dial tcp: connection refused", 503)
        command = ["/vt/bin/vttablet", f"--tablet-path={tablet.alias}"]
        page = {"cmdline": command, "TabletType": tablet.type.lower(), "TabletStateName": "SERVING", **tablet.pools}
        return {**page, "BackupIsRunning": {"online": 1} if tablet.backs_up else {}}


def merged(have: Any, patch: Any) -> Any:
    """JSON merge patch."""
    if not isinstance(patch, dict):
        return patch
    result = dict(have) if isinstance(have, dict) else {}
    for key, value in patch.items():
        result[key] = merged(result.get(key), value)
        if value is None:
            del result[key]
    return result


ON_WORKER_1 = {
    "required": {
        "nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["worker-1"]}]}
        ]
    }
}


def selected(item: Json, query: dict[str, str]) -> bool:
    """Whether an object has what a field selector asks for."""
    have = {
        "metadata.name": item["metadata"]["name"],
        "spec.nodeName": item["spec"].get("nodeName", ""),
        "status.phase": item["status"].get("phase", ""),
        "status.podIP": item["status"].get("podIP", ""),
    }
    for part in filter(None, query.get("fieldSelector", "").split(",")):
        name, sign, value = re.fullmatch(r"([\w.]+)(!?=)(.*)", part).groups()  # type: ignore[union-attr]
        if (have[name] == value) is not (sign == "="):
            return False
    return True


def found(items: dict[str, Json], name: str) -> Json:
    """Raises Refused (404)."""
    if name not in items:
        raise Refused(f"{name} not found", 404)
    return items[name]


# -- vtctldclient


class FakeVtctldclient:
    """Prints what vtctldclient prints."""

    def __init__(self, world: World) -> None:
        self.world = world

    def run(self, arguments: list[str], timeout_s: float) -> str:
        assert arguments[0] == "--action-timeout"
        words = arguments[2:]
        write = words[0] in ("ChangeTabletType", "PlannedReparentShard") or words[-1].startswith("INSERT")
        return str(self.world.called(" ".join(words), write, lambda: self._answer(words)))

    def script(self, script: str, arguments: list[str], timeout_s: float) -> str:
        """The blocks that SHARD_SCRIPT prints; test_vtctld runs the script itself."""
        keyspace, shard, what, _limit, migrations, switches, canary, _canary_limit = arguments
        commands = [
            ("tablets", f"GetTablets --format json --strict --keyspace {keyspace} --shard {shard}"),
            ("shard", f"GetShard {keyspace}/{shard}"),
        ]
        if "durability" in what:
            commands.append(("durability", f"GetKeyspace {keyspace}"))
        if "status" in what:
            commands += [(str(t.alias), f"GetFullStatus {t.alias}") for t in self._of(shard)]
        asked = [(name, command.split()) for name, command in commands]
        primaries = [str(t.alias) for t in self._of(shard) if t.type == "PRIMARY"]
        if "work" in what and len(primaries) == 1:
            asked.append(("work", ["ExecuteFetchAsDBA", "--json", *primaries, f"{migrations} UNION ALL {switches}"]))
        if "canary" in what and len(primaries) == 1:
            asked.append(("canary", ["ExecuteFetchAsDBA", "--json", *primaries, canary]))
        out = ""
        for name, words in asked:
            try:
                text = self.run(["--action-timeout", "3s", *words], timeout_s)
                out += f"@@ {name} 0\n{text}\n"
            except Refused as error:
                said = f"E1124 {name}: rpc error: code = Unknown desc = {error}\n"
                out += f"@@ {name} 1\n{said}\n"
        return out

    def _answer(self, words: list[str]) -> str:
        world = self.world
        match words:
            case ["GetTablets", "--format", "json", "--strict", *narrow]:
                shard = narrow[3] if len(narrow) == 4 else None
                return json.dumps([record(t, TYPE_NUMBERS.index(t.type)) for t in self._of(shard)])
            case ["GetTablet", alias]:
                tablet = self._tablet(alias)
                return json.dumps(record(tablet, tablet.type))
            case ["GetShard", name]:
                return json.dumps({"shard": self._shard(name.partition("/")[2])})
            case ["GetKeyspace", _name]:
                return json.dumps({"keyspace": {"durability_policy": world.durability}})
            case ["GetFullStatus", alias]:
                return json.dumps(self._full_status(self._tablet(alias)))
            case ["ChangeTabletType", alias, kind]:
                return world.change_type(Alias.parse(alias), kind)
            case ["PlannedReparentShard", shard, "--new-primary", new, "--expected-primary", old, *_rest]:
                return world.reparent(shard.partition("/")[2], Alias.parse(new), Alias.parse(old))
            case ["ExecuteFetchAsDBA", "--json", alias, sql]:
                return json.dumps({"rows": self._rows(self._tablet(alias), sql)})
        raise AssertionError(f"the fake has no {words}")

    def _of(self, shard: str | None) -> list[FakeTablet]:
        return [t for t in self.world.tablets.values() if shard in (None, t.shard)]

    def _tablet(self, alias: str) -> FakeTablet:
        with suppress(KeyError):
            return self.world.tablets[Alias.parse(alias)]
        raise Refused(f"node doesn't exist: {alias}", 1)

    def _shard(self, shard: str) -> Json:
        primary = self.world.primaries[shard]
        if primary is None:
            return {}
        return {
            "primary_alias": {"cell": primary.cell, "uid": primary.uid},
            "primary_term_start_time": {"seconds": str(int(self.world.terms[shard])), "nanoseconds": 0},
        }

    def _full_status(self, tablet: FakeTablet) -> Json:
        if tablet.mysqld_error or not tablet.running:
            raise Refused(tablet.mysqld_error or "connection refused", 1)
        source = self.world.tablets.get(tablet.source) if tablet.source else None
        replication: Json = {}
        if source is not None:
            replication = {
                "position": f"MySQL56/{tablet.gtid}",
                "io_state": 3 if tablet.io else 1,
                "sql_state": 3 if tablet.sql else 1,
                "source_host": source.hostname,
                "source_port": 3306,
                "source_uuid": source.uuid,
                "replication_lag_unknown": tablet.lag is None,
                "replication_lag_seconds": tablet.lag or 0,
            }
        return {
            "server_uuid": tablet.uuid,
            "version": tablet.mysql,
            "read_only": tablet.read_only,
            "super_read_only": tablet.read_only,
            "replication_status": replication,
            "primary_status": {"position": f"MySQL56/{tablet.gtid}"},
            "semi_sync_primary_status": not tablet.read_only,
            "semi_sync_replica_status": tablet.semi_sync and source is not None,
        }

    def _committed(self, primary: FakeTablet) -> list[list[Any]]:
        """A commit returns when a REPLICA has acknowledged it."""
        world = self.world
        acks = [
            t
            for t in world.tablets.values()
            if t.type == "REPLICA" or (t.type == "RDONLY" and "rdonly" in world.durability)
            if t.source == primary.alias and t.running and t.io and t.semi_sync and world.acks
        ]
        if primary.read_only:
            raise Refused("The MySQL server is running with the --super-read-only option", 1)
        if world.durability != "none" and not acks:
            world.clock.pass_(1.5)
            raise Refused("context deadline exceeded", 1)
        return []

    def _rows(self, tablet: FakeTablet, sql: str) -> list[list[Any]]:
        if "innodb_trx" in sql:
            return [list(row) for row in tablet.transactions]
        if "innodb_fast_shutdown" in sql:
            if self.world.no_slow_shutdown:
                raise Refused(self.world.no_slow_shutdown, 1)
            tablet.fast_shutdown = "0" if sql.startswith("SET") else tablet.fast_shutdown
            return [] if sql.startswith("SET") else [[tablet.fast_shutdown]]
        if sql.startswith("INSERT INTO _vt."):
            return self._committed(tablet)
        if "schema_migrations" in sql:
            if not tablet.running or tablet.mysqld_error:
                raise Refused(tablet.mysqld_error or "connection refused", 1)
            return [list(row) for row in self.world.work]
        return [["backup", "Query", 1]]


def record(tablet: FakeTablet, kind: int | str) -> Json:
    """topodata.Tablet."""
    return {
        "alias": {"cell": tablet.alias.cell, "uid": tablet.alias.uid},
        "hostname": tablet.hostname,
        "keyspace": "commerce",
        "shard": tablet.shard,
        "type": kind,
        "mysql_hostname": tablet.hostname,
        "mysql_port": 3306,
    }


# -- vtgate


class FakeVtgateClient(VtgateClient):
    """The connection is made here; what is asked over it, and how the answer is read, is the product's."""

    world: World

    def connect(self) -> Any:
        vtgate = next(v for v in self.world.vtgates if v.name == self.endpoint.name)
        if vtgate.down:
            raise Unreachable(f"{vtgate.name}: connection refused")
        if vtgate.denies:
            raise Refused(f"{vtgate.name}: (1045, 'Access denied for user vtops')", 1045)
        return FakeConnection(self.world, vtgate)


class FakeConnection:
    """A PyMySQL connection and its own cursor."""

    def __init__(self, world: World, vtgate: FakeVtgate) -> None:
        self.world, self.vtgate = world, vtgate
        self.target = ""
        self.answer: list[tuple[Any, ...]] = []

    def cursor(self) -> FakeConnection:
        return self

    def __enter__(self) -> FakeConnection:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def close(self) -> None:
        pass

    def execute(self, sql: str) -> None:
        self.world.called(f"{self.vtgate.name}: {sql}", False, lambda: self._execute(sql))

    def _execute(self, sql: str) -> None:
        if self.vtgate.down:
            raise OSError("connection reset by peer")
        if show := re.fullmatch(r"SHOW VITESS_TABLETS(?: LIKE '(.+)')?", sql):
            self.answer = [row for row in self.world.rows_of(self.vtgate) if show[1] is None or row[6] == show[1]]
        elif use := re.fullmatch(r"USE `(.+)`", sql):
            if "|" in use[1] and not self.vtgate.addresses_tablets:
                raise pymysql.err.OperationalError(1049, "VT05003: unknown database")
            self.target = use[1]
        elif sql == "SELECT @@server_uuid":
            self.answer = [(self._server_uuid(),)]
        else:
            raise AssertionError(f"the fake has no {sql}")

    def _server_uuid(self) -> str:
        shard, _at, rest = self.target.partition(":")[2].partition("@")
        kind, _bar, alias = rest.partition("|")
        serving = [
            self.world.tablets[Alias.parse(row[5])]
            for row in self.world.rows_of(self.vtgate)
            if row[2] == shard and row[3].lower() == kind and row[4] == "SERVING" and (not alias or row[5] == alias)
        ]
        if not serving:
            raise pymysql.err.OperationalError(1105, "no healthy tablet available")
        self.vtgate.reads += 1
        return serving[self.vtgate.reads % len(serving)].uuid

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.answer

    def fetchone(self) -> tuple[Any, ...] | None:
        return self.answer[0] if self.answer else None


class FakeCluster(Cluster):
    """The product's cluster over the fake wires."""

    def __init__(self, world: World) -> None:
        self.world = world
        login = Login(user="vtops", password=PASSWORD)
        transport: Any = FakeVtctldclient(world)
        super().__init__(world.kube, Vtctld(transport), Vttablet(world.kube), Scope(NAMESPACE), login, world.clock)

    def _client(self, endpoint: Endpoint) -> VtgateClient:
        client = super()._client(endpoint)
        client.__class__ = FakeVtgateClient
        client.world = self.world  # type: ignore[attr-defined]
        return client


# -- who acts


def gone(pid: int = 2**22 + 7) -> Process:
    """A process of this host that runs no more."""
    return Process(hostname(), pid, 1)


def elsewhere(pid: int = 4711) -> Process:
    """A process of another host."""
    return Process("other-host/cafe", pid, 1)


def held_by(world: World, executor: Process, actor: Process | None = None, roll: str = "other", **entries: Any) -> None:
    """Somebody else holds the shard's claim. entries: nothing, or journal={...}."""
    cluster = world.cluster()
    claims = claim.Claims(cluster.kube, NAMESPACE, claim.Holder(roll, executor, actor or executor), world.clock)
    name = labels.shard_lease("commerce", "-80")
    journal = entries.get("journal", world.journal)
    version = world.leases[name]["metadata"]["resourceVersion"] if name in world.leases else ""
    transitions = int(world.leases[name]["spec"]["leaseTransitions"]) if name in world.leases else 0
    claims.put(name, version, transitions + 1, journal, claims.holder.identity)
    world.calls.clear()
