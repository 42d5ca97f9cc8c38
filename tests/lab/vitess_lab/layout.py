# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the fleet looks like: names, numbers and places that manifests, waits and lab.json agree on."""

from __future__ import annotations

from dataclasses import dataclass

from .cluster import CONTROL_PLANE, VOLUMES, WORKERS

NAMESPACE = "vitess"
CELL = "zone1"
KEYSPACE = "commerce"
TABLE = "probe"
TABLETS_PER_SHARD = 3
VTGATE_PORTS = {"vtgate-0": 31306, "vtgate-1": 31307}
TABLET_SELECTOR = "planetscale.com/component=vttablet"
VTCTLD_SELECTOR = "planetscale.com/component=vtctld"
VTORC_SELECTOR = "planetscale.com/component=vtorc"
CLAIM_SELECTOR = "app.kubernetes.io/managed-by=vtops.vitess"
VTGATE_SELECTOR = "planetscale.com/component=vtgate"


@dataclass(frozen=True)
class Volume:
    """A directory of one node, bound to one claim."""

    claim: str
    node: str

    @property
    def path(self) -> str:
        return f"{VOLUMES}/{self.claim}"


@dataclass(frozen=True)
class Tablet:
    uid: int
    pod: str
    node: str

    @property
    def alias(self) -> str:
        return f"{CELL}-{self.uid:010d}"

    @property
    def volume(self) -> Volume:
        return Volume(f"data-{self.pod}", self.node)


@dataclass(frozen=True)
class Shard:
    name: str
    first_uid: int

    @property
    def label(self) -> str:
        """As vitess-operator writes a key range: a label value cannot begin or end with a dash."""
        start, end = self.name.split("-")
        return f"{start or 'x'}-{end or 'x'}"

    @property
    def owner(self) -> str:
        return f"{KEYSPACE}-{self.label}"

    @property
    def tablets(self) -> tuple[Tablet, ...]:
        """Spread over the workers, the second shard the other way round, so that each worker has three."""
        return tuple(
            Tablet(uid, f"{self.owner}-{number}", WORKERS[(number + self.first_uid // 100 - 1) % len(WORKERS)])
            for number, uid in enumerate(range(self.first_uid, self.first_uid + TABLETS_PER_SHARD))
        )


SHARDS = (Shard("-80", 101), Shard("80-", 201))
TABLETS = tuple(tablet for shard in SHARDS for tablet in shard.tablets)
TOPOLOGY_VOLUME = Volume("data-etcd-0", CONTROL_PLANE)
VOLUMES_OF_ALL = (TOPOLOGY_VOLUME, *(tablet.volume for tablet in TABLETS))
