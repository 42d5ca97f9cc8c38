#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: shard_reparent
short_description: Move a shard's primary away from a tablet
version_added: 0.1.0
description:
  - Runs one PlannedReparentShard to a caught-up replica that already runs what is wanted, if the tablet is the primary; else does nothing.
  - Waits before for the vtgates' minimum gap between failovers and for old transactions, and holds a second claim on the
    keyspace, so that no two shards of it are reparented at once.
  - Done when the shard record, mysqld and every vtgate agree, and no vtgate's buffer skipped or evicted a request.
  - Never runs an emergency reparent.
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
    default: 60.0
  new_primary:
    description: Alias of the tablet to promote. Without it the fit replica that has executed most.
    type: str
  avoid_nodes:
    description: Nodes that are being emptied; no tablet there becomes primary.
    type: list
    elements: str
    default: []
  wait_replicas_timeout:
    description:
      - C(--wait-replicas-timeout) in seconds.
      - The sum of O(wait_replicas_timeout) and O(reparent_timeout) must be below the buffer window of every vtgate that
        watches the shard.
    type: float
    default: 3.0
  reparent_timeout:
    description: Seconds after which the command is given up and its outcome is looked at; see O(wait_replicas_timeout).
    type: float
    default: 6.5
  agree_timeout:
    description: Seconds to wait until every vtgate serves the new primary.
    type: float
    default: 60.0
  keyspace_wait:
    description: Seconds to wait for another reparent of the keyspace to end.
    type: float
    default: 120.0
  hold_before_reparent:
    description: >-
      Stop instead of reparenting, as a failure that begins with C(held before reparent). All other gates are looked at first. For a
      roll that is to go up to its point of no return.
    type: bool
    default: false
seealso:
  - module: vtops.vitess.tablet_drain
"""

EXAMPLES = r"""
- name: Move the primary away from the tablet
  vtops.vitess.shard_reparent:
    namespace: vitess
    tablet: zone1-0000000103
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
  sample: ["zone1-0000000101: shard_reparent: waiting for claim vtops-shard-commerce-x-80: 3 of at most 60 s: held by another roll"]
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
  description: Which transactions were cut, and by which policy.
  returned: changed
  type: dict
  sample: {policy: wait, cut: 0}
prs:
  description: Start and end of the reparent in seconds since the epoch, and the new primary.
  returned: changed
  type: dict
  sample: {started: 1790000000.1, ended: 1790000001.9, new_primary: zone1-0000000101}
buffer:
  description: By how much each vtgate's buffer counters of the shard grew.
  returned: changed
  type: dict
  sample: {vtgate-0: {BufferRequestsBuffered: 40, BufferRequestsDrained: 40, BufferRequestsEvicted: 0, BufferRequestsSkipped: 0}}
old_primary:
  description: The tablet after the reparent.
  returned: changed
  type: dict
  sample: {type: REPLICA, pod: commerce-x-80-2}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.operation import execute
from ..module_utils.operations import shard_reparent


def main() -> None:
    module = AnsibleModule(argument_spec=shard_reparent.argument_spec(), supports_check_mode=True)
    result = execute("shard_reparent", module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
