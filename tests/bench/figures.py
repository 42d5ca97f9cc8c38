# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what probe, witness and journal recorded to the figures of one roll (pure)."""

from __future__ import annotations

from typing import Any

KEYS = (
    "tablets",
    "requests",
    "errors",
    "errors_open_transactions",
    "longest_write_gap_s",
    "roll_s",
    "overhead_s_per_tablet",
    "wall_over_bound",
    "acked_lost",
    "most_away_per_shard",
)
WAITS = ("wait for transactions", "wait for the buffer's gap")


def figures(
    probe: dict[str, Any], witness: dict[str, Any], roll_s: float, waits_s: float, tablets: int
) -> dict[str, Any]:
    """One roll as design.md section 7 defines its figures. Seconds.

    Overhead: wall time, less the union of the intervals in which the cluster worked as the witness stamped them, less the
    waits for clients' transactions and for the buffer's minimum gap.
    """
    bound = float(witness["bound_s"])
    overhead = max(0.0, roll_s - bound - waits_s)
    return {
        "tablets": tablets,
        "requests": probe["requests"],
        "errors": probe["errors"],
        "errors_open_transactions": probe["errors_open_transactions"],
        "longest_write_gap_s": round(probe["longest_write_gap_s"], 3),
        "roll_s": round(roll_s, 1),
        "overhead_s_per_tablet": round(overhead / tablets, 2) if tablets else None,
        "wall_over_bound": round(roll_s / (bound + waits_s), 3) if bound + waits_s else None,
        "acked_lost": probe["acked_lost"],
        "most_away_per_shard": witness["most_away_per_shard"],
    }


def waits_of(journal: dict[str, Any]) -> dict[str, float]:
    """Seconds by kind of wait that a roll spent for its clients, from the journal's phases."""
    waited = dict.fromkeys(WAITS, 0.0)
    for entry in journal.values():
        for _step, phase, _start, seconds in entry.get("phases", []):
            if phase in waited:
                waited[phase] += float(seconds)
    return {kind: round(seconds, 2) for kind, seconds in waited.items()}


def table(rolls: dict[str, dict[str, Any]], errors_by_kind: dict[str, dict[str, int]]) -> str:
    """A Markdown table, one column per roll; the errors once more by kind of request."""
    names = list(rolls)
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for key in KEYS:
        lines.append(_line(key, [rolls[name][key] for name in names]))
        if key == "errors":
            kinds = sorted({kind for name in names for kind in errors_by_kind[name]})
            lines += [_line(f"- {kind}", [errors_by_kind[name].get(kind, 0) for name in names]) for kind in kinds]
    return "\n".join(lines)


def blindness(rolls: dict[str, dict[str, Any]]) -> str:
    """Why the witness' word is worth nothing here: a roll that trusts Pod Ready takes tablets of a shard together, and it must say so."""
    naive = rolls.get("naive")
    if naive is None or naive["most_away_per_shard"] > 1:
        return ""
    return f"the witness saw at most {naive['most_away_per_shard']} tablet of a shard away in the naive roll: it sees nothing"


def _line(title: str, values: list[Any]) -> str:
    return f"| {title} | " + " | ".join(_cell(value) for value in values) + " |"


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
