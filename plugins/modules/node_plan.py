#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_plan
short_description: Say which tablets a node's maintenance takes, and refuse what cannot be done
version_added: 0.1.0
description:
  - Of the given tablets those whose Pods are on the node, and those that a stopped run has moved away and not brought back.
  - It is refused where a Pod would come back as another revision (a move is no upgrade), or its owner is not supported.
  - To move them, another node must take each, as far as volumes, taints and selectors say.
  - O(in_place), where all of them are away together, each must be the only one of its shard there, all of the node's tablets must be
    given, and no vtgate may be on the node.
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
  tablets:
    description: Aliases of the tablets that may be taken.
    type: list
    elements: str
    required: true
  in_place:
    description: Whether they stay on the node during its maintenance.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Look whether the node can be rebooted with its tablets on it
  vtops.vitess.node_plan:
    namespace: vitess
    node: worker-1
    tablets: "{{ groups.vitess_tablets }}"
    in_place: true
"""

RETURN = r"""
tablets:
  description: The tablets that are taken.
  returned: success
  type: list
  elements: dict
  sample: [{alias: zone1-0000000102, keyspace: commerce, shard: "-80", type: REPLICA, pod: commerce-x-80-1, in_flight: false}]
primaries:
  description: Those of them that are primaries.
  returned: success
  type: list
  elements: dict
  sample: []
left:
  description: Tablets on the node that were not given.
  returned: success
  type: list
  elements: str
  sample: []
shards:
  description: Their shards.
  returned: success
  type: list
  elements: str
  sample: [commerce/-80]
failure:
  description: Why it stopped, with step, gate, reason, state and the next command.
  returned: failure
  type: dict
  sample: {tablet: worker-1, step: node_plan, gate: one_tablet_of_shard_on_node, reason: "two of a shard would be away"}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.operation import execute
from ..module_utils.operations import node_plan


def main() -> None:
    module = AnsibleModule(argument_spec=node_plan.argument_spec(), supports_check_mode=True)
    result = execute("node_plan", module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
