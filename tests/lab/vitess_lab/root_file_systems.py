# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian root file systems that the built images start from, cached as tar files."""

from __future__ import annotations

from pathlib import Path

from . import machine, places, versions
from .console import run, say

BOOTSTRAP = places.LAB / "rootfs" / "bootstrap"
NETWORK_TOOLS = ["iptables", "nftables", "conntrack", "kmod", "iproute2", "procps", "ca-certificates"]
PACKAGES = {
    "base": (versions.NODE_SUITE, NETWORK_TOOLS),
    "mysql": (versions.NEWEST_SUITE, ["mysql-server-core", "mysql-client-core", "libjemalloc2", "procps"]),
    "node": (
        versions.NODE_SUITE,
        [
            *NETWORK_TOOLS,
            *("systemd", "systemd-sysv", "dbus", "ethtool", "curl", "jq", "containerd", "runc", "socat", "mount"),
            *("containernetworking-plugins", "util-linux", "hostname", "python3-minimal", "xz-utils"),
        ],
    ),
}


def tar_of(name: str) -> Path:
    suite, packages = PACKAGES[name]
    tar = places.ROOT_FILE_SYSTEMS / f"{name}-{places.fingerprint(suite, *packages)}.tar"
    if not tar.exists():
        machine.need({"debootstrap": "debootstrap"})
        say(f"making the root file system {name} from Debian {suite}")
        with places.work_folder() as folder:
            run([BOOTSTRAP, suite, folder / tar.name, *packages], timeout=1800)
            tar.parent.mkdir(parents=True, exist_ok=True)
            (folder / tar.name).rename(tar)
    return tar
