# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.fleet import (
    Alias,
    ShardFilter,
    TabletType,
    VtgateSettings,
    away_reasons,
    not_routed_reasons,
)
from ansible_collections.vtops.vitess.tests.unit.factories import (
    REPLICA,
    a_pod,
    a_route,
    a_shard,
    a_tablet,
    a_vtgate,
    seen_by,
)


@pytest.mark.parametrize(
    ("text", "alias"),
    [
        ("zone1-0000000101", Alias("zone1", 101)),
        ("zone1-101", Alias("zone1", 101)),
        ("us-east-1a-0000000007", Alias("us-east-1a", 7)),
    ],
)
def test_an_alias_is_cell_and_uid_with_or_without_zeros(text: str, alias: Alias) -> None:
    assert Alias.parse(text) == alias
    assert Alias.parse(str(alias)) == alias


@pytest.mark.parametrize(
    "text", ["", "zone1", "zone1-", "-101", "zone1-abc", "zone1-101; ls", "zone1-12345678901", "a b-1"]
)
def test_refuses_what_is_no_alias(text: str) -> None:
    with pytest.raises(ValueError, match="no tablet alias"):
        Alias.parse(text)


def test_a_healthy_tablet_is_not_away() -> None:
    shard = a_shard()
    assert [away_reasons(shard, tablet) for tablet in shard.tablets] == [(), (), ()]


@pytest.mark.parametrize("kind", [TabletType.DRAINED, TabletType.BACKUP, TabletType.RESTORE, TabletType.UNKNOWN])
def test_a_tablet_of_an_unhealthy_type_is_away(kind: TabletType) -> None:
    tablet = a_tablet(REPLICA, kind)
    assert away_reasons(a_shard(tablet), tablet) == (f"type {kind}",)


def test_a_spare_is_not_away_although_no_vtgate_serves_it() -> None:
    tablet = a_tablet(REPLICA, TabletType.SPARE)
    shard = seen_by(a_shard(tablet), "vtgate-0", routes=())
    assert away_reasons(shard, tablet) == ()


def test_a_tablet_that_shut_down_is_away() -> None:
    tablet = a_tablet(REPLICA, hostname="", pod=None)
    reasons = away_reasons(a_shard(tablet, vtgates=()), tablet)
    assert reasons == ("no address in the topology", "no Pod found")


def test_a_tablet_whose_pod_is_not_ready_is_away_and_the_reason_is_kubernetes_own() -> None:
    tablet = a_tablet(REPLICA, pod=a_pod(REPLICA, ready=False, trouble="mysqld: CrashLoopBackOff"))
    assert away_reasons(a_shard(tablet), tablet) == ("Pod commerce-x-80-102 is not Ready: mysqld: CrashLoopBackOff",)


def test_a_tablet_whose_pod_is_terminating_is_away_although_it_is_ready() -> None:
    tablet = a_tablet(REPLICA, pod=a_pod(REPLICA, terminating=True))
    assert away_reasons(a_shard(tablet), tablet) == ("Pod commerce-x-80-102 is terminating",)


def test_a_tablet_is_away_if_one_vtgate_of_two_does_not_know_it() -> None:
    tablet = a_tablet(REPLICA)
    shard = seen_by(a_shard(tablet), "vtgate-1", routes=())
    assert away_reasons(shard, tablet) == ("vtgate-1 does not know it",)


def test_a_tablet_is_away_if_one_vtgate_shows_it_not_serving() -> None:
    tablet = a_tablet(REPLICA)
    shard = seen_by(a_shard(tablet), "vtgate-1", routes=(a_route(tablet, serving=False),))
    assert away_reasons(shard, tablet) == ("vtgate-1 shows REPLICA NOT_SERVING at 10.0.0.102",)


def test_a_tablet_is_away_if_a_vtgate_shows_it_with_another_type() -> None:
    tablet = a_tablet(REPLICA)
    shard = seen_by(a_shard(tablet), "vtgate-0", routes=(a_route(tablet, type=TabletType.RDONLY),))
    assert away_reasons(shard, tablet) == ("vtgate-0 shows RDONLY SERVING at 10.0.0.102",)


def test_a_tablet_is_away_if_a_vtgate_shows_it_at_its_old_address() -> None:
    tablet = a_tablet(REPLICA)
    shard = seen_by(a_shard(tablet), "vtgate-0", routes=(a_route(tablet, hostname="10.0.0.9"),))
    assert away_reasons(shard, tablet) == ("vtgate-0 shows REPLICA SERVING at 10.0.0.9",)


def test_a_tablet_is_away_if_a_vtgate_routes_to_its_old_address_beside_the_new_one() -> None:
    tablet = a_tablet(REPLICA)
    shard = seen_by(a_shard(tablet), "vtgate-0", routes=(a_route(tablet), a_route(tablet, hostname="10.0.0.9")))
    assert away_reasons(shard, tablet) == ("vtgate-0 also routes to its old address 10.0.0.9",)


def test_an_old_address_that_is_not_serving_is_no_route_and_keeps_no_tablet_away() -> None:
    tablet = a_tablet(REPLICA)
    old = a_route(tablet, hostname="10.0.0.9", serving=False)
    assert away_reasons(seen_by(a_shard(tablet), "vtgate-0", routes=(old, a_route(tablet))), tablet) == ()


def test_a_terminating_vtgate_is_not_asked() -> None:
    tablet = a_tablet(REPLICA)
    assert not_routed_reasons(seen_by(a_shard(tablet), "vtgate-1", routes=(), terminating=True), tablet) == ()


def test_a_vtgate_that_watches_another_cell_need_not_show_the_tablet() -> None:
    tablet = a_tablet(REPLICA)
    elsewhere = VtgateSettings(cells_to_watch=frozenset({"zone2"}))
    assert not_routed_reasons(seen_by(a_shard(tablet), "vtgate-1", routes=(), settings=elsewhere), tablet) == ()


def test_a_vtgate_that_watches_another_keyspace_need_not_show_the_tablet() -> None:
    vtgate = a_vtgate("v", (), settings=VtgateSettings(keyspaces_to_watch=frozenset({"customer"})))
    assert not vtgate.should_see(a_tablet(REPLICA))
    assert vtgate.should_see(replace(a_tablet(REPLICA), keyspace="customer"))


def test_a_vtgate_that_watches_the_cell_and_keyspace_must_show_the_tablet() -> None:
    settings = VtgateSettings(cells_to_watch=frozenset({"zone1"}), keyspaces_to_watch=frozenset({"commerce"}))
    assert a_vtgate("v", (), settings=settings).should_see(a_tablet(REPLICA))


@pytest.mark.parametrize(
    ("text", "shard", "watched"),
    [
        ("commerce|-80", "-80", True),
        ("commerce|-80", "80-", False),
        ("commerce|-80", "40-80", True),
        ("commerce|-80", "40-c0", False),
        ("commerce|-80", "-8000", True),
        ("commerce|80-", "c0-", True),
        ("commerce|80-", "80-c0", True),
        ("commerce|80-c0", "80-", False),
        ("commerce|-", "40-80", True),
        ("commerce|0", "0", True),
        ("commerce|0", "1", False),
        ("commerce|-80", "0", False),
        ("commerce|A0-C0", "a0-c0", True),
        ("customer|-", "-80", False),
    ],
)
def test_a_vtgate_with_tablet_filters_must_show_the_shards_that_they_include(
    text: str, shard: str, watched: bool
) -> None:
    settings = VtgateSettings(tablet_filters=frozenset({ShardFilter.parse(text)}))
    assert a_vtgate("v", (), settings=settings).should_see(a_tablet(REPLICA, shard=shard)) is watched


def test_one_of_several_filters_is_enough() -> None:
    filters = frozenset({ShardFilter.parse("customer|-"), ShardFilter.parse("commerce|-80")})
    assert a_vtgate("v", (), settings=VtgateSettings(tablet_filters=filters)).should_see(a_tablet(REPLICA))


@pytest.mark.parametrize("text", ["commerce", "commerce|-80|x", "commerce|xy-z0"])
def test_a_filter_that_no_vtgate_would_start_with_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"filter|hex"):
        ShardFilter.parse(text)


def test_a_vtgate_with_filter_tags_must_show_the_tablets_that_have_all_of_them() -> None:
    wanted = frozenset({("pool", "web"), ("az", "a")})
    vtgate = a_vtgate("v", (), settings=VtgateSettings(tablet_filter_tags=wanted))
    assert vtgate.should_see(a_tablet(REPLICA, tags=wanted | {("rack", "7")}))
    assert not vtgate.should_see(a_tablet(REPLICA, tags=frozenset({("pool", "web")})))
    assert not vtgate.should_see(a_tablet(REPLICA))


def test_a_vtgate_whose_filters_leave_a_tablet_out_is_no_reason_that_it_is_away() -> None:
    settings = VtgateSettings(tablet_filters=frozenset({ShardFilter.parse("customer|-")}))
    shard = seen_by(a_shard(), "vtgate-1", routes=(), settings=settings)
    assert not_routed_reasons(shard, a_tablet(REPLICA)) == ()
    inside = seen_by(a_shard(), "vtgate-1", routes=())
    assert not_routed_reasons(inside, a_tablet(REPLICA)) == ("vtgate-1 does not know it",)
