# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TLS to a vtgate over real sockets: PyMySQL as the product opens it, a server that speaks MySQL's handshake and then TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql.err
import pytest
import trustme

from ansible_collections.vtops.vitess.plugins.module_utils.clients.login import (
    Login,
    certificate_refusal,
    login_from,
    tls_context,
)
from ansible_collections.vtops.vitess.plugins.module_utils.clients.vtgate import Endpoint, VtgateClient
from ansible_collections.vtops.vitess.plugins.module_utils.errors import EdgeError, Refused
from ansible_collections.vtops.vitess.plugins.module_utils.probe.vtgate import Dialler, ProbeError, Target, look_at
from ansible_collections.vtops.vitess.tests.sim import mysql_wire
from ansible_collections.vtops.vitess.tests.unit.clients.listening import Listening

NAME = "vtgate.example.com"
CLIENT_SSL = 0x800
PASSWORD = "geheim"


class TlsVtgate(Listening):
    """Says OK to every statement. tls: None for a server that offers none. encrypted: of each log-in that came, whether it was."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.tls = tls
        self.encrypted: list[bool] = []
        super().__init__()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), client:
            flags = mysql_wire.CAPABILITIES | (CLIENT_SSL if self.tls else 0)
            send(
                client,
                0,
                b"\x0a8.4.6-Vitess\0" + struct.pack("<I", 1) + b"12345678\0" + struct.pack("<H", flags & 0xFFFF)
                + bytes([255]) + struct.pack("<HH", 2, flags >> 16) + bytes([21]) + bytes(10) + b"901234567890\0"
                + b"mysql_native_password\0",
            )  # fmt: skip
            sequence, packet = receive(client)
            encrypted = False
            if struct.unpack_from("<I", packet)[0] & CLIENT_SSL and len(packet) == 32 and self.tls is not None:
                client = self.tls.wrap_socket(client, server_side=True)
                encrypted = True
                sequence, packet = receive(client)
            self.encrypted.append(encrypted)
            while True:
                send(client, sequence + 1, mysql_wire.ok(0, False))
                sequence, packet = receive(client)
                if packet[0] == 1:
                    return


def send(client: socket.socket, sequence: int, packet: bytes) -> None:
    client.sendall(struct.pack("<I", len(packet))[:3] + bytes([sequence]) + packet)


def receive(client: socket.socket) -> tuple[int, bytes]:
    head = exactly(client, 4)
    return head[3], exactly(client, int.from_bytes(head[:3], "little"))


def exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = client.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> str:
    return pem(ca, tmp_path / "ca.pem")


def pem(authority: trustme.CA, path: Path) -> str:
    authority.cert_pem.write_to_path(str(path))
    return str(path)


Serve = Callable[..., TlsVtgate]


@pytest.fixture
def serve(ca: trustme.CA) -> Iterator[Serve]:
    """Starts a vtgate whose certificate is for these names; none is one without TLS."""
    started: list[TlsVtgate] = []

    def start(*names: str, client_ca: trustme.CA | None = None) -> TlsVtgate:
        context: ssl.SSLContext | None = None
        if names:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ca.issue_cert(*names).configure_cert(context)
            if client_ca is not None:
                client_ca.configure_trust(context)
                context.verify_mode = ssl.CERT_REQUIRED
        started.append(TlsVtgate(context))
        return started[-1]

    yield start
    for vtgate in started:
        vtgate.close()


class PortForward:
    """Kubernetes as far as a connection to a Pod needs it."""

    def __init__(self, port: int) -> None:
        self.port = port

    def port_forward(self, _namespace: str, _pod: str, _port: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port))


def through_address(vtgate: TlsVtgate, login: Login) -> None:
    kube: Any = None
    VtgateClient(kube, Endpoint("gate", host="127.0.0.1", port=vtgate.port), login).connect().close()


def through_port_forward(vtgate: TlsVtgate, login: Login) -> None:
    kube: Any = PortForward(vtgate.port)
    VtgateClient(kube, Endpoint("vtgate-0", namespace="vitess", pod="vtgate-0"), login).connect().close()


def through_probe(vtgate: TlsVtgate, login: Login) -> None:
    target = Target("gate", "127.0.0.1", vtgate.port)
    Dialler([target], login, 5.0).open(target, "commerce@primary").close()


WAYS = [through_address, through_port_forward, through_probe]
Way = Callable[[TlsVtgate, Login], None]
REFUSALS = (EdgeError, pymysql.err.MySQLError)


def asking(**options: Any) -> Login:
    return Login("vtops", PASSWORD, tls_context(**options))


def refused(way: Way, vtgate: TlsVtgate, login: Login) -> str:
    """Why the connection was refused; no log-in may have been sent, in TLS or not."""
    with pytest.raises(REFUSALS) as error:
        way(vtgate, login)
    assert vtgate.encrypted == []
    return certificate_refusal(error.value) or str(error.value)


@pytest.mark.parametrize("way", WAYS)
def test_a_certificate_of_the_given_ca_with_the_given_name_is_taken_and_the_log_in_is_encrypted(
    way: Way, serve: Serve, ca_file: str
) -> None:
    vtgate = serve(NAME)
    way(vtgate, asking(ca_cert=ca_file, server_name=NAME))
    assert vtgate.encrypted == [True]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("check_hostname", [None, True, False])
def test_a_ca_alone_makes_the_certificate_be_verified(
    way: Way, check_hostname: bool | None, serve: Serve, tmp_path: Path
) -> None:
    other = pem(trustme.CA(), tmp_path / "other.pem")
    login = asking(ca_cert=other, check_hostname=check_hostname)
    assert "see login_ca_cert" in refused(way, serve(NAME, "127.0.0.1", "vtgate-0"), login)


@pytest.mark.parametrize("way", WAYS)
def test_a_certificate_for_another_name_is_refused_with_the_option_for_its_name(
    way: Way, serve: Serve, ca_file: str
) -> None:
    vtgate = serve("other.example.com")
    assert "set login_server_name" in refused(way, vtgate, asking(ca_cert=ca_file, server_name=NAME))
    assert "set login_server_name" in refused(way, vtgate, asking(ca_cert=ca_file))
    assert "set login_server_name" in refused(way, vtgate, asking(ca_cert=ca_file, check_hostname=True))


@pytest.mark.parametrize("way", WAYS)
def test_the_name_is_not_checked_only_where_that_is_asked_for(way: Way, serve: Serve, ca_file: str) -> None:
    vtgate = serve("other.example.com")
    way(vtgate, asking(ca_cert=ca_file, check_hostname=False))
    assert vtgate.encrypted == [True]


def test_without_a_server_name_the_host_that_is_connected_to_must_be_in_the_certificate(
    serve: Serve, ca_file: str
) -> None:
    through_address(serve("127.0.0.1"), asking(ca_cert=ca_file))
    through_port_forward(serve("vtgate-0"), asking(ca_cert=ca_file))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("options", [{"server_name": NAME}, {"check_hostname": True}])
def test_without_a_ca_the_machines_own_decide(way: Way, options: dict[str, Any], serve: Serve) -> None:
    assert "see login_ca_cert" in refused(way, serve(NAME, "127.0.0.1", "vtgate-0"), asking(**options))


@pytest.mark.parametrize("way", WAYS)
def test_a_vtgate_without_tls_is_refused_where_tls_was_asked_for_and_gets_no_log_in(
    way: Way, serve: Serve, ca_file: str
) -> None:
    text = refused(way, serve(), asking(ca_cert=ca_file, server_name=NAME))
    assert "TLS was asked for and the server offers none" in text


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_is_plain_where_nothing_asks_for_tls(way: Way, serve: Serve) -> None:
    vtgate = serve(NAME)
    way(vtgate, asking())
    assert vtgate.encrypted == [False]


@pytest.mark.parametrize("way", WAYS)
def test_a_client_certificate_is_shown_to_a_vtgate_that_asks_for_one(
    way: Way, serve: Serve, ca: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    mine = ca.issue_cert("vtops@example.com")
    mine.cert_chain_pems[0].write_to_path(str(tmp_path / "me.pem"))
    mine.private_key_pem.write_to_path(str(tmp_path / "me.key"))
    vtgate = serve(NAME, client_ca=ca)
    files = {"client_cert": str(tmp_path / "me.pem"), "client_key": str(tmp_path / "me.key")}
    way(vtgate, asking(ca_cert=ca_file, server_name=NAME, **files))
    assert vtgate.encrypted == [True]
    with pytest.raises(REFUSALS):
        way(vtgate, asking(ca_cert=ca_file, server_name=NAME))


def test_a_refused_certificate_is_a_refusal_that_names_the_vtgate_in_one_line(serve: Serve, ca_file: str) -> None:
    with pytest.raises(Refused, match=r"^gate: its certificate is for another name") as error:
        through_address(serve("other.example.com"), asking(ca_cert=ca_file))
    assert len(str(error.value)) < 200
    assert PASSWORD not in str(error.value)


def test_the_probe_says_which_option_is_about_a_refused_certificate(serve: Serve, ca_file: str) -> None:
    target = Target("gate", "127.0.0.1", serve("other.example.com").port)
    with pytest.raises(ProbeError, match="set login_server_name"):
        look_at(Dialler([target], asking(ca_cert=ca_file), 5.0), "commerce", "probe")


OPTIONS = ("ca_cert", "client_cert", "client_key", "check_hostname", "server_name")


def params(**given: Any) -> dict[str, Any]:
    return {
        "login_user": "vtops",
        "login_password": PASSWORD,
        **{f"login_{name}": given.get(name) for name in OPTIONS},
    }


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"ca_cert": "none.pem"}, "login_ca_cert .*none.pem cannot be used: No such file"),
        ({"ca_cert": "bad.pem"}, "login_ca_cert .*bad.pem cannot be used: "),
        ({"client_cert": "none.pem"}, "login_client_cert .*none.pem cannot be used: No such file"),
        ({"client_cert": "bad.pem", "client_key": "bad.pem"}, "login_client_cert .* with login_client_key .*bad.pem"),
        ({"client_key": "bad.pem"}, "login_client_key needs login_client_cert"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_that_names_it_and_its_option(
    given: dict[str, str], says: str, tmp_path: Path
) -> None:
    (tmp_path / "bad.pem").write_text("no certificate\n")
    with pytest.raises(EdgeError, match=says):
        login_from(params(**{name: str(tmp_path / value) for name, value in given.items()}))


@pytest.mark.parametrize(
    ("given", "verify", "named"),
    [
        ({}, None, False),
        ({"check_hostname": False}, None, False),
        ({"check_hostname": True}, ssl.CERT_REQUIRED, True),
        ({"server_name": NAME}, ssl.CERT_REQUIRED, True),
        ({"ca_cert": "ca"}, ssl.CERT_REQUIRED, True),
        ({"ca_cert": "ca", "check_hostname": False}, ssl.CERT_REQUIRED, False),
        ({"client_cert": "me"}, ssl.CERT_NONE, False),
        ({"client_cert": "me", "check_hostname": True}, ssl.CERT_REQUIRED, True),
    ],
)
def test_what_the_options_mean(
    given: dict[str, Any], verify: ssl.VerifyMode | None, named: bool, ca: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    ca.issue_cert(NAME).private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "me.pem"))
    files = {"ca": ca_file, "me": str(tmp_path / "me.pem")}
    context = tls_context(**{name: files.get(value, value) for name, value in given.items()})
    assert (context.verify_mode if context else None) == verify
    assert (context.check_hostname if context else False) is named


def test_the_password_is_not_in_the_logins_text() -> None:
    assert PASSWORD not in repr(login_from(params()))
