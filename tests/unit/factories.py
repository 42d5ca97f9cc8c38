# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A healthy shard, as the gates see it: a PRIMARY and two REPLICAs under semi_sync, two vtgates. A test replaces the one thing that differs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ansible_collections.vtops.vitess.plugins.module_utils.fleet import (
    Alias,
    Mysqld,
    Pod,
    Route,
    Shard,
    Tablet,
    TabletType,
    Vtgate,
    VtgateSettings,
    Work,
)
from ansible_collections.vtops.vitess.plugins.module_utils.gates import Case
from ansible_collections.vtops.vitess.plugins.module_utils.gtid import GtidSet
from ansible_collections.vtops.vitess.plugins.module_utils.owners import Owner, Wanted
from ansible_collections.vtops.vitess.plugins.module_utils.place import Place
from ansible_collections.vtops.vitess.plugins.module_utils.rights import Granted

PRIMARY = Alias("zone1", 101)
REPLICA = Alias("zone1", 102)
SIBLING = Alias("zone1", 103)

MYSQL = "8.0.40"
OLD, NEW = "vitess/lite:v23.0.3", "vitess/lite:v24.0.2"
BUFFERING = VtgateSettings(buffer_enabled=True, buffer_window_s=10.0, buffer_max_failover_s=10.0, buffer_min_gap_s=20.0)


def uuid_of(alias: Alias) -> str:
    """The server uuid of a tablet's mysqld."""
    return f"00000000-0000-0000-0000-{alias.uid:012d}"


EXECUTED = f"{uuid_of(PRIMARY)}:1-100"


def a_pod(alias: Alias, **changes: Any) -> Pod:
    """A Ready Pod of a StatefulSet, at the old revision."""
    pod = Pod(
        namespace="vitess",
        name=f"commerce-x-80-{alias.uid}",
        uid=f"pod-{alias.uid}",
        resource_version="1",
        ip=f"10.0.0.{alias.uid}",
        node="worker-1",
        phase="Running",
        ready=True,
        created=1000.0,
        revision="old",
        owner_kind="StatefulSet",
        owner_name="commerce-x-80",
        images=(("vttablet", OLD), ("mysqld", OLD)),
        volume_claims=(f"data-{alias.uid}",),
    )
    return replace(pod, **changes)


def a_primary_mysqld(**changes: Any) -> Mysqld:
    """Takes writes."""
    mysqld = Mysqld(
        server_uuid=uuid_of(PRIMARY),
        version=MYSQL,
        gtid_executed=GtidSet.parse(EXECUTED),
        read_only=False,
        super_read_only=False,
        semi_sync_primary=True,
    )
    return replace(mysqld, **changes)


def a_replica_mysqld(alias: Alias, **changes: Any) -> Mysqld:
    """Caught up, and acknowledges the primary's writes."""
    mysqld = Mysqld(
        server_uuid=uuid_of(alias),
        version=MYSQL,
        gtid_executed=GtidSet.parse(EXECUTED),
        io_running=True,
        sql_running=True,
        source_host=f"10.0.0.{PRIMARY.uid}",
        source_port=3306,
        source_uuid=uuid_of(PRIMARY),
        lag_s=0.0,
        semi_sync_replica=True,
    )
    return replace(mysqld, **changes)


def a_tablet(alias: Alias, kind: TabletType = TabletType.REPLICA, **changes: Any) -> Tablet:
    """A healthy one."""
    tablet = Tablet(
        alias=alias,
        keyspace="commerce",
        shard="-80",
        type=kind,
        hostname=f"10.0.0.{alias.uid}",
        mysql_hostname=f"10.0.0.{alias.uid}",
        mysql_port=3306,
        pod=a_pod(alias),
        mysqld=a_primary_mysqld() if kind == TabletType.PRIMARY else a_replica_mysqld(alias),
    )
    return replace(tablet, **changes)


def a_route(tablet: Tablet, **changes: Any) -> Route:
    """SERVING, with the tablet's type, at its address."""
    return replace(Route(tablet.alias, tablet.type, True, tablet.hostname), **changes)


def a_vtgate(name: str, tablets: Iterable[Tablet], **changes: Any) -> Vtgate:
    """Routes to all these tablets, and buffers."""
    return replace(Vtgate(name, tuple(a_route(tablet) for tablet in tablets), BUFFERING), **changes)


def a_shard(*tablets: Tablet, vtgates: Iterable[Vtgate] | None = None, **changes: Any) -> Shard:
    """The healthy shard; a tablet that is given takes the place of the one with its alias, and the vtgates see what is given."""
    healthy = {alias: a_tablet(alias) for alias in (REPLICA, SIBLING)}
    members = {PRIMARY: a_tablet(PRIMARY, TabletType.PRIMARY), **healthy, **{t.alias: t for t in tablets}}
    ordered = tuple(members[alias] for alias in sorted(members))
    shard = Shard(
        keyspace="commerce",
        name="-80",
        durability="semi_sync",
        primary=PRIMARY,
        primary_term_start="900.000000000",
        tablets=ordered,
        vtgates=tuple(vtgates)
        if vtgates is not None
        else (a_vtgate("vtgate-0", ordered), a_vtgate("vtgate-1", ordered)),
        work=Work(),
        canary="",
        read_started=50.0,
        read_ended=50.5,
    )
    return replace(shard, **changes)


def without(shard: Shard, *aliases: Alias) -> Shard:
    """The shard with fewer tablets, at the vtgates too."""
    vtgates = tuple(replace(v, routes=tuple(r for r in v.routes if r.alias not in aliases)) for v in shard.vtgates)
    return replace(shard, tablets=tuple(t for t in shard.tablets if t.alias not in aliases), vtgates=vtgates)


def seen_by(shard: Shard, name: str, **changes: Any) -> Shard:
    """The shard with one vtgate that differs."""
    return replace(shard, vtgates=tuple(replace(v, **changes) if v.name == name else v for v in shard.vtgates))


def an_owner(**changes: Any) -> Owner:
    """A StatefulSet with OnDelete whose new revision its controller has seen."""
    owner = Owner(
        kind="StatefulSet",
        name="commerce-x-80",
        strategy="OnDelete",
        current_revision="old",
        update_revision="new",
        generation=2,
        observed_generation=2,
        images=(("vttablet", NEW), ("mysqld", NEW)),
    )
    return replace(owner, **changes)


def a_case(shard: Shard | None = None, **changes: Any) -> Case:
    """A REPLICA that is to be replaced in a healthy shard."""
    case = Case(
        shard=shard or a_shard(),
        alias=REPLICA,
        now=51.0,
        owner=an_owner(),
        wanted=Wanted(revision="new"),
        place=Place(("worker-1",)),
        rights=Granted(),
    )
    return replace(case, **changes)


def a_drained_case(**changes: Any) -> Case:
    """The REPLICA after this roll drained it."""
    shard = a_shard(a_tablet(REPLICA, TabletType.DRAINED))
    return a_case(shard, drained_by_us={REPLICA: TabletType.REPLICA}, **changes)


def a_reparent_case(*tablets: Tablet, **changes: Any) -> Case:
    """The primary hands over to a REPLICA that is as wanted already."""
    done = tuple(a_tablet(alias, pod=a_pod(alias, revision="new")) for alias in (REPLICA, SIBLING))
    return a_case(a_shard(*done, *tablets), **{"alias": PRIMARY, "candidate": REPLICA, **changes})
