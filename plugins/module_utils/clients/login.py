# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How to log in at a vtgate: the one place that makes TLS of the options C(login_*) and opens PyMySQL's connections. Light: no other client."""

from __future__ import annotations

import ssl
import traceback
from dataclasses import dataclass, field
from typing import Any

from ..errors import EdgeError

try:
    import pymysql
    import pymysql.connections
    from pymysql.constants import CLIENT

    PYMYSQL_IMPORT_ERROR: str | None = None
except ImportError:
    PYMYSQL_IMPORT_ERROR = traceback.format_exc()

SSL_CONNECTION_ERROR = 2026  # CR_SSL_CONNECTION_ERROR; PyMySQL 1.0 has no name for it
NAME_MISMATCHES = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


@dataclass(frozen=True)
class Login:
    """User and password at vtgate, and the TLS that the connection must have; None for a plain one."""

    user: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def unopened(self, host: str, port: int, **options: Any) -> Any:
        """A PyMySQL connection that is not open yet. C(options) are PyMySQL's."""
        kind = _Encrypted if self.tls is not None else pymysql.connections.Connection
        return kind(
            host=host,
            port=port,
            user=self.user,
            password=self.password,
            defer_connect=True,
            # Without a word PyMySQL reads every CA certificate of this machine for each connection (28 ms of CPU).
            **({"ssl_disabled": True} if self.tls is None else {"ssl": self.tls}),
            **options,
        )


def login_from(params: dict[str, Any]) -> Login:
    """The log-in that the options ask for. Raises EdgeError naming the option whose file cannot be used."""
    return Login(
        user=params["login_user"] or "",
        password=params["login_password"] or "",
        tls=tls_context(
            ca_cert=params["login_ca_cert"],
            client_cert=params["login_client_cert"],
            client_key=params["login_client_key"],
            check_hostname=params["login_check_hostname"],
            server_name=params["login_server_name"],
        ),
    )


class _Context(ssl.SSLContext):
    """PyMySQL asks for the host that it connects to; through a port-forward the certificate names another one."""

    server_name = ""

    def wrap_socket(  # type: ignore[override]
        self, sock: Any, *, server_hostname: Any = None, **more: Any
    ) -> ssl.SSLSocket:
        return super().wrap_socket(sock, server_hostname=self.server_name or server_hostname, **more)


def tls_context(
    ca_cert: str | None = None,
    client_cert: str | None = None,
    client_key: str | None = None,
    check_hostname: bool | None = None,
    server_name: str | None = None,
) -> ssl.SSLContext | None:
    """The TLS that these options ask for; None where they ask for none.

    The certificate is verified unless a client certificate alone was given: with C(ca_cert), else with this machine's CAs.
    Its name is checked unless C(check_hostname) is false. Raises EdgeError naming the option whose file cannot be used.
    """
    if client_key and not client_cert:
        raise EdgeError("login_client_key needs login_client_cert")
    verified = bool(ca_cert or server_name or check_hostname)
    if not (verified or client_cert):
        return None
    # Not create_default_context(): its VERIFY_X509_STRICT (Python 3.13) refuses the certificates that MySQL makes itself.
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = server_name or ""
    context.check_hostname = verified and check_hostname is not False
    context.verify_mode = ssl.CERT_REQUIRED if verified else ssl.CERT_NONE
    if ca_cert:
        try:
            context.load_verify_locations(cafile=ca_cert)
        except OSError as error:
            raise EdgeError(f"login_ca_cert {ca_cert} cannot be used: {_why(error)}") from error
    elif verified:
        context.load_default_certs()
    if client_cert:
        try:
            # An encrypted key would ask for its password on the terminal, and wait.
            context.load_cert_chain(client_cert, client_key, password=lambda: "")
        except OSError as error:
            files = f"login_client_cert {client_cert}" + (f" with login_client_key {client_key}" if client_key else "")
            raise EdgeError(f"{files} cannot be used: {_why(error)}") from error
    return context


def certificate_refusal(error: BaseException) -> str:
    """Why the server's certificate was refused, with the option that says otherwise; empty where that was not the reason."""
    cause = getattr(error, "original_exception", None) or error
    if not isinstance(cause, ssl.SSLCertVerificationError):
        return ""
    if cause.verify_code in NAME_MISMATCHES:
        return f"its certificate is for another name ({cause.verify_message}): set login_server_name to one that it has"
    return f"its certificate is refused ({cause.verify_message}): see login_ca_cert"


def _why(error: OSError) -> str:
    return error.strerror or str(error)


if PYMYSQL_IMPORT_ERROR is None:

    class _Encrypted(pymysql.connections.Connection):
        """PyMySQL 1.0 and 1.1 would go on in plain text where the server offers no TLS."""

        def _request_authentication(self) -> None:
            if not self.server_capabilities & CLIENT.SSL:  # type: ignore[attr-defined]
                raise pymysql.err.OperationalError(SSL_CONNECTION_ERROR, "TLS was asked for and the server offers none")
            super()._request_authentication()  # type: ignore[misc]
