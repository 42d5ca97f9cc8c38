# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every version that the lab is made of, in one place."""

from __future__ import annotations

KUBERNETES = "1.34.4"
KIND = "0.33.0"
COREDNS = "1.14.3"
# The newest systemd that still knows cgroup v1, and containerd with it.
NODE_SUITE = "bookworm"
# Where MySQL and etcd come from when nothing can be pulled; Debian's stable suites have MariaDB only.
NEWEST_SUITE = "sid"

MYSQL_IMAGE = "mysql:9.7"
PULLED_NODE_IMAGE = "kindest/node:v1.34.0"

# Vitess by version: the Go release that its module asks for.
VITESS_GO = {"23.0.3": "1.25.3", "24.0.2": "1.26.4"}
# Unpacked where no fitting Go is installed.
DEBIAN_GO = "1.26"
VITESS = tuple(VITESS_GO)
OLDEST_VITESS = VITESS[0]

# What a version's tablets are started with beyond the common flags. With the look-up a tablet that was DRAINED comes
# back DRAINED: readmission is ours to decide ("held").
TABLET_FLAGS = {"23.0.3": "", "24.0.2": "--init-tablet-type-lookup"}
# vtorc knows its cell from 24 on, and refuses the flag before.
VTORC_FLAGS = {"23.0.3": "", "24.0.2": "--cell zone1"}


def vitess_module(version: str) -> str:
    """The Go module's version: Vitess 24.0.2 is published as v0.24.2."""
    major, minor, patch = version.split(".")
    if minor != "0":
        raise ValueError(f"no module version is known for Vitess {version}")
    return f"v0.{major}.{patch}"
