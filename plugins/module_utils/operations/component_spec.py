# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Give the Deployments of vtctld, vtgate or vtorc another image, and see their rollouts to the end.

Everything is proved before the first Deployment is written: what servers report, the surge, the dry run. While one rolls, the
keyspaces' claims are held, so that no reparent of ours needs a vtgate or vtctld that is about to go.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from .. import deployments, gates, labels, template, versions
from ..arguments import cluster_spec
from ..claim import ClaimHeld, ClaimLost, Claims, Holder, no_fence
from ..clients.kubernetes import Json
from ..cluster import Cluster, explain, in_parallel, parse_pod, views_of
from ..errors import EdgeError, OutcomeUnknown, Refused, StepFailure, in_short
from ..executor import Process
from ..fleet import SERVING_TYPES, Alias, Pod, Shard, Tablet, TabletType, Vtgate, not_routed_reasons
from ..options import overrides_of
from ..owner_spec import Key, Owning, Stop, can_i, recorded_on, send, to_put_back
from ..owners import Recorded
from ..session import UNCHANGED
from ..timestamps import timestamp
from ..topology import flags_of_spec
from ..waiting import Clock, Look, Report, Waiter, WaitTimeout
from .fleet_info import Member, read_fleet

STEP = "component_spec"
COMPONENTS = tuple(versions.BEFORE)
ORDER = "components_are_in_order"
WEB_PORTS = {"vtorc": 16000}
TRIES = 5  # of a write that meets somebody else's
NAMED = 5
REVISION = "deployment.kubernetes.io/revision"


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        "component": {"type": "str", "required": True, "choices": list(COMPONENTS)},
        "state": {"type": "str", "choices": ["present", "previous"], "default": "present"},
        "image": {"type": "str"},
        "selector": {"type": "str"},
        "web_port": {"type": "int"},
        "override_gates": {"type": "dict", "default": {}},
        "roll": {"type": "str"},
        "keyspace_wait": {"type": "float", "default": 120.0, "no_log": False},
        "rollout_timeout": {"type": "float", "default": 600.0},
        "route_timeout": {"type": "float", "default": 180.0},
    }


@dataclass(frozen=True)
class Target(Owning):
    """A Deployment. container: the one whose image it is about."""

    container: str

    @property
    def image(self) -> str:
        """The image that it is to have."""
        return deployments.image_of(self.wanted, self.container)

    @property
    def rolls(self) -> bool:
        """Whether its rollout is not complete, or not begun."""
        return self.differs or bool(deployments.rollout_problem(self.item))


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
    written: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        holder = Holder.acting(self.params["roll"], self.executor)
        self.claims = Claims(self.cluster.kube, self.cluster.scope.namespace, holder, self.clock)
        self.component = str(self.params["component"])
        self.back = self.params["state"] == "previous"
        self.waiter = Waiter(self.clock, lambda text: self.report(f"{self.component}: {STEP}: {text}"))
        # Each new vtgate is asked in its own Pod, whichever addresses clients have.
        self.cluster.scope = replace(self.cluster.scope, vtgate_addresses=())

    def run(self) -> dict[str, Any]:
        """Look; prove all; then one Deployment after the other: write it, see its rollout to the end."""
        overrides = self._checked_options()
        try:
            targets = self._targets()
            if not any(target.rolls for target in targets):
                return self._result(targets)
            self._prove(targets, overrides)
            if self.params["_check_mode"]:
                self._refuse_held()
                return self._result(targets)
            # While they are held no reparent of ours can begin.
            leases = dict.fromkeys(self._leases(), no_fence)
            with self.claims.holding(leases, self.waiter, self.params["keyspace_wait"]):
                self._roll_all(targets, overrides)
        except Stop as stop:
            raise self._failure(stop.gate, str(stop), stop.next_command) from stop
        except (ClaimHeld, ClaimLost) as error:
            raise self._failure("claim", str(error)) from error
        except EdgeError as error:
            raise self._failure(None, explain(error)) from error
        return self._result(targets)

    # -- what is asked for

    def _checked_options(self) -> dict[str, str]:
        if self.back and self.params["image"]:
            raise ValueError("with state=previous the recorded spec comes back as it was: give no image")
        if not self.back and not self.params["image"]:
            raise ValueError("nothing is wanted: give an image")
        return overrides_of(self.params, ORDER)

    @property
    def _namespaces(self) -> tuple[str, ...]:
        scope = self.cluster.scope
        return scope.namespaces_of_vtgates if self.component == "vtgate" else (scope.namespace,)

    @property
    def _selector(self) -> str:
        chosen = {
            "vtctld": self.params["vtctld_selector"],
            "vtgate": self.cluster.scope.vtgate_selector,
            "vtorc": labels.DEFAULT_VTORC_SELECTOR,
        }
        return str(self.params["selector"] or chosen[self.component])

    def _targets(self) -> list[Target]:
        """The Deployments whose Pods the selector finds, by name. Raises Stop."""
        found = [
            self._target(namespace, item)
            for namespace in self._namespaces
            for item in self.cluster.kube.items(deployments.deployments_path(namespace))
            if _matches(self._selector, item["spec"]["template"]["metadata"].get("labels") or {})
        ]
        if not found:
            where = ", ".join(self._namespaces)
            raise Stop(
                "owner_is_supported",
                f"no Deployment of {self.component} is in namespace {where} ({self._selector}); no other owner is supported",
                f"kubectl -n {self._namespaces[0]} get deployments --show-labels",
            )
        return sorted(found, key=lambda target: target.key)

    def _target(self, namespace: str, item: Json) -> Target:
        key = (namespace, str(item["metadata"]["name"]))
        name, now = deployments.name_of(item), item["spec"]["template"]
        try:
            container = deployments.container_of(now, self.component)
            recorded = recorded_on(item)
            change = template.Change(images={container: self.params["image"]})
            wanted = to_put_back(recorded, now, name) if self.back else template.applied(now, change)
        except ValueError as error:
            raise Stop("spec_is_editable", f"{name} {error}") from error
        return Target(key, item, wanted, recorded, container)

    # -- may it be?

    def _prove(self, targets: list[Target], overrides: dict[str, str]) -> None:
        """Before the first is written, and again under the claims. Raises Stop naming the first that is red."""
        if paused := self.cluster.paused():
            raise Stop(gates.roll_is_not_paused.__name__, paused, "kubectl delete configmap vtops-pause")
        for target in targets:
            if problem := deployments.refusal(target.item):
                raise Stop("owner_is_supported", problem)
            if self.component == "vtgate" and (problem := deployments.surge_problem(target.item)):
                raise Stop("rollout_surges", problem)
        self._require_rights(targets)
        pods = {target.key: self._pods(target) for target in targets}
        reported = {key: self._reported(mine) for key, mine in pods.items()}
        self._may_step(targets, pods, reported)
        self._in_order(targets, pods, overrides)
        for target in targets:
            if target.differs:
                admitted = self._send(target, dry_run=True)["spec"]["template"]
                if template.same(admitted, target.template):
                    raise Stop("admission", f"{deployments.name_of(target.item)}: admission takes the change back")

    def _require_rights(self, targets: list[Target]) -> None:
        granted = self.cluster.rights_to_roll_components(sorted({target.key[0] for target in targets}))
        if problem := granted.problem(STEP):
            raise Stop(gates.rights_are_granted.__name__, problem, can_i(granted.missing[0].namespace))
        if granted.note:
            self._note(granted.note)

    def _pods(self, target: Target) -> list[tuple[Pod, Json]]:
        """Its Pods that are not on their way out."""
        selector = deployments.selector_of(target.item)
        items = self.cluster.kube.pods(target.key[0], selector)
        found = [(parse_pod(item), item) for item in items]
        return [(pod, item) for pod, item in found if not pod.terminating and pod.phase not in ("Succeeded", "Failed")]

    def _reported(self, pods: list[tuple[Pod, Json]]) -> dict[str, str]:
        """What its processes say that they are; empty of one that does not answer."""
        if self.component == "vtgate":
            names = {pod.name for pod, _item in pods}
            clients = [client for client in self.cluster.vtgates() if client.endpoint.pod in names]
            said = in_parallel([partial(_said, client.build_version) for client in clients])
            return {client.endpoint.pod: text for client, text in zip(clients, said, strict=True)}
        return self._pages(self.component, pods)

    def _pages(self, component: str, pods: list[tuple[Pod, Json]]) -> dict[str, str]:
        """What the web pages of vtctlds or vtorcs say."""
        asks = [partial(_said, partial(self._page, component, pod, item)) for pod, item in pods]
        return dict(zip((pod.name for pod, _item in pods), in_parallel(asks), strict=True))

    def _page(self, component: str, pod: Pod, item: Json) -> str:
        port = flags_of_spec(item.get("spec") or {}).get("port", "")
        chosen = self.params["web_port"] if component == self.component else None
        number = chosen or (int(port) if port.isdigit() else WEB_PORTS.get(component, 15000))
        raw = self.cluster.kube.web_get(pod.namespace, pod.name, number, "/debug/vars")
        try:
            return str(json.loads(raw).get("BuildVersion") or "")
        except (ValueError, AttributeError) as error:
            raise EdgeError(f"/debug/vars of {pod.name} cannot be read: {error}") from error

    def _may_step(
        self, targets: list[Target], pods: dict[Key, list[tuple[Pod, Json]]], reported: dict[Key, dict[str, str]]
    ) -> None:
        """No major version is skipped, by what each process reports; its image's tag only where it says nothing."""
        problems = []
        for target in targets:
            for pod, _item in pods[target.key]:
                said = reported[target.key].get(pod.name, "")
                if self.component == "vtgate" and not said and pod.ready:
                    raise Stop(gates.every_vtgate_answers.__name__, f"{pod.name} does not say its version")
                number = versions.of_program(said)
                step = versions.refusal(pod.image(target.container), target.image, str(number or ""))
                if step:
                    problems.append(f"{pod.name}: {step}")
        if problems:
            raise Stop(gates.version_step_is_allowed.__name__, "; ".join(problems[:NAMED]))

    def _in_order(
        self, targets: list[Target], pods: dict[Key, list[tuple[Pod, Json]]], overrides: dict[str, str]
    ) -> None:
        """What comes before it in Vitess' order reports the wanted version, or a later one."""
        wanted = max(filter(None, (versions.of_image(target.image) for target in targets)), default=None)
        if wanted is None:
            raise Stop(ORDER, f"no version can be read from the tag of image {targets[0].image}")
        fleet = read_fleet(self.cluster)
        reported = self._of_tablets(self._concerned(fleet, pods))
        if "vtctld" in versions.BEFORE[self.component]:
            reported |= self._of_vtctlds()
        behind = versions.not_there_yet(wanted, reported)
        if not behind:
            return
        order = ", ".join((*versions.BEFORE[self.component], self.component))
        reason = f"{self.component} comes after them ({order}): {in_short(behind, NAMED)}; wanted {wanted}"
        if ORDER not in overrides:
            raise Stop(ORDER, reason, "roll those first (vtops.vitess.vitess_upgrade does)")
        self._note(f"{ORDER} was passed by override ({overrides[ORDER]}): {reason}")

    def _concerned(self, fleet: Iterable[Member], pods: dict[Key, list[tuple[Pod, Json]]]) -> list[Member]:
        """The tablets that count: of a vtgate those that it watches, so that a cell may come before the next one."""
        if self.component != "vtgate":
            return list(fleet)
        views = self._views({pod.name for mine in pods.values() for pod, _item in mine if pod.ready})
        return [member for member in fleet if any(view.should_see(member.tablet) for view in views)]

    def _views(self, names: set[str]) -> tuple[Vtgate, ...]:
        """What the live vtgates of these Pods show. Raises Stop where one does not answer, or there is none."""
        clients = [client for client in self.cluster.vtgates() if client.endpoint.pod in names]
        views = tuple(view for view in views_of(clients, None) if not view.terminating)
        silent = [f"{view.name}: {view.error}" for view in views if view.error]
        if silent or not views:
            raise Stop(gates.every_vtgate_answers.__name__, "; ".join(silent[:NAMED]) or "no vtgate was found")
        return views

    def _of_tablets(self, members: list[Member]) -> dict[str, str]:
        def ask(member: Member) -> str:
            if member.pod is None:
                return ""
            said = self.cluster.vttablet.vars(member.pod)
            return said.build_version if said.alias in (None, member.alias) else ""

        said = in_parallel([partial(_said, partial(ask, member)) for member in members])
        return {str(member.alias): text for member, text in zip(members, said, strict=True)}

    def _of_vtctlds(self) -> dict[str, str]:
        items = self.cluster.kube.pods(self.cluster.scope.namespace, self.params["vtctld_selector"])
        pods = [(parse_pod(item), item) for item in items]
        found = self._pages("vtctld", [(pod, item) for pod, item in pods if pod.ready and not pod.terminating])
        if not found:
            raise Stop(ORDER, f"no Ready vtctld was found ({self.params['vtctld_selector']})")
        return found

    # -- holding and rolling

    def _leases(self) -> list[str]:
        """Of all keyspaces."""
        return sorted({labels.keyspace_lease(tablet.keyspace) for tablet in self.cluster.vtctld.tablets()})

    def _refuse_held(self) -> None:
        """In check mode: a keyspace in which a reparent is pending."""
        for name in self._leases():
            if lease := self.claims.foreign(name):
                raise Stop("claim", f"a reparent is pending: {name} is held by {lease.identity}")

    def _roll_all(self, targets: list[Target], overrides: dict[str, str]) -> None:
        """Under the claims: look and prove again, then each in turn."""
        now = {target.key: target for target in self._targets()}
        self._prove(list(now.values()), overrides)
        for target in targets:
            expected = self._routed(now[target.key]) if self.component == "vtgate" else frozenset()
            self.waiter.tick()
            if now[target.key].differs:
                self._write(now[target.key])
            self._see_it_through(target, expected)

    def _routed(self, target: Target) -> frozenset[Alias]:
        """The tablets that all of its vtgates route to now: what the new ones must do too. Raises Stop where that lacks a primary."""
        # One that is not Ready serves nobody: the rollout that is put back left it.
        views = self._views({pod.name for pod, _item in self._pods(target) if pod.ready})
        tablets = self._serving()
        lost = {tablet.alias: reasons for tablet in tablets if (reasons := _unrouted(tablet, views))}
        for tablet in tablets:
            if tablet.alias in lost and tablet.type == TabletType.PRIMARY:
                raise Stop(gates.shard_has_healthy_primary.__name__, f"{tablet.alias}: {'; '.join(lost[tablet.alias])}")
        for alias, reasons in list(lost.items())[:NAMED]:
            self._note(f"{alias} was not routed to before: {'; '.join(reasons[:2])}")
        return frozenset(tablet.alias for tablet in tablets) - lost.keys()

    def _serving(self) -> list[Tablet]:
        return [t for t in self.cluster.vtctld.tablets() if t.type in SERVING_TYPES and t.hostname]

    def _write(self, target: Target) -> None:
        """Write it; where somebody else wrote in between, read and prove again before the next try. Raises Stop, EdgeError."""
        now = target
        for _try in range(TRIES):
            try:
                self._send(now, dry_run=False)
            except OutcomeUnknown:
                pass
            except Refused as error:
                if error.status != 409:
                    raise
            else:
                self.written.append(target.name)
                return
            self.clock.sleep(0.2)
            item = self.cluster.kube.get(deployments.deployments_path(*target.key))
            if template.same(item["spec"]["template"], target.wanted):  # ours, and its answer was lost
                self.written.append(target.name)
                return
            now = self._target(target.key[0], item)
            if problem := deployments.refusal(item) or (
                deployments.surge_problem(item) if self.component == "vtgate" else ""
            ):
                raise Stop("rollout_surges", problem)
        raise Stop(
            "conflict", f"{deployments.name_of(target.item)} was changed by somebody else at each of {TRIES} tries"
        )

    def _send(self, target: Target, dry_run: bool) -> Json:
        record = None
        if not dry_run:
            now = target.template
            fingerprint = template.fingerprint(target.wanted)
            stamp, roll = timestamp(self.clock.time()), self.claims.holder.roll
            revision = str((target.item["metadata"].get("annotations") or {}).get(REVISION) or "")
            record = Recorded(None if self.back else now, revision, fingerprint, roll, stamp)
        path, name = deployments.deployments_path(*target.key), deployments.name_of(target.item)
        return send(self.cluster.kube, path, target.item, target.wanted, name, dry_run, record)

    def _see_it_through(self, target: Target, expected: frozenset[Alias]) -> None:
        """Its rollout is complete, each process reports the version, and each new vtgate routes to all that the old ones did."""
        path = deployments.deployments_path(*target.key)

        def complete() -> Look[bool]:
            item = self.cluster.kube.get(path)
            if gave_up := deployments.stuck(item):
                raise Stop("rollout", f"{gave_up}{self._trouble(target)}", self._look_at(target))
            problem = deployments.rollout_problem(item)
            return Look(missing=f"{problem}{self._trouble(target)}") if problem else Look(True)

        def proved() -> Look[bool]:
            missing = self._unproved(target, expected)
            return Look(missing="; ".join(missing[:NAMED])) if missing else Look(True)

        name = deployments.name_of(target.item)
        for look, what, limit, gate in (
            (complete, f"the rollout of {name}", "rollout_timeout", "rollout"),
            (proved, f"every new {self.component} to prove itself", "route_timeout", "routes"),
        ):
            try:
                self.waiter.until(look, what, self.params[limit], every_s=0.5)
            except WaitTimeout as error:
                raise Stop(gate, str(error), self._look_at(target)) from error

    def _look_at(self, target: Target) -> str:
        return (
            f"kubectl -n {target.key[0]} rollout status deployment/{target.key[1]}; back: component_spec state=previous"
        )

    def _trouble(self, target: Target) -> str:
        found = [f"{pod.name}: {pod.trouble}" for pod, _item in self._pods(target) if pod.trouble]
        return f" ({'; '.join(found[:2])})" if found else ""

    def _unproved(self, target: Target, expected: frozenset[Alias]) -> list[str]:
        pods = self._pods(target)
        wanted = versions.of_image(target.image)
        said = self._reported(pods)
        missing = [
            f"{pod.name} reports {said.get(pod.name) or 'nothing'}, not {wanted}"
            for pod, _item in pods
            if versions.of_program(said.get(pod.name, "")) != wanted
        ]
        if missing or self.component != "vtgate":
            return missing
        try:
            views = self._views({pod.name for pod, _item in pods})
        except Stop as stop:
            return [str(stop)]
        tablets = [tablet for tablet in self._serving() if tablet.alias in expected]
        return [reason for tablet in tablets for reason in (f"{tablet.alias}: {r}" for r in _unrouted(tablet, views))]

    # -- what comes of it

    def _failure(self, gate: str | None, reason: str, next_command: str = "") -> StepFailure:
        look = f"kubectl -n {self._namespaces[0]} get deployments -o wide"
        if gate == "claim":
            look = f"kubectl -n {self.cluster.scope.namespace} get leases"
        return StepFailure(
            tablet=self.component,
            step=STEP,
            reason=reason,
            gate=gate,
            state=f"written: {', '.join(self.written)}" if self.written else UNCHANGED,
            next_command=next_command or look,
            resume_command="run the same again: what is written already stays as it is, and its rollout is waited for",
        )

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _result(self, targets: list[Target]) -> dict[str, Any]:
        before = {target.name: template.shown(target.template, {}) for target in targets}
        after = {target.name: template.shown(target.wanted, {}) for target in targets}
        leaving = self._leaving(targets)
        return {
            "changed": any(target.differs for target in targets),
            "component": self.component,
            "before": before,
            "after": after,
            "diff": {"before": before, "after": after},
            "deployments": [
                {"deployment": target.name, "changed": target.differs, "image": target.image} for target in targets
            ],
            "terminating": leaving,
            "notes": self.notes,
        }

    def _leaving(self, targets: list[Target]) -> list[str]:
        """Pods that still drain, by their own flags (C(--onterm-timeout)) and their grace period."""
        found = []
        for target in targets:
            for item in self.cluster.kube.pods(target.key[0], deployments.selector_of(target.item)):
                if item["metadata"].get("deletionTimestamp"):
                    found.append(str(item["metadata"]["name"]))
        return sorted(found)


def _unrouted(tablet: Tablet, views: tuple[Vtgate, ...]) -> tuple[str, ...]:
    """Why these vtgates do not route to the tablet."""
    shard = Shard(tablet.keyspace, tablet.shard, "", None, "", (tablet,), views)
    return not_routed_reasons(shard, tablet)


def _said(ask: Callable[[], str]) -> str:
    """Its answer; empty where there is none: a rule says what that means."""
    try:
        return ask()
    except EdgeError:
        return ""


def _matches(selector: str, have: Json) -> bool:
    """Whether a template's labels fulfil a selector of equalities. Raises ValueError for any other selector."""
    for part in filter(None, (word.strip() for word in selector.split(","))):
        key, equals, value = part.replace("==", "=").partition("=")
        if not equals or key.endswith("!") or " " in part:
            raise ValueError(f"selector: only equalities are supported, not {part!r}")
        if have.get(key) != value:
            return False
    return True
