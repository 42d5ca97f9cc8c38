#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tablet_spec
short_description: Put images, resources, placing or flags into the spec of the tablets' owners
version_added: 0.1.0
description:
  - Changes the Pod template of the owners of the chosen tablets, and no Pod; a roll brings the tablets to it.
  - Supported owner is a StatefulSet with the update strategy OnDelete. One with RollingUpdate is refused by its name, as its controller
    would replace Pods at once; every other owner is refused by its kind. Of vitess-operator the VitessCluster is to be changed.
  - Before the first owner is written, every one is proved; the change is sent as a dry run, so that what admission refuses is known, and the
    new Pod of each tablet must have a place on a node that its volume allows, beside what other Pods request and the other tablets of
    this call. A refusal names node, what is asked for and what is free.
  - Holds the claims of the shards while it writes. It is refused while another roll holds one of them; the same roll keeps it.
  - Each write carries the C(resourceVersion) that was read. Where somebody else wrote in between, it is read, decided and proved again, at most
    five times.
  - The template that was there is kept in an annotation of the owner, and O(state=previous) puts it back exactly.
  - What the options do not name stays as it is. Quantities are compared by value, V(1000m) is V(1).
  - Waits until the owner's controller has seen the new spec.
author:
  - vtops contributors (@vtops)
extends_documentation_fragment:
  - vtops.vitess.cluster
  - vtops.vitess.attributes
  - vtops.vitess.attributes.actiongroup_vitess
options:
  tablets:
    description:
      - Aliases of the tablets. One owner has one spec for all of its tablets, so all of these must be chosen.
      - Without it every tablet of O(keyspace), and of O(shard) where that is given.
    type: list
    elements: str
    default: []
  keyspace:
    description: Only tablets of this keyspace.
    type: str
  shard:
    description: Only tablets of this shard of O(keyspace).
    type: str
  state:
    description:
      - V(present) puts in what the other options say.
      - V(previous) puts back the template that was there before this module changed it last, and takes none of the other options. It is refused
        where somebody else changed the spec since. A template that no Pod got Ready with is not what comes back; it is the one before.
    type: str
    choices: [present, previous]
    default: present
  vttablet_image:
    description: Image of the container C(vttablet), and of each init container that has the same image as that one now.
    type: str
  mysqld_image:
    description: Image of the container C(mysqld).
    type: str
  mysql_series:
    description: >-
      The MySQL release series that O(mysqld_image) brings. It is refused before anything is written where the image's tag says another one,
      or where that is no step that MySQL documents from what each mysqld reports.
    type: str
  images_together:
    description: Let tablets come back with new images of both containers at once. Without it that is refused; roll the first before the second.
    type: bool
    default: false
  resources:
    description: What containers request and may use, by resource. What is not named stays; a quantity that is empty is removed.
    type: dict
    suboptions:
      mysqld:
        description: Of the container C(mysqld).
        type: dict
        suboptions:
          requests:
            description: Quantities by resource.
            type: dict
          limits:
            description: Quantities by resource.
            type: dict
      vttablet:
        description: Of the container C(vttablet).
        type: dict
        suboptions:
          requests:
            description: Quantities by resource.
            type: dict
          limits:
            description: Quantities by resource.
            type: dict
  node_selector:
    description: The Pods' C(nodeSelector) as a whole; an empty one removes it.
    type: dict
  affinity:
    description: The Pods' C(affinity) as a whole; an empty one removes it.
    type: dict
  tolerations:
    description: The Pods' C(tolerations) as a whole; an empty list removes them.
    type: list
    elements: dict
  flags:
    description:
      - Flags of the programs, by name, for example C(queryserver-config-pool-size). One that is there is replaced where it stands, any
        other is added at the end, and one without a value is removed. C(-) and C(_) in names are the same.
      - Refused where the flags cannot be edited safely - the command is a shell or is left to the image, a flag is there twice - and for flags that say
        which tablet it is or hold a password.
    type: dict
    suboptions:
      mysqld:
        description: Of C(mysqlctld) or C(mysqld) in the container C(mysqld).
        type: dict
      vttablet:
        description: Of C(vttablet) in the container of that name.
        type: dict
  roll:
    description: Id of the roll that acts. Without it one is made for this ansible-playbook.
    type: str
  claim_wait:
    description: Seconds to wait for a shard that another roll holds and renews; then it fails, naming the holder.
    type: float
    default: 0.0
  observe_timeout:
    description: Seconds to wait for the owners' controller to see what was written.
    type: float
    default: 30.0
seealso:
  - module: vtops.vitess.roll_plan
  - module: vtops.vitess.pod_replace
"""

EXAMPLES = r"""
- name: Give mysqld more room, in one shard
  vtops.vitess.tablet_spec:
    namespace: vitess
    keyspace: commerce
    shard: '-80'
    resources:
      mysqld:
        requests: {cpu: 4, memory: 16Gi}
        limits: {memory: 16Gi}

- name: Show what a new version would change
  vtops.vitess.tablet_spec:
    namespace: vitess
    keyspace: commerce
    vttablet_image: vitess/lite:v24.0.2
  check_mode: true
  diff: true

- name: Put back what was there before
  vtops.vitess.tablet_spec:
    namespace: vitess
    keyspace: commerce
    state: previous
"""

RETURN = r"""
owners:
  description: The owners, each with its tablets, whether it was changed, and the revision that its tablets are to run.
  returned: success
  type: list
  elements: dict
  sample:
    - owner: StatefulSet/commerce-x-80
      namespace: vitess
      tablets: [zone1-0000000101, zone1-0000000102, zone1-0000000103]
      changed: true
      revision: commerce-x-80-6b4f6957cf
before:
  description: By owner, what can be changed here, as it was. Of the command lines only the flags that are asked for.
  returned: success
  type: dict
  sample: {vitess/commerce-x-80: {containers: {mysqld: {image: "mysql:9.7", resources: {requests: {cpu: 150m}}}}}}
after:
  description: The same as it is now, or would be.
  returned: success
  type: dict
  sample: {vitess/commerce-x-80: {containers: {mysqld: {image: "mysql:9.7", resources: {requests: {cpu: "4"}}}}}}
notes:
  description: What forbids nothing, and is good to know - which Pods were not counted, tablets that a stopped roll left in flight.
  returned: success
  type: list
  elements: str
  sample: []
progress:
  description:
    - The lines that told of its waits. Where the connection is local they are shown while it waits, else when the task ends.
  returned: when it waited for more than 3 seconds
  type: list
  elements: str
  sample: ["commerce/-80: tablet_spec: waiting for claim vtops-shard-commerce-x-80: 3 of at most 60 s: held by another roll"]
failure:
  description: Why it stopped, with step, gate, reason, what was written and what was not, and the next command.
  returned: failure
  type: dict
  sample:
    tablet: commerce/-80
    step: tablet_spec
    gate: new_pod_has_a_place
    reason: "zone1-0000000102: worker-1 has too little cpu (asks 6.1, 3.5 are free)"
    state: nothing was changed
    next_command: kubectl describe nodes
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.operation import execute
from ..module_utils.operations import tablet_spec


def main() -> None:
    module = AnsibleModule(argument_spec=tablet_spec.argument_spec(), supports_check_mode=True)
    result = execute("tablet_spec", module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
