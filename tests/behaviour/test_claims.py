# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may act: claims that are held, lost, taken over from the dead, and rolls that wake up too late."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.claim import Entry, journal_to_text
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process, hostname, start_of
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Alias, TabletType
from ansible_collections.vtops.vitess.tests.behaviour.player import STEPS
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig


def elsewhere(pid: int = 4711) -> Process:
    """A process of another host: whether it runs cannot be seen."""
    return Process("other-host/cafe", pid, 1)


def other_here() -> Process:
    """Another process of this host that runs: this test's parent."""
    return Process(hostname(), os.getppid(), start_of(os.getppid()))


def lease_of(rig: Rig) -> dict[str, object]:
    """The shard's Lease."""
    leases = rig.simulation.store.of("leases")
    return leases[next(name for name in leases if name.startswith("vtops-shard"))]


def stolen(rig: Rig) -> None:
    """Another roll took the claim over and fenced every Pod of the shard, as the product does it."""
    lease = json.loads(json.dumps(lease_of(rig)))
    lease["spec"]["holderIdentity"] = "another roll"
    lease["spec"]["leaseTransitions"] += 1
    rig.simulation.store.put("leases", lease)
    for name, pod in list(rig.simulation.store.of("pods").items()):
        if name.startswith("commerce"):
            pod["metadata"]["annotations"][labels.TRANSITION] = str(lease["spec"]["leaseTransitions"])
            rig.simulation.store.put("pods", pod)


def renews(rig: Rig) -> None:
    """The holder renews its claim every ten seconds from now on."""

    def renewal() -> None:
        rig.simulation.store.put("leases", json.loads(json.dumps(lease_of(rig))))
        rig.simulation.timeline.after(10.0, renewal)

    rig.simulation.timeline.after(10.0, renewal)


def test_a_shard_that_another_roll_holds_is_not_touched(rig: Rig) -> None:
    """The first renewal that is seen refuses it, whatever the other host's clock says."""
    rig.execute("shard_claim", 102, roll="theirs", executor=elsewhere())
    renews(rig)
    before = rig.simulation.timeline.now
    rolled = rig.roll()
    assert rolled.gate == "claim"
    assert "theirs" in rolled.reason
    assert "or end that ansible-playbook and run the same again" in rolled.reason
    assert rig.acts == []
    assert rig.simulation.timeline.now - before < 15


def test_a_rerun_on_another_host_finishes_what_a_killed_roll_left(rig: Rig) -> None:
    """Every AWX job runs in a container of its own: with the defaults the same playbook must go on, and wait visibly."""
    for step in STEPS[:3]:
        assert not rig.execute(step, 102, roll="job-41", executor=elsewhere()).get("failed")
    assert rig.types()[102] == "DRAINED"
    before = rig.simulation.timeline.now
    assert rig.roll().failure is None
    assert rig.simulation.timeline.now - before > 60
    assert any("to be taken for dead: " in line for line in rig.reported)
    assert rig.simulation.kubernetes.evictions.count("commerce-x-x-1") == 1
    assert rig.claims_held() == []
    rig.assert_unharmed()


def test_a_live_roll_of_this_host_is_never_taken_over(rig: Rig) -> None:
    """operators.md D2: two operators at once; time alone proves nothing of a holder that is seen to run."""
    rig.execute("shard_claim", 102, roll="theirs", executor=other_here())
    before = rig.simulation.timeline.now
    assert rig.roll().gate == "claim"
    assert rig.simulation.timeline.now - before < 5
    rolled = rig.roll(claim_wait=90.0)
    assert rolled.gate == "claim"
    assert rig.acts == []


def test_a_claim_may_be_waited_for(rig: Rig) -> None:
    rig.execute("shard_claim", 102, roll="theirs", executor=elsewhere())

    def released() -> None:
        lease = json.loads(json.dumps(lease_of(rig)))
        lease["spec"]["holderIdentity"] = ""
        rig.simulation.store.put("leases", lease)

    rig.simulation.timeline.after(4.0, released)
    assert rig.replace(102, claim_wait=30.0).failure is None
    rig.assert_unharmed()


@pytest.mark.parametrize("claim_wait", [0.0, 40.0, 90.0])
def test_a_holder_of_another_host_is_taken_over_only_after_its_lease_and_its_commands_have_ended(
    claim_wait: float, rig: Rig
) -> None:
    """design rule 10: 30 s of Lease and 30 s of remote commands, on the monotonic clock."""
    rig.execute("shard_claim", 102, roll="theirs", executor=elsewhere())
    before = rig.simulation.timeline.now
    assert not rig.execute("shard_claim", 102, claim_wait=claim_wait).get("failed")
    assert 60 < rig.simulation.timeline.now - before < 63
    assert rig.replace(102).failure is None
    rig.assert_unharmed()


def test_what_another_host_still_did_while_it_was_waited_for_is_looked_at_again(rig: Rig) -> None:
    """Its last command drained the tablet: a drain on what was read before would restore it as DRAINED."""
    rig.execute("shard_claim", 102, roll="theirs", executor=elsewhere())
    rig.simulation.timeline.after(5.0, lambda: drained_by(rig, "theirs"))
    result = rig.execute("tablet_drain", 102, claim_wait=90.0)
    assert (result.get("failed"), result["changed"]) == (None, False), result
    assert rig.types()[102] == "DRAINED"
    assert rig.journal()[rig.alias(102)]["original_type"] == "REPLICA"


def drained_by(rig: Rig, roll: str) -> None:
    """A roll of another host journals the drain, drains, and is never heard of again."""
    entry = Entry(
        original_type=TabletType.REPLICA,
        wanted=rig.simulation.store.of("statefulsets")["commerce-x-x"]["status"]["updateRevision"],
        pod_namespace="vitess",
        pod_name="commerce-x-x-1",
        pod_uid=rig.simulation.store.of("pods")["commerce-x-x-1"]["metadata"]["uid"],
        steps={"drain": (rig.simulation.timeline.now, None)},
    )
    lease = json.loads(json.dumps(lease_of(rig)))
    assert lease["spec"]["holderIdentity"].startswith(roll)
    lease["metadata"]["annotations"][labels.JOURNAL] = journal_to_text({Alias.parse(rig.alias(102)): entry})
    rig.simulation.store.put("leases", lease)
    rig.simulation.fleet.change_type(rig.alias(102), "DRAINED")


@pytest.mark.parametrize("skew_s", [-3600.0, 3600.0], ids=["an hour behind", "an hour ahead"])
def test_a_skewed_clock_takes_nothing_over(skew_s: float, rig: Rig) -> None:
    rig.execute("shard_claim", 102, roll="theirs", executor=elsewhere())
    rig.simulation.clock.skew = skew_s
    before = rig.simulation.timeline.now
    assert not rig.execute("shard_claim", 102, claim_wait=30.0).get("failed")
    assert rig.simulation.timeline.now - before > 60
    assert rig.acts == []


def test_a_holder_of_this_host_that_is_gone_is_taken_over_at_once_and_its_tablet_is_finished(rig: Rig) -> None:
    gone = Process(hostname(), 2**22 + 7, 1)
    for step in STEPS[:3]:
        assert not rig.execute(step, 102, roll="dead").get("failed")
    lease = lease_of(rig)
    who = {"roll": "dead", "executor": gone.as_dict(), "actor": gone.as_dict()}
    lease["metadata"]["annotations"][labels.EXECUTOR] = json.dumps(who)  # type: ignore[index]
    lease["spec"]["holderIdentity"] = f"dead@{gone}"  # type: ignore[index]
    before = rig.simulation.timeline.now
    assert rig.roll().failure is None
    first = next(act for act in rig.acts if act.startswith("Evict"))
    assert first == "Evict commerce-x-x-1"
    assert rig.simulation.timeline.now - before < 200
    rig.assert_unharmed()


WAKES: dict[str, str] = {
    "before the drain": "exec .*ChangeTabletType zone1-0000000102 drained",
    "before the Pod is marked": "PATCH .*/pods/commerce-x-x-1",
    "before the eviction": "POST .*/eviction",
}


@pytest.mark.parametrize("moment", ["before the Pod is marked", "before the eviction"])
def test_a_frozen_roll_that_wakes_after_its_claim_was_taken_over_removes_nothing(moment: str, rig: Rig) -> None:
    rig.execute("tablet_drain", 102)
    rig.wire.before(WAKES[moment], lambda: stolen(rig))
    result = rig.execute("pod_replace", 102)
    if moment == "before the eviction":
        assert rig.simulation.kubernetes.evictions == []
    assert result["failed"] is True
    assert result["failure"]["gate"] == "claim"
    assert "taken by somebody else" in result["msg"]


STEPS_TO_ACT: dict[str, Callable[[Rig], object]] = {
    "tablet_drain": lambda rig: None,
    "pod_replace": lambda rig: rig.execute("tablet_drain", 102),
}


@pytest.mark.parametrize("step", STEPS_TO_ACT)
def test_a_claim_that_was_lost_stops_the_step_before_it_acts(step: str, rig: Rig) -> None:
    rig.execute("shard_claim", 102)
    STEPS_TO_ACT[step](rig)
    done = list(rig.acts)
    rig.wire.before("PUT .*/leases/", lambda: stolen(rig))
    result = rig.execute(step, 102)
    assert result["failed"] is True
    assert rig.acts == done


def test_two_rolls_that_take_a_free_claim_at_once_get_it_once(rig: Rig) -> None:
    def faster() -> None:
        body = {
            "metadata": {"name": "vtops-shard-commerce-x-x", "namespace": "vitess", "annotations": {}},
            "spec": {
                "holderIdentity": "the faster roll",
                "leaseDurationSeconds": 30,
                "renewTime": "2026-01-01T00:00:00.000000Z",
                "leaseTransitions": 1,
            },
        }
        name = rig.wire.calls[-1].rpartition("/")[2]
        assert name == "leases"
        rig.simulation.store.put("leases", {**body, "metadata": {**body["metadata"], "name": LEASE_NAME}})

    rig.wire.before("POST .*/leases$", faster)
    rolled = rig.replace(102)
    assert rolled.gate == "claim"
    assert rig.acts == []


LEASE_NAME = labels.shard_lease("commerce", "-")


def test_what_was_drained_is_in_the_journal_before_it_is_drained(rig: Rig) -> None:
    """design rule 3."""
    seen: list[dict[str, object]] = []
    rig.wire.before("exec .*ChangeTabletType zone1-0000000102 drained", lambda: seen.append(rig.journal()))
    rig.execute("tablet_drain", 102)
    entry = seen[0][rig.alias(102)]
    assert entry["original_type"] == "REPLICA"  # type: ignore[index]
    assert entry["steps"]["drain"][1] is None  # type: ignore[index]


@pytest.mark.parametrize("done", range(1, 5))
def test_a_rerun_after_any_step_finishes_and_repeats_nothing(done: int, rig: Rig) -> None:
    """The first run ends after some steps and its claim is released; the second one goes on."""
    for step in STEPS[:done]:
        assert not rig.execute(step, 102).get("failed")
    rig.execute("shard_claim", 102, state="absent")
    assert rig.roll().failure is None
    assert rig.simulation.kubernetes.evictions.count("commerce-x-x-1") == 1
    assert rig.claims_held() == []
    rig.assert_unharmed()


def test_a_tablet_that_somebody_else_drained_right_before_us_stays_drained_when_it_is_errant(rig: Rig) -> None:
    """design rule 3: vtorc drained an errant tablet between our gates and our act; putting it back would serve it again."""

    def vtorc_drains() -> None:
        tablet = rig.simulation.tablet("102")
        tablet.mysqld.write(None, rig.simulation.timeline.now)
        rig.simulation.fleet.change_type(tablet.alias, "DRAINED")

    rig.wire.before("exec .*ChangeTabletType zone1-0000000102 drained", vtorc_drains)
    rolled = rig.replace(102)
    assert rolled.failure is not None
    assert rig.simulation.kubernetes.evictions == []
    assert rig.types()[102] == "DRAINED"
