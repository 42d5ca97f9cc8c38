# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.errors import OutcomeUnknown, StepFailure
from ansible_collections.vtops.vitess.tests.unit.factories import EXECUTED, PRIMARY, REPLICA, SIBLING, uuid_of
from ansible_collections.vtops.vitess.tests.unit.fakes import FakeTablet, FakeVtgate, World

RESTORED = "ChangeTabletType zone1-0000000102 replica"
HERE = "USE `commerce:-80@replica|zone1-0000000102`"


def replaced(held: bool = True, on_return: Callable[[FakeTablet], object] = lambda _tablet: None) -> World:
    """REPLICA was drained and its Pod is new."""
    world = World()
    world.held, world.on_return = held, on_return
    world.run("tablet_drain")
    world.run("pod_replace")
    world.calls.clear()
    return world


# -- what it does


def test_held_readmission_restores_the_recorded_type_only_after_it_has_caught_up() -> None:
    world = replaced(on_return=lambda tablet: tablet.__setattr__("lag", 60.0))
    caught_up = world.clock.now + 5.0
    at: list[float] = []
    world.clock.at(5.0, lambda: world.tablet(REPLICA).__setattr__("lag", 0.0))
    world.before("ChangeTabletType", lambda: at.append(world.clock.now))
    result = world.run("vtgate_readmit")
    assert world.acts == [RESTORED]
    assert at[0] >= caught_up
    assert (result["changed"], result["held"], result["served_before_proof"]) == (True, True, {})
    assert world.tablet(REPLICA).type == "REPLICA"


@pytest.mark.parametrize(("slow_s", "reads"), [(0.0, 2), (3.0, 3)], ids=["fresh", "too old"])
def test_what_was_just_read_under_the_claim_is_not_read_again_unless_it_got_old(slow_s: float, reads: int) -> None:
    world = replaced()
    seen: list[float] = []

    def look() -> None:
        seen.append(world.clock.now)
        world.clock.sleep(slow_s if len(seen) == 1 else 0.0)

    world.before("GetShard", look, times=100)
    world.run("vtgate_readmit")
    assert len(seen) == reads


def test_in_a_roll_vtgates_are_asked_for_the_old_and_the_new_addresses_only() -> None:
    world = replaced()
    world.before("SHOW VITESS_TABLETS$", lambda: pytest.fail("a vtgate was asked for all tablets"))
    asked: list[str] = []
    for address in ("10.0.0.102", "10.0.1.102"):
        world.before(f"LIKE '{address}'", lambda address=address: asked.append(address), times=99)  # type: ignore[misc]
    assert world.run("vtgate_readmit")["changed"] is True
    assert set(asked) == {"10.0.0.102", "10.0.1.102"}


def test_while_one_vtgate_lags_the_others_are_not_asked_and_all_are_in_the_end() -> None:
    world = replaced()
    asked: dict[str, list[float]] = {"vtgate-0": [], "vtgate-1": []}
    for name, times in asked.items():
        world.before(f"{name}: SHOW", lambda times=times: times.append(world.clock.now), times=999)  # type: ignore[misc]
    lags = world.clock.now + 10.0
    world.vtgates[1].instead[REPLICA] = [("REPLICA", "NOT_SERVING", "10.0.1.102")]
    world.clock.at(10.0, lambda: world.vtgates[1].instead.pop(REPLICA, None))
    world.clock.sleep(3.0)
    world.vtgates[1].instead[REPLICA] = [("REPLICA", "NOT_SERVING", "10.0.1.102")]
    world.run("vtgate_readmit")
    begun = lags - 5.0
    assert [at for at in asked["vtgate-0"] if begun < at < lags] == []
    assert [at for at in asked["vtgate-1"] if begun < at < lags] != []
    assert max(asked["vtgate-0"]) >= lags


def test_a_vtgate_that_comes_while_another_lags_is_asked_before_the_end() -> None:
    world = replaced()
    world.vtgates[1].instead[REPLICA] = [("REPLICA", "NOT_SERVING", "10.0.1.102")]
    world.clock.sleep(3.0)
    world.vtgates[1].instead[REPLICA] = [("REPLICA", "NOT_SERVING", "10.0.1.102")]

    def comes() -> None:
        world.vtgates.append(FakeVtgate("vtgate-9", instead={REPLICA: [("REPLICA", "NOT_SERVING", "10.0.1.102")]}))
        world.pods["vtgate-9"] = world.pod_of_program("vtgate-9", "vtgate")
        world.vtgates[1].instead.pop(REPLICA, None)

    world.clock.at(4.0, comes)
    with pytest.raises(StepFailure, match="vtgate-9 shows REPLICA NOT_SERVING"):
        world.run("vtgate_readmit", route_timeout=20.0)


@pytest.mark.parametrize("options", [{}, {"roll": None}], ids=["not taken by us", "by hand"])
def test_where_its_old_address_is_not_known_or_by_hand_every_row_is_looked_at(options: dict[str, None]) -> None:
    world = replaced() if options else World()
    world.run("shard_claim", state="absent")
    world.clock.sleep(5.0)  # every vtgate has polled
    strays = [("REPLICA", "SERVING", world.tablet(REPLICA).hostname), ("REPLICA", "SERVING", "10.9.9.9")]
    world.vtgates[0].instead[REPLICA] = strays
    with pytest.raises(StepFailure, match=r"also routes to its old address 10\.9\.9\.9"):
        world.run("vtgate_readmit", route_timeout=2.0, **options)


def test_the_journal_says_finished_only_after_the_proof() -> None:
    world = replaced()
    in_flight: list[bool] = []
    world.before(f"vtgate-1: {re.escape(HERE)}", lambda: in_flight.append(world.journal[REPLICA].in_flight))
    world.run("vtgate_readmit")
    assert in_flight == [True]
    assert not world.journal[REPLICA].in_flight


def test_a_tablet_that_serves_by_itself_is_proved_and_what_it_served_before_is_said() -> None:
    world = replaced(held=False, on_return=lambda tablet: tablet.__setattr__("lag", 60.0))
    world.clock.at(5.0, lambda: world.tablet(REPLICA).__setattr__("lag", 0.0))
    result = world.run("vtgate_readmit")
    assert world.acts == []
    assert (result["changed"], result["held"]) == (True, False)
    early = result["served_before_proof"]
    assert (early["lag_s"], early["why"]) == (60.0, "lag is 60 s, limit 10 s")


def test_one_read_goes_through_the_tablet_at_every_vtgate() -> None:
    world = replaced()
    result = world.run("vtgate_readmit")
    assert result["canary_reads"] == {"vtgate-0": 1, "vtgate-1": 1}
    assert [v.reads for v in world.vtgates] == [1, 1]


def test_a_vtgate_that_addresses_no_tablet_is_asked_until_this_one_answers() -> None:
    world = replaced()
    world.vtgates[1].addresses_tablets = False
    result = world.run("vtgate_readmit")
    assert result["canary_reads"]["vtgate-0"] == 1
    assert world.vtgates[1].reads == result["canary_reads"]["vtgate-1"]


def test_a_second_run_changes_nothing_but_asks_the_vtgates_again() -> None:
    world = replaced()
    world.run("vtgate_readmit")
    world.calls.clear()
    result = world.run("vtgate_readmit")
    assert world.calls == []
    assert (result["changed"], result["canary_reads"]) == (False, {"vtgate-0": 1, "vtgate-1": 1})


def test_check_mode_writes_nothing_at_all_and_predicts_the_change() -> None:
    world = replaced()
    result = world.run("vtgate_readmit", check=True)
    assert world.calls == []
    assert (result["changed"], result["after"]["type"]) == (True, "REPLICA")


def test_a_tablet_that_was_only_drained_is_brought_back_as_what_it_was() -> None:
    world = World()
    for alias in (REPLICA, SIBLING):
        world.tablet(alias).type = "RDONLY"
    world.durability = "semi_sync_with_rdonly_ack"
    world.run("tablet_drain")
    world.run("vtgate_readmit")
    assert world.tablet(REPLICA).type == "RDONLY"


def test_a_red_gate_of_the_drain_never_stops_bringing_back() -> None:
    world = replaced()
    world.tablet(SIBLING).type = "DRAINED"
    world.stateful_sets["commerce-x-80"]["metadata"]["generation"] = 9
    assert world.run("vtgate_readmit")["changed"] is True
    assert world.tablet(REPLICA).type == "REPLICA"


def test_the_last_module_called_by_hand_releases_the_claim_and_keeps_the_journal() -> None:
    world = World()
    world.run("tablet_drain", roll=None)
    assert world.holder.startswith("manual-")
    result = world.run("vtgate_readmit", roll=None)
    assert world.holder == ""
    assert REPLICA in world.journal
    assert result["claim"]["held"] is False


def test_a_roll_keeps_its_claim_for_the_next_tablet() -> None:
    world = replaced()
    world.run("vtgate_readmit")
    assert world.holder.startswith("nightly@")


# -- what it refuses


def test_never_readmits_what_somebody_else_drained() -> None:
    world = World()
    world.tablet(REPLICA).type = "DRAINED"
    with pytest.raises(StepFailure) as failure:
        world.run("vtgate_readmit")
    assert failure.value.gate == "no_foreign_drain"
    assert world.calls == []


def test_a_foreign_drain_that_was_accepted_by_alias_is_readmitted() -> None:
    world = World()
    world.tablet(REPLICA).type = "DRAINED"
    assert world.run("vtgate_readmit", accept_drained=[str(REPLICA)])["changed"] is True
    assert world.acts == [RESTORED]


def emptied(tablet: FakeTablet) -> None:
    tablet.gtid, tablet.uuid = f"{uuid_of(PRIMARY)}:100", "ffffffff-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    "loses",
    [lambda tablet: tablet.__setattr__("gtid", ""), emptied],
    ids=["nothing executed", "another server uuid"],
)
def test_an_empty_volume_is_never_readmitted_and_the_tablet_stays_out(loses: Callable[[FakeTablet], object]) -> None:
    world = replaced(on_return=loses)
    with pytest.raises(StepFailure, match="its volume is not the one it left with") as failure:
        world.run("vtgate_readmit")
    assert failure.value.gate == "position_contained"
    assert "describe pvc data-commerce-x-80-102" in failure.value.next_command
    assert world.acts == []
    assert world.tablet(REPLICA).type == "DRAINED"


def test_the_same_volume_that_still_recovers_what_it_had_is_waited_for() -> None:
    world = replaced(on_return=lambda tablet: tablet.__setattr__("gtid", f"{uuid_of(PRIMARY)}:1-90"))
    world.clock.at(3.0, lambda: world.tablet(REPLICA).__setattr__("gtid", EXECUTED))
    assert world.run("vtgate_readmit")["changed"] is True


def test_a_tablet_with_an_errant_gtid_is_never_readmitted() -> None:
    world = replaced(on_return=lambda tablet: tablet.__setattr__("gtid", f"{EXECUTED},{uuid_of(REPLICA)}:1"))
    with pytest.raises(StepFailure, match="errant GTIDs") as failure:
        world.run("vtgate_readmit")
    assert failure.value.gate == "no_errant_gtid"
    assert failure.value.next_command == "do not readmit it: restore it from a backup"
    assert world.acts == []


def test_an_errant_gtid_is_undone_with_neither_after_an_intent_alone() -> None:
    world = World()
    world.fail("ChangeTabletType", KeyboardInterrupt(), done=True)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        world.run("tablet_drain")
    world.tablet(REPLICA).gtid = f"{EXECUTED},{uuid_of(REPLICA)}:1"
    world.calls.clear()
    with pytest.raises(StepFailure) as failure:
        world.run("vtgate_readmit")
    assert (failure.value.gate, world.acts) == ("no_errant_gtid", [])


@pytest.mark.parametrize(
    ("breaks", "missing"),
    [
        (lambda t: t.__setattr__("io", False), "replication does not run"),
        (lambda t: t.__setattr__("sql", False), "replication does not run"),
        (lambda t: t.__setattr__("source", SIBLING), "not from the primary zone1-0000000101"),
        (lambda t: t.__setattr__("lag", 11.0), "lag is 11 s, limit 10 s"),
        (lambda t: t.__setattr__("lag", None), "lag is unknown"),
        (lambda t: t.__setattr__("mysqld_error", "no socket"), "its mysqld does not answer: no socket"),
        (lambda t: t.__setattr__("hostname", ""), "has not registered its new address"),
        (lambda t: t.__setattr__("type", "RESTORE"), "it is RESTORE"),
        (lambda t: t.__setattr__("gtid", f"{uuid_of(PRIMARY)}:1-90"), "10 transactions that it had at leave"),
    ],
    ids=["io", "sql", "source", "lag", "lag unknown", "mysqld", "address", "restores", "position"],
)
def test_a_tablet_that_does_not_catch_up_stays_out(breaks: Callable[[FakeTablet], object], missing: str) -> None:
    world = replaced(on_return=breaks)
    with pytest.raises(StepFailure) as failure:
        world.run("vtgate_readmit", catch_up_timeout=3.0)
    assert missing in failure.value.reason
    assert failure.value.gate == "caught_up"
    assert failure.value.next_command == "vtctldclient GetFullStatus zone1-0000000102"
    assert world.acts == []
    assert world.journal[REPLICA].in_flight


def test_a_primary_that_does_not_answer_is_waited_for() -> None:
    world = replaced()
    world.tablet(PRIMARY).mysqld_error = "no socket"
    with pytest.raises(StepFailure, match="the shard's primary does not answer"):
        world.run("vtgate_readmit", catch_up_timeout=2.0)
    assert world.acts == []


# -- every vtgate


@pytest.mark.parametrize(
    ("rows", "missing"),
    [
        ([], "vtgate-1 does not know it"),
        ([("REPLICA", "NOT_SERVING", "10.0.1.102")], "vtgate-1 shows REPLICA NOT_SERVING"),
        ([("REPLICA", "SERVING", "10.0.0.102")], "vtgate-1 shows REPLICA SERVING at 10.0.0.102"),
        (
            [("REPLICA", "SERVING", "10.0.1.102"), ("REPLICA", "SERVING", "10.0.0.102")],
            "vtgate-1 also routes to its old address 10.0.0.102",
        ),
    ],
    ids=["unknown", "not serving", "old address", "both addresses"],
)
def test_one_vtgate_that_never_sees_it_is_a_bounded_wait_that_names_it(
    rows: list[tuple[str, str, str]], missing: str
) -> None:
    world = replaced()
    world.clock.sleep(2.0)
    world.vtgates[1].instead[REPLICA] = rows
    with pytest.raises(StepFailure) as failure:
        world.run("vtgate_readmit", route_timeout=3.0)
    assert missing in failure.value.reason
    assert failure.value.gate == "routes"
    assert failure.value.next_command == "mysql at each vtgate: SHOW VITESS_TABLETS"
    assert failure.value.state == "it is REPLICA again, not every vtgate was seen to route to it"
    assert world.journal[REPLICA].in_flight


def test_a_vtgate_that_does_not_answer_is_no_proof() -> None:
    world = replaced()
    world.vtgates[0].down = True
    with pytest.raises(StepFailure, match="vtgate-0: connection refused"):
        world.run("vtgate_readmit", route_timeout=2.0)
    assert world.journal[REPLICA].in_flight


def without_vtgates(world: World) -> None:
    for vtgate in world.vtgates:
        del world.pods[vtgate.name]


def test_no_vtgate_at_all_is_no_proof() -> None:
    world = replaced()
    without_vtgates(world)
    with pytest.raises(StepFailure, match="no vtgate was found"):
        world.run("vtgate_readmit", route_timeout=2.0)


def test_no_vtgate_at_all_is_no_proof_of_an_unchanged_tablet_either() -> None:
    world = World()
    without_vtgates(world)
    with pytest.raises(StepFailure, match="no vtgate was found") as failure:
        world.run("vtgate_readmit", route_timeout=2.0)
    assert failure.value.gate == "every_vtgate_answers"
    assert world.calls == []


def test_a_tablet_that_does_not_acknowledge_is_not_back() -> None:
    world = replaced(on_return=lambda tablet: tablet.__setattr__("semi_sync", False))
    with pytest.raises(StepFailure, match="it does not acknowledge the primary's writes"):
        world.run("vtgate_readmit", route_timeout=2.0)


def test_it_need_not_acknowledge_without_semi_sync() -> None:
    world = World()
    world.durability = "none"
    world.on_return = lambda tablet: tablet.__setattr__("semi_sync", False)
    world.run("tablet_drain")
    world.run("pod_replace")
    assert world.run("vtgate_readmit")["changed"] is True


def test_a_read_through_it_that_fails_is_told_with_the_vtgate() -> None:
    world = replaced()
    world.fail(f"vtgate-1: {re.escape(HERE)}", OSError("connection reset"))
    with pytest.raises(StepFailure, match="a read through it failed: vtgate-1: connection reset") as failure:
        world.run("vtgate_readmit")
    assert failure.value.gate == "canary"
    assert world.journal[REPLICA].in_flight


def test_reads_that_other_tablets_answer_are_no_proof() -> None:
    world = replaced()
    for vtgate in world.vtgates:
        vtgate.addresses_tablets = False
    for vtgate in world.vtgates:
        vtgate.__class__ = AlwaysTheSibling
    with pytest.raises(StepFailure, match="5 reads were answered by") as failure:
        world.run("vtgate_readmit", canary_tries=5)
    assert failure.value.gate == "canary"


class AlwaysTheSibling(type(World().vtgates[0])):  # type: ignore[misc]
    """A vtgate whose balancer never picks the readmitted tablet."""

    @property
    def reads(self) -> int:
        return 1

    @reads.setter
    def reads(self, _value: int) -> None:
        pass


# -- soak


def test_the_soak_watches_the_shard_for_its_time() -> None:
    world = replaced()
    start = world.clock.now
    world.run("vtgate_readmit", soak=20.0)
    assert world.clock.now - start >= 20.0
    assert not world.journal[REPLICA].in_flight


def test_a_tablet_that_gets_away_in_the_soak_ends_the_roll() -> None:
    world = replaced()
    world.clock.at(10.0, lambda: world.vtgates[0].instead.update({SIBLING: []}))
    with pytest.raises(StepFailure, match="while soaking zone1-0000000103 got away") as failure:
        world.run("vtgate_readmit", soak=20.0)
    assert failure.value.gate == "soak"


# -- lost answers


def test_a_lost_answer_of_the_restored_type_is_no_failure_where_it_was_restored() -> None:
    world = replaced()
    world.fail("ChangeTabletType", OutcomeUnknown("cut"), done=True)
    assert world.run("vtgate_readmit")["changed"] is True


def test_a_lost_answer_of_the_restored_type_is_a_failure_that_a_rerun_mends() -> None:
    world = replaced()
    world.fail("ChangeTabletType", OutcomeUnknown("cut"))
    with pytest.raises(StepFailure) as failure:
        world.run("vtgate_readmit")
    assert "whether it comes is not known" in failure.value.state
    assert world.run("vtgate_readmit")["changed"] is True
    assert world.tablet(REPLICA).type == "REPLICA"
