# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vtops.vitess.plugins.module_utils.errors import StepFailure

words = st.text("azAZ09 -:/\n→", max_size=3000)


@given(
    tablet=words,
    reason=words,
    state=words,
    next_command=words,
    resume_command=words,
    details=st.dictionaries(st.text(max_size=8), words, max_size=5),
)
def test_a_failure_is_one_line_under_200_characters_and_a_structure_under_2_kb(
    tablet: str, reason: str, state: str, next_command: str, resume_command: str, details: dict
) -> None:
    commands = {"next_command": next_command, "resume_command": resume_command}
    failure = StepFailure(tablet, "vtgate_readmit", reason, state=state, details=details, **commands)
    assert len(failure.message()) < 200
    assert "\n" not in failure.message()
    assert len(json.dumps(failure.as_dict(), ensure_ascii=False)) < 2048


def test_the_line_names_tablet_step_reason_and_next_command() -> None:
    failure = StepFailure("zone1-0000000101", "tablet_drain", "it is\n  busy", next_command="look at it")
    assert str(failure) == "zone1-0000000101: tablet_drain: it is busy | next: look at it"


def test_a_long_reason_is_cut_and_the_next_command_is_kept() -> None:
    failure = StepFailure("zone1-0000000101", "tablet_drain", "x" * 500, next_command="run it again")
    assert failure.message().endswith("… | next: run it again")
    assert len(failure.message()) == 199


def test_the_structure_is_under_2_kb_however_long_its_parts_are() -> None:
    long = "x" * 10_000
    details = {"tail": long, "short": 1}
    failure = StepFailure("zone1-0000000101", "pod_replace", long, "gate", long, long, details, long)
    shown = failure.as_dict()
    assert len(str(shown)) < 2000
    assert shown["short"] == 1
    assert "tail" not in shown
