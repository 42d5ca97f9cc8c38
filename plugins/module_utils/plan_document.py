# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan that somebody approves and that is then done exactly: what it says, its hash, and what has moved since. Pure."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .fleet import Alias, TabletType
from .plan import Step, Unfit

FORMAT = 1
NEW_PLAN = "make a new plan: vtops.vitess.plan"
KEYS = {"format", "options", "batches", "tablets", "hash"}
FORECAST = "forecast"  # beside them, and in no hash: it is no part of what is done
OF_TABLET = {"tablet", "shard", "action", "current", "wanted"}
OF_SPEC = {"revision", "image"}
Document = dict[str, Any]


def document(batches: Sequence[Sequence[Step]], options: Mapping[str, Any]) -> Document:
    """What a person approves, with its hash. options: those that decide what the roll does.

    Lag, times, types and what a roll itself leads to are not in it: they change by themselves.
    """
    content = {
        "format": FORMAT,
        "options": {name: _plain(value) for name, value in sorted(options.items())},
        "batches": [len(batch) for batch in batches],
        "tablets": [
            {
                "tablet": str(step.alias),
                "shard": step.shard,
                "action": step.action,
                "current": {"revision": step.current_revision, "image": step.current},
                "wanted": {"revision": step.wanted_revision, "image": step.wanted},
            }
            for batch in batches
            for step in batch
        ],
    }
    return {**content, "hash": hash_of(content)}


def _plain(value: Any) -> Any:
    """As JSON has it; what is not given is empty, whatever its type."""
    if isinstance(value, dict):
        return {str(key): str(inner) for key, inner in value.items()} or ""
    if isinstance(value, int | float):
        return str(value) if value else ""
    return sorted(value) if isinstance(value, list | tuple | set | frozenset) else value or ""


def hash_of(content: Document) -> str:
    """SHA-256, in hex, of all but the hash itself and the forecast, whatever the order of its keys and its layout."""
    hashed = {key: value for key, value in content.items() if key not in ("hash", FORECAST)}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def packed(kept: Document) -> bytes:
    """To be kept in the cluster: the same document gives the same bytes."""
    return gzip.compress(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode(), mtime=0)


def unpacked(content: bytes) -> Document:
    """Raises Unfit where it is none of packed()."""
    try:
        found = json.loads(gzip.decompress(content))
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise Unfit(f"the plan that was kept cannot be read: {error}", NEW_PLAN) from error
    if not isinstance(found, dict):
        raise Unfit("the plan that was kept is none", NEW_PLAN)
    return found


def tablets_of(approved: Document) -> list[Alias]:
    """Its tablets in its order. Raises Unfit where it is no plan, or not the one that was approved."""
    if approved.get("format") != FORMAT:
        raise Unfit(
            f"the plan has format {approved.get('format')!r}, this version of the collection reads {FORMAT}",
            NEW_PLAN,
        )
    if not approved.get("hash"):
        raise Unfit("the plan has no hash: it is no plan, or not all of it", NEW_PLAN)
    if approved["hash"] != hash_of(approved):
        raise Unfit("the plan was edited: its hash is not its content's", NEW_PLAN)
    if not _is_whole(approved):
        raise Unfit("the plan names no tablets, or not as a plan does", NEW_PLAN)
    try:
        aliases = [Alias.parse(entry["tablet"]) for entry in approved["tablets"]]
    except ValueError as error:
        raise Unfit(f"the plan: {error}", NEW_PLAN) from error
    if len(set(aliases)) != len(aliases):
        raise Unfit("the plan names a tablet twice", NEW_PLAN)
    return aliases


def _is_whole(approved: Document) -> bool:
    """Whether it has the form of a plan, so that what follows may read it without a doubt."""
    tablets, options = approved.get("tablets"), approved.get("options")
    return (
        set(approved) - {FORECAST} == KEYS
        and isinstance(options, dict)
        and all(isinstance(name, str) and _is_plain(value) for name, value in options.items())
        and isinstance(tablets, list)
        and bool(tablets)
        and all(
            isinstance(entry, dict)
            and set(entry) == OF_TABLET
            and all(isinstance(entry[key], str) for key in ("tablet", "shard", "action"))
            and all(_is_spec(entry[key]) for key in ("current", "wanted"))
            for entry in tablets
        )
        and _are_batches(approved["batches"], [entry["shard"] for entry in tablets])
    )


def _are_batches(sizes: Any, shards: list[str]) -> bool:
    """Whether these sizes divide the tablets up, and no batch has two of a shard (design rule 1)."""
    if (
        not isinstance(sizes, list)
        or not all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in sizes)
        or sum(sizes) != len(shards)
    ):
        return False
    each = [shards[end - size : end] for end, size in zip(itertools.accumulate(sizes), sizes, strict=True)]
    return all(len(set(batch)) == len(batch) for batch in each)


def _is_spec(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == OF_SPEC and all(isinstance(text, str) for text in value.values())


def _is_plain(value: Any) -> bool:
    inner = (
        value if isinstance(value, list) else [*value.keys(), *value.values()] if isinstance(value, dict) else [value]
    )
    return all(isinstance(text, str) for text in inner)


def steps_of(approved: Document, now: Mapping[Alias, Step]) -> tuple[Step, ...]:
    """The steps of today in the plan's order, where there are no differences.

    Of a tablet without a Pod nobody can tell what its owner wants: it is held to what the plan wants.
    """
    return tuple(_held_to(entry["wanted"], now[Alias.parse(entry["tablet"])]) for entry in approved["tablets"])


def _held_to(wanted: Mapping[str, str], step: Step) -> Step:
    return step if _is_seen(step) else replace(step, wanted=wanted["image"], wanted_revision=wanted["revision"])


def differences(
    approved: Document, now: Mapping[Alias, Step], options: Mapping[str, Any], hold_before_reparent: bool = False
) -> list[str]:
    """What has moved since the plan was made, each in words; empty where it can be done, or gone on with.

    now: the steps of today by alias, of the whole shards. A tablet that is as wanted, or in flight, is what the plan itself leads
    to. hold_before_reparent: the roll is to stop before its first reparent, which only says something in an order made for it.
    """
    found = []
    for name in sorted({*options, *approved["options"]}):
        planned, given = approved["options"].get(name), _plain(options[name]) if name in options else None
        if planned != given:
            found.append(f"option {name}: the plan has {planned!r}, this run {given!r}")
    order = []
    for entry in approved["tablets"]:
        step = now.get(Alias.parse(entry["tablet"]))
        order += [step] if step else []
        problem = "it is gone" if step is None else _moved(entry, step)
        found += [f"{entry['tablet']}: {problem}"] if problem else []
    return found + _too_early(order, now) + (_not_held(order) if hold_before_reparent else [])


def _is_seen(step: Step) -> bool:
    """Whether it has a Pod, by which its owner is found."""
    return any((step.current, step.current_revision, step.wanted, step.wanted_revision))


def _moved(entry: dict[str, Any], step: Step) -> str:
    wanted = _spec(entry["wanted"]["revision"], entry["wanted"]["image"])
    saw = _spec(entry["current"]["revision"], entry["current"]["image"])
    runs, wants = _spec(step.current_revision, step.current), _spec(step.wanted_revision, step.wanted)
    if step.shard != entry["shard"]:
        return f"the plan has it in {entry['shard']}, it is in {step.shard} now"
    if _is_seen(step) and wants != wanted:
        return f"the plan wants {wanted}, its owner's spec says {wants} now"
    as_planned = step.action in ("skip", "finish") or step.current_revision in ("", entry["current"]["revision"])
    return "" if as_planned else f"it runs {runs}, which is neither what the plan saw ({saw}) nor what it wants"


def _spec(revision: str, image: str) -> str:
    return " ".join(part for part in (revision, f"({image})" if image else "") if part) or "nothing"


def _too_early(order: Sequence[Step], now: Mapping[Alias, Step]) -> list[str]:
    """A tablet that was made primary since, and that the plan takes before others of its shard, or without them."""
    left: dict[str, list[Step]] = {}
    for step in now.values():
        if step.action != "skip":
            left.setdefault(step.shard, []).append(step)
    found, done = [], set()
    for step in order:
        done.add(step.alias)
        if step.type != TabletType.PRIMARY or step.action == "skip":
            continue
        later = sorted(s.alias for s in left[step.shard] if s.alias not in done)
        if later:
            found.append(
                f"{step.alias}: it is the primary of {step.shard} now, and the plan takes it before {', '.join(map(str, later))}"
            )
    return found


def _not_held(order: Sequence[Step]) -> list[str]:
    """The first primary that is before a replica of any shard: the plan was made for a roll that goes through."""
    left = [step for step in order if step.action != "skip"]
    first = next((number for number, step in enumerate(left) if step.type == TabletType.PRIMARY), len(left))
    later = next((step for step in left[first:] if step.type != TabletType.PRIMARY), None)
    if later is None:
        return []
    return [
        f"option hold_before_reparent: the plan was made without it and takes the primary {left[first].alias} before {later.alias}"
    ]
