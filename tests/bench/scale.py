# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""C(python -m tests.bench.scale): what a roll asks of a fleet of 3 to 10,000 tablets and of 2 to 200 vtgates.

The fleet is simulated, a process of its own that counts what arrives at its sockets; the operations are the product's, run
in the order of the roles. Its time is virtual, so that what is waited for is the same number of looks on any machine.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process
from ansible_collections.vtops.vitess.tests.behaviour.player import Player, Result, Rolled

from .growth import Point, growth, missed, table
from .page import RESULTS, TOP, keep

# Tablets, vtgates, and how many tablets are rolled.
FLEETS = (
    (3, 2, 3),
    (30, 2, 30),
    (300, 2, 300),
    (3000, 2, 30),
    (10000, 2, 30),
    (30, 20, 30),
    (30, 200, 3),
)
VIRTUAL_START = 10_000.0
SPEED = 6.0  # Pods and vtgates' refresh: 10 s, as the behaviour tests have it
START_LIMIT_S = 120.0
PROOFS = 3
PAGE = "vtgate page"


class FleetClock:
    """The simulated fleet's time; a sleep lets it pass there."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._connection = http.client.HTTPConnection(self._address, timeout=600)
        self._one = threading.Lock()
        self._start = self.time()

    def ask(self, method: str, what: str) -> Any:
        """One of the simulation's own pages, which it does not count."""
        with self._one:
            self._connection.request(method, f"/simulation/{what}")
            return json.load(self._connection.getresponse())

    def monotonic(self) -> float:
        return self.time() - self._start + VIRTUAL_START

    def time(self) -> float:
        return float(self.ask("GET", "clock"))

    def sleep(self, seconds: float) -> None:
        self.ask("POST", f"sleep?seconds={seconds}")


@contextmanager
def fleet(tablets: int, vtgates: int, out: Path) -> Iterator[dict[str, Any]]:
    """A simulated fleet in a process of its own; its description."""
    out.mkdir(parents=True, exist_ok=True)
    described = out / "lab.json"
    described.unlink(missing_ok=True)
    size = ["--tablets", str(tablets), "--vtgates", str(vtgates), "--virtual", "--speed", str(SPEED)]
    line = [sys.executable, "-m", "tests.sim", "--out", str(out), *size]
    with (
        (out / "fleet.log").open("wb") as log,
        subprocess.Popen(line, cwd=TOP, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            ends = time.monotonic() + START_LIMIT_S
            while not described.exists() or not described.stat().st_size:
                if process.poll() is not None or time.monotonic() > ends:
                    raise RuntimeError(f"the simulated fleet did not start: {(out / 'fleet.log').read_text()[-2000:]}")
                time.sleep(0.05)
            time.sleep(0.2)
            yield json.loads(described.read_text(encoding="utf-8"))
        finally:
            process.terminate()


def measure(tablets: int, vtgates: int, rolled: int) -> tuple[Point, dict[str, Any]]:
    """One fleet: its plan, a roll of its first tablets, proofs; and what was asked for, by kind."""
    out = TOP / "build/sim" / f"scale-{tablets}-{vtgates}"
    with fleet(tablets, vtgates, out) as lab:
        planned = plan_alone(lab["url"], out / "lab.json")
        clock = FleetClock(lab["url"])
        player = Player(lab["url"], clock, Process.current())
        chosen = sorted(lab["tablets"], key=lambda alias: (lab["tablets"][alias]["shard"], alias))[:rolled]
        order = _good(player.execute("roll_plan", tablets=chosen))["order"]
        before = clock.ask("GET", "counted")
        roll = Rolled()
        for alias in order:
            if player.replace(alias, roll).failure is not None:
                raise RuntimeError(f"{alias}: {roll.reason}")
        asked = _since(before, clock.ask("GET", "counted"))
        # The last one was a primary and is a REPLICA now.
        proof_s = min(proof(player, clock, order[-1]) for _number in range(PROOFS))
    point = Point(
        tablets=tablets,
        vtgates=vtgates,
        rolled=rolled,
        requests_per_tablet=round(sum(asked["requests"].values()) / rolled, 2),
        bytes_per_tablet=round(sum(n for kind, n in asked["bytes"].items() if kind != PAGE) / rolled),
        page_bytes_per_tablet=round(asked["bytes"].get(PAGE, 0) / rolled),
        proof_s=round(proof_s, 3),
        plan_s=round(planned["seconds"], 3),
        rss_mb=round(planned["rss_mb"], 1),
    )
    each = {what: {kind: round(n / rolled, 1) for kind, n in counts.items()} for what, counts in asked.items()}
    return point, each


def plan_alone(url: str, described: Path) -> dict[str, Any]:
    """Seconds and memory of planning the whole fleet."""
    line = [sys.executable, "-m", "tests.bench.plan_alone", url, str(described)]
    done = subprocess.run(line, cwd=TOP, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"the plan failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def proof(player: Player, clock: FleetClock, alias: str) -> float:
    """Seconds of this machine that one readmission takes where every vtgate already knows the tablet: reads, routes, canaries."""
    since = {"wanted_since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.time()))}
    _good(player.execute("shard_claim", alias))
    _good(player.execute("tablet_drain", alias, **since))
    clock.sleep(30.0)
    started = time.monotonic()
    result = _good(player.execute("vtgate_readmit", alias))
    seconds = time.monotonic() - started
    assert result["held"]
    _good(player.execute("shard_claim", alias, state="absent"))
    return seconds


def _good(result: Result) -> Result:
    if result.get("failed"):
        raise RuntimeError(str(result["msg"]))
    return result


def _since(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, int]]:
    return {
        what: {kind: number - before[what].get(kind, 0) for kind, number in counts.items()}
        for what, counts in after.items()
    }


def main() -> int:
    """Measure, print table and growth, write both down; 1 where a target was missed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", help="TABLETS,VTGATES,ROLLED: that fleet alone, nothing is written down")
    chosen = options.parse_args()
    fleets = (tuple(int(number) for number in chosen.only.split(",")),) if chosen.only else FLEETS
    points, kinds = [], []
    for tablets, vtgates, rolled in fleets:
        started = time.monotonic()
        point, each = measure(tablets, vtgates, rolled)
        points.append(point)
        kinds.append({"tablets": tablets, "vtgates": vtgates, **each})
        print(
            f"{tablets:,} tablets, {vtgates} vtgates: measured in {time.monotonic() - started:.0f} s; {each}",
            flush=True,
        )
    lines = growth(points)
    failures = missed(points)
    print("\n".join([table(points), *lines, *(f"MISSED: {failure}" for failure in failures)]))
    if not chosen.only:
        keep(
            "scale",
            [point.as_dict() for point in points],
            "\n".join([table(points), "", *(f"- {line}" for line in lines)]),
        )
        (RESULTS / "scale-by-kind.json").write_text(json.dumps(kinds, indent=2) + "\n", encoding="utf-8")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
