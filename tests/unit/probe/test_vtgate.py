# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.probe.vtgate import (
    ProbeError,
    Target,
    code_and_text,
    is_own,
    parse_target,
    parse_targets,
    quoted,
)


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("10.0.0.1:15306", Target("10.0.0.1:15306", "10.0.0.1", 15306)),
        ("gate", Target("gate:3306", "gate", 3306)),
        ("[::1]:3307", Target("::1:3307", "::1", 3307)),
        ({"host": "h", "port": "31306", "name": "gate-0"}, Target("gate-0", "h", 31306)),
        ({"host": "h"}, Target("h:3306", "h", 3306)),
    ],
)
def test_reads_an_address(value: object, target: Target):
    assert parse_target(value, 1) == target


@pytest.mark.parametrize(
    "value", ["", "a:b", "h:0", "h:70000", {"hots": "x"}, {"host": "h", "prot": 1}, {"host": ""}, "a b:c:1"]
)
def test_refuses_what_is_no_address(value: object):
    with pytest.raises(ProbeError, match="vtgate 1"):
        parse_target(value, 1)


def test_refuses_two_vtgates_of_one_name_and_none_at_all():
    with pytest.raises(ProbeError, match="h:1"):
        parse_targets(["h:1", "h:1"])
    with pytest.raises(ProbeError, match="no vtgate"):
        parse_targets([])


class Wrapped(Exception):
    """As PyMySQL wraps a failure to connect."""

    def __init__(self, original: BaseException) -> None:
        super().__init__(2003, "Can't connect")
        self.original_exception = original


@pytest.mark.parametrize("number", [errno.EADDRNOTAVAIL, errno.EMFILE])
def test_a_lack_of_ports_or_files_is_the_probes_own_fault(number: int):
    assert is_own(OSError(number, "x"))
    assert is_own(Wrapped(OSError(number, "x")))


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH])
def test_a_refused_reset_or_unanswered_connection_is_the_servers_fault(number: int):
    assert not is_own(Wrapped(OSError(number, "x")))


def test_an_error_is_told_with_its_number_in_one_line():
    assert code_and_text(Wrapped(OSError())) == (2003, "Wrapped: Can't connect")
    assert code_and_text(LookupError("a\nb")) == (0, "LookupError: a b")


def test_a_name_stays_one_name():
    assert quoted("a`b") == "`a``b`"
