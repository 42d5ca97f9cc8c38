# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode) and says what would be done, without a write to the cluster.
  diff_mode:
    support: full
    description: Returns what has changed, or would change in check mode, as C(before) and C(after).
  idempotent:
    support: full
    description: When run twice in a row outside check mode, with the same arguments, the second run changes nothing.
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode); it never changes anything.
  diff_mode:
    support: N/A
    description: It never changes anything.
  idempotent:
    support: full
    description: It never changes anything.
"""

    ACTIONGROUP_VITESS = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/vtops.vitess.vitess) in C(module_defaults) to set the connection options once.
    support: full
    membership:
      - vtops.vitess.vitess
"""
