# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Semi-sync arithmetic: how many replicas must acknowledge a write, and which of them may.

Source: Vitess durability policies (go/vt/vtctl/policy/durability.go): semi_sync* need one ack from
a REPLICA (or RDONLY where the name says so); cross_cell* need it from another cell than the primary's.
"""

from __future__ import annotations

from dataclasses import dataclass

from .fleet import Alias, Shard, Tablet, TabletType


@dataclass(frozen=True)
class Policy:
    """acks: acknowledgements that a commit waits for. types: who may give them. other_cell: from another cell only."""

    acks: int
    types: frozenset[TabletType]
    other_cell: bool = False


_REPLICA = frozenset({TabletType.REPLICA})
_REPLICA_RDONLY = frozenset({TabletType.REPLICA, TabletType.RDONLY})

POLICIES: dict[str, Policy] = {
    "none": Policy(0, frozenset()),
    "semi_sync": Policy(1, _REPLICA),
    "semi_sync_with_rdonly_ack": Policy(1, _REPLICA_RDONLY),
    "cross_cell": Policy(1, _REPLICA, other_cell=True),
    "cross_cell_with_rdonly_ack": Policy(1, _REPLICA_RDONLY, other_cell=True),
}


def policy(name: str) -> Policy:
    """The policy of that name; an empty name is Vitess' default, none. Raises KeyError for one that is not known here."""
    return POLICIES[name or "none"]


def acks_for(tablet: Tablet, primary: Tablet, rule: Policy) -> bool:
    """Whether this tablet acknowledges this primary's writes now, as seen at the tablet itself.

    Eligible type and cell, IO thread running from the current primary, semi-sync replica status ON
    (the primary's client counter still counts a killed replica's dump thread).
    """
    status = tablet.mysqld
    return (
        tablet.alias != primary.alias
        and tablet.type in rule.types
        and (not rule.other_cell or tablet.alias.cell != primary.alias.cell)
        and status is not None
        and status.io_running
        and status.semi_sync_replica
        and replicates_from(tablet, primary)
    )


def replicates_from(tablet: Tablet, primary: Tablet) -> bool:
    """Whether the tablet's replication source is this primary: by server uuid where it is known, else by address."""
    status = tablet.mysqld
    if status is None:
        return False
    if status.source_uuid and primary.mysqld is not None:
        return status.source_uuid.lower() == primary.mysqld.server_uuid.lower()
    return (
        status.source_host == (primary.mysql_hostname or primary.hostname) and status.source_port == primary.mysql_port
    )


def ackers_without(shard: Shard, alias: Alias) -> tuple[Tablet, ...]:
    """The tablets that still acknowledge writes when that one is away. Raises KeyError for an unknown policy."""
    rule = policy(shard.durability)
    primary = shard.tablet(shard.primary) if shard.primary else None
    if primary is None:
        return ()
    return tuple(tablet for tablet in shard.others(alias) if acks_for(tablet, primary, rule))
