# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may come in at the simulated fleet's sockets: anybody, or over TLS whoever has the token and, at the vtgates, the password."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from dataclasses import dataclass, field
from pathlib import Path

# What MySQL's greeting tells a client to mix its password with.
SALT = (b"12345678", b"901234567890")


@dataclass(frozen=True)
class Door:
    """Open where nothing is set. token: the API's bearer token. user, password: the log-in at every vtgate."""

    token: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def knows(self, authorization: str | None) -> bool:
        """Whether a request's Authorization header is the token's; in-cluster clients write the scheme small."""
        scheme, _blank, token = (authorization or "").partition(" ")
        return not self.token or (scheme.lower() == "bearer" and hmac.compare_digest(token, self.token))

    def logs_in(self, user: str, answer: bytes) -> bool:
        """Whether a client's answer to the salt is the password's, by mysql_native_password."""
        return not self.user or (user == self.user and hmac.compare_digest(answer, scrambled(self.password)))


def scrambled(password: str) -> bytes:
    """What a client that has the password answers to the salt."""
    once = hashlib.sha1(password.encode()).digest()
    mixed = hashlib.sha1(b"".join(SALT) + hashlib.sha1(once).digest()).digest()
    return (int.from_bytes(once, "big") ^ int.from_bytes(mixed, "big")).to_bytes(len(once), "big")


def certified(host: str, ca_file: Path) -> ssl.SSLContext:
    """TLS with a certificate for that host, and the file of the CA that signed it."""
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    authority.cert_pem.write_to_path(str(ca_file))
    return context
