# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In which order: what is in flight first, then replicas, then the primary; one shard after the other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .fleet import Alias, Tablet, TabletType
from .owners import Owner, Wanted

PROGRAMS = ("vttablet", "mysqld")  # a tablet's containers
ORDER = {
    TabletType.RDONLY: 1,
    TabletType.SPARE: 1,
    TabletType.EXPERIMENTAL: 1,
    TabletType.REPLICA: 2,
    TabletType.PRIMARY: 3,
}


@dataclass(frozen=True)
class Step:
    """One tablet's place in a roll. action: replace, skip or finish (bring back what an earlier run took).

    current, wanted: images; those of mysqld apart. current_revision: empty where there is no Pod. wanted_revision: the owner's.
    """

    alias: Alias
    shard: str
    type: TabletType
    action: str
    reason: str
    current: str = ""
    wanted: str = ""
    current_revision: str = ""
    wanted_revision: str = ""
    current_mysqld: str = ""
    wanted_mysqld: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For a module's result."""
        return {
            "tablet": str(self.alias),
            "shard": self.shard,
            "type": str(self.type),
            "action": self.action,
            "reason": self.reason,
            "current": self.current,
            "wanted": self.wanted,
            "wanted_revision": self.wanted_revision,
        }


class Unfit(Exception):
    """A selection that cannot be rolled; the text names the tablets and what to change, next_command what to run then."""

    def __init__(self, text: str, next_command: str = "correct it and run the same again") -> None:
        super().__init__(text)
        self.next_command = next_command


def step_for(shard: str, tablet: Tablet, wanted: Wanted, owner: Owner | None, in_flight: bool) -> Step:
    """What a roll does with one tablet."""
    current, current_mysqld = (tablet.pod.image(name) if tablet.pod else "" for name in PROGRAMS)
    goal, goal_mysqld = (owner.image(name) if owner else "" for name in PROGRAMS)
    if in_flight:
        action, reason = "finish", "an earlier run took it and did not bring it back"
    elif wanted.since is None and owner and owner.lag:
        action, reason = (
            "replace",
            f"what it is to be is not known yet: {owner.lag}",
        )  # and so refused (owner_is_observed)
    elif wanted.met_by(tablet.pod):
        action, reason = "skip", f"already {wanted}"
    else:
        have = tablet.pod.revision if tablet.pod else "no Pod"
        action, reason = "replace", f"{have}, wanted {wanted}"
    # A Pod whose change was scheduled since the plan was made is what it was, by another name: what is wanted tells the rest.
    named = tablet.pod is not None and not tablet.pod.marks.scheduled
    revisions = tablet.pod.revision if tablet.pod and named else "", owner.update_revision if owner else ""
    mysqlds = current_mysqld, goal_mysqld
    return Step(tablet.alias, shard, tablet.type, action, reason, current, goal, *revisions, *mysqlds)


def ordered(steps: Iterable[Step], primaries_at_the_end: bool = False) -> tuple[Step, ...]:
    """Shard by shard; in a shard what is in flight, then RDONLY, REPLICA, PRIMARY; then by alias.

    primaries_at_the_end: after the replicas of all shards, for a roll that is to stop before its first reparent.

    One in flight that somebody made the primary meanwhile serves: it comes last like any, when there is one to hand over to.
    """

    def key(step: Step) -> tuple[bool, str, int, int, Alias]:
        first = step.action == "finish" and step.type != TabletType.PRIMARY
        late = primaries_at_the_end and step.type == TabletType.PRIMARY
        return (late, step.shard, 0 if first else 1, ORDER.get(step.type, 0), step.alias)

    return tuple(sorted(steps, key=key))


def batches(
    order: Sequence[Step],
    shards_at_once: int = 1,
    canaries: int = 0,
    one_cell_at_once: bool = False,
    primaries_at_the_end: bool = False,
) -> tuple[tuple[Step, ...], ...]:
    """The order in batches: canaries first, each alone, then one tablet of so many shards at once, never two of a shard.

    A shard that was begun is gone on with before another is; the one with most tablets left comes next. one_cell_at_once: a
    batch's tablets are of one cell. primaries_at_the_end: as the order was made.
    Raises Unfit where the numbers make no sense.
    """
    if shards_at_once < 1 or canaries < 0:
        raise Unfit(f"shards_at_once is at least 1 and canary at least 0, not {shards_at_once} and {canaries}")
    if shards_at_once == 1:
        return tuple((step,) for step in order)
    found: list[tuple[Step, ...]] = [(step,) for step in order[:canaries]]
    rest = order[canaries:]
    late = [step for step in rest if primaries_at_the_end and step.type == TabletType.PRIMARY]
    for part in ([step for step in rest if step not in late], late):
        found += _side_by_side(part, shards_at_once, one_cell_at_once)
    return tuple(found)


def _side_by_side(steps: Sequence[Step], shards_at_once: int, one_cell_at_once: bool) -> list[tuple[Step, ...]]:
    queues: dict[str, list[Step]] = {}
    for step in steps:
        queues.setdefault(step.shard, []).append(step)
    found: list[tuple[Step, ...]] = []
    begun: list[str] = []
    while queues:
        waiting = sorted(queues.keys() - set(begun), key=lambda shard: (-len(queues[shard]), shard))
        begun = [*begun, *waiting][:shards_at_once]
        heads = [queues[shard][0] for shard in begun]
        cell = heads[0].alias.cell
        batch = tuple(step for step in heads if not one_cell_at_once or step.alias.cell == cell)
        found.append(batch)
        for step in batch:
            queues[step.shard].pop(0)
            if not queues[step.shard]:
                del queues[step.shard]
                begun.remove(step.shard)
    return found


def check_primaries_last(steps: Iterable[Step], whole_shard: dict[str, tuple[Step, ...]]) -> None:
    """A primary that is to be replaced needs its shard's replicas done before it: in this selection, or already.

    Raises Unfit, naming the replicas that are missing.
    """
    chosen = list(steps)
    aliases = {step.alias for step in chosen}
    for step in chosen:
        if step.type != TabletType.PRIMARY or step.action == "skip":
            continue
        missing = [str(s.alias) for s in whole_shard[step.shard] if s.action != "skip" and s.alias not in aliases]
        if missing:
            raise Unfit(
                f"{step.alias} is the primary of {step.shard} and comes last: also select {', '.join(missing)}, or leave it out"
            )
