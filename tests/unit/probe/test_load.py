# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import threading
from typing import Any

import pymysql
import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.probe.ledger import Request
from ansible_collections.vtops.vitess.plugins.module_utils.probe.load import Client, Job, Load, Settings, Stop
from ansible_collections.vtops.vitess.plugins.module_utils.probe.rows import OutOfRows
from ansible_collections.vtops.vitess.plugins.module_utils.probe.schedule import KINDS, Loop
from ansible_collections.vtops.vitess.plugins.module_utils.probe.vtgate import Layout

SHARDS = Layout(("-80", "80-"), "hash")
EPOCH = 1_800_000_000.0


class Clock:
    """A clock that goes on by C(tick) seconds at each look."""

    def __init__(self) -> None:
        self.now, self.tick = 1000.0, 0.0

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def load_of(fake: Any, clock: Any, record: Any = lambda request: None, **settings: Any) -> Load:
    load = Load(Settings("commerce", "probe", **settings), fake.dialler(), SHARDS, record, clock, lambda: EPOCH)
    load.restock()
    fake.statements.clear()
    return load


def client(load: Load, kind: str, shard: int = 0) -> Client:
    return Client(Loop(kind, 0, shard, 25.0, 0.0, 0.2), load)


def failing(error: Exception, *words: str) -> Any:
    """A fault at statements that contain one of the words."""

    def fault(_database: str, sql: str) -> None:
        if any(word in sql for word in words):
            raise error

    return fault


def job(clock: Clock, fresh: bool = False, due: float = 0.0, late: float = 0.0) -> Job:
    return Job(clock.now + due, fresh, late)


KILLED = pymysql.err.InternalError(1105, "transaction ended")
LOST = pymysql.err.OperationalError(2013, "Lost connection")


def test_an_answered_write_is_acknowledged_and_has_a_row_of_its_shard(fake_vtgate, clock):
    fake = fake_vtgate()
    request = client(load_of(fake, clock), "write", shard=1).run(job(clock))
    assert request.step is None
    assert request.acked
    assert request.row in fake.rows
    assert request.row % 2 == 1, "the fake's second shard"
    assert request.due == pytest.approx(EPOCH)


def test_a_transaction_reads_its_row_before_it_commits(fake_vtgate, clock):
    fake = fake_vtgate()
    request = client(load_of(fake, clock), "transaction").run(job(clock))
    assert [sql.split()[0] for sql in fake.statements] == ["BEGIN", "INSERT", "SELECT", "COMMIT"]
    assert request.acked
    assert request.begun is None, "only failures tell when they began"


def test_a_replica_transaction_reads_twice_and_writes_nothing(fake_vtgate, clock):
    fake = fake_vtgate()
    request = client(load_of(fake, clock), "replica_transaction").run(job(clock))
    assert [sql.split()[0] for sql in fake.statements] == ["BEGIN", "SELECT", "SELECT", "COMMIT"]
    assert request.row is None
    assert not fake.rows


@pytest.mark.parametrize(("kind", "side"), [*zip(KINDS, ["replica", "primary", "primary", "replica"], strict=True)])
def test_each_kind_asks_its_side(fake_vtgate, clock, kind: str, side: str):
    asked = []
    fake = fake_vtgate()
    load = load_of(fake, clock)
    fake.fault = lambda database, sql: asked.append(database)
    client(load, kind).run(job(clock))
    assert set(asked) == {f"commerce@{side}"}


def test_a_failed_commit_is_an_error_with_its_step_text_and_begin_and_no_acknowledgement(fake_vtgate, clock):
    fake = fake_vtgate(failing(KILLED, "COMMIT"))
    clock.tick = 0.001
    request = client(load_of(fake, clock), "transaction").run(job(clock))
    assert (request.step, request.code, request.acked, request.own) == ("commit", 1105, False, False)
    assert "transaction ended" in request.text
    assert request.begun is not None
    assert request.due < request.begun < request.done


def test_a_transaction_that_the_server_ended_is_rolled_back_and_the_connection_kept(fake_vtgate, clock):
    fake = fake_vtgate(failing(KILLED, "COMMIT"))
    load = load_of(fake, clock)
    opened = fake.opened
    one = client(load, "transaction")
    one.run(job(clock))
    one.run(job(clock))
    assert fake.statements.count("ROLLBACK") == 2
    assert fake.opened == opened + 1


def test_after_a_lost_connection_the_next_request_opens_another(fake_vtgate, clock):
    fake = fake_vtgate()
    load = load_of(fake, clock)
    opened = fake.opened
    one = client(load, "read")
    fake.fault = failing(LOST, "SELECT")
    assert one.run(job(clock)).code == 2013
    fake.fault = failing(LOST, "nothing")
    assert one.run(job(clock)).step is None
    assert one.run(job(clock)).step is None
    assert fake.opened == opened + 2


def test_a_fresh_request_opens_and_closes_a_connection_of_its_own(fake_vtgate, clock):
    fake = fake_vtgate()
    load = load_of(fake, clock)
    opened = fake.opened
    one = client(load, "read")
    for _number in range(3):
        assert one.run(job(clock, fresh=True)).fresh
    assert fake.opened == opened + 3


def test_a_refused_connection_is_an_error_of_the_request(fake_vtgate, clock):
    fake = fake_vtgate()
    load = load_of(fake, clock)
    fake.fault = failing(OSError(errno.ECONNREFUSED, "refused"), "connect")
    request = client(load, "read").run(job(clock))
    assert (request.step, request.own) == ("connect", False)


def test_a_lack_of_local_ports_is_the_probes_own_fault(fake_vtgate, clock):
    fake = fake_vtgate()
    load = load_of(fake, clock)
    fake.fault = failing(OSError(errno.EADDRNOTAVAIL, "no port"), "connect")
    assert client(load, "read").run(job(clock)).own


def test_a_lack_of_ids_is_the_probes_own_fault(fake_vtgate, clock):
    load = load_of(fake_vtgate(), clock)
    for _number in range(load.rows.in_stock() + 2000):
        try:
            load.rows.take(0)
        except OutOfRows:
            break
    request = client(load, "write").run(job(clock))
    assert (request.step, request.own, request.row) == ("write", True, None)


def test_at_the_limit_of_connections_requests_wait_their_turn_and_are_sent(fake_vtgate):
    done: list[Request] = []
    fake = fake_vtgate()
    settings = Settings("c", "t", rate=200.0, fresh_share=0.0, max_connections=1)
    load = Load(settings, fake.dialler(), SHARDS, done.append)
    load.restock()
    opened = fake.opened
    assert load.run(0.3)[0] == "deadline"
    assert fake.opened - opened == len(KINDS) * len(SHARDS.shards)
    assert len(done) >= 50
    assert not [request for request in done if request.failed]


def test_an_answer_after_the_limit_is_an_error_and_its_write_still_counts(fake_vtgate, clock):
    fake = fake_vtgate()
    load = load_of(fake, clock, answer_limit=5.0)

    def slow(_database: str, sql: str) -> None:
        clock.now += 5.1 if "INSERT" in sql else 0.0

    fake.fault = slow
    request = client(load, "write").run(job(clock))
    assert (request.step, request.acked, request.own) == ("late", True, False)
    assert request.seconds == pytest.approx(5.1)


def test_a_request_that_the_probe_itself_began_late_is_its_own_fault(fake_vtgate, clock):
    fake = fake_vtgate()
    request = client(load_of(fake, clock), "write").run(job(clock, due=-5.2, late=5.2))
    assert (request.step, request.own) == ("late", True)


def test_a_request_that_found_no_free_connection_in_time_is_an_error_and_is_not_sent(fake_vtgate, clock):
    fake = fake_vtgate()
    request = client(load_of(fake, clock), "write").run(job(clock, due=-5.2))
    assert (request.step, request.own, request.row) == ("queue", False, None)
    assert fake.statements == []


def test_a_read_that_misses_an_old_row_is_stale_and_one_that_misses_a_young_row_is_not(fake_vtgate, clock):
    fake = fake_vtgate()
    load = load_of(fake, clock, stale_after=30.0)
    writer, reader = client(load, "write"), client(load, "read")
    row = writer.run(job(clock)).row
    fake.rows.discard(row)
    clock.now += 29
    assert reader.run(job(clock)).stale_s is None
    clock.now += 2
    assert reader.run(job(clock)).stale_s == pytest.approx(31.0)
    assert client(load, "read", shard=1).run(job(clock)).stale_s is None
    fake.rows.add(row)
    assert reader.run(job(clock)).stale_s is None


def test_a_write_that_was_not_acknowledged_need_not_be_seen(fake_vtgate, clock):
    fake = fake_vtgate()
    load = load_of(fake, clock, stale_after=1.0)
    fake.fault = failing(LOST, "INSERT")
    client(load, "write").run(job(clock))
    clock.now += 60
    fake.fault = failing(LOST, "nothing")
    assert client(load, "read").run(job(clock)).stale_s is None


def test_no_id_is_asked_of_a_vtgate_that_is_down_while_another_answers(fake_vtgate, clock):
    fake = fake_vtgate()
    load = Load(Settings("c", "t"), fake.dialler("a", "b"), SHARDS, lambda request: None, clock, lambda: EPOCH)
    calls = iter([LOST])

    def first_is_down(_database: str, sql: str) -> None:
        if error := next(calls, None):
            raise error

    fake.fault = first_is_down
    load.restock()
    assert load.rows.in_stock() > 0
    fake.fault = failing(LOST, "connect")
    load.rows.take(0)
    with pytest.raises(Stop, match="Lost connection"):
        load.restock()


def test_a_stalled_vtgate_does_not_hold_back_the_schedule(fake_vtgate):
    """Open loop: while no answer comes, every request is still sent when it is due, on more connections."""
    done: list[Request] = []
    fake = fake_vtgate()
    settings = Settings("c", "t", rate=100.0, fresh_share=0.0, max_connections=10)
    load = Load(settings, fake.dialler(), SHARDS, done.append)
    load.restock()
    waiting = threading.Semaphore(0)
    release = threading.Event()

    def stall(_database: str, sql: str) -> None:
        if sql.startswith("INSERT"):
            waiting.release()
            release.wait(10)

    fake.fault = stall
    runner = threading.Thread(target=load.run, args=(30.0,))
    runner.start()
    try:
        for _number in range(20):
            assert waiting.acquire(timeout=10), "a write that was due was not sent"
    finally:
        release.set()
        load.stop()
        runner.join(30)
    assert sum(request.acked for request in done) >= 20
    assert not [request for request in done if request.failed and request.step != "late"]


def test_it_ends_at_its_deadline_with_every_kind_asked(fake_vtgate):
    done: list[Request] = []
    fake = fake_vtgate()
    load = Load(Settings("c", "t", rate=50.0), fake.dialler("a", "b"), SHARDS, done.append)
    load.restock()
    reason, until = load.run(0.3)
    assert reason == "deadline"
    assert until - load.started_at >= 0.3
    assert all(request.due <= until for request in done)
    assert max(request.due for request in done) >= until - 0.3
    assert {(request.kind, request.vtgate) for request in done} == {(kind, gate) for kind in KINDS for gate in (0, 1)}
    assert {request.row for request in done if request.acked} == fake.rows
    assert any(request.fresh for request in done)


def test_a_full_disk_ends_it_and_says_so(fake_vtgate):
    def full(_request: Request) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    fake = fake_vtgate()
    load = Load(Settings("c", "t", rate=100.0), fake.dialler(), SHARDS, full)
    load.restock()
    assert "No space left" in load.run(20.0)[0]
