# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reparents as a user or another module gives them: parsed once, at the edge (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from .summary import Reparent


def seconds_of(value: Any) -> float:
    """A point in time as seconds since 1970, from such a number or from ISO 8601 (UTC where no zone is said).

    :raises ValueError: for anything else
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip()
    try:
        return float(text)
    except ValueError:
        pass
    # Vitess writes nanoseconds, which datetime does not read
    cut = re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00")
    cut = re.sub(r"\.(\d{1,5})(?=\D|$)", lambda match: "." + match[1].ljust(6, "0"), cut)
    try:
        moment = datetime.fromisoformat(cut)
    except ValueError:
        raise ValueError(f"{text!r} is no point in time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def reparents_from(values: Sequence[Mapping[str, Any]]) -> list[Reparent]:
    """Reparents from plain data; keys besides keyspace, shard, start and end are ignored.

    :raises ValueError: when one of the four is missing or can't be read, or the end is before the start
    """
    found: list[Reparent] = []
    for position, value in enumerate(values, 1):
        try:
            reparent = Reparent(
                str(value["keyspace"]), str(value["shard"]), seconds_of(value["start"]), seconds_of(value["end"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"reparent {position}: keyspace, shard, start and end are needed: {error!r}") from error
        if reparent.end < reparent.start:
            raise ValueError(f"reparent {position}: it ends before it starts")
        found.append(reparent)
    return found
