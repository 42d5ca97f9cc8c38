# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.durability import (
    POLICIES,
    ackers_without,
    acks_for,
    policy,
    replicates_from,
)
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Alias, TabletType
from ansible_collections.vtops.vitess.tests.unit.factories import (
    PRIMARY,
    REPLICA,
    SIBLING,
    a_primary_mysqld,
    a_replica_mysqld,
    a_shard,
    a_tablet,
    uuid_of,
)

THE_PRIMARY = a_tablet(PRIMARY, TabletType.PRIMARY)
ELSEWHERE = Alias("zone2", 201)

HERE_REPLICA, HERE_RDONLY = a_tablet(REPLICA), a_tablet(SIBLING, TabletType.RDONLY)
THERE_REPLICA, THERE_RDONLY = a_tablet(ELSEWHERE), a_tablet(Alias("zone2", 202), TabletType.RDONLY)


@pytest.mark.parametrize(
    ("name", "needed", "may"),
    [
        ("none", 0, []),
        ("", 0, []),
        ("semi_sync", 1, [HERE_REPLICA, THERE_REPLICA]),
        ("semi_sync_with_rdonly_ack", 1, [HERE_REPLICA, HERE_RDONLY, THERE_REPLICA, THERE_RDONLY]),
        ("cross_cell", 1, [THERE_REPLICA]),
        ("cross_cell_with_rdonly_ack", 1, [THERE_REPLICA, THERE_RDONLY]),
    ],
)
def test_who_may_acknowledge_under_each_policy(name: str, needed: int, may: list) -> None:
    candidates = [HERE_REPLICA, HERE_RDONLY, THERE_REPLICA, THERE_RDONLY]
    assert policy(name).acks == needed
    assert [t for t in candidates if acks_for(t, THE_PRIMARY, policy(name))] == may


def test_every_policy_of_vitess_is_known() -> None:
    assert set(POLICIES) == {
        "none",
        "semi_sync",
        "semi_sync_with_rdonly_ack",
        "cross_cell",
        "cross_cell_with_rdonly_ack",
    }
    with pytest.raises(KeyError):
        policy("three_of_five")


@pytest.mark.parametrize("kind", [TabletType.DRAINED, TabletType.SPARE, TabletType.BACKUP, TabletType.RESTORE])
def test_a_tablet_of_another_type_never_acknowledges(kind: TabletType) -> None:
    assert not acks_for(a_tablet(REPLICA, kind), THE_PRIMARY, policy("semi_sync_with_rdonly_ack"))


def test_a_killed_replica_whose_io_thread_stopped_does_not_acknowledge() -> None:
    killed = a_tablet(REPLICA, mysqld=a_replica_mysqld(REPLICA, io_running=False))
    assert not acks_for(killed, THE_PRIMARY, policy("semi_sync"))


def test_a_replica_without_semi_sync_does_not_acknowledge() -> None:
    assert not acks_for(
        a_tablet(REPLICA, mysqld=a_replica_mysqld(REPLICA, semi_sync_replica=False)), THE_PRIMARY, policy("semi_sync")
    )


def test_a_replica_whose_mysqld_is_silent_does_not_acknowledge() -> None:
    assert not acks_for(a_tablet(REPLICA, mysqld=None), THE_PRIMARY, policy("semi_sync"))


def test_the_primary_does_not_acknowledge_its_own_writes() -> None:
    itself = a_tablet(PRIMARY, mysqld=a_replica_mysqld(PRIMARY))
    assert not acks_for(itself, THE_PRIMARY, policy("semi_sync"))


def test_a_replica_of_another_source_does_not_acknowledge() -> None:
    elsewhere = a_tablet(REPLICA, mysqld=a_replica_mysqld(REPLICA, source_uuid="ffffffff-0000-0000-0000-000000000009"))
    assert not acks_for(elsewhere, THE_PRIMARY, policy("semi_sync"))


def test_the_source_is_known_by_its_uuid_even_at_another_address() -> None:
    moved = a_tablet(
        REPLICA,
        mysqld=a_replica_mysqld(REPLICA, source_host="stable.name", source_uuid=uuid_of(PRIMARY).upper()),
    )
    assert replicates_from(moved, THE_PRIMARY)


def test_the_source_is_known_by_its_address_where_no_uuid_was_told() -> None:
    here = a_replica_mysqld(REPLICA, source_uuid="")
    assert replicates_from(a_tablet(REPLICA, mysqld=here), THE_PRIMARY)
    other_port = a_replica_mysqld(REPLICA, source_uuid="", source_port=3307)
    assert not replicates_from(a_tablet(REPLICA, mysqld=other_port), THE_PRIMARY)
    other_host = a_replica_mysqld(REPLICA, source_uuid="", source_host="10.0.0.9")
    assert not replicates_from(a_tablet(REPLICA, mysqld=other_host), THE_PRIMARY)


def test_the_source_is_known_by_its_address_where_the_primary_is_silent() -> None:
    silent = a_tablet(PRIMARY, TabletType.PRIMARY, mysqld=None)
    assert replicates_from(a_tablet(REPLICA), silent)


def test_a_tablet_whose_mysqld_is_silent_replicates_from_nobody() -> None:
    assert not replicates_from(a_tablet(REPLICA, mysqld=None), THE_PRIMARY)


def test_ackers_without_a_tablet_are_its_siblings_that_acknowledge() -> None:
    assert [t.alias for t in ackers_without(a_shard(), REPLICA)] == [SIBLING]


def test_a_shard_without_a_primary_has_no_ackers() -> None:
    assert ackers_without(a_shard(primary=None), REPLICA) == ()


def test_a_primary_in_another_cell_gets_its_cross_cell_acks_from_here() -> None:
    far = Alias("zone2", 200)
    uuid = "00000000-0000-0000-0000-000000000200"
    primary = a_tablet(far, TabletType.PRIMARY, mysqld=a_primary_mysqld(server_uuid=uuid))
    replica = a_tablet(REPLICA, mysqld=a_replica_mysqld(REPLICA, source_uuid=uuid))
    assert acks_for(replica, primary, policy("cross_cell"))
