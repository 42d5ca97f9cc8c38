# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main job on the real fleet: v23 to v24 under load, killed once, rerun, and run again with nothing to do."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from .harness import Lab, Ledger, Played, until, watched

PLAYBOOK = "vtops.vitess.rolling_upgrade"
OLD, NEW = "23.0.3", "24.0.2"
# Requests/s per kind and vtgate: below what two cores carry beside a roll, so that what fails is the roll and not the machine.
RATE = 10.0


@dataclass
class Story:
    """What happened, for all tests of this file: it takes minutes and is told once."""

    check: Played
    changes_after_check: int
    killed_with_journal: dict[str, Any]
    second: Played
    third: Played
    ledger: Ledger
    images: set[str]
    claims: list[str]
    tablets: list[dict[str, Any]]


def _second_is_replaced(lab: Lab) -> dict[str, Any] | None:
    journal = lab.journal()
    flying = [alias for alias, entry in journal.items() if entry["finished"] is None and "replace" in entry["steps"]]
    finished = [alias for alias, entry in journal.items() if entry["finished"]]
    return journal if flying and finished else None


@pytest.fixture(scope="module")
def story(lab: Lab) -> Iterator[Story]:
    """A whole upgrade: check mode, a roll killed while its second tablet's Pod is away, the same command again, and once more."""
    lab.command("fleet", "--tablets", OLD)
    lab.command("fleet", "--tablets", NEW, "--spec-only")
    with watched(lab, "upgrade", RATE) as ledger:
        check = lab.play(PLAYBOOK, "--check", name="check")
        changes = _changes(lab)
        log = lab.out / "killed.log"
        first = lab.start_playbook(PLAYBOOK, log=log)
        try:
            journal = until(
                lambda: first.poll() is not None or _second_is_replaced(lab), "the second tablet's eviction", 600
            )
        finally:
            # To ansible-playbook alone: its worker lives on as an orphan, which is the harder case.
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
        assert isinstance(journal, dict), f"the first roll ended by itself: {_tail(log)}"
        second = lab.play(PLAYBOOK, name="rerun")
        third = lab.play(PLAYBOOK, name="again")
    return Story(check, changes, journal, second, third, ledger, lab.images(), lab.claims_held(), lab.tablets())


def _changes(lab: Lab) -> int:
    """How many Pods or types differ from the start state: none may, after a check."""
    types = sorted(record["type"] for record in lab.tablets())
    return len(lab.journal()) + sum(image.endswith(NEW) for image in lab.images()) + (types != [1, 1, 2, 2, 2, 2])


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]


def test_check_mode_names_every_tablet_in_order_and_changes_nothing(story: Story) -> None:
    assert story.check.returncode == 0, story.check.text[-3000:]
    planned = [line for line in story.check.text.splitlines() if "replace:" in line]
    assert len(planned) >= 6
    shards = [[line for line in planned if shard in line][:3] for shard in ("commerce/-80", "commerce/80-")]
    assert all("PRIMARY" in shard[-1] and not any("PRIMARY" in line for line in shard[:-1]) for shard in shards), (
        planned
    )
    assert story.changes_after_check == 0


def test_the_rerun_finishes_what_the_killed_roll_began(story: Story) -> None:
    assert story.second.returncode == 0, story.second.text[-3000:]
    assert story.images == {f"vitess/lite:v{NEW}"} or {i.rpartition(":")[2] for i in story.images} == {f"v{NEW}"}
    assert sorted(record["type"] for record in story.tablets) == [1, 1, 2, 2, 2, 2], "a tablet was left out of serving"
    assert story.claims == []


def test_a_finished_roll_changes_nothing(story: Story) -> None:
    assert story.third.returncode == 0, story.third.text[-3000:]
    assert story.third.changed == 0


def test_no_reader_writer_or_transaction_on_the_primary_saw_an_error(story: Story) -> None:
    probe = story.ledger.probe
    assert probe["requests"] > 3000
    assert min(probe["requests_by_kind"].values()) > 500, probe["requests_by_kind"]
    seen = {kind: count for kind, count in probe["errors_by_kind"].items() if kind != "replica_transaction"}
    assert sum(seen.values()) == 0, json.dumps(probe["first_errors"], indent=1)[:4000]


def _broken_by_its_tablets_change(error: dict[str, Any], witness: dict[str, Any]) -> bool:
    """A tablet that is drained answers with its type; one that is promoted rolls back what it has open."""
    if "wrong tablet type" in error["text"]:
        return True
    at = datetime.fromisoformat(error["at"].replace("Z", "+00:00")).timestamp()
    promoted = [
        r for r in witness["reparents"] if r["shard"] == error["shard"] and r["start"] - 1 <= at <= r["end"] + 1
    ]
    return "(transaction rolled back)" in error["text"] and bool(promoted)


def test_of_transactions_on_replicas_only_those_open_in_the_moment_of_a_drain_or_reparent_broke(story: Story) -> None:
    """Vitess breaks them (docs/operating.md); what it must not become is more than the handful that a moment can hold."""
    probe, moments = (
        story.ledger.probe,
        len(story.ledger.witness["replacements"]) + len(story.ledger.witness["reparents"]),
    )
    broken = [error for error in probe["first_errors"] if error["kind"] == "replica_transaction"]
    strange = [error for error in broken if not _broken_by_its_tablets_change(error, story.ledger.witness)]
    assert strange == [], json.dumps(strange, indent=1)[:4000]
    assert probe["errors_by_kind"].get("replica_transaction", 0) <= 4 * moments


def test_no_acknowledged_write_was_lost_and_no_write_waited_five_seconds(story: Story) -> None:
    probe = story.ledger.probe
    assert probe["acked"] > 1000
    assert probe["acked_lost"] == 0, probe["lost_rows"][:20]
    assert probe["longest_write_gap_s"] < 5.0, probe["write_gaps"][:5]


def test_never_were_two_tablets_of_a_shard_away(story: Story) -> None:
    witness = story.ledger.witness
    assert witness["complete"]
    assert witness["most_away_per_shard"] == 1, witness["away_together"][:5]


def test_one_planned_reparent_per_shard(story: Story) -> None:
    reparents = story.ledger.witness["reparents"]
    assert sorted(entry["shard"] for entry in reparents) == ["-80", "80-"]
    assert all(entry["planned"] and entry["agreed"] for entry in reparents), reparents
