# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Vitess fleet in the cluster: brought up, made anew in a start state, looked at."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import layout, manifests, places
from .cluster import CONTROL_PLANE, KUBECTL, Cluster
from .console import LabError, Stages, run, say, wait_until

STABLE_ADDRESSES = "vtops-lab/stable-addresses"
WHOLE = "vtops-lab/whole"
SERVING_LIMIT_S = 240
REGISTERED_LIMIT_S = 150


class Fleet:
    def __init__(self, cluster: Cluster, stages: Stages) -> None:
        self._cluster = cluster
        self._stage = stages.stage

    # -- what there is

    def is_whole(self) -> bool:
        """Whether the shards were made to the end: an interrupted make_anew leaves what must be made again."""
        return self._annotation(WHOLE) == "true"

    def spec_version(self) -> str:
        """The version in the tablets' specs, which is what a roll goes to."""
        return _vitess_version(self._get("statefulset", layout.SHARDS[0].owner)["spec"]["template"])

    def running_versions(self) -> dict[str, str]:
        pods = self._get("pods", "--selector", layout.TABLET_SELECTOR)["items"]
        return {pod["metadata"]["name"]: _vitess_version(pod) for pod in pods}

    def control_version(self) -> str:
        return _vitess_version(self._get("statefulset", "vtgate")["spec"]["template"])

    def has_stable_addresses(self) -> bool:
        return self._annotation(STABLE_ADDRESSES) == "true"

    # -- bringing it up

    def lay_foundation(self, *, stable_addresses: bool) -> None:
        with self._stage("topology"):
            for volume in layout.VOLUMES_OF_ALL:
                run(["docker", "exec", volume.node, "mkdir", "-p", volume.path])
            self._cluster.apply(manifests.foundation(etcd_image=self._etcd_image(), stable_addresses=stable_addresses))

    def make_anew(self, tablets: str, control: str) -> None:
        """Shards without a past: empty volumes, new topology records, the first tablet of each the primary."""
        with self._stage("old tablets go"):
            self._annotate(WHOLE, "false")
            self._cluster.apply(manifests.control(control, vtorc_replicas=0))
            self._remove_tablets()
        with self._stage("vtctld"):
            wait_until("vtctld", lambda: self._not_ready(layout.VTCTLD_SELECTOR, 1, control), timeout=120, every=0.5)
            self._forget_shards()
        with self._stage("tablets"):
            self._cluster.apply(manifests.tablets(tablets, stable_addresses=self.has_stable_addresses()))
            self._wait_registered()
        with self._stage("primaries"):
            self._elect_first_primaries()
        with self._stage("schema"):
            self._apply_schema()
        with self._stage("vtgates and vtorc"):
            self._restart(layout.VTGATE_SELECTOR)
            self._cluster.apply(manifests.control(control, vtorc_replicas=1))
        self.wait_serving()
        self._annotate(WHOLE, "true")

    def set_spec(self, tablets: str) -> None:
        """Under OnDelete nothing restarts: this is how a roll's target is set."""
        self._cluster.apply(manifests.tablets(tablets, stable_addresses=self.has_stable_addresses()))

    def set_strategy(self, strategy: str) -> None:
        patch = json.dumps({"spec": {"updateStrategy": {"type": strategy, "rollingUpdate": None}}})
        for shard in layout.SHARDS:
            self._kubectl("patch", "statefulset", shard.owner, "--type", "merge", "--patch", patch)

    def wait_serving(self) -> None:
        with self._stage("serving at both vtgates"):
            wait_until("fleet serves", self._not_serving, timeout=SERVING_LIMIT_S)

    def status(self) -> list[str]:
        lines = [f"spec {self.spec_version()}, control {self.control_version()}"]
        lines += [f"{pod}  vttablet {version}" for pod, version in sorted(self.running_versions().items())]
        for vtgate in layout.VTGATE_PORTS:
            lines += [f"{vtgate}  {' '.join(row)}" for row in self._tablets_at(vtgate)]
        lacking = self._not_serving()
        return [*lines, f"NOT serving: {lacking}" if lacking else "serving at both vtgates"]

    def describe(self) -> None:
        """Writes lab.json: all that a test needs to know to reach the lab."""
        addresses = self._cluster.node_addresses()
        description = {
            "kubeconfig": str(places.KUBECONFIG),
            "kubectl": str(KUBECTL),
            "context": self._kubectl("config", "current-context"),
            "namespace": layout.NAMESPACE,
            "cell": layout.CELL,
            "keyspace": layout.KEYSPACE,
            "shards": [shard.name for shard in layout.SHARDS],
            "vtgates": [
                {"name": name, "host": addresses[CONTROL_PLANE], "port": port}
                for name, port in layout.VTGATE_PORTS.items()
            ],
            "vtctld_selector": layout.VTCTLD_SELECTOR,
            "vtgate_selector": layout.VTGATE_SELECTOR,
            "tablet_selector": layout.TABLET_SELECTOR,
            "table": layout.TABLE,
            "tablets": {
                tablet.alias: {"pod": tablet.pod, "node": tablet.node, "shard": shard.name}
                for shard in layout.SHARDS
                for tablet in shard.tablets
            },
        }
        (places.OUTPUT / "lab.json").write_text(json.dumps(description, indent=2) + "\n")

    # -- steps of make_anew

    def _remove_tablets(self) -> None:
        owners = [shard.owner for shard in layout.SHARDS]
        self._kubectl("delete", "statefulsets", *owners, "--ignore-not-found", "--cascade=orphan")
        self._kubectl("delete", "pods", "--selector", layout.TABLET_SELECTOR, "--grace-period", "1", timeout=180)
        for tablet in layout.TABLETS:
            run(["docker", "exec", tablet.node, "find", tablet.volume.path, "-mindepth", "1", "-delete"])

    def _restart(self, selector: str) -> None:
        """By uid: kubectl's own wait was seen to miss the end of a Pod whose successor has its name."""

        def uids() -> set[str]:
            return {pod["metadata"]["uid"] for pod in self._get("pods", "--selector", selector)["items"]}

        old = uids()
        self._kubectl("delete", "pods", "--selector", selector, "--grace-period", "1", "--wait=false")
        wait_until("restart", lambda: "the old Pods are still there" if old & uids() else "", timeout=120, every=0.3)

    def _forget_shards(self) -> None:
        if self._vtctl("GetKeyspace", layout.KEYSPACE, check=False):
            self._vtctl("SetKeyspaceDurabilityPolicy", "--durability-policy=semi_sync", layout.KEYSPACE)
        else:
            self._vtctl("CreateKeyspace", "--durability-policy=semi_sync", layout.KEYSPACE)
        shards = [f"{layout.KEYSPACE}/{shard.name}" for shard in layout.SHARDS]
        known = json.loads(self._vtctl("FindAllShardsInKeyspace", layout.KEYSPACE)).get("shards", {})
        gone = [shard for shard in shards if shard.partition("/")[2] in known]
        # What a roll remembers of them, too.
        self._kubectl("delete", "leases", "--selector", layout.CLAIM_SELECTOR, "--ignore-not-found")
        if gone:
            self._vtctl("DeleteShards", "--recursive", "--even-if-serving", "--force", *gone)
        for shard in shards:
            self._vtctl("CreateShard", shard)

    def _wait_registered(self) -> None:
        """A tablet that does not come is told of, and its Pod made anew once: one of six was seen not to come, once.

        Raises LabError where it does not come then either.
        """
        try:
            wait_until("tablets", self._unregistered, timeout=REGISTERED_LIMIT_S, every=0.5)
        except LabError as problem:
            say(str(problem))
            for pod in self._late():
                self._tell_of(pod)
                self._kubectl("delete", "pod", pod, "--grace-period", "1", "--ignore-not-found", timeout=180)
            wait_until("tablets, once more", self._unregistered, timeout=REGISTERED_LIMIT_S, every=0.5)

    def _tell_of(self, pod: str) -> None:
        say(f"{pod}:")
        asked = [("describe", "pod", pod)]
        asked += [
            ("logs", pod, "--all-containers", "--prefix", "--tail", "15", *which) for which in ((), ("--previous",))
        ]
        for question in asked:
            lines = self._kubectl(*question, check=False).splitlines()
            say("\n".join(f"  {line}" for line in lines[-60:]))

    def _elect_first_primaries(self) -> None:
        def elect(shard: layout.Shard) -> None:
            primary = shard.tablets[0].alias
            self._vtctl("PlannedReparentShard", "--new-primary", primary, f"{layout.KEYSPACE}/{shard.name}")

        with ThreadPoolExecutor() as pool:
            list(pool.map(elect, layout.SHARDS))

    def _apply_schema(self) -> None:
        schema = places.LAB / "schema"
        table = (schema / f"{layout.TABLE}.sql").read_text()
        self._vtctl("ApplySchema", "--sql", table, layout.KEYSPACE)
        self._vtctl("ApplyVSchema", "--vschema", (schema / "vschema.json").read_text(), layout.KEYSPACE)

    # -- looks: what is missing, or an empty string

    def _not_ready(self, selector: str, count: int, version: str = "") -> str:
        """Of any version, or of that one alone."""
        pods = [
            pod
            for pod in self._get("pods", "--selector", selector)["items"]
            if "deletionTimestamp" not in pod["metadata"] and version in ("", _vitess_version(pod))
        ]
        ready = sum(_is_ready(pod) for pod in pods)
        return "" if ready == count == len(pods) else f"{ready} of {count} Pods Ready ({selector})"

    def _unregistered(self) -> str:
        late = self._late()
        return f"not in the topology yet: {', '.join(late)}" if late else ""

    def _late(self) -> list[str]:
        """Pods of the tablets that have not registered."""
        answer = self._vtctl("GetTablets", "--keyspace", layout.KEYSPACE, "--format", "json", check=False)
        known = {f"{t['alias']['cell']}-{t['alias']['uid']:010d}" for t in json.loads(answer or "null") or ()}
        return [tablet.pod for tablet in layout.TABLETS if tablet.alias not in known]

    def _not_serving(self) -> str:
        if late := self._not_ready(layout.TABLET_SELECTOR, len(layout.TABLETS)):
            return late
        if late := self._not_ready(layout.VTORC_SELECTOR, 1):
            return late
        for vtgate, port in layout.VTGATE_PORTS.items():
            rows = self._tablets_at(vtgate)
            serving = {row[5] for row in rows if row[4] == "SERVING"}
            if late := ", ".join(tablet.alias for tablet in layout.TABLETS if tablet.alias not in serving):
                return f"{vtgate} does not serve {late}"
            primaries = {row[2] for row in rows if row[3] == "PRIMARY" and row[4] == "SERVING"}
            if late := ", ".join(shard.name for shard in layout.SHARDS if shard.name not in primaries):
                return f"{vtgate} has no primary of {late}"
            if self._rows_in_table(vtgate) is None:
                return f"{vtgate} does not know the table {layout.TABLE}"
            if not _greets(self._cluster.node_addresses()[CONTROL_PLANE], port):
                return f"{vtgate} does not answer on port {port}"
        return ""

    def _tablets_at(self, vtgate: str) -> list[list[str]]:
        """Cell, keyspace, shard, type, state, alias, host, primary term start."""
        rows = self._sql(vtgate, "SHOW VITESS_TABLETS")
        return [row.split("\t") for row in rows.splitlines()] if rows else []

    def _rows_in_table(self, vtgate: str) -> int | None:
        count = self._sql(vtgate, f"SELECT COUNT(*) FROM {layout.KEYSPACE}.{layout.TABLE}")
        return int(count) if count else None

    def _sql(self, vtgate: str, statement: str) -> str:
        """Asks one vtgate, from a tablet's Pod: the one place in the lab that has a MySQL client."""
        client = ["mysql", "--host", f"{vtgate}.vtgate", "--user", "lab", "--skip-column-names", "--batch"]
        pods = self._get("pods", "--selector", layout.TABLET_SELECTOR)["items"]
        pod = next((pod["metadata"]["name"] for pod in pods if _is_ready(pod)), layout.TABLETS[0].pod)
        command = [*client, "--connect-timeout", "5", "--execute", statement]
        return self._kubectl("exec", pod, "--container", "mysqld", "--", *command, check=False)

    # -- ways in

    def _kubectl(self, *arguments: Any, **options: Any) -> str:
        return self._cluster.kubectl("--namespace", layout.NAMESPACE, *arguments, **options)

    def _get(self, *arguments: str) -> Any:
        return self._cluster.get("--namespace", layout.NAMESPACE, *arguments)

    def _vtctl(self, *arguments: str, check: bool = True) -> str:
        command = ["vtctldclient", "--server", "localhost:15999", *arguments]
        return self._kubectl("exec", "deployment/vtctld", "--", *command, check=check)

    def _annotation(self, name: str) -> str:
        namespaces = self._cluster.get("namespaces")["items"]
        found = [item["metadata"] for item in namespaces if item["metadata"]["name"] == layout.NAMESPACE]
        return str(found[0].get("annotations", {}).get(name, "")) if found else ""

    def _annotate(self, name: str, value: str) -> None:
        self._cluster.kubectl("annotate", "--overwrite", "namespace", layout.NAMESPACE, f"{name}={value}")

    def _etcd_image(self) -> str:
        """The topology runs on the image that the control plane brought along."""
        pods = self._cluster.get("pods", "--namespace", "kube-system", "--selector", "component=etcd")["items"]
        if not pods:
            raise LabError("the control plane's etcd Pod was not found")
        return str(pods[0]["spec"]["containers"][0]["image"])


def _vitess_version(pod: dict[str, Any]) -> str:
    return next(c["image"] for c in pod["spec"]["containers"] if "vitess/lite" in c["image"]).rpartition(":v")[2]


def _is_ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))


def _greets(host: str, port: int) -> bool:
    """Whether a MySQL server speaks first at this address, as seen from this host."""
    try:
        with socket.create_connection((host, port), timeout=5) as connection:
            return bool(connection.recv(5))
    except OSError:
        return False
