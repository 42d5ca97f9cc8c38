# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.probe.summary import Reparent
from ansible_collections.vtops.vitess.plugins.module_utils.probe.times import reparents_from, seconds_of

NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-23T12:00:00Z", NOON),
        ("2026-11-23T12:00:00", NOON),
        ("2026-11-23T13:00:00.5+01:00", NOON + 0.5),
        ("2026-11-23T12:00:00.123456789Z", NOON + 0.123456),
        ("1.5", 1.5),
        (2, 2.0),
    ],
)
def test_reads_the_times_that_vitess_and_people_write(text: object, seconds: float):
    assert seconds_of(text) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize("text", ["", "yesterday", None, True])
def test_refuses_what_is_no_time(text: object):
    with pytest.raises(ValueError, match="point in time"):
        seconds_of(text)


def test_a_reparent_may_carry_more_than_is_needed():
    given = [{"keyspace": "k", "shard": "-80", "start": 1, "end": "2", "old": "zone1-101"}]
    assert reparents_from(given) == [Reparent("k", "-80", 1.0, 2.0)]


@pytest.mark.parametrize(
    "value", [{"keyspace": "k", "shard": "s", "start": 1}, {"keyspace": "k", "shard": "s", "start": 2, "end": 1}]
)
def test_refuses_a_reparent_without_an_end_or_with_one_before_its_start(value: dict[str, object]):
    with pytest.raises(ValueError, match="reparent 1"):
        reparents_from([value])
