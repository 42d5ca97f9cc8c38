# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an operator should know of a fleet before it is rolled, with the figures: what forbids nothing and costs time or a choice. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from . import versions
from .fleet import Alias, Budget, Shard, TabletType, is_address
from .forecast import ONTERM_S
from .plan import Step
from .versions import Series

# With --init-tablet-type-lookup (v24) a restarted vttablet keeps the type that it was given.
HELD_SINCE = 24
LONG_TRANSACTION_S = 5.0
# Of the release of v24 that is the first to take a route away with its tablet (vitess#20328), and to end a deadlock of vtorc's (#20083).
STALE_ROUTES_FIXED = (24, 0, 2)
MYSQLD_STOP_S = 15.0  # the least that a mysqld should be given to stop by itself


def notes(order: Sequence[Step], shards: Sequence[Shard], mysql_series: Series | None = None) -> list[str]:
    """In a plan's order; nothing where it replaces no tablet. shards: those that were asked."""
    todo = [step for step in order if step.action == "replace"]
    found = (
        _refresh(todo, shards),
        _not_held(todo),
        _patch_level(todo),
        _grace(todo, shards),
        _mysql(todo, shards, mysql_series),
        _no_return(order),
    )
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


def _patch_level(todo: Sequence[Step]) -> str:
    late = sorted(
        {step.wanted for step in todo if (version := versions.of_image(step.wanted)) and _is_before_fix(version)}
    )
    if not late:
        return ""
    return f"{', '.join(late)}: v24.0.2 is the first v24 without a known fault in routing and in vtorc (vitess#20328, #20083)"


def _is_before_fix(version: versions.Version) -> bool:
    return version.major == STALE_ROUTES_FIXED[0] and (version.major, version.minor, version.patch) < STALE_ROUTES_FIXED


def _grace(todo: Sequence[Step], shards: Sequence[Shard]) -> str:
    taken = {step.alias for step in todo}
    pods = [t.pod for shard in shards for t in shard.tablets if t.alias in taken and t.pod is not None]
    short = min((pod.grace_s for pod in pods), default=ONTERM_S + MYSQLD_STOP_S)
    if short >= ONTERM_S + MYSQLD_STOP_S:
        return ""
    return (
        f"a Pod is killed {short:g} s after it is told to stop (terminationGracePeriodSeconds), of which vttablet may take {ONTERM_S:g} s "
        "(--onterm-timeout): a mysqld that is killed recovers when it starts, which takes longer"
    )


def of_budgets(todo: Sequence[Step], shards: Sequence[Shard], budgets: Sequence[Budget]) -> tuple[list[str], list[str]]:
    """What forbids the roll, and what an operator should know, of the disruption budgets of its Pods.

    More than one for a Pod is a refusal for ever (kubernetes pkg/registry/core/pod/storage/eviction.go). vitess-operator evicts nothing.
    """
    taken = {step.alias for step in todo}
    tablets = [t for shard in shards for t in shard.tablets if t.alias in taken and t.pod is not None]
    problems, alone = [], []
    for tablet in tablets:
        pod = tablet.pod
        if pod is None or pod.owner_kind != "StatefulSet":
            continue
        mine = sorted(budget.name for budget in budgets if budget.selects(pod))
        if len(mine) > 1:
            problems.append(
                f"{tablet.alias}: the disruption budgets {', '.join(mine)} select Pod {pod.name}: Kubernetes evicts no Pod that has two"
            )
        alone += [] if mine else [pod.name]
    note = f"no disruption budget selects {', '.join(alone[:3])}{' and others' if len(alone) > 3 else ''}: a node drain may take two of a shard"
    return problems, [note] if alone else []


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
