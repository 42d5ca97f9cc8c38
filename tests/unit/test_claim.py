# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Lease: who holds it, who may take it over and when, and the journal in it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.claim import (
    DURATION_S,
    KEEP_FINISHED,
    KEEP_PHASES,
    KEEP_ROLLS,
    REMOTE_LIMIT_S,
    RENEW_EVERY_S,
    Claim,
    ClaimHeld,
    ClaimLost,
    Claims,
    Entry,
    Holder,
    Stop,
    journal_from_text,
    journal_to_text,
    parse_lease,
)
from ansible_collections.vtops.vitess.plugins.module_utils.errors import EdgeError, Refused, StepFailure, Unreachable
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Alias, TabletType
from ansible_collections.vtops.vitess.plugins.module_utils.waiting import Waiter
from ansible_collections.vtops.vitess.tests.unit.factories import REPLICA, SIBLING, uuid_of
from ansible_collections.vtops.vitess.tests.unit.fakes import NAMESPACE, World, elsewhere, gone

NAME = "vtops-shard-commerce-x-80"
EXPIRES = DURATION_S + REMOTE_LIMIT_S


@pytest.fixture
def world() -> World:
    return World()


def claims(
    world: World, executor: Process | None = None, actor: Process | None = None, roll: str = "nightly"
) -> Claims:
    me = Process.current()
    return Claims(world.kube, NAMESPACE, Holder(roll, executor or me, actor or executor or me), world.clock)


def take(world: World, wait_s: float = 0.0, **given: Any) -> Claim:
    ours = claims(world)
    return ours.take(NAME, Waiter(world.clock, world.reported.append), wait_s, **given)


def renews(world: World) -> None:
    """Its holder renews the Lease every ten seconds from now on."""

    def renewal() -> None:
        world.lease()["metadata"]["resourceVersion"] = world.next_version()
        world.lease()["spec"]["renewTime"] = f"renewed at {world.clock.now:.0f}"
        world.clock.at(RENEW_EVERY_S, renewal)

    world.clock.at(RENEW_EVERY_S, renewal)


def held_by(world: World, executor: Process, actor: Process | None = None) -> None:
    """Somebody else holds it, as that process wrote it."""
    theirs = claims(world, executor, actor, "other")
    theirs.put(NAME, "", 1, {}, theirs.holder.identity)
    world.calls.clear()


# -- the journal

times = st.floats(0, 2e9)
entries = st.builds(
    Entry,
    original_type=st.sampled_from(TabletType),
    wanted=st.text(max_size=5),
    pod_name=st.text(max_size=5),
    pod_uid=st.text(max_size=5),
    server_uuid=st.text(max_size=5),
    position=st.text(max_size=5),
    steps=st.dictionaries(st.sampled_from(["drain", "replace", "readmit"]), st.tuples(times, st.none() | times)),
    phases=st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5), times, times), max_size=2).map(tuple),
    finished=st.none() | times,
    rolls=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    accepted=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    promoted=st.text(max_size=5),
    failure=st.none() | st.builds(Stop, at=times),
)
journals = st.dictionaries(st.builds(Alias, st.just("zone1"), st.integers(0, 2**32 - 1)), entries, max_size=4)


@given(journals)
def test_a_journal_survives_its_annotation(journal: dict) -> None:
    assert journal_from_text(journal_to_text(journal)) == journal


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"x": {}}',
        '{"zone1-1": {}}',
        '{"zone1-1": {"original_type": "KING"}}',
        '{"zone1-1": []}',
        '{"zone1-1": {"original_type": "REPLICA", "steps": {"drain": [1]}}}',
    ],
)
def test_a_journal_that_cannot_be_read_is_an_error_and_never_empty(text: str) -> None:
    with pytest.raises(EdgeError, match="journal cannot be read"):
        journal_from_text(text)


def test_no_journal_is_an_empty_one() -> None:
    assert journal_from_text("") == {}


def test_a_journal_of_the_first_version_is_read() -> None:
    text = (
        '{"zone1-0000000102":{"original_type":"REPLICA","wanted":"new","pod_name":"commerce-x-80-1","steps":{"drain":[1.0,2.0]},'
        '"phases":[["tablet_drain","drain",1.0,0.5]],"finished":3.0}}'
    )
    entry = journal_from_text(text)[Alias("zone1", 102)]
    assert (entry.rolls, entry.image, entry.failure) == ((), "", None)
    assert entry.steps == {"drain": (1.0, 2.0)}


def test_the_largest_journal_has_room_in_a_lease() -> None:
    """Annotations are limited to 256 KiB in all."""
    failure = StepFailure("z-1", "vtgate_readmit", "r" * 900, "g" * 40, "s" * 900, "n" * 900)
    entry = Entry(
        pod_name="p" * 60,
        position=",".join(f"{uuid_of(Alias('z', n))}:1-123456789" for n in range(12)),
        steps={"drain": (1.79e9, 1.79e9), "replace": (1.79e9, 1.79e9), "readmit": (1.79e9, 1.79e9)},
        phases=(("shard_reparent", "wait for the buffer's gap", 1790000000.123, 100.123),) * KEEP_PHASES,
        finished=1.79e9,
        rolls=("r" * 40,) * KEEP_ROLLS,
        failure=Stop.of(failure, "r" * 900, 1.79e9),
    )
    assert len(journal_to_text({Alias("zone1", n): entry for n in range(KEEP_FINISHED)})) < 240 * 1024


def test_of_finished_entries_only_the_newest_are_kept_and_what_is_in_flight_never_goes() -> None:
    journal = {
        Alias("z", n): Entry(steps={"drain": (1.0, 2.0)}, finished=float(n)) for n in range(1, KEEP_FINISHED + 6)
    }
    taken = Alias("z", 9999)
    journal[taken] = Entry(steps={"drain": (0.0, None)})
    kept = journal_from_text(journal_to_text(journal))
    assert taken in kept
    assert sorted(alias.uid for alias in kept if alias != taken) == list(range(6, KEEP_FINISHED + 6))


def test_in_flight_is_what_was_begun_and_not_finished() -> None:
    assert not Entry().in_flight
    assert Entry(steps={"drain": (1.0, None)}).in_flight
    assert not Entry(steps={"drain": (1.0, 2.0)}, finished=3.0).in_flight


def test_recent_is_an_entry_whose_last_step_ended_within_a_quarter_of_an_hour() -> None:
    entry = Entry(steps={"reparent": (50.0, 100.0)})
    assert entry.recent(999.0)
    assert not entry.recent(1000.0)
    assert not Entry(steps={"reparent": (50.0, None)}).recent(51.0)


def test_intent_and_done_are_told_apart_by_their_times(world: World) -> None:
    claim = take(world)
    started = claim.intend(REPLICA, Entry(original_type=TabletType.REPLICA), "drain")
    begun = world.clock.time()
    assert world.journal[REPLICA].steps == {"drain": (begun, None)}
    world.clock.sleep(2.0)
    claim.did(REPLICA, started, "drain")
    assert world.journal[REPLICA].steps == {"drain": (begun, begun + 2.0)}
    assert world.journal[REPLICA].in_flight
    claim.did(REPLICA, claim.entry(REPLICA), "readmit", finished=True)
    assert world.journal[REPLICA].finished == begun + 2.0


def test_an_intent_takes_a_finished_entry_in_flight_again(world: World) -> None:
    claim = take(world)
    claim.intend(REPLICA, Entry(finished=1.0), "drain")
    assert world.journal[REPLICA].in_flight


# -- taking it


def test_a_lease_that_nobody_ever_claimed_is_created_with_holder_duration_and_who(world: World) -> None:
    take(world)
    lease = world.lease()
    me = Process.current()
    assert lease["spec"]["holderIdentity"] == f"nightly@{me.host}:{me.pid}:{me.start}"
    assert lease["spec"]["leaseDurationSeconds"] == 30
    assert parse_lease(lease).holder == Holder("nightly", me, me)


def test_a_released_lease_is_taken_with_its_journal_and_the_next_transition(world: World) -> None:
    first = take(world)
    first.record(REPLICA, Entry(wanted="kept"))
    first.release()
    assert world.holder == ""
    second = take(world)
    assert second.entry(REPLICA).wanted == "kept"
    assert second.transitions == first.transitions + 1


def test_our_own_lease_is_taken_again_without_a_new_transition(world: World) -> None:
    first = take(world)
    assert take(world).transitions == first.transitions


def test_a_live_holder_of_this_host_is_never_taken_over(world: World) -> None:
    held_by(world, Process.current())
    with pytest.raises(ClaimHeld, match="vtops-shard-commerce-x-80 is held by other@"):
        take(world)
    assert world.calls == []


def test_a_holder_of_this_host_that_is_gone_is_taken_over_at_once_and_fenced(world: World) -> None:
    held_by(world, gone())
    fenced: list[int] = []
    start = world.clock.now
    claim = take(world, on_take_over=fenced.append)
    assert world.clock.now == start
    assert fenced == [claim.transitions] == [2]


def test_a_module_that_outlived_its_ansible_playbook_is_waited_for_and_its_claim_is_taken_when_it_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan = Process("here", 4711, 1)
    running = True
    monkeypatch.setattr(Process, "is_here", True)
    monkeypatch.setattr(Process, "runs", property(lambda self: running if self == orphan else self != gone()))
    held_by(world, gone(), actor=orphan)

    def ends() -> None:
        nonlocal running
        running = False

    world.clock.at(4.0, ends)
    start = world.clock.now
    take(world)
    assert 4.0 <= world.clock.now - start <= 5.0


def test_a_module_that_outlived_its_ansible_playbook_and_never_ends_is_waited_for_until_its_lease_has_expired(
    world: World,
) -> None:
    held_by(world, gone(), actor=Process.current())
    fenced: list[int] = []
    start = world.clock.now
    take(world, on_take_over=fenced.append)
    assert EXPIRES < world.clock.now - start <= EXPIRES + 2
    assert fenced == [2]


def test_a_holder_that_runs_while_its_module_is_gone_is_not_taken_over(world: World) -> None:
    held_by(world, Process.current(), actor=gone())
    with pytest.raises(ClaimHeld):
        take(world)


def test_a_holder_that_is_seen_to_run_here_is_never_taken_over_however_long_its_lease_is_unchanged(
    world: World,
) -> None:
    held_by(world, Process.current())
    with pytest.raises(ClaimHeld, match="it runs on this host"):
        take(world, 10 * EXPIRES)
    assert world.calls == []


def test_a_holder_that_is_seen_to_run_here_is_refused_at_once(world: World) -> None:
    held_by(world, Process.current())
    start = world.clock.now
    with pytest.raises(ClaimHeld):
        take(world)
    assert world.clock.now == start


@pytest.mark.parametrize("wait_s", [0.0, 45.0, 120.0])
def test_a_holder_of_another_host_is_taken_over_only_after_its_lease_was_unchanged_for_its_duration_and_the_remote_limit(
    world: World, wait_s: float
) -> None:
    """Whatever claim_wait is: an AWX job runs on another host each time, and a rerun with the defaults must go on."""
    held_by(world, elsewhere())
    fenced: list[int] = []
    start = world.clock.now
    take(world, wait_s, on_take_over=fenced.append)
    assert EXPIRES < world.clock.now - start <= EXPIRES + 2
    assert fenced == [2]


def test_a_wait_for_a_dead_holder_is_told_with_its_bound(world: World) -> None:
    held_by(world, elsewhere())
    take(world)
    assert re.search(r"the holder of .* to renew it, .* of at most 61 s: held by other@", world.reported[0])


@pytest.mark.parametrize("renewed", ["2001-01-01T00:00:00.000000Z", "2101-01-01T00:00:00.000000Z"])
def test_a_renew_time_alone_takes_nothing_over_for_clocks_of_hosts_differ(world: World, renewed: str) -> None:
    held_by(world, elsewhere())
    world.lease()["spec"]["renewTime"] = renewed
    start = world.clock.now
    take(world)
    assert EXPIRES < world.clock.now - start <= EXPIRES + 2


def test_a_holder_that_renews_is_never_taken_over(world: World) -> None:
    held_by(world, elsewhere())
    renews(world)
    with pytest.raises(ClaimHeld):
        take(world, 10 * EXPIRES)
    assert world.calls == []


@pytest.mark.parametrize("wait_s", [0.0, 3.0, 34.0])
def test_the_first_renewal_after_the_wait_refuses_a_shard_whose_holder_lives(world: World, wait_s: float) -> None:
    held_by(world, elsewhere())
    renews(world)
    start = world.clock.now
    with pytest.raises(ClaimHeld):
        take(world, wait_s)
    assert world.clock.now - start <= wait_s + RENEW_EVERY_S + 1.0
    assert world.calls == []


def test_a_refusal_names_holder_since_when_and_how_to_take_over(world: World) -> None:
    held_by(world, elsewhere())
    world.lease()["spec"]["acquireTime"] = "2026-11-24T22:00:00.000000Z"
    renews(world)
    with pytest.raises(ClaimHeld) as refused:
        take(world)
    assert str(refused.value) == (
        "vtops-shard-commerce-x-80 is held by other@other-host/cafe:4711:1 since 2026-11-24T22:00:00.000000Z, renewed renewed at "
        "10010: it renewed it in this moment; wait for it (claim_wait), or end that ansible-playbook and run the same again"
    )


def test_a_lease_keeps_since_when_it_is_held(world: World) -> None:
    claim = take(world)
    since = world.lease()["spec"]["acquireTime"]
    world.clock.sleep(RENEW_EVERY_S)
    claim.renew()
    assert take(world).taken_at
    assert world.lease()["spec"]["acquireTime"] == since != world.lease()["spec"]["renewTime"]
    claim = take(world)
    claim.release()
    world.clock.sleep(1.0)
    take(world)
    assert world.lease()["spec"]["acquireTime"] == world.lease()["spec"]["renewTime"]


def test_a_claim_may_be_waited_for_and_the_wait_is_told(world: World) -> None:
    held_by(world, elsewhere())
    world.clock.at(20.0, lambda: world.lease()["spec"].update(holderIdentity=""))
    start = world.clock.now
    take(world, 30.0)
    assert world.clock.now - start < 22
    assert "held by other@other-host/cafe:4711:1" in world.reported[0]


def test_of_two_that_take_a_free_lease_in_the_same_moment_one_waits_for_the_other(world: World) -> None:
    """AWX slices that wait for the same shard see it released in the same second."""

    def faster() -> None:
        held_by(world, elsewhere())
        world.clock.at(5.0, lambda: world.lease()["spec"].update(holderIdentity=""))

    world.before("POST .*leases", faster)
    start = world.clock.now
    take(world, 30.0)
    assert world.clock.now - start >= 5.0


def test_one_that_was_too_slow_and_may_not_wait_is_told_that_the_lease_is_held(world: World) -> None:
    world.before("POST .*leases", lambda: held_by(world, elsewhere()))
    with pytest.raises(ClaimHeld):
        take(world)


def test_a_lease_whose_journal_cannot_be_read_is_not_taken(world: World) -> None:
    held_by(world, gone())
    world.lease()["metadata"]["annotations"][labels.JOURNAL] = "{"
    with pytest.raises(EdgeError, match="journal cannot be read"):
        take(world)
    assert world.calls == []


def test_a_lease_without_our_annotation_has_a_holder_that_cannot_be_seen_gone() -> None:
    lease = {"metadata": {"resourceVersion": "1"}, "spec": {"holderIdentity": "kubectl"}}
    state = parse_lease(lease)
    assert (state.identity, state.holder, state.duration_s) == ("kubectl", None, DURATION_S)


# -- holding it


def test_a_wait_renews_every_ten_seconds(world: World) -> None:
    claim = take(world)
    world.calls.clear()
    for _second in range(35):
        world.clock.sleep(1.0)
        claim.tick()
    assert len(world.calls) == 3


def test_an_act_renews_at_once(world: World) -> None:
    claim = take(world)
    world.calls.clear()
    claim.renew()
    assert len(world.calls) == 1


@pytest.mark.parametrize("use", ["renew", "tick", "release"])
def test_a_claim_that_somebody_took_is_lost_and_nothing_is_overwritten(world: World, use: str) -> None:
    claim = take(world)
    world.clock.sleep(RENEW_EVERY_S)
    world.lease()["metadata"]["resourceVersion"] = "theirs"
    with pytest.raises(ClaimLost, match="was taken by somebody else"):
        getattr(claim, use)()
    assert world.lease()["metadata"]["resourceVersion"] == "theirs"


def test_a_claim_whose_lease_was_deleted_is_lost(world: World) -> None:
    claim = take(world)
    world.leases.clear()
    with pytest.raises(ClaimLost):
        claim.renew()
    assert world.leases == {}


@pytest.mark.parametrize("error", [Unreachable("no route"), Refused("forbidden", 403)])
def test_a_renewal_that_fails_otherwise_is_that_error(world: World, error: Exception) -> None:
    claim = take(world)
    world.fail("PUT", error)
    with pytest.raises(type(error)):
        claim.renew()


@pytest.mark.parametrize("use", ["renew", "tick"])
def test_a_claim_is_lost_when_its_own_ansible_playbook_is_gone(world: World, use: str) -> None:
    ours = claims(world, gone(), Process.current())
    claim = Claim(ours, NAME, "", 1, {})
    with pytest.raises(ClaimLost, match=r"the ansible-playbook that holds .* is gone"):
        getattr(claim, use)()
    assert world.calls == []


def test_the_identity_tells_two_executors_of_one_roll_apart() -> None:
    one, other = Holder("awx-7", elsewhere(1), elsewhere(1)), Holder("awx-7", elsewhere(2), elsewhere(2))
    assert one.identity != other.identity


def test_the_annotation_is_compact_json(world: World) -> None:
    take(world).record(SIBLING, Entry(wanted="new"))
    text = world.lease()["metadata"]["annotations"][labels.JOURNAL]
    assert ", " not in text
    assert json.loads(text)["zone1-0000000103"]["wanted"] == "new"
