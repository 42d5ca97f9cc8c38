# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A vttablet's own web pages, through the Pod proxy: who it says it is, and what it still serves."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from ..errors import EdgeError
from ..fleet import Alias, Pod
from .kubernetes import KubernetesClient

# The pools that client requests use (facts: /debug/vars of v23 and v24). A missing one is red.
SERVING_POOLS = ("ConnPoolInUse", "StreamConnPoolInUse", "TransactionPoolInUse", "FoundRowsPoolInUse")
# Flags that hold a list: given twice they add up, of any other the last one counts (pflag's StringSlice).
ADD_UP = ("keyspaces-to-watch", "tablet-filters")
TRANSACTION_POOLS = ("TransactionPoolInUse", "FoundRowsPoolInUse")


@dataclass(frozen=True)
class VttabletVars:
    """One read of /debug/vars. in_use is None for a pool that the page does not have."""

    alias: Alias | None
    tablet_type: str
    state: str
    in_use: tuple[tuple[str, int | None], ...]
    build_version: str = ""
    backup_running: bool = False
    restored: int = 0  # bytes that a restore has read and written so far

    def busy(self, pools: tuple[str, ...]) -> dict[str, int | None]:
        """The pools that are not known to be empty."""
        counts = dict(self.in_use)
        return {pool: counts.get(pool) for pool in pools if counts.get(pool) != 0}


@dataclass(frozen=True)
class Vttablet:
    """One vttablet's web server."""

    kube: KubernetesClient
    port: int = 15000

    def vars(self, pod: Pod) -> VttabletVars:
        """Raises EdgeError where the page cannot be read."""
        raw = self.kube.web_get(pod.namespace, pod.name, self.port, "/debug/vars")
        try:
            return parse_vars(json.loads(raw))
        except (ValueError, TypeError) as error:
            raise EdgeError(f"/debug/vars of {pod.name} cannot be read: {error}") from error

    def live_queries(self, pod: Pod) -> int:
        """How many queries it executes now (/livequeryz, which its ACL must let us read). Raises EdgeError."""
        raw = self.kube.web_get(pod.namespace, pod.name, self.port, "/livequeryz/?format=json")
        try:
            return len(json.loads(raw) or [])
        except (ValueError, TypeError) as error:
            raise EdgeError(f"/livequeryz of {pod.name} cannot be read: {error}") from error


def parse_vars(page: dict[str, Any]) -> VttabletVars:
    """From the page's JSON."""
    return VttabletVars(
        alias=alias_of_command_line(flags_of(page)),
        tablet_type=str(page.get("TabletType") or ""),
        state=str(page.get("TabletStateName") or ""),
        in_use=tuple((pool, int(page[pool]) if pool in page else None) for pool in SERVING_POOLS),
        build_version=str(page.get("BuildVersion") or ""),
        # By mode; an online backup (xtrabackup) leaves the tablet's type as it is (go/vt/vttablet/tabletmanager/rpc_backup.go).
        backup_running=any(int(count) for count in (page.get("BackupIsRunning") or {}).values()),
        # By component, implementation and operation (go/vt/mysqlctl/backupstats).
        restored=sum(int(count) for count in (page.get("RestoreBytes") or {}).values()),
    )


def flags_of(page: dict[str, Any]) -> dict[str, str]:
    """The process' flags by name with dashes, from the command line that /debug/vars shows (a list, or Vitess' CmdLine text)."""
    command = page.get("cmdline") or page.get("CmdLine") or []
    words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    return parse_flags(words)


def parse_flags(words: list[str]) -> dict[str, str]:
    """C(--a_b=c --d e --f) to a-b: c, d: e, f: true."""
    flags: dict[str, str] = {}
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if not word.startswith("-"):
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not equals:
            if position < len(words) and not words[position].startswith("-"):
                value = words[position]
                position += 1
            else:
                value = "true"
        name = name.replace("_", "-")
        flags[name] = f"{flags[name]},{value}" if name in ADD_UP and name in flags else value
    return flags


def alias_of_command_line(flags: dict[str, str]) -> Alias | None:
    """The alias in --tablet-path, None where there is none."""
    try:
        return Alias.parse(flags.get("tablet-path", ""))
    except ValueError:
        return None
