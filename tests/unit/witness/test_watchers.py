# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import threading
from types import SimpleNamespace
from typing import Any

from ansible_collections.vtops.vitess.tests.witness.events import Event, ObjectSeen, PodSeen, RowSeen
from ansible_collections.vtops.vitess.tests.witness.topology import TabletRecord
from ansible_collections.vtops.vitess.tests.witness.watchers import (
    Kubernetes,
    Lab,
    Vtgate,
    Watch,
    object_seen,
    pod_seen,
)

LAB = Lab("config", "context", "vitess", ("commerce",), (("gate-0", "192.0.2.1", 31306),), "etcd-0", {"z-3": "pod-3"})


def pod(uid: str = "u1", ready: str = "True", **meta: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "pod-0", "uid": uid, **meta},
        "spec": {"nodeName": "worker", "containers": [{"image": "a:1"}, {"image": "b:2"}]},
        "status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": ready}]},
    }


def test_a_pod_is_seen_with_what_tells_it_from_another():
    seen = pod_seen("pod-0", pod(annotations={"b": "2", "a": "1"}), 5.0)
    assert (seen.uid, seen.ready, seen.terminating, seen.node) == ("u1", True, False, "worker")
    assert seen.images == ("a:1", "b:2")
    assert seen.annotations == ("a=1", "b=2")


def test_a_pod_that_is_being_deleted_or_not_ready_or_gone_is_seen_so():
    assert pod_seen("pod-0", pod(deletionTimestamp="x"), 5.0).terminating
    assert not pod_seen("pod-0", pod(ready="False"), 5.0).ready
    assert pod_seen("pod-0", None, 5.0).uid is None


def test_a_lease_that_is_renewed_is_the_same_and_one_of_another_holder_is_not():
    def lease(holder: str, renewed: str) -> ObjectSeen:
        return object_seen("lease")(
            "s", {"metadata": {}, "spec": {"holderIdentity": holder, "renewTime": renewed}}, 1.0
        )

    assert lease("a", "1") == lease("a", "2")
    assert lease("a", "1") != lease("b", "1")


def gate(emitted: list[Event]) -> Vtgate:
    return Vtgate(LAB, "gate-0", "192.0.2.1", 31306, emitted.append, threading.Event())


def row(at: float, state: str = "SERVING", alias: str = "z-1") -> RowSeen:
    return RowSeen(at, None, "gate-0", alias, "REPLICA", "h", state)


def test_only_what_has_changed_is_told_with_the_time_of_the_look_before():
    source, seen = gate([]), {}
    assert list(source._changed([row(1.0)], seen)) == [row(1.0)]
    source.last_good = 0.9
    assert list(source._changed([row(2.0)], seen)) == []
    source.last_good = 1.9
    (told,) = source._changed([row(3.0, "NOT_SERVING")], seen)
    assert (told.at, told.since, told.state) == (3.0, 1.9, "NOT_SERVING")


def test_a_row_that_is_no_longer_shown_is_told_once():
    source, seen = gate([]), {}
    list(source._changed([row(1.0), row(1.0, alias="z-2")], seen))
    source.last_good = 1.0
    (told,) = source._changed([row(2.0)], seen)
    assert (told.alias, told.state, told.since) == ("z-2", None, 1.0)
    assert list(source._changed([row(3.0)], seen)) == []


def test_two_rows_of_one_tablet_are_both_told():
    source = gate([])
    old = RowSeen(1.0, None, "gate-0", "z-1", "DRAINED", "old", "NOT_SERVING")
    assert list(source._changed([row(1.0), old], {})) == [row(1.0), old]


def watch(emitted: list[Event]) -> Watch:
    made = Watch("pods", lambda **options: None, pod_seen)
    made.emit = emitted.append
    return made


def test_what_a_first_list_shows_is_no_change_and_what_comes_later_is():
    emitted: list[Event] = []
    made = watch(emitted)
    made._tell("pod-0", pod(), 1.0, None)
    made.first.set()
    made._tell("pod-0", pod(), 2.0, 2.0)
    made._tell("pod-1", pod(), 3.0, 3.0)
    made._tell("pod-0", None, 4.0, 4.0)
    assert [(event.pod, event.since, event.uid) for event in emitted if isinstance(event, PodSeen)] == [
        ("pod-0", None, "u1"),
        ("pod-1", 3.0, "u1"),
        ("pod-0", 4.0, None),
    ]


def test_what_was_missed_while_a_watch_was_broken_is_told_when_it_is_listed_anew():
    emitted: list[Event] = []
    lists = iter([[pod()], [pod(uid="u2")], []])

    def listing(**_options: Any) -> Any:
        answer = {"items": next(lists), "metadata": {"resourceVersion": "7"}}
        return SimpleNamespace(data=json.dumps(answer))

    made = Watch("pods", listing, pod_seen)
    made.emit = emitted.append
    made._list(None)
    made._list(50.0)
    made._list(60.0)
    assert [(event.since, event.uid) for event in emitted if isinstance(event, PodSeen)] == [
        (None, "u1"),
        (50.0, "u2"),
        (60.0, None),
    ]


def test_a_tablet_is_matched_with_its_pod_by_address_by_name_or_by_the_labs_word():
    kubernetes = object.__new__(Kubernetes)
    answer = SimpleNamespace(data=json.dumps({"items": [pod()]}))
    kubernetes._core = SimpleNamespace(list_namespaced_pod=lambda *a, **o: answer)
    kubernetes._lab = LAB
    hosts = {"z-0": "10.0.0.1", "z-1": "pod-0.tablets.vitess.svc", "z-2": "10.9.9.9", "z-3": ""}
    records = {alias: TabletRecord(alias, host, "commerce", "-80", "REPLICA") for alias, host in hosts.items()}
    assert kubernetes.pods_of(records) == {"z-0": "pod-0", "z-1": "pod-0", "z-3": "pod-3"}
