# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan that somebody approves and that is then done exactly: what it says, its hash, and what has moved since. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from .fleet import Alias, TabletType
from .plan import Step, Unfit

FORMAT = 1
NEW_PLAN = "make a new plan: vtops.vitess.plan"
KEYS = {"tablet", "shard", "action", "current", "wanted"}
Document = dict[str, Any]


def document(steps: Iterable[Step], options: Mapping[str, Any]) -> Document:
    """What a person approves, with its hash. options: those that decide what the roll does.

    Lag, times, types and what a roll itself leads to are not in it: they change by themselves.
    """
    content = {
        "format": FORMAT,
        "options": {name: _plain(value) for name, value in sorted(options.items())},
        "tablets": [
            {
                "tablet": str(step.alias),
                "shard": step.shard,
                "action": step.action,
                "current": {"revision": step.current_revision, "image": step.current},
                "wanted": {"revision": step.wanted_revision, "image": step.wanted},
            }
            for step in steps
        ],
    }
    return {**content, "hash": hash_of(content)}


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, list | tuple | set | frozenset) else value or ""


def hash_of(content: Document) -> str:
    """SHA-256, in hex, of all but the hash itself, whatever the order of its keys and its layout."""
    hashed = {key: value for key, value in content.items() if key != "hash"}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def tablets_of(approved: Document) -> list[Alias]:
    """Its tablets in its order. Raises Unfit where it is no plan, or not the one that was approved."""
    tablets = approved.get("tablets")
    if approved.get("format") != FORMAT:
        raise Unfit(
            f"the plan has format {approved.get('format')!r}, this version of the collection reads {FORMAT}",
            NEW_PLAN,
        )
    if not isinstance(tablets, list) or not tablets or not all(_is_whole(entry) for entry in tablets):
        raise Unfit("the plan names no tablets, or not as a plan does", NEW_PLAN)
    if approved.get("hash") != hash_of(approved):
        raise Unfit("the plan was edited: its hash is not its content's", NEW_PLAN)
    try:
        aliases = [Alias.parse(entry["tablet"]) for entry in tablets]
    except ValueError as error:
        raise Unfit(f"the plan: {error}", NEW_PLAN) from error
    if len(set(aliases)) != len(aliases):
        raise Unfit("the plan names a tablet twice", NEW_PLAN)
    return aliases


def _is_whole(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) == KEYS
        and all(isinstance(entry[key], dict) and "revision" in entry[key] for key in ("current", "wanted"))
    )


def differences(approved: Document, now: Mapping[Alias, Step], options: Mapping[str, Any]) -> list[str]:
    """What has moved since the plan was made, each in words; empty where it can be done, or gone on with.

    now: the steps of today by alias. A tablet that is as wanted, or in flight, is what the plan itself leads to.
    """
    found = [
        f"option {name}: the plan has {approved['options'].get(name)!r}, this run {_plain(value)!r}"
        for name, value in sorted(options.items())
        if approved["options"].get(name) != _plain(value)
    ]
    for entry in approved["tablets"]:
        step = now.get(Alias.parse(entry["tablet"]))
        problem = "it is gone" if step is None else _moved(entry, step)
        found += [f"{entry['tablet']}: {problem}"] if problem else []
    return found + _too_early(approved, now)


def _moved(entry: dict[str, Any], step: Step) -> str:
    wanted = _spec(entry["wanted"]["revision"], entry["wanted"]["image"])
    saw = _spec(entry["current"]["revision"], entry["current"]["image"])
    runs, wants = _spec(step.current_revision, step.current), _spec(step.wanted_revision, step.wanted)
    if step.shard != entry["shard"]:
        return f"the plan has it in {entry['shard']}, it is in {step.shard} now"
    if wants != wanted:
        return f"the plan wants {wanted}, its owner's spec says {wants} now"
    as_planned = step.action in ("skip", "finish") or step.current_revision in ("", entry["current"]["revision"])
    return "" if as_planned else f"it runs {runs}, which is neither what the plan saw ({saw}) nor what it wants"


def _spec(revision: str, image: str) -> str:
    return " ".join(part for part in (revision, f"({image})" if image else "") if part) or "nothing"


def _too_early(approved: Document, now: Mapping[Alias, Step]) -> list[str]:
    """A tablet that was made primary since, and that the plan takes before the others of its shard."""
    order = [now[alias] for alias in (Alias.parse(e["tablet"]) for e in approved["tablets"]) if alias in now]
    found = []
    for number, step in enumerate(order):
        if step.type != TabletType.PRIMARY or step.action == "skip":
            continue
        later = [str(s.alias) for s in order[number + 1 :] if s.shard == step.shard and s.action != "skip"]
        if later:
            found.append(
                f"{step.alias}: it is the primary of {step.shard} now, and the plan takes it before {', '.join(later)}"
            )
    return found
