# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One operation on one tablet: where it is, what it may do, what it holds, how long each phase took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from . import advice, gates, labels, vitess_operator
from .claim import KEEP_PHASES, Claim, ClaimHeld, ClaimLost, Claims, Entry, Holder, Journal, Stop
from .cluster import Cluster, explain, in_parallel
from .errors import EdgeError, OutcomeUnknown, Refused, StepFailure
from .executor import Process
from .fleet import Alias, Pod, Shard, Tablet, TabletType
from .gates import Case, Gate, Verdict
from .options import aliases, overrides_of
from .owners import Owner, Wanted
from .place import Place
from .versions import Series
from .waiting import Clock, Look, Report, Waiter, WaitTimeout

UNCHANGED = "nothing was changed"
# How long a busy cluster is given to answer one read of a shard within the age that evidence may have.
FRESH_WITHIN_S = 30.0
ACT_MARGIN_S = 0.4
CANARY_TRIES = 2  # clients' writes hang as long as a canary does


@dataclass
class Phases:
    """Seconds by phase, in order."""

    clock: Clock
    taken: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what is inside."""
        started = self.clock.monotonic()
        stamp = self.clock.time()
        try:
            yield
        finally:
            self.taken.append(
                {"phase": name, "seconds": round(self.clock.monotonic() - started, 3), "started": round(stamp, 3)}
            )


class Session:
    """What an operation works with. Raises StepFailure for everything that an operator should read."""

    def __init__(
        self, step: str, params: dict[str, Any], cluster: Cluster, clock: Clock, report: Report, executor: Process
    ) -> None:
        self.step = step
        self.params = params
        self.cluster = cluster
        self.clock = clock
        self.phases = Phases(clock)
        self.verdicts: tuple[Verdict, ...] = ()
        self._overridden: dict[str, str] = {}
        self.alias = self._alias(params["tablet"])
        self.manual = not params.get("roll")
        self.claims = Claims(cluster.kube, cluster.scope.namespace, Holder.acting(params.get("roll"), executor), clock)
        self.waiter = Waiter(clock, lambda text: report(f"{self.alias}: {step}: {text}"))
        self.claim: Claim | None = None
        self._journal: Journal = {}
        self._held_before = False
        self._located_at: str | None = (
            None  # version of the shard's Lease as locate() saw it; None where somebody else held it
        )
        self._read_under_claim = False
        self.must_look_again = False  # what was looked at may be another holder's doing: run the operation from its top
        self.keyspace = ""
        self.shard_name = ""
        self.state = UNCHANGED
        self._pod: Pod | None = None  # the tablet's, as it was found last
        self.agreed = False  # every vtgate was seen to serve the new primary
        self.pod_found: Pod | None = None  # by other means than its address and the journal: a dead tablet's
        # Vtgates are asked for all tablets and not by address; each step of a roll of 10,000 could not afford that.
        self.asks_for_all = self.manual

    def _alias(self, text: str) -> Alias:
        try:
            return Alias.parse(text)
        except ValueError as error:
            raise StepFailure(
                text, self.step, str(error), next_command="give the alias as vtctldclient GetTablets shows it"
            ) from error

    # -- failures

    def failure(self, reason: str, gate: str | None = None, next_command: str = "", state: str = "") -> StepFailure:
        """A failure of this step."""
        return StepFailure(
            tablet=str(self.alias),
            step=self.step,
            reason=reason,
            gate=gate,
            state=state or self.state,
            next_command=next_command or advice.look(gate, self.where),
            resume_command=advice.resume(self.step, self.manual, self.where),
            headline=advice.HEADLINES.get(gate or "", ""),
        )

    @property
    def where(self) -> advice.Where:
        """For the commands of a failure."""
        scope = self.cluster.scope
        return advice.Where(
            alias=str(self.alias),
            keyspace=self.keyspace,
            shard=self.shard_name,
            namespace=scope.namespace,
            vtgate_selector=scope.vtgate_selector,
            lease=self.lease_name,
            taken=self.entry.in_flight,
        )

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Turn the edges' errors into this step's failure."""
        try:
            yield
        except WaitTimeout as error:
            raise self.failure(str(error)) from error
        except (ClaimHeld, ClaimLost) as error:
            raise self.failure(str(error), gate="claim") from error
        except EdgeError as error:
            raise self.failure(explain(error)) from error

    # -- reading

    def locate(self) -> None:
        """Find keyspace and shard of the tablet, and what the claim's journal says of it. Writes nothing."""
        self.keyspace, self.shard_name = self.params["keyspace"] or "", self.params["shard"] or ""
        try:
            if not (self.keyspace and self.shard_name):
                self.keyspace, self.shard_name = self.cluster.shard_of(self.alias)
        except Refused as error:
            if error.status in (401, 403):
                raise
            raise self.failure(
                f"the topology has no tablet {self.alias}: {error}", next_command="vtctldclient GetTablets"
            ) from error
        state = self.claims.read(self.lease_name)
        self._journal = state.journal if state else {}
        self.must_look_again, self.state = False, UNCHANGED
        if self.claim is None:
            self._held_before = state is not None and state.identity == self.claims.holder.identity
            free = state is None or self._held_before or not state.identity
            self._located_at = (state.resource_version if state else "") if free else None

    @property
    def lease_name(self) -> str:
        """The shard's Lease."""
        return labels.shard_lease(self.keyspace, self.shard_name)

    @property
    def journal(self) -> Journal:
        """The claim's journal, as read or as held."""
        return self.claim.journal if self.claim else self._journal

    @property
    def entry(self) -> Entry:
        """The journal's entry of this tablet."""
        return self.journal.get(self.alias, Entry())

    @property
    def removal_intended(self) -> bool:
        """Whether the journal says that this tablet's Pod was about to be removed: it had been drained, idle and identified."""
        return self.entry.in_flight and "replace" in self.entry.steps

    def read(
        self, mysqlds: bool = True, vtgates: bool = True, work: bool = False, canary: bool = False
    ) -> tuple[Shard, Tablet]:
        """The shard now, and this tablet in it."""
        self._read_under_claim = self.claim is not None or self._held_before
        former = None if self.asks_for_all else {e.address for e in self.journal.values() if e.address}
        shard = self.cluster.read_shard(self.keyspace, self.shard_name, mysqlds, vtgates, work, canary, former)
        tablet = shard.tablet(self.alias)
        if tablet is None:
            raise self.failure(f"{shard} has no tablet {self.alias} any more")
        return shard, tablet

    def pod_of(self, tablet: Tablet) -> Pod | None:
        """The tablet's Pod: at its address, or by the stable name that the journal kept (a blank address while it restarts)."""
        self._pod = tablet.pod or self._pod_by_name()
        return self._pod

    def _pod_by_name(self) -> Pod | None:
        if self.pod_found is not None:
            return self.cluster.pod(self.pod_found.namespace, self.pod_found.name)
        entry, scope = self.entry, self.cluster.scope
        if not entry.pod_name:
            return None
        namespaces = (entry.pod_namespace,) if entry.pod_namespace else scope.namespaces_of_tablets
        found = [pod for pod in (self.cluster.pod(namespace, entry.pod_name) for namespace in namespaces) if pod]
        found = [pod for pod in found if pod.alias in (None, self.alias)]
        if len(found) > 1:
            raise self.failure(f"its Pod {entry.pod_name} is in {len(found)} namespaces: narrow tablet_namespaces")
        return found[0] if found else None

    def wanted(self, owner: Owner | None) -> Wanted | None:
        """What this tablet must be: as the caller says, else as the journal froze it, else what the owner's spec says now."""
        if self.params.get("wanted_since"):
            try:
                return Wanted.created_after(self.params["wanted_since"], self.clock.time())
            except ValueError as error:
                raise self.failure(str(error), next_command="correct wanted_since, then run the same again") from error
        if self.params.get("wanted_revision"):
            return Wanted(revision=self.params["wanted_revision"])
        if self.entry.in_flight and self.entry.wanted:
            return Wanted(revision=self.entry.wanted)
        return Wanted(revision=owner.update_revision) if owner is not None and owner.update_revision else None

    @property
    def drained_by_us(self) -> dict[Alias, TabletType]:
        """Tablets that the journal says we took and did not bring back, with their original types."""
        return {
            alias: entry.original_type
            for alias, entry in self.journal.items()
            if entry.in_flight and "drain" in entry.steps
        }

    def case(self, shard: Shard, owner: Owner | None, place: Place | None = None) -> Case:
        """What the gates look at."""
        try:
            accepted = {
                name: aliases(self.params[name]) for name in ("accept_drained", "accept_no_route", "batch", "predicted")
            }
            overrides = overrides_of(self.params)
            series = Series.parse(self.params["mysql_series"]) if self.params["mysql_series"] else None
        except ValueError as error:
            raise self.failure(str(error)) from error
        if not self.params["_check_mode"]:
            accepted["predicted"] = frozenset()
        return Case(
            shard=shard,
            alias=self.alias,
            now=self.clock.monotonic(),
            owner=owner,
            wanted=self.wanted(owner),
            max_lag_s=self.params["max_lag"],
            drained_by_us=self.drained_by_us,
            accept_drained=accepted["accept_drained"],
            accept_no_route=accepted["accept_no_route"],
            batch=accepted["batch"],
            predicted=accepted["predicted"],
            place=place,
            overrides=overrides,
            mysql_series=series,
            avoid_nodes=frozenset(self.params.get("avoid_nodes") or ()),
        )

    def fresh_case(self, canary: bool = True, rights: bool = False, siblings: bool = False) -> Case:
        """Read shard, owner and place; again, for a bounded time, where the reading took so long that its beginning is void as evidence.

        Again, too, while something is under way that is over in seconds (not in check mode). What comes back after that
        time is as it was seen last, and its gate says so. A canary is written only under the claim, and never in check mode.
        rights: also ask what Kubernetes lets us write. siblings: also what the owners of the shard's other tablets want.
        """
        unacked = 0
        last: list[Case] = []

        def look() -> Look[Case]:
            nonlocal unacked
            shard, tablet = self.read(work=True, canary=canary and self._may_write)
            pod = self.pod_of(tablet)
            owner = place = said = granted = None
            goals: dict[tuple[str, str, str], Wanted] = {}
            reads: dict[str, Callable[[], Any]] = {"paused": self.cluster.paused}
            if pod is not None:
                reads |= {
                    "owner": partial(self.cluster.owner_of, pod),
                    "ground": partial(self.cluster.ground_for, pod),
                }
                # After the eviction was intended its vttablet may be gone; who it is was proved before.
                if tablet.pod is not None and tablet.pod.ready and not self.removal_intended:
                    reads["said"] = partial(self.cluster.confirm_identity, tablet, tablet.pod)
                if siblings:
                    reads["goals"] = partial(self.goals_of_others, shard, pod)
                if rights:
                    moves = bool(self.params.get("wanted_since"))
                    reads["granted"] = partial(self.cluster.rights_to_write, pod, moves)
            found = dict(zip(reads, in_parallel(list(reads.values())), strict=True))
            if pod is not None:
                owner, said, granted = found["owner"], found.get("said"), found.get("granted")
                goals = found.get("goals", {})
                place = self.cluster.place_on(found["ground"], pod, found["owner"])
            case = replace(
                self.case(shard, owner, place),
                backup_running=said is not None and said.backup_running,
                vttablet=said.build_version if said is not None else "",
                rights=granted,
                paused=found["paused"],
                goals=goals,
            )
            last[:] = [case]
            unacked += bool(shard.canary)
            # No second try where too few are left to acknowledge: what is put back then must come back at once.
            if unacked >= CANARY_TRIES or (unacked and gates.enough_ackers_remain(case).ok is False):
                return Look(case)
            if shard.canary:
                return Look(missing=gates.canary_write_is_acked(case).reason)
            # With room for the act: what is only just fresh here would be void when the gates are evaluated.
            verdict = gates.evidence_is_fresh(replace(case, now=case.now + ACT_MARGIN_S))
            if not verdict.ok:
                return Look(missing=verdict.reason)
            under_way = "" if self.params["_check_mode"] else gates.passes_by_itself(case)
            return Look(missing=under_way) if under_way else Look(case)

        try:
            seen: Case = self.until(look, "a shard that can be acted on", FRESH_WITHIN_S)
        except WaitTimeout:
            return last[0]
        return seen

    def goals_of_others(self, shard: Shard, pod: Pod) -> dict[tuple[str, str, str], Wanted]:
        """What the shard's Pods of other owners than this one's must be: the roll's fixed time, else what that owner's spec says now."""
        owners = self.cluster.owners_of(t.pod for t in shard.tablets if t.pod is not None and t.pod.owner != pod.owner)
        since = self.params.get("wanted_since")
        return {
            key: Wanted.created_after(since, self.clock.time()) if since else Wanted(revision=owner.update_revision)
            for key, owner in owners.items()
        }

    def is_gone(self, pod: Pod) -> bool:
        """Whether that very Pod is gone or going."""
        now = self.cluster.pod(pod.namespace, pod.name)
        return now is None or now.uid != pod.uid or now.terminating

    @property
    def _may_write(self) -> bool:
        return not self.params["_check_mode"] and (self.claim is not None or self._held_before)

    def still_good(self, case: Case, canary: bool = True) -> bool:
        """Whether a case may be decided on without another read: it is fresh, and was read (and a canary written) under the claim."""
        fresh = gates.evidence_is_fresh(replace(case, now=self.clock.monotonic())).ok is True
        return self._read_under_claim and fresh and (case.shard.canary is not None or not canary)

    # -- deciding

    def require(self, which: tuple[Gate, ...], case: Case, state: str = "", acting: bool = False) -> None:
        """All gates green, or the failure that names the first red one. Right before an act none may be deferred."""
        self.verdicts = gates.evaluate(which, replace(case, now=self.clock.monotonic()))
        self._overridden |= {v.gate: v.overridden for v in self.verdicts if v.overridden}
        bad = tuple(v for v in self.verdicts if v.ok is False or (acting and v.ok is None))
        if bad:
            # What is red beside old evidence, such as a canary that hangs, is why the read took so long.
            bad = tuple(sorted(bad, key=lambda v: v.gate == gates.evidence_is_fresh.__name__))
            more = f" (and {len(bad) - 1} more: {', '.join(v.gate for v in bad[1:])})" if len(bad) > 1 else ""
            hint = advice.option_to_correct(bad[0].gate, case.shard, self.alias)
            raise self.failure(f"{bad[0].reason}{more}", gate=bad[0].gate, next_command=hint, state=state)

    # -- holding

    def hold(self) -> Claim:
        """Hold the shard's claim: take it, wait for it as long as the caller allows, or take it over from a dead holder.

        Where somebody else held it since locate(), the caller must look again: what that one still did was not seen.
        """
        if self.claim is None:
            self.claim = self.claims.take(self.lease_name, self.waiter, self.params["claim_wait"], self._fence)
            self.waiter.tick = self.claim.tick
            self.must_look_again = self.claim.taken_at != self._located_at
        return self.claim

    def _fence(self, transition: int) -> None:
        fence(self.cluster, self.keyspace, self.shard_name, self.claims.holder.roll, transition)

    @property
    def holds(self) -> bool:
        """Whether the claim is held: taken by this call, or by the roll before it."""
        return self._held_before if self.claim is None else self.claim.held

    @property
    def held(self) -> Claim:
        """The claim; raises StepFailure where an act would be done without it."""
        if self.claim is None:
            raise self.failure("the shard is not claimed", gate="claim")
        return self.claim

    def let_go(self) -> None:
        """After a failure that changed nothing: what only this call claimed is free at once, not when the claim ends."""
        if self.claim is None or self._held_before or self.state != UNCHANGED:
            return
        if not any(entry.in_flight for entry in self.journal.values()):
            # One that cannot be released expires; why the step failed must not be lost over it.
            with suppress(EdgeError):
                self.claim.release()

    def change_type(self, wanted: TabletType) -> None:
        """ChangeTabletType, proved by the record and not by the exit code; repeating it is no error."""
        self.held.renew()
        try:
            self.cluster.vtctld.change_type(self.alias, wanted)
        except (OutcomeUnknown, Refused) as error:
            if self.cluster.vtctld.tablet(self.alias).type != wanted:
                if isinstance(error, OutcomeUnknown):
                    self.state = f"its change to {wanted} was sent, whether it comes is not known"
                raise

    def put_back(self, original: TabletType, why: str) -> str:
        """Bring a drained tablet back into serving; what was done, in words. A red gate never stops this (design rule 9)."""
        try:
            if self.not_taken_back():
                return "it is DRAINED and vitess-operator replaces its Pod already: run the same again"
            self.change_type(original)
            self.did("put_back", finished=True)
        except EdgeError as error:
            return f"it is still DRAINED, putting it back failed: {error}"
        return f"it was put back as {original} because {why}"

    def not_taken_back(self) -> bool:
        """Ask vitess-operator no more to take away the Pod that the journal names; whether it goes all the same.

        Both annotations go at once: with the drain alone left it was seen to reparent and to keep its slot for ever. That it has
        forgotten the drain is waited for while it may; where it does not, the Pod stays all the same, as it is not released.
        """
        entry = self.entry
        name = entry.pod_name or (self._pod.name if self._pod else "")
        if self._pod is None or self._pod.owner_kind != vitess_operator.KIND or not entry.pod_uid:
            return False
        namespace = entry.pod_namespace or self._pod.namespace
        marks: dict[str, str | None] = {vitess_operator.RELEASED: None, vitess_operator.STARTED: None}
        still_asked = False

        def look() -> Look[bool]:
            nonlocal still_asked
            pod = self.cluster.pod(namespace, name)
            if pod is None or pod.uid != entry.pod_uid or pod.terminating:
                return Look(True)
            still_asked = pod.marks.asked and pod.marks.ours
            if still_asked:
                self.held.renew()
                try:
                    self.cluster.kube.annotate_pod(namespace, name, pod.uid, marks)
                except Refused as error:
                    if error.status not in (404, 409):
                        raise
                return Look(missing="vitess-operator is asked no more")
            if pod.marks.any and not pod.marks.asked:
                return Look(missing="vitess-operator has not forgotten the drain")
            return Look(False)

        try:
            return bool(self.until(look, "vitess-operator to let it be", vitess_operator.FORGOTTEN_WITHIN_S))
        except WaitTimeout:
            return still_asked

    def did(self, step: str, finished: bool = False, **more: Any) -> None:
        """Journal that a step is done, with the phases that it took. more: other fields of the entry."""
        entry = self.entry.anew(self.clock.time())
        taken = tuple((self.step, p["phase"], p["started"], p["seconds"]) for p in self.phases.taken)
        self.held.did(self.alias, replace(entry, phases=(entry.phases + taken)[-KEEP_PHASES:], **more), step, finished)

    def accepted(self, case: Case) -> tuple[str, ...]:
        """The options that pass a gate here, or cut what it would wait for: for the journal, since nobody else remembers them."""
        drained = [t.alias for t in case.shard.others(self.alias) if t.type == TabletType.DRAINED]
        found = [f"accept_drained: {alias}" for alias in drained if alias in case.accept_drained]
        if self.alias in case.accept_no_route:
            found.append(f"accept_no_route: {self.alias}")
        if self.params.get("transaction_policy", "wait") != "wait":
            found.append(f"transaction_policy: {self.params['transaction_policy']}")
        return (*(f"{self.step}: {option}" for option in found), *self.passed)

    @property
    def passed(self) -> tuple[str, ...]:
        """The red gates that an operator's override passed in this step, with the reason."""
        return tuple(f"{self.step}: override_gates: {gate}: {why}" for gate, why in self._overridden.items())

    def write_down(self, failure: StepFailure) -> None:
        """Journal why this step stopped, where the shard is ours. What keeps that from being written never hides the failure."""
        if self.params["_check_mode"] or not self.holds:
            return
        with suppress(EdgeError):
            claim = self.claim or self.claims.again(self.lease_name)
            if claim is not None:
                now = self.clock.time()
                entry = claim.entry(self.alias).anew(now)
                claim.record(self.alias, replace(entry, failure=Stop.of(failure, claim.roll, now)))

    def until(
        self, look: Callable[[], Look[Any]], what: str, timeout_s: float, every_s: float = 0.2, gate: str | None = None
    ) -> Any:
        """Wait, renewing the claim and telling the operator. Raises WaitTimeout at the bound, StepFailure where that has a gate's name."""
        try:
            return self.waiter.until(look, what, timeout_s, every_s)
        except WaitTimeout as error:
            if gate is None:
                raise
            raise self.failure(str(error), gate=gate) from error

    # -- results

    def result(self, changed: bool, before: dict[str, Any], after: dict[str, Any], **more: Any) -> dict[str, Any]:
        """The returns that all acting modules share."""
        return {
            "changed": changed,
            "tablet": str(self.alias),
            "keyspace": self.keyspace,
            "shard": self.shard_name,
            "before": before,
            "after": after,
            "diff": {"before": before, "after": after},
            "phases": self.phases.taken,
            "gates": [verdict.as_dict() for verdict in self.verdicts],
            "claim": {
                "name": self.lease_name,
                "roll": self.claims.holder.roll,
                "held": self.claim is not None and self.claim.held,
            },
            **more,
        }


def fences_of(cluster: Cluster, shards: Iterable[tuple[str, str]], roll: str) -> dict[str, Callable[[int], None]]:
    """By the Lease of each shard (keyspace and name), what a take-over of it does first."""
    return {labels.shard_lease(*shard): partial(fence, cluster, *shard, roll) for shard in shards}


def fence(cluster: Cluster, keyspace: str, shard: str, roll: str, transition: int) -> None:
    """A take-over re-annotates every Pod of the shard: what the old holder still sends carries an outdated resourceVersion."""
    for tablet in cluster.read_shard(keyspace, shard, mysqlds=False, vtgates=False).tablets:
        if tablet.pod is not None:
            pod = tablet.pod
            marks: dict[str, str | None] = {labels.TRANSITION: str(transition), labels.ROLL: roll}
            cluster.kube.annotate_pod(pod.namespace, pod.name, pod.uid, marks)


def describe(tablet: Tablet, pod: Pod | None) -> dict[str, Any]:
    """A tablet in a result."""
    pod = tablet.pod or pod
    return {
        "type": str(tablet.type),
        "hostname": tablet.hostname,
        "pod": pod.name if pod else None,
        "pod_uid": pod.uid if pod else None,
        "node": pod.node if pod else None,
        "revision": pod.revision if pod else None,
        "image": pod.image("vttablet") if pod else None,
    }
