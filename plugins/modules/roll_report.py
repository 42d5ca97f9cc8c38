#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: roll_report
short_description: Report what a roll did, as a page and as JSON
version_added: 0.1.0
description:
  - Made from the journal in the shards' Leases and from the fleet as it is, so at any time - while a roll runs, and after one that ended,
    failed, was killed or was resumed. Nothing is written to the cluster.
  - Per tablet the phases with their times, versions before and now, how long it was away, what failed with the reason and the next command;
    per shard how many were away at once, and reparents; what is done, left and in flight; options that passed a gate;
    tablet-hours beside those of a second fleet.
  - What nobody wrote down is V(null), and RV(report.unknown) names it.
  - The same journal and the same fleet make the same files, byte for byte.
author:
  - vtops contributors (@vtops)
extends_documentation_fragment:
  - vtops.vitess.cluster
  - vtops.vitess.attributes
  - vtops.vitess.attributes.actiongroup_vitess
options:
  dest:
    description:
      - A directory, made if needed, for C(vtops-report.html) and C(vtops-report.json); or the name of the page, ending in C(.html), with the
        data beside it as C(.json). On the host that runs the module. Without it no file is written.
    type: path
  keyspaces:
    description: Only these keyspaces.
    type: list
    elements: str
    default: []
  shards:
    description: Only these shards, as C(keyspace/shard).
    type: list
    elements: str
    default: []
  tablets:
    description: Only these tablets, by alias.
    type: list
    elements: str
    default: []
  rolls:
    description:
      - Ids of the rolls to report. Without it and O(since) it is the newest in the journal, with those that it went on with - a roll of
        which it finished a tablet, or that wanted the same revision in the same shard.
      - The journal keeps the last roll of each tablet, and the newest 30 tablets of each shard.
    type: list
    elements: str
    default: []
  since:
    description: An RFC 3339 time; only tablets on which something was done after it.
    type: str
  wanted_since:
    description: As the roll had it, so that what is left is known; see M(vtops.vitess.roll_plan).
    type: str
  plan:
    description: The RV(vtops.vitess.roll_plan#module:document) of the plan that was approved, to compare with.
    type: dict
  plan_hash:
    description: Instead of O(plan), the RV(vtops.vitess.roll_plan#module:hash) of one that is kept in the cluster.
    type: str
  probe_summary:
    description: A JSON file with the result of M(vtops.vitess.client_probe), or with the summary in it; on the host that runs the module.
    type: path
  ledger:
    description:
      - Instead of O(probe_summary), the ledger's directory of M(vtops.vitess.client_probe); on the host that runs the module.
      - The reparents that the journal has are counted apart, from the command's begin to its end.
    type: path
seealso:
  - module: vtops.vitess.roll_plan
  - module: vtops.vitess.client_probe
"""

EXAMPLES = r"""
- name: Report the newest roll
  vtops.vitess.roll_report:
    namespace: vitess
    dest: /var/www/rolls
  run_once: true

- name: Report two runs of one roll, with what its clients saw
  vtops.vitess.roll_report:
    namespace: vitess
    rolls: [nightly-41, nightly-42]
    ledger: /var/tmp/probe
    dest: nightly.html
  run_once: true
"""

RETURN = r"""
report:
  description: What the JSON file holds. Times are UTC in RFC 3339, durations are seconds, what is not known is V(null).
  returned: success
  type: dict
  sample:
    verdict: 3 of 3 tablets done
    rolls: [nightly-42]
    started_at: "2026-11-23T12:00:00.000Z"
    last_at: "2026-11-23T12:04:10.120Z"
    seconds: 250.12
    counts: {done: 3, failed: 0, in_flight: 0, left: 0, as_wanted: 0}
  contains:
    verdict:
      description: What is done, failed, in flight and left, in one sentence.
      type: str
      returned: success
      sample: 2 of 3 tablets done, 1 failed
    complete:
      description: Whether nothing is left, in flight or failed.
      type: bool
      returned: success
      sample: false
    rolls:
      description: The ids of the rolls in it.
      type: list
      elements: str
      returned: success
      sample: [nightly-42]
    counts:
      description: Tablets by state - done, failed, in flight, left, and as wanted without this roll.
      type: dict
      returned: success
      sample: {done: 2, failed: 1, in_flight: 0, left: 0, as_wanted: 0}
    next_command:
      description: What to run next; empty where there is nothing left to do.
      type: str
      returned: success
      sample: mend what the failure names, then run the same playbook again
    cost:
      description: Tablet-hours that were away, that this roll needed on top, and that a second fleet would have needed for the same time.
      type: dict
      returned: success
      sample: {tablets: 6, away: 0.067, extra: 0.0, blue_green_extra: 0.58}
    forecast:
      description: O(plan) against what was done.
      type: dict
      returned: success
      sample: {replace: 3, done: 2, left: [zone1-0000000101], unplanned: [], order_kept: true, seconds: null}
    pace:
      description: Median of seconds for a tablet that is done, and what that makes for the rest; V(null) where nothing is left or nothing is done.
      type: dict
      returned: success
      sample: {seconds_per_tablet: 57.3, seconds_for_rest: 57.3}
    probe:
      description: What the clients saw.
      type: dict
      returned: success
      sample: {requests: 71792, errors: 0, longest_write_gap_s: 1.5}
    unknown:
      description: What nobody wrote down.
      type: list
      elements: str
      returned: success
      sample: ["what was planned: no plan was given"]
    shards:
      description: Each shard with its tablets, in the order in which the roll took them.
      type: list
      elements: dict
      returned: success
      sample: [{shard: commerce/-80, away_at_once: 1, away_seconds: 120.5, tablets: []}]
complete:
  description: See RV(report.complete).
  returned: success
  type: bool
  sample: true
text:
  description: The report in a few lines.
  returned: success
  type: str
  sample: "3 of 3 tablets done\n250 s from first to last act, 240 s of them at work"
files:
  description: Paths of the page and of the data; empty without O(dest).
  returned: success
  type: dict
  sample: {html: /var/www/rolls/vtops-report.html, json: /var/www/rolls/vtops-report.json}
failure:
  description: Why it stopped, with step, reason and the next command.
  returned: failure
  type: dict
  sample: {tablet: the fleet, step: roll_report, reason: "the topology has no shard commerce/-40"}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.operation import execute
from ..module_utils.operations import roll_report


def main() -> None:
    module = AnsibleModule(argument_spec=roll_report.argument_spec(), supports_check_mode=True)
    result = execute("roll_report", module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
