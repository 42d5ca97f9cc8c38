# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rolls where vitess-operator owns the Pods: released down its tree and one by one, never evicted, and taken back where a roll stops."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.timestamps import timestamp
from ansible_collections.vtops.vitess.tests.behaviour.conftest import Make
from ansible_collections.vtops.vitess.tests.behaviour.player import Rolled
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig
from ansible_collections.vtops.vitess.tests.behaviour.test_crash import run_until_it_dies
from ansible_collections.vtops.vitess.tests.behaviour.test_rights import ONLY_FOR_STATEFUL_SETS, documented_for_operator
from ansible_collections.vtops.vitess.tests.sim.layout import Layout, like_the_lab, one_shard
from ansible_collections.vtops.vitess.tests.sim.operator import Operator, pod_name
from ansible_collections.vtops.vitess.tests.sim.store import Json

RELEASED, SCHEDULED = "rollout.planetscale.com/released", "rollout.planetscale.com/scheduled"
STARTED, FINISHED = "drain.planetscale.com/started", "drain.planetscale.com/finished"
QUICK = {"ready_timeout": 60.0, "evict_timeout": 15.0}
POD = pod_name("zone1-0000000102")
DONE = {"old": "24.0.2", "new": "24.0.2"}


def operated(**given: object) -> Layout:
    """101 is the primary, 102 and 103 are REPLICAs, as vitess-operator has them."""
    return one_shard(operator=True, **given)


@pytest.fixture
def rig(make: Make) -> Rig:
    """A shard whose new version is scheduled on its VitessKeyspace."""
    return make(operated())


def operator(rig: Rig) -> Operator:
    """The stand-in."""
    found = rig.simulation.kubernetes.operator
    assert found is not None
    return found


def pod(rig: Rig, uid: int = 102) -> Json:
    """A tablet's Pod."""
    return rig.simulation.store.of("pods")[rig.simulation.tablet(str(uid)).pod]


def notes(rig: Rig, uid: int = 102) -> set[str]:
    """The annotations of a rollout or a drain on a tablet's Pod."""
    return {n for n in pod(rig, uid)["metadata"]["annotations"] if n.startswith(("rollout.", "drain."))} - {
        "drain.planetscale.com/supported"
    }


def annotate(rig: Rig, uid: int, **words: str) -> None:
    """Somebody writes annotations on a Pod."""
    pod(rig, uid)["metadata"]["annotations"].update(
        {{"released": RELEASED, "started": STARTED, "finished": FINISHED}[word]: text for word, text in words.items()}
    )
    rig.simulation.kubernetes.told(pod(rig, uid))


def removals(rig: Rig) -> list[str]:
    """Who took Pods away through the API."""
    return [call for call in rig.wire.calls if call.endswith("/eviction") or call.startswith("DELETE ")]


def never_a_primary(rig: Rig) -> None:
    """The operator had no reason to reparent."""
    assert operator(rig).reparents == 0


@pytest.mark.parametrize("layout", [operated(), like_the_lab(operator=True), operated(held=False)], ids=str)
def test_a_roll_with_the_operator_replaces_every_tablet_and_no_client_sees_it(layout: Layout, make: Make) -> None:
    rig = make(layout)
    rolled = rig.roll()
    assert rolled.failure is None, rolled.failure
    assert sorted(rig.upgraded()) == sorted(rig.types())
    assert removals(rig) == [], "the operator deletes, we only annotate"
    assert rig.claims_held() == []
    never_a_primary(rig)
    rig.assert_unharmed()
    assert max(rig.simulation.referee.most_away.values()) == 1
    acts = list(rig.acts)
    again = rig.roll()
    assert (again.failure, again.changed, rig.acts) == (None, 0, acts)


def test_the_annotations_come_and_go_in_the_order_that_was_recorded(rig: Rig) -> None:
    """operator-recording.md, External strategy: the whole order, and its times from each release on."""
    assert rig.replace(102).failure is None
    keyspace, shard = operator(rig).keyspace, operator(rig).shard_object("-")
    seen = [entry for entry in operator(rig).seen if entry[1] in (keyspace, shard, POD)]
    words = [(name, word.partition("/")[2], came) for _at, name, word, came in seen]
    assert words == [
        (keyspace, "scheduled", True),
        (keyspace, "released", True),
        (keyspace, "released", False),
        (keyspace, "scheduled", False),
        (shard, "scheduled", True),
        (shard, "released", True),
        (shard, "released", False),
        (shard, "scheduled", False),
        (POD, "scheduled", True),
        (POD, "released", True),
        (POD, "started", True),
        (POD, "acknowledged", True),
        (POD, "finished", True),
    ]
    at = [entry[0] for entry in seen]
    assert [round(at[number] - at[9], 2) for number in (10, 11, 12)] == [0.02, 0.19, 0.2]
    assert round(at[2] - at[1], 2) == 0.05
    assert round(at[4] - at[1], 2) == 0.09


def test_one_pod_is_released_at_a_time_and_never_before_its_tablet_is_drained(rig: Rig) -> None:
    types: list[tuple[str, str]] = []
    rig.wire.trouble("PATCH .*/pods/", times=10**6, after=True, happens=lambda: types.extend(_released(rig)))
    assert rig.roll().failure is None
    assert {kind for _alias, kind in types} == {"DRAINED"}
    assert len({alias for alias, _kind in types}) == 3


def _released(rig: Rig) -> list[tuple[str, str]]:
    found = [t for t in rig.simulation.fleet.tablets.values() if t.pod in rig.simulation.store.of("pods")]
    return [(t.alias, t.type) for t in found if RELEASED in notes(rig, t.uid)]


def test_check_mode_with_the_operator_releases_nothing_and_foretells_the_roll(rig: Rig) -> None:
    plan = rig.execute("roll_plan", tablets=[rig.alias(uid) for uid in (101, 102, 103)])
    assert [step["action"] for step in plan["plan"]] == ["replace"] * 3
    for step in plan["plan"]:
        uid = rig.simulation.tablet(step["tablet"]).uid
        predicted = [*step["predicted"], step["tablet"]]
        steps = ("shard_reparent", "tablet_drain", "pod_replace") if uid == 101 else ("tablet_drain", "pod_replace")
        for name in steps:
            given = {"predicted": step["predicted"] if name == "shard_reparent" else predicted}
            result = rig.execute(name, uid, check=True, **given)
            assert not result.get("failed"), (step["tablet"], name, result)
            assert result["changed"] is True
    assert (rig.acts, rig.journal()) == ([], {})
    assert not any(call.startswith(("PATCH", "PUT", "DELETE")) for call in rig.wire.calls)


def test_an_approved_plan_holds_when_what_it_waits_for_was_released_on_the_way(rig: Rig) -> None:
    """The generation that is wanted is the same before and after the VitessKeyspace and the VitessShard were released."""
    chosen = [rig.alias(uid) for uid in (101, 102, 103)]
    approved = rig.execute("roll_plan", tablets=chosen)["document"]
    assert rig.replace(102).failure is None
    again = rig.execute("roll_plan", tablets=chosen, plan=approved)
    assert not again.get("failed"), again
    assert again["left"] == 2


# -- what is refused before anything is touched


def _level(resource: str, **spec: object) -> Callable[[Rig], None]:
    def breaks(rig: Rig) -> None:
        for item in rig.simulation.store.of(resource).values():
            item["spec"].update(spec)

    return breaks


def _cascades(rig: Rig) -> None:
    shard = rig.simulation.store.of("vitessshards")[operator(rig).shard_object("-")]
    shard["metadata"]["annotations"]["rollout.planetscale.com/cascade"] = ""


def _names_no_image(rig: Rig) -> None:
    operator(rig).stopped = True
    operator(rig).cluster["spec"]["images"] = {}


def _lags(rig: Rig) -> None:
    operator(rig).stopped = True
    operator(rig).cluster["metadata"]["generation"] += 1


def _left(uid: int, **words: str) -> Callable[[Rig], None]:
    """Annotations that the operator does not come to look at."""

    def breaks(rig: Rig) -> None:
        operator(rig).stopped = True
        annotate(rig, uid, **words)

    return breaks


IMMEDIATE = {"updateStrategy": {"type": "Immediate"}}
REFUSED: dict[str, tuple[str, str, Callable[[Rig], None]]] = {
    "VitessCluster is Immediate": ("owner_is_supported", "would race this roll", _level("vitessclusters", **IMMEDIATE)),
    "VitessShard is Immediate": ("owner_is_supported", "would race this roll", _level("vitessshards", **IMMEDIATE)),
    "a cascade is under way": ("owner_is_supported", "by itself", _cascades),
    "nobody named the image": ("owner_is_supported", "does not name images.vttablet", _names_no_image),
    "the operator lags": ("owner_is_observed", "lags generation", _lags),
    "a human's drain is finished": (
        "operator_removes_nothing_else",
        "drain started, drain finished with vitess-operator",
        lambda rig: annotate(rig, 103, started="maintenance", finished="yesterday"),
    ),
    "a drain that was left behind": (
        "operator_removes_nothing_else",
        "drain finished",
        _left(103, finished="yesterday"),
    ),
    "somebody released a sibling": ("operator_removes_nothing_else", "released", _left(103, released="by hand")),
    "somebody released this one": ("operator_removes_nothing_else", "released", _left(102, released="by hand")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_roll_with_the_operator_is_refused_before_anything_is_touched(name: str, rig: Rig) -> None:
    gate, reason, breaks = REFUSED[name]
    breaks(rig)
    for refused in (rig.replace(102, **QUICK), rig.roll(**QUICK)):
        assert refused.failure is not None
        assert reason in refused.reason, refused.failure
        assert gate in f"{refused.gate} {refused.reason}"
    rig.assert_nothing_taken()
    assert RELEASED not in str(rig.simulation.store.of("vitesskeyspaces"))


def test_vitess_25_is_refused_where_the_operator_writes_flags_with_underscores(make: Make) -> None:
    rig = make(operated(old="24.0.2", new="25.0.0"))
    rolled = rig.roll()
    assert "refuses flags with underscores" in rolled.reason
    assert "--tablet_hostname" in rolled.reason
    rig.assert_nothing_taken()


def test_the_spec_of_a_shard_of_the_operator_is_not_changed_beside_its_cluster(rig: Rig) -> None:
    refused = rig.execute("tablet_spec", keyspace="commerce", vttablet_image="vitess/lite:v24.0.3")
    assert "from the VitessCluster: change it there" in refused["msg"]
    assert not any(call.startswith(("PATCH", "PUT")) for call in rig.wire.calls)


# -- what happens while it goes on


def test_the_next_release_waits_until_the_operator_counts_every_tablet_as_available(make: Make) -> None:
    """operator-recording.md, surprise 1: released before, it hangs in drain/acknowledged until all are."""
    rig = make(operated(), lab_times=True)
    assert rig.replace(102).failure is None
    shard = rig.simulation.store.of("vitessshards")[operator(rig).shard_object("-")]
    rolled = rig.replace(103)
    assert rolled.failure is None
    by_word = {(name, word): at for at, name, word, came in operator(rig).seen if came}
    other = pod_name("zone1-0000000103")
    assert by_word[other, FINISHED] - by_word[other, RELEASED] < 0.3, "it did not hang"
    assert shard["status"]["tablets"]["zone1-0000000102"]["available"] == "True"
    rig.assert_unharmed()


def test_a_release_that_the_operator_does_not_take_is_taken_back_and_the_tablet_too(rig: Rig) -> None:
    rig.wire.trouble("PATCH .*/vitessshards/", happens=lambda: setattr(operator(rig), "stopped", True), after=True)
    rolled = rig.replace(102, **QUICK)
    assert rolled.gate == "release"
    assert rig.types()[102] == "REPLICA"
    assert notes(rig) == set()
    assert rig.acts == ["ChangeTabletType zone1-0000000102 drained", "ChangeTabletType zone1-0000000102 replica"]
    operator(rig).go_on()
    rig.simulation.pass_(2)
    assert rig.roll(**QUICK).failure is None
    rig.assert_unharmed()


def _hangs(rig: Rig) -> None:
    """The operator counts a tablet as not available from the moment of the release on: it drains none."""
    shard = rig.simulation.store.of("vitessshards")[operator(rig).shard_object("-")]

    def not_available() -> None:
        if RELEASED in notes(rig):
            shard["status"]["tablets"]["zone1-0000000103"]["available"] = "False"

    rig.wire.trouble("PATCH .*/pods/", times=10**6, after=True, happens=not_available)


def _available(rig: Rig) -> None:
    rig.wire.troubles.clear()
    shard = rig.simulation.store.of("vitessshards")[operator(rig).shard_object("-")]
    shard["status"]["tablets"]["zone1-0000000103"]["available"] = "True"
    rig.simulation.store.put("vitessshards", shard)


def test_a_released_pod_that_is_not_drained_in_time_is_taken_back_whole(rig: Rig) -> None:
    """Surprise 2: with drain/started left the operator reparents off it when its turn comes, unasked."""
    _hangs(rig)
    rolled = rig.replace(102, **QUICK)
    assert rolled.gate == "release"
    assert rig.types()[102] == "REPLICA"
    assert not {RELEASED, STARTED} & notes(rig)
    uid = pod(rig)["metadata"]["uid"]
    _available(rig)
    rig.simulation.pass_(60)
    assert (pod(rig)["metadata"]["uid"], notes(rig)) == (uid, {SCHEDULED})
    never_a_primary(rig)
    rig.assert_unharmed()


def test_a_sibling_that_is_lost_while_a_release_hangs_takes_it_back(rig: Rig) -> None:
    _hangs(rig)
    rig.wire.trouble(
        "PATCH .*/pods/", skip=2, happens=lambda: rig.simulation.kubernetes.kill(rig.alias(103)), after=True
    )
    rolled = rig.replace(102, evict_timeout=120.0)
    assert rolled.failure is not None
    assert rig.types()[102] == "REPLICA"
    assert not {RELEASED, STARTED} & notes(rig)
    rig.assert_unharmed(errors=True)


def test_an_abort_in_mid_release_takes_release_and_drain_back_and_the_tablet_serves(rig: Rig) -> None:
    _hangs(rig)
    assert run_until_it_dies(rig, 102, (f"PATCH .*/pods/{POD}", 2), after=True, orphan=False)
    rig.simulation.pass_(1)
    assert {RELEASED, STARTED} <= notes(rig)
    readmitted = rig.execute("vtgate_readmit", 102)
    assert not readmitted.get("failed"), readmitted
    assert rig.types()[102] == "REPLICA"
    assert not {RELEASED, STARTED} & notes(rig)
    _available(rig)
    rig.simulation.pass_(60)
    assert "Delete" not in " ".join(rig.acts)
    never_a_primary(rig)
    rig.execute("shard_claim", 102, state="absent")
    assert rig.roll(**QUICK).failure is None
    rig.assert_unharmed()


POINTS = {
    "keyspace released": ("PATCH .*/vitesskeyspaces/", 1),
    "shard released": ("PATCH .*/vitessshards/", 1),
    "Pod marked": (f"PATCH .*/pods/{POD}", 1),
    "Pod released": (f"PATCH .*/pods/{POD}", 2),
    "waiting for the new Pod": (f"GET .*/pods/{POD}$", 8),
    "type restored": ("exec .*ChangeTabletType zone1-0000000102 replica", 1),
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("orphan", [False, True], ids=["killed", "orphaned"])
@pytest.mark.parametrize("point", POINTS)
def test_a_roll_with_the_operator_that_dies_is_finished_by_the_next(
    point: str, orphan: bool, after: bool, rig: Rig
) -> None:
    assert run_until_it_dies(rig, 102, POINTS[point], after, orphan), "the point was not reached"
    rig.simulation.pass_(5)
    rerun = rig.replace(102)
    assert rerun.failure is None, rerun.failure
    assert rig.upgraded() == [102]
    assert rig.types()[102] == "REPLICA"
    assert [act for act in rig.acts if act.startswith("Delete")] == [f"Delete {POD}"]
    assert (rig.claims_held(), removals(rig)) == ([], [])
    never_a_primary(rig)
    rig.assert_unharmed()


def test_a_change_that_needs_no_new_pod_leaves_the_tablet_where_it_is(make: Make) -> None:
    """A pending change of the VitessKeyspace may be about something else: what of it comes down is known when it is released."""
    rig = make(operated(**DONE))
    keyspace = rig.simulation.store.of("vitesskeyspaces")[operator(rig).keyspace]
    keyspace["metadata"]["annotations"][SCHEDULED] = "spec.durabilityPolicy: ..."
    operator(rig).holds_schedule = True
    replaced = rig.replace(102, **QUICK)
    assert replaced.failure is None, replaced.failure
    assert rig.acts == ["ChangeTabletType zone1-0000000102 drained", "ChangeTabletType zone1-0000000102 replica"]
    assert SCHEDULED not in keyspace["metadata"]["annotations"]
    assert rig.roll().changed == 0
    rig.assert_unharmed()


def test_a_controller_that_is_late_to_say_what_it_observed_is_waited_for(rig: Rig) -> None:
    """Released for another shard, the VitessKeyspace is behind for a moment; that stops no roll."""
    keyspace = rig.simulation.store.of("vitesskeyspaces")[operator(rig).keyspace]
    keyspace["metadata"]["generation"] += 1
    rig.simulation.timeline.after(5.0, lambda: rig.simulation.store.put("vitesskeyspaces", keyspace))
    assert rig.replace(102).failure is None
    rig.assert_unharmed()


def test_a_spec_that_changes_in_mid_roll_stops_it(rig: Rig) -> None:
    assert rig.replace(102).failure is None
    assert not rig.execute("tablet_drain", 103).get("failed")
    operator(rig).want("24.0.3", "9.7.4")
    rig.simulation.pass_(1)
    failure = rig.execute("pod_replace", 103)["failure"]
    assert failure["gate"] == "spec_is_as_planned"
    assert rig.types()[103] == "REPLICA"
    assert RELEASED not in notes(rig, 103)
    rig.assert_unharmed()


# -- a move without a change of the spec


def _move(rig: Rig, uid: int = 102, **given: object) -> Rolled:
    since = timestamp(rig.simulation.timeline.now - 60)
    rolled = Rolled()
    for step in ("shard_claim", "tablet_drain", "pod_replace", "vtgate_readmit"):
        options = {"wanted_since": since} if step in ("tablet_drain", "pod_replace") else {}
        result = rig.execute(step, uid, **options, **given if step == "pod_replace" else {})
        if result.get("failed"):
            rolled.failure = result
            break
    return rolled


def test_a_move_is_drained_by_the_operators_protocol_and_then_deleted_with_uid(make: Make) -> None:
    rig = make(operated(**DONE))
    before = pod(rig)["metadata"]["uid"]
    rolled = _move(rig)
    assert rolled.failure is None, rolled.failure
    assert pod(rig)["metadata"]["uid"] != before
    words = [(word.partition("/")[2], came) for _at, name, word, came in operator(rig).seen if name == POD]
    assert words == [("started", True), ("acknowledged", True), ("finished", True)]
    assert removals(rig) == [f"DELETE /api/v1/namespaces/vitess/pods/{POD}"]
    never_a_primary(rig)
    rig.assert_unharmed()


def test_a_move_is_refused_while_the_pod_would_come_back_changed(rig: Rig) -> None:
    rolled = _move(rig)
    assert rolled.gate == "spec_is_as_planned"
    assert "would come back changed" in rolled.reason
    rig.assert_nothing_taken()


def test_a_move_whose_tablet_became_primary_in_the_meantime_deletes_nothing(make: Make) -> None:
    """vitess.md 7.2: if the primary is moved onto a finished tablet it stays finished."""
    rig = make(operated(**DONE))

    def becomes_primary() -> None:
        if FINISHED in notes(rig) and rig.simulation.fleet.shards["-"].primary != rig.alias(102):
            rig.simulation.fleet._promote("-", rig.simulation.tablet("102"))

    rig.wire.trouble(f"GET .*/pods/{POD}$", times=10**6, after=True, happens=becomes_primary)
    rolled = _move(rig, evict_timeout=10.0)
    assert rolled.failure is not None
    assert removals(rig) == []


def test_a_move_that_is_not_granted_is_taken_back(make: Make) -> None:
    rig = make(operated(**DONE))
    rig.wire.trouble(f"PATCH .*/pods/{POD}", happens=lambda: setattr(operator(rig), "stopped", True))
    rolled = _move(rig, evict_timeout=10.0)
    assert rolled.gate == "release"
    assert (rig.types()[102], notes(rig)) == ("REPLICA", set())
    rig.assert_unharmed()


# -- rights


@pytest.mark.parametrize("moves", [False, True], ids=["roll", "move"])
def test_the_documented_rights_are_enough_with_the_operator_and_none_is_too_much(moves: bool, make: Make) -> None:
    rig = make(operated(**(DONE if moves else {})))
    granted = documented_for_operator(moves)
    rig.simulation.api.authorizer.granted = granted
    given = {"wanted_since": timestamp(rig.simulation.timeline.now - 60)} if moves else {}
    rolled = rig.roll(**given)
    assert rolled.failure is None, rolled.failure
    assert not ONLY_FOR_STATEFUL_SETS & rig.simulation.api.authorizer.used
    if not moves:
        assert rig.simulation.api.authorizer.used == granted
    rig.assert_unharmed()
