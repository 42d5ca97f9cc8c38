# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every fault that must stop a step: it is named, nothing is taken away, and what was taken is brought back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.claim import Entry
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import TabletType
from ansible_collections.vtops.vitess.tests.behaviour.conftest import Make
from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig
from ansible_collections.vtops.vitess.tests.sim.layout import Layout, VtgatePlan, one_shard
from ansible_collections.vtops.vitess.tests.sim.vtgate import Row

from .test_roll import TWO_CELLS


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong. gate is the one that must name it; errors: clients see the fault itself, whatever we do."""

    name: str
    gate: str
    breaks: Callable[[Rig], Any]
    reason: str = ""
    layout: Layout = field(default_factory=one_shard)
    target: int = 102
    params: dict[str, Any] = field(default_factory=dict)
    errors: bool = False
    stays: bool = False  # the target itself must not be put back


def _mysqld(uid: int, **changes: Any) -> Callable[[Rig], None]:
    def breaks(rig: Rig) -> None:
        rig.simulation.vtorc.mends_replication = False
        for name, value in changes.items():
            setattr(rig.simulation.tablet(str(uid)).mysqld, name, value)

    return breaks


def _type(uid: int, kind: str) -> Callable[[Rig], None]:
    return lambda rig: rig.simulation.fleet.change_type(rig.alias(uid), kind)


def _set_type(uid: int, kind: str) -> Callable[[Rig], None]:
    """As a backup or a restore does it."""

    def breaks(rig: Rig) -> None:
        tablet = rig.simulation.tablet(str(uid))
        tablet.type = tablet.record.type = kind
        rig.simulation.fleet.changed(tablet)
        rig.simulation.pass_(0.2)

    return breaks


def _vtgate(name: str = "vtgate-1", **changes: Any) -> Callable[[Rig], None]:
    def breaks(rig: Rig) -> None:
        for key, value in changes.items():
            setattr(rig.simulation.vtgates[name], key, value)

    return breaks


def _forgets(uid: int) -> Callable[[Rig], None]:
    def breaks(rig: Rig) -> None:
        vtgate = rig.simulation.vtgates["vtgate-1"]
        vtgate.deaf_to.add(rig.alias(uid))
        vtgate.rows.pop(rig.alias(uid))

    return breaks


def _stale_row(rig: Rig) -> None:
    """Where 103 was before an earlier roll moved it: the shard's journal knows that."""
    rig.execute("shard_claim", 103)
    lease = rig.simulation.store.of("leases")["vtops-shard-commerce-x-x"]
    journal = json.loads(lease["metadata"]["annotations"][labels.JOURNAL])
    journal[rig.alias(103)] = Entry(TabletType.REPLICA, address="10.9.9.9", finished=1.0).as_dict()
    lease["metadata"]["annotations"][labels.JOURNAL] = json.dumps(journal)
    _stray_row(rig)


def _stray_row(rig: Rig) -> None:
    vtgate = rig.simulation.vtgates["vtgate-1"]
    vtgate.extra_rows.append(Row(rig.alias(103), "10.9.9.9", "REPLICA", serving=True, stale=True))


def _no_vtgate(rig: Rig) -> None:
    for name in rig.simulation.vtgates:
        rig.simulation.store.remove("pods", name)


def _read_only(rig: Rig) -> None:
    rig.simulation.vtorc.mends_read_only = False
    rig.simulation.tablet("101").mysqld.read_only = True


def _no_primary(rig: Rig) -> None:
    rig.simulation.vtorc.enabled = False
    rig.simulation.fleet.shards["-"].primary = None


def _rival(rig: Rig) -> None:
    rig.simulation.tablet("103").record.type = "PRIMARY"


def _owner(**spec: Any) -> Callable[[Rig], None]:
    def breaks(rig: Rig) -> None:
        rig.simulation.store.of("statefulsets")["commerce-x-x"]["spec"].update(spec)

    return breaks


def _owner_lags(rig: Rig) -> None:
    rig.simulation.store.of("statefulsets")["commerce-x-x"]["metadata"]["generation"] += 1


def _cordon(rig: Rig) -> None:
    for node in rig.simulation.store.of("nodes").values():
        node["spec"]["unschedulable"] = True


def _forbid(verb: str, resource: str) -> Callable[[Rig], None]:
    return lambda rig: rig.simulation.api.authorizer.forbidden.add((verb, resource))


def _slow(rig: Rig) -> None:
    rig.wire.trouble("exec vtctld-0: script", passes_s=2.5, times=999)


def _policy(name: str) -> Callable[[Rig], None]:
    return lambda rig: setattr(rig.simulation.fleet, "durability", name)


def _own_write(uid: int) -> Callable[[Rig], None]:
    return lambda rig: rig.simulation.tablet(str(uid)).mysqld.write(None, rig.simulation.timeline.now)


def _other_revision(rig: Rig) -> None:
    owner = rig.simulation.store.of("statefulsets")["commerce-x-x"]
    owner["spec"]["template"]["spec"]["containers"][1]["image"] = "vitess/lite:v24.0.3"
    rig.simulation.kubernetes.spec_changed(owner)
    rig.simulation.pass_(1)


def _dump_thread_remains(rig: Rig) -> None:
    """103 and 104 are REPLICAs; 104 does not ack, 103's IO thread died: the primary still counts its dump thread as a client."""
    rig.simulation.vtorc.mends_replication = False
    rig.simulation.tablet("104").mysqld.semi_sync_replica = False
    rig.simulation.tablet("103").mysqld.io = False


def _ackers_in_own_cell_only(rig: Rig) -> None:
    rig.simulation.vtorc.mends_replication = False
    rig.simulation.tablet("201").mysqld.semi_sync_replica = False


ANY_ACT = (
    Fault("the evidence is old before it is whole", "evidence_is_fresh", _slow, "over 2 s"),
    Fault(
        "two tablets of the shard in one batch",
        "one_tablet_of_shard_in_batch",
        lambda rig: None,
        "serial: 1",
        params={"batch": ["zone1-0000000102", "zone1-0000000103"]},
    ),
    Fault("a vtgate is Ready and does not answer", "every_vtgate_answers", _vtgate(down=True), "vtgate-1"),
    Fault("a vtgate refuses the log-in", "every_vtgate_answers", _vtgate(denies=True), "Access denied"),
    Fault("no vtgate is found", "every_vtgate_answers", _no_vtgate, "no vtgate was found"),
    Fault("the primary is read-only", "shard_has_healthy_primary", _read_only, "read_only", errors=True),
    Fault(
        "the primary's mysqld is silent",
        "shard_has_healthy_primary",
        _mysqld(101, silent="no route to host"),
        "does not answer",
    ),
    Fault("the shard has no primary", "shard_has_healthy_primary", _no_primary, "has no primary"),
    Fault("two tablets say PRIMARY", "shard_has_healthy_primary", _rival, "PRIMARY too"),
    Fault("somebody else drained a sibling", "no_foreign_drain", _type(103, "DRAINED"), "somebody else"),
    Fault(
        "a sibling's Pod is not Ready",
        "no_other_tablet_away",
        lambda r: r.simulation.kubernetes.set_ready("commerce-x-x-2", False),
        "not Ready",
    ),
    Fault(
        "one vtgate of many does not know a sibling", "no_other_tablet_away", _forgets(103), "vtgate-1 does not know it"
    ),
    Fault("a vtgate also routes to a sibling's old address", "no_other_tablet_away", _stale_row, "old address"),
    Fault("a sibling is backed up", "no_other_tablet_away", _set_type(103, "BACKUP"), "type BACKUP"),
    Fault("a sibling restores", "no_other_tablet_away", _set_type(103, "RESTORE"), "type RESTORE"),
)
TAKES_AWAY = (
    Fault("the sibling lags", "serving_route_remains", _mysqld(103, shown_lag=60.0), "lags 60"),
    Fault("the sibling's SQL thread stopped", "serving_route_remains", _mysqld(103, sql=False), "no other REPLICA"),
    Fault("the sibling's IO thread stopped", "serving_route_remains", _mysqld(103, io=False), "no other REPLICA"),
    Fault("the only RDONLY", "serving_route_remains", lambda r: None, "no other RDONLY", one_shard(3, 1), 104),
    Fault("the last acker", "enough_ackers_remain", _mysqld(103, semi_sync_replica=False), "writes would hang"),
    Fault(
        "a dead IO thread's dump thread still counts as a client",
        "enough_ackers_remain",
        _dump_thread_remains,
        "there are 0",
        one_shard(4),
    ),
    Fault(
        "ackers of the primary's own cell do not count under cross_cell",
        "enough_ackers_remain",
        _ackers_in_own_cell_only,
        "cross_cell",
        TWO_CELLS,
        202,
    ),
    Fault("a policy that is not known", "enough_ackers_remain", _policy("my_own_policy"), "not known here"),
    Fault("an errant GTID", "no_errant_gtid", _own_write(102), "errant GTIDs", stays=True),
    Fault("RollingUpdate", "owner_is_supported", _owner(updateStrategy={"type": "RollingUpdate"}), "would race"),
    Fault("scaled to 0", "owner_is_supported", _owner(replicas=0), "scaled to 0"),
    Fault("the controller has not seen the newest spec", "owner_is_observed", _owner_lags, "lags generation"),
    Fault("every node is cordoned", "new_pod_has_a_place", _cordon, "is cordoned"),
)
RIGHTS = (
    Fault(
        "evictions are forbidden", "rights_are_granted", _forbid("create", "pods/eviction"), "create pods/eviction in"
    ),
    Fault("Pods may not be marked", "rights_are_granted", _forbid("patch", "pods"), "patch pods in namespace vitess"),
    Fault("the claim cannot be renewed", "rights_are_granted", _forbid("update", "leases"), "update leases in"),
)
BEFORE_A_DRAIN = (
    *ANY_ACT,
    *TAKES_AWAY,
    *RIGHTS,
    Fault("the tablet itself is backed up", "no_backup_or_restore", _set_type(102, "BACKUP"), "is BACKUP", stays=True),
    Fault(
        "a major version is skipped",
        "version_step_is_allowed",
        lambda r: None,
        "skips a major",
        one_shard(old="22.0.1"),
    ),
    Fault("somebody else drained it", "no_foreign_drain", _type(102, "DRAINED"), "somebody else", stays=True),
)
AFTER_A_DRAIN = (
    *ANY_ACT,
    *(fault for fault in TAKES_AWAY if fault.name != "the only RDONLY"),
    Fault("the spec changed in mid-roll", "spec_is_as_planned", _other_revision, "this roll was started for"),
    Fault("somebody put it back", "drained_by_this_roll", _type(102, "REPLICA"), "run tablet_drain first"),
)


def _check(rig: Rig, fault: Fault, result: dict[str, Any]) -> None:
    assert result.get("failed") is True
    assert result["failure"]["gate"] == fault.gate, result["failure"]
    assert fault.reason in result["failure"]["reason"], result["failure"]
    assert [act for act in rig.acts if not act.startswith("ChangeTabletType")] == []


@pytest.mark.parametrize("fault", BEFORE_A_DRAIN, ids=lambda f: f"{f.gate}: {f.name}")
def test_a_drain_does_not_begin(fault: Fault, make: Make) -> None:
    rig = make(fault.layout)
    fault.breaks(rig)
    before = rig.types()
    _check(rig, fault, rig.execute("tablet_drain", fault.target, **fault.params))
    assert rig.types() == before
    rig.assert_unharmed(errors=fault.errors)


@pytest.mark.parametrize("fault", AFTER_A_DRAIN, ids=lambda f: f"{f.gate}: {f.name}")
def test_an_eviction_is_not_sent_and_the_drained_tablet_is_put_back(fault: Fault, make: Make) -> None:
    rig = make(fault.layout)
    drained = rig.execute("tablet_drain", fault.target)
    assert drained["changed"] is True
    fault.breaks(rig)
    _check(rig, fault, rig.execute("pod_replace", fault.target, **fault.params))
    assert rig.simulation.kubernetes.evictions == []
    assert rig.types()[fault.target] == ("DRAINED" if fault.stays else "REPLICA")
    rig.simulation.referee.violations.clear() if fault.name == "somebody else drained a sibling" else None
    rig.assert_unharmed(errors=fault.errors)


def test_by_hand_a_route_to_an_address_that_nobody_wrote_down_is_found_too(rig: Rig) -> None:
    """A roll asks the vtgates for the addresses that it knows; one call can afford to ask for all."""
    _stray_row(rig)
    result = rig.execute("tablet_drain", 102, roll=None)
    assert result["failure"]["gate"] == "no_other_tablet_away"
    assert "also routes to its old address 10.9.9.9" in result["failure"]["reason"]
    rig.assert_nothing_taken()


# -- the reparent


def _upgraded(rig: Rig) -> None:
    for uid in (102, 103):
        assert rig.replace(uid).failure is None
    rig.acts.clear()


def _buffers(**flags: str) -> Callable[[Rig], None]:
    def breaks(rig: Rig) -> None:
        for name, value in flags.items():
            rig.simulation.vtgates["vtgate-1"].flags[name.replace("_", "-")] = value

    return breaks


def _all_lag(rig: Rig) -> None:
    for uid in (102, 103):
        _mysqld(uid, shown_lag=60.0)(rig)


def _all_errant(rig: Rig) -> None:
    for uid in (102, 103):
        _own_write(uid)(rig)


def _record_says_another(rig: Rig) -> None:
    rig.simulation.fleet.shards["-"].primary = rig.alias(102)
    rig.simulation.vtorc.enabled = False


BEFORE_A_REPARENT = (
    *(fault for fault in ANY_ACT if fault.name != "somebody else drained a sibling"),
    Fault("somebody else drained a sibling", "no_foreign_drain", _type(103, "DRAINED"), "somebody else"),
    *RIGHTS,
    Fault("every candidate lags", "candidate_is_fit", _all_lag, "lags"),
    Fault("every candidate has errant GTIDs", "candidate_is_fit", _all_errant, "errant"),
    Fault(
        "the named candidate is no tablet of the shard",
        "candidate_is_fit",
        lambda r: None,
        "no tablet of",
        params={"new_primary": "zone1-0000000999"},
    ),
    Fault(
        "the named candidate is the primary",
        "candidate_is_fit",
        lambda r: None,
        "it is the primary",
        params={"new_primary": "zone1-0000000101"},
    ),
    Fault(
        "one vtgate does not buffer",
        "buffering_covers_reparent",
        _buffers(enable_buffer="false"),
        "vtgate-1 does not buffer",
    ),
    Fault("one vtgate buffers too short", "buffering_covers_reparent", _buffers(buffer_window="3s"), "buffers for 3 s"),
    Fault(
        "one vtgate buffers other shards only",
        "buffering_covers_reparent",
        _buffers(buffer_keyspace_shards="commerce/80-"),
        "buffer-keyspace-shards",
    ),
    Fault(
        "a schema migration runs",
        "no_migration_running",
        lambda r: r.simulation.fleet.migrations.append(("0f3c", "running")),
        "OnlineDDL: 0f3c running",
    ),
    Fault("record and type disagree", "shard_has_healthy_primary", _record_says_another, "by type"),
    Fault(
        "the volume's node is cordoned: the old primary could not come back",
        "new_pod_has_a_place",
        _cordon,
        "is cordoned",
    ),
)


@pytest.mark.parametrize("fault", BEFORE_A_REPARENT, ids=lambda f: f"{f.gate}: {f.name}")
def test_a_reparent_does_not_begin(fault: Fault, make: Make) -> None:
    rig = make(fault.layout)
    _upgraded(rig)
    fault.breaks(rig)
    _check(rig, fault, rig.execute("shard_reparent", 101, **fault.params))
    assert rig.types()[101] == "PRIMARY"
    rig.assert_unharmed(errors=fault.errors)


def test_never_reparents_to_a_tablet_that_is_not_upgraded(rig: Rig) -> None:
    """vitess#19034, operators.md D15: an old primary's successor must not be older than what follows it."""
    result = rig.execute("shard_reparent", 101)
    assert result["failure"]["gate"] == "candidate_is_fit"
    assert "does not run what is wanted" in result["failure"]["reason"]
    rig.assert_nothing_taken()


def test_two_tablets_cannot_be_reparented_under_semi_sync(make: Make) -> None:
    """operators.md D13: with the old primary away nobody would be left to ack."""
    rig = make(one_shard(2))
    result = rig.execute("shard_reparent", 101)
    assert result["failed"] is True
    rig.assert_nothing_taken()


VTGATE_OF_ANOTHER_CELL = Layout(
    shards=one_shard().shards, vtgates=(VtgatePlan("vtgate-0"), VtgatePlan("vtgate-z9", ("zone9",)))
)


def test_a_vtgate_that_does_not_watch_the_cell_is_not_asked_to_show_it(make: Make) -> None:
    rig = make(VTGATE_OF_ANOTHER_CELL, clients=False)
    assert rig.replace(102).failure is None
