# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a bench writes what it measured: build/bench for machines, between two markers of docs/benchmarks.md for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]
PAGE = TOP / "docs/benchmarks.md"
RESULTS = TOP / "build/bench"


def keep(name: str, figures: Any, text: str) -> None:
    """build/bench/NAME.json, and the text between the page's markers of that name."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    PAGE.write_text(between_markers(PAGE.read_text(encoding="utf-8"), name, text), encoding="utf-8")


def between_markers(page: str, name: str, text: str) -> str:
    """The page with that text between its markers. Raises ValueError where it has none of that name."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, begun, rest = page.partition(start)
    _old, ended, tail = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"the page has no {start} or no {end}")
    return f"{head}{start}\n{text}\n{end}{tail}"
