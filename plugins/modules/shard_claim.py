#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: shard_claim
short_description: Claim a tablet's shard for one roll
version_added: 0.1.0
description:
  - Takes, renews or releases the Lease that one roll holds on the shard of a tablet, or says who holds it.
  - A holder that ran on this host and is gone is taken over at once, any other when its Lease was not renewed for 60 seconds.
  - The journal of what was taken stays in the Lease's annotations when it is released.
author:
  - vtops contributors (@vtops)
extends_documentation_fragment:
  - vtops.vitess.cluster
  - vtops.vitess.attributes
  - vtops.vitess.attributes.actiongroup_vitess
options:
  tablet:
    description: Alias of a tablet of the shard.
    type: str
    required: true
  keyspace:
    description: Keyspace of the tablet. It is looked up where it is not given, with O(shard).
    type: str
  shard:
    description: Shard of the tablet. It is looked up where it is not given, with O(keyspace).
    type: str
  roll:
    description: Id of the roll. Without it one is made for this ansible-playbook.
    type: str
  claim_wait:
    description:
      - Seconds to wait for a shard that another roll holds and renews; then it fails, naming the holder.
      - A holder of another host that does not renew is watched for 60 seconds whatever this is, and then taken over; the first
        renewal that is seen refuses the shard. One that is seen to run on this host is refused at once.
    type: float
    default: 0.0
  replicas_wait:
    description:
      - Where the tablet is its shard's primary, seconds to wait, before the claim is taken, until every other tablet of the shard is as
        wanted. For a roll that is divided into slices, of which another one replaces those.
    type: float
    default: 0.0
  wanted_revision:
    description: With O(replicas_wait), the revision that tablets of this tablet's owner must run. Without it, what the owner's spec says now.
    type: str
  wanted_since:
    description: With O(replicas_wait), instead of a revision an RFC 3339 time; a Pod that was created before it is not as wanted.
    type: str
  state:
    description:
      - V(present) takes or renews the claim, V(query) only looks.
      - V(absent) releases it if it is ours, or was left by a roll of this host that runs no more.
    type: str
    choices: [present, absent, query]
    default: present
seealso:
  - module: vtops.vitess.tablet_drain
"""

EXAMPLES = r"""
- name: Claim the shard, waiting up to ten minutes for another roll
  vtops.vitess.shard_claim:
    namespace: vitess
    tablet: zone1-0000000101
    roll: nightly-42
    claim_wait: 600
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
  description: Every gate that was evaluated, with verdict (V(pass), V(fail), V(deferred)) and reason; of a failure only the red ones.
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
  sample: ["zone1-0000000101: shard_claim: waiting for claim vtops-shard-commerce-x-80: 3 of at most 60 s: held by another roll"]
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
journal:
  description: By alias, what the rolls of this shard took and brought back.
  returned: success
  type: dict
  sample: {zone1-0000000101: {original_type: REPLICA, finished: 1790000000.0}}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.operation import execute
from ..module_utils.operations import shard_claim


def main() -> None:
    module = AnsibleModule(argument_spec=shard_claim.argument_spec(), supports_check_mode=True)
    result = execute("shard_claim", module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
