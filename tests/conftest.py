# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which fleet the tests in tests/kind run on."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """C(--fleet=kind) is the lab, C(--fleet=sim) the simulated fleet."""
    parser.addoption("--fleet", choices=("kind", "sim"), default="kind", help="the fleet that tests/kind runs on")
