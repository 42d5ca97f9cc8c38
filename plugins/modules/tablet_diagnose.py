#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tablet_diagnose
short_description: Say which tablets are away by themselves, and why
version_added: 0.1.0
description:
  - Looks at node, Pod, processes, data and routes of every tablet of the shards that hold the selection, and names the first cause that it finds.
  - Says who may still mend that by themselves, what would mend it, and what forbids that. Changes nothing.
  - Of the whole fleet it asks each mysqld; of many tablets it is no quick look. C(docs/recovery.md) lists the causes.
author:
  - vtops contributors (@vtops)
extends_documentation_fragment:
  - vtops.vitess.cluster
  - vtops.vitess.attributes.actiongroup_vitess
  - vtops.vitess.attributes.info_module
options:
  tablets:
    description: Aliases of the tablets to look at; without any, every tablet.
    type: list
    elements: str
    default: []
  keyspaces:
    description: Keyspaces to look at; without any, every one.
    type: list
    elements: str
    default: []
  max_lag:
    description: Replication lag in seconds up to which a tablet counts as caught up.
    type: float
    default: 10.0
  accept_drained:
    description: Aliases of tablets that somebody else set to DRAINED and that may be brought back.
    type: list
    elements: str
    default: []
  node_fenced:
    description:
      - Names of nodes that are off for certain, by your word. What ran on them may be replaced.
      - A node whose object is gone, or that has the taint C(node.kubernetes.io/out-of-service), needs no word. Never name one that may still run.
    type: list
    elements: str
    default: []
  accept_errant:
    description: Aliases of tablets that may be brought back although they have executed what the primary has not. It is kept in the journal.
    type: list
    elements: str
    default: []
seealso:
  - module: vtops.vitess.tablet_recover
"""

EXAMPLES = r"""
- name: Look for tablets that are away by themselves
  vtops.vitess.tablet_diagnose:
    namespace: vitess
  register: found

- name: Tell somebody
  ansible.builtin.debug:
    msg: "{{ found.text.splitlines() }}"
  when: found.ailing | length > 0
"""

RETURN = r"""
tablets:
  description:
    - Every tablet that was asked for. C(cause) is empty where nothing is wrong; C(ails) is false too where a roll has it in
      flight and holds its shard.
    - C(fingerprint) stays the same as long as the tablet ails of the same.
  returned: success
  type: list
  elements: dict
  sample:
    - {alias: zone1-0000000102, ails: true, cause: mysqld_dead, evidence: "vttablet in Pod commerce-x-80-1 answers, mysqld does not",
       waits_for: the kubelet to restart mysqld, mend: replace_pod, may_act: true, refusal: "", fingerprint: 9f86d081884c7d65}
ailing:
  description: Aliases of the tablets that somebody should do something about.
  returned: success
  type: list
  elements: str
  sample: [zone1-0000000102]
rounds:
  description: The same in batches that may be brought back side by side, with at most one tablet of a shard in each.
  returned: success
  type: list
  elements: list
  sample: [[zone1-0000000102]]
text:
  description: A line for each tablet that is away.
  returned: success
  type: str
  sample: "6 tablets, none is away by itself"
failure:
  description: Why it could not be looked at, with the next command.
  returned: failure
  type: dict
  sample: {tablet: the fleet, step: tablet_diagnose, reason: no Ready vtctld Pod}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.operation import execute
from ..module_utils.operations import tablet_diagnose


def main() -> None:
    module = AnsibleModule(argument_spec=tablet_diagnose.argument_spec(), supports_check_mode=True)
    result = execute("tablet_diagnose", module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
