# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vtops.vitess.plugins.module_utils.probe.schedule import KINDS, Loop, loops


def test_requests_are_due_on_a_fixed_schedule():
    loop = Loop("read", 0, 1, rate=25.0, offset=0.01, fresh_share=0.2)
    assert [loop.due(number) for number in range(3)] == pytest.approx([0.01, 0.05, 0.09])


def test_every_kind_is_asked_of_every_vtgate_and_shard_at_its_own_offset():
    every = loops(vtgates=2, shards=2, rate=25, fresh_share=0.2)
    places = [(kind, gate, shard) for kind in KINDS for gate in (0, 1) for shard in (0, 1)]
    assert sorted((loop.kind, loop.vtgate, loop.shard) for loop in every) == sorted(places)
    offsets = sorted(loop.offset for loop in every)
    assert len(set(offsets)) == 16
    assert offsets[-1] < 2 / 25


def test_the_rate_is_that_of_a_kind_at_a_vtgate_over_all_shards():
    every = loops(vtgates=3, shards=4, rate=25, fresh_share=0.2)
    assert sum(loop.rate for loop in every if (loop.kind, loop.vtgate) == ("write", 1)) == pytest.approx(25)


@given(share=st.floats(0, 1))
def test_the_share_of_fresh_connections_is_kept(share: float):
    loop = Loop("write", 0, 0, 10.0, 0.0, share)
    assert abs(sum(loop.fresh(number) for number in range(500)) - share * 500) <= 1


@pytest.mark.parametrize(
    ("vtgates", "shards", "rate", "share"), [(0, 1, 1, 0), (1, 0, 1, 0), (1, 1, 0, 0), (1, 1, -1, 0), (1, 1, 1, 1.1)]
)
def test_refuses_what_is_no_load(vtgates: int, shards: int, rate: float, share: float):
    with pytest.raises(ValueError, match=r"rate|share|least"):
        loops(vtgates, shards, rate, share)
