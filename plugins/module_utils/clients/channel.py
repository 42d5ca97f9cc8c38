# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Websockets to the API server, for exec and port-forward: each frame begins with the number of its channel.

The kubernetes package opens them too, but sends no header but the authorization (so nobody would be impersonated) and decodes
each frame by itself (so a character that two frames share is lost).
"""

from __future__ import annotations

import ssl
import time
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

with suppress(ImportError):  # clients.kubernetes reports it
    import certifi
    import websocket

STDOUT, STDERR, STATUS = 1, 2, 3
PROTOCOL = "v4.channel.k8s.io"
NO_PROXY = {"http_no_proxy": ["*"]}


def open_channel(
    configuration: Any, proxied: bool, url: str, headers: Iterable[tuple[str, str]], timeout_s: float
) -> Any:
    """An open websocket. C(headers) may name one several times. Raises what websocket-client raises, and OSError."""
    channel = websocket.WebSocket(sslopt=_tls(configuration))
    lines = [f"{name}: {value}" for name, value in headers]
    # Else websocket-client would look for a proxy in the environment by itself, by other rules than plain requests.
    proxy = _proxy(configuration) if proxied else NO_PROXY
    channel.connect(url, header=[*lines, f"sec-websocket-protocol: {PROTOCOL}"], timeout=timeout_s, **proxy)
    return channel


def _tls(configuration: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"cert_reqs": ssl.CERT_NONE}
    if configuration.verify_ssl:
        options = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": configuration.ssl_ca_cert or certifi.where()}
        if configuration.assert_hostname is not None:
            options["check_hostname"] = configuration.assert_hostname
    for option, value in (
        ("certfile", configuration.cert_file),
        ("keyfile", configuration.key_file),
        ("server_hostname", getattr(configuration, "tls_server_name", None)),
    ):
        if value:
            options[option] = value
    return options


def _proxy(configuration: Any) -> dict[str, Any]:
    proxy = urlsplit(configuration.proxy)
    # A list that fits no host: without one the environment's is taken.
    options = {
        "http_proxy_host": proxy.hostname,
        "http_proxy_port": proxy.port or 80,
        "http_no_proxy": ["none.invalid"],
    }
    if basic := (configuration.proxy_headers or {}).get("proxy-authorization"):
        user, _colon, password = b64decode(basic.removeprefix("Basic ")).decode("latin-1").partition(":")
        options["http_proxy_auth"] = (user, password)
    return options


def read_to_end(channel: Any, timeout_s: float) -> dict[int, bytes] | None:
    """All that comes on each channel until the other side ends it; None where it did not within these seconds.

    Raises what websocket-client raises, and OSError.
    """
    parts: dict[int, list[bytes]] = defaultdict(list)
    give_up = time.monotonic() + timeout_s
    while True:
        left = give_up - time.monotonic()
        if left <= 0:
            return None
        channel.settimeout(left)
        try:
            opcode, frame = channel.recv_data_frame(True)
        except websocket.WebSocketTimeoutException:
            return None
        except websocket.WebSocketConnectionClosedException:
            break
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
        if opcode in (websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT) and frame.data:
            parts[frame.data[0]].append(frame.data[1:])
    return {number: b"".join(data) for number, data in parts.items()}
