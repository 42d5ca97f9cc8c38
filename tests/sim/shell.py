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
STATUSES_AT_ONCE = 6


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
    """What the product's script does; tests/unit/sim/test_shell.py compares it with a real sh.

    strictly: whether the script reads the tablets so; nobody sees that it does not but where a cell does not answer.
    """

    def __init__(self, client: Vtctldclient, parameters: list[str], strictly: bool, done: Done) -> None:
        self.client = client
        self.strictly = ["--strict"] if strictly else []
        self.done = done
        self.keyspace, self.shard, self.what, _limit, self.migrations, self.switches, self.canary, _limit = parameters
        self.out: list[str] = []

    def run(self) -> None:
        """All blocks; what a canary write answers may come later."""
        record = self._block("shard", self._asked("GetShard", f"{self.keyspace}/{self.shard}"))
        narrow = ["--keyspace", self.keyspace, "--shard", self.shard]
        listed = self._block("tablets", self._asked("GetTablets", "--format", "json", *self.strictly, *narrow))
        if "durability" in self.what:
            self._block("durability", self._asked("GetKeyspace", self.keyspace))
        known = None if record.code else json.loads(record.out)["shard"].get("primary_alias")
        fetch = ["ExecuteFetchAsDBA", "--json", _alias(known)] if known else []
        if (
            "work" in self.what
            and fetch
            and self._fetched("work", fetch, f"{self.migrations} UNION ALL {self.switches}")
        ):
            self._fetched("migrations", fetch, self.migrations)
            self._fetched("switches", fetch, self.switches)
        statuses = self._statuses([] if listed.code else json.loads(listed.out)) if "status" in self.what else []
        waits = [seen for seen in statuses if '"semi_sync_primary_status": true' in seen]
        acks = [seen for seen in statuses if seen not in waits and '"semi_sync_replica_status": true' in seen]
        if "canary" not in self.what or not fetch or (waits and not acks):
            self.done(Printed("".join(self.out), ""))
            return

        def written(answer: Printed) -> None:
            self._block("canary", answer)
            self.done(Printed("".join(self.out), ""))

        self.client.run([*fetch, self.canary], written)

    def _statuses(self, tablets: list[Json]) -> list[str]:
        """Of those with an address, STATUSES_AT_ONCE at a time; the pipeline passes on the last one's block first."""
        aliases = [_alias(tablet["alias"]) for tablet in tablets if tablet.get("hostname")]
        seen: list[str] = []
        for start in range(0, len(aliases), STATUSES_AT_ONCE):
            for alias in reversed(aliases[start : start + STATUSES_AT_ONCE]):
                seen.append(self._block(alias, self._asked("GetFullStatus", alias)).out)
        return seen

    def _fetched(self, name: str, fetch: list[str], query: str) -> int:
        return self._block(name, self._asked(*fetch, query)).code

    def _asked(self, *words: str) -> Printed:
        answers: list[Printed] = []
        self.client.run(list(words), answers.append)
        return answers[0]

    def _block(self, name: str, answer: Printed) -> Printed:
        text = (answer.err + answer.out).rstrip("\n")
        self.out.append(f"@@ {name} {answer.code}\n{text}\n")
        return answer


def _alias(parts: Json) -> str:
    return f"{parts['cell']}-{parts['uid']:010d}"
