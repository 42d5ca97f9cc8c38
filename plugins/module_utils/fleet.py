# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What there is: tablets, shards, Pods, mysqlds and what each vtgate sees. Pure data, parsed once at the edge."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from enum import Enum

from .gtid import GtidSet
from .place import Needs, Resources
from .versions import Version, of_server

ALIAS = re.compile(r"^(?P<cell>[A-Za-z0-9_.][A-Za-z0-9_.-]*)-(?P<uid>\d{1,10})$")


@dataclass(frozen=True, order=True)
class Alias:
    """A tablet's alias: cell and uid, written C(zone1-0000000101)."""

    cell: str
    uid: int

    @classmethod
    def parse(cls, text: str) -> Alias:
        """Read an alias, with or without leading zeros. Raises ValueError on anything else."""
        match = ALIAS.match(text.strip())
        if not match:
            raise ValueError(f"{text!r} is no tablet alias (cell-uid, for example zone1-0000000101)")
        return cls(match["cell"], int(match["uid"]))

    def __str__(self) -> str:
        return f"{self.cell}-{self.uid:010d}"


class TabletType(str, Enum):
    """Vitess' tablet types (topodata.TabletType)."""

    UNKNOWN = "UNKNOWN"
    PRIMARY = "PRIMARY"
    REPLICA = "REPLICA"
    RDONLY = "RDONLY"
    SPARE = "SPARE"
    EXPERIMENTAL = "EXPERIMENTAL"
    BACKUP = "BACKUP"
    RESTORE = "RESTORE"
    DRAINED = "DRAINED"

    def __str__(self) -> str:
        return self.value


SERVING_TYPES = frozenset({TabletType.PRIMARY, TabletType.REPLICA, TabletType.RDONLY})
HEALTHY_TYPES = SERVING_TYPES | {TabletType.SPARE, TabletType.EXPERIMENTAL}


@dataclass(frozen=True)
class Marks:
    """What vitess-operator's annotations on a Pod say. ours: whoever released it or started its drain was this collection."""

    scheduled: bool = False  # changes wait for its release
    released: bool = False
    started: bool = False
    acknowledged: bool = False
    finished: bool = False
    ours: bool = False

    @property
    def asked(self) -> bool:
        """Whether somebody asked the operator to take the Pod away."""
        return self.released or self.started

    @property
    def any(self) -> bool:
        """Whether it is being taken away, or was, and the operator has not forgotten that."""
        return self.asked or self.acknowledged or self.finished

    def __str__(self) -> str:
        names = ("released", "started", "acknowledged", "finished")
        return ", ".join(name if name == "released" else f"drain {name}" for name in names if getattr(self, name))


@dataclass(frozen=True)
class Pod:
    """A tablet's Pod, as one read of it showed."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    ip: str = ""
    node: str = ""
    phase: str = ""
    ready: bool = False
    terminating: bool = False
    created: float = 0.0  # seconds since the epoch
    ready_since: float = 0.0  # seconds since the epoch, 0 where it is not Ready or nobody says since when
    revision: str = ""
    owner_kind: str = ""
    owner_name: str = ""
    images: tuple[tuple[str, str], ...] = ()  # container to image
    volume_claims: tuple[str, ...] = ()
    requests: Resources = ()
    alias: Alias | None = None  # the tablet that its own command line names, None where that is not written out
    trouble: str = ""  # why a container does not start, in Kubernetes' own words
    marks: Marks = field(default_factory=Marks)
    underscored: str = ""  # a flag of its vttablet that is written with underscores
    needs: Needs = field(default_factory=Needs)  # what its own spec asks of a node
    running: frozenset[str] = frozenset()  # its containers that run now
    labels: frozenset[tuple[str, str]] = frozenset()
    grace_s: float = 30.0  # terminationGracePeriodSeconds

    @property
    def owner(self) -> tuple[str, str, str]:
        """Namespace, kind and name of what recreates it; kind and name are empty where nothing does."""
        return self.namespace, self.owner_kind, self.owner_name

    def image(self, container: str) -> str:
        """The image of a container, empty if there is none of that name."""
        return dict(self.images).get(container, "")


@dataclass(frozen=True)
class Mysqld:
    """A tablet's mysqld, as GetFullStatus showed it. Lag is None where the server does not know it."""

    server_uuid: str
    gtid_executed: GtidSet
    version: str = ""
    read_only: bool = True
    super_read_only: bool = True
    io_running: bool = False
    sql_running: bool = False
    source_host: str = ""
    source_port: int = 0
    source_uuid: str = ""
    lag_s: float | None = None
    last_error: str = ""
    semi_sync_primary: bool = False
    semi_sync_replica: bool = False

    @property
    def replicating(self) -> bool:
        """Both replication threads run."""
        return self.io_running and self.sql_running


@dataclass(frozen=True)
class Tablet:
    """One tablet: its topology record, and its Pod and mysqld where they were found."""

    alias: Alias
    keyspace: str
    shard: str
    type: TabletType
    hostname: str = ""
    mysql_hostname: str = ""
    mysql_port: int = 0
    primary_term_start: str = ""  # RFC 3339, empty for other types
    tags: frozenset[tuple[str, str]] = frozenset()
    pod: Pod | None = None
    mysqld: Mysqld | None = None
    mysqld_error: str = ""

    @property
    def mysql(self) -> Version | None:
        """The version that its mysqld reports, None where that does not answer."""
        return of_server(self.mysqld.version) if self.mysqld else None


@dataclass(frozen=True)
class Budget:
    """A PodDisruptionBudget. wants: its matchLabels. rules: its matchExpressions, key, operator and values."""

    namespace: str
    name: str
    wants: frozenset[tuple[str, str]] = frozenset()
    rules: tuple[tuple[str, str, frozenset[str]], ...] = ()

    def selects(self, pod: Pod) -> bool:
        """As a label selector does; one of policy/v1 that is empty selects every Pod of its namespace."""
        if pod.namespace != self.namespace or not self.wants <= pod.labels:
            return False
        have = dict(pod.labels)
        return all(_holds(have.get(key), operator, values) for key, operator, values in self.rules)


def _holds(value: str | None, operator: str, values: frozenset[str]) -> bool:
    """One expression of a label selector (k8s.io/apimachinery pkg/labels/selector.go)."""
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) == (operator == "Exists")
    return (value in values) == (operator == "In")


def is_address(hostname: str) -> bool:
    """Whether a tablet registers by IP address, which another Pod of it will not have."""
    try:
        ipaddress.ip_address(hostname)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Route:
    """One row of a vtgate's SHOW VITESS_TABLETS."""

    alias: Alias
    type: TabletType
    serving: bool
    hostname: str
    primary_term_start: str = ""


@dataclass(frozen=True)
class ShardFilter:
    """One C(keyspace|shard) of a vtgate's --tablet-filters: that shard, or every shard within that key range."""

    keyspace: str
    shard: str

    @classmethod
    def parse(cls, text: str) -> ShardFilter:
        """Raises ValueError where a vtgate would not start with it."""
        keyspace, separator, shard = text.partition("|")
        if not separator or "|" in shard:
            raise ValueError(f"not a tablet filter (keyspace|shard): {text!r}")
        key_range(shard)
        return cls(keyspace, shard.lower() if "-" in shard else shard)

    def includes(self, keyspace: str, shard: str) -> bool:
        """As FilterByShard.IsIncluded (go/vt/discovery/topology_watcher.go)."""
        if keyspace != self.keyspace:
            return False
        ours, theirs = key_range(self.shard), key_range(shard)
        if ours is None or theirs is None:
            return shard == self.shard
        open_ended = not ours[1]
        return ours[0] <= theirs[0] and (open_ended or (bool(theirs[1]) and theirs[1] <= ours[1]))


def key_range(shard: str) -> tuple[bytes, bytes] | None:
    """A shard name's first key and the key after its last, trailing zeros dropped; None for a name that is no range. Raises ValueError."""
    start, dash, end = shard.partition("-")
    if not dash:
        return None
    return bytes.fromhex(start).rstrip(b"\0"), bytes.fromhex(end).rstrip(b"\0")


@dataclass(frozen=True)
class VtgateSettings:
    """The flags of a vtgate that a roll depends on. Durations in seconds; defaults are Vitess' own."""

    cells_to_watch: frozenset[str] = frozenset()
    keyspaces_to_watch: frozenset[str] = frozenset()
    tablet_filters: frozenset[ShardFilter] = frozenset()
    tablet_filter_tags: frozenset[tuple[str, str]] = frozenset()
    tablet_refresh_interval_s: float = 60.0
    buffer_enabled: bool = False
    buffer_window_s: float = 10.0
    buffer_max_failover_s: float = 20.0
    buffer_min_gap_s: float = 60.0
    buffer_size: int = 1000  # requests
    buffer_keyspace_shards: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Vtgate:
    """One vtgate process and its own view of a shard. error is set where it could not be asked, denied where it refused the log-in."""

    name: str
    routes: tuple[Route, ...] = ()
    settings: VtgateSettings = field(default_factory=VtgateSettings)
    version: str = ""
    error: str = ""
    denied: bool = False
    terminating: bool = False

    def routes_to(self, alias: Alias) -> tuple[Route, ...]:
        """Its rows for a tablet; more than one is a stale entry (vitess#8465)."""
        return tuple(route for route in self.routes if route.alias == alias)

    def should_see(self, tablet: Tablet) -> bool:
        """Whether its flags let it watch the tablet: cell, keyspace, shard and tags. No list means all.

        As NewVTGateHealthCheckFilters (go/vt/discovery/healthcheck.go); a tablet must match one filter and every tag.
        """
        flags = self.settings
        return (
            (not flags.cells_to_watch or tablet.alias.cell in flags.cells_to_watch)
            and (not flags.keyspaces_to_watch or tablet.keyspace in flags.keyspaces_to_watch)
            and (
                not flags.tablet_filters
                or any(one.includes(tablet.keyspace, tablet.shard) for one in flags.tablet_filters)
            )
            and flags.tablet_filter_tags <= tablet.tags
        )


@dataclass(frozen=True)
class Migration:
    """An OnlineDDL migration that is ready or runs. at_cut_over: it is due to swap its tables, or does so now."""

    uuid: str
    status: str
    at_cut_over: bool = False

    def __str__(self) -> str:
        return f"{self.uuid} {self.status}{', at its cut-over' if self.at_cut_over else ''}"


@dataclass(frozen=True)
class Work:
    """What Vitess does in a shard besides serving, as its primary's _vt says; error is set where that is not known.

    switches: VReplication workflows whose traffic is being switched, with their state.
    """

    migrations: tuple[Migration, ...] = ()
    switches: tuple[str, ...] = ()
    error: str = ""


NOT_ASKED = Work(error="it was not asked for")


@dataclass(frozen=True)
class Shard:
    """One shard at one moment: read_started is the monotonic time, in seconds, at which its oldest evidence was asked for.

    canary: why a canary write on the primary was not acknowledged, empty if it was, None if none was written.
    """

    keyspace: str
    name: str
    durability: str
    primary: Alias | None
    primary_term_start: str
    tablets: tuple[Tablet, ...]
    vtgates: tuple[Vtgate, ...]
    work: Work = NOT_ASKED
    canary: str | None = None
    read_started: float = 0.0
    read_ended: float = 0.0

    def __str__(self) -> str:
        return f"{self.keyspace}/{self.name}"

    def tablet(self, alias: Alias) -> Tablet | None:
        """The tablet of that alias, None if the shard has none."""
        return next((tablet for tablet in self.tablets if tablet.alias == alias), None)

    def others(self, alias: Alias) -> tuple[Tablet, ...]:
        """All tablets but that one."""
        return tuple(tablet for tablet in self.tablets if tablet.alias != alias)

    @property
    def live_vtgates(self) -> tuple[Vtgate, ...]:
        """The vtgates that count: one that is Terminating is skipped, and named by the gates."""
        return tuple(vtgate for vtgate in self.vtgates if not vtgate.terminating)


def away_reasons(shard: Shard, tablet: Tablet) -> tuple[str, ...]:
    """Why a tablet is away (design: type not a healthy one, Pod not Ready, or some vtgate does not show it SERVING); empty if it is not."""
    reasons: list[str] = []
    if tablet.type not in HEALTHY_TYPES:
        reasons.append(f"type {tablet.type}")
    if not tablet.hostname:
        reasons.append("no address in the topology")
    if tablet.pod is None:
        reasons.append("no Pod found")
    elif tablet.pod.terminating:
        reasons.append(f"Pod {tablet.pod.name} is terminating")
    elif not tablet.pod.ready:
        reasons.append(f"Pod {tablet.pod.name} is not Ready{': ' + tablet.pod.trouble if tablet.pod.trouble else ''}")
    if tablet.type in SERVING_TYPES:
        reasons.extend(not_routed_reasons(shard, tablet))
    return tuple(reasons)


def not_routed_reasons(shard: Shard, tablet: Tablet) -> tuple[str, ...]:
    """Which vtgates that should see the tablet do not show it SERVING, with its type, at its present address only.

    An old entry that is NOT_SERVING is no route: a v23 vtgate was seen to keep one for minutes, and its health stream
    drops an address that answers with another alias.
    """
    reasons: list[str] = []
    for vtgate in shard.live_vtgates:
        if vtgate.error or not vtgate.should_see(tablet):
            continue
        routes = vtgate.routes_to(tablet.alias)
        good = [
            route
            for route in routes
            if route.serving and route.type == tablet.type and route.hostname == tablet.hostname
        ]
        if not routes:
            reasons.append(f"{vtgate.name} does not know it")
        elif not good:
            route = routes[0]
            state = "SERVING" if route.serving else "NOT_SERVING"
            reasons.append(f"{vtgate.name} shows {route.type} {state} at {route.hostname}")
        elif stale := sorted({route.hostname for route in routes if route.serving} - {tablet.hostname}):
            reasons.append(f"{vtgate.name} also routes to its old address {', '.join(stale)}")
    return tuple(reasons)
