#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tablet_recover
short_description: Bring back a tablet that is away by itself
version_added: 0.1.0
description:
  - Waits for what mends itself (the node, the Pod's owner, the kubelet, vtorc), each cause within its own bound, without a claim and without a write.
  - What is left after that it mends by one act, once, where all gates of that act are green. The Pod is evicted (policy/v1, with uid and
    resourceVersion as preconditions) so that its owner makes a new one, or replication is started. Then it waits again.
  - It takes nothing else away, never acts on a lost node without a fence, never on a PRIMARY that vtorc has not replaced, and never brings back
    errant GTIDs without O(accept_errant). That a volume is lost is reported; no volume is deleted.
  - M(vtops.vitess.vtgate_readmit) comes after it, and proves the tablet at every vtgate.
author:
  - vtops contributors (@vtops)
extends_documentation_fragment:
  - vtops.vitess.cluster
  - vtops.vitess.roll
  - vtops.vitess.attributes
  - vtops.vitess.attributes.actiongroup_vitess
options:
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
  owner_wait:
    description: 'Seconds for a Pod that its owner or the kubelet may mend (missing, failed, not scheduled, not pulled, crashing, not Ready).'
    type: float
    default: 300.0
  node_wait:
    description: 'Seconds for a node that is not Ready to come back.'
    type: float
    default: 300.0
  process_wait:
    description: 'Seconds for the kubelet to restart a mysqld or vttablet that is dead.'
    type: float
    default: 120.0
  replication_wait:
    description: 'Seconds for vtorc to start replication again.'
    type: float
    default: 60.0
  primary_wait:
    description: 'Seconds for vtorc to elect another primary, where the tablet is the shard''s. Past that it is reported, and never touched.'
    type: float
    default: 60.0
  stall_wait:
    description: 'Seconds in which a restore or a catch-up must get on: bytes, or the GTID position. As long as it does it is waited for.'
    type: float
    default: 600.0
  recover_timeout:
    description: 'Seconds for all of it.'
    type: float
    default: 86400.0
  quiet_period:
    description: 'Seconds after an act on a tablet in which there is no second one on it.'
    type: float
    default: 900.0
  evict_timeout:
    description: 'Seconds to go on asking while a PodDisruptionBudget refuses the eviction.'
    type: float
    default: 120.0
seealso:
  - module: vtops.vitess.tablet_diagnose
  - module: vtops.vitess.vtgate_readmit
"""

EXAMPLES = r"""
- name: Bring it back
  vtops.vitess.tablet_recover:
    namespace: vitess
    tablet: zone1-0000000102

- name: The machine is off, and its volume can be had elsewhere
  vtops.vitess.tablet_recover:
    namespace: vitess
    tablet: zone1-0000000102
    node_fenced:
      - worker-2
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
diagnosis:
  description: What was wrong, as M(vtops.vitess.tablet_diagnose) says it; of one that came back by itself, what is left to prove.
  returned: success
  type: dict
  sample:
    alias: zone1-0000000102
    ails: true
    cause: mysqld_dead
    evidence: vttablet in Pod commerce-x-80-1 answers, mysqld does not
    waits_for: the kubelet to restart mysqld
    mend: replace_pod
    may_act: true
    refusal: ""
    fingerprint: 9f86d081884c7d65
did:
  description: What was done about it.
  returned: success
  type: str
  sample: replace_pod
would:
  description: In check mode, what would be waited for, and then done.
  returned: in check mode, for a tablet that ails
  type: str
  sample: wait at most 120 s for the kubelet to restart mysqld, then replace_pod
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
from ..module_utils.operations import tablet_recover


def main() -> None:
    module = AnsibleModule(argument_spec=tablet_recover.argument_spec(), supports_check_mode=True)
    result = execute("tablet_recover", module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
