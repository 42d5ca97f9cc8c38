# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""
fleet.py

An ansible-rulebook event source plugin: tablets of a Vitess fleet that are away by themselves.

It diagnoses the fleet every so often, as the module vtops.vitess.tablet_diagnose does, and emits one event for each new cause
of a tablet. It changes nothing. Where the fleet cannot be looked at, that is one event too, until it can be again.

Arguments:
  - interval: seconds between two looks (30)
  - lasts: seconds that a cause must have lasted before it is an event (60)
  - quiet_period: seconds after an event of a tablet in which it has no other one (900)
  - all others: as the options of vtops.vitess.tablet_diagnose (namespace, kubeconfig, keyspaces, node_fenced, ...)

Events:
  fleet: what RV(tablets) of tablet_diagnose says of the tablet (alias, keyspace, shard, cause, evidence, may_act, fingerprint, ...),
         or only blind, why nothing can be seen
  meta:
    hosts: the tablet's alias, to which ansible-rulebook limits the playbook that it runs

Examples:
  sources:
    - vtops.vitess.fleet:
        namespace: vitess
        interval: 30
        quiet_period: 900
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

try:
    from ansible_collections.vtops.vitess.plugins.module_utils.operation import execute
except ImportError:
    # ansible-rulebook runs this file by its path, and finds no collections by itself.
    sys.path.append(str(Path(__file__).absolute().parents[7]))
    from ansible_collections.vtops.vitess.plugins.module_utils.operation import execute
from ansible_collections.vtops.vitess.plugins.module_utils.operations import tablet_diagnose

OURS = {"interval": 30.0, "lasts": 60.0, "quiet_period": 900.0}
Event = dict[str, Any]

logger = logging.getLogger(__name__)


class Onsets:
    """Makes events of looks: once for each new cause, when it has lasted, and not twice for a tablet within its quiet period."""

    def __init__(self, lasts: float, quiet_period: float) -> None:
        self._lasts, self._quiet_period = lasts, quiet_period
        self._since: dict[str, float] = {}  # fingerprint to when it was seen first
        self._told: set[str] = set()
        self._last: dict[str, float] = {}  # alias to when it had an event
        self._blind = ""

    def of(self, result: dict[str, Any], now: float) -> list[Event]:
        """The events of one look; now is in seconds of any clock that goes on evenly."""
        if result.get("failed"):
            news = [] if self._blind else [{"fleet": {"blind": str(result.get("msg"))}}]
            self._blind = str(result.get("msg") or "it is not known why")
            return news
        self._blind = ""
        ailing = {tablet["fingerprint"]: tablet for tablet in result["tablets"] if tablet["ails"]}
        self._since = {print_: self._since.get(print_, now) for print_ in ailing}
        self._told &= set(ailing)  # what is over may come again, and is new then
        events = []
        for print_, tablet in ailing.items():
            alias = tablet["alias"]
            quiet = now - self._last.get(alias, float("-inf")) < self._quiet_period
            if print_ in self._told or quiet or now - self._since[print_] < self._lasts:
                continue
            self._told.add(print_)
            self._last[alias] = now
            events.append({"fleet": tablet, "meta": {"hosts": alias}})
        return events


def parameters(args: dict[str, Any]) -> tuple[dict[str, float], dict[str, Any]]:
    """Our own arguments, and the module's as it validates them. Raises ValueError."""
    own = {name: float(args.get(name, default)) for name, default in OURS.items()}
    # What begins with eda_ is what ansible-rulebook itself hands over.
    rest = {name: value for name, value in args.items() if name not in OURS and not name.startswith("eda_")}
    validated = ArgumentSpecValidator(tablet_diagnose.argument_spec()).validate(rest)
    if validated.error_messages:
        raise ValueError(f"vtops.vitess.fleet: {'; '.join(validated.error_messages)}")
    return own, validated.validated_parameters


async def main(
    queue: asyncio.Queue[Event], args: dict[str, Any], look: Callable[..., dict[str, Any]] = execute
) -> None:
    """Look for ever, and put events into the queue. Raises ValueError for arguments that it does not know."""
    own, params = parameters(args)
    onsets, loop = Onsets(own["lasts"], own["quiet_period"]), asyncio.get_running_loop()
    while True:
        result = await asyncio.to_thread(look, "tablet_diagnose", params, False)
        if result.get("failed"):
            logger.warning("the fleet cannot be looked at: %s", result.get("msg"))
        for event in onsets.of(result, loop.time()):
            await queue.put(event)
        await asyncio.sleep(own["interval"])


if __name__ == "__main__":

    class _Printer(asyncio.Queue):  # type: ignore[type-arg]
        async def put(self, item: Event) -> None:
            print(item, flush=True)

    asyncio.run(main(_Printer(), dict(word.split("=", 1) for word in sys.argv[1:])))  # type: ignore[arg-type]
