# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import MagicMock

import pymysql.err
import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.clients.login import Login
from ansible_collections.vtops.vitess.plugins.module_utils.clients.vtgate import (
    Endpoint,
    VtgateClient,
    parse_duration,
    parse_route,
    parse_settings,
)
from ansible_collections.vtops.vitess.plugins.module_utils.clients.vttablet import parse_flags
from ansible_collections.vtops.vitess.plugins.module_utils.errors import EdgeError, Refused, Unreachable
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Route, ShardFilter, TabletType, VtgateSettings
from ansible_collections.vtops.vitess.tests.unit.factories import PRIMARY, REPLICA, SIBLING, uuid_of
from ansible_collections.vtops.vitess.tests.unit.fakes import FakeVtgateClient, World

# -- parsing


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10.0),
        ("1m30s", 90.0),
        ("1h", 3600.0),
        ("1h0m0.5s", 3600.5),
        ("500ms", 0.5),
        ("250us", 0.00025),
        ("250µs", 0.00025),
        ("3ns", 3e-9),
        ("2m", 120.0),
    ],
)
def test_a_duration_is_gos(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "10", "soon"])
def test_refuses_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


def test_a_vtgate_without_flags_has_vitess_defaults_and_does_not_buffer() -> None:
    assert parse_settings({}) == VtgateSettings()
    assert not VtgateSettings().buffer_enabled


def test_settings_are_read_from_the_flags() -> None:
    settings = parse_settings(
        {
            "cells-to-watch": "zone1, zone2",
            "keyspaces-to-watch": "commerce",
            "tablet-refresh-interval": "5s",
            "enable-buffer": "true",
            "buffer-window": "8s",
            "buffer-max-failover-duration": "9s",
            "buffer-min-time-between-failovers": "1m",
            "buffer-keyspace-shards": "commerce/-80,customer",
        }
    )
    assert settings == VtgateSettings(
        cells_to_watch=frozenset({"zone1", "zone2"}),
        keyspaces_to_watch=frozenset({"commerce"}),
        tablet_refresh_interval_s=5.0,
        buffer_enabled=True,
        buffer_window_s=8.0,
        buffer_max_failover_s=9.0,
        buffer_min_gap_s=60.0,
        buffer_keyspace_shards=frozenset({"commerce/-80", "customer"}),
    )


@pytest.mark.parametrize(("value", "on"), [("true", True), ("1", True), ("T", True), ("false", False), ("0", False)])
def test_buffering_is_on_as_go_reads_a_boolean(value: str, on: bool) -> None:
    assert parse_settings({"enable-buffer": value}).buffer_enabled is on


def test_a_row_of_show_vitess_tablets() -> None:
    row = ("zone1", "commerce", "-80", "REPLICA", "SERVING", "zone1-0000000102", "10.0.0.102", "")
    assert parse_route(row) == Route(REPLICA, TabletType.REPLICA, True, "10.0.0.102")


@pytest.mark.parametrize("state", ["NOT_SERVING", "", "serving?"])
def test_only_serving_is_serving(state: str) -> None:
    assert not parse_route(("zone1", "commerce", "-80", "PRIMARY", state, "zone1-101", "h", None)).serving


def test_the_start_of_a_primarys_term_is_kept() -> None:
    row = ("zone1", "commerce", "-80", "PRIMARY", "SERVING", "zone1-101", "h", "2026-11-24T00:00:00Z")
    assert parse_route(row).primary_term_start == "2026-11-24T00:00:00Z"


# -- one vtgate


@pytest.fixture
def world() -> World:
    return World()


def client(world: World, number: int = 0) -> VtgateClient:
    return world.cluster().vtgates()[number]


def test_what_a_vtgate_watches_is_read_from_its_flags() -> None:
    settings = parse_settings(
        parse_flags(
            [
                "vtgate",
                "--tablet_filters=commerce|-80",
                "--tablet-filters",
                "customer|-",
                "--tablet-filter-tags=pool:web,az:a",
            ]
        )
    )
    assert settings.tablet_filters == {ShardFilter("commerce", "-80"), ShardFilter("customer", "-")}
    assert settings.tablet_filter_tags == {("pool", "web"), ("az", "a")}
    repeated = parse_settings(
        parse_flags(["vtgate", "--keyspaces_to_watch=commerce", "--keyspaces-to-watch=customer,b"])
    )
    assert repeated.keyspaces_to_watch == {"commerce", "customer", "b"}


def test_a_vtgate_without_cells_to_watch_watches_its_own() -> None:
    assert parse_settings({"cell": "zone2"}).cells_to_watch == {"zone2"}
    assert parse_settings({"cell": "zone2", "cells-to-watch": "zone1,zone2"}).cells_to_watch == {"zone1", "zone2"}


def test_a_vtgate_whose_filters_cannot_be_read_is_in_error(world: World) -> None:
    world.vtgates[0].flags["tablet-filters"] = "commerce"
    assert "not a tablet filter" in client(world).view().error


def test_a_view_holds_its_rows_and_its_flags(world: World) -> None:
    view = client(world).view()
    assert {route.alias for route in view.routes} == {PRIMARY, REPLICA, SIBLING}
    assert (view.error, view.version, view.settings.buffer_enabled) == ("", "24.0.2", True)


def test_a_view_is_read_over_a_connection_that_is_kept(world: World) -> None:
    one = client(world)
    one.view()
    kept = one._kept
    one.view()
    assert one._kept is kept


def test_two_shards_that_are_read_at_once_do_not_mix_up_their_answers(world: World) -> None:
    """A plan reads its shards in parallel; on one connection their packets would get between each other."""
    one = client(world)
    inside: list[int] = []

    def alone() -> None:
        inside.append(1)
        assert len(inside) == 1
        time.sleep(0.01)
        inside.pop()

    world.before("SHOW VITESS_TABLETS", alone, times=99)
    world.lock = MagicMock()  # the fake lets one call in at a time, a vtgate does not
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(lambda _n: one.rows("SHOW VITESS_TABLETS"), range(16)))) == 16


def test_a_kept_connection_that_was_cut_is_opened_anew(world: World) -> None:
    one = client(world)
    one.view()
    world.fail("vtgate-0: SHOW", OSError("reset"))
    assert one.view().error == ""


def test_a_row_that_cannot_be_read_is_that_vtgates_error(world: World) -> None:
    world.rows_of = lambda vtgate: [("zone1", "commerce")]  # type: ignore[method-assign]
    assert "not enough values" in client(world).view().error


def test_one_vtgates_error_is_in_its_view_and_hides_no_other(world: World) -> None:
    world.vtgates[0].down = True
    assert client(world, 0).view().error == "connection refused"  # whoever shows it names the vtgate
    assert client(world, 1).view().error == ""


def test_a_vtgate_that_answers_but_whose_flags_cannot_be_read_is_in_error(world: World) -> None:
    world.fail("GET .*vtgate-0:15000", Unreachable("proxy is forbidden"))
    assert client(world).view().error == "proxy is forbidden"


def test_a_pod_that_is_not_ready_is_in_error_and_not_asked(world: World) -> None:
    world.pods["vtgate-0"]["status"]["conditions"][0]["status"] = "False"
    world.before("vtgate-0: ", lambda: pytest.fail("it was asked"))
    assert client(world).view().error == "its Pod is not Ready"


def test_a_terminating_vtgate_is_skipped_and_not_asked(world: World) -> None:
    world.pods["vtgate-0"]["metadata"]["deletionTimestamp"] = "2026-11-24T00:00:00Z"
    world.before("vtgate-0: ", lambda: pytest.fail("it was asked"))
    view = client(world).view()
    assert (view.terminating, view.error) == (True, "")


def test_a_vtgate_known_by_address_has_no_flags_that_can_be_read(world: World) -> None:
    fake = FakeVtgateClient(world.kube, Endpoint(name="vtgate-0", host="192.0.2.7"), Login())
    fake.world = world
    view = fake.view()
    assert (view.error, view.settings) == ("", VtgateSettings())
    assert fake.variables() == {}


def test_a_view_by_addresses_holds_what_is_shown_there_and_each_row_once(world: World) -> None:
    asked: list[str] = []
    world.before("SHOW VITESS_TABLETS$", lambda: pytest.fail("it was asked for all tablets"))
    world.before("SHOW VITESS_TABLETS LIKE", lambda: asked.append("LIKE"), times=9)
    view = client(world).view(["10.0.0.103", "10.0.0.102", "10.9.9.9"])
    assert [route.alias for route in view.routes] == [REPLICA, SIBLING]
    assert len(asked) == 3
    world.rows_of = lambda vtgate: [("zone1", "ks", "-", "REPLICA", "SERVING", str(REPLICA), "a", "")] * 2  # type: ignore[method-assign]
    assert len(client(world).view(["a"]).routes) == 1


def test_a_vtgate_that_is_asked_for_no_address_must_answer_all_the_same(world: World) -> None:
    assert (client(world).view([]).routes, client(world).view([]).error) == ((), "")
    world.vtgates[0].down = True
    assert client(world).view([]).error == "connection refused"


def test_an_address_is_quoted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(VtgateClient, "rows", lambda _self, sql: asked.append(sql) or [])
    client(world).view(["a\\'b"])
    assert asked == ["SHOW VITESS_TABLETS LIKE 'a\\\\''b'"]


def test_flags_that_the_pods_spec_spells_out_are_not_asked_for(world: World) -> None:
    """The page grows with the number of shards."""
    world.pods["vtgate-0"]["spec"]["containers"][0]["command"] = ["/vt/bin/vtgate", "--cells-to-watch=zone7"]
    world.before("proxy/debug/vars", lambda: pytest.fail("its page was read"))
    view = client(world).view()
    assert (view.error, view.settings.cells_to_watch) == ("", {"zone7"})


def test_a_connection_is_opened_early_and_what_fails_then_is_said_by_the_view(world: World) -> None:
    one = client(world)
    one.open()
    kept = one._kept
    one.open()
    one.view()
    assert kept is not None
    assert one._kept is kept
    world.vtgates[1].down = True
    other = client(world, 1)
    other.open()
    assert other.view().error == "connection refused"


def test_a_vtgate_that_could_not_be_reached_is_not_waited_for_twice_in_one_look(world: World) -> None:
    one, tries = client(world), []
    world.vtgates[0].down = True
    connect = one.connect
    one.connect = lambda: tries.append(1) or connect()  # type: ignore[method-assign,func-returns-value]
    one.open()
    assert (one.view().error, len(tries)) == ("connection refused", 1)
    world.vtgates[0].down = False
    assert (one.view().error, len(tries)) == ("", 2)


# -- canary


def canary(world: World, tries: int = 10, uuid: str = uuid_of(REPLICA)) -> int:
    return client(world).canary("commerce", "-80", "REPLICA", REPLICA, uuid, tries)


def test_a_v24_vtgate_is_asked_for_this_very_tablet(world: World) -> None:
    assert canary(world) == 1


def test_a_canary_takes_the_kept_connection_and_closes_it(world: World) -> None:
    one, connected = client(world), []
    connect = one.connect
    one.connect = lambda: connected.append(1) or connect()  # type: ignore[method-assign,func-returns-value]
    one.view()
    assert one.canary("commerce", "-80", "REPLICA", REPLICA, uuid_of(REPLICA), 10) == 1
    assert (len(connected), one._kept) == (1, None)
    assert one.canary("commerce", "-80", "REPLICA", REPLICA, uuid_of(REPLICA), 10) == 1
    assert len(connected) == 2


def test_the_server_uuid_is_compared_without_case(world: World) -> None:
    world.tablet(REPLICA).uuid = world.tablet(REPLICA).uuid.upper()
    assert canary(world, uuid=uuid_of(REPLICA)) == 1


def test_a_v23_vtgate_is_asked_until_this_tablet_answers(world: World) -> None:
    world.vtgates[0].addresses_tablets = False
    assert 1 <= canary(world) <= 2


def test_another_server_behind_the_tablets_address_is_no_proof(world: World) -> None:
    with pytest.raises(Refused, match=r"3 reads were answered by .* none by zone1-0000000102"):
        canary(world, tries=3, uuid="ffffffff-0000-0000-0000-000000000009")


def test_a_tablet_that_no_read_reaches_is_an_error(world: World) -> None:
    for alias in (REPLICA, SIBLING):
        world.vtgates[0].instead[alias] = [("REPLICA", "NOT_SERVING", "h")]
    with pytest.raises(Refused, match="no healthy tablet available") as refusal:
        canary(world)
    assert refusal.value.status == 1105


@pytest.mark.parametrize("number", [2003, 2006, 2013])
def test_a_connection_that_was_lost_is_not_taken_for_an_old_vtgate(world: World, number: int) -> None:
    world.fail(r"USE `commerce:-80@replica\|", pymysql.err.OperationalError(number, "lost"))
    with pytest.raises(Unreachable):
        canary(world)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError("reset"), Unreachable),
        (pymysql.err.OperationalError(2013, "Lost connection"), Unreachable),
        (pymysql.err.OperationalError(1045, "Access denied"), Refused),
    ],
)
def test_what_mysql_says_becomes_refused_or_unreachable(world: World, error: Exception, kind: type[EdgeError]) -> None:
    world.fail("SHOW VITESS_TABLETS", error)
    with pytest.raises(kind, match="vtgate-0"):
        client(world).rows("SHOW VITESS_TABLETS")


def test_refused_credentials_keep_mysqls_number_and_the_password_out(world: World) -> None:
    world.fail("SHOW VITESS_TABLETS", pymysql.err.OperationalError(1045, "Access denied for user vtops"))
    with pytest.raises(Refused) as refusal:
        client(world).rows("SHOW VITESS_TABLETS")
    assert refusal.value.status == 1045
    assert "s3cret" not in str(refusal.value)


class Tunnel:
    """A port-forward's socket."""

    def __init__(self) -> None:
        self.closed = False

    def settimeout(self, _seconds: float) -> None:
        pass

    def sendall(self, _data: bytes) -> None:
        raise OSError("gone")

    def makefile(self, _mode: str) -> Any:
        raise OSError("gone")

    def close(self) -> None:
        self.closed = True


def test_a_tunnel_over_which_no_log_in_succeeds_is_closed() -> None:
    class Kubernetes:
        tunnel = Tunnel()

        def port_forward(self, namespace: str, pod: str, port: int) -> Tunnel:
            assert (namespace, pod, port) == ("vitess", "vtgate-0", 3306)
            return self.tunnel

    kube: Any = Kubernetes()
    endpoint = Endpoint(name="vtgate-0", namespace="vitess", pod="vtgate-0")
    with pytest.raises(EdgeError, match="vtgate-0"):
        VtgateClient(kube, endpoint, Login("vtops", "geheim")).connect()
    assert kube.tunnel.closed
