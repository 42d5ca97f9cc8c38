# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts the roll and sends SIGKILL to its ansible-playbook while a step of a tablet is under way, as the shards' journals show it.

The worker that ran the step is not killed with it: an orphan that goes on is the harder case.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

LEASES = ["get", "lease", "-n", "vitess", "-l", "app.kubernetes.io/managed-by=vtops.vitess", "-o", "json"]


def journal() -> dict[str, dict]:
    """What the claims say of each tablet."""
    kubeconfig = os.environ["K8S_AUTH_KUBECONFIG"]
    answer = subprocess.run(["kubectl", "--kubeconfig", kubeconfig, *LEASES], capture_output=True, check=True)
    return {
        alias: entry
        for lease in json.loads(answer.stdout)["items"]
        for alias, entry in json.loads(lease["metadata"]["annotations"].get("vtops.vitess/journal") or "{}").items()
    }


def under_way(step: str, since: float) -> str:
    """The tablet whose newest step this is, begun since then; empty if there is none."""
    for alias, entry in journal().items():
        steps = entry["steps"]
        newest = max(steps, key=lambda name: steps[name][0]) if steps else ""
        if newest == step and steps[step][0] >= since and (entry["finished"] is None or step == "reparent"):
            return alias
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--inventory", required=True)
    parser.add_argument("--limit", type=float, default=900.0, help="seconds")
    options, arguments = parser.parse_known_args()
    began = time.time()
    with options.log.open("wb") as log:
        roll = subprocess.Popen(
            ["ansible-playbook", "-i", options.inventory, "vtops.vitess.rolling_upgrade", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while roll.poll() is None and time.time() - began < options.limit:
            if alias := under_way(options.step, began):
                print(
                    f"killed while {options.step} of {alias} was under way, {time.time() - began:.1f} s after its start"
                )
                return 0
            time.sleep(0.2)
    finally:
        roll.kill()
        roll.wait()
    print(
        f"no {options.step} was seen in {time.time() - began:.0f} s, exit code {roll.returncode}: {options.log}",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
