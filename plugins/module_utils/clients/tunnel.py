# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port-forward as a plain socket.

The kubernetes package has one (ws_client.PortForward), but its thread blocks in a read when TLS wakes it with a session
ticket instead of data, and what the client sends meanwhile is stuck: one connection in ten timed out on the lab.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from typing import Any

with contextlib.suppress(ImportError):  # clients.kubernetes reports it
    import websocket

DATA, ERROR = 0, 1
PATIENCE_S = 0.02
SEND_TIMEOUT_S = 10.0
CHUNK = 65536


def open_tunnel(channel: Any) -> socket.socket:
    """The local end of a port-forward over this connected websocket; closing it ends the tunnel."""
    ours, theirs = socket.socketpair()
    threading.Thread(target=_pump, args=(channel, theirs), name="vtops port-forward", daemon=True).start()
    return ours


def _pump(channel: Any, local: socket.socket) -> None:
    """Carry bytes both ways until one side closes. Both channels begin with a frame that only holds the port."""
    begun: set[int] = set()
    try:
        while True:
            waiting = isinstance(channel.sock, ssl.SSLSocket) and channel.sock.pending() > 0
            readable, _write, _error = select.select([channel.sock, local], [], [], 0 if waiting else None)
            if waiting or channel.sock in readable:
                frame = _frame(channel)
                if frame is not None and not _deliver(frame, begun, local):
                    return
            if local in readable:
                data = local.recv(CHUNK)
                if not data:
                    return
                channel.settimeout(SEND_TIMEOUT_S)
                channel.send_binary(bytes([DATA]) + data)
    except (OSError, ValueError, websocket.WebSocketException):
        return
    finally:
        local.close()
        channel.close(timeout=0)


def _frame(channel: Any) -> bytes | None:
    """One frame's payload; None where what woke us was no whole frame (the rest is kept for the next call)."""
    channel.settimeout(PATIENCE_S)
    try:
        opcode, frame = channel.recv_data_frame(True)
    except websocket.WebSocketTimeoutException:
        return None
    if opcode == websocket.ABNF.OPCODE_CLOSE:
        raise websocket.WebSocketConnectionClosedException("closed")
    return bytes(frame.data) if opcode == websocket.ABNF.OPCODE_BINARY else None


def _deliver(frame: bytes, begun: set[int], local: socket.socket) -> bool:
    """Hand a frame's data on; False where the other side reported an error."""
    kind, data = frame[0], frame[1:]
    if kind not in begun:
        begun.add(kind)
        return True
    if kind == ERROR:
        return False
    local.sendall(data)
    return True
