# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.probe.ledger import Ledger, Request, decode, encode, entries

GOOD = Request("write", 1, 0, False, 1_800_000_000.25, 0.003, row=77, acked=True)
BAD = Request(
    "transaction",
    0,
    1,
    True,
    1_800_000_000.5,
    1.25,
    row=78,
    step="commit",
    code=1105,
    text='a "quoted"\nline',
    begun=1.5,
)


@pytest.mark.parametrize(
    "request_", [GOOD, BAD, Request("read", 0, 0, True, 2.0, 0.5, stale_s=31.0, step="late", own=True)]
)
def test_a_request_survives_the_ledger(request_: Request):
    line = encode(request_)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert decode(json.loads(line)) == request_


def test_a_line_that_a_kill_cut_off_is_passed_over():
    whole = encode(GOOD).decode()
    assert [entry["id"] for entry in entries([whole, whole[:30]])] == [77]


def test_a_broken_line_in_the_middle_is_an_error():
    whole = encode(GOOD).decode()
    with pytest.raises(ValueError, match="broken line"):
        list(entries([whole[:30], whole]))


def test_lines_are_in_the_file_as_soon_as_they_are_written(tmp_path: Path):
    ledger = Ledger(str(tmp_path / "l.jsonl"))
    ledger.note("start", run="r")
    ledger.request(BAD)
    with open(ledger.path, encoding="utf-8") as file:
        found = list(entries(file))
    assert [entry["e"] for entry in found] == ["start", "r"]
    assert decode(found[1]) == BAD
    assert (tmp_path / "l.jsonl").stat().st_mode & 0o077 == 0


def test_a_ledger_is_never_written_over(tmp_path: Path):
    Ledger(str(tmp_path / "l"))
    with pytest.raises(FileExistsError):
        Ledger(str(tmp_path / "l"))
