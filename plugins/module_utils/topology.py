# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Vitess cluster a program belongs to, by the topology that its Pod's spec names: an alias means nothing without it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from . import labels
from .clients.vttablet import parse_flags
from .errors import EdgeError

ROOT, SERVERS = "topo-global-root", "topo-global-server-address"
VARIABLE = re.compile(r"\$(?:\((\w+)\)|\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Topology:
    """Root and servers of the global topology, and vitess-operator's name of the cluster; empty where the spec does not tell."""

    root: str = ""
    servers: frozenset[str] = frozenset()
    cluster: str = ""

    def differs_from(self, other: Topology) -> bool:
        """Whether they are certainly two. One server in common is one topology; the label counts only where no flag can be compared."""
        if (self.root and other.root) or (self.servers and other.servers):
            another_root = bool(self.root and other.root) and self.root != other.root
            other_servers = bool(self.servers and other.servers) and not self.servers & other.servers
            return another_root or other_servers
        return bool(self.cluster and other.cluster) and self.cluster != other.cluster

    def __str__(self) -> str:
        if self.root or self.servers:
            return " at ".join(part for part in (self.root, ",".join(sorted(self.servers))) if part)
        return self.cluster or "unknown"


@dataclass(frozen=True)
class Component:
    """A program of a Vitess cluster, by its Pod's name."""

    name: str
    topology: Topology


def component_of(item: dict[str, Any]) -> Component:
    """From a Pod (core/v1) of vtctld or vtgate."""
    meta = item["metadata"]
    topology = Topology(cluster=str((meta.get("labels") or {}).get(labels.CLUSTER) or ""))
    for container in (item.get("spec") or {}).get("containers") or []:
        flags = parse_flags(list(_words(container)))
        root, servers = (flags.get(name, "") for name in (ROOT, SERVERS))
        # What a variable or a shell would make of it is not known here.
        root, servers = ("" if "$" in value or value == "true" else value for value in (root, servers))
        if root or servers:
            namespace = str(meta.get("namespace") or "")
            hosts = frozenset(_full(host.strip(), namespace) for host in servers.split(",") if host.strip())
            topology = Topology(root.rstrip("/"), hosts, topology.cluster)
            break
    return Component(str(meta["name"]), topology)


def flags_of_spec(pod_spec: dict[str, Any]) -> dict[str, str]:
    """The flags that a Pod's spec gives its first container that has any, a shell's script taken apart."""
    every = (parse_flags(list(_words(container))) for container in pod_spec.get("containers") or [])
    return next((flags for flags in every if flags), {})


def refuse_strangers(members: Sequence[Component], option: str) -> None:
    """Raises EdgeError naming two that belong to two Vitess clusters, and the option that narrows to one."""
    seen: dict[Topology, str] = {}
    for member in members:
        for topology, name in seen.items():
            if member.topology.differs_from(topology):
                raise EdgeError(
                    f"{name} and {member.name} are of two Vitess clusters ({topology}; {member.topology}): narrow {option}"
                )
        seen.setdefault(member.topology, member.name)


def _words(container: dict[str, Any]) -> Iterator[str]:
    """The words of a container's command line, shell scripts taken apart, with the variables whose values the spec has."""
    known = {str(v["name"]): str(v["value"]) for v in container.get("env") or [] if v.get("value") is not None}

    def value(match: re.Match[str]) -> str:
        return known.get(match[1] or match[2] or match[3], match[0])

    for argument in [*(container.get("command") or []), *(container.get("args") or [])]:
        yield from _apart(VARIABLE.sub(value, str(argument)).replace("\\\n", " "))


def _apart(text: str) -> Iterator[str]:
    try:
        words = shlex.split(text)
    except ValueError:  # a script with quotes that are not a command line's
        words = text.split()
    for word in words:
        if word != text and re.search(r"\s", word):
            yield from _apart(word)
        else:
            yield word.rstrip(";&|)")


def _full(address: str, namespace: str) -> str:
    """A service's address as seen from any namespace: etcd:2379, etcd.vitess:2379 and etcd.vitess.svc:2379 are one."""
    host, colon, port = address.partition(":")
    host = re.sub(r"\.svc(\..*)?$", "", host)
    return f"{host if '.' in host or not namespace else f'{host}.{namespace}'}{colon}{port}"
