# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_the_artefact_names_no_address_that_does_not_exist() -> None:
    """Until the project has a public home; then this test names it."""
    metadata = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    assert metadata["repository"] == "not published yet"
    assert not {"documentation", "issues", "homepage"} & set(metadata)
