# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.clients.vttablet import (
    SERVING_POOLS,
    Vttablet,
    flags_of,
    parse_flags,
    parse_vars,
)
from ansible_collections.vtops.vitess.plugins.module_utils.errors import EdgeError
from ansible_collections.vtops.vitess.tests.unit.factories import REPLICA, a_pod


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["--a=b"], {"a": "b"}),
        (["--a", "b"], {"a": "b"}),
        (["-a", "b"], {"a": "b"}),
        (["--a_b_c=d"], {"a-b-c": "d"}),
        (["--on", "--a", "b"], {"on": "true", "a": "b"}),
        (["--on"], {"on": "true"}),
        (["--a="], {"a": ""}),
        (["--a=b=c"], {"a": "b=c"}),
        (["--a", "1", "--a", "2"], {"a": "2"}),
        (["/vt/bin/vttablet", "--a", "b", "stray"], {"a": "b"}),
        ([], {}),
    ],
)
def test_flags_are_read_in_every_form_that_vitess_takes(words: list[str], flags: dict[str, str]) -> None:
    assert parse_flags(words) == flags


def test_the_command_line_is_a_list_or_one_text() -> None:
    assert flags_of({"cmdline": ["vttablet", "--cell", "zone1"]}) == {"cell": "zone1"}
    assert flags_of({"CmdLine": "vttablet --cell 'zone 1'"}) == {"cell": "zone 1"}
    assert flags_of({}) == {}


PAGE = {
    "cmdline": ["/vt/bin/vttablet", "--tablet-path", "zone1-0000000102"],
    "TabletType": "replica",
    "TabletStateName": "SERVING",
    "BuildVersion": "24.0.2",
    "ConnPoolInUse": 0,
    "StreamConnPoolInUse": 1,
    "TransactionPoolInUse": 0,
    "FoundRowsPoolInUse": 0,
}


def test_a_page_says_who_it_is_and_what_it_serves() -> None:
    seen = parse_vars(PAGE)
    assert (seen.alias, seen.tablet_type, seen.state, seen.build_version) == (REPLICA, "replica", "SERVING", "24.0.2")
    assert seen.busy(SERVING_POOLS) == {"StreamConnPoolInUse": 1}


def test_the_flag_may_be_written_with_underscores() -> None:
    assert parse_vars({**PAGE, "cmdline": ["vttablet", "--tablet_path=zone1-102"]}).alias == REPLICA


def test_a_pool_that_the_page_does_not_have_is_unknown_and_counts_as_busy() -> None:
    page = {key: value for key, value in PAGE.items() if not key.endswith("InUse")}
    assert parse_vars(page).busy(SERVING_POOLS) == dict.fromkeys(SERVING_POOLS)


@pytest.mark.parametrize("command", [["vttablet"], ["vttablet", "--tablet-path", "nonsense"]])
def test_a_page_that_names_no_tablet_has_no_alias(command: list[str]) -> None:
    assert parse_vars({"cmdline": command}).alias is None


class Web:
    """Stands in for the Pod proxy."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def web_get(self, namespace: str, pod: str, port: int, path: str) -> bytes:
        assert (namespace, pod, port, path) == ("vitess", "commerce-x-80-102", 15000, "/debug/vars")
        return self.answer


@pytest.mark.parametrize("answer", [b"<html>", b"", b'{"ConnPoolInUse": "many"}', b'{"ConnPoolInUse": null}'])
def test_a_page_that_cannot_be_read_is_an_error_that_names_the_pod(answer: bytes) -> None:
    web: Any = Web(answer)
    with pytest.raises(EdgeError, match="/debug/vars of commerce-x-80-102 cannot be read"):
        Vttablet(web).vars(a_pod(REPLICA))


@pytest.mark.parametrize(
    ("shown", "running"),
    [({}, False), ({"online": 0}, False), ({"online": 1}, True), ({"offline": 0, "online": 1}, True)],
)
def test_a_page_says_whether_a_backup_runs(shown: dict[str, int], running: bool) -> None:
    assert parse_vars({**PAGE, "BackupIsRunning": shown}).backup_running is running
    assert not parse_vars(PAGE).backup_running
