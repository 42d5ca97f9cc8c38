# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What turns each gate red in a whole fleet: one fault per gate at least, broken where it would break in reality."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.vtops.vitess.plugins.module_utils.errors import StepFailure
from ansible_collections.vtops.vitess.plugins.module_utils.gates import RECOVER, Gate
from ansible_collections.vtops.vitess.tests.unit.factories import EXECUTED, PRIMARY, REPLICA, SIBLING, uuid_of
from ansible_collections.vtops.vitess.tests.unit.fakes import NAMESPACE, World


@dataclass(frozen=True)
class Fault:
    """What is broken, the gate that must name it, and a part of what it says."""

    gate: str
    name: str
    reason: str
    breaks: Callable[[World], Any] = lambda _world: None
    params: dict[str, Any] = field(default_factory=dict)
    first: str = ""  # the gate that is named first where this one is never red alone
    in_check_mode: bool = True  # whether it is seen without a write
    corrects: str = ""  # the next command where an option of ours is wrong and not the fleet

    def is_named_by(self, failure: StepFailure) -> bool:
        """Whether the failure names the gate, and says why."""
        return (
            failure.gate == (self.first or self.gate)
            and self.gate in f"{failure.gate} {failure.reason}"
            and self.reason in failure.reason
        )


def needs_every_gate(step: tuple[Gate, ...], faults: Iterable[Fault]) -> None:
    """Fails where a gate of the step has no fault."""
    assert {gate.__name__ for gate in step} == {fault.gate for fault in faults}


def _set(subject: Callable[[World], Any], **changes: Any) -> Callable[[World], None]:
    def breaks(world: World) -> None:
        for name, value in changes.items():
            setattr(subject(world), name, value)

    return breaks


def _tablet(alias: Any, **changes: Any) -> Callable[[World], None]:
    return _set(lambda world: world.tablet(alias), **changes)


def _paused(world: World) -> None:
    world.config_maps["vtops-pause"] = {"metadata": {"name": "vtops-pause"}, "data": {"reason": "a disk alarm"}}


def _slow(world: World) -> None:
    world.before("GetTablets", lambda: world.clock.pass_(2.5), times=99)


def _not_ready(world: World) -> None:
    world.pods["commerce-x-80-103"]["status"]["conditions"][0]["status"] = "False"


def _owner(*path: str, value: Any) -> Callable[[World], None]:
    def breaks(world: World) -> None:
        item = world.stateful_sets["commerce-x-80"]
        for key in path[:-1]:
            item = item[key]
        item[path[-1]] = value

    return breaks


def _drain_left_behind(world: World) -> None:
    annotations = world.pods["commerce-x-80-103"]["metadata"].setdefault("annotations", {})
    annotations["drain.planetscale.com/finished"] = "2026-11-24"


def _image(image: str) -> Callable[[World], None]:
    def breaks(world: World) -> None:
        for container in world.stateful_sets["commerce-x-80"]["spec"]["template"]["spec"]["containers"]:
            container["image"] = image

    return breaks


def _no_vtgate(world: World) -> None:
    for vtgate in world.vtgates:
        del world.pods[vtgate.name]


def _cordoned(world: World) -> None:
    world.nodes["worker-1"]["spec"]["unschedulable"] = True


def _without_route(alias: Any, vtgate: int) -> Callable[[World], None]:
    return lambda world: world.vtgates[vtgate].instead.update({alias: []})


def _cutting_over(world: World) -> None:
    world.work = [("migration", "0f3c", "running", 1)]


def _switching(world: World) -> None:
    world.work = [("switch", "move_customers", "Stopped", 1)]


def _only_rdonly(world: World) -> None:
    world.tablet(REPLICA).type = "RDONLY"


# Each holds for the drain of REPLICA. A gate may name more than one fault; the first red gate is the one that is named.
ANY_ACT = (
    Fault("evidence_is_fresh", "every read takes over 2 s", "over 2 s", _slow),
    Fault(
        "one_tablet_of_shard_in_batch",
        "two tablets of the shard in the play's batch",
        "set serial: 1",
        params={"batch": [str(PRIMARY), str(REPLICA), str(SIBLING)]},
    ),
    Fault(
        "every_vtgate_answers",
        "one is down",
        "vtgate-1: connection refused",
        _set(lambda w: w.vtgates[1], down=True),
    ),
    Fault(
        "every_vtgate_answers",
        "credentials refused",
        "(check login_user, login_password)",
        _set(lambda w: w.vtgates[0], denies=True),
        corrects="correct login_user and login_password",
    ),
    Fault("every_vtgate_answers", "none is found", "no vtgate was found", _no_vtgate),
    Fault(
        "shard_has_healthy_primary",
        "the primary takes no writes",
        "mysqld of zone1-0000000101 is read_only",
        _tablet(PRIMARY, read_only=True),
    ),
    Fault(
        "shard_has_healthy_primary",
        "the primary's mysqld is silent",
        "does not answer",
        _tablet(PRIMARY, mysqld_error="no route to host"),
    ),
    Fault("shard_has_healthy_primary", "no primary", "has no primary", lambda w: w.primaries.update({"-80": None})),
    Fault("no_foreign_drain", "vtorc drained a sibling", "DRAINED by somebody else", _tablet(SIBLING, type="DRAINED")),
    Fault("no_other_tablet_away", "a sibling's Pod is not Ready", "zone1-0000000103 is away", _not_ready),
    Fault(
        "no_other_tablet_away",
        "one vtgate does not see a sibling",
        "vtgate-1 does not know it",
        _without_route(SIBLING, 1),
    ),
    Fault(
        "no_traffic_switch_under_way", "MoveTables SwitchTraffic", "being switched: move_customers Stopped", _switching
    ),
    Fault(
        "canary_write_is_acked",
        "those that look like ackers do not acknowledge",
        "was not acknowledged: not within 1.5 s",
        lambda w: setattr(w, "acks", False),
        in_check_mode=False,
    ),
)

OWNER = (
    Fault(
        "owner_is_supported",
        "RollingUpdate",
        "would race this roll",
        _owner("spec", "updateStrategy", value={"type": "RollingUpdate"}),
    ),
    Fault("owner_is_observed", "the controller lags", "lags generation 3", _owner("metadata", "generation", value=3)),
    Fault(
        "spec_is_as_planned",
        "the spec changed in mid-roll",
        "this roll was started for new",
        _owner("status", "updateRevision", value="newer"),
        {"wanted_revision": "new"},
    ),
    Fault(
        "operator_removes_nothing_else",
        "vitess-operator still remembers a sibling's drain",
        "Pod commerce-x-80-103 of zone1-0000000103 is drain finished with vitess-operator",
        _drain_left_behind,
    ),
    Fault("version_step_is_allowed", "a major is skipped", "skips a major version", _image("vitess/lite:v25.0.0")),
    Fault("new_pod_has_a_place", "the volume's node is cordoned", "worker-1 is cordoned", _cordoned),
)

MYSQL_SERIES = (
    Fault("mysql_step_is_allowed", "a series is skipped", "skips 8.4", params={"mysql_series": "9.7"}),
    Fault(
        "two_mysql_series_at_most",
        "a mysqld does not say what it is",
        "the MySQL version of zone1-0000000103 is not known",
        _tablet(SIBLING, mysql=""),
    ),
)

RIGHTS = (
    Fault(
        "rights_are_granted",
        "evictions are forbidden",
        "does not let us create pods/eviction in namespace vitess",
        lambda w: w.forbidden.add(("create", "pods/eviction")),
    ),
    Fault(
        "rights_are_granted",
        "Pods may not be marked",
        "does not let us patch pods in namespace vitess",
        lambda w: w.forbidden.add(("patch", "pods")),
    ),
)

PAUSE = (Fault("roll_is_not_paused", "an operator paused it", "a disk alarm (ConfigMap vtops-pause", _paused),)

DRAIN_FAULTS = (
    *ANY_ACT,
    *OWNER,
    *MYSQL_SERIES,
    *RIGHTS,
    *PAUSE,
    Fault("no_backup_or_restore", "it is backed up", "is BACKUP", _tablet(REPLICA, type="BACKUP")),
    Fault("no_backup_or_restore", "it serves beside its backup", "while it serves", _tablet(REPLICA, backs_up=True)),
    Fault("no_cut_over_under_way", "an OnlineDDL swaps its tables", "0f3c running, at its cut-over", _cutting_over),
    Fault("not_primary", "its mysqld takes writes", "not read_only", _tablet(REPLICA, read_only=False)),
    Fault("no_foreign_drain", "vtorc drained it", "DRAINED by somebody else", _tablet(REPLICA, type="DRAINED")),
    Fault("serving_route_remains", "the only RDONLY", "no other RDONLY", _only_rdonly),
    Fault("serving_route_remains", "the sibling lags", "zone1-0000000103 lags 60", _tablet(SIBLING, lag=60.0)),
    Fault("serving_route_remains", "the sibling's SQL thread stopped", "no other REPLICA", _tablet(SIBLING, sql=False)),
    Fault("enough_ackers_remain", "the last acker", "writes would hang", _tablet(SIBLING, semi_sync=False)),
    Fault(
        "no_errant_gtid",
        "it wrote by itself",
        "errant GTIDs",
        _tablet(REPLICA, gtid=f"{EXECUTED},{uuid_of(REPLICA)}:1"),
    ),
)


def _routed(world: World) -> None:
    world.vtgates[0].instead[REPLICA] = [("REPLICA", "SERVING", world.tablet(REPLICA).hostname)]


def _put_back_by_hand(world: World) -> None:
    world.tablet(REPLICA).type = "REPLICA"


# Each comes after REPLICA was drained by this roll.
REPLACE_FAULTS = (
    *ANY_ACT,
    *(fault for fault in OWNER if fault.gate != "spec_is_as_planned"),
    *MYSQL_SERIES,
    Fault(
        "spec_is_as_planned",
        "the spec changed after the drain",
        "this roll was started for new",
        _owner("status", "updateRevision", value="newer"),
    ),
    Fault("no_backup_or_restore", "it is backed up", "is BACKUP", _tablet(REPLICA, type="BACKUP")),
    Fault("no_backup_or_restore", "it serves beside its backup", "while it serves", _tablet(REPLICA, backs_up=True)),
    Fault("no_cut_over_under_way", "an OnlineDDL swaps its tables", "0f3c running, at its cut-over", _cutting_over),
    Fault("not_primary", "its mysqld takes writes", "not read_only", _tablet(REPLICA, read_only=False)),
    Fault("serving_route_remains", "the sibling lags by now", "no other REPLICA", _tablet(SIBLING, lag=60.0)),
    Fault("enough_ackers_remain", "the last acker by now", "writes would hang", _tablet(SIBLING, semi_sync=False)),
    Fault(
        "no_errant_gtid",
        "it wrote by itself",
        "errant GTIDs",
        _tablet(REPLICA, gtid=f"{EXECUTED},{uuid_of(REPLICA)}:1"),
    ),
    Fault("drained_by_this_roll", "somebody put it back", "run tablet_drain first", _put_back_by_hand),
)


def with_a_dead_mysqld() -> World:
    """mysqld of REPLICA is dead under a living vttablet until its Pod is evicted, and its owner would make the same Pod again."""
    world = World()
    tablet = world.tablet(REPLICA)
    tablet.mysqld_error = "errno 2002: no socket"
    pod = world.pods[tablet.pod]
    pod["status"]["conditions"][0]["status"] = "False"
    for vtgate in world.vtgates:
        vtgate.instead[REPLICA] = [("REPLICA", "NOT_SERVING", tablet.hostname)]
    images = {c["name"]: c["image"] for c in pod["spec"]["containers"] if "image" in c}
    for container in world.stateful_sets["commerce-x-80"]["spec"]["template"]["spec"]["containers"]:
        container["image"] = images.get(container["name"], container.get("image", ""))
    eviction = f"POST /api/v1/namespaces/{NAMESPACE}/pods/{tablet.pod}/eviction"
    world.before(eviction, lambda: setattr(tablet, "mysqld_error", ""))
    return world


# Each is of a REPLICA that is away by itself: its mysqld is dead under a living vttablet.
RECOVER_FAULTS = (
    *(fault for fault in ANY_ACT if fault.gate in {gate.__name__ for gate in RECOVER}),
    *(fault for fault in OWNER if fault.gate != "spec_is_as_planned"),
    *RIGHTS,
    *PAUSE,
    Fault(
        "primary_is_another",
        "its record says that it is one too",
        "is of type PRIMARY too",
        _tablet(REPLICA, type="PRIMARY"),
        first="shard_has_healthy_primary",
    ),
    Fault("nothing_is_taken_away", "a vtgate routes to it", "still routes to it", _routed),
    Fault("mysqld_may_start_again", "another image", "is not known", _image("vitess/lite:v23.0.4")),
)


# -- the reparent of PRIMARY to a replica that is as wanted


def _buffers(**flags: str) -> Callable[[World], None]:
    return lambda world: world.vtgates[1].flags.update({name.replace("_", "-"): value for name, value in flags.items()})


def _not_as_wanted(world: World) -> None:
    for name in ("commerce-x-80-102", "commerce-x-80-103"):
        world.pods[name]["metadata"]["labels"]["controller-revision-hash"] = "old"


def _one_not_as_wanted(world: World) -> None:
    world.pods["commerce-x-80-103"]["metadata"]["labels"]["controller-revision-hash"] = "old"


def _two_tablets(world: World) -> None:
    del world.tablets[SIBLING]


def _says_replica(world: World) -> None:
    world.primaries["-80"] = SIBLING


def _both_lag(world: World) -> None:
    for alias in (REPLICA, SIBLING):
        world.tablet(alias).lag = 60.0


def _one_runs_the_new_series(world: World) -> None:
    world.tablet(REPLICA).mysql = "8.4.6"
    world.pods["commerce-x-80-103"]["metadata"]["labels"]["controller-revision-hash"] = "old"


def _migrating(world: World) -> None:
    world.work = [("migration", "0f3c", "running", 0)]


REPARENT_FAULTS = (
    *ANY_ACT,
    *OWNER,
    *MYSQL_SERIES,
    Fault(
        "others_run_the_new_series",
        "one replica is of the old series",
        "zone1-0000000103 does not run MySQL 8.4 yet",
        _one_runs_the_new_series,
        {"mysql_series": "8.4"},
    ),
    Fault(
        "candidate_is_fit",
        "the primary's MySQL is newer than every replica's",
        "its MySQL 8.0.40 is of an older series than the primary's 8.4.6",
        _tablet(PRIMARY, mysql="8.4.6"),
    ),
    *RIGHTS,
    *PAUSE,
    Fault(
        "reparent_is_not_held",
        "this roll stops before it",
        "waits for your word",
        params={"hold_before_reparent": True},
    ),
    Fault(
        "no_backup_or_restore",
        "a sibling restores",
        "no_backup_or_restore",
        _tablet(SIBLING, type="RESTORE"),
        first="no_other_tablet_away",
    ),
    Fault("is_primary", "record and type disagree", "is_primary", _says_replica, first="shard_has_healthy_primary"),
    Fault("candidate_is_fit", "no replica is as wanted", "does not run what is wanted yet", _not_as_wanted),
    Fault(
        "primary_comes_last",
        "a replica is not upgraded yet",
        "zone1-0000000103 of commerce/-80 comes before its primary",
        _one_not_as_wanted,
    ),
    Fault("candidate_is_fit", "all lag", "replication does not run or lags", _both_lag),
    Fault(
        "candidate_is_fit",
        "the named one is no tablet of the shard",
        "zone1-0000000999 is no tablet of commerce/-80",
        params={"new_primary": "zone1-0000000999"},
    ),
    Fault("two_tablets_left_to_ack", "two tablets only", "besides zone1-0000000102", _two_tablets),
    Fault(
        "buffering_covers_reparent",
        "one vtgate does not buffer",
        "vtgate-1 does not buffer",
        _buffers(enable_buffer="false"),
    ),
    Fault(
        "buffering_covers_reparent",
        "one buffers too short",
        "buffers for 2 s, the reparent's time-outs add up to 9.5 s",
        _buffers(buffer_window="2s"),
    ),
    Fault("no_migration_running", "an OnlineDDL runs", "OnlineDDL: 0f3c running", _migrating),
)
