# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each option that says who we are at the API server and how it is reached, as it is seen on the other end of the wire."""

from __future__ import annotations

import contextlib
import json
import socket
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.vtops.vitess.plugins.module_utils import options
from ansible_collections.vtops.vitess.plugins.module_utils.arguments import cluster_spec, is_secret
from ansible_collections.vtops.vitess.plugins.module_utils.clients import access as access_module
from ansible_collections.vtops.vitess.plugins.module_utils.clients.access import Access
from ansible_collections.vtops.vitess.plugins.module_utils.clients.kubernetes import KubernetesClient
from ansible_collections.vtops.vitess.plugins.module_utils.errors import EdgeError, Refused, Unreachable
from ansible_collections.vtops.vitess.tests.unit.clients.listening import Listening

TOKEN, PASSWORD = "t0ken", "passw0rd"


class Heads(Listening):
    """An HTTP server that keeps the head of each request. It is a proxy too: CONNECT is answered, and what follows is kept."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            while head := self._head(client):
                self.seen.append(head)
                if head[0].startswith("CONNECT"):
                    client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                elif any(line.lower() == "upgrade: websocket" for line in head):
                    client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                else:
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    @staticmethod
    def _head(client: socket.socket) -> list[str]:
        data = b""
        while b"\r\n\r\n" not in data:
            part = client.recv(65536)
            data += part
            if not part or data[:1] == b"\x16":  # the client's hello, where TLS begins
                return []
        return data.partition(b"\r\n\r\n")[0].decode().split("\r\n")

    def values(self, name: str) -> list[list[str]]:
        """What each request, CONNECT aside, said under that header."""
        return [said(head, name) for head in self.seen if not head[0].startswith("CONNECT")]


def said(head: list[str], name: str) -> list[str]:
    return [line.partition(": ")[2] for line in head[1:] if line.partition(":")[0].lower() == name]


@pytest.fixture
def api() -> Iterator[Heads]:
    server = Heads()
    yield server
    server.close()


@pytest.fixture
def proxy() -> Iterator[Heads]:
    server = Heads()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def use_all_kinds(access: Access) -> None:
    """One plain request, one through the Pod proxy, an exec and a port-forward."""
    kube = KubernetesClient(access)
    kube.get("/api/v1/nodes")
    kube.web_get("vitess", "db-0", 15000, "/debug/vars")
    for call in (
        lambda: kube.exec("vitess", "vtctld-0", "vtctld", ["vtctldclient"], 5.0),
        lambda: kube.port_forward("vitess", "vtgate-0", 3306),
    ):
        with pytest.raises(Refused) as refusal:
            call()
        assert refusal.value.status == 403


# -- who asks


@pytest.mark.parametrize(
    ("given", "header", "values"),
    [
        ({"api_key": TOKEN}, "authorization", [f"Bearer {TOKEN}"]),
        (
            {"username": "me", "password": PASSWORD},
            "authorization",
            ["Basic " + b64encode(f"me:{PASSWORD}".encode()).decode()],
        ),
        ({"impersonate_user": "jane"}, "impersonate-user", ["jane"]),
        ({"impersonate_user": "jane", "impersonate_groups": ("dba", "ops")}, "impersonate-group", ["dba", "ops"]),
        ({}, "authorization", []),
        ({"api_key": TOKEN}, "impersonate-user", []),
    ],
)
def test_every_kind_of_request_says_who_asks(given: dict[str, Any], header: str, values: list[str], api: Heads) -> None:
    use_all_kinds(Access(host=api.url, **given))
    assert api.values(header) == [values] * 4


def a_kubeconfig(path: Path, server: str, user: dict[str, Any]) -> str:
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            }
        )
    )
    return str(path)


@pytest.mark.parametrize("given", [{"api_key": TOKEN}, {"username": "me", "password": PASSWORD}])
def test_credentials_of_the_options_stand_in_place_of_the_kubeconfigs_user(
    given: dict[str, Any], api: Heads, tmp_path: Path
) -> None:
    user = {"token": "of-the-kubeconfig"}
    use_all_kinds(Access(kubeconfig=a_kubeconfig(tmp_path / "config", api.url, user), **given))
    wanted = Access(**given).authorization
    assert api.values("authorization") == [[wanted]] * 4


def test_a_token_of_the_options_is_not_sent_beside_the_certificate_of_the_kubeconfigs_user(tmp_path: Path) -> None:
    files = {name: str(tmp_path / name) for name in ("client-certificate", "client-key")}
    for name in files.values():
        Path(name).write_text("x")
    kubeconfig = a_kubeconfig(tmp_path / "config", "https://192.0.2.9", files)
    assert access_module.configuration_of(Access(kubeconfig=kubeconfig)).cert_file
    configuration = access_module.configuration_of(Access(kubeconfig=kubeconfig, api_key=TOKEN))
    assert (configuration.cert_file, configuration.key_file, configuration.host) == (None, None, "https://192.0.2.9")


def test_a_token_that_the_kubeconfigs_plugin_would_refresh_does_not_come_back(tmp_path: Path, api: Heads) -> None:
    plugin = tmp_path / "plugin"
    status = {"token": "of-the-plugin", "expirationTimestamp": "2000-01-01T00:00:00Z"}
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    plugin.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    plugin.chmod(0o755)
    runs = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    }
    kubeconfig = a_kubeconfig(tmp_path / "config", api.url, runs)
    use_all_kinds(Access(kubeconfig=kubeconfig, api_key=TOKEN))
    assert api.values("authorization") == [[f"Bearer {TOKEN}"]] * 4


def test_a_host_stands_in_place_of_the_kubeconfigs_server_and_its_user_stays(api: Heads, tmp_path: Path) -> None:
    kubeconfig = a_kubeconfig(tmp_path / "config", "https://192.0.2.9", {"token": "of-the-kubeconfig"})
    use_all_kinds(Access(host=api.url, kubeconfig=kubeconfig))
    assert api.values("authorization") == [["Bearer of-the-kubeconfig"]] * 4


# -- through a proxy


def test_plain_requests_go_through_the_proxy_and_so_do_exec_and_port_forward(api: Heads, proxy: Heads) -> None:
    use_all_kinds(
        Access(host=api.url, api_key=TOKEN, proxy=proxy.url, proxy_headers={"proxy_basic_auth": f"me:{PASSWORD}"})
    )
    assert api.seen == []
    basic = "Basic " + b64encode(f"me:{PASSWORD}".encode()).decode()
    first = [head for head in proxy.seen if said(head, "proxy-authorization")]
    assert [said(head, "proxy-authorization") for head in first] == [[basic]] * 4
    assert [head[0].split()[0] for head in first] == ["GET", "GET", "CONNECT", "CONNECT"]
    assert proxy.values("authorization") == [[f"Bearer {TOKEN}"]] * 4


def test_an_api_server_with_tls_is_asked_for_by_name_at_the_proxy(proxy: Heads) -> None:
    kube = KubernetesClient(Access(host="https://api.example.com:6443", api_key=TOKEN, proxy=proxy.url))
    for call in (
        lambda: kube.get("/api/v1/nodes"),
        lambda: kube.exec("vitess", "vtctld-0", "vtctld", ["vtctldclient"], 5.0),
        lambda: kube.port_forward("vitess", "vtgate-0", 3306),
    ):
        with pytest.raises(EdgeError):
            call()
    connects = [head[0] for head in proxy.seen if head[0].startswith("CONNECT")]
    assert len(connects) == 3
    assert all(line.startswith("CONNECT api.example.com:6443 HTTP/1.") for line in connects)
    assert not any(TOKEN in line for head in proxy.seen for line in head)


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "10.0.0.0/8,127.0.0.0/8"])
def test_what_no_proxy_names_is_reached_directly_by_every_kind_of_request(
    no_proxy: str, api: Heads, proxy: Heads
) -> None:
    use_all_kinds(Access(host=api.url, api_key=TOKEN, proxy=proxy.url, no_proxy=no_proxy))
    assert proxy.seen == []
    assert len(api.seen) == 4


# -- what cannot be done is refused


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"username": "me"}, "username and password are needed together"),
        ({"password": PASSWORD}, "username and password are needed together"),
        ({"username": "me", "password": PASSWORD, "api_key": TOKEN}, "api_key and username both"),
        ({"impersonate_groups": ("dba",)}, "impersonate_groups needs impersonate_user"),
        ({"impersonate_user": "jane\r\nimpersonate-group: system:masters"}, "must be one line each"),
        ({"proxy": "https://proxy:3128"}, "proxy must be http://host:port"),
        ({"proxy": "socks5://proxy:1080"}, "proxy must be http://host:port"),
        ({"proxy": "proxy:3128"}, "proxy must be http://host:port"),
        ({"proxy": f"http://me:{PASSWORD}@proxy:3128"}, "give them as proxy_headers.proxy_basic_auth"),
        ({"proxy_headers": {"user_agent": "x/1"}}, r"proxy_headers.user_agent cannot be sent"),
        ({"proxy_headers": {"basic_auth": f"me:{PASSWORD}"}}, r"proxy_headers.basic_auth cannot be sent"),
        (
            {"proxy": "http://proxy:3128", "impersonate_user": "jane", "impersonate_groups": ("a", "b")},
            "several impersonate_groups cannot go through a proxy",
        ),
    ],
)
def test_what_cannot_be_sent_with_every_request_is_refused_and_never_left_out(given: dict[str, Any], says: str) -> None:
    with pytest.raises(EdgeError, match=says) as refusal:
        KubernetesClient(Access(host="http://192.0.2.1:8080", **given))
    assert not isinstance(refusal.value, Unreachable)
    assert PASSWORD not in str(refusal.value)


def test_no_secret_is_in_the_options_text() -> None:
    text = repr(
        Access(
            api_key=TOKEN,
            password=PASSWORD,
            proxy=f"http://me:{PASSWORD}@proxy",
            proxy_headers={"proxy_basic_auth": PASSWORD},
        )
    )
    assert TOKEN not in text
    assert PASSWORD not in text


# -- from the environment, as kubernetes.core names it


def validated(**given: Any) -> ArgumentSpecValidator:
    result = ArgumentSpecValidator(cluster_spec()).validate({"namespace": "vitess", **given})
    assert result.error_messages == []
    return result


VARIABLES: dict[str, tuple[str, str, Any]] = {
    "K8S_AUTH_KUBECONFIG": ("kubeconfig", "/k", "/k"),
    "K8S_AUTH_CONTEXT": ("context", "c", "c"),
    "K8S_AUTH_HOST": ("host", "https://h", "https://h"),
    "K8S_AUTH_API_KEY": ("api_key", TOKEN, TOKEN),
    "K8S_AUTH_USERNAME": ("username", "me", "me"),
    "K8S_AUTH_PASSWORD": ("password", PASSWORD, PASSWORD),
    "K8S_AUTH_CA_CERT": ("ca_cert", "/ca", "/ca"),
    "K8S_AUTH_SSL_CA_CERT": ("ca_cert", "/ca", "/ca"),
    "K8S_AUTH_CLIENT_CERT": ("client_cert", "/cert", "/cert"),
    "K8S_AUTH_CERT_FILE": ("client_cert", "/cert", "/cert"),
    "K8S_AUTH_CLIENT_KEY": ("client_key", "/key", "/key"),
    "K8S_AUTH_KEY_FILE": ("client_key", "/key", "/key"),
    "K8S_AUTH_VALIDATE_CERTS": ("validate_certs", "no", False),
    "K8S_AUTH_VERIFY_SSL": ("validate_certs", "False", False),
    "K8S_AUTH_PROXY": ("proxy", "http://proxy:3128", "http://proxy:3128"),
    "K8S_AUTH_NO_PROXY": ("no_proxy", ".local,10.0.0.0/8", ".local,10.0.0.0/8"),
    "K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH": ("proxy_headers", PASSWORD, {"proxy_basic_auth": PASSWORD}),
    "K8S_AUTH_PROXY_HEADERS_BASIC_AUTH": ("proxy_headers", PASSWORD, {"basic_auth": PASSWORD}),
    "K8S_AUTH_PROXY_HEADERS_USER_AGENT": ("proxy_headers", "x/1", {"user_agent": "x/1"}),
    "K8S_AUTH_IMPERSONATE_USER": ("impersonate_user", "jane", "jane"),
    "K8S_AUTH_IMPERSONATE_GROUPS": ("impersonate_groups", "dba,ops", ("dba", "ops")),
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_each_variable_of_kubernetes_core_is_used(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    option, text, wanted = VARIABLES[variable]
    monkeypatch.setenv(variable, text)
    found = getattr(options.access(validated().validated_parameters), option)
    assert ({k: v for k, v in found.items() if v} if isinstance(found, dict) else found) == wanted


def test_every_option_of_the_access_has_a_variable() -> None:
    assert {option for option, _text, _wanted in VARIABLES.values()} == {field.name for field in fields(Access)}


@pytest.mark.parametrize(("variable", "option"), [("VTGATE_USER", "login_user"), ("VTGATE_PASSWORD", "login_password")])
def test_the_log_in_at_vtgate_may_come_from_the_environment(
    variable: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert validated().validated_parameters[option] in ("vtops", "")
    monkeypatch.setenv(variable, "from-there")
    assert validated().validated_parameters[option] == "from-there"
    assert validated(**{option: "given"}).validated_parameters[option] == "given"


@pytest.mark.parametrize(
    "variable",
    [
        "K8S_AUTH_API_KEY",
        "K8S_AUTH_PASSWORD",
        "K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH",
        "K8S_AUTH_PROXY_HEADERS_BASIC_AUTH",
        "VTGATE_PASSWORD",
    ],
)
def test_a_secret_from_the_environment_is_kept_out_of_results(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "s3cret")
    assert "s3cret" in validated()._no_log_values


@pytest.mark.parametrize(
    ("option", "alias"),
    [
        ("ca_cert", "ssl_ca_cert"),
        ("client_cert", "cert_file"),
        ("client_key", "key_file"),
        ("validate_certs", "verify_ssl"),
    ],
)
def test_the_aliases_are_kubernetes_cores(option: str, alias: str) -> None:
    value: Any = False if option == "validate_certs" else "/x"
    assert validated(**{alias: value}).validated_parameters[option] == value


def test_the_secret_options_are_known() -> None:
    secret = {name for name, option in cluster_spec().items() if is_secret(option)}
    assert secret == {"api_key", "password", "proxy_headers", "login_password"}
