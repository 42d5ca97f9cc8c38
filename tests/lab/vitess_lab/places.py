# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the lab keeps things: outputs in the tree's build/lab, everything costly in a cache outside of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

LAB = Path(__file__).resolve().parent.parent
OUTPUT = LAB.parent.parent / "build" / "lab"
KUBECONFIG = OUTPUT / "kubeconfig"

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vtops-lab"
BINARIES = CACHE / "bin"
ROOT_FILE_SYSTEMS = CACHE / "rootfs"
IMAGES = CACHE / "images"
GO = CACHE / "go"
ENGINE = CACHE / "docker"
RUN = CACHE / "run"


@contextlib.contextmanager
def made_whole(target: Path) -> Iterator[Path]:
    """A new directory beside target that becomes target when the block ends well; a broken one is never seen."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


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
