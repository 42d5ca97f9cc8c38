# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tests on the lab: they fail, and are not skipped, where it is not up (C(make lab)).

With C(--fleet=sim) the same tests run on the simulated fleet.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import LAB_JSON, Lab


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The lab that is up, or a simulated one."""
    if request.config.getoption("fleet") == "sim":
        from ansible_collections.vtops.vitess.tests.sim.lab import SimulatedLab

        with SimulatedLab() as simulated:
            yield simulated
        return
    if not LAB_JSON.exists():
        pytest.fail(f"the lab is not up: {LAB_JSON} does not exist (make lab)")
    yield Lab()
