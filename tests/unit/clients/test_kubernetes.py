# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
import websocket

from ansible_collections.vtops.vitess.plugins.module_utils.clients import kubernetes as kubernetes_client
from ansible_collections.vtops.vitess.plugins.module_utils.clients.access import Access
from ansible_collections.vtops.vitess.plugins.module_utils.clients.kubernetes import (
    KubernetesClient,
    _exit_code,
    _websocket_url,
)
from ansible_collections.vtops.vitess.plugins.module_utils.clients.vtctld import ExecTransport, Vtctld
from ansible_collections.vtops.vitess.plugins.module_utils.errors import (
    EdgeError,
    OutcomeUnknown,
    Refused,
    Unreachable,
)

TOKEN = "s3cret"


class Pool:
    """An API server that answers from a list, or raises."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def request(self, method: str, url: str, **given: Any) -> Any:
        self.asked.append({"method": method, "url": url, **given})
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return SimpleNamespace(status=status, data=body if isinstance(body, bytes) else json.dumps(body).encode())


def client(*answers: Any) -> tuple[KubernetesClient, Pool]:
    kube = KubernetesClient(Access(host="https://192.0.2.1:6443/", api_key=TOKEN))
    pool = Pool(*answers)
    kube._pool = pool  # type: ignore[assignment]
    return kube, pool


# -- requests


def test_a_request_carries_the_token_and_a_time_limit() -> None:
    kube, pool = client({"kind": "Pod"})
    assert kube.get("/api/v1/pods/a") == {"kind": "Pod"}
    (asked,) = pool.asked
    assert (asked["method"], asked["url"]) == ("GET", "https://192.0.2.1:6443/api/v1/pods/a")
    assert asked["headers"]["authorization"] == f"Bearer {TOKEN}"
    assert (asked["timeout"].connect_timeout, asked["timeout"].read_timeout) == (5.0, 15.0)
    assert asked["retries"] is False


def test_the_token_is_not_in_the_options_text() -> None:
    assert TOKEN not in repr(Access(api_key=TOKEN))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429, 500, 503])
def test_a_refusal_keeps_its_status_and_kubernetes_own_words(status: int) -> None:
    kube, _pool = client((status, {"message": "pods is forbidden: cannot list"}))
    with pytest.raises(Refused, match="pods is forbidden: cannot list") as refusal:
        kube.get("/api/v1/pods")
    assert refusal.value.status == status
    assert TOKEN not in str(refusal.value)


def test_a_refusal_that_is_no_json_is_told_as_it_is() -> None:
    kube, _pool = client((502, b"<html>bad gateway</html>"))
    with pytest.raises(Refused, match="bad gateway"):
        kube.get("/x")


def test_what_is_not_there_is_none_and_every_other_refusal_is_one() -> None:
    kube, _pool = client((404, {}), (403, {}))
    assert kube.find("/x") is None
    with pytest.raises(Refused):
        kube.find("/x")


POOL: Any = SimpleNamespace(host="192.0.2.1", port=6443, scheme="https")


@pytest.mark.parametrize(
    ("method", "error", "kind"),
    [
        ("GET", urllib3.exceptions.ReadTimeoutError(POOL, "/x", "read timed out"), Unreachable),
        ("GET", urllib3.exceptions.ProtocolError("connection aborted"), Unreachable),
        ("POST", urllib3.exceptions.ReadTimeoutError(POOL, "/x", "read timed out"), OutcomeUnknown),
        ("PATCH", urllib3.exceptions.ProtocolError("connection aborted"), OutcomeUnknown),
        ("PUT", urllib3.exceptions.ConnectTimeoutError(POOL, "timed out"), Unreachable),
        ("POST", urllib3.exceptions.NewConnectionError(POOL, "refused"), Unreachable),
    ],
    ids=["read times out", "read is cut", "write times out", "write is cut", "no connection in time", "no connection"],
)
def test_a_write_whose_answer_was_lost_has_an_unknown_outcome_and_one_that_was_never_sent_has_not(
    method: str, error: Exception, kind: type[EdgeError]
) -> None:
    kube, _pool = client(error)
    with pytest.raises(kind):
        kube.request(method, "/x", body={})


def test_an_answer_that_is_no_json_is_an_error() -> None:
    kube, _pool = client(b"ok")
    with pytest.raises(EdgeError, match="is not JSON"):
        kube.get("/x")


def test_a_list_is_read_page_by_page_with_its_selector() -> None:
    kube, pool = client(
        {"items": [{"a": 1}], "metadata": {"continue": "t=1"}}, {"items": [{"a": 2}], "metadata": {"continue": ""}}
    )
    assert kube.pods("vitess", "app=x") == [{"a": 1}, {"a": 2}]
    assert [asked["url"].partition("?")[2] for asked in pool.asked] == [
        "limit=500&labelSelector=app%3Dx",
        "limit=500&labelSelector=app%3Dx&continue=t%3D1",
    ]


def test_an_empty_list_may_be_null() -> None:
    kube, _pool = client({"items": None})
    assert kube.items("/x") == []


def test_an_eviction_is_policy_v1_with_uid_and_resource_version() -> None:
    kube, pool = client({})
    kube.evict("vitess", "db-0", "uid-1", "42")
    (asked,) = pool.asked
    body = json.loads(asked["body"])
    assert asked["url"].endswith("/api/v1/namespaces/vitess/pods/db-0/eviction")
    assert (body["apiVersion"], body["kind"]) == ("policy/v1", "Eviction")
    assert body["deleteOptions"] == {"preconditions": {"uid": "uid-1", "resourceVersion": "42"}}


def test_an_annotation_is_a_merge_patch_of_that_very_pod() -> None:
    kube, pool = client({})
    kube.annotate_pod("vitess", "db-0", "uid-1", {"a": "b"})
    (asked,) = pool.asked
    assert (asked["method"], asked["headers"]["Content-Type"]) == ("PATCH", "application/merge-patch+json")
    assert json.loads(asked["body"]) == {"metadata": {"uid": "uid-1", "annotations": {"a": "b"}}}


def test_an_annotation_may_be_of_that_very_version() -> None:
    kube, pool = client({})
    kube.annotate_pod("vitess", "db-0", "uid-1", {"a": None}, "42")
    meta = {"uid": "uid-1", "resourceVersion": "42", "annotations": {"a": None}}
    assert json.loads(pool.asked[0]["body"]) == {"metadata": meta}


def test_a_deletion_has_uid_and_resource_version_as_preconditions() -> None:
    kube, pool = client({})
    kube.delete_pod("vitess", "db-0", "uid-1", "42")
    (asked,) = pool.asked
    assert (asked["method"], asked["url"].endswith("/api/v1/namespaces/vitess/pods/db-0")) == ("DELETE", True)
    assert json.loads(asked["body"])["preconditions"] == {"uid": "uid-1", "resourceVersion": "42"}


def test_a_page_of_a_list_is_asked_for_when_the_one_before_was_used_up() -> None:
    kube, pool = client({"items": [{"a": 1}, {"a": 2}], "metadata": {"continue": "t"}}, {"items": [{"a": 3}]})
    found = kube.each("/x")
    assert [next(found), next(found), len(pool.asked)] == [{"a": 1}, {"a": 2}, 1]
    assert [next(found), len(pool.asked)] == [{"a": 3}, 2]


def test_pods_may_be_selected_by_a_field() -> None:
    kube, pool = client({"items": []})
    kube.pods("vitess", "app=x", "status.podIP=10.0.0.7")
    assert pool.asked[0]["url"].endswith("&labelSelector=app%3Dx&fieldSelector=status.podIP%3D10.0.0.7")


def test_a_web_page_is_read_through_the_pod_proxy() -> None:
    kube, pool = client(b"{}")
    assert kube.web_get("vitess", "db-0", 15000, "/debug/vars") == b"{}"
    assert pool.asked[0]["url"].endswith("/namespaces/vitess/pods/db-0:15000/proxy/debug/vars")


# -- exec


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ({"status": "Success"}, 0),
        ({"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}}, 3),
        ({"status": "Failure", "message": "container not found"}, 255),
        ({"status": "Failure", "details": {}}, 255),
    ],
)
def test_the_exit_code_of_an_exec(status: dict, code: int) -> None:
    assert _exit_code(json.dumps(status)) == code


def test_a_status_that_is_no_json_is_no_success() -> None:
    assert _exit_code("error: ...") == 255


class Channel:
    """A websocket on which these frames come; then it ends, with or without a goodbye, or nothing more comes."""

    def __init__(self, *frames: bytes, ends: str = "closed") -> None:
        self.frames, self.ends = list(frames), ends
        self.closed = False
        self.limit_s = 5.0

    def settimeout(self, seconds: float) -> None:
        assert seconds <= self.limit_s

    def recv_data_frame(self, _control: bool) -> tuple[int, Any]:
        if self.frames:
            return websocket.ABNF.OPCODE_BINARY, SimpleNamespace(data=self.frames.pop(0))
        if self.ends == "cut":
            raise websocket.WebSocketConnectionClosedException("gone")
        if self.ends == "reset":
            raise ConnectionResetError("reset by peer")
        if self.ends == "nothing":
            raise websocket.WebSocketTimeoutException("timed out")
        return websocket.ABNF.OPCODE_CLOSE, SimpleNamespace(data=b"")

    def close(self, timeout: float) -> None:
        self.closed = True


def stream(out: str = "", err: str = "", status: str = "", ends: str = "closed") -> Channel:
    frames = [bytes([number]) + text.encode() for number, text in ((1, out), (2, err), (3, status)) if text]
    return Channel(b"\x01", b"\x02", *frames, ends=ends)  # the API server begins with an empty frame each


def run_exec(
    monkeypatch: pytest.MonkeyPatch, channel: Channel, command: tuple[str, ...] = ("vtctldclient", "GetTablets")
) -> tuple[str, str]:
    kube, _pool = client()
    monkeypatch.setattr(kubernetes_client, "open_channel", lambda *_args: channel)
    try:
        return kube.exec("vitess", "vtctld-0", "vtctld", list(command), 5.0)
    finally:
        assert channel.closed


SUCCESS = json.dumps({"status": "Success"})
EXIT_1 = json.dumps({"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "1"}]}})


def test_an_exec_gives_its_standard_output_and_apart_its_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_exec(monkeypatch, stream("[]", "a warning", SUCCESS)) == ("[]", "a warning")


def test_an_exec_that_fails_is_refused_with_its_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="node doesn't exist") as refusal:
        run_exec(monkeypatch, stream("", "node doesn't exist\n", EXIT_1))
    assert refusal.value.status == 1


def test_an_exec_that_does_not_end_in_time_has_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutcomeUnknown, match="no end after 5 s"):
        run_exec(monkeypatch, stream(ends="nothing"))


def test_an_exec_is_named_by_its_first_words_and_never_by_the_text_of_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutcomeUnknown) as plain:
        run_exec(monkeypatch, stream(ends="nothing"))
    assert str(plain.value) == "exec vtctldclient GetTablets in vitess/vtctld-0: no end after 5 s"
    with pytest.raises(OutcomeUnknown) as script:
        run_exec(monkeypatch, stream(ends="nothing"), ("sh", "-c", "line\n" * 400, "vtops"))
    assert str(script.value) == "exec sh -c in vitess/vtctld-0: no end after 5 s"


def test_the_shards_script_is_named_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    kube, _pool = client()
    channel = stream(ends="nothing")
    channel.limit_s = 18.0
    monkeypatch.setattr(kubernetes_client, "open_channel", lambda *_args: channel)
    vtctld = Vtctld(ExecTransport(kube, "vitess", "vtctld-0", "vtctld", ["vtctldclient"]))
    with pytest.raises(OutcomeUnknown) as error:
        vtctld.shard_records("commerce", "-80")
    assert str(error.value) == "exec the shard's script in vitess/vtctld-0: no end after 18 s"


@pytest.mark.parametrize("ends", ["closed", "cut", "reset"])
def test_an_exec_whose_connection_was_cut_has_an_unknown_outcome_and_no_empty_output(
    ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutcomeUnknown, match="reset by peer" if ends == "reset" else "cut before its end"):
        run_exec(monkeypatch, stream("[", "", "", ends=ends))


def test_an_exec_that_told_its_end_is_done_however_the_connection_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_exec(monkeypatch, stream("[]", "", SUCCESS, ends="cut")) == ("[]", "")


def test_a_character_that_two_frames_share_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = "ü".encode()[:1], "ü".encode()[1:]
    channel = Channel(b"\x01" + first, b"\x01" + second, b"\x03" + SUCCESS.encode())
    assert run_exec(monkeypatch, channel) == ("ü", "")


def test_a_refused_handshake_says_why_in_kubernetes_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    kube, _pool = client()

    def refuse(*_args: Any, **_more: Any) -> None:
        error = websocket.WebSocketBadStatusException("Handshake status %d %s", 403)
        error.resp_body = json.dumps({"message": "cannot create resource pods/exec"}).encode()
        raise error

    monkeypatch.setattr(kubernetes_client, "open_channel", refuse)
    with pytest.raises(Refused, match="cannot create resource pods/exec") as refusal:
        kube.exec("vitess", "vtctld-0", "vtctld", ["vtctldclient"], 5.0)
    assert refusal.value.status == 403


def test_a_websocket_goes_to_the_same_server() -> None:
    assert _websocket_url("https://h:1", "/p", [("a", "b c")]) == "wss://h:1/p?a=b+c"
    assert _websocket_url("http://h:1", "/p", [("a", "b")]) == "ws://h:1/p?a=b"


# -- configuration


def test_a_kubeconfig_that_is_not_there_is_unreachable_and_named(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no usable Kubernetes configuration"):
        KubernetesClient(Access(kubeconfig=str(tmp_path / "none")))


def test_a_context_that_is_not_in_the_kubeconfig_is_unreachable_and_never_another_cluster(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "right",
                "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.9"}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": "right", "context": {"cluster": "c", "user": "u"}}],
            }
        )
    )
    with pytest.raises(Unreachable, match="wrong"):
        KubernetesClient(Access(kubeconfig=str(config), context="wrong"))
    assert KubernetesClient(Access(kubeconfig=str(config), context="right"))._base == "https://192.0.2.9"


def test_certificates_may_be_told_not_to_be_checked() -> None:
    kube = KubernetesClient(Access(host="https://192.0.2.1", validate_certs=False, ca_cert=None))
    assert kube._configuration.verify_ssl is False
