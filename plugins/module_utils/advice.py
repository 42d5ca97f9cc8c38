# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to type after a failure: the command that shows the state, and the one that goes on. Pure text."""

from __future__ import annotations

from dataclasses import dataclass

from .fleet import Alias, Shard


@dataclass(frozen=True)
class Where:
    """The tablet that a step failed for. taken: it is in this claim's journal and not back in serving."""

    alias: str
    keyspace: str
    shard: str
    namespace: str
    vtgate_selector: str
    lease: str
    taken: bool = False


TABLETS = "vtctldclient GetTablets --keyspace {keyspace} --shard {shard}"
REPLICATION = "vtctldclient ShardReplicationPositions {keyspace}/{shard}"
VTGATES = "kubectl -n {namespace} get pods -l {vtgate_selector}"
PODS_SOUGHT = "correct tablet_selector or tablet_namespaces"
LOG_IN = "correct login_user and login_password"
ROUTES = "mysql at each vtgate: SHOW VITESS_TABLETS"
MYSQL = "vtctldclient GetFullStatus {alias}"
OWNERS = "kubectl -n {namespace} get statefulsets -o wide"
OPERATOR = "kubectl -n {namespace} get vts,pods -o yaml | grep planetscale.com/"
CLAIM = "kubectl -n {namespace} get lease {lease} -o yaml"
READMIT = "ansible localhost -m vtops.vitess.vtgate_readmit -a 'namespace={namespace} tablet={alias}'"
STEP = "ansible localhost -m vtops.vitess.{step} -a 'namespace={namespace} tablet={alias}'"

# What ended a roll because somebody wanted that; the first words of its message say so.
HEADLINES = {"roll_is_not_paused": "paused", "reparent_is_not_held": "held before reparent"}

LOOKS: dict[str, str] = {
    "roll_is_not_paused": "kubectl -n {namespace} delete configmap vtops-pause; then the same again",
    "reparent_is_not_held": "the same without hold_before_reparent",
    "evidence_is_fresh": "kubectl top nodes",
    "one_tablet_of_shard_in_batch": "set serial: 1 in the play",
    "every_vtgate_answers": VTGATES,
    "shard_has_healthy_primary": TABLETS,
    "no_foreign_drain": TABLETS,
    "no_other_tablet_away": TABLETS,
    "no_backup_or_restore": TABLETS,
    "no_traffic_switch_under_way": "vtctldclient Workflow --keyspace {keyspace} show",
    "no_cut_over_under_way": "vtctldclient OnlineDDL show {keyspace} running",
    "no_migration_running": "vtctldclient OnlineDDL show {keyspace} running",
    "not_primary": TABLETS,
    "is_primary": TABLETS,
    "primary_comes_last": TABLETS,
    "drained_by_this_roll": CLAIM,
    "serving_route_remains": REPLICATION,
    "enough_ackers_remain": REPLICATION,
    "canary_write_is_acked": REPLICATION,
    "two_tablets_left_to_ack": REPLICATION,
    "no_errant_gtid": REPLICATION,
    "candidate_is_fit": REPLICATION,
    "buffering_covers_reparent": VTGATES,
    "owner_is_supported": OWNERS,
    "owner_is_observed": OWNERS,
    "operator_removes_nothing_else": OPERATOR,
    "available": OPERATOR,
    "release": OPERATOR,
    "spec_is_as_planned": OWNERS,
    "version_step_is_allowed": OWNERS,
    "mysql_step_is_allowed": MYSQL,
    "two_mysql_series_at_most": MYSQL,
    "others_run_the_new_series": MYSQL,
    "slow_shutdown": MYSQL,
    "new_pod_has_a_place": "kubectl describe nodes",
    "rights_are_granted": "kubectl -n {namespace} auth can-i --list",
    "primary_is_another": "vtctldclient GetShard {keyspace}/{shard}",
    "node_is_alive_or_fenced": "kubectl get nodes",
    "nothing_is_taken_away": REPLICATION,
    "mysqld_may_start_again": OWNERS,
    "quiet_period": CLAIM,
    "claim": CLAIM,
    "reparent": "vtctldclient GetShard {keyspace}/{shard}",
    "caught_up": MYSQL,
    "routes": ROUTES,
    "every_vtgate_agrees": ROUTES,
    "soak": TABLETS,
}
# The first that are red where the options find no Pod at all.
OF_PODS = ("shard_has_healthy_primary", "no_other_tablet_away", "owner_is_supported")


def look(gate: str | None, where: Where) -> str:
    """The command that shows what is wrong; for what no gate names, the shard. Short: it shares one line with the reason."""
    return LOOKS.get(gate or "", TABLETS).format(**vars(where))


def option_to_correct(gate: str, shard: Shard, alias: Alias) -> str:
    """What to correct where a gate is red because of an option of ours and not of the fleet; empty where it is not."""
    if gate == "every_vtgate_answers" and any(vtgate.denied for vtgate in shard.live_vtgates):
        return LOG_IN
    podless = {tablet.alias for tablet in shard.tablets if tablet.pod is None}
    if gate in OF_PODS and len(podless) == len(shard.tablets):
        return PODS_SOUGHT
    return PODS_SOUGHT if gate == "owner_is_supported" and alias in podless else ""


def resume(step: str, manual: bool, where: Where) -> str:
    """How to go on when it is mended, and how to only bring the tablet back where it was taken."""
    again = STEP.format(step=step, **vars(where)) if manual else "run the same playbook again"
    if not where.taken:
        return again
    return f"{again}: it goes on from here. To only bring the tablet back: {READMIT.format(**vars(where))}"
