# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ..module_utils.operations import node_wait
from ..plugin_utils.operation_action import OperationAction


class ActionModule(OperationAction):
    """Runs M(vtops.vitess.node_wait) in the worker where the connection is local."""

    operation = "node_wait"
    argument_spec = staticmethod(node_wait.argument_spec)
