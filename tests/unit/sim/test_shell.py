# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulated exec prints what the product's script prints in a real sh."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.clients.vtctld import (
    CANARY,
    MIGRATIONS,
    SHARD_SCRIPT,
    STATUSES_AT_ONCE,
    SWITCHES,
)
from ansible_collections.vtops.vitess.tests.sim import shell
from ansible_collections.vtops.vitess.tests.sim.layout import like_the_lab
from ansible_collections.vtops.vitess.tests.sim.simulation import Simulation
from ansible_collections.vtops.vitess.tests.sim.vtctldclient import Printed

STUB = """#!/bin/sh
shift 4
file="$FOLDER/$(printf %s "$*" | md5sum | cut -c1-32)"
[ ! -f "$file.err" ] || { cat "$file.err" >&2; exit 1; }
[ -f "$file" ] || { echo "desc = no such command: $*" >&2; exit 1; }
cat "$file"
"""
WORK = f"{MIGRATIONS} UNION ALL {SWITCHES}"
COMMANDS: tuple[list[str], ...] = (
    ["GetTablets", "--format", "json", "--strict", "--keyspace", "commerce", "--shard", "-80"],
    ["GetShard", "commerce/-80"],
    ["GetKeyspace", "commerce"],
    *(["GetFullStatus", f"zone1-{uid:010d}"] for uid in (101, 102, 103)),
    ["ExecuteFetchAsDBA", "--json", "zone1-0000000101", WORK],
)


def printed(simulation: Simulation, command: list[str]) -> Printed:
    answers: list[Printed] = []
    shell.run(command, simulation.vtctldclient, answers.append)
    return answers[0]


def in_a_real_sh(simulation: Simulation, folder: Path, parameters: list[str]) -> str:
    program = folder / "vtctldclient"
    program.write_text(STUB)
    program.chmod(0o755)
    answers = {"ExecuteFetchAsDBA --json zone1-0000000101 " + CANARY: "{}\n"}  # asking would write
    failed: set[str] = set()
    for command in COMMANDS:
        answer = printed(simulation, ["vtctldclient", *command])
        words = " ".join(command)
        answers[words] = answer.out if answer.code == 0 else answer.err
        failed |= {words} if answer.code else set()
    for words, text in answers.items():
        name = hashlib.md5(words.encode()).hexdigest()
        (folder / (f"{name}.err" if words in failed else name)).write_text(text)
    line = ["sh", "-c", SHARD_SCRIPT, "vtops", *parameters, str(program), "--server", "localhost:15999"]
    done = subprocess.run(
        line, capture_output=True, text=True, env={"FOLDER": str(folder), "PATH": "/usr/bin:/bin"}, check=False
    )
    return done.stdout


@pytest.mark.parametrize("what", ["topology", "durability", "status", "status+durability+work+canary"])
@pytest.mark.parametrize("down", [False, True], ids=["all up", "one shut down, one killed"])
def test_the_shard_script_prints_the_same_in_the_simulation_and_in_sh(what: str, down: bool, tmp_path: Path) -> None:
    simulation = Simulation(like_the_lab())
    if down:
        simulation.fleet.stop_vttablet(simulation.tablet("102"))
        simulation.fleet.stop_vttablet(simulation.tablet("103"), cleanly=False)
    parameters = ["commerce", "-80", what, "3s", MIGRATIONS, SWITCHES, CANARY, "1.5s"]
    command = ["sh", "-c", SHARD_SCRIPT, "vtops", *parameters, "/vt/bin/vtctldclient", "--server", "localhost:15999"]
    real = in_a_real_sh(simulation, tmp_path, parameters)
    assert printed(simulation, command).out == real


def test_of_a_large_shard_as_many_are_asked_at_once_as_by_the_script() -> None:
    assert shell.STATUSES_AT_ONCE == STATUSES_AT_ONCE


def test_a_script_that_is_not_known_is_an_error_and_no_empty_answer() -> None:
    simulation = Simulation(like_the_lab())
    answer = printed(simulation, ["sh", "-c", "echo hello", "vtops", "a", "b", "c", "d", "vtctldclient"])
    assert answer.code == 2
    assert "does not know" in answer.err


def test_a_command_that_is_not_known_is_an_error() -> None:
    answer = printed(Simulation(like_the_lab()), ["/vt/bin/vtctldclient", "--server", "x", "ReloadSchema", "zone1-101"])
    assert answer.code == 1
    assert "does not know ReloadSchema" in answer.err
