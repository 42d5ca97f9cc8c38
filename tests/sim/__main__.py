# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""C(python -m tests.sim): the simulated fleet as a process, with a kubeconfig and a description like tests/lab's lab.json."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from .door import Door, certified
from .layout import NAMESPACE, TABLE, Layout, Timings, like_the_lab, many
from .server import Server
from .simulation import Simulation

HOST, CA_FILE = "127.0.0.1", "ca.crt"
SELECTORS = {f"{name}_selector": f"planetscale.com/component={name}" for name in ("vtctld", "vtgate")}


def guarded(host: str, out: Path) -> Door:
    """TLS, and the token and log-in of the environment: a command line may be read by everybody."""
    out.mkdir(parents=True, exist_ok=True)
    token, user, password = (os.environ[f"SIMULATED_{name}"] for name in ("TOKEN", "USER", "PASSWORD"))
    return Door(token, user, password, certified(host, out / CA_FILE))


def kubeconfig(server: Server, out: Path) -> dict[str, Any]:
    """As JSON, which is YAML too; where the fleet is guarded, without its token."""
    authority = {"certificate-authority": str(out / CA_FILE)} if server.door.tls else {}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "simulated",
        "clusters": [{"name": "simulated", "cluster": {"server": server.url, **authority}}],
        "users": [{"name": "simulated", "user": {}}],
        "contexts": [
            {"name": "simulated", "context": {"cluster": "simulated", "user": "simulated", "namespace": NAMESPACE}}
        ],
    }


def description(server: Server, out: Path) -> dict[str, Any]:
    """What tests/lab writes to lab.json, and that it is simulated."""
    simulation = server.simulation
    layout = simulation.layout
    nodes = {name: pod["spec"].get("nodeName") for name, pod in simulation.store.of("pods").items()}
    return {
        "simulated": True,
        "url": server.url,
        "pid": os.getpid(),
        "kubeconfig": str(out / "kubeconfig"),
        "ca_cert": str(out / CA_FILE) if server.door.tls else "",
        "context": "simulated",
        "namespace": NAMESPACE,
        "cell": "zone1",
        "keyspace": layout.keyspace,
        "shards": [shard.name for shard in layout.shards],
        "vtgates": [{"name": n, "host": server.host, "port": port} for n, port in server.mysql.ports.items()],
        **SELECTORS,
        "tablet_selector": "planetscale.com/component=vttablet",
        "table": TABLE,
        "tablets": {
            t.alias: {"pod": t.pod, "node": nodes.get(t.pod), "shard": t.shard}
            for t in simulation.fleet.tablets.values()
        },
    }


def write(server: Server, out: Path) -> Path:
    """kubeconfig and lab.json in a directory; the latter's path."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "kubeconfig").write_text(json.dumps(kubeconfig(server, out), indent=2) + "\n", encoding="utf-8")
    path = out / "lab.json"
    # Whole, or not there: whoever waits for the file reads it at once.
    begun = path.with_suffix(".begun")
    begun.write_text(json.dumps(description(server, out), indent=2) + "\n", encoding="utf-8")
    return begun.rename(path)


async def serve(
    layout: Layout, out: Path, port: int, stay_with: int, virtual: bool = False, door: Door | None = None
) -> None:
    """Until SIGTERM, or until that process is gone."""
    server = Server(Simulation(layout, virtual), HOST, door)
    await server.open(port)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.end)
    print(f"a SIMULATED fleet answers at {server.url}; {write(server, out)}", flush=True)

    async def watch() -> None:
        while not stay_with or Path(f"/proc/{stay_with}").exists():
            await asyncio.sleep(0.5)
        server.end()

    watching = asyncio.create_task(watch())
    await server.run_until_stopped()
    watching.cancel()


def main() -> int:
    """The command line."""
    options = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    options.add_argument("--out", type=Path, default=Path("build/sim"), help="directory for kubeconfig and lab.json")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--speed", type=float, default=20.0, help="how many times faster Pods, vtgates and vtorc are")
    options.add_argument("--virtual", action="store_true", help="time passes only by POST /simulation/sleep?seconds=N")
    options.add_argument("--tablets", type=int, default=6)
    options.add_argument("--vtgates", type=int, default=2)
    options.add_argument("--old", default="23.0.3")
    options.add_argument("--new", default="24.0.2")
    options.add_argument("--operator", action="store_true", help="vitess-operator owns the Pods")
    options.add_argument("--nodes", type=int, default=2)
    options.add_argument("--movable", action="store_true", help="volumes may be used on every node")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument(
        "--guarded", action="store_true", help="TLS, and what SIMULATED_TOKEN, _USER and _PASSWORD say"
    )
    options.add_argument("--stay-with", type=int, default=0, help="pid with which the fleet ends")
    given = options.parse_args()
    common: dict[str, Any] = {
        "old": given.old,
        "new": given.new,
        "seed": given.seed,
        "operator": given.operator,
        "nodes": tuple(f"worker-{number + 1}" for number in range(given.nodes)),
        "movable": given.movable,
        "timings": Timings().faster(given.speed),
    }
    lab_size = given.tablets == 6 and given.vtgates == 2
    if not lab_size:
        del common["nodes"]  # a node for each shard
    layout = like_the_lab(**common) if lab_size else many(given.tablets, given.vtgates, **common)
    out = given.out.resolve()
    door = guarded(HOST, out) if given.guarded else None
    asyncio.run(serve(layout, out, given.port, given.stay_with, given.virtual, door))
    return 0


if __name__ == "__main__":
    sys.exit(main())
