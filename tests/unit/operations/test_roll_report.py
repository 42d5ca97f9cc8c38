# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report that real steps leave behind: of a roll that is done, failed, was resumed or never was; and its files."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.claim import leases_path
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Alias
from ansible_collections.vtops.vitess.plugins.module_utils.operations import roll_plan
from ansible_collections.vtops.vitess.tests.unit.factories import NEW, OLD, PRIMARY, REPLICA, SIBLING
from ansible_collections.vtops.vitess.tests.unit.fakes import LOGIN, NAMESPACE, PASSWORD, TOKEN, World, gone, held_by
from ansible_collections.vtops.vitess.tests.unit.operations.test_both_ways import as_action, as_module

__all__ = ["as_action", "as_module"]
STEPS = ("tablet_drain", "pod_replace", "vtgate_readmit")
SUMMARY = {
    "requests": 1000,
    "errors": 0,
    "errors_open_transactions": 1,
    "latency": {"write": {"p50": 0.002, "p99": 0.04, "max": 0.9}},
    "longest_write_gap_s": 0.75,
    "longest_write_gap_s_by_vtgate": {"vtgate-0": 0.75},
}


@pytest.fixture
def world() -> World:
    return World()


def roll(world: World, *tablets: Alias, name: str = "nightly") -> None:
    """As the playbook does it: the primary is moved first; each tablet takes some time."""
    for alias in tablets:
        world.run("shard_claim", alias, roll=name)
        for step in (("shard_reparent",) if alias == PRIMARY else ()) + STEPS:
            world.run(step, alias, roll=name)
            world.clock.sleep(0.5)
    world.run("shard_claim", tablets[-1], roll=name, state="absent")


def report(world: World, monkeypatch: pytest.MonkeyPatch, **given: Any) -> dict[str, Any]:
    calls = list(world.calls)
    result = world.execute("roll_report", monkeypatch, **given)
    assert world.calls == calls, "a report wrote to the cluster"
    return result


def tablets(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {tablet["tablet"]: tablet for shard in result["report"]["shards"] for tablet in shard["tablets"]}


def test_a_roll_that_is_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    roll(world, REPLICA, SIBLING, PRIMARY)
    result = report(world, monkeypatch)
    assert result["complete"] is True
    assert result["report"]["verdict"] == "3 of 3 tablets done"
    assert (result["report"]["rolls"], result["report"]["next_command"]) == (["nightly"], "")
    (shard,) = result["report"]["shards"]
    assert [tablet["tablet"] for tablet in shard["tablets"]] == [str(REPLICA), str(SIBLING), str(PRIMARY)]
    assert (shard["away_at_once"], shard["still_away"]) == (1, 0)
    replica = tablets(result)[str(REPLICA)]
    assert (replica["image_before"], replica["image_now"], replica["revision_now"]) == (OLD, NEW, "new")
    assert {s["phase"] for s in replica["segments"]} >= {"drain", "idle", "pod stop and start", "catch up", "routes"}
    assert 5.0 <= replica["away"]["seconds"] <= 10.0
    assert shard["away_seconds"] == pytest.approx(sum(t["away"]["seconds"] for t in shard["tablets"]))
    (moved,) = shard["reparents"]
    assert (moved["old"], moved["new"]) == (str(PRIMARY), str(world.primaries["-80"]))
    assert moved["seconds_to_agreement"] >= moved["seconds"]
    cost = result["report"]["cost"]
    assert cost["blue_green_extra"] == pytest.approx(3 * result["report"]["seconds"] / 3600, abs=0.001)
    assert "errors, latency and write gaps of clients: no probe was given" in result["report"]["unknown"]


def test_no_roll_at_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    result = report(world, monkeypatch)
    assert result["report"]["verdict"] == "No roll: the journal says nothing of these tablets"
    assert result["report"]["counts"]["left"] == 3
    assert (result["report"]["started_at"], result["report"]["seconds"], result["complete"]) == (None, None, False)
    assert result["report"]["cost"]["blue_green_extra"] is None
    assert result["report"]["next_command"] == ""


def test_a_roll_that_failed_says_why_and_what_to_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    roll(world, REPLICA)
    world.run("tablet_drain", SIBLING)
    world.recreates = False
    failed = world.execute(
        "pod_replace", monkeypatch, tablet=str(SIBLING), roll="nightly", ready_timeout=5.0, executor=Process.current()
    )
    result = report(world, monkeypatch)
    assert result["report"]["verdict"] == "1 of 3 tablets done, 1 failed, 1 left"
    stopped = tablets(result)[str(SIBLING)]
    assert stopped["failure"]["reason"] == failed["failure"]["reason"]
    assert stopped["next_command"] == failed["failure"]["next_command"]
    assert (stopped["away"]["ended_at"], stopped["away"]["seconds"]) == (None, None)
    assert stopped["segments"][-1]["kind"] == "failed"
    assert stopped["segments"][-1]["seconds"] == pytest.approx(5.0, abs=1.0)
    assert result["report"]["next_command"].startswith("run the same playbook again, which brings back first")
    assert f"{SIBLING}: pod_replace: {failed['failure']['reason']}" in result["text"]
    assert result["report"]["pace"]["seconds_for_rest"] == 2 * result["report"]["pace"]["seconds_per_tablet"]


def test_a_roll_that_was_killed_says_that_nothing_was_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run("tablet_drain", SIBLING)
    world.clock.sleep(30.0)
    held_by(world, gone(), roll="nightly")
    stopped = tablets(report(world, monkeypatch))[str(SIBLING)]
    assert (stopped["state"], stopped["failure"]) == ("in_flight", None)
    assert "runs or was killed" in stopped["note"]
    assert "vtops.vitess.vtgate_readmit" in stopped["next_command"]


def test_a_resumed_roll_is_one_report_with_both_ids_and_the_failure_that_it_went_on_after(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll(world, REPLICA, name="first")
    world.run("shard_claim", SIBLING, roll="first")
    world.run("tablet_drain", SIBLING, roll="first")
    world.stop_s = 60.0
    world.execute("pod_replace", monkeypatch, tablet=str(SIBLING), roll="first", ready_timeout=5.0)
    world.run("shard_claim", SIBLING, roll="first", state="absent")
    world.clock.sleep(3600.0)
    world.stop_s = 2.0
    roll(world, SIBLING, PRIMARY, name="second")
    result = report(world, monkeypatch)
    assert result["report"]["verdict"] == "3 of 3 tablets done"
    assert result["report"]["rolls"] == ["first", "second"]
    resumed = tablets(result)[str(SIBLING)]
    assert (resumed["rolls"], resumed["overcome"]) == (["first", "second"], True)
    gaps = [s["seconds"] for s in resumed["segments"] if s["kind"] == "gap"]
    assert max(gaps) == pytest.approx(3600.0, abs=70.0)
    assert result["report"]["working_seconds"] < 200.0 < result["report"]["seconds"]


def test_an_accepted_gate_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run("tablet_drain", accept_no_route=[str(REPLICA)])
    assert report(world, monkeypatch)["report"]["accepted"] == [f"{REPLICA}: tablet_drain: accept_no_route: {REPLICA}"]


def test_the_plan_that_was_approved_is_compared(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = [str(alias) for alias in (PRIMARY, REPLICA, SIBLING)]
    params = world.params("roll_plan", tablets=everything)
    document = roll_plan.run(params, world.cluster(), world.clock)["document"]
    roll(world, REPLICA)
    forecast = report(world, monkeypatch, plan=document)["report"]["forecast"]
    assert (forecast["replace"], forecast["done"]) == (3, 1)
    assert forecast["left"] == [str(SIBLING), str(PRIMARY)]
    assert (forecast["order_kept"], forecast["seconds"]) == (True, [98.0, 278.0])
    edited = report(world, monkeypatch, plan={**document, "hash": "0"})
    assert "the plan was edited" in edited["msg"]


def test_what_to_report_is_chosen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add_shard("80-", *(Alias("zone1", uid) for uid in (201, 202, 203)))
    for given in ({"shards": ["commerce/80-"]}, {"tablets": ["zone1-201", "zone1-202", "zone1-203"]}):
        assert [shard["shard"] for shard in report(world, monkeypatch, **given)["report"]["shards"]] == ["commerce/80-"]
    assert len(tablets(report(world, monkeypatch, keyspaces=["commerce"]))) == 6


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"shards": ["commerce/-40"]}, "the topology has no shard commerce/-40"),
        ({"keyspaces": ["x"]}, "the topology has no keyspace x"),
        ({"tablets": ["zone1-999"]}, "the topology has no tablet zone1-0000000999"),
        ({"tablets": ["all"]}, "is no tablet alias"),
        ({"since": "yesterday"}, "since is no RFC 3339 time: yesterday"),
        ({"wanted_since": "yesterday"}, "wanted_since is no RFC 3339 time"),
        ({"probe_summary": "/nowhere", "ledger": "/nowhere"}, "give one"),
        ({"probe_summary": "/nowhere"}, "probe_summary cannot be read"),
        ({"ledger": "/nowhere"}, "ledger: "),
    ],
)
def test_what_the_caller_got_wrong_is_one_clear_failure(
    given: dict[str, Any], says: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = report(world, monkeypatch, **given)
    assert result["failed"] is True
    assert says in result["msg"]
    assert len(result["msg"]) < 200


def test_a_journal_that_cannot_be_read_is_a_failure_and_no_empty_report(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run("shard_claim")
    world.lease()["metadata"]["annotations"][labels.JOURNAL] = "{"
    assert "journal cannot be read" in report(world, monkeypatch)["msg"]


# -- what the clients saw


def test_a_probes_summary_is_folded_in(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "probe.json"
    for content in (SUMMARY, {"changed": False, "summary": SUMMARY}):
        file.write_text(json.dumps(content))
        probe = report(world, monkeypatch, probe_summary=str(file))["report"]["probe"]
        assert (probe["requests"], probe["errors"], probe["longest_write_gap_s"]) == (1000, 0, 0.75)
        assert (probe["acked"], probe["acked_lost"]) == (None, None)


@pytest.mark.parametrize("content", ["[]", "{}", "x", '{"requests": "many", "errors": 0}'])
def test_what_is_no_summary_is_refused(
    content: str, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "probe.json"
    file.write_text(content)
    result = report(world, monkeypatch, probe_summary=str(file), dest=str(tmp_path / "out"))
    assert result["failed"] is True
    assert "probe" in result["msg"]
    assert not (tmp_path / "out").exists()


# -- its files


def test_the_same_journal_makes_the_same_files_and_only_the_first_time_changes_them(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    roll(world, REPLICA)
    dest = tmp_path / "rolls" / "nightly"
    checked = report(world, monkeypatch, dest=str(dest), check=True)
    assert checked["changed"] is True
    assert not dest.exists()
    first = report(world, monkeypatch, dest=str(dest))
    assert first["changed"] is True
    assert first["diff"] == checked["diff"]
    page = dest / "vtops-report.html"
    assert first["files"] == {"html": str(page), "json": str(dest / "vtops-report.json")}
    assert json.loads((dest / "vtops-report.json").read_text()) == first["report"]
    assert stat.S_IMODE(page.stat().st_mode) == 0o644
    content = page.read_bytes()
    world.clock.sleep(86400.0)
    again = report(world, monkeypatch, dest=str(dest))
    assert (again["changed"], again["diff"]) == (False, [])
    assert page.read_bytes() == content
    assert sorted(os.listdir(dest)) == ["vtops-report.html", "vtops-report.json"]
    roll(world, SIBLING)
    more = report(world, monkeypatch, dest=str(dest))
    assert more["changed"] is True
    assert str(SIBLING) in more["diff"][1]["after"]


def test_a_page_may_be_named(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report(world, monkeypatch, dest=str(tmp_path / "nightly.html"))
    assert sorted(os.listdir(tmp_path)) == ["nightly.html", "nightly.json"]


def test_a_dest_that_cannot_be_used_is_a_clear_failure(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for dest in ("file", "file/below.html"):
        result = report(world, monkeypatch, dest=str(tmp_path / dest))
        assert result["failed"] is True
        assert str(tmp_path / "file") in result["failure"]["reason"]
        assert result["failure"]["state"] == "nothing was written"


def test_both_ways_write_the_same_files(as_module: Any, as_action: Any, tmp_path: Path) -> None:
    made = []
    for way in (as_module, as_action):
        world, dest = World(), tmp_path / way.__qualname__.partition(".")[0]
        world.run("tablet_drain", executor=Process.controlling())
        args = {**LOGIN, "dest": str(dest)}
        assert way(world, "roll_report", args, True)["changed"] is True
        assert not dest.exists()
        assert [way(world, "roll_report", args)["changed"] for _time in range(2)] == [True, False]
        texts = [(dest / f"vtops-report.{kind}").read_text() for kind in ("html", "json")]
        assert not any(secret in text for secret in (PASSWORD, TOKEN) for text in texts)
        made.append([text.replace(str(os.getpid()), "PID") for text in texts])
    assert made[0] == made[1]


def test_leases_that_may_not_be_listed_are_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.vtops.vitess.plugins.module_utils.errors import Refused

    text = 'leases is forbidden: cannot list resource "leases" in API group "coordination.k8s.io" in the namespace "vitess"'
    world.fail(f"GET {leases_path(NAMESPACE)}", Refused(text, 403), times=9)
    assert "not allowed: list leases in namespace vitess" in report(world, monkeypatch)["msg"]
