# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vtops.vitess.plugins.module_utils.probe.ledger import Request, encode
from ansible_collections.vtops.vitess.plugins.module_utils.probe.summary import Reparent, gaps, iso, quantile, summarise

START = {
    "e": "start",
    "run": "r1",
    "at": 100.0,
    "vtgates": ["a", "b"],
    "shards": ["-80", "80-"],
    "keyspace": "commerce",
}
PRS = Reparent("commerce", "-80", start=110.0, end=112.0)


def ledger(*requests: Request, until: float | None = 130.0, **rows: Any) -> Iterable[dict[str, Any]]:
    yield dict(START)
    for request in requests:
        yield json.loads(encode(request))
    if rows:
        yield {"e": "rows", "found": 0, "acked_lost": 0, "lost": [], "found_unacked": 0, **rows}
    if until is not None:
        yield {"e": "stop", "reason": "stopped", "until": until, "at": until + 1}


def write(due: float, vtgate: int = 0, shard: int = 0, seconds: float = 0.0) -> Request:
    return Request("write", vtgate, shard, False, due, seconds, row=int(due * 1000), acked=True)


def failed(kind: str = "transaction", done: float = 111.0, begun: float | None = 109.9, **more: Any) -> Request:
    values = {"vtgate": 0, "shard": 0, "fresh": False, "step": "commit", "code": 1105, "text": "x", **more}
    return Request(kind, due=done - 1, seconds=1.0, begun=begun, **values)


def test_a_transaction_that_was_open_when_its_shard_was_reparented_is_counted_apart():
    summary = summarise(ledger(failed()), [PRS])
    assert (summary.errors, summary.errors_open_transactions) == (0, 1)
    assert summary.first_errors_open_transactions[0]["begun_at"] == "1970-01-01T00:01:49.900Z"


@pytest.mark.parametrize(
    "request_",
    [
        failed(begun=None),
        failed(begun=110.1),
        failed(done=109.95),
        failed(done=112.1),
        failed(shard=1),
        failed(kind="replica_transaction"),
        failed(kind="write", begun=None),
    ],
    ids=["no BEGIN", "BEGIN within", "failed before", "failed after", "another shard", "on a replica", "autocommit"],
)
def test_any_other_failure_near_a_reparent_is_an_error(request_: Request):
    summary = summarise(ledger(request_), [PRS])
    assert (summary.errors, summary.errors_open_transactions) == (1, 0)


def test_without_the_servers_record_every_failed_transaction_is_an_error():
    assert summarise(ledger(failed())).errors == 1


def test_clocks_may_differ_by_the_margin_only():
    request = failed(done=112.05)
    assert summarise(ledger(request), [PRS], margin=0.1).errors == 0
    assert summarise(ledger(request), [PRS], margin=0.01).errors == 1


def test_a_fault_of_the_probe_itself_is_no_error():
    summary = summarise(ledger(failed(kind="read", begun=None, own=True)))
    assert (summary.errors, summary.own_faults) == (0, 1)


def test_errors_are_told_by_kind_code_and_vtgate_with_their_text():
    summary = summarise(ledger(failed("read", text="no tablet"), failed("write", vtgate=1, code=0, step="connect")))
    assert summary.errors_by_kind == {"read": 1, "write": 1, "transaction": 0, "replica_transaction": 0}
    assert summary.errors_by_code == {"1105": 1, "connect": 1}
    assert summary.errors_by_vtgate == {"a": 1, "b": 1}
    assert summary.first_errors[0]["text"] == "no tablet"


def test_a_write_gap_of_one_shard_at_one_vtgate_is_not_hidden_by_the_others():
    steady = [write(100 + n, vtgate, shard) for n in range(1, 30) for vtgate in (0, 1) for shard in (0, 1)]
    stalled = [r for r in steady if not (r.vtgate == 1 and r.shard == 0 and 110 < r.due < 117)]
    summary = summarise(ledger(*stalled))
    assert summary.longest_write_gap_s == 7.0
    assert summary.longest_write_gap_s_by_vtgate == {"a": 1.0, "b": 7.0}
    assert summary.longest_write_gap_s_by_shard == {"-80": 7.0, "80-": 1.0}
    assert summary.longest_write_gap_s_anywhere == 1.0
    assert summary.write_gaps[0] == {
        "vtgate": "b", "shard": "-80", "start": iso(110), "end": iso(117), "seconds": 7.0,
    }  # fmt: skip


def test_a_write_gap_counts_to_the_end_of_the_run():
    assert summarise(ledger(write(101.0))).longest_write_gap_s == 30.0


def test_a_transaction_does_not_end_a_write_gap():
    commit = Request("transaction", 0, 0, False, 115.0, 0.0, row=1, acked=True)
    assert summarise(ledger(write(101.0), commit)).longest_write_gap_s_by_vtgate["a"] == 30.0


def test_latency_counts_from_the_moment_that_a_request_was_due():
    reads = [Request("read", 0, 0, False, 101.0, seconds / 1000) for seconds in range(1, 101)]
    assert summarise(ledger(*reads)).latency["read"] == {"p50": 0.05, "p99": 0.099, "max": 0.1}


def test_the_longest_stall_is_that_of_the_worst_vtgate_and_shard():
    reads = [Request("read", 0, shard, False, 100.0 + n, 0.0) for n in range(30) for shard in (0, 1)]
    summary = summarise(ledger(*reads))
    assert summary.longest_stall_s["read"] == 30.0, "vtgate b answered nothing"


def test_stale_reads_are_counted_and_measured():
    summary = summarise(
        ledger(Request("read", 0, 0, False, 101.0, 0.0, stale_s=64.0), Request("read", 0, 0, False, 1, 0))
    )
    assert (summary.stale_reads, summary.stalest_read_s) == (1, 64.0)


def test_lost_rows_are_told():
    summary = summarise(ledger(write(101.0), found=0, acked_lost=1, lost=[101000]))
    assert (summary.acked, summary.found, summary.acked_lost, summary.lost_rows) == (1, 0, 1, [101000])


def test_a_late_answer_is_an_error_and_still_an_acknowledged_write():
    late = Request("write", 0, 0, False, 101.0, 6.0, row=1, acked=True, step="late")
    summary = summarise(ledger(late))
    assert (summary.errors, summary.acked) == (1, 1)


def test_a_killed_probe_has_figures_but_no_comparison_of_rows():
    summary = summarise(ledger(write(101.0), until=None))
    assert summary.running
    assert summary.stop_reason is None
    assert (summary.requests, summary.acked_lost) == (1, None)


def test_a_ledger_that_does_not_begin_with_its_start_is_refused():
    with pytest.raises(ValueError, match="start"):
        summarise([{"e": "tick", "at": 1.0, "cpu": 0, "late": 0}])


def test_cpu_is_told_per_1000_requests():
    lines = [*ledger(write(101.0), write(102.0), until=None), {"e": "tick", "at": 103.0, "cpu": 0.5, "late": 0.02}]
    summary = summarise(lines)
    assert (summary.cpu_s_per_1000_requests, summary.latest_dispatch_s) == (250.0, 0.02)


@given(st.lists(st.floats(0, 100), max_size=30))
def test_gaps_cover_the_run_without_overlap(times: list[float]):
    found = gaps(times, 0.0, 100.0)
    assert found[0][0] == 0.0
    assert found[-1][1] == 100.0
    assert all(earlier[1] == later[0] for earlier, later in pairwise(found))
    assert sum(end - start for start, end in found) == pytest.approx(100.0)


@given(st.lists(st.floats(0, 10), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_a_value_that_this_share_does_not_exceed(values: list[float], share: float):
    ordered = sorted(values)
    value = quantile(ordered, share)
    assert sum(other <= value for other in ordered) >= share * len(ordered) - 1e-9
    assert value in ordered
