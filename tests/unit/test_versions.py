# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import versions
from ansible_collections.vtops.vitess.plugins.module_utils.versions import Version


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
