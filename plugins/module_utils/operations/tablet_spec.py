# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put what is wanted into the spec of the tablets' owners; with OnDelete no Pod goes for it, and a roll does the rest.

All owners are looked at, held against their nodes and sent as a dry run before the first one is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from .. import gates, place, template, versions
from ..arguments import cluster_spec
from ..claim import ClaimHeld, ClaimLost, Claims, Holder
from ..clients.kubernetes import Json
from ..cluster import Cluster, explain, parse_stateful_set, stateful_set_path
from ..errors import EdgeError, OutcomeUnknown, Refused, StepFailure, in_short
from ..executor import Process
from ..fleet import Pod
from ..owner_spec import Key, Owning, Stop, can_i, recorded_on, send, to_put_back
from ..owners import Owner, Recorded
from ..session import UNCHANGED, fences_of
from ..timestamps import timestamp
from ..waiting import Clock, Look, Report, Waiter, WaitTimeout
from .fleet_info import Member, read_fleet

STEP = "tablet_spec"
TRIES = 5  # of a write that meets somebody else's
NAMED = 5


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    of_container = {
        "type": "dict",
        "options": {"requests": {"type": "dict"}, "limits": {"type": "dict"}},
    }
    return {
        **cluster_spec(),
        "tablets": {"type": "list", "elements": "str", "default": []},
        "keyspace": {"type": "str", "no_log": False},
        "shard": {"type": "str"},
        "state": {"type": "str", "choices": ["present", "previous"], "default": "present"},
        "vttablet_image": {"type": "str"},
        "mysqld_image": {"type": "str"},
        "mysql_series": {"type": "str"},
        "images_together": {"type": "bool", "default": False},
        "resources": {"type": "dict", "options": dict.fromkeys(template.CONTAINERS, of_container)},
        "node_selector": {"type": "dict"},
        "affinity": {"type": "dict"},
        "tolerations": {"type": "list", "elements": "dict"},
        "flags": {"type": "dict", "options": {name: {"type": "dict"} for name in template.CONTAINERS}},
        "roll": {"type": "str"},
        "claim_wait": {"type": "float", "default": 0.0},
        "observe_timeout": {"type": "float", "default": 30.0},
    }


@dataclass(frozen=True)
class Target(Owning):
    """A StatefulSet with its tablets. wanted is what the dry run answered, once there was one."""

    members: tuple[Member, ...]
    owner: Owner

    @property
    def path(self) -> str:
        """Where the API has it."""
        return stateful_set_path(*self.key)

    @property
    def shards(self) -> frozenset[tuple[str, str]]:
        """Of its tablets."""
        return frozenset((m.tablet.keyspace, m.tablet.shard) for m in self.members)

    @property
    def pods(self) -> tuple[Pod, ...]:
        """Of its tablets, in their order."""
        return tuple(m.pod for m in self.members if m.pod is not None)


def run(params: dict[str, Any], cluster: Cluster, clock: Clock, report: Report, executor: Process) -> dict[str, Any]:
    """Raises StepFailure, EdgeError, ValueError."""
    return _Run(params, cluster, clock, report, executor).run()


@dataclass
class _Run:
    params: dict[str, Any]
    cluster: Cluster
    clock: Clock
    report: Report
    executor: Process
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        holder = Holder.acting(self.params["roll"], self.executor)
        self.claims = Claims(self.cluster.kube, self.cluster.scope.namespace, holder, self.clock)
        self.change = template.change_of(self.params)
        self.back = self.params["state"] == "previous"
        self.subject = ", ".join(self.params["tablets"][:2]) or "/".join(
            part for part in (self.params["keyspace"], self.params["shard"]) if part
        )
        self.waiter = Waiter(self.clock, lambda text: self.report(f"{self.subject}: {STEP}: {text}"))

    def run(self) -> dict[str, Any]:
        """Look; then, where something is to be written: may it be, would it be admitted and fit; hold, write, have it observed."""
        self._check_options()
        owned = self._owned()
        looked = self._each(sorted(owned), lambda key: self._look(key, owned[key]))
        todo = [target for target in looked if target.differs]
        if todo:
            self._require_rights(todo)
            self._require_mysql_step(todo)
            room = place.Room(self.cluster.nodes(), self._requested_on)
            proved = self._each(todo, lambda target: self._proved(target, room))
            after = {target.key: target for target in proved}
            looked = [after.get(target.key, target) for target in looked]
            if self.params["_check_mode"]:
                self._refuse_held(todo)
            else:
                looked = self._write_all(looked, room)
        if not self.params["_check_mode"]:
            return self._result(looked, self._observed(looked))
        return self._result(looked, {target.key: target.owner for target in looked})

    # -- what is asked for

    def _check_options(self) -> None:
        if not (self.params["tablets"] or self.params["keyspace"]):
            raise ValueError("the selection is empty: name tablets, or a keyspace with or without a shard")
        if self.params["shard"] and not self.params["keyspace"]:
            raise ValueError("a shard needs its keyspace")
        if self.back and not self.change.is_empty:
            raise ValueError(
                "with state=previous the recorded spec comes back as it was: nothing else can be wanted with it"
            )
        if not self.back and self.change.is_empty:
            raise ValueError(
                "nothing is wanted: give an image, resources, node_selector, affinity, tolerations or flags"
            )

    def _owned(self) -> dict[Key, tuple[Member, ...]]:
        """The owners with all of their tablets. Raises StepFailure where they would change a tablet that was not chosen."""
        fleet = read_fleet(self.cluster)
        chosen = [member for member in fleet if self._is_chosen(member)]
        shards = sorted({f"{member.tablet.keyspace}/{member.tablet.shard}" for member in chosen})
        if shards:
            self.subject = shards[0] + (f" and {len(shards) - 1} more" if shards[1:] else "")
        missing = sorted(set(self.params["tablets"]) - {str(member.alias) for member in chosen})
        if missing or not chosen:
            raise ValueError(f"the topology has no tablet {', '.join(missing) or f'in {self.subject}'}")
        problems: list[Stop] = []
        owned: dict[Key, tuple[Member, ...]] = {}
        for member in chosen:
            if member.pod is None or member.owner is None:
                problems.append(
                    Stop("owner_is_supported", f"{member.alias}: no Pod was found, so its owner is not known")
                )
            elif member.owner.refusal:
                problems.append(Stop("owner_is_supported", f"{member.alias}: {member.owner.refusal}"))
            elif member.owner.kind != "StatefulSet":
                owner = f"{member.owner.kind} {member.owner.name}"
                reason = f"{member.alias}: its spec comes down to {owner} from the VitessCluster: change it there"
                problems.append(Stop("owner_is_supported", reason))
            else:
                owned[member.pod.namespace, member.owner.name] = ()
        for member in fleet:
            key = (member.pod.namespace, member.owner.name) if member.pod and member.owner else ("", "")
            if key in owned and not (member.owner and member.owner.refusal):
                owned[key] = (*owned[key], member)
        aliases = {member.alias for member in chosen}
        for (_namespace, name), members in sorted(owned.items()):
            others = [str(member.alias) for member in members if member.alias not in aliases]
            if others:
                problems.append(
                    Stop(
                        "selection",
                        f"StatefulSet {name} has one spec for all of its tablets: choose {', '.join(others[:NAMED])} too",
                        "select the whole shard (keyspace and shard, or check --limit)",
                    )
                )
        self._raise_first(problems)
        return owned

    def _is_chosen(self, member: Member) -> bool:
        tablets, keyspace, shard = (self.params[name] for name in ("tablets", "keyspace", "shard"))
        return (
            (not tablets or str(member.alias) in tablets)
            and keyspace in (None, "", member.tablet.keyspace)
            and shard in (None, "", member.tablet.shard)
        )

    # -- one owner

    def _look(self, key: Key, members: tuple[Member, ...]) -> Target:
        """One read, and what it is to be. Raises Stop, EdgeError."""
        item = self.cluster.kube.get(stateful_set_path(*key))
        owner = parse_stateful_set(item)
        if owner.refusal:
            raise Stop("owner_is_supported", owner.refusal)
        target = Target(key, item, item["spec"]["template"], None, members, owner)
        try:
            target = replace(target, recorded=recorded_on(item))
            name = f"StatefulSet {owner.name}"
            wanted = (
                to_put_back(target.recorded, target.template, name)
                if self.back
                else template.applied(target.template, self.change)
            )
        except ValueError as error:
            raise Stop("spec_is_editable", f"StatefulSet {owner.name} {error}") from error
        return replace(target, wanted=wanted)

    def _proved(self, target: Target, room: place.Room) -> Target:
        """Whether it may be written: images, the dry run's answer, and a place for every Pod. Raises Stop."""
        self._one_image_at_a_time(target)
        admitted = self._send(target, dry_run=True)["spec"]["template"]
        if template.same(admitted, target.template):
            raise Stop("admission", f"StatefulSet {target.owner.name}: admission takes the change back")
        self._fits(replace(target, wanted=admitted), room)
        if any(member.in_flight for member in target.members):
            away = ", ".join(str(member.alias) for member in target.members if member.in_flight)
            self._note(f"{away} is in flight: it comes back with this spec")
        return replace(target, wanted=admitted)

    def _require_mysql_step(self, todo: list[Target]) -> None:
        """What is announced is what the image's tag says, and a step that MySQL documents from what each mysqld reports.

        Before the spec is written: a Pod that goes for any reason would come back with it. Raises StepFailure.
        """
        text, image = self.params["mysql_series"], self.params["mysqld_image"]
        if not text:
            return
        announced = versions.Series.parse(text)
        tagged = versions.of_image(image) if image else None
        if tagged is not None and tagged.series != announced:
            reason = f"mysql_series is {announced}, but the tag of {image} says {tagged.series}"
            raise self._failure(gates.mysql_step_is_allowed.__name__, reason)
        problems = []
        for keyspace, shard in sorted({shard for target in todo for shard in target.shards}):
            read = self.cluster.read_shard(keyspace, shard, vtgates=False)
            verdicts = [
                gate(gates.Case(shard=read, alias=tablet.alias, now=0.0, mysql_series=announced))
                for tablet in read.tablets
                for gate in (gates.mysql_step_is_allowed, gates.two_mysql_series_at_most)
            ]
            problems += [Stop(verdict.gate, verdict.reason) for verdict in gates.red(tuple(verdicts))]
        self._raise_first(problems)

    def _one_image_at_a_time(self, target: Target) -> None:
        if self.params["images_together"] or self.back:
            return
        before = dict(target.owner.images)
        if not template.new_images(before, target.wanted):
            return
        for pod in target.pods:
            if len(both := template.new_images(dict(pod.images), target.wanted)) > 1:
                raise Stop(
                    "one_image_at_a_time",
                    f"{pod.name} would come back with other images of {' and '.join(both)} at once",
                    "roll the first one before the second, or images_together=true",
                )

    def _fits(self, target: Target, room: place.Room) -> None:
        needs = place.parse_needs(target.wanted.get("spec") or {})
        problems = []
        for member in target.members:
            if (pod := member.pod) is None:
                continue
            found = room.take(self.cluster.ground_for(pod), needs, pod.node, pod.requests)
            if found.refusal:
                problems.append(f"{member.alias}: {found.refusal}")
        if problems:
            reason = in_short(problems, NAMED, "more tablets")
            raise Stop(gates.new_pod_has_a_place.__name__, reason, "kubectl describe nodes")

    def _requested_on(self, node: str) -> place.Resources:
        used, note = self.cluster.requested_in_sight(node)
        if note:
            self._note(note)
        return used

    def _send(self, target: Target, dry_run: bool, written: Json | None = None) -> Json:
        """The PATCH of what was read. Raises Stop where it is not admitted, Refused (409) where it was changed since."""
        record = None if written is None else self._to_record(target, written)
        name = f"StatefulSet {target.owner.name}"
        return send(self.cluster.kube, target.path, target.item, target.wanted, name, dry_run, record)

    def _to_record(self, target: Target, written: Json) -> Recorded:
        """What is there now; a spec that no Pod got Ready with is not worth going back to, so the one before it stays on record."""
        old, now = target.recorded, template.fingerprint(target.template)
        fingerprint = template.fingerprint(written)
        stamp = timestamp(self.clock.time())
        roll = self.claims.holder.roll
        if self.back:
            return Recorded(None, target.owner.update_revision, fingerprint, roll, stamp)
        observed = target.owner.observed_generation >= target.owner.generation
        unused = observed and not any(pod.ready and pod.revision == target.owner.update_revision for pod in target.pods)
        if old is not None and old.template is not None and old.fingerprint == now and unused:
            return replace(old, fingerprint=fingerprint)
        return Recorded(target.template, target.owner.update_revision, fingerprint, roll, stamp)

    # -- holding and writing

    def _refuse_held(self, todo: Iterable[Target]) -> None:
        """In check mode: who holds a shard now, where that is somebody else who may live."""
        for name in sorted(self._fences(todo)):
            if lease := self.claims.foreign(name):
                raise self._failure("claim", f"{name} is held by {lease.identity}, renewed {lease.renewed or 'never'}")

    def _fences(self, todo: Iterable[Target]) -> dict[str, Callable[[int], None]]:
        """By the Leases of the shards."""
        shards = {shard for target in todo for shard in target.shards}
        return fences_of(self.cluster, shards, self.claims.holder.roll)

    def _write_all(self, looked: list[Target], room: place.Room) -> list[Target]:
        written: dict[Key, Target] = {}
        todo = [target for target in looked if target.differs]
        try:
            with self.claims.holding(self._fences(todo), self.waiter, self.params["claim_wait"]):
                for target in todo:
                    self.waiter.tick()
                    written[target.key] = self._written(target, room)
        except (Stop, ClaimHeld, ClaimLost, EdgeError) as error:
            raise self._broken_off(error, [t for t in todo if t.key in written], todo) from error
        return [written.get(target.key, target) for target in looked]

    def _written(self, target: Target, room: place.Room) -> Target:
        """Write it; where somebody else wrote in between, read, decide and prove again before the next try. Raises Stop, EdgeError."""
        now = target
        for _try in range(TRIES):
            try:
                self._send(now, dry_run=False, written=now.wanted)
            except OutcomeUnknown:
                pass
            except Refused as error:
                if error.status != 409:
                    raise
            else:
                return replace(now, item=target.item)
            self.clock.sleep(0.2)
            now = self._look(target.key, target.members)
            if not now.differs:  # ours, and its answer was lost; or somebody else's, and just as wanted
                return replace(target, wanted=now.template)
            if not template.same(now.template, target.template):
                # Its share of the nodes was taken when it was proved first.
                now = self._proved(now, place.Room(room.nodes, room.used_on))
            else:
                now = replace(now, wanted=target.wanted)
        raise Stop("conflict", f"StatefulSet {target.owner.name} was changed by somebody else at each of {TRIES} tries")

    def _observed(self, targets: Iterable[Target]) -> dict[Key, Owner]:
        """Each owner once its controller has seen its spec: a roll reads from it which revision is wanted."""
        return {target.key: self._observed_one(target) for target in targets}

    def _observed_one(self, target: Target) -> Owner:
        def look() -> Look[Owner]:
            owner = parse_stateful_set(self.cluster.kube.get(target.path))
            return Look(missing=owner.lag) if owner.lag else Look(owner)

        try:
            found: Owner = self.waiter.until(
                look, f"the controller of StatefulSet {target.owner.name}", self.params["observe_timeout"]
            )
        except WaitTimeout as error:
            state = f"the spec of {target.name} is written" if target.differs else UNCHANGED
            raise self._failure(gates.owner_is_observed.__name__, str(error), state) from error
        return found

    # -- what comes of it

    def _each(self, items: Iterable[Any], do: Any) -> list[Target]:
        """All of them, so that a failure names more than the first that is refused."""
        found, problems = [], []
        for item in items:
            try:
                found.append(do(item))
            except Stop as stop:
                problems.append(stop)
        self._raise_first(problems)
        return found

    def _raise_first(self, problems: list[Stop]) -> None:
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            reason = "; ".join(str(problem) for problem in problems[:NAMED])
            raise self._failure(problems[0].gate, f"{reason}{more}", next_command=problems[0].next_command)

    def _require_rights(self, todo: list[Target]) -> None:
        namespaces = sorted({target.key[0] for target in todo})
        granted = self.cluster.rights_to_specify(namespaces)
        if problem := granted.problem(STEP):
            gate, look = gates.rights_are_granted.__name__, can_i(granted.missing[0].namespace)
            raise self._failure(gate, problem, next_command=look)
        if granted.note:
            self._note(granted.note)

    def _broken_off(self, error: Exception, written: list[Target], todo: list[Target]) -> StepFailure:
        state = UNCHANGED
        if written:
            done = ", ".join(target.name for target in written)
            left = ", ".join(target.name for target in todo if target not in written)
            state = f"written: {done}; not written: {left}"
        elif isinstance(error, OutcomeUnknown):
            state = f"whether {todo[0].name} was written is not known"
        if isinstance(error, Stop):
            return self._failure(error.gate, str(error), state, error.next_command)
        if isinstance(error, ClaimHeld | ClaimLost):
            return self._failure("claim", str(error), state)
        return self._failure(None, explain(error) if isinstance(error, EdgeError) else str(error), state)

    def _failure(self, gate: str | None, reason: str, state: str = UNCHANGED, next_command: str = "") -> StepFailure:
        namespace = self.cluster.scope.namespace
        looks = {"claim": f"kubectl -n {namespace} get leases"}
        return StepFailure(
            tablet=self.subject[:60],
            step=STEP,
            reason=reason,
            gate=gate,
            state=state,
            next_command=next_command or looks.get(gate or "", f"kubectl -n {namespace} get statefulsets -o wide"),
            resume_command="run the same again: what is written already stays as it is",
        )

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _result(self, targets: list[Target], owners: dict[Key, Owner]) -> dict[str, Any]:
        before, after, rows = {}, {}, []
        for target in targets:
            flags = {name: sorted(wanted) for name, wanted in self.change.flags.items()}
            flags = flags or template.flags_that_differ(target.template, target.wanted)
            before[target.name] = template.shown(target.template, flags)
            after[target.name] = template.shown(target.wanted, flags)
            rows.append(
                {
                    "owner": f"{target.owner.kind}/{target.owner.name}",
                    "namespace": target.key[0],
                    "tablets": [str(member.alias) for member in target.members],
                    "changed": target.differs,
                    "revision": owners[target.key].update_revision,
                }
            )
        return {
            "changed": any(target.differs for target in targets),
            "before": before,
            "after": after,
            "diff": {"before": before, "after": after},
            "owners": rows,
            "notes": self.notes,
        }
