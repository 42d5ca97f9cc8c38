# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Version rules: which version a tablet may move to. Python, never Jinja.

One major at a time, tablets before vtctld and vtgate (Vitess' upgrade guide; vitess#19034 for a skipped major).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TAG = re.compile(r"^v?(?P<major>\d+)\.(?P<minor>\d+)\.(?P<patch>\d+)(?:[-+.].*)?$")


@dataclass(frozen=True, order=True)
class Version:
    """A Vitess or MySQL server version."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def parse(text: str) -> Version | None:
    """A version from C(v23.0.3) or C(23.0.3-SNAPSHOT); None where the text names none."""
    match = TAG.match(text.strip())
    return Version(int(match["major"]), int(match["minor"]), int(match["patch"])) if match else None


def of_image(image: str) -> Version | None:
    """The version in an image's tag; None for a digest, C(latest) or no tag."""
    name = image.rpartition("/")[2].partition("@")[0]
    _repository, colon, tag = name.partition(":")
    return parse(tag) if colon else None


def refusal(current_image: str, wanted_image: str) -> str:
    """Why vttablet must not move from one image to the other, empty if it may."""
    if current_image == wanted_image:
        return ""
    current, wanted = of_image(current_image), of_image(wanted_image)
    if current is None or wanted is None:
        unknown = current_image if current is None else wanted_image
        return f"no version can be read from the tag of image {unknown}"
    if wanted.major > current.major + 1:
        return f"{current} -> {wanted} skips a major version; go through {current.major + 1} first"
    if wanted.major < current.major - 1:
        return f"{current} -> {wanted} goes back more than one major version"
    return ""
