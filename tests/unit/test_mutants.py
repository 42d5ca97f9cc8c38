# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guard whose text has changed can be taken out no more: then nobody knows whether a test would fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vtops.vitess.tests.behaviour.mutants import MUTANTS, Mutant

TOP = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard)
def test_each_guard_stands_where_it_is_taken_out(mutant: Mutant) -> None:
    assert (TOP / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1
    assert "def test" in (TOP / "tests/behaviour" / mutant.test).read_text(encoding="utf-8")
