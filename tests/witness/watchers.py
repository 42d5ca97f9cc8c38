# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The looks themselves: a thread per source that emits an event whenever what it sees has changed."""

from __future__ import annotations

import base64
import http.client
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pymysql
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config
from kubernetes.watch.watch import iter_resp_lines

from .events import CaughtUp, Event, LockSeen, ObjectSeen, PodSeen, RowSeen, ShardSeen, TabletSeen
from .gtid import GtidSet, gtid_set, holds
from .topology import LOCK_KEY, SHARD_KEY, TABLET_KEY, TabletRecord, lock_action, shard_record, tablet_record

INTERVAL = 0.15
"""Seconds between two looks of a source: more than 6 a second."""
ANSWER = 2.0
"""Seconds to wait for an answer before a look counts as failed."""
FORWARD = 10.0
"""Seconds for a port-forward to open."""

Emit = Callable[[Event], None]


@dataclass(frozen=True)
class Lab:
    """Where everything is."""

    kubeconfig: str
    context: str
    namespace: str
    keyspaces: tuple[str, ...]
    vtgates: tuple[tuple[str, str, int], ...]
    """Name, host, port."""
    etcd: str
    """The Pod of the topology server."""
    pods: dict[str, str]
    """Pod by alias, where the lab says so: for a tablet that is down when the witness starts."""
    user: str | None = None
    password: str | None = None

    @classmethod
    def read(cls, path: str) -> Lab:
        """The lab of its JSON file.

        :raises OSError, KeyError, ValueError: when it can't be read
        """
        with open(path, encoding="utf-8") as file:
            lab: dict[str, Any] = json.load(file)
        keyspaces = lab.get("keyspaces") or [lab["keyspace"]]
        return cls(
            kubeconfig=str(lab["kubeconfig"]),
            context=str(lab["context"]),
            namespace=str(lab["namespace"]),
            keyspaces=tuple(str(keyspace) for keyspace in keyspaces),
            vtgates=tuple(
                (str(gate.get("name") or f"{gate['host']}:{gate['port']}"), str(gate["host"]), int(gate["port"]))
                for gate in lab["vtgates"]
            ),
            etcd=str(lab.get("etcd_pod", "etcd-0")),
            pods={alias: str(tablet["pod"]) for alias, tablet in lab.get("tablets", {}).items()},
            user=lab.get("vtgate_user"),
            password=lab.get("vtgate_password"),
        )

    def kubectl(self, *arguments: str) -> list[str]:
        """A kubectl command line."""
        where = ["--kubeconfig", self.kubeconfig, "--context", self.context, "--namespace", self.namespace]
        return ["kubectl", *where, *arguments]


class Source(threading.Thread):
    """One source, looked at again and again at a fixed rate."""

    def __init__(self, name: str, emit: Emit, stop: threading.Event) -> None:
        """C(name) is what its looks are counted under."""
        super().__init__(name=name, daemon=True)
        self.emit = emit
        self.stop = stop
        self.looks = 0
        self.blind = 0.0
        """The longest time in seconds between two good looks."""
        self.last_good: float | None = None
        """When the last good look was sent, seconds since 1970."""
        self.first = threading.Event()
        self.failure = ""

    def look(self) -> list[Event]:
        """One look: what is seen now, of which only changes are emitted. May raise anything."""
        raise NotImplementedError

    def reset(self) -> None:
        """After a failed look: drop the connection."""

    def run(self) -> None:
        """Look until told to stop."""
        seen: dict[str, Event] = {}
        due = time.monotonic()
        while not self.stop.is_set():
            sent = time.time()
            try:
                events = self.look()
            except Exception as error:  # noqa: BLE001 - a source that fails is blind until it answers again
                self.failure = f"{type(error).__name__}: {error}"
                self.reset()
            else:
                for event in self._changed(events, seen):
                    self.emit(event)
                if self.last_good is not None:
                    self.blind = max(self.blind, sent - self.last_good)
                self.last_good = sent
                self.looks += 1
                self.first.set()
            due = max(due + INTERVAL, time.monotonic())
            self.stop.wait(due - time.monotonic())

    def _changed(self, events: list[Event], seen: dict[str, Event]) -> Iterator[Event]:
        """The events that say something new, with the time of the last look before; what is no longer seen goes."""
        now: dict[str, Event] = {self.key(event): event for event in events}
        for key, event in now.items():
            before = seen.get(key)
            if before is None or replace(event, at=0.0, since=None) != replace(before, at=0.0, since=None):
                yield replace(event, since=self.last_good)
        for key in [key for key in seen if key not in now]:
            yield self.gone(seen[key], time.time())
        seen.clear()
        seen.update(now)

    def key(self, event: Event) -> str:
        """What an event is about."""
        raise NotImplementedError

    def gone(self, event: Event, now: float) -> Event:
        """The event that says that it isn't there any more."""
        raise NotImplementedError


class Vtgate(Source):
    """What one vtgate shows, on a persistent connection."""

    def __init__(self, lab: Lab, name: str, host: str, port: int, emit: Emit, stop: threading.Event) -> None:
        """C(name) is the vtgate's."""
        super().__init__(name, emit, stop)
        self._lab, self._host, self._port = lab, host, port
        self._connection: Any = None

    def look(self) -> list[Event]:
        if self._connection is None:
            self._connection = pymysql.connect(
                host=self._host,
                port=self._port,
                user=self._lab.user or "",
                password=self._lab.password or "",
                autocommit=None,
                connect_timeout=ANSWER,
                read_timeout=ANSWER,
                write_timeout=ANSWER,
                ssl_disabled=True,
            )
        with self._connection.cursor() as cursor:
            cursor.execute("SHOW VITESS_TABLETS")
            columns = [column[0] for column in cursor.description]
            rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
        now = time.time()
        return [
            RowSeen(now, None, self.name, row["Alias"], row["TabletType"], row["Hostname"], row["State"])
            for row in rows
            if row["Keyspace"] in self._lab.keyspaces
        ]

    def reset(self) -> None:
        if self._connection is not None:
            self._connection.close() if self._connection.open else None
            self._connection = None

    def key(self, event: Event) -> str:
        assert isinstance(event, RowSeen)
        return f"{event.alias} {event.hostname} {event.type}"

    def gone(self, event: Event, now: float) -> Event:
        assert isinstance(event, RowSeen)
        return RowSeen(now, self.last_good, self.name, event.alias, event.type, event.hostname)


class Topology(Source):
    """The topology server's records, read straight from etcd over a port-forward."""

    def __init__(self, lab: Lab, emit: Emit, stop: threading.Event) -> None:
        """Nothing is opened before the first look."""
        super().__init__("topology", emit, stop)
        self._lab = lab
        self._forward: subprocess.Popen[str] | None = None
        self._http: http.client.HTTPConnection | None = None
        self._revision = ""
        self._last: list[Event] = []
        self.tablets: dict[str, TabletRecord] = {}
        self.primaries: dict[tuple[str, str], str | None] = {}

    def look(self) -> list[Event]:
        answer = self._ask({"key": _b64(b"/"), "range_end": _b64(b"0"), "count_only": True})
        revision = answer["header"]["revision"]
        if revision != self._revision:
            answer = self._ask({"key": _b64(b"/"), "range_end": _b64(b"0"), "limit": 100000})
            self._last = self._events(answer.get("kvs", []))
            self._revision = answer["header"]["revision"]
        return [replace(event, at=time.time()) for event in self._last]

    def _events(self, kvs: list[dict[str, str]]) -> list[Event]:
        found: list[Event] = []
        for kv in kvs:
            key, value = base64.b64decode(kv["key"]).decode(), base64.b64decode(kv.get("value", ""))
            if TABLET_KEY.search(key):
                tablet = tablet_record(value)
                if tablet.keyspace in self._lab.keyspaces:
                    self.tablets[tablet.alias] = tablet
                    found.append(
                        TabletSeen(0.0, None, tablet.alias, tablet.keyspace, tablet.shard, tablet.type, tablet.hostname)
                    )
            elif match := SHARD_KEY.search(key):
                if match["keyspace"] in self._lab.keyspaces:
                    shard = shard_record(value)
                    self.primaries[match["keyspace"], match["shard"]] = shard.primary
                    found.append(ShardSeen(0.0, None, match["keyspace"], match["shard"], shard.primary, shard.term))
            elif (match := LOCK_KEY.search(key)) and match["keyspace"] in self._lab.keyspaces:
                found.append(LockSeen(0.0, None, match["keyspace"], match["shard"], lock_action(value)))
        # locks first: a reparent's lock explains the records that change under it
        return sorted(found, key=lambda event: not isinstance(event, LockSeen))

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._http is None:
            self._http = http.client.HTTPConnection("127.0.0.1", self._port(), timeout=ANSWER)
        self._http.request("POST", "/v3/kv/range", json.dumps(request), {"Content-Type": "application/json"})
        answer: dict[str, Any] = json.loads(self._http.getresponse().read())
        if "header" not in answer:
            raise OSError(f"etcd: {answer}")
        return answer

    def _port(self) -> int:
        self._forward = subprocess.Popen(
            self._lab.kubectl("port-forward", f"pod/{self._lab.etcd}", ":2379"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._forward.stdout is not None
        with time_limit(self._forward, FORWARD):
            line = self._forward.stdout.readline()
        match = re.search(r"127\.0\.0\.1:(\d+) ->", line)
        if match is None:
            _out, error = self._forward.communicate(timeout=ANSWER)
            raise OSError(f"no port-forward to etcd: {error}")
        return int(match[1])

    def reset(self) -> None:
        self._revision = ""
        if self._http is not None:
            self._http.close()
            self._http = None
        if self._forward is not None:
            self._forward.kill()
            self._forward.wait()
            self._forward = None

    def run(self) -> None:
        try:
            super().run()
        finally:
            self.reset()

    def key(self, event: Event) -> str:
        if isinstance(event, TabletSeen):
            return f"tablet {event.alias}"
        assert isinstance(event, (ShardSeen, LockSeen))
        return f"{event.name} {event.keyspace}/{event.shard}"

    def gone(self, event: Event, now: float) -> Event:
        if isinstance(event, TabletSeen):
            return TabletSeen(now, self.last_good, event.alias, event.keyspace, event.shard)
        assert isinstance(event, (ShardSeen, LockSeen))
        return type(event)(now, self.last_good, event.keyspace, event.shard)


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


class Watch(threading.Thread):
    """A watch on one kind of object: every change is told by the API server as it happens."""

    def __init__(
        self, name: str, listing: Callable[..., Any], told: Callable[[str, dict[str, Any] | None, float], Event | None]
    ) -> None:
        """C(told) makes the event of an object that is there (its data) or gone (None)."""
        super().__init__(name=name, daemon=True)
        self._listing = listing
        self._told = told
        self._known: dict[str, Event] = {}
        self.first = threading.Event()
        self.failure = ""
        self.looks = 0
        self.blind = 0.0
        self.emit: Emit = lambda event: None
        self.stop = threading.Event()

    def run(self) -> None:
        """List, then watch, and begin anew when the watch ends."""
        broken_at: float | None = None
        while not self.stop.is_set():
            try:
                version = self._list(broken_at)
                if broken_at is not None:
                    self.blind = max(self.blind, time.time() - broken_at)
                    broken_at = None
                self.first.set()
                self._follow(version)
                broken_at = time.time()
            except Exception as error:  # noqa: BLE001 - whatever breaks a watch, it is begun anew
                self.failure = f"{type(error).__name__}: {error}"
                broken_at = broken_at or time.time()
                self.stop.wait(0.5)

    def _list(self, since: float | None) -> str:
        answer = json.loads(self._listing(_preload_content=False, _request_timeout=10).data)
        now = time.time()
        there = {item["metadata"]["name"]: item for item in answer["items"]}
        for name, item in there.items():
            self._tell(name, item, now, since)
        for name in [name for name in self._known if name not in there]:
            self._tell(name, None, now, since)
        self.looks += 1
        return str(answer["metadata"]["resourceVersion"])

    def _follow(self, version: str) -> None:
        answer = self._listing(
            watch=True,
            resource_version=version,
            timeout_seconds=240,
            _preload_content=False,
            _request_timeout=(10, 300),
        )
        for line in iter_resp_lines(answer):
            if self.stop.is_set():
                return
            change = json.loads(line)
            now = time.time()
            self.looks += 1
            if change["type"] == "ERROR":
                raise OSError(str(change["object"].get("message")))
            item = change["object"]
            if change["type"] in ("ADDED", "MODIFIED", "DELETED"):
                self._tell(item["metadata"]["name"], None if change["type"] == "DELETED" else item, now, now)

    def _tell(self, name: str, item: dict[str, Any] | None, now: float, since: float | None) -> None:
        event = self._told(name, item, now)
        if event is None:
            return
        before = self._known.get(name)
        if before is not None and replace(event, at=0.0, since=None) == replace(before, at=0.0, since=None):
            return
        # what a first list shows is no change, what appears later is
        self.emit(replace(event, since=since if before is not None or self.first.is_set() else None))
        if item is None:
            self._known.pop(name, None)
        else:
            self._known[name] = event


def pod_seen(name: str, item: dict[str, Any] | None, now: float) -> PodSeen:
    """A Pod as an event."""
    if item is None:
        return PodSeen(now, now, name)
    meta, status, spec = item["metadata"], item.get("status", {}), item["spec"]
    ready = any(
        condition["type"] == "Ready" and condition["status"] == "True" for condition in status.get("conditions", [])
    )
    return PodSeen(
        now,
        now,
        name,
        uid=meta["uid"],
        ready=ready,
        terminating="deletionTimestamp" in meta,
        running=bool(status.get("containerStatuses"))
        and all("running" in container.get("state", {}) for container in status["containerStatuses"]),
        node=spec.get("nodeName"),
        images=tuple(container["image"] for container in spec["containers"]),
        annotations=tuple(f"{key}={value}" for key, value in sorted(meta.get("annotations", {}).items())),
    )


def object_seen(kind: str) -> Callable[[str, dict[str, Any] | None, float], ObjectSeen]:
    """Makes the events of a kind of object, from the fields that only somebody's act changes."""

    def seen(name: str, item: dict[str, Any] | None, now: float) -> ObjectSeen:
        if item is None:
            return ObjectSeen(now, now, kind, name)
        spec = {key: value for key, value in item.get("spec", {}).items() if key not in ("renewTime", "acquireTime")}
        notes = item["metadata"].get("annotations", {})
        value = json.dumps({"spec": spec, "annotations": notes}, sort_keys=True)
        return ObjectSeen(now, now, kind, name, value)

    return seen


class Kubernetes:
    """The watches of a namespace."""

    def __init__(self, lab: Lab) -> None:
        """Reads the kubeconfig."""
        api = kubernetes_config.new_client_from_config(lab.kubeconfig, lab.context)
        core, apps = kubernetes_client.CoreV1Api(api), kubernetes_client.AppsV1Api(api)
        leases = kubernetes_client.CoordinationV1Api(api)

        def within(method: Callable[..., Any]) -> Callable[..., Any]:
            return lambda **options: method(lab.namespace, **options)

        self.pods = Watch("pods", within(core.list_namespaced_pod), pod_seen)
        self.others = [
            Watch("leases", within(leases.list_namespaced_lease), object_seen("lease")),
            Watch("statefulsets", within(apps.list_namespaced_stateful_set), object_seen("statefulset")),
        ]
        self._core, self._lab = core, lab

    def pods_of(self, tablets: dict[str, TabletRecord]) -> dict[str, str]:
        """The Pod of each tablet, by the host in its record (a Pod's name or address), else as the lab says."""
        raw: Any = self._core.list_namespaced_pod(self._lab.namespace, _preload_content=False)
        answer = json.loads(raw.data)
        known: dict[str, str] = {}
        for item in answer["items"]:
            name = item["metadata"]["name"]
            known[name] = name
            if address := item["status"].get("podIP"):
                known[address] = name
        found: dict[str, str] = {}
        for alias, record in tablets.items():
            pod = known.get(record.hostname) or known.get(record.hostname.split(".")[0]) or self._lab.pods.get(alias)
            if pod is not None:
                found[alias] = pod
        return found


@contextmanager
def time_limit(process: subprocess.Popen[str], seconds: float) -> Iterator[None]:
    """Kill a process that lasts longer."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


POSITIONS = """
set -- /vt/vtdataroot/vt_*/mysql.sock
pause() { read -rt 0.1; [ $? -gt 128 ] || exit; }
until [ -S "$1" ]; do pause; set -- /vt/vtdataroot/vt_*/mysql.sock; done
ask="SELECT REPLACE(@@global.gtid_executed, CHAR(10), '');"
while mysql --no-defaults -S "$1" -u vt_dba -NBre "" </dev/null 2>/dev/null; [ $? != 0 ]; do pause; done
for look in $(seq 6000); do echo "$ask"; pause; done | mysql --no-defaults -S "$1" -u vt_dba -NBrn
"""
"""Prints a mysqld's gtid_executed ten times a second, from the moment that it answers, for ten minutes at most.

It ends with its session, whose standard input it waits at; a process of sleep for each pause would cost more than the question.
"""


class Positions(threading.Thread):
    """Follows one mysqld's gtid_executed."""

    def __init__(self, lab: Lab, pod: str) -> None:
        """Opens one exec session; C(seen) tells each position."""
        super().__init__(daemon=True)
        self._process = subprocess.Popen(
            lab.kubectl("exec", "-i", pod, "-c", "mysqld", "--", "bash", "-c", POSITIONS),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.now: GtidSet | None = None
        self.changed = threading.Event()
        self.failure = ""

    def run(self) -> None:
        """Follow until the session ends."""
        with self._process as process:
            for line in process.stdout or ():
                self.now = gtid_set(line.strip())
                self.changed.set()
            self.failure = (process.stderr.read() if process.stderr else "").strip()[-300:]
        self.changed.set()

    def end(self) -> None:
        """End the session."""
        self._process.kill()


class CatchUp:
    """Says when a new Pod's mysqld held what the primary held at the moment that the Pod became Ready."""

    LIMIT = 300.0
    """Seconds after which it is given up."""

    def __init__(self, lab: Lab, emit: Emit) -> None:
        """Nothing is opened before C(begin)."""
        self._lab, self._emit = lab, emit
        self._ready: dict[str, threading.Event] = {}

    def begin(self, pod: str, uid: str, primary_pod: str | None) -> None:
        """The containers of a new Pod run: follow it and its primary."""
        self._ready[uid] = threading.Event()
        threading.Thread(target=self._follow, args=(pod, uid, primary_pod), daemon=True).start()

    def ready(self, uid: str) -> None:
        """The Pod became Ready: what the primary holds now is what counts."""
        if uid in self._ready:
            self._ready[uid].set()

    def _follow(self, pod: str, uid: str, primary_pod: str | None) -> None:
        if primary_pod is None or primary_pod == pod:
            self._emit(CaughtUp(time.time(), None, pod, uid, "there is no other tablet that is the primary"))
            return
        give_up = time.monotonic() + self.LIMIT
        replica, primary = Positions(self._lab, pod), Positions(self._lab, primary_pod)
        replica.start()
        primary.start()
        try:
            error = self._wait(uid, replica, primary, give_up)
        finally:
            replica.end()
            primary.end()
        self._emit(CaughtUp(time.time(), None, pod, uid, error))

    def _wait(self, uid: str, replica: Positions, primary: Positions, give_up: float) -> str | None:
        if not self._ready[uid].wait(give_up - time.monotonic()):
            return "the Pod did not become Ready"
        wanted = primary.now
        while time.monotonic() < give_up:
            replica.changed.wait(1)
            replica.changed.clear()
            wanted = wanted or primary.now
            if wanted is not None and replica.now is not None and holds(replica.now, wanted):
                return None
            if replica.failure or primary.failure:
                return replica.failure or primary.failure
        return "not caught up in time"
