#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vtgate_readmit
short_description: Bring a tablet back into serving and prove it at every vtgate
version_added: 0.1.0
description:
  - Waits until nothing that the tablet had when it left is missing, replication runs from the present primary, and the lag is
    within O(max_lag).
  - A tablet that came back out of serving (C(--init-tablet-type-lookup), or the init type spare) gets its recorded type back
    only then; else it serves by itself, and what it served before is said.
  - Done when every vtgate that should see it shows it SERVING at its address, keeps no other entry, and a read through that
    tablet returns its own server uuid.
  - An empty volume or an errant GTID is a failure; a tablet that somebody else DRAINED is not touched.
author:
  - vtops contributors (@vtops)
extends_documentation_fragment:
  - vtops.vitess.cluster
  - vtops.vitess.roll
  - vtops.vitess.attributes
  - vtops.vitess.attributes.actiongroup_vitess
options:
  catch_up_timeout:
    description: Seconds to wait for the tablet to catch up.
    type: float
    default: 600.0
  route_timeout:
    description: Seconds to wait for every vtgate to route to it; a vtgate learns a new address at its next topology poll
      (C(--tablet-refresh-interval), 1 minute by default).
    type: float
    default: 180.0
  soak:
    description: Seconds to go on watching the shard after that; a tablet of it that gets away is a failure.
    type: float
    default: 0.0
  release:
    description: >-
      Release the shard when that is done. Without O(roll) that is always so; a roll that goes on with the shard keeps it, or releases
      it by M(vtops.vitess.shard_claim).
    type: bool
    default: false
  canary_tries:
    description: How many reads may be answered by other tablets, at a vtgate older than v24, before the canary fails.
    type: int
    default: 60
  accept_errant:
    description:
      - Aliases of tablets that may serve although they have executed what the primary has not.
      - Such a transaction may be read, and spreads to all others should that tablet be made primary. It is kept in the journal.
    type: list
    elements: str
    default: []
seealso:
  - module: vtops.vitess.tablet_drain
  - module: vtops.vitess.pod_replace
"""

EXAMPLES = r"""
- name: Bring it back
  vtops.vitess.vtgate_readmit:
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
  sample: ["zone1-0000000101: vtgate_readmit: waiting for claim vtops-shard-commerce-x-80: 3 of at most 60 s: held by another roll"]
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
held:
  description: Whether the tablet came back out of serving and was admitted by this module.
  returned: success and not in check mode
  type: bool
  sample: true
canary_reads:
  description: How many reads each vtgate needed until this tablet answered.
  returned: success and not in check mode
  type: dict
  sample: {vtgate-0: 1, vtgate-1: 2}
served_before_proof:
  description: Which vtgates routed to it before it had caught up, with the lag then; empty with held readmission.
  returned: changed and not in check mode
  type: dict
  sample: {}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.operation import execute
from ..module_utils.operations import vtgate_readmit


def main() -> None:
    module = AnsibleModule(argument_spec=vtgate_readmit.argument_spec(), supports_check_mode=True)
    result = execute("vtgate_readmit", module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
