# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""vtctldclient, run by exec in the vtctld Pod (its version always matches) or as a local binary; what it prints becomes data here."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from ..errors import EdgeError, OutcomeUnknown, Refused, Unreachable
from ..fleet import NOT_ASKED, Alias, Migration, Mysqld, Tablet, TabletType, Work
from ..gtid import GtidSet
from .kubernetes import KubernetesClient

STATUSES_AT_ONCE = 6  # a vtctldclient takes some 20 MB of the vtctld Pod
# One exec for a whole shard: starting a process in a container costs more than all of these commands. Blocks begin with
# a line "@@ NAME EXIT" and hold what was said on standard error too; the program is "$@". What does not need another's
# answer is asked side by side: the stages of a pipeline all ask at once, and each passes on the blocks before its own.
# No canary is written where a primary waits for acks and nobody gives any: it would only delay what is to be put back.
SHARD_SCRIPT = """
keyspace=$1 shard=$2 what=$3 limit=$4 migrations=$5 switches=$6 canary=$7 canary_limit=$8; shift 8
export GOMAXPROCS="${GOMAXPROCS:-1}" GOGC="${GOGC:-400}"
look() { name=$1; shift; out=$("$@" 2>&1 </dev/null); code=$?; cat; printf '@@ %s %s\\n%s\\n' "$name" "$code" "$out"; return "$code"; }
in_one_line() { printf '%s' "$seen" | tr -d ' \\n'; echo; }
topology() {
  look shard "$@" --action-timeout 10s GetShard "$keyspace/$shard" </dev/null |
    look tablets "$@" --action-timeout 10s GetTablets --format json --strict --keyspace "$keyspace" --shard "$shard" |
    case $what in *durability*) look durability "$@" --action-timeout 10s GetKeyspace "$keyspace";; *) cat;; esac
}
fetch() {
  name=$1 query=$2 time=$3; shift 3
  look "$name" "$@" --action-timeout "$time" ExecuteFetchAsDBA --json "$primary" "$query" </dev/null
}
statuses() {
  if [ -n "$some" ]; then
    alias=${some%% *} some=${some#* }
    statuses "$@" | look "$alias" "$@" --action-timeout "$limit" GetFullStatus "$alias"
  elif [ -n "$work" ]; then
    fetch work "$migrations UNION ALL $switches" "$limit" "$@" || {
      fetch migrations "$migrations" "$limit" "$@"
      fetch switches "$switches" "$limit" "$@"
    }
  fi
}
seen=$(topology "$@")
printf '%s\\n' "$seen"
primary=$(in_one_line | sed -n 's/.*"primary_alias":{"cell":"\\([^"]*\\)","uid":\\([0-9]*\\)}.*/\\1 \\2/p')
[ -z "$primary" ] || primary=$(printf '%s-%010d' $primary)
case $what,$primary in *work*,?*) work=yes;; *) work=;; esac
case $what in *status*) all=$(in_one_line | tr '{' '\\n' |
  sed -n 's/^"cell":"\\([^"]*\\)","uid":\\([0-9]*\\)},"hostname":"[^"].*/\\1 \\2/p' |
  while read -r cell uid; do printf '%s-%010d ' "$cell" "$uid"; done);; *) all=;; esac
seen=
while [ -n "$all$work" ]; do
  some= count=0
  while [ -n "$all" ] && [ "$count" -lt AT_ONCE ]; do some="$some${all%% *} " all=${all#* } count=$((count + 1)); done
  said=$(statuses "$@")
  printf '%s\\n' "$said"
  seen="$seen$said" work=
done
case $(in_one_line) in *'"semi_sync_primary_status":true'*)
  in_one_line | sed 's/@@/\\
&/g' | grep -v '"semi_sync_primary_status":true' | grep -q '"semi_sync_replica_status":true' || primary=;;
esac
case $what,$primary in *canary*,?*) fetch canary "$canary" "$canary_limit" "$@";; esac
exit 0
""".replace("AT_ONCE", str(STATUSES_AT_ONCE))

# What Vitess does in the shard, from the primary's sidecar database; vttablet puts its real name in the place of _vt.
# A migration is at its cut-over once it is ready to complete and nobody postponed that (go/vt/vttablet/onlineddl/executor.go).
MIGRATIONS = (
    "SELECT 'migration', migration_uuid, migration_status, ready_to_complete AND NOT postpone_completion "
    "FROM _vt.schema_migrations WHERE migration_status IN ('ready', 'running')"
)
# 'stopped for cutover', 'for cutover', 'synchronizing for cutover' (go/vt/vtctl/workflow/{traffic_switcher,stream_migrator}.go);
# a switch that is done leaves FROZEN, one that was cancelled leaves no message. An OnlineDDL's own stream is in the other list.
SWITCHES = (
    "SELECT 'switch', workflow, state, 1 FROM _vt.vreplication "
    "WHERE message LIKE '%for cutover' AND state IN ('Stopped', 'Running')"
)
NO_SUCH_TABLE = "errno 1146"
# A row of ours in the table that vttablet's own semi-sync monitor writes to and empties (v22 and later). The commit waits for
# its acks like any other. No other row will do: _vt.heartbeat is what the throttler measures lag with, and the length of
# _vt.reparent_journal decides an emergency reparent.
CANARY = "INSERT INTO _vt.semisync_heartbeat (ts) VALUES (CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED))"
# Longer is a stall that clients see, and would leave the rest of the evidence too old; vttablet's session waits on by itself.
CANARY_TIMEOUT_S = 1.5

RUNNING = 3  # replication.IoThreadState / SqlThreadState (go/mysql/replication/replication_state.go)
SLACK_S = 3.0
LOG_HEAD = re.compile(
    r"^[EWIF]\d{4} [\d:.]+ +\d+ [\w.]+:\d+\] (?:rpc error: code = \w+ desc = )?|^rpc error: code = \w+ desc = ",
    re.MULTILINE,
)
# A mysqld or vttablet that does not answer by then is away; waiting longer would only make the other evidence old.
STATUS_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class ExecTransport:
    """Runs vtctldclient in the first Ready vtctld Pod."""

    kube: KubernetesClient
    namespace: str
    pod: str
    container: str
    program: Sequence[str]

    def run(self, arguments: list[str], timeout_s: float) -> str:
        """One command; its standard output."""
        command = [*self.program, *arguments]
        return self.kube.exec(self.namespace, self.pod, self.container, command, timeout_s)[0]

    def script(self, script: str, arguments: list[str], timeout_s: float) -> str:
        """A shell script with arguments and then the program as its parameters; its standard output."""
        command = ["sh", "-c", script, "vtops", *arguments, *self.program]
        return self.kube.exec(self.namespace, self.pod, self.container, command, timeout_s, "the shard's script")[0]


@dataclass(frozen=True)
class LocalTransport:
    """Runs a vtctldclient on this machine, where exec is forbidden."""

    program: Sequence[str]

    def run(self, arguments: list[str], timeout_s: float) -> str:
        """One command; its standard output."""
        return self._run([*self.program, *arguments], timeout_s)

    def script(self, script: str, arguments: list[str], timeout_s: float) -> str:
        """A shell script with arguments and then the program as its parameters; its standard output."""
        return self._run(["sh", "-c", script, "vtops", *arguments, *self.program], timeout_s)

    @staticmethod
    def _run(command: list[str], timeout_s: float) -> str:
        try:
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                command, capture_output=True, text=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired as error:
            raise OutcomeUnknown(f"{command[0]}: no end after {timeout_s:.0f} s") from error
        except OSError as error:
            raise Unreachable(f"{command[0]}: {error}") from error
        if done.returncode:
            raise Refused((done.stderr or done.stdout).strip(), done.returncode)
        return done.stdout


Transport: TypeAlias = "ExecTransport | LocalTransport"


@dataclass(frozen=True)
class ShardRecords:
    """What one look at the topology and the mysqlds of a shard brought. statuses: a Mysqld, or why it did not answer."""

    tablets: tuple[Tablet, ...]
    primary: Alias | None
    primary_term_start: str
    durability: str | None
    statuses: dict[Alias, Mysqld | str]
    work: Work = NOT_ASKED
    canary: str | None = None  # as in Shard


class Vtctld:
    """The commands of vtctldclient that this collection uses. Every command runs under a time limit on both sides."""

    def __init__(self, transport: Transport, timeout_s: float = 15.0) -> None:
        self._transport = transport
        self.timeout_s = timeout_s
        self.status_timeout_s = STATUS_TIMEOUT_S

    def run(self, *arguments: str, timeout_s: float | None = None) -> str:
        """Raises Refused (its own words), Unreachable, OutcomeUnknown."""
        limit = timeout_s or self.timeout_s
        try:
            return self._transport.run(["--action-timeout", f"{limit:g}s", *arguments], limit + SLACK_S)
        except Refused as error:
            raise Refused(in_its_own_words(str(error)), error.status) from error

    def shard_records(
        self,
        keyspace: str,
        shard: str,
        statuses: bool = True,
        durability: bool = True,
        work: bool = False,
        canary: bool = False,
    ) -> ShardRecords:
        """Tablets, shard record, durability policy, every mysqld's status and what Vitess does in the shard, by one exec.

        canary: as the last thing, write one row on the primary, for its ack.
        """
        asked = {"status": statuses, "durability": durability, "work": work, "canary": canary}
        what = "+".join(word for word, wanted in asked.items() if wanted) or "topology"
        limits = f"{self.status_timeout_s:g}s", f"{CANARY_TIMEOUT_S:g}s"
        arguments = [keyspace, shard, what, limits[0], MIGRATIONS, SWITCHES, CANARY, limits[1]]
        blocks = parse_blocks(self._transport.script(SHARD_SCRIPT, arguments, self.timeout_s + SLACK_S))
        records = parse_shard_records(blocks, durability)
        return replace(
            records,
            work=parse_work(blocks) if work else NOT_ASKED,
            canary=parse_canary(blocks) if canary else None,
        )

    def _json(self, *arguments: str, timeout_s: float | None = None) -> Any:
        out = self.run(*arguments, timeout_s=timeout_s)
        try:
            return json.loads(out)
        except ValueError as error:
            raise EdgeError(f"vtctldclient {arguments[0]} answered no JSON (cut off?): {out[-120:]!r}") from error

    def tablets(self, keyspace: str = "", shard: str = "") -> tuple[Tablet, ...]:
        """The topology's records, read strictly: a cell that does not answer is an error and not a shorter list."""
        narrow = (["--keyspace", keyspace] if keyspace else []) + (["--shard", shard] if shard else [])
        return tuple(
            parse_tablet(item) for item in self._json("GetTablets", "--format", "json", "--strict", *narrow) or []
        )

    def tablet(self, alias: Alias) -> Tablet:
        """One record. Raises Refused where the topology has no such tablet."""
        return parse_tablet(self._json("GetTablet", str(alias)))

    def shard_primary(self, keyspace: str, shard: str) -> tuple[Alias | None, str]:
        """The shard record's primary and its term's start."""
        record = (self._json("GetShard", f"{keyspace}/{shard}") or {}).get("shard") or {}
        return parse_alias(record.get("primary_alias")), parse_time(record.get("primary_term_start_time"))

    def durability(self, keyspace: str) -> str:
        """The keyspace's durability policy, empty where none is set."""
        return str(((self._json("GetKeyspace", keyspace) or {}).get("keyspace") or {}).get("durability_policy") or "")

    def change_type(self, alias: Alias, kind: TabletType) -> None:
        """ChangeTabletType. Not idempotent in Vitess: read the type first."""
        self.run("ChangeTabletType", str(alias), str(kind).lower())

    def start_replication(self, alias: Alias) -> None:
        """StartReplication: its vttablet starts both threads, semi-sync as the durability policy says. Repeating it is no error."""
        self.run("StartReplication", str(alias))

    def planned_reparent(
        self, keyspace: str, shard: str, new: Alias, expected: Alias, wait_replicas_s: float, timeout_s: float
    ) -> str:
        """PlannedReparentShard; its outcome is proved elsewhere, not by this returning."""
        return self.run(
            "PlannedReparentShard",
            f"{keyspace}/{shard}",
            "--new-primary",
            str(new),
            "--expected-primary",
            str(expected),
            "--wait-replicas-timeout",
            f"{wait_replicas_s:g}s",
            timeout_s=timeout_s,
        )

    def query(self, alias: Alias, sql: str) -> list[list[str]]:
        """ExecuteFetchAsDBA; the rows, as text."""
        answer = self._json("ExecuteFetchAsDBA", "--json", str(alias), sql)
        return parse_rows(answer)


def in_its_own_words(errors: str) -> str:
    """What vtctldclient said, without the log line's head and gRPC's wrapping."""
    return LOG_HEAD.sub("", _messages(errors)).strip()


def _logged(line: str) -> str | None:
    """The message of a log line in JSON (v24 and later); None for any other line."""
    if not line.startswith('{"time":'):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return str(entry["msg"]) if "level" in entry and "msg" in entry else None


def _messages(text: str) -> str:
    """Each log line in JSON as the message that it holds."""
    said = [(_logged(line), line) for line in text.splitlines()]
    return "\n".join(line if message is None else message for message, line in said)


def parse_blocks(out: str) -> dict[str, tuple[int, str]]:
    """The script's blocks: name to exit code and text. Raises EdgeError where the output is not whole."""
    blocks: dict[str, tuple[int, str]] = {}
    for part in ("\n" + out).split("\n@@ ")[1:]:
        head, _newline, body = part.partition("\n")
        name, _space, code = head.partition(" ")
        if not code.isdigit():
            raise EdgeError(f"vtctldclient's output was cut off: {head[:80]!r}")
        blocks[name] = (int(code), body)
    return blocks


def parse_answer(name: str, text: str) -> Any:
    """The JSON in the block of that name, which may have a warning before it or after it. Raises EdgeError where there is none, or no whole one.

    A warning of v24 is JSON too: taken for the answer, it would say that nothing is there.
    """
    lines = [line for line in text.splitlines(keepends=True) if _logged(line.strip()) is None]
    start = next((n for n, line in enumerate(lines) if line.startswith(("{", "[", "null"))), len(lines))
    try:
        answer, _end = json.JSONDecoder().raw_decode("".join(lines[start:]))
    except ValueError as error:
        raise EdgeError(f"vtctldclient answered no JSON for {name} (cut off?): {text[-120:]!r}") from error
    return answer


def parse_shard_records(blocks: dict[str, tuple[int, str]], durability: bool) -> ShardRecords:
    """From the script's blocks. Raises Refused where the topology did not answer."""

    def read(name: str) -> Any:
        code, text = blocks.get(name, (255, ""))
        if code:
            raise Refused(f"vtctldclient: {name}: {in_its_own_words(text)[-300:] or 'no answer'}", code)
        return parse_answer(name, text)

    tablets = tuple(parse_tablet(item) for item in read("tablets") or [])
    record = (read("shard") or {}).get("shard") or {}
    statuses: dict[Alias, Mysqld | str] = {}
    for tablet in tablets:
        code, text = blocks.get(str(tablet.alias), (255, ""))
        try:
            statuses[tablet.alias] = (
                parse_full_status(parse_answer(str(tablet.alias), text)) if code == 0 else _why(text, tablet)
            )
        except (EdgeError, ValueError) as error:
            statuses[tablet.alias] = f"its status cannot be read: {error}"
    policy = (
        str(((read("durability") or {}).get("keyspace") or {}).get("durability_policy") or "") if durability else None
    )
    return ShardRecords(
        tablets=tablets,
        primary=parse_alias(record.get("primary_alias")),
        primary_term_start=parse_time(record.get("primary_term_start_time")),
        durability=policy,
        statuses=statuses,
    )


def parse_work(blocks: dict[str, tuple[int, str]]) -> Work:
    """From the block of both tables, else of each alone: one that the sidecar database does not have holds nothing."""
    rows: list[list[str]] = []
    asked = blocks.get("work", (255, "the shard record names no primary to ask"))
    for name in ("work",) if asked[0] == 0 else ("migrations", "switches"):
        code, text = blocks.get(name, asked)
        if code and name in blocks and NO_SUCH_TABLE in text:
            continue
        if code:
            return Work(error=in_its_own_words(text)[-200:])
        try:
            rows += parse_rows(parse_answer(name, text))
        except EdgeError as error:
            return Work(error=str(error))
    return Work(
        migrations=tuple(
            Migration(name, status, due not in ("", "0")) for kind, name, status, due in rows if kind == "migration"
        ),
        switches=tuple(f"{name} {state}" for kind, name, state, _due in rows if kind == "switch"),
    )


def parse_canary(blocks: dict[str, tuple[int, str]]) -> str:
    """Why the canary write was not acknowledged, empty if it was."""
    code, text = blocks.get("canary", (255, "none was written: no primary is known, or nobody would acknowledge it"))
    if code and "deadline" in text.lower():
        return f"not within {CANARY_TIMEOUT_S:g} s"
    return _reason(text) if code else ""


def _why(said: str, tablet: Tablet) -> str:
    """Why a tablet's status could not be had."""
    if not tablet.hostname:
        return "the tablet is shut down"
    return _reason(said)


def _reason(said: str) -> str:
    """The innermost words of a command that failed."""
    return _messages(said).rpartition("desc = ")[2].strip()[-200:] or "no answer"


def parse_alias(record: Any) -> Alias | None:
    """From topodata.TabletAlias as JSON; None where it is not set."""
    if not record or not record.get("cell"):
        return None
    return Alias(str(record["cell"]), int(record.get("uid") or 0))


def parse_time(record: Any) -> str:
    """From vttime.Time as JSON to C(seconds.nanoseconds); empty where it is not set."""
    if not record or not int(record.get("seconds") or 0):
        return ""
    return f"{int(record['seconds'])}.{int(record.get('nanoseconds') or 0):09d}"


_TYPE_NUMBERS = (
    TabletType.UNKNOWN,
    TabletType.PRIMARY,
    TabletType.REPLICA,
    TabletType.RDONLY,
    TabletType.SPARE,
    TabletType.EXPERIMENTAL,
    TabletType.BACKUP,
    TabletType.RESTORE,
    TabletType.DRAINED,
)


def parse_type(value: Any) -> TabletType:
    """From the enum's number (GetTablets) or its name (GetTablet, vtgate)."""
    if isinstance(value, int):
        return _TYPE_NUMBERS[value] if value < len(_TYPE_NUMBERS) else TabletType.UNKNOWN
    try:
        return TabletType(str(value or "UNKNOWN").upper())
    except ValueError:
        return TabletType.UNKNOWN


def parse_tablet(record: dict[str, Any]) -> Tablet:
    """From topodata.Tablet as JSON."""
    alias = parse_alias(record.get("alias"))
    if alias is None:
        raise EdgeError(f"a tablet record without an alias: {str(record)[:100]}")
    return Tablet(
        alias=alias,
        keyspace=str(record.get("keyspace") or ""),
        shard=str(record.get("shard") or ""),
        type=parse_type(record.get("type")),
        hostname=str(record.get("hostname") or ""),
        mysql_hostname=str(record.get("mysql_hostname") or ""),
        mysql_port=int(record.get("mysql_port") or 0),
        primary_term_start=parse_time(record.get("primary_term_start_time")),
        tags=frozenset((str(key), str(value)) for key, value in (record.get("tags") or {}).items()),
    )


def parse_full_status(record: dict[str, Any]) -> Mysqld:
    """From replicationdata.FullStatus as JSON."""
    replication = record.get("replication_status") or {}
    primary = record.get("primary_status") or {}
    position = primary.get("position") or replication.get("position") or ""
    unknown = bool(replication.get("replication_lag_unknown"))
    has_source = bool(replication.get("source_host"))
    return Mysqld(
        server_uuid=str(record.get("server_uuid") or ""),
        gtid_executed=GtidSet.parse(str(position)),
        version=str(record.get("version") or ""),
        read_only=bool(record.get("read_only")),
        super_read_only=bool(record.get("super_read_only")),
        io_running=int(replication.get("io_state") or 0) == RUNNING,
        sql_running=int(replication.get("sql_state") or 0) == RUNNING,
        source_host=str(replication.get("source_host") or ""),
        source_port=int(replication.get("source_port") or 0),
        source_uuid=str(replication.get("source_uuid") or ""),
        lag_s=None if unknown or not has_source else float(replication.get("replication_lag_seconds") or 0),
        last_error=str(replication.get("last_io_error") or replication.get("last_sql_error") or ""),
        semi_sync_primary=bool(record.get("semi_sync_primary_status")),
        semi_sync_replica=bool(record.get("semi_sync_replica_status")),
    )


def parse_rows(answer: dict[str, Any]) -> list[list[str]]:
    """From ExecuteFetchAsDBA --json: sqltypes.Result, or query.QueryResult with lengths and base64 values."""
    rows = answer.get("rows") or []
    if rows and isinstance(rows[0], dict):
        parsed = []
        for row in rows:
            values = base64.b64decode(row.get("values") or "")
            cells, start = [], 0
            for length in (int(item) for item in row.get("lengths") or []):
                cells.append("" if length < 0 else values[start : start + length].decode("utf-8", "replace"))
                start += max(0, length)
            parsed.append(cells)
        return parsed
    return [["" if cell is None else str(cell) for cell in row] for row in rows]
