# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kind cluster: one control plane, two workers, a network between their Pods."""

from __future__ import annotations

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import binaries, images, machine, places
from .console import LabError, output, run, wait_until

NAME = "vtops"
CONTEXT = f"kind-{NAME}"
KUBECTL = places.RUN / "kubectl"
CONTROL_PLANE = f"{NAME}-control-plane"
WORKERS = (f"{NAME}-worker", f"{NAME}-worker2")
VOLUMES = "/var/local/vitess"
# Weights against 1024 of one ordinary process.
CONTAINERS_SHARES = "20480"
PODS_SHARES = "8192"
IMPORT = ("ctr", "--namespace", "k8s.io", "images", "import", "--all-platforms", "-")


class Cluster:
    """A cluster that exists, through kubectl and its nodes' containers."""

    def kubectl(self, *arguments: Any, text_in: str | None = None, check: bool = True, timeout: float = 120) -> str:
        command = [KUBECTL, "--kubeconfig", places.KUBECONFIG, *arguments]
        return output(command, text_in=text_in, check=check, timeout=timeout)

    def apply(self, manifest: str) -> None:
        self.kubectl("apply", "--filename", "-", text_in=manifest)

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "--output", "json"))

    def node_addresses(self) -> dict[str, str]:
        return {
            node["metadata"]["name"]: next(
                address["address"] for address in node["status"]["addresses"] if address["type"] == "InternalIP"
            )
            for node in self.get("nodes")["items"]
        }

    def images_on(self, node: str) -> set[str]:
        """Short names: without the registry that containerd puts before them."""
        names = output(["docker", "exec", node, "ctr", "--namespace", "k8s.io", "images", "list", "--quiet"])
        return {name.split("/", 1)[-1].removeprefix("library/") for name in names.split()}

    def load(self, tars: dict[str, Path]) -> None:
        """Gives the workers the images that they lack, all nodes at once."""

        def load_on(node: str) -> None:
            present = self.images_on(node)
            for tar in [tar for name, tar in tars.items() if name not in present]:
                with tar.open("rb") as stream:
                    run([*_on(node), *IMPORT], stdin=stream, timeout=600)

        with ThreadPoolExecutor() as pool:
            list(pool.map(load_on, WORKERS))


def exists() -> bool:
    """Asks Docker, since kind may not be here."""
    nodes = ["docker", "ps", "--all", "--quiet", "--filter", f"label=io.x-k8s.kind.cluster={NAME}"]
    return bool(output(nodes))


def create(source: str) -> Cluster:
    """The cluster as it is, or a new one; the kubeconfig is written anew either way."""
    places.OUTPUT.mkdir(parents=True, exist_ok=True)
    if exists():
        run([_kind(), "export", "kubeconfig", "--name", NAME, "--kubeconfig", places.KUBECONFIG])
        _take_kubectl()
        return Cluster()
    configuration = json.dumps(_configuration(source, images.node_image(source)))
    command = [_kind(), "create", "cluster", "--name", NAME, "--kubeconfig", places.KUBECONFIG, "--config", "-"]
    try:
        run(command, text_in=configuration, timeout=600)
    except LabError:
        # What is half there would be taken for a cluster by the next try.
        delete()
        raise
    _take_kubectl()
    cluster = Cluster()
    if source == "build":
        _forward_no_foreign_names(cluster)
        _connect_pods(cluster)
    wait_until("nodes are Ready", lambda: _nodes_not_ready(cluster), timeout=120)
    _keep_volumes_in_memory()
    _give_pods_their_share()
    return cluster


def delete() -> None:
    run([_kind(), "delete", "cluster", "--name", NAME, "--kubeconfig", places.KUBECONFIG], timeout=120)
    KUBECTL.unlink(missing_ok=True)


def _configuration(source: str, image: str) -> dict[str, Any]:
    patches: list[dict[str, Any]] = []
    if source == "build":
        patches.append({"kind": "ClusterConfiguration", "etcd": {"local": {"imageTag": images.etcd_tag()}}})
    if machine.has_cgroup_v1():
        patches.append({"kind": "KubeletConfiguration", "failCgroupV1": False})
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"disableDefaultCNI": source == "build"},
        "nodes": [{"role": role, "image": image} for role in ("control-plane", "worker", "worker")],
        "kubeadmConfigPatches": [json.dumps(patch) for patch in patches],
    }


def _forward_no_foreign_names(cluster: Cluster) -> None:
    """CoreDNS would forward to Docker's 127.0.0.11, which is itself inside its Pod, and stop on that loop."""
    settings = cluster.get("configmap", "coredns", "--namespace", "kube-system")
    corefile = re.sub(r"\n    forward .*?\n    }", "", settings["data"]["Corefile"], flags=re.DOTALL)
    patch = json.dumps({"data": {"Corefile": corefile.replace("\n    loop", "")}})
    cluster.kubectl("patch", "configmap", "coredns", "--namespace", "kube-system", "--type", "merge", "--patch", patch)


def _connect_pods(cluster: Cluster) -> None:
    """A point-to-point link per Pod and a route per node: all that Pods need to reach each other."""
    networks = {node["metadata"]["name"]: node["spec"]["podCIDR"] for node in cluster.get("nodes")["items"]}
    addresses = cluster.node_addresses()
    for node, network in networks.items():
        link = {
            "type": "ptp",
            "ipMasq": False,
            "mtu": 1500,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": network}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        plugin = json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [link, ports]})
        routes = "".join(f"{other} {addresses[name]}\n" for name, other in networks.items() if name != node)
        _write_on(node, "/etc/cni/pod-routes", routes)
        run(["docker", "exec", node, "apply-pod-routes"])
        _write_on(node, "/etc/cni/net.d/10-pods.conflist", plugin)


def _keep_volumes_in_memory() -> None:
    """Six mysqlds that wait for one disk say nothing about a roll; the volumes live as long as their node, as on disk."""
    for node in WORKERS:
        run([*_on(node), "sh", "-c", f"mkdir -p {VOLUMES} && mount -t tmpfs -o size=6g tmpfs {VOLUMES}"])


def _give_pods_their_share() -> None:
    """Under cgroup v1 all containers together weigh as much as one process of this machine: a test beside them starves them."""
    if not machine.has_cgroup_v1():
        return
    containers = Path("/sys/fs/cgroup/cpu/docker/cpu.shares")
    if containers.exists():
        containers.write_text(CONTAINERS_SHARES, encoding="ascii")
    for node in (CONTROL_PLANE, *WORKERS):
        pods = "/sys/fs/cgroup/cpu/kubelet.slice/cpu.shares"
        run([*_on(node), "sh", "-c", f"[ ! -e {pods} ] || echo {PODS_SHARES} >{pods}"])


def _write_on(node: str, path: str, text: str) -> None:
    run([*_on(node), "sh", "-c", 'mkdir -p "$(dirname "$0")"; cat >"$0"', path], text_in=text)


def _on(node: str) -> list[str]:
    return ["docker", "exec", "--interactive", node]


def _nodes_not_ready(cluster: Cluster) -> str:
    late = [
        node["metadata"]["name"]
        for node in cluster.get("nodes")["items"]
        if not any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))
    ]
    return f"not Ready: {', '.join(late)}" if late else ""


def _kind() -> Path | str:
    return shutil.which("kind") or binaries.kind()


def _take_kubectl() -> None:
    """The node has the one that fits, built or pulled."""
    if not KUBECTL.exists():
        places.RUN.mkdir(parents=True, exist_ok=True)
        run(["docker", "cp", f"{CONTROL_PLANE}:/usr/bin/kubectl", KUBECTL])
