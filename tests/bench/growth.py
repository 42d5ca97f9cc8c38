# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What grows with the fleet and what must not: the measured points as a table, as ratios, and held against the targets (pure)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

FEW_TABLETS, FEW_VTGATES = 30, 2
PROOF_MOST_S, PLAN_MOST_S, RSS_MOST_MB = 5.0, 10.0, 300.0
MAY_DIFFER = 0.10


@dataclass(frozen=True)
class Point:
    """One fleet. Per tablet that was rolled; seconds; rss_mb of the process that read and ordered the whole fleet.

    page_bytes_per_tablet: beside bytes_per_tablet, the vtgates' /debug/vars before and after each reparent. How large that page
    is nobody can choose: Vitess puts a set of counters for each shard into it, and has no way to ask for one shard's.
    """

    tablets: int
    vtgates: int
    rolled: int
    requests_per_tablet: float
    bytes_per_tablet: int
    page_bytes_per_tablet: int
    proof_s: float
    plan_s: float
    rss_mb: float

    def as_dict(self) -> dict[str, Any]:
        """For build/bench/scale.json."""
        return asdict(self)


COLUMNS: tuple[tuple[str, Callable[[Point], str]], ...] = (
    ("tablets", lambda p: f"{p.tablets:,}"),
    ("vtgates", lambda p: f"{p.vtgates:,}"),
    ("rolled", lambda p: f"{p.rolled:,}"),
    ("requests / tablet", lambda p: f"{p.requests_per_tablet:,.1f}"),
    ("KB / tablet", lambda p: f"{p.bytes_per_tablet / 1000:,.1f}"),
    ("+ pages, KB", lambda p: f"{p.page_bytes_per_tablet / 1000:,.1f}"),
    ("proof, s", lambda p: f"{p.proof_s:.2f}"),
    ("plan, s", lambda p: f"{p.plan_s:.2f}"),
    ("plan, MB", lambda p: f"{p.rss_mb:.0f}"),
)


def table(points: Sequence[Point]) -> str:
    """A Markdown table, one row for each fleet."""
    lines = ["| " + " | ".join(title for title, _show in COLUMNS) + " |", "|" + "---:|" * len(COLUMNS)]
    lines += ["| " + " | ".join(show(point) for _title, show in COLUMNS) + " |" for point in points]
    return "\n".join(lines)


def by_tablets(points: Sequence[Point]) -> list[Point]:
    """Those that differ in tablets only, smallest first."""
    return sorted((p for p in points if p.vtgates == FEW_VTGATES), key=lambda p: p.tablets)


def by_vtgates(points: Sequence[Point]) -> list[Point]:
    """Those that differ in vtgates only, fewest first."""
    return sorted((p for p in points if p.tablets == FEW_TABLETS), key=lambda p: p.vtgates)


def growth(points: Sequence[Point]) -> list[str]:
    """Each point against the base of its row of fleets, as ratios."""
    found = []
    for row, what in ((by_tablets(points), "tablets"), (by_vtgates(points), "vtgates")):
        base = next((p for p in row if p.tablets == FEW_TABLETS and p.vtgates == FEW_VTGATES), None)
        if base is None:
            continue
        for point in row:
            if point is not base:
                found.append(
                    f"{getattr(base, what):,} -> {getattr(point, what):,} {what}: "
                    + ", ".join(f"{name} x{ratio:.2f}" for name, ratio in _ratios(base, point))
                )
    return found


def _ratios(base: Point, point: Point) -> list[tuple[str, float]]:
    return [
        ("requests per tablet", point.requests_per_tablet / base.requests_per_tablet),
        ("bytes per tablet", point.bytes_per_tablet / base.bytes_per_tablet),
        ("pages", point.page_bytes_per_tablet / base.page_bytes_per_tablet),
        ("proof", point.proof_s / base.proof_s),
        ("plan", point.plan_s / base.plan_s),
        ("memory", point.rss_mb / base.rss_mb),
    ]


def missed(points: Sequence[Point]) -> list[str]:
    """The targets (design.md section 7, issue 4) that were not reached; empty if all were."""
    found = []
    large = [p for p in by_tablets(points) if p.tablets >= FEW_TABLETS]
    for name in ("requests_per_tablet", "bytes_per_tablet"):
        values = [float(getattr(p, name)) for p in large]
        if values and max(values) > min(values) * (1 + MAY_DIFFER):
            found.append(
                f"{name} differs by {max(values) / min(values) - 1:.0%} from {large[0].tablets:,} to {large[-1].tablets:,} tablets"
            )
    for point in points:
        which = f"{point.tablets:,} tablets, {point.vtgates} vtgates"
        if point.proof_s >= PROOF_MOST_S:
            found.append(f"a proof took {point.proof_s:.1f} s ({which})")
        if point.plan_s >= PLAN_MOST_S:
            found.append(f"the plan took {point.plan_s:.1f} s ({which})")
        if point.rss_mb >= RSS_MOST_MB:
            found.append(f"the plan took {point.rss_mb:.0f} MB ({which})")
    return found
