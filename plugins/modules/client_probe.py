#!/usr/bin/python
# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: client_probe
short_description: Be a client of every vtgate while a fleet is changed, and count what it meets
version_added: 0.1.0
description:
  - Starts a process that reads, writes and runs transactions through every vtgate at a fixed rate, beside the tasks
    that follow, and that counts every error, every slow answer, every stale read and every lost write.
  - Each vtgate gets four kinds of request. B(read) is a read on C(@replica), B(write) an autocommit insert,
    B(transaction) is C(BEGIN), C(INSERT), C(SELECT), C(COMMIT) on the primary, and B(replica_transaction) is C(BEGIN),
    C(SELECT), C(SELECT), C(COMMIT) on C(@replica). Each shard gets its part of each.
  - Requests are due on a fixed schedule, whether or not earlier ones were answered, and their time counts from the
    moment that they were due, so a stall is never hidden. An answer later than O(answer_limit) is an error.
  - A read is B(stale) when a row that was acknowledged more than O(stale_after) seconds before it was sent is not in
    its answer. By how much is measured with rows that are 2, 4, 8, 16 and 32 times as old.
  - Writes go to O(table) only. Each writes a row of its own, and at the end all rows are read back from the primaries,
    so an acknowledged write that was lost is found. Rows are left in the table.
  - The process belongs to no task. It ends with O(state=stopped), at O(deadline), or when the ansible-playbook that
    started it ends. Its ledger grows line by line, so nothing is lost if it is killed.
  - The process runs where the module runs, so use it on the controller, or on a host that is like the clients.
  - It knows vtgates by O(vtgates) only. The options that say how to reach a cluster are accepted and not used, so that
    C(module_defaults) of C(group/vtops.vitess.vitess) fit a play that also runs the probe; O(login_user) and the
    options beside it are used; the password is handed on in memory, never on a command line or in a file.
options:
  namespace:
    description: Not used.
    type: str
    required: false
  state:
    description:
      - With V(started) the probe runs when the task returns. One that runs already in O(ledger) is left alone.
      - With V(stopped) it is ended, its rows are read back and its summary is returned.
      - With V(summary) the summary of the newest run in O(ledger) is returned, whether it runs, was stopped or was
        killed.
    type: str
    choices: [started, stopped, summary]
    default: started
  ledger:
    description:
      - Directory for the ledger and the state of the probe, made if needed. One probe can run in a directory at a time.
    type: path
    required: true
  vtgates:
    description:
      - Every vtgate process at an address of its own, as C(host:port) or as a dictionary with the keys C(host),
        C(port) and C(name). A load balancer's address would hide which vtgate failed.
      - Needed for O(state=started). With O(state=summary) it lets the module read the rows back for a probe that was
        killed.
    type: list
    elements: raw
    default: []
  keyspace:
    description: The keyspace of O(table). Needed for O(state=started).
    type: str
  table:
    description:
      - A table that the probe may write to. It needs the columns C(id) (bigint, primary key, and the column of the
        primary vindex where the keyspace is sharded), C(vtgate) (varchar(32)), C(kind) (varchar(16)), C(value) and C(at_us)
        (bigint).
      - Needed for O(state=started).
    type: str
  rate:
    description: Requests per second of each kind at each vtgate.
    type: float
    default: 25
  fresh_share:
    description:
      - Share of the requests, from 0 to 1, that open a connection of their own. The others use persistent ones.
    type: float
    default: 0.2
  max_connections:
    description:
      - Most connections of one kind to one vtgate for one shard, as an application's pool has its limit. A request that
        is due while all of them wait for an answer is sent when one is free, and fails if that takes longer than
        O(answer_limit).
      - More than the half of vttablet's transaction pool (20 by default) at two vtgates can make vttablet refuse
        transactions after a stall.
    type: int
    default: 10
  answer_limit:
    description: An answer that comes more than this many seconds after the request was due is an error.
    type: float
    default: 5
  stale_after:
    description: A read must see every row that was acknowledged more than this many seconds before.
    type: float
    default: 30
  deadline:
    description: Seconds after which the load ends, whatever happens.
    type: float
    default: 3600
  stay_with:
    description:
      - Pid of the process with which the probe ends. By default it is the ansible-playbook that the module runs under.
      - Use V(0) for none, for example where the probe must outlive the playbook.
    type: int
  reparents:
    description:
      - The planned reparents, as the servers recorded them. A transaction whose C(BEGIN) was acknowledged before such
        an interval, and which failed within it, is counted in RV(summary.errors_open_transactions) and not in
        RV(summary.errors).
    type: list
    elements: dict
    default: []
    suboptions:
      keyspace:
        description: Its keyspace.
        type: str
        required: true
      shard:
        description: Its shard.
        type: str
        required: true
      start:
        description: When it began, in ISO 8601 or in seconds since 1970.
        type: str
        required: true
      end:
        description: When it was done, in ISO 8601 or in seconds since 1970.
        type: str
        required: true
  clock_margin:
    description: Seconds by which the servers' clocks may differ from that of the probe, for O(reparents).
    type: float
    default: 0
extends_documentation_fragment:
  - vtops.vitess.cluster
  - vtops.vitess.attributes.actiongroup_vitess
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details: In check mode no process is started or ended, no vtgate is asked, and the task is marked as skipped.
  diff_mode:
    description:
      - Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: none
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
requirements:
  - PyMySQL >= 1.0
  - Linux (C(/proc))
author:
  - vtops contributors (@vtops)
"""

EXAMPLES = r"""
- name: Be a client of both vtgates while the fleet is rolled
  vtops.vitess.client_probe:
    state: started
    ledger: /var/tmp/probe
    vtgates:
      - name: vtgate-0
        host: 192.0.2.10
        port: 3306
      - 192.0.2.11:3306
    keyspace: commerce
    table: probe
    login_user: app
    login_password: "{{ vault_probe_password }}"
    deadline: 7200
  run_once: true

- name: Stop it
  vtops.vitess.client_probe:
    state: stopped
    ledger: /var/tmp/probe
    reparents:
      - keyspace: commerce
        shard: "-80"
        start: "2026-11-23T12:00:00.250Z"
        end: "2026-11-23T12:00:01.900Z"
  register: probe

- name: No client may have seen an error, and no acknowledged write may be lost
  ansible.builtin.assert:
    that:
      - probe.summary.errors == 0
      - probe.summary.acked_lost == 0
"""

RETURN = r"""
probe:
  description: The probe's process.
  returned: for O(state=started), outside check mode
  type: dict
  contains:
    run:
      description: Name of the run.
      type: str
      sample: 20261123T120000-4711
    pid:
      description: Its pid.
      type: int
      sample: 4712
    ledger:
      description: Path of its ledger.
      type: str
      sample: /var/tmp/probe/ledger-20261123T120000-4711.jsonl
    stays_with:
      description: Pid of the process with which it ends, null where there is none.
      type: int
      sample: 4700
summary:
  description:
    - The figures of the run. Times are in seconds, points in time in UTC.
  returned: for O(state=stopped) and O(state=summary), where there is a run
  type: dict
  contains:
    run:
      description: Name of the run.
      type: str
    running:
      description: Whether the probe's process runs.
      type: bool
    stop_reason:
      description: Why the load ended; null while it runs, and where it was killed.
      type: str
      sample: stopped
    started_at:
      description: When the load began.
      type: str
      sample: "2026-11-23T12:00:00.000Z"
    stopped_at:
      description: When the last request was due.
      type: str
      sample: "2026-11-23T12:05:00.000Z"
    seconds:
      description: Length of the run.
      type: float
    requests:
      description: All requests.
      type: int
      sample: 60000
    requests_by_kind:
      description: Requests of each kind.
      type: dict
    requests_fresh:
      description: Requests on a fresh connection.
      type: int
    rate_by_kind:
      description: Requests per second of each kind, over all vtgates.
      type: dict
    errors:
      description: Failed requests, late answers included, without the two counts that follow.
      type: int
      sample: 0
    errors_open_transactions:
      description: Transactions that were open across one of O(reparents).
      type: int
      sample: 0
    own_faults:
      description: Failures of the probe's own host, such as no free port, or a request that it sent too late itself.
      type: int
      sample: 0
    errors_by_kind:
      description: RV(summary.errors) of each kind.
      type: dict
    errors_by_code:
      description: RV(summary.errors) by MySQL's error number, or by the step where there is none.
      type: dict
    errors_by_vtgate:
      description: RV(summary.errors) of each vtgate.
      type: dict
    first_errors:
      description: The first errors, each with time, kind, vtgate, shard, connection, step, code and text.
      type: list
      elements: dict
    first_errors_open_transactions:
      description: The first of RV(summary.errors_open_transactions).
      type: list
      elements: dict
    first_own_faults:
      description: The first of RV(summary.own_faults).
      type: list
      elements: dict
    latency:
      description: For each kind p50, p99 and max of the good answers, from the moment that they were due.
      type: dict
      sample: {"read": {"p50": 0.003, "p99": 0.011, "max": 0.6}}
    longest_stall_s:
      description: For each kind, the longest time in which one vtgate answered none of one shard well.
      type: dict
    longest_write_gap_s:
      description:
        - The longest time between two acknowledged autocommit writes of one vtgate to one shard, the start and the end
          of
          the run included.
      type: float
      sample: 1.2
    longest_write_gap_s_by_vtgate:
      description: The same for each vtgate.
      type: dict
    longest_write_gap_s_by_shard:
      description: The same for each shard.
      type: dict
    longest_write_gap_s_anywhere:
      description: The longest time in which no vtgate had any write acknowledged.
      type: float
    write_gaps:
      description: Write gaps of half a second and more, the longest first.
      type: list
      elements: dict
    stale_reads:
      description: Reads that missed a row acknowledged more than O(stale_after) seconds before.
      type: int
      sample: 0
    stalest_read_s:
      description: Age of the oldest row that a read missed.
      type: float
    acked:
      description: Rows whose write was acknowledged.
      type: int
    found:
      description: Acknowledged rows that were found at the end; null while it runs.
      type: int
    acked_lost:
      description: Acknowledged rows that were not found; null while it runs.
      type: int
      sample: 0
    lost_rows:
      description: The ids of the first of them.
      type: list
      elements: int
    found_unacked:
      description: Rows that were found although their write was not acknowledged.
      type: int
    rows_error:
      description: Why the rows could not be read back.
      type: str
    cpu_s:
      description: CPU time of the probe.
      type: float
    cpu_s_per_1000_requests:
      description: The same per 1000 requests.
      type: float
    latest_dispatch_s:
      description: By how much the probe itself was late with a request, at worst.
      type: float
"""

import os
import traceback
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..module_utils.arguments import cluster_spec
from ..module_utils.clients.login import PYMYSQL_IMPORT_ERROR, login_from
from ..module_utils.errors import EdgeError
from ..module_utils.executor import Process
from ..module_utils.probe.load import Settings
from ..module_utils.probe.process import READ_BACK, Plan, start, state_of, stop, summary
from ..module_utils.probe.times import reparents_from
from ..module_utils.probe.vtgate import (
    Dialler,
    ProbeError,
    parse_targets,
    rows_found,
)

# A play that sets the group's connection options once must be able to run the probe too.
UNUSED: dict[str, dict[str, Any]] = {
    name: {key: value for key, value in option.items() if key != "required"} for name, option in cluster_spec().items()
}

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **UNUSED,
    "state": {"type": "str", "choices": ["started", "stopped", "summary"], "default": "started"},
    "ledger": {"type": "path", "required": True},
    "vtgates": {"type": "list", "elements": "raw", "default": []},
    "keyspace": {"type": "str", "no_log": False},
    "table": {"type": "str"},
    "rate": {"type": "float", "default": 25},
    "fresh_share": {"type": "float", "default": 0.2},
    "max_connections": {"type": "int", "default": 10},
    "answer_limit": {"type": "float", "default": 5},
    "stale_after": {"type": "float", "default": 30},
    "deadline": {"type": "float", "default": 3600},
    "stay_with": {"type": "int"},
    "reparents": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "keyspace": {"type": "str", "required": True, "no_log": False},
            "shard": {"type": "str", "required": True},
            "start": {"type": "str", "required": True},
            "end": {"type": "str", "required": True},
        },
    },
    "clock_margin": {"type": "float", "default": 0},
}


def plan_from(params: dict[str, Any]) -> Plan:
    """The run that the options ask for.

    :raises ProbeError: for a vtgate that can't be read
    :raises ValueError: for a number that makes no sense
    """
    for name in ("rate", "max_connections", "answer_limit", "stale_after", "deadline"):
        if not params[name] > 0:
            raise ValueError(f"{name} must be above 0")
    if not 0 <= params["fresh_share"] <= 1:
        raise ValueError("fresh_share must be from 0 to 1")
    settings = Settings(
        **{
            name: params[name]
            for name in (
                "keyspace",
                "table",
                "rate",
                "fresh_share",
                "max_connections",
                "answer_limit",
                "stale_after",
            )
        }
    )
    targets = tuple(parse_targets(params["vtgates"]))
    return Plan(targets, login_from(params), settings, os.path.abspath(params["ledger"]), params["deadline"])


def companion(stay_with: int | None) -> Process | None:
    """The process with which the probe ends.

    :raises ProbeError: when the one that was named doesn't run
    """
    if stay_with == 0:
        return None
    if stay_with is None:
        return Process.playbook()
    found = Process.of(stay_with)
    if found is None:
        raise ProbeError(f"there is no process {stay_with} to stay with")
    return found


def run_started(module: AnsibleModule) -> dict[str, Any]:
    """Start the probe."""
    plan = plan_from(module.params)
    if module.check_mode:
        state = state_of(plan.directory)
        changed = state is None or not state.running
        return {"changed": changed, "skipped": True, "msg": "check mode: no probe is started, so there are no figures"}
    with_whom = companion(module.params["stay_with"])
    if with_whom is None and module.params["stay_with"] is None:
        module.warn("no ansible-playbook runs above this module, so only the deadline ends the probe")
    state, changed = start(plan, with_whom)
    probe = {"run": state.run, "pid": state.pid, "ledger": state.ledger, "stays_with": state.stays_with}
    return {"changed": changed, "probe": probe}


def run_stopped(module: AnsibleModule) -> dict[str, Any]:
    """Stop the probe, if it runs, and sum up."""
    directory = os.path.abspath(module.params["ledger"])
    state = state_of(directory)
    running = state is not None and state.running
    if module.check_mode:
        return {"changed": running, "skipped": True, "msg": "check mode: no probe is stopped"}
    if state is None:
        return {"changed": False, "msg": f"no probe was ever started in {directory}"}
    changed = stop(directory, READ_BACK + 6 * module.params["answer_limit"])
    return {"changed": changed, **summed_up(module, directory)}


def run_summary(module: AnsibleModule) -> dict[str, Any]:
    """Sum up."""
    directory = os.path.abspath(module.params["ledger"])
    if module.check_mode and state_of(directory) is None:
        return {"changed": False, "skipped": True, "msg": "check mode: no probe was started, so there are no figures"}
    return {"changed": False, **summed_up(module, directory)}


def summed_up(module: AnsibleModule, directory: str) -> dict[str, Any]:
    """The summary, with the rows read back where the probe could not do so and the vtgates are known."""
    params = module.params
    read_back = None
    if params["vtgates"] and params["keyspace"] and params["table"] and not module.check_mode:
        dialler = Dialler(parse_targets(params["vtgates"]), login_from(params), 2 * params["answer_limit"])

        def read_back(first: int, end: int) -> set[int]:
            return rows_found(dialler, params["keyspace"], params["table"], first, end, READ_BACK)

    reparents = reparents_from(params["reparents"])
    return {"summary": summary(directory, reparents, params["clock_margin"], read_back=read_back).as_dict()}


def main() -> None:
    """Run as a module."""
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        supports_check_mode=True,
        required_if=[("state", "started", ("vtgates", "keyspace", "table"))],
        required_by={"login_client_key": ("login_client_cert",)},
    )
    if PYMYSQL_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("PyMySQL"), exception=PYMYSQL_IMPORT_ERROR)
    run = {"started": run_started, "stopped": run_stopped, "summary": run_summary}[module.params["state"]]
    try:
        result = run(module)
    except (ProbeError, EdgeError, ValueError, OSError) as error:
        module.fail_json(msg=f"client_probe {module.params['state']}: {error}", exception=traceback.format_exc())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
