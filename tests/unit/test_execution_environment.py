# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ansible-builder reads of the collection; `make install-check` runs ansible-builder itself."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import yaml

TOP = Path(__file__).parents[2]


def test_the_requirements_are_found_from_the_collections_directory_and_are_in_the_artefact() -> None:
    environment = yaml.safe_load((TOP / "meta/execution-environment.yml").read_text(encoding="utf-8"))
    assert environment["version"] == 1
    assert list(environment["dependencies"]) == ["python"]
    path = environment["dependencies"]["python"]
    lines = [line for line in (TOP / path).read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    assert [re.split("[>=]", line)[0] for line in lines] == ["kubernetes", "PyMySQL"]
    ignored = yaml.safe_load((TOP / "galaxy.yml").read_text(encoding="utf-8"))["build_ignore"]
    assert not [pattern for pattern in ignored for name in (path, "meta") if fnmatch(name, pattern)]


def test_the_example_of_an_image_names_this_version_of_the_artefact() -> None:
    version = yaml.safe_load((TOP / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    image = yaml.safe_load((TOP / "extensions/awx/execution-environment.yml").read_text(encoding="utf-8"))
    assert image["version"] == 3
    artefact = f"vtops-vitess-{version}.tar.gz"
    assert image["additional_build_files"] == [{"src": artefact, "dest": "artefact"}]
    assert image["dependencies"]["galaxy"]["collections"] == [{"name": f"artefact/{artefact}", "type": "file"}]
