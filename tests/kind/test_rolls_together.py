# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rolls beside each other: started twice, in slices, frozen and woken after another one took over; and shards side by side.

C(VTOPS_DOUBLE_STARTS=20) starts two rolls together that many times.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from .harness import Lab, until, watched

ROLL = "vtops.vitess.rolling_upgrade"
OLD, NEW = "23.0.3", "24.0.2"
DOUBLE_STARTS = int(os.environ.get("VTOPS_DOUBLE_STARTS", "2"))
# Another host, as far as a process can tell: what runs on this one is not seen to run there.
ELSEWHERE = ["unshare", "--uts", "sh", "-c", 'hostname another-host && exec "$@"', "elsewhere"]


@pytest.fixture
def fleet(lab: Lab) -> Lab:
    """At the old version, its specs at the new one."""
    lab.unpause()
    lab.command("fleet", "--tablets", OLD)
    lab.command("fleet", "--tablets", NEW, "--spec-only")
    return lab


def _aliases(lab: Lab) -> list[str]:
    return sorted(f"{record['alias']['cell']}-{record['alias']['uid']:010d}" for record in lab.tablets())


def _pods(lab: Lab) -> dict[str, str]:
    """uid by name."""
    items = json.loads(lab.kubectl("get", "pod", "-l", lab.facts["tablet_selector"], "-o", "json"))["items"]
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}


@contextmanager
def _running(lab: Lab, *rolls: tuple[str, ...], prefix: list[str] | None = None) -> Iterator[list[Any]]:
    """ansible-playbooks with these arguments, all at once, each with its log; none outlives the block."""
    logs = [lab.out / f"together-{number}.log" for number in range(len(rolls))]
    inventory = lab.inventory
    processes = [
        lab.start_playbook(ROLL, *arguments, log=log, inventory=inventory, prefix=prefix)
        for arguments, log in zip(rolls, logs, strict=True)
    ]
    try:
        yield list(zip(processes, logs, strict=True))
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _ended(process: subprocess.Popen[bytes], log: Path, timeout_s: float = 900) -> tuple[int, str]:
    return process.wait(timeout_s), log.read_text(encoding="utf-8")


def test_of_two_rolls_that_start_together_one_works_and_one_refuses(fleet: Lab) -> None:
    tablet = _aliases(fleet)[1]
    with watched(fleet, "double-starts", rate=5.0) as ledger:
        for _number in range(DOUBLE_STARTS):
            before = _pods(fleet)
            since = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            command = ("--limit", tablet, "-e", f"rolling_upgrade_wanted_since={since}")
            with _running(fleet, command, command) as both:
                ends = [_ended(process, log) for process, log in both]
            assert sorted(code for code, _text in ends) == [0, 2], [text[-2000:] for _code, text in ends]
            (refused,) = [text for code, text in ends if code == 2]
            assert re.search(r"shard_claim: vtops-shard-\S+ is (held by roll-|being taken)", refused), refused[-2000:]
            after = _pods(fleet)
            assert sum(before[name] != after[name] for name in before) == 1
            assert fleet.claims_held() == []
    assert ledger.witness["most_away_per_shard"] == 1, ledger.witness["violations"]


def test_slices_of_a_roll_divide_the_shards_up_and_wait_for_each_other(fleet: Lab) -> None:
    """As AWX slices a job: every third host by name, in a process of its own; each shard is in all three."""
    hosts = _aliases(fleet)
    wait = ("-e", "rolling_upgrade_claim_wait=900", "-e", "rolling_upgrade_replicas_wait=1800")
    slices = [("--limit", ",".join(hosts[number::3]), *wait) for number in range(3)]
    with watched(fleet, "slices", rate=10.0) as ledger, _running(fleet, *slices) as rolls:
        ends = [_ended(process, log, 1800) for process, log in rolls]
    assert [code for code, _text in ends] == [0, 0, 0], [text[-2000:] for _code, text in ends]
    assert {image.rpartition(":v")[2] for image in fleet.images()} == {NEW}
    assert ledger.witness["most_away_per_shard"] == 1, ledger.witness["violations"]
    assert len(ledger.witness["replacements"]) == len(hosts)
    reparents = sorted((r["start"], r["end"]) for r in ledger.witness["reparents"])
    assert len(reparents) == 2
    assert reparents[0][1] <= reparents[1][0], "two reparents of a keyspace at once"
    assert fleet.claims_held() == []


def test_a_roll_that_was_frozen_changes_nothing_after_another_one_took_over(fleet: Lab) -> None:
    shard = ("--limit", _aliases(fleet)[1])
    with _running(fleet, shard) as ((frozen, log),):
        until(lambda: frozen.poll() is not None or "drain" in _steps(fleet), "a drain", 300, 0.05)
        assert frozen.poll() is None, log.read_text()[-2000:]
        os.killpg(frozen.pid, signal.SIGSTOP)
        try:
            other = fleet.play(ROLL, *shard, name="took-over", prefix=ELSEWHERE, timeout_s=900)
            assert other.returncode == 0, other.text[-3000:]
            assert "to be taken for dead" in other.text
            before, journal = _pods(fleet), fleet.journal()
        finally:
            os.killpg(frozen.pid, signal.SIGCONT)
        code, text = _ended(frozen, log)
    # It finds its claim lost, or, asleep between two steps, that all it meant to do is done.
    assert code == 0 or re.search(r"was taken by somebody else|is held by", text), text[-2000:]
    assert (_pods(fleet), fleet.journal()) == (before, journal)
    assert sorted(record["type"] for record in fleet.tablets()) == [1, 1, 2, 2, 2, 2]


def _steps(lab: Lab) -> set[str]:
    return {step for entry in lab.journal().values() for step in entry["steps"]}


def test_two_shards_side_by_side_are_done_in_less_time_than_one_after_the_other(fleet: Lab) -> None:
    begun = time.monotonic()
    with watched(fleet, "side-by-side", rate=10.0) as ledger:
        played = fleet.play(
            ROLL, "-e", "rolling_upgrade_shards_at_once=2", "-e", "rolling_upgrade_canary=1", name="side-by-side"
        )
    assert played.returncode == 0, played.text[-3000:]
    assert {image.rpartition(":v")[2] for image in fleet.images()} == {NEW}
    assert ledger.witness["most_away_per_shard"] == 1, ledger.witness["violations"]
    assert len(ledger.witness["replacements"]) == 6
    reparents = sorted((r["start"], r["end"]) for r in ledger.witness["reparents"])
    assert reparents[0][1] <= reparents[1][0], "two reparents of a keyspace at once"
    print(f"\nside by side after a canary: {time.monotonic() - begun:.0f} s, ansible-playbook {played.seconds:.0f} s")
