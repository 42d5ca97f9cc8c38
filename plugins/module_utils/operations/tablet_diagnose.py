# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which tablets are away by themselves, why, who may still mend that, what would, and what forbids it. Changes nothing."""

from __future__ import annotations

from functools import partial
from typing import Any

from .. import labels
from ..arguments import cluster_spec
from ..claim import LeaseState, read_lease
from ..cluster import Cluster, in_parallel
from ..diagnosis import Diagnosis
from ..examination import Examiner
from ..options import aliases
from ..waiting import Clock

SHARDS_AT_ONCE = 4  # each is a script of some ten processes in the vtctld Pod


def diagnosis_spec() -> dict[str, Any]:
    """What the operator says of the fleet, for diagnosis and recovery alike."""
    return {
        "node_fenced": {"type": "list", "elements": "str", "default": []},
        "accept_errant": {"type": "list", "elements": "str", "default": []},
    }


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        **diagnosis_spec(),
        "keyspaces": {"type": "list", "elements": "str", "default": [], "no_log": False},
        "tablets": {"type": "list", "elements": "str", "default": []},
        "max_lag": {"type": "float", "default": 10.0},
        "accept_drained": {"type": "list", "elements": "str", "default": []},
    }


def examiner_of(params: dict[str, Any], cluster: Cluster) -> Examiner:
    """Raises ValueError for what is no alias."""
    return Examiner(
        cluster,
        fenced=frozenset(params["node_fenced"]),
        accept_drained=aliases(params["accept_drained"]),
        accept_errant=aliases(params["accept_errant"]),
        max_lag_s=params["max_lag"],
    )


def run(params: dict[str, Any], cluster: Cluster, clock: Clock) -> dict[str, Any]:
    """Reads every shard that holds one of the tablets; without any, every shard. Raises EdgeError, ValueError."""
    del clock
    wanted = aliases(params["tablets"])
    records = cluster.vtctld.tablets()
    chosen = [
        record
        for record in records
        if (not wanted or record.alias in wanted)
        and (not params["keyspaces"] or record.keyspace in params["keyspaces"])
    ]
    missing = wanted - {record.alias for record in chosen}
    if missing:
        raise ValueError(f"the topology has no tablet {', '.join(str(alias) for alias in sorted(missing))}")
    examiner = examiner_of(params, cluster)
    shards = sorted({(record.keyspace, record.shard) for record in chosen})
    looks = [partial(_shard, examiner, cluster, keyspace, shard) for keyspace, shard in shards]
    asked = {record.alias for record in chosen}
    found = [
        {"keyspace": keyspace, "shard": shard, **shown(one)}
        for (keyspace, shard), every in zip(shards, in_parallel(looks, SHARDS_AT_ONCE), strict=True)
        for one in sorted(every, key=lambda one: (one.primary, one.alias))
        if one.alias in asked
    ]
    ailing = [tablet for tablet in found if tablet["ails"]]
    return {
        "changed": False,
        "tablets": found,
        "ailing": [tablet["alias"] for tablet in ailing],
        "rounds": _rounds(ailing),
        "text": _text(found),
    }


def _text(found: list[dict[str, Any]]) -> str:
    """A line for each tablet that is away, and whom it is left to."""
    lines = []
    for one in (tablet for tablet in found if tablet["cause"]):
        then = f"then {one['mend']}" if one["may_act"] else f"not acted on: {one['refusal'] or 'it is in flight'}"
        lines.append(f"{one['alias']}: {one['cause']}: {one['evidence']}; waits for {one['waits_for']}, {then}")
    return "\n".join(lines) or f"{len(found)} tablets, none is away by itself"


def _shard(examiner: Examiner, cluster: Cluster, keyspace: str, shard: str) -> list[Diagnosis]:
    return examiner.diagnose_shard(keyspace, shard, lease_of(cluster, keyspace, shard))


def lease_of(cluster: Cluster, keyspace: str, shard: str) -> LeaseState | None:
    """The shard's claim, None where nobody ever claimed it."""
    return read_lease(cluster.kube, cluster.scope.namespace, labels.shard_lease(keyspace, shard))


def _rounds(ailing: list[dict[str, Any]]) -> list[list[str]]:
    """Who may be brought back side by side: at most one tablet of a shard in each round, those that were primary last."""
    of_shard: dict[tuple[str, str], list[str]] = {}
    for tablet in ailing:
        of_shard.setdefault((tablet["keyspace"], tablet["shard"]), []).append(tablet["alias"])
    most = max((len(some) for some in of_shard.values()), default=0)
    return [[some[number] for some in of_shard.values() if number < len(some)] for number in range(most)]


def shown(one: Diagnosis) -> dict[str, Any]:
    """A diagnosis in a result."""
    return {
        "alias": str(one.alias),
        "ails": one.ails,
        "cause": str(one.cause),
        "evidence": one.evidence,
        "away": list(one.also),
        "primary": one.primary,
        "waits_for": one.waits_for,
        "mend": str(one.mend),
        "may_act": one.may_act,
        "refusal": one.refusal,
        "next_command": one.command,
        "fingerprint": one.fingerprint,
    }
