# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The claim under every acting operation: who is let in, and that nobody acts without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.claim import Entry, journal_to_text
from ansible_collections.vtops.vitess.plugins.module_utils.errors import Refused, StepFailure
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Alias, TabletType
from ansible_collections.vtops.vitess.tests.unit.factories import PRIMARY, REPLICA, SIBLING
from ansible_collections.vtops.vitess.tests.unit.fakes import World, elsewhere, gone, held_by

ACTING = ("tablet_drain", "pod_replace", "vtgate_readmit", "shard_reparent")


def ready_for(operation: str) -> tuple[World, Alias]:
    """A fleet in which the operation has something to do, and the tablet."""
    world = World()
    if operation == "shard_reparent":
        for alias in (REPLICA, SIBLING):
            world.pods[world.tablet(alias).pod]["metadata"]["labels"][labels.REVISION] = "new"
        return world, PRIMARY
    if operation in ("pod_replace", "vtgate_readmit"):
        world.run("tablet_drain")
    if operation == "vtgate_readmit":
        world.run("pod_replace")
        world.clock.sleep(5.0)
    world.calls.clear()
    return world, REPLICA


@pytest.mark.parametrize("operation", ACTING)
def test_nobody_acts_on_a_shard_that_a_live_roll_holds_and_the_holder_is_named(operation: str) -> None:
    world, alias = ready_for(operation)
    held_by(world, Process.current())
    with pytest.raises(StepFailure, match="held by other@") as failure:
        world.run(operation, alias)
    assert failure.value.gate == "claim"
    assert failure.value.next_command == "kubectl -n vitess get lease vtops-shard-commerce-x-80 -o yaml"
    assert world.calls == []


@pytest.mark.parametrize("operation", ACTING)
def test_a_dead_holder_of_this_host_is_taken_over_at_once_and_every_pod_of_the_shard_is_fenced(operation: str) -> None:
    world, alias = ready_for(operation)
    held_by(world, gone())
    start = world.clock.now
    fenced_at: list[float] = []
    world.before("PATCH .*/pods/commerce-x-80-103", lambda: fenced_at.append(world.clock.now))
    world.run(operation, alias)
    assert fenced_at == [start]
    transitions = str(world.lease()["spec"]["leaseTransitions"])
    marks = {
        p["metadata"]["annotations"].get(labels.TRANSITION)
        for p in world.pods.values()
        if "commerce" in p["metadata"]["name"]
        and p["metadata"]["labels"].get(labels.REVISION) != "x"
        and p["metadata"]["annotations"]
    }
    assert marks == {transitions}


def test_the_fence_is_written_before_the_act() -> None:
    world, alias = ready_for("tablet_drain")
    held_by(world, gone())
    world.run("tablet_drain", alias)
    fences = [n for n, call in enumerate(world.calls) if call.startswith("PATCH /api/v1/namespaces/vitess/pods/")]
    assert len(fences) == 3
    assert max(fences) < world.calls.index("ChangeTabletType zone1-0000000102 drained")


def test_what_a_dead_roll_drained_is_ours_to_finish_after_the_take_over() -> None:
    world, alias = ready_for("tablet_drain")
    world.run("tablet_drain", alias, roll="dead")
    held_by(world, gone(), roll="dead")
    world.run("pod_replace", alias)
    world.run("vtgate_readmit", alias)
    assert world.tablet(alias).type == "REPLICA"
    assert not world.journal[alias].in_flight


@pytest.mark.parametrize("operation", ACTING)
@pytest.mark.parametrize("claim_wait", [0.0, 90.0])
def test_a_dead_holder_of_another_host_is_taken_over_when_its_lease_has_expired(
    operation: str, claim_wait: float
) -> None:
    """An AWX job that is run again has another host name: with the defaults it must go on by itself."""
    world, alias = ready_for(operation)
    held_by(world, elsewhere())
    start = world.clock.now
    assert world.run(operation, alias, claim_wait=claim_wait)["changed"] is True
    assert world.clock.now - start > 60.0


def test_a_live_holder_of_another_host_is_waited_for_as_long_as_the_caller_allows_and_its_next_renewal() -> None:
    world, alias = ready_for("tablet_drain")
    held_by(world, elsewhere())

    def renews() -> None:
        world.lease()["metadata"]["resourceVersion"] = world.next_version()
        world.clock.at(10.0, renews)

    renews()
    start = world.clock.now
    with pytest.raises(StepFailure, match="held by other@other-host"):
        world.run("tablet_drain", alias, claim_wait=30.0)
    assert 30.0 <= world.clock.now - start < 42.0
    assert world.acts == []


def drains_102_and_dies(world: World) -> None:
    """The other roll journals and drains the tablet, and is never heard of again."""
    entry = Entry(
        original_type=TabletType.REPLICA, wanted="new", pod_namespace="vitess", pod_name="commerce-x-80-102",
        pod_uid=str(world.pods["commerce-x-80-102"]["metadata"]["uid"]), steps={"drain": (1.0, 2.0)},
    )  # fmt: skip
    lease = world.lease()
    lease["metadata"]["annotations"][labels.JOURNAL] = journal_to_text({REPLICA: entry})
    lease["metadata"]["resourceVersion"] = world.next_version()
    world.tablet(REPLICA).type = "DRAINED"


def test_a_tablet_that_the_dead_holder_drained_while_it_was_waited_for_keeps_its_type_in_the_journal() -> None:
    """Looked at before the wait it was a REPLICA that nobody had taken; a drain on that would restore it as DRAINED."""
    world = World()
    held_by(world, elsewhere())
    world.clock.at(5.0, lambda: drains_102_and_dies(world))
    result = world.run("tablet_drain", REPLICA, claim_wait=90.0)
    assert (result["changed"], world.acts) == (False, [])
    assert world.journal[REPLICA].original_type == TabletType.REPLICA


def test_a_pod_that_the_dead_holder_replaced_while_it_was_waited_for_is_not_evicted_again() -> None:
    world, alias = ready_for("pod_replace")
    held_by(world, elsewhere())
    world.clock.at(5.0, lambda: world.stop_pod("commerce-x-80-102"))
    result = world.run("pod_replace", alias)
    assert world.acts == []
    assert result["after"]["revision"] == "new"


def loses_it(world: World) -> None:
    """Another executor takes the Lease."""
    world.lease()["metadata"]["resourceVersion"] = "another's"
    world.lease()["spec"]["holderIdentity"] = "another"


LONG_WAITS: dict[str, tuple[str, Callable[[World], Any]]] = {
    "transactions": ("tablet_drain", lambda w: w.tablet(REPLICA).pools.update(TransactionPoolInUse=1)),
    "idle": (
        "tablet_drain",
        lambda w: w.before("ChangeTabletType .* drained", lambda: w.tablet(REPLICA).pools.update(ConnPoolInUse=1)),
    ),
    "new pod": ("pod_replace", lambda w: w.__setattr__("start_s", 1e6)),
    "catch up": ("vtgate_readmit", lambda w: w.tablet(REPLICA).__setattr__("lag", 60.0)),
    "routes": ("vtgate_readmit", lambda w: w.vtgates[1].instead.update({REPLICA: []})),
    "buffer's gap": ("shard_reparent", lambda w: w.terms.update({"-80": w.clock.time()})),
    "old transactions": ("shard_reparent", lambda w: w.tablet(PRIMARY).__setattr__("transactions", [(7, 60.0)])),
    "agree": (
        "shard_reparent",
        lambda w: w.__setattr__("on_reparent", lambda: w.vtgates[1].instead.update({REPLICA: []})),
    ),
}


@pytest.mark.parametrize("wait", LONG_WAITS)
def test_a_claim_that_is_lost_in_a_wait_stops_it_and_nothing_is_done_any_more(wait: str) -> None:
    operation, makes_it_wait = LONG_WAITS[wait]
    world, alias = ready_for(operation)
    makes_it_wait(world)
    acts: list[int] = []

    def lose() -> None:
        loses_it(world)
        acts.append(len(world.acts))

    world.clock.at(1.5, lose)
    given: dict[str, Any] = {"transaction_wait": 60.0} if wait == "transactions" else {}
    with pytest.raises(StepFailure, match="was taken by somebody else") as failure:
        world.run(operation, alias, **given)
    assert failure.value.gate == "claim"
    assert acts == [len(world.acts)]
    assert world.lease()["metadata"]["resourceVersion"] == "another's"


@pytest.mark.parametrize("wait", LONG_WAITS)
def test_a_module_whose_ansible_playbook_is_gone_stops_in_the_next_look(
    wait: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation, makes_it_wait = LONG_WAITS[wait]
    world, alias = ready_for(operation)
    makes_it_wait(world)
    runs = True
    monkeypatch.setattr(Process, "runs", property(lambda self: runs))
    acts: list[int] = []
    died = world.clock.now + 1.5

    def dies() -> None:
        nonlocal runs
        runs = False
        acts.append(len(world.acts))

    world.clock.at(1.5, dies)
    with pytest.raises(StepFailure, match="is gone") as failure:
        world.run(operation, alias)
    assert failure.value.gate == "claim"
    assert acts == [len(world.acts)]
    assert world.clock.now - died < 1.0


@pytest.mark.parametrize("operation", ["tablet_drain", "pod_replace"])
def test_a_claim_that_was_lost_without_a_wait_stops_it_right_before_the_act(operation: str) -> None:
    world, alias = ready_for(operation)
    if operation == "tablet_drain":
        world.run("shard_claim", alias)

    def lose() -> None:
        world.before("PUT .*leases", lambda: loses_it(world))

    world.before("PUT .*leases", lose)
    world.calls.clear()
    with pytest.raises(StepFailure, match="was taken by somebody else"):
        world.run(operation, alias)
    assert world.acts == []


def test_two_operators_that_start_at_once_never_take_two_tablets() -> None:
    """Design rule 1, whatever runs beside us."""
    world = World()
    world.run("tablet_drain", REPLICA, roll="one")
    other = Process("other-host/cafe", 12, 1)
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain", SIBLING, roll="two", executor=other)
    assert failure.value.gate is not None
    assert [t.type for t in world.tablets.values()].count("DRAINED") == 1


def test_a_claim_that_is_lost_between_two_attempts_to_evict_stops_the_second() -> None:
    """The wait is too short for a tick to see it."""
    world, alias = ready_for("pod_replace")
    world.fail("eviction", Refused("disruption budget", 429))
    world.clock.at(0.3, lambda: loses_it(world))
    with pytest.raises(StepFailure, match="was taken by somebody else") as failure:
        world.run("pod_replace", alias)
    assert failure.value.gate == "claim"
    assert [act.rpartition("/")[2] for act in world.acts] == ["eviction"]


def test_a_claim_that_is_lost_while_a_tablet_catches_up_leaves_its_type_to_the_new_holder() -> None:
    world, alias = ready_for("vtgate_readmit")
    world.tablet(alias).lag = 60.0
    world.clock.at(1.5, lambda: loses_it(world))
    world.clock.at(2.5, lambda: world.tablet(alias).__setattr__("lag", 0.0))
    with pytest.raises(StepFailure, match="was taken by somebody else"):
        world.run("vtgate_readmit", alias)
    assert world.acts == []
    assert world.tablet(alias).type == "DRAINED"


def test_a_claim_that_is_lost_before_the_undo_leaves_the_undo_to_the_new_holder() -> None:
    world, alias = ready_for("tablet_drain")
    world.before("ChangeTabletType .* drained", lambda: world.tablet(alias).pools.update(ConnPoolInUse=1))
    world.clock.at(1.5, lambda: loses_it(world))
    with pytest.raises(StepFailure) as failure:
        world.run("tablet_drain", alias, idle_timeout=3.0)
    assert failure.value.state.startswith("it is still DRAINED, putting it back failed")
    assert world.acts == ["ChangeTabletType zone1-0000000102 drained"]


def refused_after_the_claim(world: World) -> None:
    """The sibling is lost while the drain waits for transactions: it is refused with the claim in hand."""
    world.tablet(REPLICA).pools["TransactionPoolInUse"] = 1

    def ends() -> None:
        world.tablet(REPLICA).pools["TransactionPoolInUse"] = 0
        world.tablet(SIBLING).lag = 60.0

    world.clock.at(3.0, ends)


def test_a_refused_module_keeps_no_claim_that_it_took_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    refused_after_the_claim(world)
    result = world.execute("tablet_drain", monkeypatch, tablet=str(REPLICA))
    assert (result["failed"], result["failure"]["gate"]) == (True, "serving_route_remains")
    assert world.holder == ""


def test_a_replacement_of_what_was_not_drained_says_that_nothing_was_changed_and_keeps_no_claim(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    result = world.execute("pod_replace", monkeypatch, tablet=str(REPLICA))
    assert (result["failure"]["gate"], result["failure"]["state"]) == ("drained_by_this_roll", "nothing was changed")
    assert (result["changed"], world.holder) == (False, "")


def test_a_refused_module_leaves_the_claim_of_its_roll_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.execute("shard_claim", monkeypatch, tablet=str(REPLICA), roll="roll-1")
    held = world.holder
    refused_after_the_claim(world)
    assert world.execute("tablet_drain", monkeypatch, tablet=str(REPLICA), roll="roll-1")["failed"]
    assert world.holder == held != ""


def test_a_module_that_fails_after_it_took_a_tablet_keeps_the_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.execute("tablet_drain", monkeypatch, tablet=str(REPLICA))
    world.before("POST .*/eviction", lambda: world.tablet(SIBLING).__setattr__("lag", 60.0))
    result = world.execute("pod_replace", monkeypatch, tablet=str(REPLICA), ready_timeout=1)
    assert result["failed"]
    assert world.holder != ""
