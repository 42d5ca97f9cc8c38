# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PlannedReparentShard: it fails before, in the middle and after, its answer is lost, somebody else reparents."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.vtops.vitess.tests.behaviour.conftest import Make
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig
from ansible_collections.vtops.vitess.tests.sim.layout import like_the_lab

PRS = "PlannedReparentShard"


@pytest.fixture
def ready(make: Make) -> Rig:
    """102 and 103 are upgraded; 101 is the primary that is left."""
    rig = make()
    for uid in (102, 103):
        assert rig.replace(uid).failure is None
    rig.acts.clear()
    return rig


@pytest.mark.parametrize("moment", ["before", "demoted"])
def test_one_that_fails_before_the_promotion_leaves_the_old_primary_serving(moment: str, ready: Rig) -> None:
    """planned_reparenter.go: the candidate does not catch up, or the demotion is undone."""
    ready.simulation.fleet.prs_fault = moment
    rolled = ready.replace(101)
    assert rolled.gate == "reparent"
    assert ready.types()[101] == "PRIMARY"
    assert ready.claims_held() == []
    ready.assert_unharmed()


def test_one_that_fails_after_the_promotion_is_proved_by_the_shard_record(ready: Rig) -> None:
    """planned_reparenter.go: "timed out after successfully promoting": vtorc repoints the replicas, the roll goes on."""
    ready.simulation.fleet.prs_fault = "after"
    assert ready.replace(101).failure is None
    assert [act for act in ready.acts if act.startswith(PRS)] == [ready.acts[0]]
    assert sorted(ready.upgraded()) == [101, 102, 103]
    ready.assert_unharmed()


@pytest.mark.parametrize(
    "lost", [{"cut": True, "after": True}, {"handshake": True}], ids=["at its end", "at its beginning"]
)
def test_one_whose_answer_is_lost_is_not_repeated(lost: dict[str, bool], ready: Rig) -> None:
    """The command runs in vtctld, whatever becomes of our connection."""
    ready.wire.trouble(f"exec .*{PRS}", **lost)
    assert ready.replace(101).failure is None
    assert len([act for act in ready.acts if act.startswith(PRS)]) == 1
    ready.assert_unharmed()


def test_one_that_was_cut_off_before_it_began_changes_nothing_and_a_rerun_does_it(ready: Rig) -> None:
    ready.wire.trouble(f"exec .*{PRS}", cut=True)
    rolled = ready.replace(101)
    assert rolled.failure is not None
    assert ready.types()[101] == "PRIMARY"
    assert ready.replace(101).failure is None
    ready.assert_unharmed()


def test_a_foreign_reparent_right_before_ours_is_refused_by_expected_primary(ready: Rig) -> None:
    fleet = ready.simulation.fleet
    done: list[str] = []
    ready.wire.before(
        f"exec .*{PRS}", lambda: fleet.planned_reparent("-", ready.alias(102), ready.alias(101), 4.0, done.append)
    )
    ready.replace(101)
    ready.simulation.pass_(5)
    assert done == [""]
    assert len([act for act in ready.acts if act.startswith(PRS)]) == 1
    rerun = ready.replace(101)
    assert rerun.failure is None
    assert len([act for act in ready.acts if act.startswith(PRS)]) == 1, "never a second one"
    ready.assert_unharmed()


def test_a_foreign_reparent_makes_the_tablet_that_we_drain_no_primary(rig: Rig) -> None:
    """vtorc may elect at any time: what is evicted is proved no primary right before."""
    rig.execute("tablet_drain", 102)
    fleet = rig.simulation.fleet
    fleet.shards["-"].primary = rig.alias(102)
    tablet = rig.simulation.tablet("102")
    tablet.type = tablet.record.type = "PRIMARY"
    tablet.mysqld.read_only = False
    rig.simulation.vtorc.enabled = False
    result = rig.execute("pod_replace", 102)
    assert result["failed"] is True
    assert rig.simulation.kubernetes.evictions == []
    assert rig.types()[102] == "PRIMARY", "a primary is not changed by putting it back"


def test_the_primary_is_never_drained_or_evicted(rig: Rig) -> None:
    """vitess#9346: buffering does not cover a primary's restart."""
    drained = rig.execute("tablet_drain", 101)
    assert drained["failure"]["gate"] == "not_primary"
    replaced = rig.execute("pod_replace", 101)
    assert replaced["failed"] is True
    assert rig.acts == []
    rig.assert_unharmed()


def test_a_primary_is_not_moved_before_an_older_replica(rig: Rig) -> None:
    """vitess#19034: it may not replay what the newer primary writes."""
    assert rig.replace(102).failure is None
    rig.acts.clear()
    result = rig.execute("shard_reparent", 101)
    assert result["failure"]["gate"] == "primary_comes_last"
    assert "zone1-0000000103 of commerce/- comes before its primary" in result["failure"]["reason"]
    rig.assert_nothing_taken()
    assert rig.replace(103).failure is None
    assert not rig.execute("shard_reparent", 101).get("failed")
    rig.assert_unharmed()


def test_a_reparent_waits_for_one_of_another_shard_in_the_same_ansible_playbook(make: Make) -> None:
    """Shards side by side (shards_at_once) are one executor: its own Lease must hold it back too."""
    rig = make(like_the_lab())
    for uid in (102, 103, 202, 203):
        assert rig.replace(uid).failure is None
    name = "vtops-keyspace-commerce"
    held: list[dict[str, Any]] = []
    leases = rig.simulation.store.of("leases")
    rig.wire.before("exec .*PlannedReparentShard", lambda: held.append(copy.deepcopy(leases[name])))
    assert not rig.execute("shard_reparent", 201).get("failed")
    rig.simulation.store.put("leases", held[0])  # as if that one were still under way
    blocked = rig.execute("shard_reparent", 101, keyspace_wait=5.0)
    assert blocked["failure"]["gate"] == "claim"
    assert rig.types()[101] == "PRIMARY"
    leases[name]["spec"]["holderIdentity"] = ""
    assert not rig.execute("shard_reparent", 101).get("failed")


def test_a_reparent_waits_for_the_keyspaces_other_reparent(make: Make) -> None:
    """vitess#16438: two reparents at once in a keyspace stop buffering for both."""
    rig = make(like_the_lab())
    for uid in (102, 103, 202, 203):
        assert rig.replace(uid).failure is None
    lease = {
        "metadata": {"name": "vtops-keyspace-commerce", "namespace": "vitess", "annotations": {}},
        "spec": {
            "holderIdentity": "another roll",
            "leaseDurationSeconds": 30,
            "renewTime": "2026-01-01T00:00:00.000000Z",
            "leaseTransitions": 1,
        },
    }
    rig.simulation.store.put("leases", lease)

    def renewal() -> None:
        found = rig.simulation.store.of("leases")["vtops-keyspace-commerce"]
        if found["spec"]["holderIdentity"] == "another roll":
            rig.simulation.store.put("leases", found)
            rig.simulation.timeline.after(10.0, renewal)

    rig.simulation.timeline.after(10.0, renewal)
    blocked = rig.execute("shard_reparent", 101, keyspace_wait=5.0)
    assert blocked["failure"]["gate"] == "claim"
    assert "another roll" in blocked["failure"]["reason"]
    assert rig.types()[101] == "PRIMARY"
    rig.simulation.store.of("leases")["vtops-keyspace-commerce"]["spec"]["holderIdentity"] = ""
    assert rig.replace(101).failure is None
    rig.assert_unharmed()


def test_while_not_every_vtgate_agrees_the_keyspace_stays_claimed(make: Make) -> None:
    """vitess#13854, design rule 6."""
    rig = make(like_the_lab())
    for uid in (102, 103):
        assert rig.replace(uid).failure is None
    deaf = rig.simulation.vtgates["vtgate-1"]
    deaf.deaf_to |= {rig.alias(uid) for uid in (101, 102, 103)}
    result = rig.execute("shard_reparent", 101, agree_timeout=10.0)
    assert result["failed"] is True
    assert "vtgate-1" in result["failure"]["reason"]
    assert "vtops-keyspace-commerce" in rig.claims_held()


def test_a_primary_that_dies_in_the_roll_is_replaced_by_vtorc_and_the_roll_stops(rig: Rig) -> None:
    """design section 3: vtorc stays on; ERS is never ours."""
    rig.execute("tablet_drain", 102)
    rig.simulation.kubernetes.owner_stopped = True
    rig.simulation.kubernetes.kill(rig.alias(101))
    result = rig.execute("pod_replace", 102)
    assert result["failed"] is True
    assert rig.simulation.kubernetes.evictions == []
    rig.simulation.pass_(20)
    assert sum(kind == "PRIMARY" and rig.simulation.tablet(str(uid)).running for uid, kind in rig.types().items()) == 1
    assert rig.clients.lost_writes() == []
