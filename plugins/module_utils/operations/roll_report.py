# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A report of a roll, whatever became of it, from the journal in the cluster: a page, a JSON file, a few lines of text."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..arguments import cluster_spec
from ..cluster import Cluster
from ..errors import StepFailure
from ..fleet import Alias
from ..options import aliases
from ..owners import Wanted
from ..probe.process import summary
from ..probe.summary import Reparent
from ..probe.vtgate import ProbeError
from ..report import Report, Seen, report_of, text_of
from ..report_page import page
from ..timestamps import parse_timestamp
from ..waiting import Clock
from .fleet_info import Member, read_fleet
from .roll_plan import kept_plan

NAME = "vtops-report"
MODE = 0o644


def argument_spec() -> dict[str, Any]:
    """Options of the module."""
    return {
        **cluster_spec(),
        "dest": {"type": "path"},
        "keyspaces": {"type": "list", "elements": "str", "default": [], "no_log": False},
        "shards": {"type": "list", "elements": "str", "default": []},
        "tablets": {"type": "list", "elements": "str", "default": []},
        "rolls": {"type": "list", "elements": "str", "default": []},
        "since": {"type": "str"},
        "wanted_since": {"type": "str"},
        "plan": {"type": "dict"},
        "plan_hash": {"type": "str"},
        "probe_summary": {"type": "path"},
        "ledger": {"type": "path"},
    }


def run(params: dict[str, Any], cluster: Cluster, clock: Clock) -> dict[str, Any]:
    """Writes nothing to the cluster. Raises StepFailure, plan.Unfit, EdgeError, ValueError."""
    since = _time(params["since"], "since")
    goal = Wanted.created_after(params["wanted_since"], clock.time()) if params["wanted_since"] else None
    if params["probe_summary"] and params["ledger"]:
        raise ValueError("probe_summary and ledger are two ways to say the same: give one")
    approved = kept_plan(params, cluster) if params["plan_hash"] else params["plan"]
    chosen = _chosen(read_fleet(cluster), params)
    seen = [_seen(member, goal) for member in chosen]

    def of(probe: Mapping[str, Any] | None) -> Report:
        return report_of(seen, cluster.scope.namespace, params["rolls"], since, approved, probe)

    probe = _probe(params, of(None))
    try:
        report = of(probe)
    except ValueError as error:
        raise ValueError(f"{params['probe_summary'] or params['ledger'] or 'plan'}: {error}") from error
    data = report.as_dict()
    files: list[_File] = []
    if params["dest"]:
        html, plain = _paths(params["dest"])
        files = [
            _File("html", html, page(report).encode()),
            _File("json", plain, (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()),
        ]
    told = _Writing(files)
    if not params["_check_mode"]:
        told.write()
    return {
        "changed": bool(told.other),
        "complete": report.complete,
        "files": {file.kind: file.path for file in files},
        "report": data,
        "text": "\n".join(text_of(report)),
        "diff": told.diff,
    }


# -- the fleet


def _time(text: str | None, option: str) -> float | None:
    try:
        return parse_timestamp(text) if text else None
    except ValueError as error:
        raise ValueError(f"{option} is no RFC 3339 time: {text}") from error


def _chosen(fleet: Iterable[Member], params: dict[str, Any]) -> list[Member]:
    """Raises ValueError where a name is none that the topology has: a report of nothing would look like a roll of nothing."""
    members = list(fleet)
    wanted = aliases(params["tablets"])
    there = {
        "keyspaces": {member.tablet.keyspace for member in members},
        "shards": {_shard_of(member) for member in members},
        "tablets": {str(member.alias) for member in members},
    }
    given = {**{name: set(params[name]) for name in ("keyspaces", "shards")}, "tablets": set(map(str, wanted))}
    for name, values in given.items():
        missing = sorted(values - there[name])
        if missing:
            raise ValueError(f"the topology has no {name.removesuffix('s')} {', '.join(missing)}")
    return [
        member
        for member in members
        if (not given["keyspaces"] or member.tablet.keyspace in given["keyspaces"])
        and (not given["shards"] or _shard_of(member) in given["shards"])
        and (not given["tablets"] or str(member.alias) in given["tablets"])
    ]


def _shard_of(member: Member) -> str:
    return f"{member.tablet.keyspace}/{member.tablet.shard}"


def _seen(member: Member, goal: Wanted | None) -> Seen:
    pod, owner, claim = member.pod, member.owner, member.claim
    try:
        renewed = parse_timestamp(claim.renewed) if claim is not None else 0.0
    except ValueError:  # somebody else wrote it: then it says nothing about when
        renewed = 0.0
    return Seen(
        alias=Alias(member.alias.cell, member.alias.uid),
        keyspace=member.tablet.keyspace,
        shard=member.tablet.shard,
        type=str(member.tablet.type),
        as_wanted=member.as_wanted(goal),
        image=pod.image("vttablet") if pod is not None else "",
        revision=pod.revision if pod is not None else "",
        wanted_image=owner.image("vttablet") if owner is not None else "",
        wanted_revision=owner.update_revision if owner is not None else "",
        entry=member.entry,
        holder=claim.identity if claim is not None else "",
        renewed_at=renewed,
    )


# -- the clients


def _probe(params: dict[str, Any], report: Report) -> Mapping[str, Any] | None:
    path: str | None = params["probe_summary"]
    if path:
        try:
            with open(path, encoding="utf-8") as file:
                data = json.load(file)
        except (OSError, ValueError) as error:
            raise _failure(
                f"probe_summary cannot be read: {error}", "give a file with the result of client_probe"
            ) from error
        if not isinstance(data, dict):
            raise ValueError(f"{path}: it is no summary of client_probe")
        return data
    if not params["ledger"]:
        return None
    reparents = []
    for shard in report.shards:
        keyspace, _slash, name = shard.shard.partition("/")
        reparents += [Reparent(keyspace, name, m.started_at, m.started_at + m.seconds) for m in shard.reparents]
    try:
        return summary(os.path.abspath(params["ledger"]), reparents).as_dict()
    except ProbeError as error:
        raise _failure(f"ledger: {error}", "give the ledger that client_probe was started with") from error


def _failure(reason: str, next_command: str) -> StepFailure:
    return StepFailure("the fleet", "roll_report", reason, state="nothing was written", next_command=next_command)


# -- the files


@dataclass(frozen=True)
class _File:
    """What a file is to hold."""

    kind: str
    path: str
    content: bytes


def _paths(dest: str) -> tuple[str, str]:
    """The page and the data: in a directory, or beside each other where dest is the page's name."""
    if dest.endswith(".html") and not os.path.isdir(dest):
        return dest, dest.removesuffix(".html") + ".json"
    return os.path.join(dest, f"{NAME}.html"), os.path.join(dest, f"{NAME}.json")


class _Writing:
    """The files that are not yet as they should be."""

    def __init__(self, files: Iterable[_File]) -> None:
        self.other: list[tuple[_File, bytes | None]] = []
        for file in files:
            before = self._read(file.path)
            if before != file.content:
                self.other.append((file, before))

    @staticmethod
    def _read(path: str) -> bytes | None:
        try:
            with open(path, "rb") as opened:
                return opened.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failure(f"dest cannot be used: {error}", "give a directory, or a name that ends in .html") from error

    @property
    def diff(self) -> list[dict[str, str]]:
        """Of the data as text; of the page, which says the same, by its hash."""
        return [
            {
                "before_header": file.path,
                "after_header": file.path,
                "before": self._shown(file.kind, before),
                "after": self._shown(file.kind, file.content),
            }
            for file, before in self.other
        ]

    @staticmethod
    def _shown(kind: str, content: bytes | None) -> str:
        if content is None:
            return ""
        if kind == "html":
            return f"page with SHA-256 {hashlib.sha256(content).hexdigest()}\n"
        return content.decode("utf-8", "replace")

    def write(self) -> None:
        """Each whole or not at all. Raises StepFailure."""
        for file, _before in self.other:
            try:
                directory = os.path.dirname(file.path) or "."
                os.makedirs(directory, exist_ok=True)
                self._put(directory, file)
            except OSError as error:
                raise _failure(
                    f"{file.path} cannot be written: {error}", "give a dest that can be written to"
                ) from error

    @staticmethod
    def _put(directory: str, file: _File) -> None:
        handle, name = tempfile.mkstemp(prefix=".vtops-report-", dir=directory)
        try:
            with os.fdopen(handle, "wb") as opened:
                opened.write(file.content)
            os.chmod(name, os.stat(file.path).st_mode & 0o777 if os.path.exists(file.path) else MODE)
            os.replace(name, file.path)
        except OSError:
            with suppress(OSError):
                os.unlink(name)
            raise
