# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What both demos call a good roll."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vtops.vitess.tests.kind.demo import harmed, story
from ansible_collections.vtops.vitess.tests.kind.harness import Ledger, Played


def ledger(most_away: int = 1, **by_kind: int) -> Ledger:
    """What was seen of a roll with these errors."""
    probe: dict[str, Any] = {
        "requests": 73200,
        "errors": sum(by_kind.values()),
        "errors_by_kind": by_kind,
        "errors_open_transactions": 0,
        "longest_write_gap_s": 1.41,
        "stale_reads": 0,
        "acked": 12000,
        "acked_lost": 0,
        "latency": {},
        "first_errors": [],
    }
    return Ledger(probe, {"replacements": [], "reparents": [], "most_away_per_shard": most_away})


@pytest.mark.parametrize(
    ("seen", "bad"),
    [
        (ledger(), False),
        (ledger(replica_transaction=3), False),
        (ledger(replica_transaction=3, write=1), True),
        (ledger(read=1), True),
        (ledger(most_away=2), True),
    ],
    ids=["nothing", "transactions on replicas", "these and a write", "a read", "two away"],
)
def test_only_transactions_on_replicas_may_break(seen: Ledger, bad: bool) -> None:
    assert harmed(seen) is bad


def test_transactions_on_replicas_are_said_apart_from_the_errors() -> None:
    text = story(Played(0, "", 350.0), ledger(replica_transaction=3, write=1))
    assert "errors 1," in text
    assert "drained or promoted under them: 3," in text
