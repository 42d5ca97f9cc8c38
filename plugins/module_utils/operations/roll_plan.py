# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which tablets a roll takes, in which order and why; refuses a selection that cannot be rolled before anything is touched."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from .. import forecast, gates, labels, plan, plan_document, readiness, rights, vitess_operator
from ..arguments import cluster_spec
from ..cluster import Cluster, in_parallel, of_tablets
from ..durability import POLICIES
from ..errors import EdgeError, in_short
from ..fleet import Alias, Shard, Tablet, TabletType
from ..options import aliases, overrides_of
from ..owners import Wanted
from ..place import Place
from ..rights import Granted, removal_of
from ..versions import Series
from ..waiting import Clock
from .fleet_info import Member, read_fleet
from .tablet_drain import OPEN_TRANSACTIONS

# What can be known of every tablet before the first one is touched: from lists, however many there are.
PREFLIGHT: tuple[gates.Gate, ...] = (
    gates.owner_is_supported,
    gates.owner_is_observed,
    gates.version_step_is_allowed,
)
FLEET_PREFLIGHT: tuple[gates.Gate, ...] = (gates.rights_are_granted,)
SHARD_PREFLIGHT: tuple[gates.Gate, ...] = (
    gates.no_foreign_drain,
    gates.no_backup_or_restore,
)
# What costs requests for each tablet or shard is asked for the shards that come first: how the others do now says little of
# how they will do in hours, and every step proves it anyway, right before it acts.
NEAR_PREFLIGHT: tuple[gates.Gate, ...] = (*PREFLIGHT, gates.mysql_step_is_allowed, gates.new_pod_has_a_place)
NEAR_SHARD_PREFLIGHT: tuple[gates.Gate, ...] = (
    gates.every_vtgate_answers,
    gates.shard_has_healthy_primary,
    *SHARD_PREFLIGHT,
    gates.operator_removes_nothing_else,
    gates.two_mysql_series_at_most,
)
# Of a shard whose primary is to be moved: without it the roll would stop there, with everything else done.
NEAR_PRIMARY_PREFLIGHT: tuple[gates.Gate, ...] = (gates.buffering_covers_reparent,)
# The options that a plan is approved with.
DECIDING = (
    "wanted_since",
    "mysql_series",
    "accept_drained",
    "accept_no_route",
    "override_gates",
    "shards_at_once",
    "canary",
    "one_cell_at_once",
)
SHARDS_ASKED, SHARDS_AT_ONCE = 16, 8
PROBLEMS_NAMED = 20
ROWS_WORTH_A_QUESTION = 100


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        "tablets": {"type": "list", "elements": "str", "required": True},
        "wanted_since": {"type": "str"},
        "mysql_series": {"type": "str"},
        "accept_drained": {"type": "list", "elements": "str", "default": []},
        "accept_no_route": {"type": "list", "elements": "str", "default": []},
        "override_gates": {"type": "dict", "default": {}},
        "shards_at_once": {"type": "int", "default": 1},
        "canary": {"type": "int", "default": 0},
        "one_cell_at_once": {"type": "bool", "default": False},
        "hold_before_reparent": {"type": "bool", "default": False},
        "replicas_wait": {"type": "float", "default": 0.0},
        "wait_replicas_timeout": {"type": "float", "default": 3.0},
        "reparent_timeout": {"type": "float", "default": 6.5},
        "plan": {"type": "dict"},
        "plan_hash": {"type": "str"},
        "keep": {"type": "bool", "default": False},
    }


def run(params: dict[str, Any], cluster: Cluster, clock: Clock) -> dict[str, Any]:
    """Raises plan.Unfit, EdgeError, ValueError."""
    if not params["tablets"]:
        raise plan.Unfit("the selection is empty: no host of the play is a tablet (check --limit and the inventory)")
    chosen = aliases(params["tablets"])
    overrides = overrides_of(params)
    approved = kept_plan(params, cluster) if params["plan_hash"] else params["plan"]
    if approved is not None:
        chosen = _of_plan(approved, chosen)
    since = Wanted.created_after(params["wanted_since"], clock.time()) if params["wanted_since"] else None
    series = Series.parse(params["mysql_series"]) if params["mysql_series"] else None
    fleet = {member.alias: member for member in read_fleet(cluster)}
    unknown = sorted(chosen - set(fleet))
    if unknown and approved is None:
        raise plan.Unfit(f"the topology has no tablet {', '.join(map(str, unknown))}")
    chosen &= set(fleet)
    shards = {_shard_of(fleet[alias]) for alias in chosen}
    concerned = {alias: member for alias, member in fleet.items() if _shard_of(member) in shards}
    steps = {alias: _step(member, since) for alias, member in concerned.items()}
    whole: dict[str, tuple[plan.Step, ...]] = {}
    for step in steps.values():
        whole[step.shard] = (*whole.get(step.shard, ()), step)
    order, document = _arranged(params, approved, steps, chosen)
    if params["replicas_wait"] <= 0 and gates.primary_comes_last.__name__ not in overrides:
        plan.check_primaries_last(order, whole)
    todo = frozenset(step.alias for step in order if step.action == "replace")
    coming = list(dict.fromkeys(_shard_of(fleet[step.alias]) for step in order if step.alias in todo))
    near, far = coming[:SHARDS_ASKED], coming[SHARDS_ASKED:]
    seen = cluster.views(_addresses(concerned.values(), near, len(fleet))) if near else ()
    reads = in_parallel([partial(cluster.read_shard, *key, vtgates=False) for key in near], SHARDS_AT_ONCE)
    views = [replace(read, vtgates=of_tablets(seen, read.tablets)) for read in reads]
    known = _as_listed(cluster, far, concerned.values(), clock)
    preflight = _Preflight(concerned, todo, params, cluster, clock, since, series, overrides)
    pods = [pod for alias in todo if (pod := fleet[alias].pod) is not None]
    removals = {removal_of(pod.owner_kind == vitess_operator.KIND, since is not None) for pod in pods}
    granted = cluster.rights_of_roll(removals) if todo else None
    paused = cluster.paused()
    looks = [partial(preflight.near, view, None if number else granted) for number, view in enumerate(views)]
    found = in_parallel(looks, SHARDS_AT_ONCE)
    problems = [problem for each in found for problem in each]
    problems += [problem for view in known for problem in preflight.far(view)]
    forbidden, unguarded = readiness.of_budgets(
        [step for step in order if step.action == "replace"], views, cluster.budgets() if todo else ()
    )
    problems += forbidden
    if problems:
        raise plan.Unfit(in_short(problems, PROBLEMS_NAMED))
    primaries = [view.primary for view in views if view.primary in todo and not params["hold_before_reparent"]]
    oldest = in_parallel([partial(_oldest_transaction, cluster, alias) for alias in primaries], SHARDS_AT_ONCE)
    notes = [*readiness.notes(order, views, series), *readiness.of_transactions(zip(primaries, oldest, strict=True))]
    notes += [*unguarded, *preflight.passed]
    entries = [member.entry for member in concerned.values() if member.entry is not None]
    ahead = forecast.forecast(order, document["batches"], views, entries, clock.time())
    if approved is None:
        document = {**document, plan_document.FORECAST: ahead.as_dict()}
    return {
        "changed": _keep(params, cluster, document),
        "plan": [{**step.as_dict(), "predicted": before} for step, before in zip(order, _before(order), strict=True)],
        "asked": [f"{keyspace}/{shard}" for keyspace, shard in near],
        "order": [str(step.alias) for step in order],
        "batches": document["batches"],
        "left": sum(step.action != "skip" for step in order),
        "paused": paused,
        "notes": notes,
        "forecast": ahead.as_dict(),
        "document": document,
        "hash": document["hash"],
        "text": "\n".join(
            [
                *_lines(order, document["batches"]),
                *ahead.text(len(concerned)),
                *(f"note: {note}" for note in notes),
                *([f"paused: {paused}"] if paused else []),
            ]
        ),
    }


def _arranged(
    params: dict[str, Any],
    approved: plan_document.Document | None,
    steps: dict[Alias, plan.Step],
    chosen: frozenset[Alias],
) -> tuple[tuple[plan.Step, ...], plan_document.Document]:
    """The order, and the document that says it: the approved one where it can still be done. Raises Unfit where the world has moved."""
    options = {name: params[name] for name in DECIDING}
    if approved is not None:
        moved = plan_document.differences(approved, steps, options, params["hold_before_reparent"])
        if moved:
            named = in_short(moved, PROBLEMS_NAMED)
            raise plan.Unfit(f"the world has moved since the plan was made: {named}", plan_document.NEW_PLAN)
        return plan_document.steps_of(approved, steps), approved
    late = params["hold_before_reparent"] or params["replicas_wait"] > 0
    order = plan.ordered((step for alias, step in steps.items() if alias in chosen), late)
    batches = plan.batches(order, params["shards_at_once"], params["canary"], params["one_cell_at_once"], late)
    return tuple(step for batch in batches for step in batch), plan_document.document(batches, options)


def _oldest_transaction(cluster: Cluster, primary: Alias) -> float:
    """Seconds; 0 where none is open, or where it does not say: its reparent looks again and waits."""
    try:
        return max((float(age or 0) for _thread, age in cluster.vtctld.query(primary, OPEN_TRANSACTIONS)), default=0.0)
    except EdgeError:
        return 0.0


def _name(digest: str) -> str:
    return labels.PLAN_PREFIX + digest[:16]


def kept_plan(params: dict[str, Any], cluster: Cluster) -> plan_document.Document:
    """The plan of that hash that is kept in the cluster. Raises Unfit where there is none."""
    if params["plan"] is not None:
        raise plan.Unfit("plan and plan_hash are two plans: give one of them")
    digest = params["plan_hash"].lower()
    content = cluster.kept(_name(digest), labels.PLAN)
    if content is None:
        raise plan.Unfit(f"no plan of hash {digest} is kept (ConfigMap {_name(digest)})", plan_document.NEW_PLAN)
    found = plan_document.unpacked(content)
    if found.get("hash") != digest:
        raise plan.Unfit(
            f"ConfigMap {_name(digest)} holds the plan {found.get('hash')}, not {digest}", plan_document.NEW_PLAN
        )
    return found


def _keep(params: dict[str, Any], cluster: Cluster, document: plan_document.Document) -> bool:
    """Keep the plan in the cluster where that is asked for; whether that is a change."""
    if not params["keep"]:
        return False
    if problem := cluster.granted(rights.of_kept_plans(cluster.scope.namespace)).problem():
        raise plan.Unfit(problem)
    name = _name(document["hash"])
    if params["_check_mode"]:
        return cluster.kept(name, labels.PLAN) is None
    return cluster.keep(name, labels.PLAN, plan_document.packed(document))


def _of_plan(approved: plan_document.Document, chosen: frozenset[Alias]) -> frozenset[Alias]:
    """The approved plan's tablets. Raises Unfit where the selection leaves one of them out: half a plan is another plan."""
    mine = frozenset(plan_document.tablets_of(approved))
    missing = sorted(mine - chosen)
    if missing:
        raise plan.Unfit(f"the selection leaves out what the plan has: {', '.join(map(str, missing))} (check --limit)")
    return mine


def _shard_of(member: Member) -> tuple[str, str]:
    return member.tablet.keyspace, member.tablet.shard


def _addresses(members: Iterable[Member], shards: Collection[tuple[str, str]], tablets: int) -> frozenset[str] | None:
    """Where the tablets of these shards are and were; None, for all there are, as long as reading all rows is less than so many questions."""
    mine = [member for member in members if _shard_of(member) in shards]
    found = {member.tablet.hostname for member in mine} | {member.entry.address for member in mine if member.entry}
    return frozenset(found - {""}) if tablets > ROWS_WORTH_A_QUESTION * len(found) else None


def _revision(member: Member) -> str:
    return member.owner.update_revision if member.owner else ""


def _wanted(member: Member, since: Wanted | None) -> Wanted:
    return since or Wanted(revision=_revision(member))


def _step(member: Member, since: Wanted | None) -> plan.Step:
    keyspace, shard = _shard_of(member)
    return plan.step_for(f"{keyspace}/{shard}", member.tablet, _wanted(member, since), member.owner, member.in_flight)


def _before(order: tuple[plan.Step, ...]) -> list[list[str]]:
    """For each step the tablets of its shard that the roll will have replaced when it comes to it."""
    done: dict[str, list[str]] = {}
    found = []
    for step in order:
        mine = done.setdefault(step.shard, [])
        found.append(list(mine))
        if step.action != "skip":
            mine.append(str(step.alias))
    return found


def _lines(order: tuple[plan.Step, ...], sizes: list[int]) -> list[str]:
    """A line for each tablet, numbered by the batch that takes it."""
    batch_of = [number for number, size in enumerate(sizes, 1) for _tablet in range(size)]
    return [
        f"{number:3d}. {s.alias} {s.shard} {s.type} {s.action}: {s.reason}"
        for number, s in zip(batch_of, order, strict=True)
    ]


def _as_listed(
    cluster: Cluster, shards: list[tuple[str, str]], members: Iterable[Member], clock: Clock
) -> tuple[Shard, ...]:
    """The shards as the fleet's lists show them: without mysqlds and vtgates; a shard's primary is the tablet that says so last."""
    keyspaces = sorted({keyspace for keyspace, _shard in shards})
    policies = in_parallel([partial(cluster.vtctld.durability, keyspace) for keyspace in keyspaces])
    durability = dict(zip(keyspaces, policies, strict=True))
    tablets: dict[tuple[str, str], list[Tablet]] = {key: [] for key in shards}
    for member in members:
        if _shard_of(member) in tablets:
            tablets[_shard_of(member)].append(member.tablet)
    now = clock.monotonic()
    return tuple(
        Shard(keyspace, shard, durability[keyspace], *_primary(mine), tuple(mine), (), read_started=now, read_ended=now)
        for (keyspace, shard), mine in tablets.items()
    )


def _primary(tablets: list[Tablet]) -> tuple[Alias | None, str]:
    primaries = [tablet for tablet in tablets if tablet.type == TabletType.PRIMARY]
    if not primaries:
        return None, ""
    last = max(primaries, key=lambda tablet: float(tablet.primary_term_start or 0))
    return last.alias, last.primary_term_start


class _Preflight:
    """What no waiting mends: of a shard, of its arithmetic, of each of its tablets that is to be replaced."""

    def __init__(
        self,
        fleet: dict[Alias, Member],
        todo: frozenset[Alias],
        params: dict[str, Any],
        cluster: Cluster,
        clock: Clock,
        since: Wanted | None,
        series: Series | None,
        overrides: dict[str, str],
    ) -> None:
        self._since, self._series, self._overrides = since, series, overrides
        self._fleet, self._todo, self._cluster, self._clock = fleet, todo, cluster, clock
        self._in_flight = {a: m.entry.original_type for a, m in fleet.items() if m.entry is not None and m.in_flight}
        self._hold = bool(params["hold_before_reparent"])
        self.passed: list[str] = []  # what is red and is passed by override, in words
        self._reparent_limit_s = float(params["wait_replicas_timeout"] + params["reparent_timeout"])
        self._accept_drained, self._accept_no_route = (
            aliases(params[name]) for name in ("accept_drained", "accept_no_route")
        )

    def near(self, view: Shard, granted: Granted | None) -> list[str]:
        """Of a shard that was read. granted: what Kubernetes lets us do, with the first shard only."""
        return self._problems(view, NEAR_PREFLIGHT, NEAR_SHARD_PREFLIGHT, granted)

    def far(self, view: Shard) -> list[str]:
        """Of a shard as it is listed."""
        return self._problems(view, PREFLIGHT, SHARD_PREFLIGHT)

    def _problems(
        self,
        view: Shard,
        of_tablet: tuple[gates.Gate, ...],
        of_shard: tuple[gates.Gate, ...],
        granted: Granted | None = None,
    ) -> list[str]:
        mine = [self._fleet[tablet.alias] for tablet in view.tablets if tablet.alias in self._todo]
        resuming = any(tablet.alias in self._in_flight for tablet in view.tablets)
        found: list[str] = []
        for number, member in enumerate(mine):
            case = gates.Case(
                shard=view,
                alias=member.alias,
                now=self._clock.monotonic(),
                owner=member.owner,
                wanted=_wanted(member, self._since),
                mysql_series=self._series,
                place=self._place_of(member) if gates.new_pod_has_a_place in of_tablet else None,
                drained_by_us=self._in_flight,
                accept_drained=self._accept_drained,
                accept_no_route=self._accept_no_route,
                rights=granted,
                reparent_limit_s=self._reparent_limit_s,
                overrides=self._overrides,
            )
            which = of_tablet + (of_shard if number == 0 and not resuming else ())
            if number == 0 and granted is not None:
                which = FLEET_PREFLIGHT + which
            if member.alias == view.primary and not self._hold and of_shard is NEAR_SHARD_PREFLIGHT:
                which += NEAR_PRIMARY_PREFLIGHT
            verdicts = gates.evaluate(which, case)
            found += [f"{member.alias}: {verdict.gate}: {verdict.reason}" for verdict in gates.red(verdicts)]
            self.passed += [f"{member.alias}: {v.gate}: {v.reason}" for v in verdicts if v.overridden]
        chosen = frozenset(member.alias for member in mine)
        return found + never_possible(_at_rest(view, self._in_flight), chosen, self._accept_no_route)

    def _place_of(self, member: Member) -> Place | None:
        if member.pod is None or member.owner is None:
            return None
        return self._cluster.place_on(self._cluster.ground_for(member.pod), member.pod, member.owner)


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
