# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Version rules: which version a tablet may move to. Python, never Jinja.

Vitess: one major at a time, tablets before vtctld and vtgate (its upgrade guide; vitess#19034 for a skipped major).
MySQL: by the upgrade and downgrade paths of its manual, on one data directory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

TAG = re.compile(r"^v?(?P<major>\d+)\.(?P<minor>\d+)\.(?P<patch>\d+)(?:[-+.].*)?$")
SERVER = re.compile(r"(?:^|Ver )(\d+)\.(\d+)\.(\d+)")
PROGRAM = re.compile(r"(?:^|Version: )v?(\d+)\.(\d+)\.(\d+)")

# Vitess' upgrade order (vitess.io/docs, Upgrading Vitess: vttablet, vtctld, vtgate). Of vtorc it says nothing: it comes last.
BEFORE: dict[str, tuple[str, ...]] = {
    "vtctld": ("vttablet",),
    "vtgate": ("vttablet", "vtctld"),
    "vtorc": ("vttablet", "vtctld"),
}


@dataclass(frozen=True, order=True)
class Series:
    """A release series of MySQL: 8.0, 8.4, 9.7, and of innovation releases each one."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Series:
        """From C(8.4). Raises ValueError on anything else."""
        match = re.fullmatch(r"(\d+)\.(\d+)", text.strip())
        if not match:
            raise ValueError(f"mysql_series is a release series of MySQL such as '8.4', not {text!r}")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, order=True)
class Version:
    """A Vitess or MySQL server version."""

    major: int
    minor: int
    patch: int

    @property
    def series(self) -> Series:
        """MySQL's release series."""
        return Series(self.major, self.minor)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


# Series that keep their data format, so that patch releases may also go back; none of them may be skipped. Everything after
# the last one counts as its innovations: a calendar version (26.7) does not tell whether it is one.
LONG_TERM = (Series(5, 7), Series(8, 0), Series(8, 4), Series(9, 7))
# Within 8.0 the data format changed until here: no way back below it, and a slow shutdown before a move (vitess#18045).
STABLE_8_0 = Version(8, 0, 35)


def parse(text: str) -> Version | None:
    """A version from C(v23.0.3) or C(23.0.3-SNAPSHOT); None where the text names none."""
    match = TAG.match(text.strip())
    return Version(int(match["major"]), int(match["minor"]), int(match["patch"])) if match else None


def of_image(image: str) -> Version | None:
    """The version in an image's tag; None for a digest, C(latest) or no tag."""
    name = image.rpartition("/")[2].partition("@")[0]
    _repository, colon, tag = name.partition(":")
    return parse(tag) if colon else None


def of_server(reported: str) -> Version | None:
    """What a mysqld says of itself: C(8.4.6), C(8.0.35-27), or mysqld --version, which Vitess falls back to; None where it says nothing."""
    match = SERVER.search(reported)
    return Version(int(match[1]), int(match[2]), int(match[3])) if match else None


def of_program(reported: str) -> Version | None:
    """What a Vitess program says of itself: C(24.0.2), or C(Version: 24.0.2 (Git revision ...)); None where it says nothing."""
    match = PROGRAM.search(reported.strip())
    return Version(int(match[1]), int(match[2]), int(match[3])) if match else None


def not_there_yet(wanted: Version, reported: Mapping[str, str]) -> list[str]:
    """Servers that come before in the upgrade's order and do not report that version, or a later one; what is silent has not."""
    found = []
    for name, text in sorted(reported.items()):
        version = of_program(text)
        if version is None:
            found.append(f"{name} does not say its version{f' ({text})' if text else ''}")
        elif version < wanted:
            found.append(f"{name} reports {version}")
    return found


def refusal(current_image: str, wanted_image: str, reported: str = "") -> str:
    """Why vttablet must not move from one image to the other, empty if it may. reported: what the one that runs says of itself.

    Where it was not asked (the plan asks no vttablet), its image's tag stands in; of what has not started there is nothing else.
    """
    if current_image == wanted_image:
        return ""
    current, wanted = parse(reported) or of_image(current_image), of_image(wanted_image)
    if current is None or wanted is None:
        unknown = current_image if current is None else wanted_image
        return f"no version can be read from the tag of image {unknown}"
    if wanted.major > current.major + 1:
        return f"{current} -> {wanted} skips a major version; go through {current.major + 1} first"
    if wanted.major < current.major - 1:
        return f"{current} -> {wanted} goes back more than one major version"
    return ""


def mysql_refusal(current: Version, wanted: Series) -> str:
    """Why a mysqld of another series must not start on this one's data, empty if it may (MySQL manual, Upgrade Paths, Downgrade Paths)."""
    have = current.series
    if wanted < have:
        return f"MySQL {current} -> {wanted} goes back over an upgrade of the data dictionary: restore a backup of {wanted}"
    skipped = next((series for series in LONG_TERM if have < series < wanted), None)
    return f"MySQL {current} -> {wanted} skips {skipped}; go through it first" if skipped else ""


def mysql_patch_refusal(current: Version, wanted: Version) -> str:
    """Why a mysqld must not go back to a lower release of its series, empty if it does not or may."""
    if wanted >= current or wanted.series != current.series:
        return ""
    if wanted.series in LONG_TERM and not (wanted.series == STABLE_8_0.series and wanted < STABLE_8_0):
        return ""
    return f"MySQL {current} -> {wanted} goes back where the data format may have changed: restore a backup of {wanted}"


def needs_slow_shutdown(current: Version, wanted: Series) -> bool:
    """Whether a mysqld should be stopped with innodb_fast_shutdown=0, so that the next one finds no undo log of another format."""
    return wanted != current.series or (current.series == STABLE_8_0.series and current < STABLE_8_0)
