# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A roll that an operator stops: paused before its first tablet and while one is away, held before its reparent, killed and aborted."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator

import pytest

from .harness import Lab, until

ROLL, ABORT = "vtops.vitess.rolling_upgrade", "vtops.vitess.abort"
OLD, NEW = "23.0.3", "24.0.2"
SHARD, OTHER_SHARD = "vitess_shard_commerce_x_80", "vitess_shard_commerce_80_x"


@pytest.fixture(scope="module")
def fleet(lab: Lab) -> Iterator[Lab]:
    """At the old version, its specs at the new one."""
    lab.unpause()
    lab.command("fleet", "--tablets", OLD)
    lab.command("fleet", "--tablets", NEW, "--spec-only")
    yield lab
    lab.unpause()


def _upgraded(lab: Lab) -> int:
    pods = json.loads(lab.kubectl("get", "pod", "-l", lab.facts["tablet_selector"], "-o", "json"))["items"]
    return sum(c["image"].endswith(NEW) for pod in pods for c in pod["spec"]["containers"] if c["name"] == "vttablet")


def _taken(lab: Lab) -> list[str]:
    """The tablets on which a step was begun; of one that was only refused the journal keeps why."""
    return [alias for alias, entry in lab.journal().items() if entry["steps"]]


def _in_flight(lab: Lab) -> list[str]:
    journal = lab.journal()
    return [alias for alias in _taken(lab) if journal[alias]["finished"] is None]


def _first_words(text: str) -> set[str]:
    """How the messages of failed tasks begin."""
    return set(re.findall(r'"msg": "([a-z ]+): ', text))


# In this order: each goes on where the one before stopped.


def test_a_paused_roll_takes_nothing(fleet: Lab) -> None:
    fleet.pause("a disk alarm")
    played = fleet.play(ROLL, "--limit", SHARD, name="paused")
    assert played.returncode == 2
    assert "paused" in _first_words(played.text), played.text[-3000:]
    assert "a disk alarm (ConfigMap vtops-pause, since " in played.text
    assert (_upgraded(fleet), fleet.claims_held(), _taken(fleet)) == (0, [], [])


def test_a_roll_that_is_paused_while_a_tablet_is_away_brings_it_back_first(fleet: Lab) -> None:
    fleet.unpause()
    log = fleet.out / "paused-later.log"
    process = fleet.start_playbook(ROLL, "--limit", SHARD, log=log)
    try:
        until(
            lambda: process.poll() is not None or any("drain" in e["steps"] for e in fleet.journal().values()),
            "a drain",
            300,
        )
        fleet.pause("enough for today")
        assert process.wait(600) == 2
    finally:
        process.kill()
        process.wait()
    text = log.read_text(encoding="utf-8")
    assert "paused" in _first_words(text), text[-3000:]
    assert (_upgraded(fleet), fleet.claims_held()) == (1, [])
    assert _in_flight(fleet) == []


def test_a_held_roll_does_all_but_the_reparent_and_goes_on_without_the_hold(fleet: Lab) -> None:
    fleet.unpause()
    held = fleet.play(ROLL, "--limit", SHARD, "-e", "rolling_upgrade_hold_before_reparent=true", name="held")
    assert held.returncode == 2
    assert "held before reparent" in _first_words(held.text), held.text[-3000:]
    assert (_upgraded(fleet), fleet.claims_held()) == (2, [])
    assert sorted(record["type"] for record in fleet.tablets()) == [1, 1, 2, 2, 2, 2]
    rerun = fleet.play(ROLL, "--limit", SHARD, name="unheld")
    assert rerun.returncode == 0, rerun.text[-3000:]
    assert _upgraded(fleet) == 3


def test_an_aborted_roll_leaves_no_tablet_away(fleet: Lab) -> None:
    process = fleet.start_playbook(ROLL, "--limit", OTHER_SHARD, log=fleet.out / "aborted.log")
    try:
        until(
            lambda: (
                process.poll() is not None
                or any("replace" in e["steps"] and e["finished"] is None for e in fleet.journal().values())
            ),
            "an eviction",
            300,
        )
        assert process.poll() is None
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    done = _upgraded(fleet)
    checked = fleet.play(ABORT, "--check", name="abort-check")
    assert checked.returncode == 0, checked.text[-3000:]
    aborted = fleet.play(ABORT, name="abort")
    assert aborted.returncode == 0, aborted.text[-3000:]
    assert fleet.claims_held() == []
    assert _in_flight(fleet) == []
    assert sorted(record["type"] for record in fleet.tablets()) == [1, 1, 2, 2, 2, 2]
    assert _upgraded(fleet) <= done + 1, "an abort rolls nothing"
    again = fleet.play(ABORT, name="abort-again")
    assert (again.returncode, again.changed) == (0, 0), again.text[-3000:]
