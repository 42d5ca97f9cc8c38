#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_cordon
short_description: Cordon a node, and uncordon it only where the cordon is ours
version_added: 0.1.0
description:
  - With O(state=present) the node takes no new Pods. That it was cordoned by this collection, when, and in which boot, is kept in the
    annotation C(vtops.vitess/cordon).
  - With O(state=absent) it is uncordoned where that annotation is there. A cordon that somebody else made always stays.
author:
  - vtops contributors (@vtops)
extends_documentation_fragment:
  - vtops.vitess.cluster
  - vtops.vitess.attributes
  - vtops.vitess.attributes.actiongroup_vitess
options:
  node:
    description: The node's name.
    type: str
    required: true
  state:
    description: Whether it is to be cordoned.
    type: str
    choices: [present, absent]
    default: present
  roll:
    description: Id of the roll that acts. Without it one is made for this ansible-playbook.
    type: str
seealso:
  - module: vtops.vitess.node_plan
  - module: vtops.vitess.node_wait
"""

EXAMPLES = r"""
- name: Let no Pod onto the node
  vtops.vitess.node_cordon:
    namespace: vitess
    node: worker-1
"""

RETURN = r"""
node:
  description: The node's name.
  returned: success
  type: str
  sample: worker-1
ours:
  description: Whether it is cordoned by this collection.
  returned: success
  type: bool
  sample: true
since:
  description: When it was cordoned by this collection, else now; RFC 3339.
  returned: success
  type: str
  sample: "2026-11-25T10:00:00Z"
boot:
  description: The node's boot id then.
  returned: success
  type: str
  sample: 7d0b4f0e-8f3e-4b0b-9c1d-2f6d1a0c5b11
rebooted:
  description: Whether it was booted again since this collection cordoned it.
  returned: success
  type: bool
  sample: false
before:
  description: Whether it was cordoned, and by whom.
  returned: success
  type: dict
  sample: {cordoned: false, ours: false}
after:
  description: The same as it is now, or would be.
  returned: success
  type: dict
  sample: {cordoned: true, ours: true}
failure:
  description: Why it stopped, with step, gate, reason, state and the next command.
  returned: failure
  type: dict
  sample: {tablet: worker-1, step: node_cordon, gate: rights_are_granted, reason: "Kubernetes does not let us patch nodes cluster-wide"}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.operation import execute
from ..module_utils.operations import node_cordon


def main() -> None:
    module = AnsibleModule(argument_spec=node_cordon.argument_spec(), supports_check_mode=True)
    result = execute("node_cordon", module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
