#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_replace
short_description: Replace the Pod of a drained tablet
version_added: 0.1.0
description:
  - Evaluates every gate again, right before the act, then evicts the Pod (policy/v1, with uid and resourceVersion as
    preconditions), so that its owner recreates it from its present spec.
  - Waits until a Pod with a new uid runs what is wanted and is Ready.
  - Only a tablet that the shard's claim says was drained by this roll is removed. If a gate is red, the tablet is put back into serving.
  - Supported owners are a StatefulSet with the update strategy OnDelete, and vitess-operator's VitessShard with the update strategy
    External; every other one is refused by its kind.
  - With vitess-operator nothing is evicted; the pending change is released on VitessKeyspace, VitessShard and this one Pod, and the operator
    deletes and recreates it. To move a tablet without a change (O(wanted_since)) the operator is asked to drain it, and it is deleted
    with its uid once that is granted. Where that stops, release and drain are taken back with the tablet.
author:
  - vtops contributors (@vtops)
extends_documentation_fragment:
  - vtops.vitess.cluster
  - vtops.vitess.roll
  - vtops.vitess.attributes
  - vtops.vitess.attributes.actiongroup_vitess
options:
  evict_timeout:
    description:
      - Seconds to go on asking while a PodDisruptionBudget refuses the eviction.
      - With vitess-operator, seconds to wait for each of the change to be scheduled and the Pod to be deleted.
    type: float
    default: 120.0
  ready_timeout:
    description: Seconds to wait for the new Pod to be Ready.
    type: float
    default: 600.0
  image_timeout:
    description: Seconds after which an image that cannot be pulled ends the wait early.
    type: float
    default: 60.0
seealso:
  - module: vtops.vitess.tablet_drain
  - module: vtops.vitess.vtgate_readmit
"""

EXAMPLES = r"""
- name: Replace its Pod
  vtops.vitess.pod_replace:
    namespace: vitess
    tablet: zone1-0000000101
"""

RETURN = r"""
tablet:
  description: The tablet's alias.
  returned: always
  type: str
  sample: zone1-0000000101
before:
  description: The tablet as it was.
  returned: success
  type: dict
  sample: {type: REPLICA, pod: commerce-x-80-1}
after:
  description: The tablet as it is now, or would be.
  returned: success
  type: dict
  sample: {type: DRAINED, pod: commerce-x-80-1}
phases:
  description: Seconds that each phase took, in order, with its start in seconds since the epoch.
  returned: always
  type: list
  elements: dict
  sample: [{phase: look, seconds: 0.41, started: 1790000000.123}]
gates:
  description: Every gate that was evaluated, with verdict (V(pass), V(fail), V(deferred), V(overridden)) and reason; of a failure only the red ones.
  returned: always
  type: list
  elements: dict
  sample: [{gate: enough_ackers_remain, verdict: pass, reason: zone1-0000000102 ack}]
claim:
  description: The claim under which it was done.
  returned: success
  type: dict
  sample: {name: vtops-shard-commerce-x-80, roll: nightly-42, held: true}
progress:
  description:
    - The lines that told of its waits. Where the connection is local they are shown while it waits, else when the task ends.
  returned: when it waited for more than 3 seconds
  type: list
  elements: str
  sample: ["zone1-0000000101: pod_replace: waiting for claim vtops-shard-commerce-x-80: 3 of at most 60 s: held by another roll"]
failure:
  description: Why it stopped, with tablet, step, gate, reason, the state that was left, and the next command.
  returned: failure
  type: dict
  sample:
    tablet: zone1-0000000101
    step: tablet_drain
    gate: not_primary
    reason: the shard record names it as primary
    state: nothing was changed
    next_command: vtctldclient GetTablets --keyspace commerce --shard -80
    resume_command: run the same playbook again
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.operation import execute
from ..module_utils.operations import pod_replace


def main() -> None:
    module = AnsibleModule(argument_spec=pod_replace.argument_spec(), supports_check_mode=True)
    result = execute("pod_replace", module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
