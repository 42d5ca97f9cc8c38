# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""C(python -m tests.bench.roll [--only vtops]): the same upgrade of the lab by kubectl rollout restart and by this collection, under the same probe."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.kind.harness import OUT, Lab, watched

from .figures import blindness, figures, table, waits_of
from .page import keep

OLD, NEW = "23.0.3", "24.0.2"
FLAGS = (
    "vtgate: --enable-buffer --buffer-window=10s --buffer-max-failover-duration=10s --buffer-min-time-between-failovers=20s; "
    "vttablet: --health-check-interval=5s --shutdown-grace-period=8s, at 24.0.2 --init-tablet-type-lookup; "
    "both with GOMAXPROCS=1; mysqld: performance_schema=OFF, innodb_log_writer_threads=OFF, replica_parallel_workers=1"
)


def naive(lab: Lab) -> None:
    """What a StatefulSet does by itself: put to RollingUpdate with a new image in its template, it restarts its Pods; and the wait for its end."""
    lab.command("strategy", "RollingUpdate")
    for name in lab.kubectl("get", "sts", "-l", "planetscale.com/component=vttablet", "-o", "name").split():
        lab.kubectl("rollout", "status", name, "--timeout=600s")


def vtops(lab: Lab) -> None:
    """Our playbook."""
    played = lab.play("vtops.vitess.rolling_upgrade", name="bench")
    if played.returncode:
        raise RuntimeError(played.text[-2000:])


def measure(lab: Lab, name: str, roll: Callable[[Lab], None], rate: float) -> dict[str, Any]:
    """One roll from the same start state, and half a minute after it: the naive one's errors go on past its end."""
    lab.command("fleet", "--tablets", OLD)
    lab.command("fleet", "--tablets", NEW, "--spec-only")
    try:
        with watched(lab, f"bench-{name}", rate) as ledger:
            time.sleep(5)
            started = time.time()
            roll(lab)
            ended = time.time()
            time.sleep(30 if roll is naive else 5)
    finally:
        if roll is naive:
            lab.command("strategy", "OnDelete")
    ledger.narrow(started, ended)
    waits = waits_of(lab.journal())
    result = figures(
        ledger.probe, ledger.witness, ended - started, sum(waits.values()), len(ledger.witness["replacements"])
    )
    (OUT / f"bench-{name}" / "figures.json").write_text(json.dumps({**result, "waits_s": waits}, indent=2))
    return result


def main() -> int:
    """Measure, print the table, write it down. Exit code 1 where the witness did not see what the naive roll did."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rate", type=float, default=25.0, help="requests/s per kind and vtgate")
    options.add_argument("--only", choices=["naive", "vtops"])
    chosen = options.parse_args()
    lab = Lab()
    ways: dict[str, Callable[[Lab], None]] = {"naive": naive, "vtops": vtops}
    rolls = {name: measure(lab, name, roll, chosen.rate) for name, roll in ways.items() if chosen.only in (None, name)}
    text = table(rolls, {name: errors_by_kind(name) for name in rolls})
    print(text)
    if problem := blindness(rolls):
        print(problem, file=sys.stderr)
        return 1
    if not chosen.only:
        keep(
            "roll",
            rolls,
            f"{text}\n\nsoak off; flags that differ from Vitess' defaults: {FLAGS}; {chosen.rate:g} requests/s per kind and vtgate, 2 vtgates.",
        )
    return 0


def errors_by_kind(name: str) -> dict[str, int]:
    """The probe's errors of the roll that was measured under that name."""
    ledger = json.loads((OUT / f"bench-{name}" / "ledger.json").read_text(encoding="utf-8"))
    counted: dict[str, int] = ledger["probe"]["errors_by_kind"]
    return counted


if __name__ == "__main__":
    sys.exit(main())
