# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which fleet the tests in tests/kind run on, and which core a worker of pytest-xdist."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# A machine that does something else meanwhile makes no example wrong.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    """C(--fleet=kind) is the lab, C(--fleet=sim) the simulated fleet."""
    parser.addoption("--fleet", choices=("kind", "sim"), default="kind", help="the fleet that tests/kind runs on")


def pytest_configure() -> None:
    """A worker keeps to a core: product and simulated fleet are threads of one interpreter, which passes slower between cores."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker) % len(cores)]})
