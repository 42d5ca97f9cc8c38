# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Pod a tablet runs in. Pure: the topology's address is a hint, what the vttablet names as its alias decides (design section 5).

Addresses lie: Pods on the host's network share one, an ended Pod keeps its own, a lost tablet's is given to another, and two
namespaces have Pods of the same name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence

from .fleet import Alias, Pod, Tablet

ENDED = ("Succeeded", "Failed")
Candidates = dict[Alias, tuple[Pod, ...]]


def is_at(pod: Pod, hostname: str) -> bool:
    """Whether a tablet's address is this Pod's: its IP, or its stable name, in its namespace where the address has one."""
    if not hostname or pod.phase in ENDED:
        return False
    if pod.ip == hostname:
        return True
    labels = hostname.split(".")  # pod.service.namespace.svc.cluster.local
    elsewhere = len(labels) > 3 and labels[3] == "svc" and labels[2] != pod.namespace
    return labels[0] == pod.name and not elsewhere


def field_of(hostname: str) -> str:
    """The field selector that finds every Pod that is_at() this address, and few others: one look-up instead of a list of all Pods."""
    try:
        ipaddress.ip_address(hostname)
    except ValueError:
        return f"metadata.name={hostname.partition('.')[0]}"
    return f"status.podIP={hostname}"


def candidates(tablets: Iterable[Tablet], pods: Sequence[Pod]) -> Candidates:
    """The Pods at each tablet's address, without those whose own command line names another tablet."""
    by_address: dict[str, dict[str, Pod]] = {}
    for pod in pods:
        for address in {pod.ip, pod.name} - {""}:
            by_address.setdefault(address, {})[pod.uid] = pod
    return {
        tablet.alias: tuple(
            pod
            for pod in {
                **by_address.get(tablet.hostname, {}),
                **by_address.get(tablet.hostname.partition(".")[0], {}),
            }.values()
            if is_at(pod, tablet.hostname) and pod.alias in (None, tablet.alias)
        )
        for tablet in tablets
    }


def contested(found: Candidates) -> tuple[Pod, ...]:
    """The Pods that must be asked who they are: one of several for a tablet, or one that several tablets claim."""
    claims: dict[str, int] = {}
    for pods in found.values():
        for pod in pods:
            claims[pod.uid] = claims.get(pod.uid, 0) + 1
    unclear = {
        pod.uid: pod
        for pods in found.values()
        for pod in pods
        if (len(pods) > 1 or claims[pod.uid] > 1) and not (pod.alias and len(pods) == 1)
    }
    return tuple(unclear.values())


def settled(found: Candidates, said: Mapping[str, Alias | None]) -> Candidates:
    """The candidates that are left when the contested ones (by uid) have said who they are; one that is silent is nobody's."""
    return {
        alias: tuple(pod for pod in pods if pod.uid not in said or said[pod.uid] == alias)
        for alias, pods in found.items()
    }
