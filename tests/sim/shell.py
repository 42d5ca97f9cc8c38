# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an exec in the vtctld Pod runs: vtctldclient itself, or the shell script by which the product reads a shard at once."""

from __future__ import annotations

import json
import re

from .store import Json
from .vtctldclient import Done, Printed, Vtctldclient

PROGRAM = "vtctldclient"
COMMANDS = {"GetShard", "GetKeyspace", "GetTablets", "GetFullStatus", "ExecuteFetchAsDBA"}
"""What the script runs; one that runs anything else is not known here."""


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
    """The product's shard script; any other is an error: the simulation must not guess."""
    known = set(re.findall(r"\b(?:Get|ExecuteFetch)\w+", script)) == COMMANDS
    if not known or len(parameters) < 9 or parameters[8].rpartition("/")[2] != PROGRAM:
        done(Printed("", "the simulated vtctld does not know this script\n", 2))
        return
    strictly = re.search(r"\bGetTablets\b.*\s--strict\s", script) is not None
    ShardScript(client, parameters[:8], strictly, done).run()


class ShardScript:
    """What the product's script does, in its order; tests/unit/sim/test_shell.py compares it with a real sh.

    strictly: whether the script reads the tablets so; nobody sees that it does not but where a cell does not answer.
    """

    def __init__(self, client: Vtctldclient, parameters: list[str], strictly: bool, done: Done) -> None:
        self.client = client
        self.strictly = ["--strict"] if strictly else []
        self.done = done
        self.keyspace, self.shard, self.what, _limit, self.migrations, self.switches, self.canary, _limit = parameters
        self.out: list[str] = []
        self.errors: list[str] = []

    def run(self) -> None:
        """All blocks; what a canary write answers may come later."""
        record = self._block("shard", self._asked("GetShard", f"{self.keyspace}/{self.shard}"))
        if "durability" in self.what:
            self._block("durability", self._asked("GetKeyspace", self.keyspace))
        narrow = ["--keyspace", self.keyspace, "--shard", self.shard]
        listed = self._block("tablets", self._asked("GetTablets", "--format", "json", *self.strictly, *narrow))
        waits = acks = False
        if "status" in self.what and not listed.code:
            for tablet in json.loads(listed.out):
                if tablet.get("hostname"):
                    alias = _alias(tablet["alias"])
                    seen = self._block(alias, self._asked("GetFullStatus", alias)).out
                    waits = waits or '"semi_sync_primary_status": true' in seen
                    acks = acks or ('"semi_sync_replica_status": true' in seen and '_primary_status": true' not in seen)
            if waits and not acks:
                self.what = self.what.replace("canary", "")
        known = None if record.code else json.loads(record.out)["shard"].get("primary_alias")
        if known:
            self._ask_primary(_alias(known))
        else:
            self._end()

    def _ask_primary(self, primary: str) -> None:
        fetch = ["ExecuteFetchAsDBA", "--json", primary]
        if "work" in self.what:
            both = self._asked(*fetch, f"{self.migrations} UNION ALL {self.switches}")
            if self._block("work", both, tried=True).code:
                self._block("migrations", self._asked(*fetch, self.migrations), tried=True)
                self._block("switches", self._asked(*fetch, self.switches), tried=True)
        if "canary" not in self.what:
            self._end()
            return

        def written(answer: Printed) -> None:
            self._block("canary", answer, tried=True)
            self._end()

        self.client.run([*fetch, self.canary], written)

    def _asked(self, *words: str) -> Printed:
        answers: list[Printed] = []
        self.client.run(list(words), answers.append)
        return answers[0]

    def _block(self, name: str, answer: Printed, tried: bool = False) -> Printed:
        """One block; one that is tried holds its errors itself."""
        text = answer.err + answer.out if tried else answer.out
        if not tried:
            self.errors.append(answer.err)
        newline = "\n"
        self.out.append(f"@@ {name} {answer.code}\n{text.rstrip(newline)}\n")
        return answer

    def _end(self) -> None:
        self.done(Printed("".join(self.out), "".join(self.errors)))


def _alias(parts: Json) -> str:
    return f"{parts['cell']}-{parts['uid']:010d}"
