#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: roll_plan
short_description: Put tablets into the order in which a roll takes them
version_added: 0.1.0
description:
  - Shard by shard; in a shard what an earlier run left in flight first, then RDONLY, REPLICA, and the primary last.
  - Refuses, before anything is touched, a selection that is empty, that holds an unknown alias, a primary without its replicas,
    an owner that cannot be driven,
    a version step that skips a major, or a shard that can never spare a tablet.
author:
  - vtops contributors (@vtops)
extends_documentation_fragment:
  - vtops.vitess.cluster
  - vtops.vitess.attributes.info_module
  - vtops.vitess.attributes.actiongroup_vitess
options:
  tablets:
    description: Aliases of the tablets to roll.
    type: list
    elements: str
    required: true
  wanted_since:
    description: Instead of what the owners' specs say now, an RFC 3339 time; Pods created before it are to be replaced. A time that is yet to come is refused.
    type: str
  mysql_series:
    description: The MySQL release series that what is wanted brings, for example V(8.4), where that is another than the one that runs.
    type: str
  accept_drained:
    description: Aliases of tablets that somebody else set to DRAINED and that are not to stop the roll.
    type: list
    elements: str
    default: []
  accept_no_route:
    description: Aliases of tablets that may be taken away although their clients find no other route of the type.
    type: list
    elements: str
    default: []
  override_gates:
    description:
      - Gates to pass for this roll although they are red, by name, each with the reason. What is passed so is in RV(notes).
      - Only those that guard requests or time and no data; C(docs/gates.md) says which. Any other is refused.
    type: dict
    default: {}
  shards_at_once:
    description: Of how many shards a tablet each is taken at the same time. Never two of a shard.
    type: int
    default: 1
  canary:
    description: With O(shards_at_once), how many tablets are taken alone before the first batch.
    type: int
    default: 0
  one_cell_at_once:
    description: With O(shards_at_once), whether a batch keeps to tablets of one cell.
    type: bool
    default: false
  replicas_wait:
    description:
      - As the roll will have it for M(vtops.vitess.shard_claim). Over 0, a primary may be selected without its shard's other tablets, which
        another slice of the roll replaces; primaries come at the end then.
    type: float
    default: 0.0
  wait_replicas_timeout:
    description: As the roll will have it for M(vtops.vitess.shard_reparent); a vtgate that does not buffer for so long is refused.
    type: float
    default: 3.0
  reparent_timeout:
    description: See O(wait_replicas_timeout).
    type: float
    default: 6.5
  plan:
    description:
      - The RV(document) of an earlier plan. The roll is then that plan, in its order.
      - Refused, naming each difference, where the world has moved since - a tablet is gone, what an owner wants or a tablet runs is
        another, one was made primary that comes before others of its shard, an option is another, the selection leaves one out - and where the
        document was edited. What the plan itself leads to is no difference, so a roll that was stopped goes on with the same plan.
    type: dict
  plan_hash:
    description:
      - The RV(hash) of a plan that O(keep) kept in the cluster; it is read from there and is O(plan) then.
    type: str
  keep:
    description:
      - Keep the plan in the cluster, in an immutable ConfigMap in vtctld's namespace that is named by its hash, so that a job in another
        container can be told to do it by O(plan_hash) alone. Needs the right to create ConfigMaps.
      - This is the only change that the module makes. A plan that is kept already is no change.
    type: bool
    default: false
  hold_before_reparent:
    description:
      - Put the primaries after the replicas of all shards, for a roll that is to stop before its first reparent.
      - With O(plan) the order is the plan's; refused where that was made without it.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Plan a roll of the whole fleet
  vtops.vitess.roll_plan:
    namespace: vitess
    tablets: "{{ groups['vitess_tablets'] }}"
  register: roll
  run_once: true

- name: Keep it, to be approved
  ansible.builtin.copy:
    content: "{{ roll.document | to_nice_json }}"
    dest: plan.json
    mode: "0644"
  delegate_to: localhost
  run_once: true

- name: Refuse what is not that plan any more
  vtops.vitess.roll_plan:
    namespace: vitess
    tablets: "{{ groups['vitess_tablets'] }}"
    plan: "{{ lookup('ansible.builtin.file', 'plan.json') }}"
  run_once: true

- name: Show it
  ansible.builtin.debug:
    msg: "{{ roll.text }}"
  run_once: true
"""

RETURN = r"""
order:
  description: The aliases, in order.
  returned: success
  type: list
  elements: str
  sample: [zone1-0000000102, zone1-0000000103, zone1-0000000101]
plan:
  description: Each tablet with action (V(replace), V(skip), V(finish)), reason, current and wanted image, wanted revision, and
    the tablets of its shard that come before it.
  returned: success
  type: list
  elements: dict
  sample:
    - tablet: zone1-0000000102
      shard: commerce/-80
      type: REPLICA
      action: replace
      reason: commerce-x-80-7d9f, wanted revision commerce-x-80-6c4b
      predicted: []
document:
  description: What can be approved and given as O(plan) - format, deciding options, batches, each tablet in order with what it runs and what is
    wanted, and their SHA-256. Lag, times and types are not in it.
  returned: success
  type: dict
  sample:
    format: 1
    options: {accept_drained: [], accept_no_route: [], shards_at_once: "1", wanted_since: ""}
    batches: [1]
    tablets:
      - tablet: zone1-0000000102
        shard: commerce/-80
        action: replace
        current: {revision: commerce-x-80-7d9f, image: "vitess/lite:v23.0.3"}
        wanted: {revision: commerce-x-80-6c4b, image: "vitess/lite:v24.0.2"}
    hash: 3a7bd3e2360a3d29eea436fcfb7e44c735d117c42d1c1835420b6b9942dd4f1b
batches:
  description: How many tablets of RV(order) are taken together, one number for each batch, for the C(serial) of a play.
  returned: success
  type: list
  elements: int
  sample: [1, 1, 1]
notes:
  description: What forbids nothing, and costs time or a choice - how long vtgates take to find a tablet at a new address, tablets that will
    serve before they have caught up, which step is the point of no return, which red gates are passed. They are in RV(text) too.
  returned: success
  type: list
  elements: str
  sample: ["point of no return: step 3, the reparent away from zone1-0000000101; hold_before_reparent stops before it, with everything else done"]
hash:
  description: That of RV(document), which names the plan.
  returned: success
  type: str
  sample: 3a7bd3e2360a3d29eea436fcfb7e44c735d117c42d1c1835420b6b9942dd4f1b
forecast:
  description: How long it will take, from tablets that were replaced before, or else from how long the Pods took to get Ready and how often
    vtgates look for new addresses; how many reparents, and what the vtgates' buffers hold. Seconds. It is in RV(text) in words, and in
    RV(document) beside what the hash covers.
  returned: success
  type: dict
  sample: {tablets: 6, batches: 6, tablet_s: 52.3, reparents: 2, reparent_s: 1.5, least_s: 214, most_s: 465, source: 4 tablets replaced before,
           buffer_window_s: 10.0, buffer_size: 1000, tablet_hours_away: 0.09}
paused:
  description: Why no roll may take a tablet now; empty where nobody paused them.
  returned: success
  type: str
  sample: ""
asked:
  description: The shards whose vtgates, mysqlds, nodes and volumes were asked as well, the first ones of the plan; of the others
    the plan knows what the lists of topology, Pods and owners say. Each step proves everything anew before it acts.
  returned: success
  type: list
  elements: str
  sample: [commerce/-80, commerce/80-]
left:
  description: How many tablets are not as wanted.
  returned: success
  type: int
  sample: 3
text:
  description: The plan for people.
  returned: success
  type: str
  sample: "  1. zone1-0000000102 commerce/-80 REPLICA replace: ..."
failure:
  description: Why it stopped, with step, reason and the next command.
  returned: failure
  type: dict
  sample: {tablet: the fleet, step: roll_plan, reason: the selection is empty}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.operation import execute
from ..module_utils.operations import roll_plan


def main() -> None:
    module = AnsibleModule(argument_spec=roll_plan.argument_spec(), supports_check_mode=True)
    result = execute("roll_plan", module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
