# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each behaviour test gets a simulated fleet of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ansible_collections.vtops.vitess.tests.behaviour.rig import Rig
from ansible_collections.vtops.vitess.tests.sim.layout import Layout

Make = Callable[..., Rig]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes fleets, and ends them."""
    made: list[Rig] = []

    def one(layout: Layout | None = None, **given: bool) -> Rig:
        made.append(Rig(layout, **given))
        return made[-1]

    yield one
    for rig in made:
        rig.close()


@pytest.fixture
def rig(make: Make) -> Rig:
    """One shard of three under semi_sync, two vtgates, clients on it: 101 is the primary, 102 and 103 are REPLICAs."""
    return make()
