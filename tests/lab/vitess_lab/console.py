# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lab shows while it works: stages with their times, bounded waits, commands that fail with their reason."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any


class LabError(Exception):
    """Ends the command with one message and no traceback."""


class Stages:
    """Prints and remembers how long each stage took, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.monotonic()

    def total(self) -> float:
        return round(time.monotonic() - self._started, 1)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        say(f"{name} ...")
        started = time.monotonic()
        try:
            yield
        finally:
            took = round(time.monotonic() - started, 1)
            self.seconds[name] = round(self.seconds.get(name, 0) + took, 1)
        say(f"{name}: {took:.1f} s")


def say(text: str) -> None:
    print(f"lab {time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


def run(
    command: Sequence[Any],
    *,
    timeout: float = 600,
    check: bool = True,
    text_in: str | None = None,
    stdin: IO[bytes] | None = None,
    env: dict[str, str] | None = None,
    cwd: Any = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a command without a terminal; never waits for input; raises LabError with the command's last words."""
    words = [str(word) for word in command]
    source: dict[str, Any] = {"input": text_in} if text_in is not None else {"stdin": stdin or subprocess.DEVNULL}
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=timeout, check=False, env=env, cwd=cwd, **source
        )
    except subprocess.TimeoutExpired as late:
        raise LabError(f"no end after {timeout:.0f} s: {' '.join(words)}") from late
    except FileNotFoundError as missing:
        raise LabError(f"not installed: {words[0]}") from missing
    if check and done.returncode != 0:
        last_words = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-15:])
        raise LabError(f"failed ({done.returncode}): {' '.join(words)}\n{last_words}")
    return done


def output(command: Sequence[Any], **options: Any) -> str:
    return run(command, **options).stdout.strip()


def wait_until(what: str, missing: Callable[[], str], *, timeout: float, every: float = 1.0) -> None:
    """Waits until missing() is empty; says every 5 s what is missing and for how long."""
    started = said = time.monotonic()
    while True:
        lacking = missing()
        waited = time.monotonic() - started
        if not lacking:
            return
        if waited > timeout:
            raise LabError(f"{what}: not so after {waited:.0f} s: {lacking}")
        if time.monotonic() - said >= 5:
            said = time.monotonic()
            say(f"  {waited:3.0f} s of {timeout:.0f}: {lacking}")
        time.sleep(every)
