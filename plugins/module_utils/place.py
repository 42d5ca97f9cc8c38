# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a tablet's next Pod may run: what each node offers against what the Pod's spec and its volumes ask for. Pure.

The scheduler's own required rules (kubernetes.io/docs/concepts/scheduling-eviction): node Ready and not cordoned, taints,
nodeSelector, required node affinity, the volumes' node affinity, requests against allocatable. Not looked at: affinity to
other Pods, spread constraints, host ports, preemption.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

Json = dict[str, Any]
Resources = tuple[tuple[str, Decimal], ...]  # name to quantity, in its base unit (cores, bytes, pieces)

HARD = ("NoSchedule", "NoExecute")
NAMED = 5  # how many nodes a refusal names

_QUANTITY = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i))?$")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


@dataclass(frozen=True)
class Place:
    """Nodes that would take the new Pod, and why none would (refusal, empty if one would). note: what could not be compared."""

    nodes: tuple[str, ...] = ()
    refusal: str = ""
    note: str = ""


@dataclass(frozen=True)
class Expression:
    """One requirement on a node's label, or on its name."""

    key: str
    operator: str
    values: tuple[str, ...] = ()
    on_name: bool = False

    def matches(self, node: Node) -> bool:
        """An operator that is not known here matches nothing."""
        have = node.name if self.on_name else dict(node.labels).get(self.key)
        match self.operator:
            case "In":
                return have in self.values
            case "NotIn":
                return have not in self.values
            case "Exists":
                return have is not None
            case "DoesNotExist":
                return have is None
            case "Gt" | "Lt":
                return _compares(self.operator, have, self.values)
        return False


def _compares(operator: str, have: str | None, values: tuple[str, ...]) -> bool:
    try:
        number, limit = int(have or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return number > limit if operator == "Gt" else number < limit


Term = tuple[Expression, ...]  # all of them; a term without any matches no node


@dataclass(frozen=True)
class Toleration:
    """As in a Pod's spec; an empty key or effect is every one."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def tolerates(self, taint: Taint) -> bool:
        """Whether it lets the Pod onto a node with this taint."""
        if self.effect not in ("", taint.effect):
            return False
        if not self.key:
            return self.operator == "Exists"
        return self.key == taint.key and (self.operator == "Exists" or self.value == taint.value)


@dataclass(frozen=True)
class Taint:
    """As in a node's spec."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}{'=' + self.value if self.value else ''}:{self.effect}"


@dataclass(frozen=True)
class Node:
    """A node, as one read of it showed."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()
    ready: bool = True
    cordoned: bool = False
    taints: tuple[Taint, ...] = ()
    allocatable: Resources = ()


@dataclass(frozen=True)
class Needs:
    """What a Pod's spec asks of a node. terms is None where it has no required node affinity."""

    selector: tuple[tuple[str, str], ...] = ()
    terms: tuple[Term, ...] | None = None
    tolerations: tuple[Toleration, ...] = ()
    requests: Resources = ()


@dataclass(frozen=True)
class Ground:
    """The nodes, and the terms of each volume that is bound to some of them; refusal says why they are not known."""

    nodes: tuple[Node, ...] = ()
    volumes: tuple[tuple[Term, ...], ...] = ()
    refusal: str = ""


def fitting(ground: Ground, needs: Needs) -> tuple[tuple[Node, ...], str]:
    """The nodes that would take the Pod if they have room; and why none would, empty if one would."""
    if ground.refusal:
        return (), ground.refusal
    near = [node for node in ground.nodes if all(reaches(terms, node) for terms in ground.volumes)]
    problems = {node.name: unfit(node, needs) for node in near}
    good = tuple(node for node in near if not problems[node.name])
    if good:
        return good, ""
    return (), summary(problems.values()) or "no node fits the tablet's volumes"


def summary(problems: Iterable[str]) -> str:
    """The first few."""
    found = list(problems)
    more = f"; and {len(found) - NAMED} more nodes" if len(found) > NAMED else ""
    return "; ".join(found[:NAMED]) + more


def reaches(terms: Sequence[Term], node: Node) -> bool:
    """Whether one of the terms lets a node have what they are about."""
    return any(term and all(expression.matches(node) for expression in term) for term in terms)


def unfit(node: Node, needs: Needs) -> str:
    """Why this node would not take the Pod, whatever room it has; empty if it would."""
    if node.cordoned:
        return f"{node.name} is cordoned"
    if not node.ready:
        return f"{node.name} is not Ready"
    for taint in node.taints:
        if taint.effect in HARD and not any(one.tolerates(taint) for one in needs.tolerations):
            return f"{node.name} has the taint {taint}, which the Pod does not tolerate"
    labels = dict(node.labels)
    missing = [f"{key}={value}" for key, value in needs.selector if labels.get(key) != value]
    if missing:
        return f"{node.name} has not the label {', '.join(missing)} of the Pod's nodeSelector"
    if needs.terms is not None and not reaches(needs.terms, node):
        return f"{node.name} does not match the Pod's required node affinity"
    return ""


def lacking(node: Node, requests: Resources, used: Resources) -> str:
    """What a node has too little of beside what its other Pods request; empty if nothing."""
    has, taken = dict(node.allocatable), dict(used)
    short = []
    for name, amount in requests:
        free = has.get(name, Decimal(0)) - taken.get(name, Decimal(0))
        if amount > free:
            short.append(f"{name} (asks {_shown(amount)}, {_shown(max(free, Decimal(0)))} are free)")
    return f"{node.name} has too little {', '.join(short)}" if short else ""


def covered_by(requests: Resources, present: Resources) -> bool:
    """Whether a Pod that asks for no more than the present one fits where that one leaves."""
    have = dict(present)
    return all(amount <= have.get(name, Decimal(0)) for name, amount in requests)


@dataclass
class Room:
    """What several next Pods leave of the nodes, one after the other: each alone may fit where together they do not.

    used_on: what the Pods of a node request now. What a smaller successor frees is given to nobody, as it may come last.
    """

    nodes: tuple[Node, ...]
    used_on: Callable[[str], Resources]
    _used: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    _others: dict[str, int] = field(default_factory=dict)

    def take(self, ground: Ground, needs: Needs, node: str, present: Resources) -> Place:
        """Where the successor of a Pod on that node may go; its share of that node is taken then."""
        fit, refusal = fitting(replace(ground, nodes=self.nodes), needs)
        if refusal:
            return Place((), refusal)
        own, short = dict(present), []
        for candidate in sorted(fit, key=lambda one: (one.name != node, one.name)):
            stays = candidate.name == node
            if stays and covered_by(needs.requests, present):
                return Place((node,))
            used = self._used_on(candidate.name)
            left = {name: amount - own.get(name, Decimal(0)) for name, amount in used.items()} if stays else used
            problem = lacking(candidate, needs.requests, tuple(left.items()))
            if not problem:
                for name, amount in needs.requests:
                    more = amount - own.get(name, Decimal(0)) if stays else amount
                    used[name] = used.get(name, Decimal(0)) + max(more, Decimal(0))
                self._others[candidate.name] = self._others.get(candidate.name, 0) + 1
                return Place((candidate.name,))
            others = self._others.get(candidate.name, 0)
            short.append(f"{problem}{f', beside {others} more of these Pods' if others else ''}")
        return Place((), summary(short))

    def _used_on(self, node: str) -> dict[str, Decimal]:
        if node not in self._used:
            self._used[node] = dict(self.used_on(node))
        return self._used[node]


def total(requests: Iterable[Resources]) -> Resources:
    """Their sum."""
    found: dict[str, Decimal] = {}
    for one in requests:
        for name, amount in one:
            found[name] = found.get(name, Decimal(0)) + amount
    return tuple(sorted(found.items()))


def _shown(amount: Decimal) -> str:
    for name, power in reversed(_BINARY.items()):
        if amount >= 2**power and power >= 20:
            return f"{amount / 2**power:.1f}{name}"
    return f"{amount.normalize():f}"


# -- from the API's JSON


def parse_quantity(text: Any) -> Decimal:
    """Kubernetes' C(500m), C(1Gi), C(1e3). Raises ValueError."""
    match = _QUANTITY.match(str(text))
    if not match:
        raise ValueError(f"not a quantity: {text!r}")
    number, exponent, suffix = Decimal(match[1]), match[2], match[3]
    if exponent:
        return number.scaleb(int(exponent[1:]))
    if suffix in _BINARY:
        return number * 2 ** _BINARY[suffix]
    return number.scaleb(_DECIMAL[suffix]) if suffix else number


def parse_resources(quantities: Mapping[str, Any] | None) -> Resources:
    """From allocatable, requests or limits."""
    return tuple(sorted((name, parse_quantity(text)) for name, text in (quantities or {}).items()))


def parse_requests(pod_spec: Json) -> Resources:
    """What a Pod reserves: its containers and sidecars together, or its largest init container; and one of the node's Pods.

    A limit without a request is the request, as the API server makes it.
    """
    running = [_of_container(c) for c in pod_spec.get("containers") or []]
    found: dict[str, Decimal] = {}
    for container in pod_spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            running.append(_of_container(container))
        else:
            for name, amount in _of_container(container):
                found[name] = max(found.get(name, Decimal(0)), amount)
    for name, amount in total(running):
        found[name] = max(found.get(name, Decimal(0)), amount)
    overhead = parse_resources(pod_spec.get("overhead"))
    return total([tuple(found.items()), overhead, (("pods", Decimal(1)),)])


def _of_container(container: Json) -> Resources:
    resources = container.get("resources") or {}
    return parse_resources({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def parse_needs(pod_spec: Json) -> Needs:
    """From a Pod's spec or a template's."""
    affinity = ((pod_spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    return Needs(
        selector=tuple(sorted((pod_spec.get("nodeSelector") or {}).items())),
        terms=None if affinity is None else parse_terms(affinity),
        tolerations=tuple(
            Toleration(
                str(item.get("key") or ""),
                str(item.get("operator") or "Equal"),
                str(item.get("value") or ""),
                str(item.get("effect") or ""),
            )
            for item in pod_spec.get("tolerations") or []
        ),
        requests=parse_requests(pod_spec),
    )


def parse_terms(selector: Json) -> tuple[Term, ...]:
    """From a NodeSelector."""
    return tuple(
        tuple(_expression(item, False) for item in term.get("matchExpressions") or [])
        + tuple(_expression(item, True) for item in term.get("matchFields") or [])
        for term in selector.get("nodeSelectorTerms") or []
    )


def _expression(item: Json, on_name: bool) -> Expression:
    return Expression(str(item["key"]), str(item["operator"]), tuple(map(str, item.get("values") or [])), on_name)


def parse_volume(volume: Json) -> tuple[Term, ...] | None:
    """The node terms of a core/v1 PersistentVolume; None where it may be used on every node."""
    required = ((volume.get("spec") or {}).get("nodeAffinity") or {}).get("required")
    return None if required is None else parse_terms(required)


def parse_node(item: Json) -> Node:
    """From core/v1."""
    spec, status = item.get("spec") or {}, item.get("status") or {}
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or []}
    return Node(
        name=str(item["metadata"]["name"]),
        labels=tuple(sorted((item["metadata"].get("labels") or {}).items())),
        ready=conditions.get("Ready") == "True",
        cordoned=bool(spec.get("unschedulable")),
        taints=tuple(
            Taint(str(t["key"]), str(t.get("value") or ""), str(t.get("effect") or ""))
            for t in spec.get("taints") or []
        ),
        allocatable=parse_resources(status.get("allocatable")),
    )
