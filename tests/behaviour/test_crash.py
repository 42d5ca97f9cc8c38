# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The crash matrix: a roll dies right before and right after every call that changes something, and in its waits.

Dead: no call of the process arrives any more. Orphaned: ansible-playbook is gone and its module lives on.
The next run finishes; nothing is done twice, nobody is left DRAINED, no claim is left held.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process, hostname, start_of
from ansible_collections.vtops.vitess.tests.behaviour.conftest import Make
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig

POINTS = {
    "claim taken": ("POST .*/leases$", 1),
    "volume marked": ("PATCH .*/persistentvolumeclaims/", 1),
    "drain intended": ("PUT .*/leases/vtops-shard", 2),
    "drain renewed": ("PUT .*/leases/vtops-shard", 3),
    "drained": ("exec .*ChangeTabletType zone1-0000000102 drained", 1),
    "waiting until it is idle": ("GET .*commerce-x-x-1:15000/proxy/debug/vars", 3),
    "replace intended": ("PUT .*/leases/vtops-shard", 5),
    "Pod marked": ("PATCH .*/pods/commerce-x-x-1", 1),
    "evicted": ("POST .*/eviction", 1),
    "waiting for the new Pod": ("GET .*/pods/commerce-x-x-1$", 4),
    "readmission intended": ("PUT .*/leases/vtops-shard", 8),
    "type restored": ("exec .*ChangeTabletType zone1-0000000102 replica", 1),
}
OF_THE_PRIMARY = {
    "keyspace claimed": ("POST .*/leases$", 1),
    "reparent renewed": ("PUT .*/leases/vtops-keyspace", 1),
    "reparented": ("exec .*PlannedReparentShard", 1),
    "waiting until all agree": ("exec vtctld-0: script", 3),
    "drained": ("exec .*ChangeTabletType zone1-0000000101 drained", 1),
    "evicted": ("POST .*/eviction", 1),
    "type restored": ("exec .*ChangeTabletType zone1-0000000101 replica", 1),
}


@contextmanager
def an_executor() -> Iterator[tuple[subprocess.Popen[bytes], Process]]:
    """A process that stands in for ansible-playbook, to be killed."""
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            yield process, Process(hostname(), process.pid, start_of(process.pid))
        finally:
            process.kill()


def run_until_it_dies(rig: Rig, uid: int, point: tuple[str, int], after: bool, orphan: bool) -> bool:
    """Replace a tablet; at the point the process dies, or loses its ansible-playbook. Whether the point was reached."""
    pattern, count = point
    reached: list[bool] = []
    with an_executor() as (process, executor):

        def dies() -> None:
            reached.append(True)
            process.kill()
            process.wait()
            if not orphan:
                rig.wire.trouble(".", cut=True, times=10**6)

        rig.wire.trouble(pattern, skip=count - 1, happens=dies, after=after)
        rig.replace(uid, executor=executor)
    rig.wire.troubles.clear()
    return bool(reached)


def finish(rig: Rig, uid: int) -> None:
    """The rerun, and what must be so after it."""
    rig.simulation.pass_(5)
    # A dead process' last actor is this test itself, so the rerun waits until the Lease has expired.
    rerun = rig.replace(uid)
    assert rerun.failure is None, rerun.failure
    assert uid in rig.upgraded()
    assert rig.types()[uid] == "REPLICA"
    # The keyspace's one ends with its ansible-playbook (shard_reparent): the next reparent takes it over.
    assert [name for name in rig.claims_held() if "keyspace" not in name] == []
    assert len(rig.simulation.kubernetes.evictions) == len(set(rig.simulation.kubernetes.evictions))
    assert len([act for act in rig.acts if act.startswith("PlannedReparentShard")]) <= 1
    rig.assert_unharmed()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("orphan", [False, True], ids=["killed", "orphaned"])
@pytest.mark.parametrize("point", POINTS)
def test_a_roll_that_dies_is_finished_by_the_next(point: str, orphan: bool, after: bool, rig: Rig) -> None:
    assert run_until_it_dies(rig, 102, POINTS[point], after, orphan), "the point was not reached"
    finish(rig, 102)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("orphan", [False, True], ids=["killed", "orphaned"])
@pytest.mark.parametrize("point", OF_THE_PRIMARY)
def test_a_roll_that_dies_at_the_primary_is_finished_by_the_next(
    point: str, orphan: bool, after: bool, make: Make
) -> None:
    rig = make()
    for uid in (102, 103):
        assert rig.replace(uid).failure is None
    assert run_until_it_dies(rig, 101, OF_THE_PRIMARY[point], after, orphan), "the point was not reached"
    finish(rig, 101)


def test_the_claim_of_a_roll_that_died_right_before_its_release_is_released_by_the_next(rig: Rig) -> None:
    """The tablet is as wanted, so nothing is left to do but that; else nobody on another host could roll this shard at once."""
    assert run_until_it_dies(rig, 102, ("PUT .*/leases/vtops-shard", 12), after=True, orphan=False)
    lease = rig.simulation.store.of("leases")[labels.shard_lease("commerce", "-")]
    assert lease["spec"]["holderIdentity"]
    assert rig.journal()["zone1-0000000102"]["finished"], "it died earlier"
    who = json.loads(lease["metadata"]["annotations"][labels.EXECUTOR])
    who["actor"] = who["executor"]  # the module's process died too, which this test cannot
    lease["metadata"]["annotations"][labels.EXECUTOR] = json.dumps(who)
    finish(rig, 102)


@pytest.mark.parametrize("point", ["volume marked", "drain intended", "replace intended"])
def test_an_orphan_does_nothing_more(point: str, rig: Rig) -> None:
    """A killed ansible-playbook leaves its module running (facts: ansible.md): before its next act it notices."""
    at_its_death: list[str] = []
    rig.wire.trouble(POINTS[point][0], skip=POINTS[point][1] - 1, happens=lambda: at_its_death.extend(rig.acts))
    assert run_until_it_dies(rig, 102, POINTS[point], after=False, orphan=True)
    rig.simulation.pass_(30)
    assert rig.acts == at_its_death
