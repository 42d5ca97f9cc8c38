# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods of the simulated fleet: StatefulSets that recreate them, nodes that run them, budgets that hold them."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timezone
from fractions import Fraction

from .fleet import Fleet, Tablet
from .layout import NAMESPACE, Layout, safe_shard
from .operator import RECREATE_S, Operator
from .store import Json, Store
from .timeline import Timeline

COMPONENT = "planetscale.com/component"
REVISION = "controller-revision-hash"


class Rejected(Exception):
    """The API server says no."""

    def __init__(self, code: int, reason: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.code, self.reason, self.details = code, reason, details


def stamp(seconds: float) -> str:
    """RFC 3339."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_ready(pod: Json) -> bool:
    """Its Ready condition."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def image_of(pod_spec: Json, container: str) -> str:
    """A container's image."""
    return str(next(c["image"] for c in pod_spec["containers"] if c["name"] == container))


UNITS = {
    "m": Fraction(1, 1000),
    "": Fraction(1),
    **{f"{letter}i": Fraction(1024**n) for n, letter in enumerate("KMGT", 1)},
}


def amount(text: object) -> Fraction:
    """A quantity in its base unit."""
    number = str(text).rstrip("".join(UNITS))
    return Fraction(number) * UNITS[str(text)[len(number) :]]


def canonical(text: object) -> str:
    """As the API server writes it: 1000m is 1, 1024Mi is 1Gi."""
    value = amount(text)
    if str(text).endswith("i"):
        unit = next(u for u in ("Ti", "Gi", "Mi", "Ki", "") if (value / UNITS[u]).denominator == 1)
        return f"{value / UNITS[unit]}{unit}"
    return str(value) if value.denominator == 1 else f"{value * 1000}m"


def requested(pod: Json, what: str) -> Fraction:
    """What its containers request."""
    return sum(
        (
            amount(
                (c.get("resources", {}).get("requests") or {}).get(what)
                or (c.get("resources", {}).get("limits") or {}).get(what, 0)
            )
            for c in pod["spec"]["containers"]
        ),
        Fraction(0),
    )


def version_of(image: str) -> str:
    """The version in an image's tag."""
    return image.rpartition(":")[2].removeprefix("v")


class Kubernetes:
    """Controllers, scheduler and kubelets. What goes wrong is set in the public attributes."""

    def __init__(self, layout: Layout, timeline: Timeline, store: Store, fleet: Fleet) -> None:
        self.layout, self.timeline, self.store, self.fleet = layout, timeline, store, fleet
        self.timings = layout.timings
        self.image_trouble: dict[str, str] = {}  # image to waiting reason
        self.crashing: set[str] = set()  # Pods whose vttablet does not come up
        self.empty_volumes: set[str] = set()  # Pods whose next start finds nothing on the volume
        self.other_image: dict[str, str] = {}  # Pod to the image that its owner gives it instead
        self.next_address: dict[str, str] = {}  # Pod to the address that it gets next
        self.not_admitted = ""  # what a webhook says to each change of a StatefulSet
        self.owner_stopped = False  # the StatefulSet controller does nothing
        self.leaves_failed = False  # it leaves failed Pods alone
        self.lost_nodes: set[str] = set()  # whose kubelets nobody hears of
        self.backups: dict[str, list[int]] = {}  # Pod to the bytes that its restore has read, second by second
        self.evictions: list[str] = []
        self.operator = Operator(layout, timeline, store, fleet, self) if layout.operator else None
        self._addresses = 10
        self.on_change: list[Callable[[str], None]] = []  # told the shard whose Pod changed

    # -- making it

    def build(self) -> None:
        """Nodes, StatefulSets, volumes, budgets, and every Pod in the state of a fleet at rest."""
        nodes = self.layout.nodes
        for node in ("control-plane", *nodes):
            self.store.put("nodes", self._node(node))
        if self.operator is not None:
            self.operator.build()
        for number, shard in enumerate(self.layout.shards if self.operator is None else ()):
            name = f"{self.layout.keyspace}-{safe_shard(shard.name)}"
            labels = {COMPONENT: "vttablet", "planetscale.com/shard": safe_shard(shard.name)}
            owner = self._stateful_set(name, shard.name, len(shard.tablets), labels)
            old = self.revision(name, owner["spec"]["template"])
            for index, plan in enumerate(shard.tablets):
                pod = f"{name}-{index}"
                tablet = self.fleet.add(shard.name, plan, pod)
                node = nodes[(index + number) % len(nodes)]
                self.volume(pod, f"data-{pod}", nodes if self.layout.movable else (node,), labels)
                self.running(tablet, self._new_pod(tablet, owner, old, stamp(self.timeline.now - 7200)), node)
            owner["spec"]["template"] = self._template(self.layout.new, self.layout.new_mysql, labels)
            self._observe(owner)
            self.store.put(
                "poddisruptionbudgets",
                {
                    "metadata": {"name": name, "namespace": NAMESPACE},
                    "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
                },
            )
        self.program("vtctld-0", "vtctld", 15999)
        for vtgate in self.layout.vtgates:
            self.program(vtgate.name, "vtgate", 3306)

    def _node(self, name: str) -> Json:
        taints = [{"effect": "NoSchedule", "key": "node-role.kubernetes.io/control-plane"}]
        return {
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "spec": {"taints": taints} if name == "control-plane" else {},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "nodeInfo": {"bootID": f"boot-0-of-{name}"},
                "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            },
        }

    def _template(self, version: str, mysql: str, labels: Json) -> Json:
        image = f"vitess/lite:v{version}"
        asks = {"requests": {"cpu": "150m"}}
        containers = [
            {"name": "mysqld", "image": f"mysql:{mysql}", "resources": dict(asks)},
            {"name": "vttablet", "image": image, "resources": dict(asks)},
        ]
        return {"metadata": {"labels": dict(labels)}, "spec": {"containers": containers}}

    def _stateful_set(self, name: str, shard: str, replicas: int, labels: Json) -> Json:
        return self.store.put(
            "statefulsets",
            {
                "metadata": {"name": name, "namespace": NAMESPACE, "generation": 1, "labels": {COMPONENT: "vttablet"}},
                "spec": {
                    "replicas": replicas,
                    "updateStrategy": {"type": "OnDelete"},
                    "selector": {"matchLabels": labels},
                    "template": self._template(self.layout.old, self.layout.old_mysql, labels),
                },
                "status": {},
            },
        )

    @staticmethod
    def revision(name: str, template: Json) -> str:
        return f"{name}-{hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]}"

    def admit(self, owner: Json, before: Json) -> None:
        """What the API server checks of a changed StatefulSet, and makes of it. Raises Rejected."""
        name = owner["metadata"]["name"]
        if self.not_admitted:
            text = f'admission webhook "policy.example.com" denied the request: {self.not_admitted}'
            raise Rejected(403, "Forbidden", text)
        fixed = ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates")
        problems = [f"spec.{key}: Forbidden" for key in fixed if owner["spec"].get(key) != before["spec"].get(key)]
        for number, container in enumerate(owner["spec"]["template"]["spec"]["containers"]):
            where = f"spec.template.spec.containers[{number}]"
            if not container.get("image"):
                problems.append(f"{where}.image: Required value")
            resources = container.get("resources") or {}
            for kind, quantities in resources.items():
                resources[kind] = {what: canonical(text) for what, text in quantities.items()}
            for what, text in (resources.get("requests") or {}).items():
                limit = (resources.get("limits") or {}).get(what)
                if limit is not None and amount(text) > amount(limit):
                    problems.append(f'{where}.resources.requests: Invalid value: "{text}": must be <= {what} limit')
        if problems:
            raise Rejected(422, "Invalid", f'StatefulSet.apps "{name}" is invalid: {"; ".join(problems)}')

    def spec_changed(self, owner: Json) -> None:
        """A client changed a StatefulSet: its controller sees it a moment later."""
        owner["metadata"]["generation"] += 1
        if not self.owner_stopped:
            self.timeline.after(self.timings.controller_s, lambda: self._observe(owner))

    def _observe(self, owner: Json) -> None:
        meta = owner["metadata"]
        update = self.revision(meta["name"], owner["spec"]["template"])
        owner["status"].update(
            observedGeneration=meta["generation"],
            replicas=owner["spec"]["replicas"],
            updateRevision=update,
            currentRevision=owner["status"].get("currentRevision") or update,
        )
        self.store.put("statefulsets", owner)

    def volume(self, pod: str, name: str, nodes: tuple[str, ...], labels: Json) -> None:
        """A Pod's volume, which those nodes may use, and the claim to it."""
        where = [{"key": "kubernetes.io/hostname", "operator": "In", "values": list(nodes)}]
        self.store.put(
            "persistentvolumes",
            {
                "metadata": {"name": name},
                "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": where}]}}},
            },
        )
        self.store.put(
            "persistentvolumeclaims",
            {
                "metadata": {"name": name, "namespace": NAMESPACE, "labels": dict(labels)},
                "spec": {"volumeName": name},
                "status": {"phase": "Bound"},
            },
        )

    def program(self, name: str, component: str, port: int) -> Json:
        """A Pod of vtctld or vtgate, Ready."""
        return self.store.put(
            "pods",
            {
                "metadata": {
                    "name": name,
                    "namespace": NAMESPACE,
                    "creationTimestamp": stamp(self.timeline.now),
                    "labels": {COMPONENT: component},
                    "annotations": {},
                },
                "spec": {
                    "nodeName": self.layout.nodes[0],
                    "containers": [{"name": component, "image": f"vitess/lite:v{self.layout.old}"}],
                },
                "status": {
                    "phase": "Running",
                    "podIP": self._address(),
                    "conditions": [{"type": "Ready", "status": "True"}],
                },
            },
        )

    def _address(self) -> str:
        self._addresses += 1
        return f"10.{244 + self._addresses // 62500}.{self._addresses // 250 % 250}.{self._addresses % 250 + 2}"

    def running(self, tablet: Tablet, pod: Json, node: str) -> None:
        """A Pod that has been running for long, on that node."""
        pod["metadata"]["creationTimestamp"] = stamp(self.timeline.now - 7200)
        pod["spec"]["nodeName"] = node
        address = self._address()
        pod["status"] = {
            "phase": "Running",
            "podIP": address,
            "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}],
            "containerStatuses": _containers(pod, {"running": {"startedAt": stamp(self.timeline.now - 7200)}}),
        }
        tablet.hostname = self._hostname(tablet, address)
        tablet.record.hostname = tablet.record.mysql_hostname = tablet.hostname
        self.store.put("pods", pod)

    def _hostname(self, tablet: Tablet, address: str) -> str:
        return f"{tablet.pod}.tablets" if self.layout.stable_addresses else address

    def _new_pod(self, tablet: Tablet, owner: Json, revision: str, created: str) -> Json:
        spec = copy.deepcopy(owner["spec"]["template"]["spec"])
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": f"data-{tablet.pod}"}}]
        meta = owner["metadata"]
        return {
            "metadata": {
                "name": tablet.pod,
                "namespace": NAMESPACE,
                "creationTimestamp": created,
                "labels": {
                    **owner["spec"]["template"]["metadata"]["labels"],
                    "planetscale.com/cell": tablet.cell,
                    REVISION: revision,
                },
                "annotations": {},
                "ownerReferences": [
                    {"kind": "StatefulSet", "name": meta["name"], "uid": meta["uid"], "controller": True}
                ],
            },
            "spec": spec,
            "status": {"phase": "Pending", "conditions": []},
        }

    # -- looking

    def pod(self, name: str) -> Json | None:
        """A Pod that is there."""
        return self.store.of("pods").get(name)

    def tablet_of(self, pod: str) -> Tablet | None:
        """Whose Pod it is."""
        return self.fleet.by_pod.get(pod)

    def _fitting(self, pod: Json) -> list[str]:
        """Nodes that would take it: schedulable, Ready, without a taint, where its volume is, and with room."""
        claim = pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
        terms = self.store.of("persistentvolumes")[claim]["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
        near = [self.store.of("nodes").get(name) for name in terms[0]["matchExpressions"][0]["values"]]
        return [
            str(node["metadata"]["name"])
            for node in near
            if node is not None
            and not node["spec"].get("unschedulable")
            and not node["spec"].get("taints")
            and node["status"]["conditions"][0]["status"] == "True"
            and self._has_room(node, pod)
        ]

    def _has_room(self, node: Json, pod: Json) -> bool:
        """Whether what it requests is free there."""
        for what, text in node["status"]["allocatable"].items():
            if what == "pods":
                continue
            others = sum(
                requested(other, what)
                for other in self.store.of("pods").values()
                if other is not pod and other["spec"].get("nodeName") == node["metadata"]["name"]
            )
            if requested(pod, what) > amount(text) - others:
                return False
        return True

    def told(self, pod: Json) -> None:
        """A Pod changed."""
        self.store.put("pods", pod)
        self._tell(str(pod["metadata"]["name"]))

    def _tell(self, pod: str) -> None:
        if (tablet := self.tablet_of(pod)) is not None:
            for listener in self.on_change:
                listener(tablet.shard)

    def _ready(self, pod: Json, ready: bool) -> None:
        others = [c for c in pod["status"]["conditions"] if c["type"] != "Ready"]
        said = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": stamp(self.timeline.now)}
        pod["status"]["conditions"] = [*others, said]
        self.told(pod)
        tablet = self.tablet_of(str(pod["metadata"]["name"]))
        if self.operator is not None and tablet is not None:
            self.operator.ready_changed(tablet, pod, ready)

    def set_ready(self, name: str, ready: bool) -> None:
        """Somebody's readiness probe fails, or passes again."""
        pod = self.pod(name)
        if pod is not None:
            self._ready(pod, ready)

    # -- eviction and deletion

    def evict(self, name: str, body: Json) -> None:
        """policy/v1. Raises Rejected."""
        pod = self.pod(name)
        if pod is None:
            raise Rejected(404, "NotFound", f'pods "{name}" not found')
        self.check_preconditions(pod, (body.get("deleteOptions") or {}).get("preconditions") or {})
        labels = pod["metadata"]["labels"]
        budgets = [
            budget
            for budget in self.store.of("poddisruptionbudgets").values()
            if all(labels.get(k) == v for k, v in budget["spec"]["selector"]["matchLabels"].items())
        ]
        if len(budgets) > 1:
            raise Rejected(
                500,
                "InternalError",
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            )
        guarded = pod["status"]["phase"] == "Running" and not pod["metadata"].get("deletionTimestamp")
        for budget in budgets if guarded else ():
            # An unhealthy one takes nothing from a budget that is met, or from any (unhealthyPodEvictionPolicy).
            if not is_ready(pod) and budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
                continue
            if self.disruptions_allowed(budget) < (1 if is_ready(pod) else 0):
                message = "Cannot evict pod as it would violate the pod's disruption budget."
                needs = f"The disruption budget {budget['metadata']['name']} needs more healthy pods"
                raise Rejected(
                    429, "TooManyRequests", message, causes=[{"reason": "DisruptionBudget", "message": needs}]
                )
        self.evictions.append(name)
        self.delete(name, "Evict", at_once=(body.get("deleteOptions") or {}).get("gracePeriodSeconds") == 0)

    def disruptions_allowed(self, budget: Json) -> int:
        """How many of its Pods may go now."""
        wanted = budget["spec"]["selector"]["matchLabels"]
        mine = [
            p
            for p in self.store.of("pods").values()
            if all(p["metadata"]["labels"].get(key) == value for key, value in wanted.items())
        ]
        healthy = sum(is_ready(p) and not p["metadata"].get("deletionTimestamp") for p in mine)
        spec = budget["spec"]
        least = spec["minAvailable"] if "minAvailable" in spec else len(mine) - spec["maxUnavailable"]
        return int(healthy - least)

    @staticmethod
    def check_preconditions(item: Json, wanted: Json) -> None:
        """Raises Rejected (409)."""
        meta = item["metadata"]
        for key in ("uid", "resourceVersion"):
            if wanted.get(key) and wanted[key] != meta[key]:
                raise Rejected(
                    409,
                    "Conflict",
                    f"Precondition failed: {key} in precondition: {wanted[key]}, in object meta: {meta[key]}",
                )

    def delete(self, name: str, act: str = "Delete", at_once: bool = False) -> None:
        """SIGTERM; the Pod goes when its containers have ended: on a lost node never, but for one without grace."""
        pod = self.store.of("pods")[name]
        tablet = self.tablet_of(name)
        if pod["metadata"].get("deletionTimestamp") and not at_once:
            return
        if tablet is not None:
            self.fleet.acted(f"{act} {name}{' without grace' if at_once else ''}", tablet.alias)
        if at_once and tablet is not None:
            self.vanish(tablet, pod)
            return
        pod["metadata"]["deletionTimestamp"] = stamp(self.timeline.now)
        if tablet is None:
            self._ready(pod, False)
            self.timeline.after(self.timings.recreate_s, lambda: self._forget(name, pod))
            return
        if pod["spec"].get("nodeName") in self.lost_nodes:
            self.told(pod)
            return
        tablet.stopping = True
        self._ready(pod, False)
        self.fleet.changed(tablet)
        self.fleet.stop_mysqld(tablet)
        self.timeline.after(self.timings.terminate_s, lambda: self._stopped(tablet, pod))

    def kill(self, alias: str) -> None:
        """The Pod's processes and the Pod are gone at once, as after a node's loss with a fence; the owner makes a new one."""
        tablet = self.fleet.tablets[alias]
        pod = self.store.of("pods")[tablet.pod]
        self.fleet.stop_mysqld(tablet)
        self.fleet.stop_vttablet(tablet, cleanly=False)
        self._gone(tablet, pod)

    def reboot(self, name: str, down_s: float = 20.0) -> None:
        """A node goes down and comes back in another boot, with the same Pods, which have other addresses then."""
        node = self.store.of("nodes")[name]
        self._node_ready(node, False)
        mine = [pod for pod in self.store.of("pods").values() if pod["spec"].get("nodeName") == name]
        for pod in mine:
            tablet = self.tablet_of(pod["metadata"]["name"])
            if tablet is not None:
                self.fleet.acted(f"Reboot {pod['metadata']['name']}", tablet.alias)
                self.fleet.stop_mysqld(tablet)
                self.fleet.stop_vttablet(tablet, cleanly=False)
            self._ready(pod, False)

        def back() -> None:
            node["status"]["nodeInfo"]["bootID"] = f"boot-{self.store.version}-of-{name}"
            self._node_ready(node, True)
            for pod in mine:
                pod["status"]["podIP"] = ""
                tablet = self.tablet_of(pod["metadata"]["name"])
                if tablet is not None:
                    self.timeline.after(self.timings.start_s, lambda t=tablet, p=pod: self._start(t, p))  # type: ignore[misc]
                else:
                    pod["status"]["podIP"] = self._address()
                    self._ready(pod, True)

        self.timeline.after(down_s, back)

    def _node_ready(self, node: Json, ready: bool) -> None:
        node["status"]["conditions"][0]["status"] = "True" if ready else "Unknown"
        self.store.put("nodes", node)

    def _forget(self, name: str, pod: Json) -> None:
        if self.pod(name) is pod:
            self.store.remove("pods", name)

    def vanish(self, tablet: Tablet, pod: Json) -> None:
        """The Pod's object goes, and whatever of it still ran."""
        if self.pod(tablet.pod) is not pod:
            return
        if tablet.mysqld.running:
            self.fleet.stop_mysqld(tablet)
        if tablet.running:
            self.fleet.stop_vttablet(tablet, cleanly=False)
        self._gone(tablet, pod)

    def start_again(self, tablet: Tablet, pod: Json) -> None:
        """Its node is back: what was to stop has stopped, the rest starts in its old Pod."""
        if pod["metadata"].get("deletionTimestamp"):
            self.vanish(tablet, pod)
        else:
            self.timeline.after(self.timings.start_s, lambda: self._start(tablet, pod))

    def _stopped(self, tablet: Tablet, pod: Json) -> None:
        if self.pod(tablet.pod) is pod:
            self.fleet.stop_vttablet(tablet, cleanly=tablet.running)
            self._gone(tablet, pod)

    def _gone(self, tablet: Tablet, pod: Json) -> None:
        self.store.remove("pods", tablet.pod)
        self._tell(tablet.pod)
        soon = self.timings.recreate_s if self.operator is None else RECREATE_S
        self.timeline.after(soon, lambda: self._recreate(tablet, pod))

    # -- starting

    def _recreate(self, tablet: Tablet, gone: Json) -> None:
        if self.owner_stopped or (self.operator is not None and self.operator.stopped):
            self.timeline.after(1.0, lambda: self._recreate(tablet, gone))
            return
        if self.pod(tablet.pod) is not None:
            return
        if self.operator is not None:
            pod = self.operator.new_pod(tablet)
            pod["metadata"]["creationTimestamp"] = stamp(self.timeline.now)
        else:
            owner = self.store.of("statefulsets")[gone["metadata"]["ownerReferences"][0]["name"]]
            pod = self._new_pod(tablet, owner, owner["status"]["updateRevision"], stamp(self.timeline.now))
        if tablet.pod in self.other_image:
            pod["spec"]["containers"][1]["image"] = self.other_image[tablet.pod]
            pod["metadata"]["labels"][REVISION] = "another-revision"
        self.told(pod)
        self.timeline.after(self.timings.schedule_s, lambda: self._schedule(tablet, pod))

    def _schedule(self, tablet: Tablet, pod: Json) -> None:
        if self.pod(tablet.pod) is not pod:
            return
        nodes = self._fitting(pod)
        if not nodes:
            message = (
                "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had volume node affinity conflict."
            )
            pod["status"]["conditions"] = [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
            ]
            self.told(pod)
            self.timeline.after(1.0, lambda: self._schedule(tablet, pod))
            return
        pod["spec"]["nodeName"] = nodes[0]
        pod["status"]["conditions"] = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]
        pod["status"]["containerStatuses"] = _containers(pod, {"waiting": {"reason": "ContainerCreating"}})
        self.told(pod)
        self.timeline.after(self.timings.start_s, lambda: self._start(tablet, pod))

    def _start(self, tablet: Tablet, pod: Json) -> None:
        if self.pod(tablet.pod) is not pod or pod["metadata"].get("deletionTimestamp"):
            return
        image = image_of(pod["spec"], "vttablet")
        if image in self.image_trouble:
            self._waits(tablet, pod, self.image_trouble[image], f'Back-off pulling image "{image}"')
            return
        if not tablet.mysqld.running:
            empty = tablet.pod in self.empty_volumes
            self.empty_volumes.discard(tablet.pod)
            if empty and tablet.pod in self.backups:
                self._restore(tablet, pod, list(self.backups[tablet.pod]))
                return
            refused = self.fleet.start_mysqld(tablet, version_of(image_of(pod["spec"], "mysqld")), empty)
            if refused:
                self._waits(tablet, pod, "CrashLoopBackOff", refused)
                return
        address = self.next_address.pop(tablet.pod, "") or pod["status"].get("podIP") or self._address()
        pod["status"]["podIP"] = address
        trouble = "back-off restarting failed container" if tablet.pod in self.crashing else ""
        if not trouble:
            trouble = self.fleet.start_vttablet(tablet, version_of(image), self._hostname(tablet, address))
        if trouble:
            self._waits(tablet, pod, "CrashLoopBackOff", trouble)
            return
        pod["status"]["phase"] = "Running"
        pod["status"]["containerStatuses"] = _containers(pod, {"running": {"startedAt": stamp(self.timeline.now)}})
        self.told(pod)
        self.timeline.after(self.timings.ready_s, lambda: self._becomes_ready(tablet, pod))

    def _restore(self, tablet: Tablet, pod: Json, sizes: list[int]) -> None:
        """vttablet fills an empty volume from a backup, as RESTORE, which /healthz calls fine; then it starts as any other."""
        if self.pod(tablet.pod) is not pod or pod["metadata"].get("deletionTimestamp"):
            return
        if sizes:
            address = pod["status"].get("podIP") or self._address()
            pod["status"].update(phase="Running", podIP=address)
            pod["status"]["containerStatuses"] = _containers(pod, {"running": {"startedAt": stamp(self.timeline.now)}})
            if not is_ready(pod):
                self._ready(pod, True)
            self.fleet.restoring(tablet, self._hostname(tablet, address), sizes.pop(0))
            self.timeline.after(1.0, lambda: self._restore(tablet, pod, sizes))
            return
        self.fleet.start_mysqld(tablet, version_of(image_of(pod["spec"], "mysqld")), empty=True)
        self.fleet.fill_from_backup(tablet)
        self._start(tablet, pod)

    def _waits(self, tablet: Tablet, pod: Json, reason: str, message: str) -> None:
        waiting = {"waiting": {"reason": reason, "message": message}}
        pod["status"]["containerStatuses"] = _containers(pod, waiting)
        self.told(pod)
        self.timeline.after(max(1.0, self.timings.start_s), lambda: self._start(tablet, pod))

    def _becomes_ready(self, tablet: Tablet, pod: Json) -> None:
        if self.pod(tablet.pod) is pod and not pod["metadata"].get("deletionTimestamp") and tablet.running:
            self._ready(pod, True)


def _containers(pod: Json, state: Json) -> list[Json]:
    return [{"name": c["name"], "ready": "running" in state, "state": state} for c in pod["spec"]["containers"]]
