# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the simulated fleet looks like, and how long things take in it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

NAMESPACE, KEYSPACE, TABLE = "vitess", "commerce", "probe"
NODES = ("worker-1", "worker-2")


def safe_shard(shard: str) -> str:
    """A shard's name in a Pod's name, as vitess-operator writes it."""
    start, dash, end = shard.partition("-")
    return f"{start or 'x'}-{end or 'x'}" if dash else shard


def alias_of(cell: str, uid: int) -> str:
    """As vtctldclient prints it."""
    return f"{cell}-{uid:010d}"


@dataclass(frozen=True)
class Timings:
    """Seconds, as seen on the lab where they were measured there (facts: lab.md)."""

    terminate_s: float = 12.0  # SIGTERM to the Pod's end; 10 s of it is vttablet's --onterm-timeout
    recreate_s: float = 0.3
    schedule_s: float = 0.3
    start_s: float = 3.0  # image there, containers run, mysqld recovers
    ready_s: float = 2.0  # after its vttablet registered
    stream_s: float = 0.05  # a health stream's news reaches a vtgate
    refresh_s: float = 60.0  # --tablet-refresh-interval
    backoff_first_s: float = 1.0
    backoff_most_s: float = 60.0
    query_s: float = 0.002
    demote_s: float = 0.3
    promote_s: float = 0.6
    grace_s: float = 3.0  # --shutdown-grace-period
    vtorc_poll_s: float = 1.0
    detect_s: float = 5.0
    controller_s: float = 0.1
    available_s: float = 30.0  # vitess-operator: from Ready until it counts a tablet as available

    def faster(self, speed: float) -> Timings:
        """Everything that takes time takes less of it; queries do not."""
        shorter = {f.name: getattr(self, f.name) / speed for f in fields(self) if f.name != "query_s"}
        return replace(self, **shorter)


@dataclass(frozen=True)
class TabletPlan:
    """One tablet at the start; the first REPLICA of a shard is made its primary."""

    uid: int
    cell: str = "zone1"
    type: str = "REPLICA"


@dataclass(frozen=True)
class ShardPlan:
    """One shard: a StatefulSet with OnDelete, or a VitessShard."""

    name: str
    tablets: tuple[TabletPlan, ...]


@dataclass(frozen=True)
class VtgatePlan:
    """One vtgate; cells and keyspaces as in --cells-to-watch and --keyspaces-to-watch (empty is all)."""

    name: str
    cells: tuple[str, ...] = ("zone1",)
    keyspaces: tuple[str, ...] = ()
    buffer: bool = True
    buffer_window_s: float = 10.0
    buffer_max_failover_s: float = 10.0
    buffer_min_gap_s: float = 20.0
    version: str = "23.0.3"


@dataclass(frozen=True)
class Layout:
    """A fleet. old runs, new is what the StatefulSets' specs want; so for mysqld. held: tablets have --init-tablet-type-lookup from v24 on."""

    shards: tuple[ShardPlan, ...]
    vtgates: tuple[VtgatePlan, ...] = (VtgatePlan("vtgate-0"), VtgatePlan("vtgate-1"))
    keyspace: str = KEYSPACE
    durability: str = "semi_sync"
    old: str = "23.0.3"
    new: str = "24.0.2"
    old_mysql: str = "9.7.4"
    new_mysql: str = "9.7.4"
    held: bool = True
    stable_addresses: bool = False
    operator: bool = False  # vitess-operator owns the Pods, and no StatefulSet
    vtorc: bool = True
    nodes: tuple[str, ...] = NODES
    movable: bool = False  # volumes may be used on every node
    past: int = 100  # transactions of each shard before the beginning
    timings: Timings = field(default_factory=Timings)
    seed: int = 1


def shard_of(name: str, first_uid: int, tablets: int = 3, rdonly: int = 0) -> ShardPlan:
    """REPLICAs from that uid on, then RDONLYs."""
    kinds = ["REPLICA"] * tablets + ["RDONLY"] * rdonly
    return ShardPlan(name, tuple(TabletPlan(first_uid + number, type=kind) for number, kind in enumerate(kinds)))


def like_the_lab(**given: object) -> Layout:
    """Two shards of three tablets and two vtgates, as tests/lab has them."""
    return Layout(shards=(shard_of("-80", 101), shard_of("80-", 201)), **given)  # type: ignore[arg-type]


def one_shard(tablets: int = 3, rdonly: int = 0, **given: object) -> Layout:
    """One shard, 101 its primary."""
    return Layout(shards=(shard_of("-", 101, tablets, rdonly),), **given)  # type: ignore[arg-type]


def many(tablets: int, vtgates: int = 2, **given: object) -> Layout:
    """Shards of three, as many as make that many tablets (the rest in the last one), on a node for each shard."""
    count = max(1, tablets // 3)
    bounds = ["", *(f"{round(number * 65536 / count):04x}" for number in range(1, count)), ""]
    last = tablets - 3 * (count - 1)
    shards = tuple(
        shard_of(f"{bounds[n]}-{bounds[n + 1]}", 100 * (n + 1) + 1, last if n == count - 1 else 3) for n in range(count)
    )
    nodes = tuple(f"worker-{n + 1}" for n in range(max(len(NODES), count)))
    gates = tuple(VtgatePlan(f"vtgate-{n}") for n in range(vtgates))
    return Layout(shards=shards, vtgates=gates, nodes=nodes, **given)  # type: ignore[arg-type]
