# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which request is due when: the fixed schedule of an open loop (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

READ = "read"
WRITE = "write"
TRANSACTION = "transaction"
REPLICA_TRANSACTION = "replica_transaction"
KINDS: tuple[str, ...] = (READ, WRITE, TRANSACTION, REPLICA_TRANSACTION)
"""A read on C(@replica), an autocommit write, a short transaction on the primary, one on C(@replica)."""

WRITING_KINDS: frozenset[str] = frozenset({WRITE, TRANSACTION})
ON_REPLICA: frozenset[str] = frozenset({READ, REPLICA_TRANSACTION})


@dataclass(frozen=True)
class Loop:
    """One kind of request for one shard at one vtgate, at a fixed rate.

    Request number C(n) is due at C(offset + n / rate) seconds after the start, whether or not
    earlier ones were answered.
    """

    kind: str
    vtgate: int
    """Index of the vtgate."""
    shard: int
    """Index of the shard."""
    rate: float
    """Requests per second."""
    offset: float
    """Seconds after the start."""
    fresh_share: float
    """Share of the requests, 0 to 1, that open a connection of their own."""

    def due(self, number: int) -> float:
        """Seconds after the start at which request C(number) is due."""
        return self.offset + number / self.rate

    def fresh(self, number: int) -> bool:
        """Whether request C(number) opens a connection of its own."""
        return floor((number + 1) * self.fresh_share) > floor(number * self.fresh_share)


def loops(vtgates: int, shards: int, rate: float, fresh_share: float, kinds: tuple[str, ...] = KINDS) -> list[Loop]:
    """Every kind at every vtgate, each at C(rate) requests per second over all shards, spread evenly in time.

    :raises ValueError: for a rate that is not above 0, a share outside 0 to 1, no vtgate or no shard
    """
    if not rate > 0:
        raise ValueError("the rate must be above 0 requests per second")
    if not 0 <= fresh_share <= 1:
        raise ValueError("the share of fresh connections must be from 0 to 1")
    if vtgates < 1 or shards < 1:
        raise ValueError("at least one vtgate and one shard are needed")
    # all first shards, then all second ones: a shard's requests of one kind and vtgate interleave with the others'
    places = [(shard, kind, vtgate) for shard in range(shards) for kind in kinds for vtgate in range(vtgates)]
    each = rate / shards
    return [
        Loop(kind, vtgate, shard, each, position / (len(places) * each), fresh_share)
        for position, (shard, kind, vtgate) in enumerate(places)
    ]
