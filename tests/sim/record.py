# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""C(python -m tests.sim.record --lab build/lab/lab.json): what the real lab answers, kept as JSON per Vitess version.

It only reads: kubectl get, reads of vtctldclient, SHOW at a vtgate. tests/unit/sim/test_recordings.py compares the
simulation with what is kept. Nothing of the machine is kept: no paths, no node's address.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

Json = dict[str, Any]
RECORDINGS = Path(__file__).parent / "recordings"
LIMIT_S = 60.0
# Of the long pages what product and simulation know; the rest is hundreds of counters.
VTGATE_VARS = (
    "BufferLastFailoverDurationMs",
    "BufferRequestsBuffered",
    "BufferRequestsDrained",
    "BufferRequestsEvicted",
    "BufferRequestsSkipped",
    "BufferSize",
    "BuildVersion",
    "cmdline",
)
VTTABLET_VARS = (
    "BackupIsRunning",
    "BuildVersion",
    "ConnPoolInUse",
    "FoundRowsPoolInUse",
    "StreamConnPoolInUse",
    "TabletStateName",
    "TabletType",
    "TransactionPoolInUse",
    "cmdline",
)
# What says something of the machine, or is long and nobody's business here.
LEFT_OUT = {
    "allocatable",
    "args",
    "capacity",
    "command",
    "env",
    "hostPath",
    "images",
    "local",
    "managedFields",
    "mountPath",
    "nodeInfo",
    "volumeMounts",
    "kubectl.kubernetes.io/last-applied-configuration",
    "vtops.vitess/executor",
}
NODE_ADDRESS = re.compile(r"\b(?:172|192)\.\d+\.\d+\.\d+\b")
READS: dict[str, tuple[str, ...]] = {
    "tablets": ("GetTablets", "--format", "json", "--strict", "--keyspace", "{keyspace}", "--shard", "{shard}"),
    "tablets_as_text": ("GetTablets", "--keyspace", "{keyspace}", "--shard", "{shard}"),
    "tablet": ("GetTablet", "{replica}"),
    "primary_tablet": ("GetTablet", "{primary}"),
    "shard": ("GetShard", "{keyspace}/{shard}"),
    "keyspace": ("GetKeyspace", "{keyspace}"),
    "full_status_of_primary": ("GetFullStatus", "{primary}"),
    "full_status_of_replica": ("GetFullStatus", "{replica}"),
    "sessions": (
        "ExecuteFetchAsDBA",
        "--json",
        "{primary}",
        "SELECT user, command, COUNT(*) FROM information_schema.processlist GROUP BY user, command LIMIT 2",
    ),
    "performance_schema": (
        "ExecuteFetchAsDBA",
        "--json",
        "{primary}",
        "SELECT @@performance_schema, COUNT(*) FROM performance_schema.processlist",
    ),
    "no_such_tablet": ("GetTablet", "zone1-9999"),
    "no_such_shard": ("GetShard", "{keyspace}/none"),
    "no_such_keyspace": ("GetKeyspace", "none"),
}


@dataclass
class Lab:
    """The lab of a lab.json, read and never changed."""

    facts: Json

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One kubectl in the lab's namespace."""
        program = self.facts.get("kubectl") or "kubectl"
        line = [program, "--kubeconfig", self.facts["kubeconfig"], "-n", self.facts["namespace"], *arguments]
        return subprocess.run(
            line, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=LIMIT_S
        )

    def get(self, path: str) -> Any:
        """One GET at the API server. Raises CalledProcessError."""
        done = self.kubectl("get", "--raw", path)
        done.check_returncode()
        return json.loads(done.stdout)

    def listed(self, group: str, resource: str, selector: str = "", limit: int = 20) -> Json:
        """The first items of a list, as the API server answers it; of more than one the first that stays."""
        place = "" if resource in ("nodes", "persistentvolumes") else f"/namespaces/{self.facts['namespace']}"
        query = f"?limit={limit}" + (f"&labelSelector={selector.replace('=', '%3D')}" if selector else "")
        found: Json = self.get(f"{group}{place}/{resource}{query}")
        found["items"].sort(key=lambda item: "deletionTimestamp" in item["metadata"])
        del found["items"][1:]
        return found

    def page(self, pod: str, page: str) -> Any:
        """A web page through the Pod proxy."""
        return self.get(f"/api/v1/namespaces/{self.facts['namespace']}/pods/{pod}:15000/proxy{page}")

    def vtctldclient(self, pod: str, words: list[str]) -> Json:
        """One command: its words, exit code, standard error, and standard output as JSON where it is."""
        done = self.kubectl("exec", pod, "--", "/vt/bin/vtctldclient", "--server", "localhost:15999", *words)
        try:
            out = json.loads(done.stdout)
        except ValueError:
            out = done.stdout
        errors = [line for line in done.stderr.splitlines() if not line.startswith("command terminated")]
        return {"words": words, "code": done.returncode, "out": out, "err": errors}


def shows(vtgate: Json, user: str, hostname: str) -> Json:
    """SHOW statements at a vtgate: names and MySQL type codes of the columns, and rows."""
    found: Json = {}
    asked = ("SHOW VITESS_TABLETS", f"SHOW VITESS_TABLETS LIKE '{hostname}'", "SHOW VITESS_TABLETS LIKE 'zone1-%'")
    with pymysql.connect(host=vtgate["host"], port=vtgate["port"], user=user, connect_timeout=5) as connection:
        for sql in (*asked, "SHOW VITESS_REPLICATION_STATUS", "SHOW VITESS_SHARDS"):
            with connection.cursor() as cursor:
                cursor.execute(sql)
                columns = [[column[0], column[1]] for column in cursor.description or ()]
                found[sql.replace(hostname, "HOSTNAME")] = {"columns": columns, "rows": [list(r) for r in cursor]}
    return found


def kept(value: Any) -> Any:
    """A value without what is the machine's own."""
    if isinstance(value, dict):
        return {key: kept(inner) for key, inner in value.items() if key not in LEFT_OUT}
    if isinstance(value, list):
        return [kept(inner) for inner in value]
    return NODE_ADDRESS.sub("192.0.2.1", value) if isinstance(value, str) else value


def record(lab: Lab, user: str) -> tuple[str, dict[str, Json]]:
    """The Vitess version of vtctld, and all recordings by name."""
    facts = lab.facts
    selectors = {name: facts[f"{name}_selector"] for name in ("vtctld", "vtgate", "tablet")}
    vtctld = lab.listed("/api/v1", "pods", selectors["vtctld"])["items"][0]
    pod = vtctld["metadata"]["name"]
    version = vtctld["spec"]["containers"][0]["image"].rpartition(":")[2].removeprefix("v")
    names = {"keyspace": facts["keyspace"], "shard": facts["shards"][0]}
    mine = [alias for alias, tablet in facts["tablets"].items() if tablet["shard"] == names["shard"]]
    primary = lab.vtctldclient(pod, ["GetShard", f"{names['keyspace']}/{names['shard']}"])["out"]["shard"]
    names["primary"] = f"{primary['primary_alias']['cell']}-{primary['primary_alias']['uid']:010d}"
    names["replica"] = next(alias for alias in mine if alias != names["primary"])
    commands = {name: lab.vtctldclient(pod, [word.format(**names) for word in words]) for name, words in READS.items()}
    replica = facts["tablets"][names["replica"]]["pod"]
    vtgate = facts["vtgates"][0]
    kubernetes = {
        "pods": lab.listed("/api/v1", "pods", selectors["tablet"]),
        "vtgate_pods": lab.listed("/api/v1", "pods", selectors["vtgate"]),
        "first_page_of_pods": lab.listed("/api/v1", "pods", selectors["tablet"], limit=1),
        "nodes": lab.listed("/api/v1", "nodes"),
        "persistentvolumeclaims": lab.listed("/api/v1", "persistentvolumeclaims"),
        "persistentvolumes": lab.listed("/api/v1", "persistentvolumes"),
        "statefulsets": lab.listed("/apis/apps/v1", "statefulsets", selectors["tablet"]),
        "leases": lab.listed("/apis/coordination.k8s.io/v1", "leases"),
        "poddisruptionbudgets": lab.listed("/apis/policy/v1", "poddisruptionbudgets"),
    }
    pages = {
        "vtgate_vars": _chosen(lab.page(vtgate["name"], "/debug/vars"), VTGATE_VARS),
        "vttablet_vars": _chosen(lab.page(replica, "/debug/vars"), VTTABLET_VARS),
        "livequeryz": lab.page(replica, "/livequeryz/?format=json"),
    }
    hostname = commands["tablet"]["out"]["hostname"]
    found = {"vtctldclient": commands, "kubernetes": kubernetes, "pages": pages, "sql": shows(vtgate, user, hostname)}
    return version, {name: kept(answers) for name, answers in found.items()}


def _chosen(page: Json, names: tuple[str, ...]) -> Json:
    return {name: page[name] for name in names if name in page}


def main() -> int:
    """The command line."""
    options = argparse.ArgumentParser(prog="python -m tests.sim.record", description=__doc__)
    options.add_argument("--lab", type=Path, default=Path("build/lab/lab.json"), help="the lab's description")
    options.add_argument("--out", type=Path, default=RECORDINGS)
    options.add_argument("--user", default="vtops", help="for the vtgates")
    given = options.parse_args()
    version, found = record(Lab(json.loads(given.lab.read_text(encoding="utf-8"))), given.user)
    folder = given.out / f"v{version}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, answers in found.items():
        text = json.dumps(answers, indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{folder / name}.json: {len(text)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
