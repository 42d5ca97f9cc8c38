# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module's arguments, given to it in this process, on every ansible-core that we support."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

try:
    from ansible.module_utils.testing import patch_module_args
except ImportError:  # before ansible-core 2.19
    from ansible.module_utils import basic

    @contextmanager
    def patch_module_args(module_args: dict[str, Any] | None = None) -> Iterator[None]:
        """As in ansible-core 2.19: what AnsibleModule reads instead of its standard input."""
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": module_args or {}}).encode()
        try:
            yield
        finally:
            basic._ANSIBLE_ARGS = None


__all__ = ["patch_module_args"]
