# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vtops.vitess.plugins.module_utils.probe.schedule import KINDS, Loop, loops


def test_requests_are_due_on_a_fixed_schedule():
    loop = Loop("read", 0, rate=25.0, offset=0.01, shards=2, fresh_share=0.2)
    assert [loop.due(number) for number in range(3)] == pytest.approx([0.01, 0.05, 0.09])


def test_every_kind_is_asked_of_every_vtgate_at_its_own_offset():
    every = loops(vtgates=2, shards=2, rate=25, fresh_share=0.2)
    assert {(loop.kind, loop.vtgate) for loop in every} == {(kind, gate) for kind in KINDS for gate in (0, 1)}
    offsets = sorted(loop.offset for loop in every)
    assert len(set(offsets)) == 8
    assert offsets[-1] < 1 / 25


@given(share=st.floats(0, 1), shards=st.integers(1, 7))
def test_the_share_of_fresh_connections_is_kept_on_each_shard(share: float, shards: int):
    loop = Loop("write", 0, 10.0, 0.0, shards, share)
    rounds = 500
    fresh = dict.fromkeys(range(shards), 0)
    for number in range(rounds * shards):
        fresh[loop.shard(number)] += loop.fresh(number)
    assert all(abs(count - share * rounds) <= 1 for count in fresh.values())


@pytest.mark.parametrize(
    ("vtgates", "shards", "rate", "share"), [(0, 1, 1, 0), (1, 0, 1, 0), (1, 1, 0, 0), (1, 1, -1, 0), (1, 1, 1, 1.1)]
)
def test_refuses_what_is_no_load(vtgates: int, shards: int, rate: float, share: float):
    with pytest.raises(ValueError, match=r"rate|share|least"):
        loops(vtgates, shards, rate, share)
