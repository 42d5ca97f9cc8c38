#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: component_spec
short_description: Give the Deployments of vtctld, vtgate or vtorc another image, and see their rollouts to the end
version_added: 0.1.0
description:
  - Sets the image of the Deployments of one component and waits, bounded, until the rollout is complete, each process reports the version and,
    for vtgate, each new one routes to every tablet that the old ones routed to. A rollout that is under way already is waited for too.
  - Before the first Deployment is written everything is proved. No major version is skipped, by what the processes report. What comes before
    in Vitess' order (vttablet, vtctld, vtgate, vtorc) reports the wanted version or a later one; of the tablets those that the vtgates watch.
    The rollout of vtgates takes none away before the next is Ready (C(maxUnavailable) 0, C(maxSurge) at least 1); that is checked, and not changed.
  - While it rolls, the claims of all keyspaces are held, so that no reparent of this collection begins. It waits for one that is pending.
  - Vtgates that leave drain by their own C(--onterm-timeout) and grace period; those that still do are in the result.
  - The template that was there is kept in an annotation of the Deployment, and O(state=previous) puts it back exactly.
  - A Deployment with a controller of its own (vitess-operator), and every other kind of owner, is refused.
author:
  - vtops contributors (@vtops)
extends_documentation_fragment:
  - vtops.vitess.cluster
  - vtops.vitess.attributes
  - vtops.vitess.attributes.actiongroup_vitess
options:
  component:
    description: Which program.
    type: str
    required: true
    choices: [vtctld, vtgate, vtorc]
  state:
    description: V(present) sets O(image), V(previous) puts back the template that was there before this module changed it last.
    type: str
    choices: [present, previous]
    default: present
  image:
    description: The image, with a version in its tag.
    type: str
  selector:
    description:
      - Labels of the Deployments' Pods, for example of one cell. Only equalities.
      - By default O(vtctld_selector), O(vtgate_selector), or C(planetscale.com/component=vtorc).
    type: str
  web_port:
    description: Where the program's C(/debug/vars) is. By default what its Pod's C(--port) says, else V(15000), of vtorc V(16000).
    type: int
  override_gates:
    description: V(components_are_in_order) may be passed, with the reason, where release notes want another order.
    type: dict
    default: {}
  roll:
    description: Id of the roll that acts. Without it one is made for this ansible-playbook.
    type: str
  keyspace_wait:
    description: Seconds to wait for a reparent that is pending in a keyspace.
    type: float
    default: 120.0
  rollout_timeout:
    description: Seconds to wait for the rollout of each Deployment.
    type: float
    default: 600.0
  route_timeout:
    description: Seconds to wait until each new process proves itself.
    type: float
    default: 180.0
seealso:
  - module: vtops.vitess.tablet_spec
"""

EXAMPLES = r"""
- name: Roll the vtgates of one cell to the version of its tablets
  vtops.vitess.component_spec:
    namespace: vitess
    component: vtgate
    selector: planetscale.com/component=vtgate,planetscale.com/cell=zone1
    image: vitess/lite:v24.0.2
"""

RETURN = r"""
component:
  description: Which program.
  returned: success
  type: str
  sample: vtgate
deployments:
  description: The Deployments, whether each was changed, and its image.
  returned: success
  type: list
  elements: dict
  sample: [{deployment: vitess/vtgate, changed: true, image: "vitess/lite:v24.0.2"}]
before:
  description: By Deployment, the images as they were.
  returned: success
  type: dict
  sample: {vitess/vtgate: {containers: {vtgate: {image: "vitess/lite:v23.0.3"}}}}
after:
  description: The same as it is now, or would be.
  returned: success
  type: dict
  sample: {vitess/vtgate: {containers: {vtgate: {image: "vitess/lite:v24.0.2"}}}}
terminating:
  description: Pods that still drain.
  returned: success
  type: list
  elements: str
  sample: []
notes:
  description: What forbids nothing, and is good to know.
  returned: success
  type: list
  elements: str
  sample: []
progress:
  description: The lines that told of its waits.
  returned: when it waited for more than 3 seconds
  type: list
  elements: str
  sample: []
failure:
  description: Why it stopped, with step, gate, reason, state and the next command.
  returned: failure
  type: dict
  sample: {tablet: vtgate, step: component_spec, gate: components_are_in_order, reason: "zone1-0000000101 reports 23.0.3"}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.operation import execute
from ..module_utils.operations import component_spec


def main() -> None:
    module = AnsibleModule(argument_spec=component_spec.argument_spec(), supports_check_mode=True)
    result = execute("component_spec", module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
