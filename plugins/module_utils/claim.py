# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The claim: one Lease per shard that a single roll holds, and the journal in its annotations.

What must outlive a crash is here and nowhere else (design rule 10). Every write is a compare-and-swap by
resourceVersion; a Lease alone is no fence, so removals carry uid and resourceVersion of an annotated Pod too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from . import labels
from .clients.kubernetes import Json, KubernetesClient
from .errors import EdgeError, Refused, StepFailure
from .executor import Process
from .fleet import Alias, TabletType
from .waiting import Clock, Look, Waiter, WaitTimeout

DURATION_S = 30
RENEW_EVERY_S = 10.0
# The longest that a remote command of a holder may still run after the holder lost its claim.
REMOTE_LIMIT_S = 30.0
KEEP_FINISHED = 30
KEEP_PHASES = 60  # of an entry: a step that is run again and again must not fill the Lease
KEEP_ROLLS = 5
TAKE_OVER = "wait for it (claim_wait), or end that ansible-playbook and run the same again"


class ClaimLost(EdgeError):
    """Somebody else holds the claim by now, or our own ansible-playbook is gone: stop, touch nothing more."""


class ClaimHeld(EdgeError):
    """Somebody else holds the claim."""


@dataclass(frozen=True)
class Stop:
    """Why a step of a tablet failed, and when (seconds since the epoch): for the report, no rule reads it."""

    at: float
    roll: str
    step: str
    gate: str
    reason: str
    state: str
    next_command: str

    @classmethod
    def of(cls, failure: StepFailure, roll: str, at: float) -> Stop:
        """Cut to what a Lease with many of them has room for."""
        return cls(
            round(at, 3),
            roll[:80],
            failure.step,
            failure.gate or "",
            failure.reason[:300],
            failure.state[:200],
            failure.next_command[:250],
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Stop:
        """Raises KeyError, ValueError, TypeError."""
        texts = (str(data[name]) for name in ("roll", "step", "gate", "reason", "state", "next_command"))
        return cls(float(data["at"]), *texts)


@dataclass(frozen=True)
class Entry:
    """What the journal says of one tablet. Times are seconds since the epoch.

    address: where it was before it was taken, which vtgates are asked for as well as the new one; empty where that is not known.
    steps: step to (intent, done); done is None while it is under way.

    For the report alone, and not in the journal of an older version: image and revision that it ran before, the rolls that had it
    (the last one last), whom its reparent promoted, which options passed a gate or cut transactions, and its last failure.
    """

    original_type: TabletType = TabletType.UNKNOWN
    wanted: str = ""
    pod_namespace: str = ""
    pod_name: str = ""
    pod_uid: str = ""
    address: str = ""
    server_uuid: str = ""
    position: str = ""
    steps: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    phases: tuple[tuple[str, str, float, float], ...] = ()  # step, phase, start, seconds
    finished: float | None = None
    image: str = ""
    revision: str = ""
    rolls: tuple[str, ...] = ()
    promoted: str = ""
    accepted: tuple[str, ...] = ()
    failure: Stop | None = None

    @property
    def in_flight(self) -> bool:
        """Taken, or about to be, and not brought back yet."""
        return self.finished is None and bool(self.steps)

    def recent(self, now: float) -> bool:
        """Whether its last step ended within the last quarter of an hour: the reparent before this drain."""
        return any(done is not None and now - done < 900 for _begun, done in self.steps.values())

    def anew(self, now: float) -> Entry:
        """To go on with: what an earlier roll did to the tablet, and is over, is none of a new one's doing."""
        if self.in_flight or self.recent(now):
            return self
        return replace(self, steps={}, phases=(), rolls=(), promoted="", accepted=(), failure=self.unsettled)

    @property
    def history(self) -> Entry:
        """What is kept of it for the report when the tablet is taken anew."""
        return Entry(
            phases=self.phases,
            rolls=self.rolls,
            promoted=self.promoted,
            accepted=self.accepted,
            failure=self.unsettled,
        )

    @property
    def unsettled(self) -> Stop | None:
        """The failure after which nothing was finished."""
        return self.failure if self.failure is not None and self.failure.at > (self.finished or 0.0) else None

    def as_dict(self) -> dict[str, Any]:
        """For the annotation and for results."""
        for_report = {
            "image": self.image,
            "revision": self.revision,
            "rolls": list(self.rolls),
            "promoted": self.promoted,
            "accepted": list(self.accepted),
            "failure": None if self.failure is None else asdict(self.failure),
        }
        return {
            "original_type": str(self.original_type),
            "wanted": self.wanted,
            "pod_namespace": self.pod_namespace,
            "pod_name": self.pod_name,
            "pod_uid": self.pod_uid,
            "address": self.address,
            "server_uuid": self.server_uuid,
            "position": self.position,
            "steps": {step: list(times) for step, times in self.steps.items()},
            "phases": [list(phase) for phase in self.phases],
            "finished": self.finished,
            **{name: value for name, value in for_report.items() if value},
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Entry:
        """Raises KeyError, ValueError, TypeError on what this collection did not write."""
        return cls(
            original_type=TabletType(data["original_type"]),
            wanted=str(data.get("wanted", "")),
            pod_namespace=str(data.get("pod_namespace", "")),
            pod_name=str(data.get("pod_name", "")),
            pod_uid=str(data.get("pod_uid", "")),
            address=str(data.get("address", "")),
            server_uuid=str(data.get("server_uuid", "")),
            position=str(data.get("position", "")),
            steps={
                str(step): (float(times[0]), None if times[1] is None else float(times[1]))
                for step, times in data.get("steps", {}).items()
            },
            phases=tuple((str(p[0]), str(p[1]), float(p[2]), float(p[3])) for p in data.get("phases", [])),
            finished=None if data.get("finished") is None else float(data["finished"]),
            image=str(data.get("image", "")),
            revision=str(data.get("revision", "")),
            rolls=tuple(str(roll) for roll in data.get("rolls", [])),
            promoted=str(data.get("promoted", "")),
            accepted=tuple(str(option) for option in data.get("accepted", [])),
            failure=Stop.from_dict(data["failure"]) if data.get("failure") else None,
        )


Journal = dict[Alias, Entry]


def journal_to_text(journal: Journal) -> str:
    """Compact JSON; of the finished entries only the newest are kept."""
    finished = sorted((e.finished or 0.0, a) for a, e in journal.items() if not e.in_flight)
    dropped = {alias for _at, alias in finished[: max(0, len(finished) - KEEP_FINISHED)]}
    return json.dumps(
        {str(a): e.as_dict() for a, e in sorted(journal.items()) if a not in dropped}, separators=(",", ":")
    )


def journal_from_text(text: str) -> Journal:
    """Raises EdgeError where it cannot be read: guessing what an earlier run took would be worse than stopping."""
    try:
        return {Alias.parse(alias): Entry.from_dict(entry) for alias, entry in json.loads(text or "{}").items()}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise EdgeError(f"the claim's journal cannot be read: {error}") from error


@dataclass(frozen=True)
class Holder:
    """Who holds a claim: the roll, the ansible-playbook that executes it, and the process that wrote last.

    part: what of the roll holds it, where its parts may run side by side and only one may have it.
    """

    roll: str
    executor: Process
    actor: Process
    part: str = ""

    @classmethod
    def acting(cls, roll: str | None, executor: Process) -> Holder:
        """This process for a roll; without one, for what this ansible-playbook does by hand."""
        return cls(roll or f"manual-{executor}-{executor.start}", executor, Process.current())

    @property
    def identity(self) -> str:
        """holderIdentity of the Lease: one executor of one roll (the slices of an AWX job share the roll's id)."""
        whole = f"{self.roll}@{self.executor.host}:{self.executor.pid}:{self.executor.start}"
        return f"{whole}/{self.part}" if self.part else whole

    @property
    def is_gone(self) -> bool:
        """It ran here, and neither it nor the last process that acted for it runs any more."""
        return self.executor.is_here and not self.executor.runs and not self.actor.runs


@dataclass
class LeaseState:
    """A Lease as one read of it showed."""

    resource_version: str
    identity: str
    acquired: str
    renewed: str
    duration_s: int
    transitions: int
    holder: Holder | None
    journal: Journal


class _Watch:
    """What one waiter sees of a Lease that somebody else holds, on its own monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._state: LeaseState | None = None
        self._unchanged_since = 0.0
        self.sign_of_life = ""  # why its holder lives, as the last look showed it; empty where nothing says so

    def see(self, state: LeaseState | None) -> None:
        """One look at the Lease."""
        before, self._state = self._state, state
        renewed = before is not None and state is not None and before.resource_version != state.resource_version
        if before is None or renewed:
            self._unchanged_since = self._clock.monotonic()
        self.sign_of_life = ""
        if self._runs_here:
            self.sign_of_life = "it runs on this host"
        elif renewed and not self._ended_here:
            self.sign_of_life = "it renewed it in this moment"

    def lost_to_somebody(self) -> None:
        """The Lease was written by somebody else between our look and our write."""
        self.sign_of_life = "it lives"

    @property
    def _holder(self) -> Holder | None:
        return self._state.holder if self._state is not None else None

    @property
    def _runs_here(self) -> bool:
        return self._holder is not None and self._holder.executor.is_here and self._holder.executor.runs

    @property
    def _ended_here(self) -> bool:
        """A module that outlived its ansible-playbook ends at its next look, whatever it wrote until then."""
        return self._holder is not None and self._holder.executor.is_here and not self._holder.executor.runs

    @property
    def expires_in_s(self) -> float:
        """Seconds until a Lease that stays unchanged may be taken over; negative when it may be."""
        duration_s = self._state.duration_s if self._state is not None else DURATION_S
        return self._unchanged_since + duration_s + REMOTE_LIMIT_S - self._clock.monotonic()

    @property
    def may_be_taken_over(self) -> bool:
        """Its holder is gone, or was silent for long enough; never where it is seen to run."""
        if self._holder is not None and self._holder.is_gone:
            return True
        return self.expires_in_s < 0 and not self._runs_here


def leases_path(namespace: str, name: str = "") -> str:
    """Where the API has a namespace's Leases, or one of them."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases" + (f"/{name}" if name else "")


def no_fence(_transition: int) -> None:
    """Of a Lease behind which no Pod is taken away."""


class Claims:
    """The Leases of one namespace, for one holder."""

    def __init__(self, kube: KubernetesClient, namespace: str, holder: Holder, clock: Clock) -> None:
        self._kube = kube
        self._namespace = namespace
        self.holder = holder
        self._clock = clock

    def of_part(self, part: str) -> Claims:
        """The same for a part of the roll: what one part holds, another one waits for."""
        return Claims(self._kube, self._namespace, replace(self.holder, part=part), self._clock)

    def read(self, name: str) -> LeaseState | None:
        """The Lease, None if nobody ever claimed it."""
        return read_lease(self._kube, self._namespace, name)

    def foreign(self, name: str) -> LeaseState | None:
        """The Lease where somebody else holds it who may live; without a write or a wait, for check mode."""
        state = self.read(name)
        if state is None or state.identity in ("", self.holder.identity):
            return None
        return None if state.holder is not None and state.holder.is_gone else state

    @contextmanager
    def holding(
        self, fences: Mapping[str, Callable[[int], None]], waiter: Waiter, wait_s: float = 0.0
    ) -> Iterator[list[Claim]]:
        """Hold several Leases, taken in the order of their names, so that two of us never wait for each other.

        fences: of each Lease, what a take-over does first. What this holder held before stays held behind it. Raises ClaimHeld, ClaimLost.
        """
        held: list[Claim] = []
        before: set[str] = set()
        tick, waiter.tick = waiter.tick, lambda: tick_all(held)
        try:
            for name in sorted(fences):
                if self.again(name) is not None:
                    before.add(name)
                held.append(self.take(name, waiter, wait_s, fences[name]))
            yield held
        finally:
            waiter.tick = tick
            release_all(claim for claim in held if claim.name not in before)

    def take(
        self,
        name: str,
        waiter: Waiter,
        wait_s: float = 0.0,
        on_take_over: Callable[[int], None] = no_fence,
    ) -> Claim:
        """Hold the Lease, waiting at most wait_s seconds for another holder to release it.

        A holder of this host that is gone, with its last actor, is taken over at once, and one that is seen to run here never.
        Any other is taken over when its Lease was not renewed for its duration plus the remote command limit, on this machine's
        monotonic clock. That is watched for whatever wait_s is: a dead holder of another host differs from a live one only in
        that it does not renew. The first renewal that is seen after wait_s ends it. Raises ClaimHeld naming the holder.
        """
        watch = _Watch(self._clock)
        look = partial(self._look, name, watch, on_take_over)

        def held(missing: str) -> ClaimHeld:
            return ClaimHeld(f"{name} is {missing}: {watch.sign_of_life or 'nobody could take it over'}; {TAKE_OVER}")

        def look_for_a_renewal() -> Look[Claim]:
            seen = look()
            if seen.value is None and watch.sign_of_life:
                raise held(seen.missing)
            return seen

        try:
            return waiter.until(look, f"claim {name}", wait_s, every_s=1.0)
        except WaitTimeout as timeout:
            if watch.sign_of_life:
                raise held(timeout.last_missing) from timeout
        what = f"the holder of {name} to renew it, or to be taken for dead"
        try:
            return waiter.until(look_for_a_renewal, what, watch.expires_in_s + 1.0, every_s=1.0)
        except WaitTimeout as timeout:
            raise held(timeout.last_missing) from timeout

    def _look(self, name: str, watch: _Watch, on_take_over: Callable[[int], None]) -> Look[Claim]:
        """Take the Lease if that may be done now, else say who holds it."""
        state = self.read(name)
        watch.see(state)
        try:
            if state is None or not state.identity or state.identity == self.holder.identity:
                return Look(self._write(name, state))
            if watch.may_be_taken_over:
                # The fence first: a claim that was taken without one would be held unfenced by the next try.
                on_take_over(state.transitions + 1)
                return Look(self._write(name, state))
        except ClaimLost:
            if not self.holder.executor.runs:
                raise
            watch.lost_to_somebody()
            return Look(missing="being taken by somebody else in this moment")
        since = f" since {state.acquired}" if state.acquired else ""
        return Look(missing=f"held by {state.identity}{since}, renewed {state.renewed or 'never'}")

    def _write(self, name: str, state: LeaseState | None) -> Claim:
        """Take what was read: our own again, or with the next transition."""
        claim = self._claim(name, state)
        claim.save()
        return claim

    def again(self, name: str) -> Claim | None:
        """The Lease as ours, without a write or a wait; None where it is not ours, or not any more."""
        state = self.read(name)
        return self._claim(name, state) if state is not None and state.identity == self.holder.identity else None

    def _claim(self, name: str, state: LeaseState | None) -> Claim:
        ours = state is not None and state.identity == self.holder.identity
        return Claim(
            self,
            name,
            state.resource_version if state else "",
            state.transitions + (not ours) if state else 0,
            dict(state.journal) if state else {},
            state.acquired if state and ours else "",
        )

    def stamp(self) -> str:
        """Now, as a Lease has it."""
        return datetime.fromtimestamp(self._clock.time(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def put(
        self, name: str, resource_version: str, transitions: int, journal: Journal, identity: str, acquired: str = ""
    ) -> str:
        """Create or replace the Lease by compare-and-swap; its new resourceVersion. Raises Refused (409) where somebody was faster."""
        now = self.stamp()
        who = {
            "roll": self.holder.roll,
            "executor": self.holder.executor.as_dict(),
            "actor": self.holder.actor.as_dict(),
        }
        body: Json = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": name,
                "namespace": self._namespace,
                "labels": {labels.MANAGED_BY: labels.MANAGER},
                "annotations": {
                    labels.JOURNAL: journal_to_text(journal),
                    labels.EXECUTOR: json.dumps(who, separators=(",", ":")),
                },
            },
            "spec": {
                "holderIdentity": identity,
                "leaseDurationSeconds": DURATION_S,
                "acquireTime": acquired or now,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }
        if resource_version:
            body["metadata"]["resourceVersion"] = resource_version
            written = self._kube.request("PUT", leases_path(self._namespace, name), body=body)
        else:
            written = self._kube.request("POST", leases_path(self._namespace), body=body)
        return str(written["metadata"]["resourceVersion"])

    @property
    def clock(self) -> Clock:
        """The clock of all its claims."""
        return self._clock


class Claim:
    """A Lease that we hold. Every act renews it first; losing it raises ClaimLost."""

    def __init__(
        self,
        claims: Claims,
        name: str,
        resource_version: str,
        transitions: int,
        journal: Journal,
        acquired: str = "",
    ) -> None:
        self._claims = claims
        self.name = name
        self.taken_at = (
            resource_version  # the version of the Lease that was found and taken; empty where there was none
        )
        self._resource_version = resource_version
        self._acquired = acquired or claims.stamp()
        self.transitions = transitions
        self.journal = journal
        self.held = True
        self._renewed = 0.0

    @property
    def roll(self) -> str:
        """The roll that holds it."""
        return self._claims.holder.roll

    def save(self) -> None:
        """Write journal and renewTime. Raises ClaimLost."""
        if not self._claims.holder.executor.runs:
            raise ClaimLost(f"the ansible-playbook that holds {self.name} is gone ({self._claims.holder.executor})")
        try:
            self._resource_version = self._claims.put(
                self.name,
                self._resource_version,
                self.transitions,
                self.journal,
                self._claims.holder.identity,
                self._acquired,
            )
        except Refused as error:
            if error.status in (404, 409):
                raise ClaimLost(f"{self.name} was taken by somebody else") from error
            raise
        self._renewed = self._claims.clock.monotonic()

    def renew(self) -> None:
        """Before an act: renew now. Raises ClaimLost."""
        self.save()

    def tick(self) -> None:
        """In a wait: renew if it is time. Raises ClaimLost."""
        if not self._claims.holder.executor.runs or self._claims.clock.monotonic() - self._renewed >= RENEW_EVERY_S:
            self.save()

    def entry(self, alias: Alias) -> Entry:
        """What the journal says of a tablet."""
        return self.journal.get(alias, Entry())

    def record(self, alias: Alias, entry: Entry) -> None:
        """Write a tablet's entry. Raises ClaimLost."""
        self.journal[alias] = entry
        self.save()

    def intend(self, alias: Alias, entry: Entry, step: str) -> Entry:
        """Write that a step is about to be done."""
        now = self._claims.clock.time()
        started = replace(self._ours(entry), steps={**entry.steps, step: (now, None)}, finished=None)
        self.record(alias, started)
        return started

    def did(self, alias: Alias, entry: Entry, step: str, finished: bool = False) -> Entry:
        """Write that a step is done, and with finished that the tablet is back where it was."""
        now = self._claims.clock.time()
        begun = entry.steps.get(step, (now, None))[0]
        finished_at = now if finished else entry.finished
        done = replace(self._ours(entry), steps={**entry.steps, step: (begun, now)}, finished=finished_at)
        self.record(alias, done)
        return done

    def _ours(self, entry: Entry) -> Entry:
        """With this roll as the last one that had the tablet."""
        if entry.rolls[-1:] == (self.roll,):
            return entry
        return replace(entry, rolls=(*entry.rolls, self.roll)[-KEEP_ROLLS:])

    def release(self) -> None:
        """Empty the holder and keep the journal."""
        self.held = False
        try:
            self._claims.put(self.name, self._resource_version, self.transitions, self.journal, "")
        except Refused as error:
            if error.status in (404, 409):
                raise ClaimLost(f"{self.name} was taken by somebody else") from error
            raise


def tick_all(held: Iterable[Claim]) -> None:
    """In a wait: renew each if it is time. Raises ClaimLost."""
    for claim in held:
        claim.tick()


def release_all(held: Iterable[Claim]) -> None:
    """One that cannot be released expires; why a step failed must not be lost over it."""
    for claim in held:
        with suppress(EdgeError):
            claim.release()


def read_lease(kube: KubernetesClient, namespace: str, name: str) -> LeaseState | None:
    """A Lease, None where nobody ever claimed it. Raises EdgeError."""
    found = kube.find(leases_path(namespace, name))
    return None if found is None else parse_lease(found)


def parse_lease(item: Json) -> LeaseState:
    """From coordination.k8s.io/v1. Raises EdgeError where the journal cannot be read."""
    meta, spec = item["metadata"], item.get("spec") or {}
    annotations = {str(k): str(v) for k, v in (meta.get("annotations") or {}).items()}
    holder: Holder | None
    try:
        who = json.loads(annotations.get(labels.EXECUTOR) or "{}")
        holder = Holder(str(who["roll"]), Process.from_dict(who["executor"]), Process.from_dict(who["actor"]))
    except (ValueError, KeyError, TypeError):
        holder = None
    return LeaseState(
        resource_version=str(meta.get("resourceVersion") or ""),
        identity=str(spec.get("holderIdentity") or ""),
        acquired=str(spec.get("acquireTime") or ""),
        renewed=str(spec.get("renewTime") or ""),
        duration_s=int(spec.get("leaseDurationSeconds") or DURATION_S),
        transitions=int(spec.get("leaseTransitions") or 0),
        holder=holder,
        journal=journal_from_text(annotations.get(labels.JOURNAL, "")),
    )
