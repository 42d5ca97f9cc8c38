# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random schedules: shapes of fleets, faults, orders of steps and deaths that nobody thought of.

The same ones each time; C(VTOPS_SCHEDULES=500) plays that many new ones. What fails is printed as a Schedule that can be
kept below as it is, and with hypothesis' @reproduce_failure.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, note, settings
from hypothesis import strategies as st

from ansible_collections.vtops.vitess.tests.behaviour.schedules import (
    CALLS,
    FAULTS,
    HAND_STEPS,
    WIRE,
    Crash,
    Fault,
    Run,
    Schedule,
    play,
)
from ansible_collections.vtops.vitess.tests.sim.fleet import POLICIES

# Fixed in CI, within its CPU budget; a number in the environment plays so many that were never played before.
CI_EXAMPLES = 25
WANTED = int(os.environ.get("VTOPS_SCHEDULES") or 0)

settings.register_profile(
    "schedules",
    max_examples=WANTED or CI_EXAMPLES,
    derandomize=not WANTED,
    database=None,
    deadline=None,
    print_blob=True,
    verbosity=Verbosity.normal,
    phases=(Phase.explicit, Phase.generate, Phase.shrink) if WANTED else (Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)

kinds_of_call = st.sampled_from(sorted(CALLS))
nth = st.integers(1, 12)
wire_faults = st.builds(Fault, st.sampled_from(sorted(WIRE)), kinds_of_call, nth)
fleet_faults = st.builds(
    Fault,
    st.sampled_from(FAULTS),
    st.one_of(st.just(""), kinds_of_call),
    nth,
    st.integers(0, 4),
    st.sampled_from((0.0, 4.0, 15.0)),
)
crashes = st.builds(Crash, kinds_of_call, st.integers(1, 25), st.booleans(), st.booleans())
steps = st.lists(st.tuples(st.sampled_from(HAND_STEPS), st.integers(0, 4)), min_size=3, max_size=8).map(tuple)
faults = st.lists(st.one_of(wire_faults, fleet_faults, fleet_faults), min_size=1, max_size=3).map(tuple)
runs = st.one_of(
    st.builds(Run, faults, st.none() | crashes, heals=st.booleans()),
    st.builds(Run, faults, crashes, heals=st.booleans()),
    st.builds(Run, faults, st.none() | crashes, steps, st.booleans()),
)


SHAPES: tuple[tuple[str, tuple[tuple[int, str], ...]], ...] = (
    ("semi_sync", ((1, "REPLICA"),) * 3),
    ("semi_sync", ((1, "REPLICA"),) * 4),
    ("semi_sync", (*((1, "REPLICA"),) * 3, (1, "RDONLY"), (1, "RDONLY"))),
    ("semi_sync", ((1, "REPLICA"), (1, "REPLICA"), (2, "REPLICA"), (2, "REPLICA"), (1, "RDONLY"))),
    ("semi_sync_with_rdonly_ack", ((1, "REPLICA"), (1, "REPLICA"), (1, "RDONLY"))),
    ("cross_cell", ((1, "REPLICA"), (1, "REPLICA"), (1, "REPLICA"), (2, "REPLICA"), (2, "REPLICA"))),
    ("cross_cell_with_rdonly_ack", ((1, "REPLICA"), (1, "REPLICA"), (2, "RDONLY"), (2, "RDONLY"))),
    ("none", ((1, "REPLICA"),) * 2),
    ("none", (*((1, "REPLICA"),) * 3, (1, "RDONLY"))),
)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[str, tuple[tuple[int, str], ...]]:
    """A policy, and one to five tablets of which the first is the primary; most are large enough to be rolled."""
    if draw(st.integers(0, 9)) < 8:
        return draw(st.sampled_from(SHAPES))
    kinds = st.tuples(st.sampled_from((1, 2)), st.sampled_from(("REPLICA", "RDONLY")))
    others = draw(st.lists(kinds, max_size=4))
    return draw(st.sampled_from(sorted(POLICIES))), ((1, "REPLICA"), *others)


schedules = st.builds(
    lambda shape, **given: Schedule(durability=shape[0], tablets=shape[1], **given),
    shapes(),
    shards=st.sampled_from((1, 1, 1, 2)),
    vtgates=st.integers(1, 3),
    held=st.booleans(),
    stable_addresses=st.booleans(),
    runs=st.lists(runs, min_size=1, max_size=2).map(tuple),
    seed=st.integers(1, 1000),
)


@settings(settings.get_profile("schedules"))
@given(schedules)
def test_whatever_happens_no_rule_is_broken_and_a_rerun_converges(schedule: Schedule) -> None:
    note(repr(schedule))
    play(schedule)


# Schedules that failed once, as they were printed.
KEPT: dict[str, Schedule] = {
    # The plan put what was in flight first, and no other was upgraded that the primary could have been moved to.
    "the roll died before a drain that it had journalled, and the tablet was made primary": Schedule(
        runs=(Run(crash=Crash("type")), Run(faults=(Fault("foreign reparent"),)))
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_schedule_that_failed_once_is_kept(name: str) -> None:
    play(KEPT[name])
