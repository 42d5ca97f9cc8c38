# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/safety.md names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (TOP / "docs/safety.md").read_text(encoding="utf-8")))
    code = "".join(path.read_text(encoding="utf-8") for path in (TOP / "tests").glob("behaviour*/test_*.py"))
    assert len(named) > 40
    assert named - set(re.findall(r"def (test_\w+)", code)) == set()
