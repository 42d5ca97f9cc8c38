#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_wait
short_description: Wait until a node is back from its maintenance
version_added: 0.1.0
description:
  - Waits, bounded, until the node is Ready and, with O(boot), was booted again. A node that is gone may come back under its name.
  - Keeps the claims of O(shards) meanwhile, so that nobody brings their tablets back before it.
author:
  - vtops contributors (@vtops)
extends_documentation_fragment:
  - vtops.vitess.cluster
  - vtops.vitess.attributes.info_module
  - vtops.vitess.attributes.actiongroup_vitess
options:
  node:
    description: The node's name.
    type: str
    required: true
  boot:
    description: The boot id that it had before, from M(vtops.vitess.node_cordon). Without it being Ready is enough.
    type: str
  shards:
    description: Shards as C(keyspace/shard) whose claims are kept.
    type: list
    elements: str
    default: []
  roll:
    description: Id of the roll that holds the claims.
    type: str
  timeout:
    description: Seconds to wait.
    type: float
    default: 1800.0
"""

EXAMPLES = r"""
- name: Wait for the node's reboot
  vtops.vitess.node_wait:
    namespace: vitess
    node: worker-1
    boot: "{{ cordoned.boot }}"
"""

RETURN = r"""
node:
  description: The node's name.
  returned: success
  type: str
  sample: worker-1
boot:
  description: The node's boot id now.
  returned: success
  type: str
  sample: 7d0b4f0e-8f3e-4b0b-9c1d-2f6d1a0c5b11
progress:
  description: The lines that told of its waits.
  returned: when it waited for more than 3 seconds
  type: list
  elements: str
  sample: []
failure:
  description: Why it stopped, with step, gate, reason, state and the next command.
  returned: failure
  type: dict
  sample: {tablet: worker-1, step: node_wait, gate: node_is_back, reason: "it was not booted again yet"}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.operation import execute
from ..module_utils.operations import node_wait


def main() -> None:
    module = AnsibleModule(argument_spec=node_wait.argument_spec(), supports_check_mode=True)
    result = execute("node_wait", module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
