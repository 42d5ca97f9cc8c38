# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which tablets a roll takes, in which order and why; refuses a selection that cannot be rolled before anything is touched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from .. import gates, plan
from ..cluster import Cluster, parse_timestamp
from ..durability import POLICIES
from ..fleet import Alias, Shard, TabletType
from ..options import aliases, cluster_spec
from ..owners import Wanted
from ..waiting import Clock
from .fleet_info import read_fleet

# What can be known of every tablet before the first one is touched.
PREFLIGHT: tuple[gates.Gate, ...] = (gates.owner_is_supported, gates.owner_is_observed, gates.version_step_is_allowed, gates.new_pod_has_a_place)
SHARD_PREFLIGHT: tuple[gates.Gate, ...] = (gates.every_vtgate_answers, gates.shard_has_healthy_primary, gates.no_foreign_drain, gates.no_backup_or_restore)


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
    fleet = read_fleet(cluster)
    known = {item["alias"] for item in fleet}
    unknown = sorted(chosen - known)
    if unknown:
        raise plan.Unfit(f"the topology has no tablet {', '.join(map(str, unknown))}")
    since = Wanted(since=parse_timestamp(params["wanted_since"])) if params["wanted_since"] else None
    shards = {(item["tablet"].keyspace, item["tablet"].shard) for item in fleet if item["alias"] in chosen}
    in_flight = frozenset(item["alias"] for item in fleet if item["entry"] and item["entry"].in_flight)
    steps: dict[Alias, plan.Step] = {}
    for item in fleet:
        if (item["tablet"].keyspace, item["tablet"].shard) in shards:
            steps[item["alias"]] = _step(item, since, in_flight)
    whole: dict[str, tuple[plan.Step, ...]] = {}
    for step in steps.values():
        whole[step.shard] = (*whole.get(step.shard, ()), step)
    order = plan.ordered(step for alias, step in steps.items() if alias in chosen)
    plan.check_primaries_last(order, whole)
    busy = {(i["tablet"].keyspace, i["tablet"].shard) for i in fleet if i["alias"] in chosen and steps[i["alias"]].action == "replace"}
    with ThreadPoolExecutor(8) as pool:
        views = list(pool.map(lambda key: cluster.read_shard(*key), sorted(busy)))
    problems = [p for view in views for p in _problems(view, fleet, steps, chosen, params, cluster, clock, in_flight)]
    if problems:
        raise plan.Unfit("; ".join(problems))
    left = [step for step in order if step.action != "skip"]
    return {
        "changed": False,
        "plan": [{**step.as_dict(), "wanted_revision": _revision(fleet, step.alias), "predicted": _before(order, step)} for step in order],
        "order": [str(step.alias) for step in order],
        "left": len(left),
        "text": "\n".join(f"{n:3d}. {s.alias} {s.shard} {s.type} {s.action}: {s.reason}" for n, s in enumerate(order, 1)),
    }


def _step(item: dict[str, Any], since: Wanted | None, in_flight: frozenset[Alias]) -> plan.Step:
    tablet, owner = item["tablet"], item["owner"]
    wanted = since or Wanted(revision=owner.update_revision if owner else "")
    shard = Shard(tablet.keyspace, tablet.shard, "", None, "", (), ())
    return plan.step_for(shard, replace(tablet, pod=item["pod"]), wanted, owner, in_flight)


def _before(order: tuple[plan.Step, ...], step: plan.Step) -> list[str]:
    """The tablets that the roll will have replaced when it comes to this one."""
    names = [other.alias for other in order]
    return [str(other.alias) for other in order[: names.index(step.alias)] if other.action != "skip"]


def _revision(fleet: list[dict[str, Any]], alias: Alias) -> str:
    owner = next(item["owner"] for item in fleet if item["alias"] == alias)
    return owner.update_revision if owner else ""


def _problems(
    view: Shard,
    fleet: list[dict[str, Any]],
    steps: dict[Alias, plan.Step],
    chosen: frozenset[Alias],
    params: dict[str, Any],
    cluster: Cluster,
    clock: Clock,
    in_flight: frozenset[Alias],
) -> list[str]:
    """What no waiting mends: of the shard, of its arithmetic, of each tablet that is to be replaced."""
    items = {item["alias"]: item for item in fleet}
    todo = [t for t in view.tablets if t.alias in chosen and steps[t.alias].action == "replace"]
    found: list[str] = []
    drained = {a: items[a]["entry"].original_type for a in in_flight if a in items}
    for number, tablet in enumerate(todo):
        item = items[tablet.alias]
        case = gates.Case(
            shard=view,
            alias=tablet.alias,
            now=clock.monotonic(),
            owner=item["owner"],
            place=cluster.place_for(item["pod"]) if item["pod"] else None,
            drained_by_us=drained,
            accept_drained=aliases(params["accept_drained"]),
            accept_no_route=aliases(params["accept_no_route"]),
        )
        which = PREFLIGHT + (SHARD_PREFLIGHT if number == 0 and not in_flight & {t.alias for t in view.tablets} else ())
        found += [f"{tablet.alias}: {verdict.gate}: {verdict.reason}" for verdict in gates.red(gates.evaluate(which, case))]
    return found + never_possible(view, frozenset(t.alias for t in todo), aliases(params["accept_no_route"]))


def never_possible(view: Shard, todo: frozenset[Alias], accept_no_route: frozenset[Alias]) -> list[str]:
    """What the shard's size forbids for ever: too few ackers, no second route, no candidate."""
    rule = POLICIES.get(view.durability or "none")
    found = []
    if rule is None:
        return [f"{view}: durability policy {view.durability!r} is not known here"]
    ackers = [t for t in view.tablets if t.type in rule.types | {TabletType.PRIMARY, TabletType.DRAINED}]
    if todo and rule.acks and len(ackers) < 2 + rule.acks:
        found.append(f"{view}: {view.durability} with {len(ackers)} tablets can never spare one ({2 + rule.acks} are needed): add one first")
    for kind in (TabletType.REPLICA, TabletType.RDONLY):
        alone = [t for t in view.tablets if t.type == kind]
        if len(alone) == 1 and alone[0].alias in todo - accept_no_route:
            found.append(f"{view}: {alone[0].alias} is the only {kind}: its clients would find no route (accept_no_route: [{alone[0].alias}])")
    if view.primary in todo and not any(t.type in (TabletType.REPLICA, TabletType.DRAINED) for t in view.tablets):
        found.append(f"{view}: primary {view.primary} has no REPLICA to hand over to")
    return found
