# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What fails by itself in the simulated fleet: nodes, Pods, processes, replication. What then happens is Kubernetes' and vtorc's."""

from __future__ import annotations

from .fleet import Fleet, Tablet
from .kubernetes import Kubernetes, image_of, version_of
from .store import Json

GC_S = 5.0  # PodGC, which looks every 20 s: what a fenced node has is removed


class Failures:
    """Each method breaks one thing, now."""

    def __init__(self, fleet: Fleet, kubernetes: Kubernetes) -> None:
        self.fleet, self.kubernetes = fleet, kubernetes

    # -- nodes

    def lose_node(self, name: str) -> None:
        """It is not heard of any more; what ran on it is gone, and its Pods stay as they are, not Ready."""
        self.kubernetes.store.of("nodes")[name]["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
        self.kubernetes.lost_nodes.add(name)
        for tablet, pod in self._on(name):
            self.fleet.stop_mysqld(tablet)
            self.fleet.stop_vttablet(tablet, cleanly=False)
            self.kubernetes.set_ready(tablet.pod, False)
            del pod

    def remove_node(self, name: str) -> None:
        """Its object is deleted, as by a cloud that took the machine away."""
        self.kubernetes.store.remove("nodes", name)
        self._collect(name)

    def taint_out_of_service(self, name: str) -> None:
        """An operator says that it is off."""
        node = self.kubernetes.store.of("nodes")[name]
        node["spec"]["taints"] = [
            {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
        ]
        self._collect(name)

    def return_node(self, name: str) -> None:
        """It is back after its reboot, and starts its Pods."""
        self.kubernetes.store.of("nodes")[name]["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
        self.kubernetes.lost_nodes.discard(name)
        for tablet, pod in self._on(name):
            self.kubernetes.start_again(tablet, pod)

    def _on(self, name: str) -> list[tuple[Tablet, Json]]:
        pods = [pod for pod in self.kubernetes.store.of("pods").values() if pod["spec"].get("nodeName") == name]
        return [(tablet, pod) for pod in pods if (tablet := self.kubernetes.tablet_of(pod["metadata"]["name"]))]

    def _collect(self, name: str) -> None:
        def collect() -> None:
            for tablet, pod in self._on(name):
                self.kubernetes.vanish(tablet, pod)

        self.fleet.timeline.after(GC_S, collect)

    def move_volume(self, alias: str, node: str) -> None:
        """Its volume can be had on another node: one of a network's storage."""
        volume = self.kubernetes.store.of("persistentvolumes")[f"data-{self.fleet.tablets[alias].pod}"]
        terms = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
        terms[0]["matchExpressions"][0]["values"] = [node]

    # -- Pods and processes

    def fail_pod(self, alias: str) -> None:
        """Evicted by its kubelet: processes end, the Pod stays as Failed until its owner takes it away."""
        tablet = self.fleet.tablets[alias]
        pod = self.kubernetes.store.of("pods")[tablet.pod]
        self.fleet.stop_mysqld(tablet)
        self.fleet.stop_vttablet(tablet, cleanly=False)
        pod["status"]["phase"] = "Failed"
        pod["status"]["containerStatuses"] = []
        self.kubernetes.set_ready(tablet.pod, False)
        if not self.kubernetes.owner_stopped and not self.kubernetes.leaves_failed:
            self.fleet.timeline.after(1.0, lambda: self.kubernetes.vanish(tablet, pod))

    def crash(self, alias: str, container: str, back_after_s: float | None = None) -> None:
        """mysqld or vttablet ends and is started again by its kubelet after so long, or never in this Pod."""
        tablet = self.fleet.tablets[alias]
        pod = self.kubernetes.store.of("pods")[tablet.pod]
        if container == "mysqld":
            self.fleet.stop_mysqld(tablet)
        else:
            self.fleet.stop_vttablet(tablet, cleanly=False)
        waiting = {
            "waiting": {"reason": "CrashLoopBackOff", "message": f"back-off restarting failed container={container}"}
        }
        for status in pod["status"]["containerStatuses"]:
            if status["name"] == container:
                status.update(ready=False, state=waiting)
        self.kubernetes.set_ready(tablet.pod, False)
        if back_after_s is not None:
            self.fleet.timeline.after(back_after_s, lambda: self._restarted(tablet, pod, container))

    def _restarted(self, tablet: Tablet, pod: Json, container: str) -> None:
        if self.kubernetes.pod(tablet.pod) is not pod or pod["metadata"].get("deletionTimestamp"):
            return
        if container == "mysqld":
            self.fleet.start_mysqld(tablet, version_of(image_of(pod["spec"], "mysqld")))
        else:
            self.fleet.start_vttablet(tablet, tablet.version, tablet.hostname)
        for status in pod["status"]["containerStatuses"]:
            status.update(ready=True, state={"running": {}})
        self.kubernetes.set_ready(tablet.pod, True)
        self.fleet.changed(tablet)

    # -- data

    def stop_replication(self, alias: str, error: str = "") -> None:
        """Its threads stop; with an error they stop again wherever they are started."""
        mysqld = self.fleet.tablets[alias].mysqld
        mysqld.io = "1236" not in error and mysqld.io if error else False
        mysqld.sql = False
        mysqld.stops_with = mysqld.last_error = error

    def write_errant(self, alias: str) -> None:
        """Somebody writes on a replica."""
        self.fleet.tablets[alias].mysqld.write(None, self.fleet.timeline.now)

    def break_it(self, what: str, subject: str, *arguments: str) -> None:
        """By name, for a test in another process."""
        ways = {
            "crash": lambda: self.crash(subject, arguments[0], float(arguments[1]) if arguments[1:] else None),
            "fail_pod": lambda: self.fail_pod(subject),
            "stop_replication": lambda: self.stop_replication(subject),
            "lose_node": lambda: self.lose_node(subject),
        }
        ways[what]()
