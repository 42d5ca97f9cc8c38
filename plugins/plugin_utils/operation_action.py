# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One action plugin for all operations: the same run() as the module, in the worker, where the connection is local.

A module process that imports kubernetes and PyMySQL costs most of a second; the worker is a fork of a process that imported them once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils.executor import HANDED_OVER, Process
from ..module_utils.operation import execute

display = Display()


class OperationAction(ActionBase):
    """Base of the collection's action plugins."""

    operation: ClassVar[str] = ""
    argument_spec: ClassVar[Callable[[], dict[str, Any]]]

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the operation here, or the module on the other end of a connection that is not local."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._connection.transport != "local":
            self._hand_over(Process.controlling())
            module = f"vtops.vitess.{self.operation}"
            result.update(self._execute_module(module_name=module, task_vars=task_vars))
            for line in result.get("progress") or ():
                _report(line)
            return result
        validation, params = self.validate_argument_spec(argument_spec=type(self).argument_spec())
        done = execute(self.operation, params, bool(self._task.check_mode), report=_report)
        result.update(remove_values(done, validation._no_log_values))
        return result

    def _hand_over(self, executor: Process) -> None:
        """Tell a module on another host, by its environment, which ansible-playbook it works for."""
        given = self._task.environment or []
        given = given if isinstance(given, list) else [given]
        self._task.environment = [*given, {HANDED_OVER: executor.as_text()}]


def _report(text: str) -> None:
    display.display(f"  {text}")
