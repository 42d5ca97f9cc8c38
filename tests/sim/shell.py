# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an exec in the vtctld Pod runs: vtctldclient itself, or the shell script by which the product reads a shard at once."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from .vtctldclient import Done, Printed, Vtctldclient

PROGRAM = "vtctldclient"
RUNS = re.compile(r'program_run (?P<name>\S+) "\$@" (?P<words>[^;]*)')


def run(command: list[str], client: Vtctldclient, done: Done) -> None:
    """A container's command line."""
    if command[:2] == ["sh", "-c"]:
        _script(command[2], command[4:], client, done)
    elif command and command[0].rpartition("/")[2] == PROGRAM:
        client.run(_without_connection(command[1:]), done)
    else:
        done(Printed("", f"exec: {command[:1]}: executable file not found in $PATH\n", 127))


def _without_connection(words: list[str]) -> list[str]:
    """vtctldclient's words without --server and --action-timeout, which say nothing here."""
    kept: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("--server", "--action-timeout"):
            rest.pop(0)
        elif not word.startswith(("--server=", "--action-timeout=")):
            kept.append(word)
    return kept


def _script(script: str, parameters: list[str], client: Vtctldclient, done: Done) -> None:
    """The shard script, line by line: enough of sh for its forms, and an error for a form that is new.

    tests/unit/sim/test_exec.py runs it in a real sh too.
    """
    if len(parameters) < 5 or parameters[4].rpartition("/")[2] != PROGRAM or not RUNS.search(script):
        done(Printed("", "the simulated vtctld does not know this script\n", 2))
        return
    names = dict(zip(("keyspace", "shard", "what", "limit"), parameters[:4], strict=True))
    out: list[str] = []
    errors: list[str] = []

    def program_run(name: str, words: str, values: dict[str, str]) -> None:
        def filled(word: str) -> str:
            return re.sub(r"\$(\w+)", lambda match: values[match[1]], word)

        expanded = [filled(word) for word in shlex.split(words.partition("<")[0])]
        title = filled(name.strip('"'))

        def printed(answer: Printed) -> None:
            errors.append(answer.err)
            body = answer.out.rstrip("\n")
            out.append(f"@@ {title} {answer.code}\n{body}\n")

        client.run(_without_connection(expanded), printed)

    for line in _lines(script):
        condition, text = line
        if condition and condition not in names["what"]:
            continue
        for match in RUNS.finditer(text):
            if "$alias" not in match["words"]:
                program_run(match["name"], match["words"], names)
                continue
            for alias in _reachable(client, names):
                program_run(match["name"], match["words"], {**names, "alias": alias})
    done(Printed("".join(out), "".join(errors)))


def _lines(script: str) -> list[tuple[str, str]]:
    """Each command line with the word that C(what) must contain for it."""
    found: list[tuple[str, str]] = []
    block = ""
    for line in script.splitlines():
        opened = re.match(r"\s*case \$what in \*(\w+)\*\)(.*)", line)
        if opened and opened[2].strip():
            found.append((opened[1], opened[2]))
        elif opened:
            block = opened[1]
        elif line.strip() == "esac":
            block = ""
        elif "program_run()" not in line:
            found.append((block, line))
    return found


def _reachable(client: Vtctldclient, names: dict[str, str]) -> list[str]:
    """The aliases that the script's loop asks: those with an address."""
    lines: list[str] = []
    collect: Callable[[Printed], object] = lambda answer: lines.extend(answer.out.splitlines())  # noqa: E731
    client.run(["GetTablets", "--keyspace", names["keyspace"], "--shard", names["shard"]], collect)
    words = [line.split() for line in lines]
    return [parts[0] for parts in words if not parts[4].startswith(":")]
