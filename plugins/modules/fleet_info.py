#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_info
short_description: List tablets with their Pods, versions and whether they are as wanted
version_added: 0.1.0
description:
  - One topology read, one Pod list and one read per owner, whatever the size of the fleet.
author:
  - vtops contributors (@vtops)
extends_documentation_fragment:
  - vtops.vitess.cluster
  - vtops.vitess.attributes.info_module
  - vtops.vitess.attributes.actiongroup_vitess
options:
  keyspaces:
    description: Only tablets of these keyspaces.
    type: list
    elements: str
    default: []
  tablets:
    description: Only these tablets; one that the topology does not have is an error.
    type: list
    elements: str
    default: []
  wanted_revision:
    description: Revision that a tablet must run to count as wanted; without it what its owner's spec says now.
    type: str
  wanted_since:
    description: Instead of a revision, an RFC 3339 time after which the Pod must have been created. One that is yet to come is refused.
    type: str
"""

EXAMPLES = r"""
- name: List the fleet
  vtops.vitess.fleet_info:
    namespace: vitess
  register: fleet

- name: Show what is outdated
  ansible.builtin.debug:
    msg: "{{ fleet.tablets | rejectattr('as_wanted') | map(attribute='alias') | list }}"
"""

RETURN = r"""
tablets:
  description: The tablets, by keyspace, shard and alias.
  returned: success
  type: list
  elements: dict
  sample:
    - alias: zone1-0000000101
      keyspace: commerce
      shard: '-80'
      cell: zone1
      type: REPLICA
      pod: commerce-x-80-0
      image: vitess/lite:v23.0.3
      wanted_image: vitess/lite:v24.0.2
      as_wanted: false
      in_flight: false
failure:
  description: Why it stopped, with step, reason and the next command.
  returned: failure
  type: dict
  sample: {tablet: the fleet, step: fleet_info, reason: no Ready vtctld Pod}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.operation import execute
from ..module_utils.operations import fleet_info


def main() -> None:
    module = AnsibleModule(argument_spec=fleet_info.argument_spec(), supports_check_mode=True)
    result = execute("fleet_info", module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
