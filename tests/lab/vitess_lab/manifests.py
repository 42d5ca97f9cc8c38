# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The manifests with their placeholders, written @{name} since the shell in them has its own."""

from __future__ import annotations

import string

from . import layout, places, versions


class _Manifest(string.Template):
    delimiter = "@"


def _filled(name: str, **values: object) -> str:
    return _Manifest((places.LAB / "manifests" / f"{name}.yaml").read_text()).substitute(values)


def _joined(manifests: list[str]) -> str:
    return "\n---\n".join(manifests)


def foundation(*, etcd_image: str, stable_addresses: bool) -> str:
    """What is there before any Vitess program: namespace, volumes, topology."""
    volumes = [_filled("volume", claim=v.claim, path=v.path, node=v.node) for v in layout.VOLUMES_OF_ALL]
    namespace = _filled("namespace", stable_addresses=str(stable_addresses).lower())
    return _joined([namespace, *volumes, _filled("etcd", etcd_image=etcd_image)])


def control(version: str, *, vtorc_replicas: int) -> str:
    """vtctld, vtorc and the vtgates."""
    vtorc = _filled(
        "vtorc", control_version=version, vtorc_replicas=vtorc_replicas, version_flags=versions.VTORC_FLAGS[version]
    )
    return _joined([_filled("vtctld", control_version=version), vtorc, _filled("vtgate", control_version=version)])


def tablets(version: str, *, stable_addresses: bool) -> str:
    """The shards' StatefulSets at one version."""
    hostname = f"$HOSTNAME.tablets.{layout.NAMESPACE}.svc.cluster.local" if stable_addresses else "$POD_IP"
    shards = [
        _filled(
            "shard",
            shard=shard.name,
            shard_label=shard.label,
            owner=shard.owner,
            # The Pod's ordinal is added to it.
            first_uid=shard.first_uid,
            tablet_version=version,
            tablet_hostname=hostname,
            version_flags=versions.TABLET_FLAGS[version],
            mysql_image=versions.MYSQL_IMAGE,
        )
        for shard in layout.SHARDS
    ]
    return _joined([_filled("tablet_service"), *shards])
