# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What vtctldclient prints, and what becomes of it."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.clients.vtctld import (
    STATUSES_AT_ONCE,
    LocalTransport,
    Vtctld,
    in_its_own_words,
    parse_alias,
    parse_blocks,
    parse_canary,
    parse_full_status,
    parse_rows,
    parse_shard_records,
    parse_tablet,
    parse_time,
    parse_type,
    parse_work,
)
from ansible_collections.vtops.vitess.plugins.module_utils.errors import (
    EdgeError,
    OutcomeUnknown,
    Refused,
    Unreachable,
)
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import (
    NOT_ASKED,
    Alias,
    Migration,
    Mysqld,
    TabletType,
    Work,
)
from ansible_collections.vtops.vitess.tests.unit.factories import PRIMARY, REPLICA, SIBLING


class Printer:
    """A vtctldclient that prints one text and remembers what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer if isinstance(answer, str) else json.dumps(answer)
        self.asked: list[list[str]] = []
        self.limits: list[float] = []

    def run(self, arguments: list[str], timeout_s: float) -> str:
        self.asked.append(arguments)
        self.limits.append(timeout_s)
        return self.answer


def a_vtctld(transport: Any, timeout_s: float = 15.0) -> Vtctld:
    return Vtctld(transport, timeout_s)


RECORD = {
    "alias": {"cell": "zone1", "uid": 101},
    "hostname": "10.244.1.7",
    "port_map": {"grpc": 15999, "vt": 15000},
    "keyspace": "commerce",
    "shard": "-80",
    "type": 1,
    "mysql_hostname": "10.244.1.7",
    "mysql_port": 3306,
    "primary_term_start_time": {"seconds": "1790000000", "nanoseconds": 5},
}


# -- tablets and shards


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (0, TabletType.UNKNOWN),
        (1, TabletType.PRIMARY),
        (2, TabletType.REPLICA),
        (3, TabletType.RDONLY),
        (4, TabletType.SPARE),
        (5, TabletType.EXPERIMENTAL),
        (6, TabletType.BACKUP),
        (7, TabletType.RESTORE),
        (8, TabletType.DRAINED),
        (9, TabletType.UNKNOWN),
        ("DRAINED", TabletType.DRAINED),
        ("replica", TabletType.REPLICA),
        ("KING", TabletType.UNKNOWN),
        (None, TabletType.UNKNOWN),
    ],
)
def test_a_type_is_a_number_or_a_name(value: Any, kind: TabletType) -> None:
    assert parse_type(value) == kind


def test_tablets_are_read_strictly_and_of_one_shard() -> None:
    printer = Printer([RECORD])
    (tablet,) = a_vtctld(printer).tablets("commerce", "-80")
    assert printer.asked[0][2:] == [
        "GetTablets",
        "--format",
        "json",
        "--strict",
        "--keyspace",
        "commerce",
        "--shard",
        "-80",
    ]
    assert (tablet.alias, tablet.type, tablet.hostname) == (PRIMARY, TabletType.PRIMARY, "10.244.1.7")
    assert (tablet.mysql_hostname, tablet.mysql_port) == ("10.244.1.7", 3306)
    assert tablet.primary_term_start == "1790000000.000000005"


def test_get_tablet_gives_the_type_by_name() -> None:
    assert a_vtctld(Printer({**RECORD, "type": "DRAINED"})).tablet(PRIMARY).type == TabletType.DRAINED


def test_a_tablet_that_shut_down_has_a_blank_address() -> None:
    record = {"alias": {"cell": "zone1", "uid": 102}, "keyspace": "commerce", "shard": "-80", "type": 2}
    tablet = parse_tablet(record)
    assert (tablet.hostname, tablet.mysql_port, tablet.primary_term_start) == ("", 0, "")


def test_a_tablets_tags_are_those_of_its_record() -> None:
    assert parse_tablet({**RECORD, "tags": {"pool": "web"}}).tags == {("pool", "web")}
    assert parse_tablet({**RECORD, "tags": None}).tags == frozenset()


def test_a_record_without_an_alias_is_an_error() -> None:
    with pytest.raises(EdgeError, match="without an alias"):
        parse_tablet({"keyspace": "commerce"})


def test_no_tablets_are_an_empty_list() -> None:
    assert a_vtctld(Printer("null")).tablets() == ()


def test_the_shard_record_names_the_primary_and_its_terms_start() -> None:
    shard = {"primary_alias": {"cell": "zone1", "uid": 101}, "primary_term_start_time": {"seconds": "1790000000"}}
    assert a_vtctld(Printer({"keyspace": "commerce", "name": "-80", "shard": shard})).shard_primary(
        "commerce", "-80"
    ) == (
        PRIMARY,
        "1790000000.000000000",
    )


def test_a_shard_without_a_primary_has_none() -> None:
    assert a_vtctld(Printer({"shard": {}})).shard_primary("commerce", "-80") == (None, "")


@pytest.mark.parametrize("record", [None, {}, {"cell": "", "uid": 0}])
def test_an_alias_that_is_not_set_is_none(record: Any) -> None:
    assert parse_alias(record) is None


def test_an_alias_with_uid_0_is_one() -> None:
    assert parse_alias({"cell": "zone1"}) == Alias("zone1", 0)


@pytest.mark.parametrize("record", [None, {}, {"seconds": "0"}, {"seconds": 0, "nanoseconds": 7}])
def test_a_time_that_is_not_set_is_empty(record: Any) -> None:
    assert parse_time(record) == ""


@pytest.mark.parametrize(
    ("answer", "name"),
    [({"keyspace": {"durability_policy": "semi_sync"}}, "semi_sync"), ({"keyspace": {}}, ""), ({}, "")],
)
def test_the_durability_policy_is_the_keyspaces(answer: Any, name: str) -> None:
    whole = {**parse_blocks(WHOLE), "durability": (0, json.dumps(answer))}
    assert parse_shard_records(whole, True).durability == name


# -- GetFullStatus

REPLICA_STATUS: dict[str, Any] = {
    "server_uuid": "aaaa",
    "version": "8.4.6",
    "read_only": True,
    "super_read_only": True,
    "semi_sync_replica_status": True,
    "replication_status": {
        "position": "MySQL56/bbbb:1-7",
        "io_state": 3,
        "sql_state": 3,
        "source_host": "10.0.0.101",
        "source_port": 3306,
        "source_uuid": "bbbb",
        "replication_lag_seconds": 4,
    },
}


def test_a_replicas_status() -> None:
    status = parse_full_status(REPLICA_STATUS)
    assert (status.server_uuid, str(status.gtid_executed), status.version) == ("aaaa", "bbbb:1-7", "8.4.6")
    assert (status.read_only, status.super_read_only, status.semi_sync_replica) == (True, True, True)
    assert (status.io_running, status.sql_running, status.replicating) == (True, True, True)
    assert (status.source_host, status.source_port, status.source_uuid) == ("10.0.0.101", 3306, "bbbb")
    assert status.lag_s == 4.0


def test_a_primarys_status_has_no_lag_and_the_position_of_its_own() -> None:
    status = parse_full_status(
        {"server_uuid": "bbbb", "primary_status": {"position": "MySQL56/bbbb:1-9"}, "semi_sync_primary_status": True}
    )
    assert (str(status.gtid_executed), status.lag_s, status.read_only) == ("bbbb:1-9", None, False)
    assert (status.semi_sync_primary, status.replicating) == (True, False)


@pytest.mark.parametrize(("state", "runs"), [(0, False), (1, False), (2, False), (3, True), (None, False)])
def test_only_state_3_is_a_running_thread(state: int | None, runs: bool) -> None:
    """2 is connecting: it looks alive and replicates nothing."""
    replication = {**REPLICA_STATUS["replication_status"], "io_state": state, "sql_state": state}
    status = parse_full_status({**REPLICA_STATUS, "replication_status": replication})
    assert (status.io_running, status.sql_running) == (runs, runs)


def test_an_unknown_lag_is_none_and_not_0() -> None:
    replication = {**REPLICA_STATUS["replication_status"], "replication_lag_unknown": True}
    assert parse_full_status({**REPLICA_STATUS, "replication_status": replication}).lag_s is None


def test_a_lag_of_0_is_left_out_by_protojson_and_still_0() -> None:
    replication = {**REPLICA_STATUS["replication_status"]}
    replication.pop("replication_lag_seconds")
    assert parse_full_status({**REPLICA_STATUS, "replication_status": replication}).lag_s == 0.0


@pytest.mark.parametrize("error", ["last_io_error", "last_sql_error"])
def test_the_last_error_of_either_thread_is_kept(error: str) -> None:
    replication = {**REPLICA_STATUS["replication_status"], error: "Got fatal error 1236"}
    assert parse_full_status({**REPLICA_STATUS, "replication_status": replication}).last_error == "Got fatal error 1236"


def test_an_empty_status_knows_nothing_and_runs_nothing() -> None:
    status = parse_full_status({})
    assert (status.server_uuid, bool(status.gtid_executed), status.replicating, status.lag_s) == (
        "",
        False,
        False,
        None,
    )


# -- ExecuteFetchAsDBA


def test_rows_as_sqltypes_prints_them() -> None:
    assert parse_rows({"rows": [["7", 95], ["8", None]]}) == [["7", "95"], ["8", ""]]


def test_rows_as_the_protocol_buffer_prints_them() -> None:
    values = base64.b64encode(b"795").decode()
    assert parse_rows({"rows": [{"lengths": ["1", "2"], "values": values}]}) == [["7", "95"]]


def test_null_in_the_protocol_buffer_has_length_minus_1() -> None:
    values = base64.b64encode(b"78").decode()
    assert parse_rows({"rows": [{"lengths": ["1", "-1", "1"], "values": values}]}) == [["7", "", "8"]]


def test_lengths_in_the_protocol_buffer_count_bytes_and_not_characters() -> None:
    values = base64.b64encode("jürgen42".encode()).decode()
    assert parse_rows({"rows": [{"lengths": ["7", "2"], "values": values}]}) == [["jürgen", "42"]]


@pytest.mark.parametrize("answer", [{}, {"rows": None}, {"rows": []}])
def test_no_rows_are_none(answer: Any) -> None:
    assert parse_rows(answer) == []


# -- commands and limits


def test_every_command_has_a_time_limit_on_both_sides() -> None:
    printer = Printer([])
    a_vtctld(printer, timeout_s=15.0).tablets()
    assert printer.asked[0][:2] == ["--action-timeout", "15s"]
    assert printer.limits[0] > 15.0


def test_a_reparent_names_shard_new_and_expected_primary_and_waits_for_replicas() -> None:
    printer = Printer("")
    a_vtctld(printer).planned_reparent("commerce", "-80", REPLICA, PRIMARY, 4.0, timeout_s=6.5)
    assert printer.asked == [
        [
            "--action-timeout",
            "6.5s",
            "PlannedReparentShard",
            "commerce/-80",
            "--new-primary",
            "zone1-0000000102",
            "--expected-primary",
            "zone1-0000000101",
            "--wait-replicas-timeout",
            "4s",
        ]
    ]
    assert printer.limits[0] > 6.5


def test_a_type_is_changed_by_its_lower_case_name() -> None:
    printer = Printer("")
    a_vtctld(printer).change_type(REPLICA, TabletType.DRAINED)
    assert printer.asked[0][2:] == ["ChangeTabletType", "zone1-0000000102", "drained"]


def test_an_answer_that_was_cut_off_is_an_error_with_its_end() -> None:
    with pytest.raises(EdgeError, match="GetTablets answered no JSON"):
        a_vtctld(Printer('[{"alias": {"cell"')).tablets()


# -- a local binary


def a_program(tmp_path: Path, code: str) -> list[str]:
    script = tmp_path / "vtctldclient"
    script.write_text(code)
    return [sys.executable, "-S", str(script)]


def test_a_local_binary_gets_the_arguments_and_gives_its_output(tmp_path: Path) -> None:
    run = LocalTransport(a_program(tmp_path, "import sys; print(sys.argv[1:])"))
    assert run.run(["GetTablet", "zone1-1"], 10.0) == "['GetTablet', 'zone1-1']\n"


def test_a_local_binary_that_fails_is_refused_with_its_words_and_code(tmp_path: Path) -> None:
    run = LocalTransport(a_program(tmp_path, "import sys; print('no such node', file=sys.stderr); sys.exit(3)"))
    with pytest.raises(Refused, match="no such node") as refusal:
        run.run(["GetTablet"], 10.0)
    assert refusal.value.status == 3


def test_a_local_binary_that_does_not_end_has_an_unknown_outcome(tmp_path: Path) -> None:
    run = LocalTransport(a_program(tmp_path, "import time; time.sleep(60)"))
    with pytest.raises(OutcomeUnknown, match="no end after"):
        run.run(["ChangeTabletType"], 0.05)


def test_a_local_binary_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="nowhere"):
        LocalTransport([str(tmp_path / "nowhere")]).run(["GetTablet"], 1.0)


# -- a whole shard in one call

PRIMARY_ALIAS = '"primary_alias": {"cell": "zone1", "uid": 101}, '
VTCTLDCLIENT = """
case "$*" in
  *"GetTablets --format json --strict --keyspace commerce --shard -80")
    echo '[ { "alias": { "cell": "zone1", "uid": 101 },'
    echo '    "hostname": "h", "port_map": { "grpc": 16000 }, "type": 1 },'
    echo '  { "alias": { "cell": "zone1", "uid": 102 }, "hostname": "i", "type": 2 },'
    echo '  { "alias": { "cell": "zone1", "uid": 103 }, "port_map": { "grpc": 16000 }, "type": 2 } ]';;
  *"GetShard commerce/-80")
    echo '{"shard": {"primary_alias": {"cell": "zone1", "uid": 101}, "primary_term_start_time": {"seconds": "7"}}}';;
  *"GetKeyspace commerce") echo '{"keyspace": {"durability_policy": "semi_sync"}}';;
  *"--action-timeout 3s GetFullStatus zone1-0000000101") echo '{"server_uuid": "aaaa"}';;
  *"GetFullStatus zone1-0000000102") echo "E1124 rpc error: code = Unavailable desc = no socket" >&2; exit 1;;
  *) echo "unexpected: $*" >&2; exit 9;;
esac
"""


def shell(tmp_path: Path, code: str = VTCTLDCLIENT) -> Vtctld:
    program = tmp_path / "vtctldclient.sh"
    program.write_text(code)
    return Vtctld(LocalTransport(["sh", str(program), "--server", "localhost:15999"]))


def test_the_script_reads_a_whole_shard_and_one_mysqld_that_is_silent_hides_no_other(tmp_path: Path) -> None:
    records = shell(tmp_path).shard_records("commerce", "-80")
    assert [t.alias for t in records.tablets] == [PRIMARY, REPLICA, SIBLING]
    assert (records.primary, records.primary_term_start, records.durability) == (PRIMARY, "7.000000000", "semi_sync")
    status = records.statuses[PRIMARY]
    assert isinstance(status, Mysqld)
    assert status.server_uuid == "aaaa"
    assert records.statuses[REPLICA] == "no socket"


def test_each_mysqld_that_is_silent_has_its_own_reason(tmp_path: Path) -> None:
    code = VTCTLDCLIENT.replace("""echo '{"server_uuid": "aaaa"}'""", "sleep 0.2; echo 'desc = too many' >&2; exit 1")
    statuses = shell(tmp_path, code).shard_records("commerce", "-80").statuses
    assert (statuses[PRIMARY], statuses[REPLICA]) == ("too many", "no socket")


def test_a_warning_beside_a_status_hides_it_not(tmp_path: Path) -> None:
    warning = """echo '{"time":"2026-11-24T03:00:00Z","level":"WARN","msg":"old"}' >&2; echo "W1124 x] old" >&2; """
    code = VTCTLDCLIENT.replace("""echo '{"server_uuid": "aaaa"}'""", warning + """echo '{"server_uuid": "aaaa"}'""")
    status = shell(tmp_path, code).shard_records("commerce", "-80").statuses[PRIMARY]
    assert isinstance(status, Mysqld)
    assert status.server_uuid == "aaaa"


def test_mysqlds_are_asked_side_by_side_and_not_all_of_a_large_shard_at_once(tmp_path: Path) -> None:
    """A vtctldclient needs memory in the vtctld Pod; one after the other they would make the first one's answer old."""
    uids = range(101, 101 + 2 * STATUSES_AT_ONCE + 1)
    tablets = [{"alias": {"cell": "zone1", "uid": uid}, "hostname": "h"} for uid in uids]
    (tmp_path / "tablets").write_text(json.dumps(tablets))
    code = f"""
case "$*" in
  *GetTablets*) cat {tmp_path}/tablets;;
  *GetShard*) echo '{{}}';;
  *GetFullStatus*) cd {tmp_path}; : >"run.$$"; sleep 0.2; ls run.* | wc -l >>"$0.beside"; rm "run.$$"; echo '{{"server_uuid": "a"}}';;
esac"""
    statuses = shell(tmp_path, code).shard_records("commerce", "-80", durability=False).statuses
    assert len(statuses) == len(uids)
    assert [status for status in statuses.values() if not isinstance(status, Mysqld)] == []
    assert max(int(line) for line in (tmp_path / "vtctldclient.sh.beside").read_text().split()) == STATUSES_AT_ONCE


def test_the_script_asks_no_tablet_that_has_no_address(tmp_path: Path) -> None:
    """vtctld would dial its own port instead, until the time limit."""
    asked = tmp_path / "asked"
    records = shell(tmp_path, f'echo "$*" >> {asked}\n{VTCTLDCLIENT}').shard_records("commerce", "-80")
    assert records.statuses[SIBLING] == "the tablet is shut down"
    assert "GetFullStatus zone1-0000000103" not in asked.read_text()


def test_the_script_asks_only_for_what_is_not_known(tmp_path: Path) -> None:
    code = VTCTLDCLIENT.replace("GetKeyspace commerce", "nothing").replace("GetFullStatus", "nothing")
    records = shell(tmp_path, code).shard_records("commerce", "-80", statuses=False, durability=False)
    assert records.durability is None
    assert records.primary == PRIMARY


@pytest.mark.parametrize("command", ["GetTablets --format", "GetShard", "GetKeyspace"])
def test_a_topology_that_does_not_answer_is_refused_and_no_smaller_shard(tmp_path: Path, command: str) -> None:
    code = VTCTLDCLIENT.replace(command, "nothing")
    with pytest.raises(Refused, match="unexpected: ") as refusal:
        shell(tmp_path, code).shard_records("commerce", "-80")
    assert refusal.value.status == 9


WORK_ROWS = [["migration", "0f3c", "running", 1], ["migration", "11aa", "ready", 0], ["switch", "move", "Stopped", 1]]
ANSWERS = {"work": WORK_ROWS, "migrations": WORK_ROWS[:2], "switches": WORK_ROWS[2:]}


def sidecar(tmp_path: Path, missing: str = "", primary: bool = True) -> str:
    """A vtctldclient whose primary's _vt lacks a table."""
    rows = {}
    for name, answer in ANSWERS.items():
        rows[name] = tmp_path / f"{name}.json"
        rows[name].write_text(json.dumps({"rows": answer}))
    gone = f"""echo "E1124 desc = Table '_vt.{missing}' doesn't exist (errno 1146) (sqlstate 42S02)" >&2; exit 1"""
    absent = f"*_vt.{missing}*) {gone};;" if missing else ""
    return (VTCTLDCLIENT if primary else VTCTLDCLIENT.replace(PRIMARY_ALIAS, "")).replace(
        "  *) echo",
        f"""  *"ExecuteFetchAsDBA --json zone1-0000000101 "*) case "$*" in
    {absent}
    *UNION*) echo "W1124 a warning" >&2; cat {rows["work"]};;
    *schema_migrations*) cat {rows["migrations"]};;
    *vreplication*) cat {rows["switches"]};;
  esac;;
  *) echo""",
    )


def test_the_script_asks_the_primary_what_runs_in_the_shard(tmp_path: Path) -> None:
    assert shell(tmp_path, sidecar(tmp_path)).shard_records("commerce", "-80", work=True).work == Work(
        migrations=(Migration("0f3c", "running", at_cut_over=True), Migration("11aa", "ready")),
        switches=("move Stopped",),
    )


@pytest.mark.parametrize(
    ("missing", "work"),
    [
        ("schema_migrations", Work(switches=("move Stopped",))),
        ("vreplication", Work((Migration("0f3c", "running", True), Migration("11aa", "ready")))),
    ],
)
def test_a_table_that_the_sidecar_does_not_have_hides_no_other(tmp_path: Path, missing: str, work: Work) -> None:
    records = shell(tmp_path, sidecar(tmp_path, missing)).shard_records("commerce", "-80", work=True)
    assert records.work == work


def test_nobody_is_asked_where_it_is_not_known_who_is_primary(tmp_path: Path) -> None:
    work = shell(tmp_path, sidecar(tmp_path, primary=False)).shard_records("commerce", "-80", work=True).work
    assert "names no primary" in work.error


def test_what_runs_in_the_shard_is_not_asked_for_by_itself(tmp_path: Path) -> None:
    assert shell(tmp_path).shard_records("commerce", "-80").work == NOT_ASKED


WRITES = """
  *"--action-timeout 1.5s ExecuteFetchAsDBA --json zone1-0000000101 INSERT INTO _vt.semisync_heartbeat "*)
    echo "$*" >>"$0.written"; ANSWER;;
  *) echo"""


@pytest.mark.parametrize(
    ("answer", "canary"),
    [
        ("echo '{}'", ""),
        (
            "echo 'E1124 rpc error: code = DeadlineExceeded desc = context deadline exceeded' >&2; exit 1",
            "not within 1.5 s",
        ),
        ("echo 'E1124 desc = rpc error: code = Unknown desc = super-read-only' >&2; exit 1", "super-read-only"),
    ],
)
def test_the_script_writes_one_canary_on_the_primary_and_says_why_it_was_not_acknowledged(
    tmp_path: Path, answer: str, canary: str
) -> None:
    code = VTCTLDCLIENT.replace("  *) echo", WRITES.lstrip("\n").replace("ANSWER", answer))
    records = shell(tmp_path, code).shard_records("commerce", "-80", statuses=False, durability=False, canary=True)
    assert records.canary == canary
    assert (tmp_path / "vtctldclient.sh.written").read_text().count("INSERT") == 1


@pytest.mark.parametrize(("replica", "written"), [("false", False), ("true", True)])
def test_no_canary_is_written_where_nobody_would_acknowledge_it(tmp_path: Path, replica: str, written: bool) -> None:
    """It would hang for its whole time limit, and delay what must be put back now."""
    code = VTCTLDCLIENT.replace("  *) echo", WRITES.lstrip("\n").replace("ANSWER", "echo '{}'"))
    code = code.replace("""echo '{"server_uuid": "aaaa"}'""", """echo '{"semi_sync_primary_status": true}'""")
    code = code.replace(
        'echo "E1124 rpc error: code = Unavailable desc = no socket" >&2; exit 1',
        f"""echo '{{"semi_sync_replica_status": {replica}}}'""",
    )
    canary = shell(tmp_path, code).shard_records("commerce", "-80", canary=True).canary
    assert (canary == "", (tmp_path / "vtctldclient.sh.written").exists()) == (written, written)


def test_the_script_writes_nothing_where_it_is_not_known_who_is_primary_or_nobody_asked(tmp_path: Path) -> None:
    code = VTCTLDCLIENT.replace("  *) echo", WRITES.lstrip("\n").replace("ANSWER", "echo '{}'"))
    assert shell(tmp_path, code).shard_records("commerce", "-80").canary is None
    none = code.replace(PRIMARY_ALIAS, "")
    canary = shell(tmp_path, none).shard_records("commerce", "-80", canary=True).canary
    assert "no primary is known" in str(canary)
    assert not (tmp_path / "vtctldclient.sh.written").exists()


@pytest.mark.parametrize(
    ("blocks", "error"),
    [
        ({}, "names no primary"),
        (
            {"work": (1, ""), "migrations": (1, "desc = access denied"), "switches": (0, '{"rows": []}')},
            "access denied",
        ),
        ({"work": (0, '{"rows": [[')}, "cut off"),
    ],
)
def test_an_answer_that_is_not_whole_is_not_known(blocks: dict[str, tuple[int, str]], error: str) -> None:
    assert error in parse_work(blocks).error


WHOLE = '@@ tablets 0\n[{"alias": {"cell": "zone1", "uid": 101}, "hostname": "h"}]\n@@ shard 0\n{}\n'


def test_blocks_have_a_name_an_exit_code_and_a_text() -> None:
    assert parse_blocks("@@ a 0\n{}\n\n@@ b 1\n\n") == {"a": (0, "{}\n"), "b": (1, "\n")}
    assert parse_blocks("") == {}


@pytest.mark.parametrize("out", ["@@ tablets", "@@ tablets 0\n[]\n@@ sha", "@@ a x\n"])
def test_output_that_was_cut_off_in_a_head_is_an_error(out: str) -> None:
    with pytest.raises(EdgeError, match="cut off"):
        parse_blocks(out)


def test_output_that_was_cut_off_in_a_text_is_an_error() -> None:
    with pytest.raises(EdgeError, match="no JSON for tablets"):
        parse_shard_records(parse_blocks(WHOLE[:40]), False)


def test_a_status_that_is_missing_or_cut_off_is_no_status() -> None:
    missing = parse_shard_records(parse_blocks(WHOLE), False)
    assert missing.statuses == {PRIMARY: "no answer"}
    cut = parse_shard_records(parse_blocks(WHOLE + '@@ zone1-0000000101 0\n{"server_'), False)
    assert "cannot be read" in str(cut.statuses[PRIMARY])


def test_a_missing_durability_policy_is_refused_where_it_was_asked_for() -> None:
    with pytest.raises(Refused, match="durability"):
        parse_shard_records(parse_blocks(WHOLE), True)


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        (
            "E1124 02:56:53.681446     754 main.go:62] rpc error: code = Unknown desc = node doesn't exist: tablets/x",
            "node doesn't exist: tablets/x",
        ),
        ("rpc error: code = Unavailable desc = connection refused", "connection refused"),
        (
            (
                '{"time":"2026-11-24T04:57:15.16Z","level":"ERROR","source":{"file":"main.go","line":63},'
                '"msg":"rpc error: code = Unknown desc = node doesn\'t exist: tablets/x"}'
            ),
            "node doesn't exist: tablets/x",
        ),
        ('{"time":"2026', '{"time":"2026'),
        ("W1124 02:56:53.681446 1 a.go:1] slow\nsomething else", "slow\nsomething else"),
        ("no head", "no head"),
    ],
)
def test_an_operator_reads_what_vtctldclient_said_and_not_where_it_logged_it(said: str, plain: str) -> None:
    assert in_its_own_words(said) == plain


WARNING = '{"time":"2026-11-24T04:57:15.16Z","level":"WARN","source":{"file":"a.go","line":1},"msg":"slow"}'


def test_a_warning_in_json_beside_the_answer_hides_no_migration() -> None:
    """v24 logs JSON on standard error, which this block holds too; taken for the answer it would say that nothing runs."""
    answer = '{"rows": [["migration", "0f3c", "running", "0"]]}'
    work = parse_work({"work": (0, f"{WARNING}\n{answer}")})
    assert [migration.uuid for migration in work.migrations] == ["0f3c"]


def test_what_fails_in_v24_is_said_in_its_own_words() -> None:
    error = WARNING.replace("WARN", "ERROR").replace("slow", "rpc error: code = Unknown desc = no socket")
    assert parse_work({"work": (1, error), "migrations": (1, error), "switches": (1, error)}).error == "no socket"
    assert parse_canary({"canary": (1, error)}) == "no socket"
