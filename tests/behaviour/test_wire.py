# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wire fails: the API server refuses, is slow or cuts connections; an exec's outcome is not known, or its output is cut off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.vtops.vitess.tests.behaviour.conftest import Make
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig

from .test_roll import TWO_CELLS

QUICK = {"ready_timeout": 40.0, "evict_timeout": 20.0, "catch_up_timeout": 30.0, "route_timeout": 30.0}

# Each call that a roll makes, as the wire sees it.
CALLS = {
    "listing Pods": "GET /api/v1/namespaces/vitess/pods$",
    "reading the owner": "GET /apis/apps/v1/namespaces/vitess/statefulsets/",
    "reading the nodes": "GET /api/v1/nodes",
    "reading a volume claim": "GET .*/persistentvolumeclaims/",
    "marking the volume claim": "PATCH .*/persistentvolumeclaims/",
    "reading the claim": "GET .*/leases/",
    "taking the claim": "POST .*/leases",
    "renewing the claim": "PUT .*/leases/",
    "reading the shard": "exec vtctld-0: script",
    "draining": "exec .*ChangeTabletType zone1-0000000102 drained",
    "looking at the pools": "GET .*commerce-x-x-1:15000/proxy/debug/vars",
    "marking the Pod": "PATCH .*/pods/commerce-x-x-1",
    "evicting": "POST .*/eviction",
    "waiting for the Pod": "GET .*/pods/commerce-x-x-1$",
    "restoring the type": "exec .*ChangeTabletType zone1-0000000102 replica",
    "reaching a vtgate": "portforward vtgate-1",
}
TROUBLES: dict[str, dict[str, Any]] = {
    "401": {"status": 401},
    "403": {"status": 403},
    "410": {"status": 410},
    "429": {"status": 429},
    "500": {"status": 500},
    "503": {"status": 503},
    "cut before": {"cut": True},
    "cut after": {"cut": True, "after": True},
}


def matrix() -> list[tuple[str, str]]:
    """Every call in the ways that differ; in all ways those that the safety of a removal hangs on."""
    crucial = ("renewing the claim", "evicting")
    pairs = [
        (call, trouble)
        for call in CALLS
        for trouble in TROUBLES
        if call in crucial or trouble not in ("401", "410", "503")
    ]
    return [
        (call, trouble) for call, trouble in pairs if not (CALLS[call].startswith("exec") and trouble in ("403", "429"))
    ]


@pytest.mark.parametrize(("call", "trouble"), matrix())
def test_one_failing_call_harms_nobody_and_a_rerun_finishes(call: str, trouble: str, rig: Rig) -> None:
    """Whatever call fails once, in whatever way: the roll ends or goes on, no rule is broken, and the next one converges."""
    what = TROUBLES[trouble]
    if CALLS[call].startswith("exec") and "status" in what:
        what = {"status": 1, "message": f"made to fail like {trouble}"}
    rig.wire.trouble(CALLS[call], **what)
    first = rig.replace(102, **QUICK)
    if first.failure is not None:
        assert len(str(first.failure["msg"])) < 200
        assert first.failure["failure"]["next_command"]
    rig.simulation.pass_(70)
    second = rig.replace(102, **QUICK)
    assert second.failure is None, second.failure
    assert 102 in rig.upgraded()
    assert rig.types()[102] == "REPLICA"
    assert rig.claims_held() == []
    assert len(rig.simulation.kubernetes.evictions) == 1, "never twice"
    rig.assert_unharmed()


@pytest.mark.parametrize("bytes_", [0, 40, 400, 900])
def test_a_shard_that_was_read_in_part_is_no_evidence(bytes_: int, rig: Rig) -> None:
    rig.wire.trouble("exec vtctld-0: script", after=True, cut_output=bytes_, times=99)
    rolled = rig.replace(102, **QUICK)
    assert rolled.failure is not None
    rig.assert_nothing_taken()
    rig.assert_unharmed()


def test_a_cell_that_does_not_answer_is_no_smaller_shard(make: Make) -> None:
    """--strict: GetTablets without it prints what it has and ends well, here without the tablet that is away."""
    rig = make(replace(TWO_CELLS, durability="semi_sync"))
    rig.simulation.kubernetes.set_ready("commerce-x-x-3", False)
    rig.simulation.vtctldclient.lost_cells.add("zone2")
    assert rig.execute("fleet_info")["failed"] is True
    assert rig.execute("tablet_drain", 102)["failed"] is True
    rig.assert_nothing_taken()
    assert rig.simulation.referee.violations == []


def test_a_drain_whose_answer_is_lost_is_looked_up_and_not_repeated(rig: Rig) -> None:
    rig.wire.trouble(CALLS["draining"], cut=True, after=True)
    assert rig.replace(102, **QUICK).failure is None
    assert [act for act in rig.acts if act.endswith("drained")] == ["ChangeTabletType zone1-0000000102 drained"]
    rig.assert_unharmed()


def test_an_eviction_whose_answer_is_lost_is_looked_up_and_not_repeated(rig: Rig) -> None:
    rig.wire.trouble(CALLS["evicting"], cut=True, after=True)
    assert rig.replace(102, **QUICK).failure is None
    assert len(rig.simulation.kubernetes.evictions) == 1
    rig.assert_unharmed()


def test_an_api_server_that_forbids_is_named_with_the_verb(rig: Rig) -> None:
    rig.wire.trouble(CALLS["evicting"], status=403, message="User cannot create resource pods/eviction", times=99)
    rolled = rig.replace(102, **QUICK)
    assert "not allowed" in rolled.reason
    assert "cannot create" in rolled.reason
    assert rolled.failure is not None
    assert rolled.failure["failure"]["next_command"] == (
        "kubectl -n vitess auth can-i create pods --subresource=eviction"
    )
    rig.assert_nothing_taken()
    rig.assert_unharmed()


def test_reads_that_take_long_do_not_let_a_step_act_on_old_evidence(rig: Rig) -> None:
    """design rule 2: slow only for a while; it is read again until it is fresh."""
    rig.wire.trouble("exec vtctld-0: script", passes_s=2.5, times=3)
    assert rig.replace(102, **QUICK).failure is None
    rig.assert_unharmed()


def test_no_password_or_token_is_in_a_result_or_report(rig: Rig) -> None:
    """design rule 11."""
    secret = "s3cret-of-nobody"
    results = rig.replace(102, login_password=secret, api_key=secret).results
    assert secret not in str(results)
    assert secret not in "".join(rig.reported)
    assert secret not in str(rig.simulation.store.objects)
