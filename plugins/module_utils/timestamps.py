# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Points in time as text. Pure."""

from __future__ import annotations

from datetime import datetime, timezone


def parse_timestamp(text: str) -> float:
    """RFC 3339 in seconds since the epoch, UTC where it names no offset; 0 for an empty text. Raises ValueError."""
    if not text:
        return 0.0
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp()


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(seconds: float) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    at = datetime.fromtimestamp(seconds, timezone.utc)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
