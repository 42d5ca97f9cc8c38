# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.vtops.vitess.tests.witness import events
from ansible_collections.vtops.vitess.tests.witness.events import (
    CaughtUp,
    Looks,
    PodSeen,
    RowSeen,
    ShardSeen,
    Started,
    decode,
    encode,
    events_of,
)

EXAMPLES = [
    Started(1.0, None, {"zone1-101": "commerce-0"}, ["a"]),
    PodSeen(1.5, 1.5, "commerce-0", "u1", ready=True, running=True, images=("x:1",), annotations=("k=v",)),
    RowSeen(2.0, 1.8, "a", "zone1-101", "REPLICA", "h", "SERVING"),
    ShardSeen(2.0, None, "commerce", "-80", "zone1-101", 1.25),
    CaughtUp(3.0, None, "commerce-0", "u2", "no mysql"),
    Looks(4.0, None, {"a": 7}, {"a": 0.2}, 1.5),
]


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_an_event_survives_its_line(event: events.Event):
    assert decode(encode(event)) == event


def test_a_line_that_a_kill_cut_off_is_passed_over_and_a_broken_one_is_not():
    line = encode(EXAMPLES[0])
    assert list(events_of([line, line[:20]])) == [EXAMPLES[0]]
    with pytest.raises(ValueError, match=r"Unterminated|delimiter|Expecting"):
        list(events_of([line[:20], line]))
    with pytest.raises(ValueError, match="no event"):
        list(events_of(['{"e":"other"}', line]))
