# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.vtops.vitess.tests.witness.gtid import gtid_set, holds

A, B = "0aaaaaaa-1111-11f0-8000-000000000001", "0bbbbbbb-1111-11f0-8000-000000000002"


def test_reads_what_mysqld_writes():
    assert gtid_set(f"{A}:1-5:7,\n{B}:1") == {A: ((1, 5), (7, 7)), B: ((1, 1),)}
    assert gtid_set(f"{A}:1-5:6-9") == {A: ((1, 9),)}
    assert gtid_set("") == {}


def test_keeps_tagged_transactions_apart():
    assert gtid_set(f"{A}:1-3:mine:1-2:yours:4") == {A: ((1, 3),), f"{A}:mine": ((1, 2),), f"{A}:yours": ((4, 4),)}


@pytest.mark.parametrize("text", ["nothing", f"{A}:1-x"])
def test_refuses_what_is_no_set(text: str):
    with pytest.raises(ValueError, match=r"GTID|int"):
        gtid_set(text)


@pytest.mark.parametrize(
    ("larger", "smaller", "held"),
    [
        (f"{A}:1-9", f"{A}:1-5", True),
        (f"{A}:1-9,{B}:1", f"{A}:2-3", True),
        (f"{A}:1-4:6-9", f"{A}:1-9", False),
        (f"{A}:1-9", f"{A}:1-9,{B}:1", False),
        ("", f"{A}:1", False),
        (f"{A}:1", "", True),
    ],
)
def test_a_set_holds_another_only_whole(larger: str, smaller: str, held: bool):
    assert holds(gtid_set(larger), gtid_set(smaller)) is held
