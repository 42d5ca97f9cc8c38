# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""C(make demo): the newcomer's first minute: the real playbook rolls a simulated fleet under the real client probe."""

from __future__ import annotations

import subprocess
import sys
import time

from ansible_collections.vtops.vitess.tests.kind.demo import harmed, story
from ansible_collections.vtops.vitess.tests.kind.harness import Played, watched

from .lab import SimulatedLab

PLAYBOOK = "vtops.vitess.rolling_upgrade"
HELLO = """
This fleet is SIMULATED: one Python process stands in for Kubernetes, MySQL and Vitess (6 tablets in 2 shards, 2 vtgates),
and lives {speed:.0f} times faster than a real one. What is real: the playbook, roles and modules of this collection, and
the clients that load both vtgates over MySQL's protocol. `make demo-kind` does the same on real parts.

$ ansible-playbook -i {inventory} {playbook}
"""


def _play(lab: SimulatedLab, quiet: bool) -> tuple[int, str, float]:
    """Run the playbook, its output as it comes: the plan, what changes and what is waited for."""
    started = time.monotonic()
    program = sys.executable.rpartition("/")[0] + "/ansible-playbook"
    environment = {**lab.environment(), "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "0"}
    text = []
    with subprocess.Popen(
        [program, "-i", str(lab.inventory), PLAYBOOK],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=lab.out,
    ) as process:
        task = ""
        for line in process.stdout or ():
            text.append(line)
            if line.startswith("TASK ["):
                task = line.removeprefix("TASK [").partition("]")[0].rpartition(" : ")[2]
            if not quiet and _worth_showing(line):
                done = f"   {task}" if line.startswith("changed:") else ""
                print(line.rstrip()[:150] + done, flush=True)
    return process.returncode, "".join(text), time.monotonic() - started


def _worth_showing(line: str) -> bool:
    """The plan, what changed, what is waited for, what failed: not each task that had nothing to do."""
    return line.lstrip().startswith(('"  ', '"1', "changed:", "fatal:", "zone1-")) and "ok=" not in line


def main() -> int:
    """Exit code 0 only where the roll ended well, no client saw an error, and a second roll had nothing to do."""
    started = time.monotonic()
    with SimulatedLab() as lab:
        print(HELLO.format(speed=lab.speed, inventory=lab.inventory, playbook=PLAYBOOK))
        with watched(lab, "demo-simulated", rate=6.0) as ledger:
            code, text, seconds = _play(lab, quiet=False)
        again, recap, _seconds = _play(lab, quiet=True)
        changed = sum(int(line.split("changed=")[1].split()[0]) for line in recap.splitlines() if "changed=" in line)
    if code:
        print(text[-3000:])
    print("\nwhat the clients saw (simulated fleet, real probe)")
    print(story(Played(code, text, seconds), ledger))
    stall = ledger.witness["longest_stall"]
    if stall["wall_s"] > 1.0:
        print(
            f"the simulation itself stood still for {stall['wall_s']} s ({stall['cpu_s']} s of CPU): this machine is busy"
        )
    print(f"the same command again: exit code {again}, changed={changed}")
    print(f"all of it took {time.monotonic() - started:.0f} s")
    return int(bool(code or again or changed or harmed(ledger)))


if __name__ == "__main__":
    sys.exit(main())
