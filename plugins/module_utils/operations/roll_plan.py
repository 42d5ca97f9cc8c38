# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which tablets a roll takes, in which order and why; refuses a selection that cannot be rolled before anything is touched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from .. import gates, plan
from ..arguments import cluster_spec
from ..cluster import Cluster
from ..durability import POLICIES
from ..fleet import Alias, Shard, TabletType
from ..options import aliases
from ..owners import Wanted
from ..rights import Granted
from ..waiting import Clock
from .fleet_info import Member, read_fleet

# What can be known of every tablet before the first one is touched.
PREFLIGHT: tuple[gates.Gate, ...] = (
    gates.owner_is_supported,
    gates.owner_is_observed,
    gates.version_step_is_allowed,
    gates.new_pod_has_a_place,
)
FLEET_PREFLIGHT: tuple[gates.Gate, ...] = (gates.rights_are_granted,)
SHARD_PREFLIGHT: tuple[gates.Gate, ...] = (
    gates.every_vtgate_answers,
    gates.shard_has_healthy_primary,
    gates.no_foreign_drain,
    gates.no_backup_or_restore,
)


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        "tablets": {"type": "list", "elements": "str", "required": True},
        "wanted_since": {"type": "str"},
        "accept_drained": {"type": "list", "elements": "str", "default": []},
        "accept_no_route": {"type": "list", "elements": "str", "default": []},
    }


def run(params: dict[str, Any], cluster: Cluster, clock: Clock) -> dict[str, Any]:
    """Raises plan.Unfit, EdgeError, ValueError."""
    if not params["tablets"]:
        raise plan.Unfit("the selection is empty: no host of the play is a tablet (check --limit and the inventory)")
    chosen = aliases(params["tablets"])
    since = Wanted.created_after(params["wanted_since"], clock.time()) if params["wanted_since"] else None
    fleet = {member.alias: member for member in read_fleet(cluster)}
    unknown = sorted(chosen - set(fleet))
    if unknown:
        raise plan.Unfit(f"the topology has no tablet {', '.join(map(str, unknown))}")
    shards = {_shard_of(fleet[alias]) for alias in chosen}
    concerned = {alias: member for alias, member in fleet.items() if _shard_of(member) in shards}
    steps = {alias: _step(member, since) for alias, member in concerned.items()}
    whole: dict[str, tuple[plan.Step, ...]] = {}
    for step in steps.values():
        whole[step.shard] = (*whole.get(step.shard, ()), step)
    order = plan.ordered(step for alias, step in steps.items() if alias in chosen)
    plan.check_primaries_last(order, whole)
    todo = frozenset(step.alias for step in order if step.action == "replace")
    with ThreadPoolExecutor(8) as pool:
        views = list(
            pool.map(lambda key: cluster.read_shard(*key), sorted({_shard_of(fleet[alias]) for alias in todo}))
        )
    granted = cluster.rights_of_roll() if todo else None
    problems = [
        problem
        for number, view in enumerate(views)
        for problem in _problems(view, concerned, todo, params, cluster, clock, None if number else granted)
    ]
    if problems:
        raise plan.Unfit("; ".join(problems))
    return {
        "changed": False,
        "plan": [
            {**step.as_dict(), "wanted_revision": _revision(concerned[step.alias]), "predicted": _before(order, step)}
            for step in order
        ],
        "order": [str(step.alias) for step in order],
        "left": sum(step.action != "skip" for step in order),
        "text": "\n".join(
            f"{n:3d}. {s.alias} {s.shard} {s.type} {s.action}: {s.reason}" for n, s in enumerate(order, 1)
        ),
    }


def _shard_of(member: Member) -> tuple[str, str]:
    return member.tablet.keyspace, member.tablet.shard


def _revision(member: Member) -> str:
    return member.owner.update_revision if member.owner else ""


def _step(member: Member, since: Wanted | None) -> plan.Step:
    keyspace, shard = _shard_of(member)
    wanted = since or Wanted(revision=_revision(member))
    return plan.step_for(f"{keyspace}/{shard}", member.tablet, wanted, member.owner, member.in_flight)


def _before(order: tuple[plan.Step, ...], step: plan.Step) -> list[str]:
    """The tablets that the roll will have replaced when it comes to this one."""
    return [str(other.alias) for other in order[: order.index(step)] if other.action != "skip"]


def _problems(
    view: Shard,
    fleet: dict[Alias, Member],
    todo: frozenset[Alias],
    params: dict[str, Any],
    cluster: Cluster,
    clock: Clock,
    granted: Granted | None,
) -> list[str]:
    """What no waiting mends: of the shard, of its arithmetic, of each tablet that is to be replaced.

    granted: what Kubernetes lets us do, with the first shard only.
    """
    in_flight = {a: m.entry.original_type for a, m in fleet.items() if m.entry is not None and m.in_flight}
    mine = [fleet[tablet.alias] for tablet in view.tablets if tablet.alias in todo]
    accepted = aliases(params["accept_no_route"])
    found: list[str] = []
    for number, member in enumerate(mine):
        case = gates.Case(
            shard=view,
            alias=member.alias,
            now=clock.monotonic(),
            owner=member.owner,
            place=cluster.place_on(cluster.ground_for(member.pod), member.pod, member.owner)
            if member.pod and member.owner
            else None,
            drained_by_us=in_flight,
            accept_drained=aliases(params["accept_drained"]),
            accept_no_route=accepted,
            rights=granted,
        )
        resuming = any(tablet.alias in in_flight for tablet in view.tablets)
        which = PREFLIGHT + (SHARD_PREFLIGHT if number == 0 and not resuming else ())
        if number == 0 and granted is not None:
            which = FLEET_PREFLIGHT + which
        found += [
            f"{member.alias}: {verdict.gate}: {verdict.reason}" for verdict in gates.red(gates.evaluate(which, case))
        ]
    return found + never_possible(_at_rest(view, in_flight), frozenset(member.alias for member in mine), accepted)


def _at_rest(view: Shard, in_flight: dict[Alias, TabletType]) -> Shard:
    """The shard when what an earlier run drained is back: its size does not forbid to finish that run."""
    tablets = tuple(
        replace(t, type=in_flight[t.alias]) if t.type == TabletType.DRAINED and t.alias in in_flight else t
        for t in view.tablets
    )
    return replace(view, tablets=tablets)


def never_possible(view: Shard, todo: frozenset[Alias], accept_no_route: frozenset[Alias]) -> list[str]:
    """What the shard's size forbids for ever: too few ackers, no second route, no candidate."""
    rule = POLICIES.get(view.durability or "none")
    found = []
    if rule is None:
        return [f"{view}: durability policy {view.durability!r} is not known here"]
    ackers = [t for t in view.tablets if t.type in rule.types | {TabletType.PRIMARY, TabletType.DRAINED}]
    if todo and rule.acks and len(ackers) < 2 + rule.acks:
        found.append(
            f"{view}: {view.durability} with {len(ackers)} tablets can never spare one ({2 + rule.acks} are needed): add one first"
        )
    for kind in (TabletType.REPLICA, TabletType.RDONLY):
        alone = [t for t in view.tablets if t.type == kind]
        if len(alone) == 1 and alone[0].alias in todo - accept_no_route:
            found.append(
                f"{view}: {alone[0].alias} is the only {kind}: its clients would find no route (accept_no_route: [{alone[0].alias}])"
            )
    if view.primary in todo and not any(t.type in (TabletType.REPLICA, TabletType.DRAINED) for t in view.tablets):
        found.append(f"{view}: primary {view.primary} has no REPLICA to hand over to")
    return found
