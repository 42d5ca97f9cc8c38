# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a tablet's Pod template is to be: images, resources, where it may run, flags; and how it differs from another. Pure.

It knows Pod templates (core/v1 PodTemplateSpec) and no owner, so that whatever owns one can be given the same change.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .place import parse_quantity

Json = dict[str, Any]

VTTABLET, MYSQLD = "vttablet", "mysqld"
CONTAINERS = (MYSQLD, VTTABLET)
# What may be started without a shell around it, by container.
PROGRAMS: dict[str, tuple[str, ...]] = {VTTABLET: ("vttablet",), MYSQLD: ("mysqlctld", "mysqld")}
# With another value of one of these it would be another tablet.
IDENTITY = frozenset(
    {"tablet-path", "tablet-uid", "init-keyspace", "init-shard", "topo-global-root", "topo-global-server-address"}
)
PLACING = {"node_selector": "nodeSelector", "affinity": "affinity", "tolerations": "tolerations"}


class Uneditable(ValueError):
    """A template that cannot be given the change safely."""


@dataclass(frozen=True)
class Change:
    """What is wanted of a template; what is not named here stays as it is.

    images: by container. resources: container to C(requests), C(limits), to quantities, where an empty one removes it.
    placing: C(nodeSelector), C(affinity), C(tolerations) as a whole. flags: container to names, where None removes it.
    """

    images: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    placing: Mapping[str, Any] = field(default_factory=dict)
    flags: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is wanted."""
        return not (self.images or self.resources or self.placing or self.flags)


def change_of(params: Mapping[str, Any]) -> Change:
    """From the module's options. Raises ValueError naming what is no quantity, no flag, or not a flag to be changed."""
    images = {name: params[f"{name}_image"] for name in CONTAINERS if params.get(f"{name}_image")}
    resources: dict[str, dict[str, dict[str, str]]] = {}
    for name, kinds in _given(params.get("resources")):
        for kind, quantities in _given(kinds):
            for what, quantity in (quantities or {}).items():
                text = "" if quantity is None else str(quantity)
                if text and parse_quantity(text) < 0:
                    raise ValueError(f"not a quantity: {text!r}")
                resources.setdefault(name, {}).setdefault(kind, {})[str(what)] = text
    placing = {key: params[option] for option, key in PLACING.items() if params.get(option) is not None}
    if "nodeSelector" in placing:
        placing["nodeSelector"] = {str(key): _text(value) for key, value in placing["nodeSelector"].items()}
    flags: dict[str, dict[str, str | None]] = {}
    for name, wanted in _given(params.get("flags")):
        for flag, value in wanted.items():
            flags.setdefault(name, {})[_flag_name(flag)] = None if value is None else _text(value)
    return Change(images, resources, placing, flags)


def _given(options: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in (options or {}).items() if value is not None]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        raise ValueError(f"neither text nor a number: {value!r}")
    return str(value)


def _flag_name(name: Any) -> str:
    plain = str(name).lstrip("-").replace("_", "-")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", plain):
        raise ValueError(f"not a flag: {name!r}")
    if plain in IDENTITY:
        raise ValueError(f"--{plain} says which tablet it is and is not changed here")
    if "password" in plain:
        raise ValueError(f"--{plain} is a secret: everybody may read a command line; give it in a Secret")
    return plain


# -- applying


def applied(template: Json, change: Change) -> Json:
    """The template with the change; the same in every detail where it has it already. Raises Uneditable."""
    result = copy.deepcopy(template)
    spec = result.setdefault("spec", {})
    for name in sorted({*change.images, *change.resources, *change.flags}):
        container = _container(spec, name)
        if name in change.images:
            _set_image(spec, container, change.images[name])
        _set_resources(container, change.resources.get(name, {}))
        for flag, value in change.flags.get(name, {}).items():
            _set_flag(container, flag, value)
    for key, value in change.placing.items():
        if (spec.get(key) or None) != (value or None):
            spec[key] = copy.deepcopy(value)
            if not value:
                del spec[key]
    return result


def _container(spec: Json, name: str) -> Json:
    found: list[Json] = [container for container in spec.get("containers") or [] if container["name"] == name]
    if not found:
        have = ", ".join(str(container["name"]) for container in spec.get("containers") or [])
        raise Uneditable(f"has no container {name} (it has {have})")
    return found[0]


def _set_image(spec: Json, container: Json, image: str) -> None:
    """What prepares Vitess' version for the other containers runs the same image, and goes with it."""
    before, container["image"] = container.get("image"), image
    if container["name"] != MYSQLD:
        for other in spec.get("initContainers") or []:
            if other.get("image") == before:
                other["image"] = image


def _set_resources(container: Json, wanted: Mapping[str, Mapping[str, str]]) -> None:
    for kind, quantities in wanted.items():
        resources = container.get("resources") or {}
        have = dict(resources.get(kind) or {})
        for what, text in quantities.items():
            if not text:
                have.pop(what, None)
            elif what not in have or parse_quantity(have[what]) != parse_quantity(text):
                have[what] = text
        if have != (resources.get(kind) or {}):
            container["resources"] = {key: value for key, value in {**resources, kind: have}.items() if value}


def _set_flag(container: Json, flag: str, value: str | None) -> None:
    """In the words of command and args: replaced where it is, else added at the end. Raises Uneditable where that is not safe."""
    words = _words(container)
    places = [number for number, (_key, word) in enumerate(words) if _flag_of(word) == flag]
    if len(places) > 1:
        raise Uneditable(f"has --{flag} {len(places)} times in container {container['name']}")
    if not places:
        if value is not None:
            words.append(("args" if container.get("args") else "command", f"--{flag}={value}"))
    else:
        start = places[0]
        key, word = words[start]
        following = words[start + 1][1] if "=" not in word and start + 1 < len(words) else "-"
        if re.match(r"-\d", following):
            raise Uneditable(
                f"has --{flag} {following} in container {container['name']}: write it --{flag}={following}"
            )
        end = start + (1 if following.startswith("-") else 2)
        have = word.partition("=")[2] if "=" in word else following if end > start + 1 else "true"
        if value is not None and have == value:
            return
        spelled = word.partition("=")[0]
        words[start:end] = [] if value is None else [(key, f"{spelled}={value}")]
    for key in ("command", "args"):
        if key in container:
            container[key] = [word for origin, word in words if origin == key]


def _words(container: Json) -> list[tuple[str, str]]:
    """Each word of the command line with where it stands. Raises Uneditable where a shell, the image or something else makes it up."""
    name = str(container["name"])
    words = [(key, str(word)) for key in ("command", "args") for word in container.get(key) or []]
    if not container.get("command"):
        raise Uneditable(f"leaves the command of container {name} to the image: its flags cannot be edited safely")
    program = words[0][1].rpartition("/")[2]
    if program not in PROGRAMS[name]:
        raise Uneditable(
            f"starts container {name} by {program}, not by {' or '.join(PROGRAMS[name])} itself: its flags cannot be edited safely"
        )
    if any(word == "--" for _key, word in words):
        raise Uneditable(f"ends the flags of container {name} with --: they cannot be edited safely")
    return words


def _flag_of(word: str) -> str:
    return word.lstrip("-").partition("=")[0].replace("_", "-") if word.startswith("-") else ""


# -- comparing


def comparable(template: Json) -> Json:
    """The same for two templates that mean the same: 1000m is 1, 1Gi is 1024Mi, an empty map is none."""
    result = copy.deepcopy(template)
    spec = result.get("spec") or {}
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        resources = container.pop("resources", None) or {}
        # As text: a Decimal keeps its exponent.
        plain = {
            kind: {what: f"{parse_quantity(text).normalize():f}" for what, text in quantities.items()}
            for kind, quantities in resources.items()
            if kind in ("requests", "limits") and quantities
        }
        others = {kind: value for kind, value in resources.items() if kind not in ("requests", "limits") and value}
        if plain or others:
            container["resources"] = {**plain, **others}
    for key in PLACING.values():
        if not spec.get(key):
            spec.pop(key, None)
    return result


def same(one: Json, other: Json) -> bool:
    """Whether two templates mean the same."""
    return comparable(one) == comparable(other)


def fingerprint(template: Json) -> str:
    """SHA-256 of what it means."""
    text = json.dumps(comparable(template), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def merge_patch(before: Any, after: Any) -> Any:
    """What makes before to after, as a JSON merge patch (RFC 7386): maps key by key, lists as a whole."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return copy.deepcopy(after)
    gone = {key: None for key in before if key not in after}
    return gone | {key: merge_patch(before.get(key), after[key]) for key in after if before.get(key) != after[key]}


def new_images(running: Mapping[str, str], template: Json) -> tuple[str, ...]:
    """Containers of vttablet and mysqld that come back with another image than a Pod runs now."""
    wanted = {str(c["name"]): str(c.get("image") or "") for c in (template.get("spec") or {}).get("containers") or []}
    return tuple(name for name in CONTAINERS if name in wanted and name in running and wanted[name] != running[name])


# -- showing


def shown(template: Json, flags: Mapping[str, Sequence[str]]) -> Json:
    """For people: what may be changed here, and of the command lines only the flags that are asked for. No environment."""
    spec = template.get("spec") or {}
    found: Json = {}
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        name = str(container["name"])
        one: Json = {"image": container.get("image")}
        if name in CONTAINERS:
            one["resources"] = container.get("resources") or {}
            if flags.get(name):
                have = flags_of(container)
                one["flags"] = {flag: have.get(flag) for flag in flags[name]}
        found[name] = one
    return {"containers": found, **{key: spec[key] for key in PLACING.values() if spec.get(key)}}


def flags_of(container: Json) -> dict[str, str]:
    """Flags by name as they stand; without a value of their own they are V(true)."""
    words = [str(word) for key in ("command", "args") for word in container.get(key) or []]
    found = {}
    for number, word in enumerate(words):
        if name := _flag_of(word):
            following = words[number + 1] if number + 1 < len(words) else "-"
            found[name] = word.partition("=")[2] if "=" in word else "true" if following[:1] == "-" else following
    return found


def flags_that_differ(before: Json, after: Json) -> dict[str, list[str]]:
    """By container, those of vttablet and mysqld."""
    found = {}
    for name in CONTAINERS:
        one, other = (
            next((flags_of(c) for c in (t.get("spec") or {}).get("containers") or [] if c["name"] == name), {})
            for t in (before, after)
        )
        if names := sorted(flag for flag in one.keys() | other.keys() if one.get(flag) != other.get(flag)):
            found[name] = names
    return found
