# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulated fleet in the lab's place: what tests/kind, the demo and the benchmark do with a Lab, they do with this one."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from ansible_collections.vtops.vitess.tests.kind.harness import TOP, Lab

# A worker of pytest-xdist has files of its own.
OUT = TOP / "build/sim" / os.environ.get("PYTEST_XDIST_WORKER", "")
START_LIMIT_S = 30.0
RESOURCES = {
    "node": "nodes",
    "deployment": "deployments",
    "pod": "pods",
    "lease": "leases",
    "sts": "statefulsets",
    "statefulset": "statefulsets",
}
GROUPS = {
    "deployments": "/apis/apps/v1",
    "pods": "/api/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "statefulsets": "/apis/apps/v1",
}


@dataclass(frozen=True)
class Credentials:
    """What a guarded fleet asks for."""

    token: str = field(repr=False)
    user: str
    password: str = field(repr=False)


class SimulatedLab(Lab):
    """A process of its own (python -m tests.sim) that ends with this one. credentials: it is guarded by TLS and by these."""

    def __init__(
        self,
        speed: float = 20.0,
        out: Path = OUT,
        old: str = "23.0.3",
        new: str = "24.0.2",
        more: tuple[str, ...] = (),
        credentials: Credentials | None = None,
    ) -> None:
        super().__init__({}, out)
        self.speed, self.more, self.credentials = speed, more, credentials
        self._process: subprocess.Popen[bytes] | None = None
        self._start(old, new)

    def __enter__(self) -> SimulatedLab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self, old: str, new: str) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        described = self.out / "lab.json"
        described.unlink(missing_ok=True)
        line = [sys.executable, "-m", "tests.sim", "--out", str(self.out), "--speed", str(self.speed)]
        environment = dict(os.environ)
        if self.credentials is not None:
            line.append("--guarded")
            environment |= {f"SIMULATED_{name.upper()}": value for name, value in vars(self.credentials).items()}
        with (self.out / "fleet.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*line, *self.more, "--old", old, "--new", new, "--stay-with", str(os.getpid())],
                cwd=TOP,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        ends = time.monotonic() + START_LIMIT_S
        while not described.exists():
            if self._process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"the simulated fleet did not start: {(self.out / 'fleet.log').read_text()[-2000:]}")
            time.sleep(0.05)
        self.facts = json.loads(described.read_text(encoding="utf-8"))

    def stop(self) -> None:
        """End the fleet's process."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    # -- what the lab's tools do

    def command(self, *arguments: str) -> None:
        """fleet --tablets VERSION: a fleet made anew at that version; with --spec-only only its StatefulSets' specs."""
        if arguments[:2] != ("fleet", "--tablets"):
            raise ValueError(f"the simulated lab has no {' '.join(arguments)}")
        version = arguments[2]
        if "--spec-only" not in arguments:
            self.stop()
            self._start(version, version)
            return
        for item in self._list("statefulsets", ""):
            template = item["spec"]["template"]
            for container in template["spec"]["containers"]:
                if container["name"] == "vttablet":
                    container["image"] = f"vitess/lite:v{version}"
            path = (
                f"{GROUPS['statefulsets']}/namespaces/{self.facts['namespace']}/statefulsets/{item['metadata']['name']}"
            )
            self.ask("PATCH", path, {"spec": {"template": template}})

    def kubectl(self, *arguments: str) -> str:
        """kubectl get RESOURCE [-l SELECTOR] -o json, and nothing else."""
        words = list(arguments)
        if words[0] != "get" or words[-2:] != ["-o", "json"]:
            raise ValueError(f"the simulated lab has no kubectl {' '.join(arguments)}")
        selector = words[words.index("-l") + 1] if "-l" in words else ""
        return json.dumps({"items": self._list(RESOURCES.get(words[1], words[1]), selector)})

    def pause(self, reason: str) -> None:
        """As an operator does it."""
        self.ask("POST", self._pauses, {"metadata": {"name": "vtops-pause"}, "data": {"reason": reason}})

    def unpause(self) -> None:
        """Also where nobody paused it."""
        with suppress(urllib.error.HTTPError):
            self.ask("DELETE", f"{self._pauses}/vtops-pause")

    @property
    def _pauses(self) -> str:
        return f"/api/v1/namespaces/{self.facts['namespace']}/configmaps"

    def vtctldclient(self, *arguments: str) -> str:
        """Run vtctldclient in the simulated vtctld Pod."""
        printed = self.ask("POST", "/simulation/vtctldclient", list(arguments))
        if printed["code"]:
            raise subprocess.CalledProcessError(printed["code"], arguments, printed["out"], printed["err"])
        return str(printed["out"])

    def _list(self, resource: str, selector: str) -> list[dict[str, Any]]:
        path = f"{GROUPS[resource]}/namespaces/{self.facts['namespace']}/{resource}?labelSelector={quote(selector)}"
        items: list[dict[str, Any]] = self.ask("GET", path)["items"]
        return items

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A request to the fleet's API."""
        data = None if body is None else json.dumps(body).encode()
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers, context = {"Content-Type": kind}, None
        if self.credentials is not None:
            headers["Authorization"] = f"Bearer {self.credentials.token}"
            context = ssl.create_default_context(cafile=self.facts["ca_cert"])
        request = urllib.request.Request(self.facts["url"] + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            return json.load(answer)

    # -- the fleet is its own witness

    def begin_witness(self, out: Path) -> None:
        """It watches from its beginning."""
        out.mkdir(parents=True, exist_ok=True)

    def end_witness(self, out: Path) -> dict[str, Any]:
        """What the simulation saw of itself, in the shape of the witness' summary."""
        summary: dict[str, Any] = self.ask("GET", "/simulation/report")
        return summary
