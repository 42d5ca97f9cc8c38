# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import versions
from ansible_collections.vtops.vitess.plugins.module_utils.versions import Series, Version


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("vitess/lite:v23.0.3", Version(23, 0, 3)),
        ("registry.local:5000/vitess/lite:v24.0.2-mysql84", Version(24, 0, 2)),
        ("vitess/lite:23.0.0-SNAPSHOT", Version(23, 0, 0)),
        ("vitess/lite:v23.0.3@sha256:0123", Version(23, 0, 3)),
        ("vitess/lite:latest", None),
        ("vitess/lite", None),
        ("registry.local:5000/vitess/lite", None),
        ("vitess/lite@sha256:0123", None),
        ("vitess/lite:v23", None),
        ("", None),
    ],
)
def test_a_version_is_read_from_the_tag_and_from_nothing_else(image: str, version: Version | None) -> None:
    assert versions.of_image(image) == version


@pytest.mark.parametrize(
    ("current", "wanted"),
    [
        ("lite:v23.0.3", "lite:v23.0.3"),
        ("lite:v23.0.3", "lite:v23.1.0"),
        ("lite:v23.0.3", "lite:v24.0.2"),
        ("lite:v24.0.2", "lite:v23.0.3"),
        ("lite:latest", "lite:latest"),
    ],
)
def test_a_tablet_may_move_by_one_major_or_stay(current: str, wanted: str) -> None:
    assert versions.refusal(current, wanted) == ""


def test_refuses_to_skip_a_major_version() -> None:
    assert (
        versions.refusal("lite:v22.0.1", "lite:v24.0.2")
        == "22.0.1 -> 24.0.2 skips a major version; go through 23 first"
    )


def test_refuses_to_go_back_two_major_versions() -> None:
    assert "goes back more than one major version" in versions.refusal("lite:v24.0.2", "lite:v22.0.1")


@pytest.mark.parametrize(("current", "wanted"), [("lite:latest", "lite:v24.0.2"), ("lite:v23.0.3", "lite:nightly")])
def test_refuses_a_move_between_versions_that_it_cannot_read(current: str, wanted: str) -> None:
    assert "no version can be read" in versions.refusal(current, wanted)


def test_versions_are_ordered_by_number() -> None:
    assert Version(9, 9, 9) < Version(10, 0, 0) < Version(10, 0, 1)
    assert str(Version(24, 0, 2)) == "24.0.2"


@pytest.mark.parametrize(
    ("reported", "version"),
    [
        ("8.4.6", Version(8, 4, 6)),
        ("8.0.35-27", Version(8, 0, 35)),
        ("/usr/sbin/mysqld  Ver 8.0.30 for Linux on x86_64 (MySQL Community Server - GPL)", Version(8, 0, 30)),
        ("26.7.1", Version(26, 7, 1)),
        ("", None),
        ("mysqld", None),
    ],
)
def test_a_mysqlds_version_is_what_it_reports(reported: str, version: Version | None) -> None:
    assert versions.of_server(reported) == version


def test_a_series_is_two_numbers() -> None:
    assert str(Series.parse("8.4")) == "8.4"
    assert Version(8, 4, 6).series == Series(8, 4)


@pytest.mark.parametrize("text", ["8", "8.4.6", "lts", ""])
def test_refuses_what_is_no_series(text: str) -> None:
    with pytest.raises(ValueError, match="mysql_series is a release series of MySQL"):
        Series.parse(text)


# MySQL manual, Table 3.1: Upgrade Paths for MySQL Server; a calendar version is entered from 9.7 only.
@pytest.mark.parametrize(
    ("current", "wanted"),
    [
        ("8.0.37", "8.0"),
        ("8.0.37", "8.4"),
        ("8.4.6", "9.7"),
        ("8.0.34", "8.3"),
        ("8.4.0", "9.2"),
        ("8.3.0", "8.4"),
        ("8.1.0", "8.3"),
        ("9.0.1", "9.6"),
        ("9.7.4", "26.7"),
        ("5.7.44", "8.0"),
    ],
)
def test_mysql_may_take_every_step_that_its_manual_documents(current: str, wanted: str) -> None:
    assert versions.mysql_refusal(Version(*map(int, current.split("."))), Series.parse(wanted)) == ""


@pytest.mark.parametrize(
    ("current", "wanted", "skipped"),
    [
        ("8.0.40", "9.7", "8.4"),
        ("8.0.40", "9.0", "8.4"),
        ("8.3.0", "9.0", "8.4"),
        ("5.7.44", "8.4", "8.0"),
        ("5.7.44", "8.1", "8.0"),
        ("8.4.6", "26.7", "9.7"),
        ("9.6.0", "26.7", "9.7"),
    ],
)
def test_mysql_may_not_skip_a_long_term_series(current: str, wanted: str, skipped: str) -> None:
    refusal = versions.mysql_refusal(Version(*map(int, current.split("."))), Series.parse(wanted))
    assert refusal == f"MySQL {current} -> {wanted} skips {skipped}; go through it first"


@pytest.mark.parametrize(("current", "wanted"), [("8.4.6", "8.0"), ("9.1.0", "9.0"), ("8.4.6", "8.3")])
def test_mysql_never_goes_back_a_series_in_place(current: str, wanted: str) -> None:
    refusal = versions.mysql_refusal(Version(*map(int, current.split("."))), Series.parse(wanted))
    assert refusal.endswith(f"goes back over an upgrade of the data dictionary: restore a backup of {wanted}")


# MySQL manual, Table 4.1: Downgrade Paths for MySQL Server.
@pytest.mark.parametrize(
    ("current", "wanted", "refused"),
    [
        ((8, 0, 40), (8, 0, 35), False),
        ((8, 0, 40), (8, 0, 34), True),
        ((8, 0, 33), (8, 0, 40), False),
        ((8, 4, 6), (8, 4, 0), False),
        ((9, 7, 4), (9, 7, 1), False),
        ((9, 1, 1), (9, 1, 0), True),
        ((26, 10, 4), (26, 10, 3), True),
        ((8, 4, 6), (8, 0, 40), False),  # a series: mysql_refusal's
    ],
)
def test_a_release_goes_back_only_where_the_data_format_stayed(
    current: tuple[int, int, int], wanted: tuple[int, int, int], refused: bool
) -> None:
    refusal = versions.mysql_patch_refusal(Version(*current), Version(*wanted))
    assert ("goes back where the data format may have changed" in refusal) is refused


@pytest.mark.parametrize(
    ("current", "wanted", "slow"),
    [((8, 0, 40), "8.4", True), ((8, 0, 34), "8.0", True), ((8, 0, 35), "8.0", False), ((8, 4, 0), "8.4", False)],
)
def test_a_slow_shutdown_is_needed_between_data_formats(current: tuple[int, int, int], wanted: str, slow: bool) -> None:
    assert versions.needs_slow_shutdown(Version(*current), Series.parse(wanted)) is slow
