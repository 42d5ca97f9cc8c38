# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ..module_utils.operations import shard_reparent
from ..plugin_utils.operation_action import OperationAction


class ActionModule(OperationAction):
    """Runs M(vtops.vitess.shard_reparent) in the worker where the connection is local."""

    operation = "shard_reparent"
    argument_spec = staticmethod(shard_reparent.argument_spec)
