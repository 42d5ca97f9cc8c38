# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulation's own witness sees what a bad roll does; else it would prove nothing of a good one."""

from __future__ import annotations

from ansible_collections.vtops.vitess.tests.sim.clients import Clients
from ansible_collections.vtops.vitess.tests.sim.kubernetes import is_ready
from ansible_collections.vtops.vitess.tests.sim.layout import one_shard
from ansible_collections.vtops.vitess.tests.sim.simulation import Simulation

PODS = ("commerce-x-x-0", "commerce-x-x-1", "commerce-x-x-2")


def rollout_restart(simulation: Simulation, settle_s: float = 0.0) -> None:
    """What trusts Pod Ready: one Pod after the other, highest ordinal first, drains nothing and proves nothing."""
    for pod in reversed(PODS):
        uid = simulation.store.of("pods")[pod]["metadata"]["uid"]
        simulation.kubernetes.delete(pod)

        def back(pod: str = pod, uid: str = uid) -> bool:
            now = simulation.store.of("pods").get(pod)
            ready = now is not None and now["metadata"]["uid"] != uid
            return bool(ready and now and is_ready(now))

        assert simulation.timeline.run_until(back, 300)
        simulation.pass_(settle_s)


def test_a_roll_that_trusts_pod_ready_is_seen_to_take_two_and_the_primary_and_its_clients_see_errors() -> None:
    simulation = Simulation(one_shard())
    clients = Clients(simulation).start()
    rollout_restart(simulation)
    simulation.pass_(120)
    ledger = clients.stop()
    referee = simulation.referee
    assert max(referee.most_away.values()) >= 2
    assert any("is the PRIMARY" in text for text in referee.violations)
    assert any("is away" in text for text in referee.violations)
    assert len(ledger.without_open_transactions(simulation.fleet.reparents)) > 50


def test_vtorc_elects_where_a_primary_dies_and_no_acknowledged_write_is_lost_under_semi_sync() -> None:
    simulation = Simulation(one_shard())
    clients = Clients(simulation).start()
    simulation.pass_(30)
    simulation.kubernetes.owner_stopped = True
    simulation.kubernetes.kill("zone1-0000000101")
    simulation.pass_(60)
    clients.stop()
    assert simulation.fleet.shards["-"].primary != "zone1-0000000101"
    assert clients.lost_writes() == []


def test_without_acks_a_dying_primary_takes_writes_with_it() -> None:
    simulation = Simulation(one_shard(durability="none"))
    clients = Clients(simulation).start()
    for uid in ("102", "103"):
        simulation.tablet(uid).mysqld.io = False
    simulation.vtorc.mends_replication = False
    simulation.pass_(30)
    simulation.kubernetes.owner_stopped = True
    simulation.kubernetes.kill("zone1-0000000101")
    simulation.pass_(60)
    clients.stop()
    assert clients.lost_writes() != []


def test_without_an_acker_writes_hang_and_are_not_acknowledged() -> None:
    simulation = Simulation(one_shard())
    simulation.vtorc.mends_replication = False
    for uid in ("102", "103"):
        simulation.tablet(uid).mysqld.semi_sync_replica = False
    clients = Clients(simulation, kinds=("write",)).start()
    simulation.pass_(20)
    assert clients.ledger.acked == {}


def test_the_same_seed_gives_the_same_story() -> None:
    stories = []
    for _time in range(2):
        simulation = Simulation(one_shard(seed=7))
        clients = Clients(simulation).start()
        rollout_restart(simulation)
        simulation.pass_(60)
        stories.append((clients.stop().errors, simulation.report()))
    assert stories[0] == stories[1]
