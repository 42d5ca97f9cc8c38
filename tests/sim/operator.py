# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for vitess-operator with its update strategy External: the names, annotations, order and times of what was recorded.

Facts: operator-recording.md (snapshot 6b0a1b8c, live); what was not seen is as its source has it.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from .fleet import CommandFailed, Fleet, Tablet
from .layout import NAMESPACE, Layout, safe_shard
from .store import Json, Store
from .timeline import Timeline

if TYPE_CHECKING:
    from .kubernetes import Kubernetes

CLUSTER = "example"
SCHEDULED, RELEASED, CASCADE = (f"rollout.planetscale.com/{word}" for word in ("scheduled", "released", "cascade"))
SUPPORTED, STARTED, ACKNOWLEDGED, FINISHED = (
    f"drain.planetscale.com/{word}" for word in ("supported", "started", "acknowledged", "finished")
)
OBSERVED = "planetscale.com/observed-shard-generation"

# Seconds from an event to what its controller makes of it, as recorded.
SCHEDULE_KEYSPACE_S, APPLY_S, SCHEDULE_SHARD_S, SCHEDULE_PODS_S = 0.03, 0.05, 0.04, 0.06
START_S, DRAIN_S, FINISH_S, DELETE_S, RECREATE_S = 0.02, 0.17, 0.01, 0.08, 0.01
REPARENT_WAIT_S = 30.0
STATUS_S = 0.4  # not measured: some of its status was seen to be late, up to 34 s


def of_hash(text: str) -> str:
    """What it ends names with."""
    return hashlib.md5(text.encode()).hexdigest()[:8]


def pod_name(alias: str) -> str:
    """Stable over recreation, and the volume claim's too."""
    return f"{CLUSTER}-vttablet-{alias}-{of_hash(alias)}"


class Operator:
    """Its controllers, one pass each. stopped: it does nothing. seen: every annotation that came or went, in order."""

    def __init__(self, layout: Layout, timeline: Timeline, store: Store, fleet: Fleet, kubernetes: Kubernetes) -> None:
        self.layout, self.timeline, self.store, self.fleet, self.kubernetes = layout, timeline, store, fleet, kubernetes
        self.stopped = False
        self.holds_schedule = False  # what is scheduled has more reasons than images, and stays until it is released
        self.seen: list[tuple[float, str, str, bool]] = []  # when, object, annotation, whether it came
        self._known: dict[str, set[str]] = {}
        self._came: dict[tuple[str, str], float] = {}  # object and annotation to when it came
        self.keyspace = f"{CLUSTER}-{layout.keyspace}-{of_hash(layout.keyspace)}"
        self._reparenting: set[str] = set()
        self.reparents = 0  # its own, which nobody asked it for

    # -- making it

    def build(self) -> None:
        """The objects of a fleet at rest, all of the old version, and then the new one in the VitessCluster's spec."""
        strategy = {"updateStrategy": {"type": "External"}}
        images = self._images(self.layout.old, self.layout.old_mysql)
        spec = {"images": images, **strategy, "keyspaces": [{"name": self.layout.keyspace}]}
        cluster = self._object("vitessclusters", CLUSTER, spec, None)
        keyspace = self._object(
            "vitesskeyspaces", self.keyspace, {"name": self.layout.keyspace, "images": images, **strategy}, cluster
        )
        for number, plan in enumerate(self.layout.shards):
            name = self.shard_object(plan.name)
            shard = self._object(
                "vitessshards", name, {"name": plan.name, "images": copy.deepcopy(images), **strategy}, keyspace
            )
            for index, of in enumerate(plan.tablets):
                alias = f"{of.cell}-{of.uid:010d}"
                tablet = self.fleet.add(plan.name, of, pod_name(alias))
                node = self.layout.nodes[(index + number) % len(self.layout.nodes)]
                self.kubernetes.volume(tablet.pod, tablet.pod, (node,), {})
                pod = self.new_pod(tablet)
                pod["metadata"]["annotations"][OBSERVED] = "1"
                self.kubernetes.running(tablet, pod, node)
                shard["status"]["tablets"][alias] = {"available": "True", "ready": "True", "type": of.type.lower()}
            self.store.put("vitessshards", shard)
        self.store.watchers.append(self._told)
        self.want(self.layout.new, self.layout.new_mysql)

    @staticmethod
    def _images(version: str, mysql: str) -> Json:
        return {"vttablet": f"vitess/lite:v{version}", "mysqld": {"mysql80Compatible": f"mysql:{mysql}"}}

    def _object(self, resource: str, name: str, spec: Json, owner: Json | None) -> Json:
        meta: Json = {"name": name, "namespace": NAMESPACE, "generation": 1, "annotations": {}}
        if owner is not None:
            above = owner["metadata"]
            meta["ownerReferences"] = [
                {"kind": owner["kind"], "name": above["name"], "uid": above["uid"], "controller": True}
            ]
        status: Json = {"observedGeneration": 1}
        if resource == "vitessshards":
            status |= {"tablets": {}, "lowestPodGeneration": 1}
        return self.store.put(resource, {"metadata": meta, "spec": spec, "status": status})

    def shard_object(self, shard: str) -> str:
        """The VitessShard of a shard."""
        return f"{CLUSTER}-{self.layout.keyspace}-{safe_shard(shard)}-{of_hash(shard)}"

    def want(self, version: str, mysql: str) -> None:
        """Somebody changes the VitessCluster's spec; a moment later the VitessKeyspace has it scheduled."""
        images = self._images(version, mysql)
        cluster = self.cluster
        if cluster["spec"]["images"] != images:
            cluster["spec"]["images"] = images
            self.spec_changed("vitessclusters", cluster)

    def spec_changed(self, resource: str, item: Json) -> None:
        """The API server counts generations."""
        item["metadata"]["generation"] += 1
        self.store.put(resource, item)

    @property
    def cluster(self) -> Json:
        """The VitessCluster."""
        return self.store.of("vitessclusters")[CLUSTER]

    def new_pod(self, tablet: Tablet) -> Json:
        """As its VitessShard's spec has it now: no annotation of a rollout or a drain."""
        shard = self.store.of("vitessshards")[self.shard_object(tablet.shard)]
        images = shard["spec"]["images"]
        asks = {"requests": {"cpu": "150m"}}
        cell, _dash, uid = tablet.alias.rpartition("-")
        flags = [f"--tablet-path={tablet.alias}", "--tablet_hostname=$(POD_IP)", "--health_check_interval=5s"]
        containers: list[Json] = [
            {"name": "mysqld", "image": images["mysqld"]["mysql80Compatible"], "resources": dict(asks)},
            {
                "name": "vttablet",
                "image": images["vttablet"],
                "command": ["/vt/bin/vttablet"],
                "args": flags,
                "resources": dict(asks),
            },
        ]
        names = {
            "component": "vttablet",
            "cluster": CLUSTER,
            "cell": cell,
            "keyspace": self.layout.keyspace,
            "shard": safe_shard(tablet.shard),
            "tablet-uid": uid,
            "tablet-type": "replica",
        }
        above = shard["metadata"]
        owner = {"kind": "VitessShard", "name": above["name"], "uid": above["uid"], "controller": True}
        return {
            "metadata": {
                "name": tablet.pod,
                "namespace": NAMESPACE,
                "labels": {f"planetscale.com/{name}": value for name, value in names.items()},
                "annotations": {SUPPORTED: "ensure that the tablet is not a primary"},
                "ownerReferences": [owner],
            },
            "spec": {
                "containers": containers,
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": tablet.pod}}],
            },
            "status": {"phase": "Pending", "conditions": []},
        }

    # -- what it is told

    def _told(self, resource: str, change: str, item: Json) -> None:
        name, annotations = str(item["metadata"]["name"]), set(item["metadata"].get("annotations") or {})
        if resource not in ("pods", "vitessclusters", "vitesskeyspaces", "vitessshards"):
            return
        ours = {word for word in annotations if word.startswith(("rollout.", "drain."))} - {SUPPORTED}
        if change != "DELETED":
            for word in sorted(ours ^ self._known.get(name, set())):
                self.seen.append((self.timeline.now, name, word, word in ours))
                self._came[name, word] = self.timeline.now
        self._known[name] = set() if change == "DELETED" else ours
        match resource:
            case "vitessclusters":
                self._soon(SCHEDULE_KEYSPACE_S, self._keyspaces)
            case "vitesskeyspaces":
                self._soon(APPLY_S, self._keyspaces)
                self._soon(SCHEDULE_SHARD_S, self._shards)
            case "vitessshards":
                self._soon(APPLY_S, self._shards)
                self._soon(SCHEDULE_PODS_S, self._pods)
                self._soon(DRAIN_S, self._drains)
            case "pods" if self.kubernetes.tablet_of(name) is not None:
                self._soon(START_S, self._pods)
                self._soon(FINISH_S if ACKNOWLEDGED in ours else DRAIN_S, self._drains)
                if FINISHED in ours:
                    self._soon(DELETE_S, self._deletions)

    def go_on(self) -> None:
        """It runs again, and looks at everything."""
        self.stopped = False
        for act in (self._keyspaces, self._shards, self._pods, self._drains, self._deletions):
            self._soon(APPLY_S, act)

    def _soon(self, delay_s: float, act: Callable[[], None]) -> None:
        self.timeline.after(delay_s, lambda: None if self.stopped else act())

    def _has_for(self, item: Json, word: str, seconds: float) -> bool:
        """Whether it has had an annotation for so long: as long as its controller takes to come by."""
        came = self._came.get((item["metadata"]["name"], word))
        return word in self._notes(item) and came is not None and self.timeline.now - came >= seconds - 1e-3

    @staticmethod
    def _notes(item: Json) -> Json:
        found: Json = item["metadata"].setdefault("annotations", {})
        return found

    def _rolls(self, resource: str, item: Json, wanted: Json) -> None:
        """An object that is updated in place: its change is scheduled, and applied once it is released."""
        notes = self._notes(item)
        pending = item["spec"]["images"] != wanted
        if RELEASED in notes:
            if not self._has_for(item, RELEASED, APPLY_S):
                return
            notes.pop(RELEASED)
            notes.pop(SCHEDULED, None)
            if pending:
                item["spec"]["images"] = copy.deepcopy(wanted)
                item["metadata"]["generation"] += 1
            self.store.put(resource, item)
        elif pending and SCHEDULED not in notes:
            notes[SCHEDULED] = f"spec.images: {wanted}"
            self.store.put(resource, item)
        elif not pending and not self.holds_schedule and notes.pop(SCHEDULED, None) is not None:
            self.store.put(resource, item)

    def _observes(self, resource: str, item: Json) -> None:
        """The status comes at the end of a pass, after what was read of the topology."""
        seen = item["metadata"]["generation"]

        def says() -> None:
            if item["status"]["observedGeneration"] < seen:
                item["status"]["observedGeneration"] = seen
                self.store.put(resource, item)

        if item["status"]["observedGeneration"] < seen:
            self._soon(STATUS_S, says)

    # -- its controllers

    def _keyspaces(self) -> None:
        cluster = self.cluster
        for keyspace in list(self.store.of("vitesskeyspaces").values()):
            self._rolls("vitesskeyspaces", keyspace, cluster["spec"]["images"])
        self._observes("vitessclusters", cluster)

    def _shards(self) -> None:
        keyspace = self.store.of("vitesskeyspaces")[self.keyspace]
        for shard in list(self.store.of("vitessshards").values()):
            self._rolls("vitessshards", shard, keyspace["spec"]["images"])
        self._observes("vitesskeyspaces", keyspace)

    def _tablets(self, shard: Json) -> list[tuple[Tablet, Json]]:
        every = ((tablet, self.kubernetes.pod(tablet.pod)) for tablet in self.fleet.of(shard["spec"]["name"]))
        return [(tablet, pod) for tablet, pod in every if pod is not None]

    def _pods(self) -> None:
        for shard in list(self.store.of("vitessshards").values()):
            generation = str(shard["metadata"]["generation"])
            for _tablet, pod in self._tablets(shard):
                if pod["metadata"].get("deletionTimestamp"):
                    continue
                notes = self._notes(pod)
                before = dict(notes)
                notes[OBSERVED] = generation
                have = {c["name"]: c["image"] for c in pod["spec"]["containers"]}
                images = shard["spec"]["images"]
                pending = have != {"vttablet": images["vttablet"], "mysqld": images["mysqld"]["mysql80Compatible"]}
                if pending:
                    notes.setdefault(SCHEDULED, f"spec.containers: {images}")
                    if self._has_for(pod, RELEASED, START_S) and FINISHED not in notes:
                        notes.setdefault(STARTED, "rolling update")
                else:
                    notes.pop(SCHEDULED, None)
                    notes.pop(RELEASED, None)
                if notes != before:
                    self.kubernetes.told(pod)
            self._observes("vitessshards", shard)

    def _deletions(self) -> None:
        for shard in self.store.of("vitessshards").values():
            for tablet, pod in self._tablets(shard):
                notes = self._notes(pod)
                if RELEASED in notes and SCHEDULED in notes and self._has_for(pod, FINISHED, DELETE_S):
                    self.kubernetes.delete(tablet.pod, "Delete")

    def _drains(self) -> None:
        for shard in list(self.store.of("vitessshards").values()):
            name = shard["spec"]["name"]
            primary = self.fleet.primary(name)
            healthy = all(said["available"] == "True" for said in shard["status"]["tablets"].values())
            if healthy and primary is not None:
                self._drain(name, primary, self._tablets(shard))

    def _drain(self, shard: str, primary: Tablet, every: list[tuple[Tablet, Json]]) -> None:
        started, aborting = [], False
        for tablet, pod in every:
            notes = self._notes(pod)
            if STARTED in notes:
                started.append((tablet, pod))
            elif notes.pop(ACKNOWLEDGED, None) is not None or notes.pop(FINISHED, None) is not None:
                notes.pop(FINISHED, None)
                aborting = True
                self.kubernetes.told(pod)
        if aborting or not started:
            return
        fresh = [pod for _tablet, pod in started if ACKNOWLEDGED not in self._notes(pod)]
        for pod in (pod for pod in fresh if self._has_for(pod, STARTED, DRAIN_S)):
            self._notes(pod)[ACKNOWLEDGED] = f"{self.timeline.now:.2f}"
            self.kubernetes.told(pod)
        if fresh or any(FINISHED in self._notes(pod) for _tablet, pod in started):
            return
        tablet, pod = min(started, key=lambda one: one[0].alias)
        if tablet is primary:
            self._reparent(shard, tablet)
            return
        self._notes(pod)[FINISHED] = f"{self.timeline.now:.2f}"
        self.kubernetes.told(pod)

    def _reparent(self, shard: str, old: Tablet) -> None:
        """Its own: to whoever is a REPLICA, whatever that runs."""
        able = [t for t in self.fleet.of(shard) if t.running and t.type == "REPLICA" and t.mysqld.running]
        if not able or shard in self._reparenting:
            return
        self._reparenting.add(shard)
        self.reparents += 1

        def done(_error: str) -> None:
            self._reparenting.discard(shard)
            self._soon(FINISH_S, self._drains)

        try:
            self.fleet.planned_reparent(shard, able[0].alias, old.alias, REPARENT_WAIT_S, done)
        except CommandFailed as error:
            done(str(error))

    # -- what it knows of a Pod's readiness

    def ready_changed(self, tablet: Tablet, pod: Json, ready: bool) -> None:
        """Its word comes at once where a Pod is not Ready, and available_s after it is."""
        self._counts(tablet, False)
        if ready:

            def still() -> None:
                conditions = {c["type"]: c["status"] for c in pod["status"]["conditions"]}
                if self.kubernetes.pod(tablet.pod) is pod and conditions.get("Ready") == "True":
                    self._counts(tablet, True)

            self.timeline.after(self.layout.timings.available_s, still)

    def _counts(self, tablet: Tablet, available: bool) -> None:
        shard = self.store.of("vitessshards")[self.shard_object(tablet.shard)]
        said = "True" if available else "False"
        if shard["status"]["tablets"][tablet.alias]["available"] != said:
            shard["status"]["tablets"][tablet.alias]["available"] = said
            self.store.put("vitessshards", shard)
