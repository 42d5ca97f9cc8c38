# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this machine has, lacks and allows."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path

from .console import LabError, output, run, say

CAP_SYS_RESOURCE = 24


def lacks_sys_resource() -> bool:
    """Whether no process here can get CAP_SYS_RESOURCE: then a privileged container does not start as it is."""
    bounding = re.search(r"^CapBnd:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return bounding is not None and not int(bounding[1], 16) >> CAP_SYS_RESOURCE & 1


def has_cgroup_v1() -> bool:
    return not Path("/sys/fs/cgroup/cgroup.controllers").exists()


def installs_packages() -> bool:
    release = platform.freedesktop_os_release()
    return release.get("ID") == "debian" and os.geteuid() == 0


def need(programs: dict[str, str]) -> None:
    """Has each program (by the Debian package that holds it) installed, or says in one line which are missing."""
    missing = [program for program in programs if not shutil.which(program)]
    if not missing:
        return
    need_debian_root(", ".join(missing))
    packages = sorted({programs[program] for program in missing})
    say(f"installing Debian packages: {' '.join(packages)}")
    run(["apt-get", "update"])
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "install", "--yes", "--no-install-recommends", *packages], env=environment)
    still_missing = [program for program in missing if not shutil.which(program)]
    if still_missing:
        raise LabError(f"missing after installing {' '.join(packages)}: {', '.join(still_missing)}")


def has_go(oldest: str) -> bool:
    """An older Go fetches the right one itself, from 1.21 on, unless it is told not to."""
    if not shutil.which("go"):
        return False
    found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", output(["go", "version"]))
    enough = oldest if output(["go", "env", "GOTOOLCHAIN"]) == "local" else "1.21"
    return found is not None and [int(n or 0) for n in found.groups()] >= [int(n) for n in enough.split(".")]


def need_debian_root(missing: str) -> None:
    if not installs_packages():
        raise LabError(f"missing: {missing}; install it and run this again")
