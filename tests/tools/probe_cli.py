# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe from a shell, for tests and benchmarks: tests/tools/probe calls it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.vtops.vitess.plugins.module_utils.clients.login import (
    PYMYSQL_IMPORT_ERROR,
    Login,
    tls_context,
)
from ansible_collections.vtops.vitess.plugins.module_utils.errors import EdgeError
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process
from ansible_collections.vtops.vitess.plugins.module_utils.probe.load import Settings
from ansible_collections.vtops.vitess.plugins.module_utils.probe.process import (
    READ_BACK,
    Plan,
    start,
    stop,
    summary,
)
from ansible_collections.vtops.vitess.plugins.module_utils.probe.summary import Reparent
from ansible_collections.vtops.vitess.plugins.module_utils.probe.times import reparents_from
from ansible_collections.vtops.vitess.plugins.module_utils.probe.vtgate import (
    Dialler,
    ProbeError,
    parse_targets,
    rows_found,
)

PASSWORD_VARIABLE = "VTOPS_PROBE_PASSWORD"
"""The environment variable that holds the password: none is taken on the command line."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="probe", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    ledger = argparse.ArgumentParser(add_help=False)
    ledger.add_argument("--ledger", required=True, help="directory of the ledger")
    login = argparse.ArgumentParser(add_help=False)
    login.add_argument("--vtgate", action="append", default=[], help="host:port or name=host:port, once per vtgate")
    login.add_argument("--user")
    login.add_argument("--ca-cert")
    login.add_argument("--client-cert")
    login.add_argument("--client-key")
    login.add_argument("--server-name", help="what the certificate must name instead of the host")
    login.add_argument("--keyspace", default="commerce")
    login.add_argument("--table", default="probe")
    start_it = commands.add_parser("start", parents=[ledger, login], help="start beside this shell")
    start_it.add_argument("--rate", type=float, default=Settings.rate, help="requests/s per kind and vtgate")
    start_it.add_argument("--fresh-share", type=float, default=Settings.fresh_share)
    start_it.add_argument("--max-connections", type=int, default=Settings.max_connections)
    start_it.add_argument("--stale-after", type=float, default=Settings.stale_after, help="seconds")
    start_it.add_argument("--answer-limit", type=float, default=Settings.answer_limit, help="seconds")
    start_it.add_argument("--deadline", type=float, default=3600.0, help="seconds")
    start_it.add_argument("--stay-with", type=int, help="pid with which the probe ends")
    stop_it = commands.add_parser("stop", parents=[ledger], help="stop, and print the summary")
    stop_it.add_argument("--wait", type=float, default=120.0, help="seconds")
    sum_up = commands.add_parser("summary", parents=[ledger, login], help="print the summary, also of a running probe")
    for command in (stop_it, sum_up):
        command.add_argument(
            "--reparents", help="JSON file: a list of {keyspace, shard, start, end}, or a summary of the witness"
        )
        command.add_argument("--clock-margin", type=float, default=0.0, help="seconds")
    return top


def named(address: str) -> Any:
    """C(name=host:port) as a dict, anything else as it is."""
    name, equals, rest = address.partition("=")
    if not equals:
        return address
    host, _colon, port = rest.rpartition(":")
    return {"name": name, "host": host.strip("[]"), "port": port}


def login_of(options: argparse.Namespace, environment: Mapping[str, str]) -> Login:
    """The log-in of a command line; the password comes from the environment."""
    return Login(
        options.user or "",
        environment.get(PASSWORD_VARIABLE) or "",
        tls_context(options.ca_cert, options.client_cert, options.client_key, server_name=options.server_name),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; prints JSON, and an error in one line."""
    options = parser().parse_args(arguments)
    try:
        if PYMYSQL_IMPORT_ERROR:
            raise ProbeError("PyMySQL is missing: pip install PyMySQL")
        print(json.dumps(_answer(options), indent=2))
    except (ProbeError, EdgeError, ValueError, OSError) as error:
        print(f"probe: {error}", file=sys.stderr)
        return 1
    return 0


def _answer(options: argparse.Namespace) -> dict[str, Any]:
    directory = os.path.abspath(options.ledger)
    if options.command == "start":
        return _start(options, directory)
    reparents: list[Reparent] = []
    if options.reparents:
        with open(options.reparents, encoding="utf-8") as file:
            given = json.load(file)
        listed = given["reparents"] if isinstance(given, dict) else given
        reparents = reparents_from([reparent for reparent in listed if reparent.get("planned", True)])
    if options.command == "stop":
        stop(directory, options.wait)
        return summary(directory, reparents, options.clock_margin).as_dict()
    read_back = None
    if options.vtgate:
        dialler = Dialler(parse_targets([named(v) for v in options.vtgate]), login_of(options, os.environ), 10.0)

        def read_back(first: int, end: int) -> set[int]:
            return rows_found(dialler, options.keyspace, options.table, first, end, READ_BACK)

    return summary(directory, reparents, options.clock_margin, read_back=read_back).as_dict()


def _start(options: argparse.Namespace, directory: str) -> dict[str, Any]:
    companion = None
    if options.stay_with:
        companion = Process.of(options.stay_with)
        if companion is None:
            raise ProbeError(f"there is no process {options.stay_with} to stay with")
    settings = Settings(
        keyspace=options.keyspace,
        table=options.table,
        rate=options.rate,
        fresh_share=options.fresh_share,
        max_connections=options.max_connections,
        answer_limit=options.answer_limit,
        stale_after=options.stale_after,
    )
    targets = tuple(parse_targets([named(value) for value in options.vtgate]))
    plan = Plan(targets, login_of(options, os.environ), settings, directory, options.deadline)
    state, changed = start(plan, companion)
    return {"changed": changed, "run": state.run, "pid": state.pid, "ledger": state.ledger}


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
