# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""C(python -m tests.bench.plan_alone URL LAB_JSON): plan a roll of the whole fleet in a process of its own, so that its memory is its own."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process
from ansible_collections.vtops.vitess.plugins.module_utils.waiting import SystemClock
from ansible_collections.vtops.vitess.tests.behaviour.player import Player


def main() -> int:
    """Prints seconds, peak memory and how many tablets are left to do, as JSON."""
    url, described = sys.argv[1:]
    tablets = list(json.loads(Path(described).read_text(encoding="utf-8"))["tablets"])
    player = Player(url, SystemClock(), Process.current())
    started = time.monotonic()
    plan = player.execute("roll_plan", tablets=tablets)
    seconds = time.monotonic() - started
    if plan.get("failed"):
        print(plan["msg"], file=sys.stderr)
        return 1
    print(json.dumps({"seconds": seconds, "rss_mb": peak_mb(), "order": len(plan["order"]), "left": plan["left"]}))
    return 0


def peak_mb() -> float:
    """This process' own peak; getrusage's is never below what the process was that started it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    if found is None:
        raise RuntimeError("/proc/self/status has no VmHWM")
    return int(found[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
