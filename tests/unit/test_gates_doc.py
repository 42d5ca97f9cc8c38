# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import gates
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import TabletType
from ansible_collections.vtops.vitess.tests.tools import gates_doc
from ansible_collections.vtops.vitess.tests.unit.factories import REPLICA, SIBLING, a_case, a_shard, a_tablet


def test_the_page_is_what_the_gates_say() -> None:
    assert gates_doc.PAGE.read_text(encoding="utf-8") == gates_doc.text(), "run `make gates-doc`"


@pytest.mark.parametrize("gate", sorted({gate for step in gates.EVERY_STEP for gate in step}, key=str))
def test_every_gate_has_a_row_with_what_it_holds_and_its_steps(gate: gates.Gate) -> None:
    (row,) = [line for line in gates_doc.text().splitlines() if line.startswith(f"| `{gate.__name__}` |")]
    _begin, _name, holds, steps, _accepted, _end = (cell.strip() for cell in row.split("|"))
    assert holds.endswith((".", ")"))
    assert steps
    assert "design" not in row


def test_only_what_is_said_to_be_accepted_by_alias_is() -> None:
    drained = a_shard(a_tablet(SIBLING, TabletType.DRAINED))
    alone = a_shard(a_tablet(REPLICA, TabletType.RDONLY))
    cases = {
        gates.no_foreign_drain: (drained, {"accept_drained": frozenset({SIBLING})}),
        gates.no_other_tablet_away: (drained, {"accept_drained": frozenset({SIBLING})}),
        gates.serving_route_remains: (alone, {"accept_no_route": frozenset({REPLICA})}),
    }
    assert set(cases) == set(gates.ACCEPTED_BY)
    for gate, (shard, accepted) in cases.items():
        assert list(accepted) == [gates.ACCEPTED_BY[gate]]
        assert gate(a_case(shard)).ok is False
        assert gate(a_case(shard, **accepted)).ok is True
    everything = {"accept_drained": frozenset({SIBLING, REPLICA}), "accept_no_route": frozenset({SIBLING, REPLICA})}
    for gate in {gate for step in gates.EVERY_STEP for gate in step} - set(cases):
        for shard in (drained, alone):
            assert gate(a_case(shard)).ok == gate(a_case(shard, **everything)).ok
