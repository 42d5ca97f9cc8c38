# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the lab keeps things: outputs in the tree's build/lab, everything costly in a cache outside of it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .console import say

LAB = Path(__file__).resolve().parent.parent
OUTPUT = LAB.parent.parent / "build" / "lab"
KUBECONFIG = OUTPUT / "kubeconfig"

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vtops-lab"
BINARIES = CACHE / "bin"
ROOT_FILE_SYSTEMS = CACHE / "rootfs"
IMAGES = CACHE / "images"
GO = CACHE / "go"
UNFINISHED = CACHE / "unfinished"
ENGINE = CACHE / "docker"
RUN = CACHE / "run"


@contextlib.contextmanager
def made_whole(target: Path) -> Iterator[Path]:
    """A new directory that becomes target when the block ends well; a broken one is never seen."""
    with work_folder() as folder:
        unfinished = folder / target.name
        unfinished.mkdir()
        yield unfinished
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished.rename(target)


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """For what is being made, on the cache's own file system, so that it can be linked and renamed."""
    UNFINISHED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=UNFINISHED) as folder:
        yield Path(folder)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One lab command changes things at a time; what a killed one left unfinished goes."""
    RUN.mkdir(parents=True, exist_ok=True)
    with (RUN / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another lab command to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        remove_tree(UNFINISHED)
        yield


def fingerprint(*parts: str | Path) -> str:
    """Names an input: the content of files and directories, and plain words."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode() + b"\0")
            continue
        files = sorted(path for path in part.rglob("*") if path.is_file()) if part.is_dir() else [part]
        for file in files:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def remove_tree(path: Path) -> None:
    """Also what Go made read-only."""

    def writable(function, name, _error):  # type: ignore[no-untyped-def]
        os.chmod(os.path.dirname(name), 0o700)
        function(name)

    if path.exists():
        shutil.rmtree(path, onerror=writable)
