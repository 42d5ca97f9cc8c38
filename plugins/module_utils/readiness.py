# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an operator should know of a fleet before it is rolled, with the figures: what forbids nothing and costs time or a choice. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from . import versions
from .fleet import Alias, Shard, TabletType, is_address
from .plan import Step
from .versions import Series

# With --init-tablet-type-lookup (v24) a restarted vttablet keeps the type that it was given.
HELD_SINCE = 24
LONG_TRANSACTION_S = 5.0


def notes(order: Sequence[Step], shards: Sequence[Shard], mysql_series: Series | None = None) -> list[str]:
    """In a plan's order; nothing where it replaces no tablet. shards: those that were asked."""
    todo = [step for step in order if step.action == "replace"]
    found = (_refresh(todo, shards), _not_held(todo), _mysql(todo, shards, mysql_series), _no_return(order))
    return [note for note in found if note] if todo else []


def _refresh(todo: Sequence[Step], shards: Sequence[Shard]) -> str:
    """A vtgate finds a tablet at a new address only when it looks for one (go/vt/discovery/topology_watcher.go)."""
    taken = {step.alias for step in todo}
    moving = [t for shard in shards for t in shard.tablets if t.alias in taken and is_address(t.hostname)]
    slowest = max(
        (v.settings.tablet_refresh_interval_s for s in shards for v in s.live_vtgates if not v.error), default=0.0
    )
    if not moving or not slowest:
        return ""
    return (
        f"the tablets register by IP address, and vtgates look for new ones every {slowest:g} s (--tablet-refresh-interval): "
        f"up to {slowest:g} s of each tablet's time, {slowest * len(todo) / 60:.0f} min of this roll's at most"
    )


def _not_held(todo: Sequence[Step]) -> str:
    early = [step for step in todo if (version := versions.of_image(step.wanted)) and version.major < HELD_SINCE]
    if not early:
        return ""
    return (
        f"{len(early)} tablets will run a Vitess before v{HELD_SINCE}: each serves as soon as it has started, before it was seen to "
        "have caught up; what it served until then is in the result"
    )


def _mysql(todo: Sequence[Step], shards: Sequence[Shard], told: Series | None) -> str:
    """A mysqld of a newer series upgrades the data dictionary as it starts; it cannot be turned back, and no image tag foretells it."""
    runs = sorted({version.series for shard in shards for t in shard.tablets if (version := t.mysql)})
    now = " and ".join(map(str, runs)) or "unknown"
    if told and [told] != runs:
        return (
            f"MySQL {now} -> {told}: a tablet that was replaced has no way back but a backup of {now}; each mysqld is stopped with "
            "innodb_fast_shutdown=0, which may outlast --mysql-shutdown-timeout and the Pod's grace period"
        )
    new = [step for step in todo if not told and step.wanted_mysqld != step.current_mysqld]
    if not new:
        return ""
    return (
        f"the mysqld image of {len(new)} tablets changes ({new[0].current_mysqld or 'unknown'} -> {new[0].wanted_mysqld or 'unknown'}; "
        f"MySQL {now} runs): where it brings another series, say which (mysql_series), or the roll stops at a shard's second tablet"
    )


def _no_return(order: Sequence[Step]) -> str:
    """From the first primary of a new version on its writes are what the others replay."""
    for number, step in enumerate(order, 1):
        if step.type == TabletType.PRIMARY and step.action == "replace" and step.current != step.wanted:
            return (
                f"point of no return: step {number}, the reparent away from {step.alias}; hold_before_reparent stops before it, with "
                "everything else done"
            )
    return ""


def of_transactions(oldest: Iterable[tuple[Alias, float]]) -> list[str]:
    """oldest: of primaries that are to be reparented away from, how long their oldest transaction is open, in seconds."""
    return [
        f"{alias}: a transaction is open for {age:.0f} s; its reparent waits for it (transaction_wait), and then refuses or cuts it"
        for alias, age in oldest
        if age > LONG_TRANSACTION_S
    ]
