#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tablet_drain
short_description: Take a tablet out of serving and prove that it is idle
version_added: 0.1.0
description:
  - Waits, bounded, for open transactions, evaluates every gate on a fresh read of the shard, sets the tablet to DRAINED, and
    waits until nothing runs on it.
  - The original type is written into the shard's claim before the change, so that a rerun or an abort can restore it.
  - A PRIMARY is refused; move it with M(vtops.vitess.shard_reparent) first.
  - A tablet that does not get idle in time is put back, and the module fails.
author:
  - vtops contributors (@vtops)
extends_documentation_fragment:
  - vtops.vitess.cluster
  - vtops.vitess.roll
  - vtops.vitess.attributes
  - vtops.vitess.attributes.actiongroup_vitess
options:
  transaction_policy:
    description:
      - What to do with transactions that are still open after O(transaction_wait).
      - V(wait) fails before anything is changed if one is older than O(transaction_limit), V(cut) goes on, V(skip) does not look.
    type: str
    choices: [wait, cut, skip]
    default: wait
  transaction_limit:
    description: Age in seconds from which an open transaction counts.
    type: float
    default: 2.0
  transaction_wait:
    description: Seconds to wait for open transactions.
    type: float
    default: 10.0
  idle_timeout:
    description: Seconds to wait until the drained tablet runs nothing any more.
    type: float
    default: 60.0
  idle_samples:
    description: How many looks in a row must find every pool empty.
    type: int
    default: 3
seealso:
  - module: vtops.vitess.pod_replace
  - module: vtops.vitess.vtgate_readmit
"""

EXAMPLES = r"""
- name: Take one replica out of serving
  vtops.vitess.tablet_drain:
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
  sample: ["zone1-0000000101: tablet_drain: waiting for claim vtops-shard-commerce-x-80: 3 of at most 60 s: held by another roll"]
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
transactions:
  description: How many transactions were open when it was drained, and by which policy.
  returned: changed
  type: dict
  sample: {policy: wait, cut: 0}
sessions:
  description: Sessions on its mysqld that do not come through vttablet.
  returned: changed
  type: list
  elements: str
  sample: [backup Query x1]
note:
  description: Why there was nothing to drain.
  returned: when its Pod was replaced already
  type: str
  sample: its Pod was replaced already
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.operation import execute
from ..module_utils.operations import tablet_drain


def main() -> None:
    module = AnsibleModule(argument_spec=tablet_drain.argument_spec(), supports_check_mode=True)
    result = execute("tablet_drain", module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
