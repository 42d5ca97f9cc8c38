# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deployments of vtctld, vtgate and vtorc, and their controller: a surge of new Pods, and old ones that go when those are Ready."""

from __future__ import annotations

import math
from collections.abc import Callable

from .kubernetes import COMPONENT, Kubernetes, image_of, is_ready, stamp, version_of
from .layout import NAMESPACE
from .store import Json, matches

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


class Deployments:
    """What goes wrong is set in the public attributes. on_start is told of each new Pod that runs: its name and its version."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes
        self.store, self.timeline, self.timings = kubernetes.store, kubernetes.timeline, kubernetes.timings
        self.broken_images: dict[str, str] = {}  # image to waiting reason
        self.silent_images: set[str] = set()  # whose processes run and are never Ready
        self.on_start: list[Callable[[str, str, str], None]] = []  # component, Pod, version
        self.on_stop: list[Callable[[str], None]] = []
        self._numbers = 0

    def build(self) -> None:
        """One for each component; the Pods that are there are its own."""
        layout = self.kubernetes.layout
        self.kubernetes.program("vtorc-0", "vtorc", 16000)
        self._add("vtctld", ["vtctld-0"], layout.old)
        self._add("vtorc", ["vtorc-0"], layout.old)
        versions = {plan.version for plan in layout.vtgates}
        self._add("vtgate", [plan.name for plan in layout.vtgates], min(versions))

    def _add(self, component: str, pods: list[str], version: str) -> None:
        labels = {COMPONENT: component}
        template = {
            "metadata": {"labels": dict(labels)},
            "spec": {"containers": [{"name": component, "image": f"vitess/lite:v{version}"}]},
        }
        item = self.store.put(
            "deployments",
            {
                "metadata": {
                    "name": component,
                    "namespace": NAMESPACE,
                    "generation": 1,
                    "annotations": {REVISION: "1"},
                },
                "spec": {
                    "replicas": len(pods),
                    "selector": {"matchLabels": labels},
                    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                    "template": template,
                },
                "status": {},
            },
        )
        for name in pods:
            pod = self.store.of("pods")[name]
            pod["metadata"]["labels"][HASH] = self._hash(item)
            pod["spec"]["containers"][0]["image"] = f"vitess/lite:v{version}"
        self._count(item)

    @staticmethod
    def _hash(item: Json) -> str:
        return Kubernetes.revision("", item["spec"]["template"]).removeprefix("-")

    def changed(self, item: Json) -> None:
        """A client changed one: its controller sees it a moment later."""
        item["metadata"]["generation"] += 1
        self.timeline.after(self.timings.controller_s, lambda: self._reconcile(item))

    # -- the controller

    def _pods(self, item: Json) -> list[Json]:
        labels = item["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        mine = [p for p in self.store.of("pods").values() if matches(selector, p["metadata"]["labels"])]
        return [p for p in mine if HASH in p["metadata"]["labels"] and not p["metadata"].get("deletionTimestamp")]

    def _split(self, item: Json) -> tuple[list[Json], list[Json]]:
        """New Pods and old ones."""
        fresh, pods = self._hash(item), self._pods(item)
        new = [pod for pod in pods if pod["metadata"]["labels"][HASH] == fresh]
        return new, [pod for pod in pods if pod not in new]

    def _count(self, item: Json) -> None:
        new, old = self._split(item)
        item["status"] = {
            "observedGeneration": item["metadata"]["generation"],
            "replicas": len(new) + len(old),
            "updatedReplicas": len(new),
            "availableReplicas": sum(is_ready(pod) for pod in (*new, *old)),
        }
        self.store.put("deployments", item)

    def _reconcile(self, item: Json) -> None:
        name = item["metadata"]["name"]
        if self.store.of("deployments").get(name) is not item or item["spec"].get("paused"):
            return
        replicas, strategy = int(item["spec"]["replicas"]), item["spec"]["strategy"]
        new, old = self._split(item)
        recreate = strategy["type"] == "Recreate"
        rolling = strategy.get("rollingUpdate") or {}
        surge = 0 if recreate else _number(rolling.get("maxSurge", "25%"), replicas, math.ceil)
        unavailable = replicas if recreate else _number(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
        spare = sum(is_ready(pod) for pod in (*new, *old)) - (replicas - unavailable)
        # Those that are not Ready go first.
        for pod in sorted(old, key=is_ready):
            if is_ready(pod):
                if spare < 1:
                    continue
                spare -= 1
            self._terminate(pod)
        new, old = self._split(item)
        while len(new) < replicas and len(new) + len(old) < replicas + surge:
            new.append(self._create(item))
        self._count(item)
        if len(new) < replicas or old or not all(is_ready(pod) for pod in new):
            self.timeline.after(self.timings.controller_s, lambda: self._reconcile(item))

    def _create(self, item: Json) -> Json:
        self._numbers += 1
        component = item["metadata"]["name"]
        image = image_of(item["spec"]["template"]["spec"], component)
        pod = self.kubernetes.program(f"{component}-{self._hash(item)[:6]}-{self._numbers}", component, 0)
        pod["metadata"]["labels"][HASH] = self._hash(item)
        pod["spec"]["containers"][0]["image"] = image
        pod["status"] |= {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]}
        self.store.put("pods", pod)
        delay = self.timings.schedule_s + self.timings.start_s
        self.timeline.after(delay, lambda: self._start(component, pod, image))
        return pod

    def _start(self, component: str, pod: Json, image: str) -> None:
        name = pod["metadata"]["name"]
        if self.store.of("pods").get(name) is not pod or pod["metadata"].get("deletionTimestamp"):
            return
        if reason := self.broken_images.get(image):
            waiting = {"waiting": {"reason": reason, "message": f'Back-off pulling image "{image}"'}}
            pod["status"]["containerStatuses"] = [{"name": component, "ready": False, "state": waiting}]
            self.store.put("pods", pod)
            self.timeline.after(max(1.0, self.timings.start_s), lambda: self._start(component, pod, image))
            return
        pod["status"]["phase"] = "Running"
        for listener in self.on_start:
            listener(component, name, version_of(image))
        if image not in self.silent_images:
            self.timeline.after(self.timings.ready_s, lambda: self.kubernetes.set_ready(name, True))

    def _terminate(self, pod: Json) -> None:
        """SIGTERM: it gets no new connections, and ends what it has until its --onterm-timeout."""
        name = pod["metadata"]["name"]
        pod["metadata"]["deletionTimestamp"] = stamp(self.timeline.now)
        self.kubernetes.set_ready(name, False)
        self.timeline.after(self.timings.terminate_s, lambda: self._gone(name, pod))

    def _gone(self, name: str, pod: Json) -> None:
        if self.store.of("pods").get(name) is pod:
            self.store.remove("pods", name)
            for listener in self.on_stop:
                listener(name)


def _number(value: int | str, replicas: int, rounded: Callable[[float], int]) -> int:
    text = str(value)
    return int(rounded(replicas * float(text[:-1]) / 100)) if text.endswith("%") else int(text)
