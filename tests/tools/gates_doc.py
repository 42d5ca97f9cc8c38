# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes docs/gates.md from the gates themselves: C(make gates-doc). A unit test says when it is out of date."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from ansible_collections.vtops.vitess.plugins.module_utils import gates
from ansible_collections.vtops.vitess.plugins.module_utils.operations import roll_plan

PAGE = Path(__file__).parents[2] / "docs/gates.md"
STEPS: dict[str, tuple[gates.Gate, ...]] = {
    "plan": (
        *roll_plan.FLEET_PREFLIGHT,
        *roll_plan.NEAR_PREFLIGHT,
        *roll_plan.NEAR_SHARD_PREFLIGHT,
        *roll_plan.NEAR_PRIMARY_PREFLIGHT,
    ),
    "reparent": gates.REPARENT,
    "drain": gates.DRAIN,
    "replace": gates.REPLACE,
    "recover": gates.RECOVER,
    "start replication": gates.START_REPLICATION,
}

# In two parts: the licence check counts the line of a file's own licence.
LICENCE = "SPDX-License" + "-Identifier: GPL-3.0-or-later"
HEAD = f"""<!--
Copyright (c) 2026, vtops contributors
GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
{LICENCE}
Written by `make gates-doc` from plugins/module_utils/gates.py.
-->

# Gates

What must hold before a tablet is reparented away from, drained or replaced. Each is one pure function; the acting module
evaluates all gates of its step in its own process right before the act, and the first that is red stops the roll and is
named in the failure. What cannot be read is red. [Operating](operating.md) says what to do about each.

Bringing back is not held up by these: `vtgate_readmit` waits for what it must prove, and refuses only a tablet that would
serve wrong data: DRAINED by somebody else (`no_foreign_drain`, accepted by `accept_drained`), with errant GTIDs
(`no_errant_gtid`), or on a volume that lacks what it had when it left (`position_contained`).

*recover* and *start replication* are what `tablet_recover` does about a tablet that is away by itself; before that its
[diagnosis](recovery.md) must say that it may be acted on.

*plan* is what `roll_plan` looks at before the first tablet is touched. *Passed by* is the option that passes a red gate:
`accept_drained` and `accept_no_route` for the tablets that they name, by alias; `override_gates` for a whole roll, by the gate's
name and with a reason that is kept in plan and journal. It passes only what guards requests or time; no other gate can be passed.

| gate | holds when | steps | passed by |
|---|---|---|---|
"""


def text() -> str:
    """The page."""
    ordered = list(
        dict.fromkeys(
            gate
            for step in ("drain", "replace", "reparent", "plan", "recover", "start replication")
            for gate in STEPS[step]
        )
    )
    return HEAD + "".join(_row(gate) for gate in ordered)


def _row(gate: gates.Gate) -> str:
    steps = ", ".join(step for step, of_step in STEPS.items() if gate in of_step)
    option = gates.ACCEPTED_BY.get(gate, "override_gates" if gate in gates.OVERRIDABLE else "")
    return f"| `{gate.__name__}` | {_holds(gate)} | {steps} | {f'`{option}`' if option else ''} |\n"


def _holds(gate: gates.Gate) -> str:
    """The docstring as one line, without references to what is not in this repository."""
    line = " ".join((inspect.getdoc(gate) or "").split()).replace("|", "\\|")
    line = re.sub(r" \(design rules? \d+\)", "", line)
    return re.sub(r"\(design rule \d+: ", "(", line)


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
