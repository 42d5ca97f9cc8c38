# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Kubernetes API as this collection uses it: JSON in, JSON out, over the kubernetes package's own connection.

The generated API classes are not used: they turn every answer into objects (slow for 10,000 Pods) and
their low-level call changed its signature between releases; pool_manager and auth_settings() did not.
"""

from __future__ import annotations

import json
import ssl
import traceback
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any
from urllib.parse import urlencode

from ..errors import EdgeError, OutcomeUnknown, Refused, Unreachable
from .access import Access, configuration_of
from .channel import STATUS, STDERR, STDOUT, open_channel, read_to_end
from .tunnel import open_tunnel

try:
    import kubernetes.client
    import urllib3
    import websocket

    KUBERNETES_IMPORT_ERROR: str | None = None
except ImportError:
    KUBERNETES_IMPORT_ERROR = traceback.format_exc()

Json = dict[str, Any]


class KubernetesClient:
    """One API server. Thread-safe: each request and each exec has a connection of its own from the pool."""

    def __init__(self, access: Access, timeout_s: float = 15.0) -> None:
        """Raises Unreachable where the configuration does not lead to a cluster, EdgeError for options that cannot be used."""
        self.timeout_s = timeout_s
        self._configuration = configuration_of(access)
        self._impersonation = access.impersonation
        self._base = self._configuration.host.rstrip("/")
        self._configuration.connection_pool_maxsize = 32
        self._configuration.retries = False
        self._pool = kubernetes.client.ApiClient(self._configuration).rest_client.pool_manager

    # -- plain requests

    def request(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Json:
        """One request. Raises Refused with the HTTP status, Unreachable, or OutcomeUnknown where a write's answer was lost."""
        raw = self._raw(method, path, query, body, content_type)
        try:
            parsed: Json = json.loads(raw)
        except ValueError as error:
            raise EdgeError(f"{method} {path}: the answer is not JSON: {raw[:100]!r}") from error
        return parsed

    def _raw(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None,
        body: Any,
        content_type: str,
        timeout_s: float | None = None,
    ) -> bytes:
        url = self._base + path + ("?" + urlencode(query) if query else "")
        headers = urllib3.HTTPHeaderDict({"Accept": "application/json", "Content-Type": content_type})
        for name, value in self._identity():
            headers.add(name, value)
        timeout = urllib3.Timeout(connect=5.0, read=timeout_s or self.timeout_s)
        try:
            answer = self._pool.request(
                method,
                url,
                headers=headers,
                body=None if body is None else json.dumps(body),
                timeout=timeout,
                retries=False,
            )
        except urllib3.exceptions.HTTPError as error:
            lost_write = method != "GET" and not isinstance(
                error,
                urllib3.exceptions.NewConnectionError
                | urllib3.exceptions.ConnectTimeoutError
                | urllib3.exceptions.ProxyError,
            )
            kind = OutcomeUnknown if lost_write else Unreachable
            raise kind(f"{self._base}: {_innermost(error)} ({method} {path})") from error
        if answer.status >= 300:
            raise Refused(_refusal(method, path, answer.status, answer.data), answer.status)
        return bytes(answer.data)

    def _identity(self) -> Iterable[tuple[str, str]]:
        """The headers that say who asks, and in whose name."""
        for setting in self._configuration.auth_settings().values():
            if setting.get("in") == "header" and setting.get("value"):
                yield str(setting["key"]).lower(), str(setting["value"])
        yield from self._impersonation

    def get(self, path: str) -> Json:
        """GET one object."""
        return self.request("GET", path)

    def find(self, path: str) -> Json | None:
        """GET one object; None where there is none."""
        try:
            return self.get(path)
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def items(self, path: str, selector: str = "", page: int = 500, fields: str = "") -> list[Json]:
        """GET a whole list, page by page."""
        return list(self.each(path, selector, page, fields))

    def each(self, path: str, selector: str = "", page: int = 500, fields: str = "") -> Iterator[Json]:
        """GET a list, page by page: of 10,000 Pods no more than one page is in memory."""
        token = ""
        while True:
            query = [("limit", str(page))]
            if selector:
                query.append(("labelSelector", selector))
            if fields:
                query.append(("fieldSelector", fields))
            if token:
                query.append(("continue", token))
            answer = self.request("GET", path, query)
            yield from answer.get("items") or []
            token = (answer.get("metadata") or {}).get("continue") or ""
            if not token:
                return

    def merge(self, path: str, body: Json, dry_run: bool = False) -> Json:
        """PATCH (merge). dry_run: all that a write goes through, admission too, but the write."""
        query = [("dryRun", "All")] if dry_run else None
        return self.request("PATCH", path, query, body, content_type="application/merge-patch+json")

    def review(self, body: Json) -> Json:
        """Ask the authorizers about ourselves; nothing is written, although it is a POST."""
        return self.request("POST", f"/apis/authorization.k8s.io/v1/{body['kind'].lower()}s", body=body)

    # -- Pods

    def pods(self, namespace: str, selector: str, fields: str = "") -> list[Json]:
        """The Pods of a namespace that match."""
        return self.items(f"/api/v1/namespaces/{namespace}/pods", selector, fields=fields)

    def annotate_pod(
        self, namespace: str, name: str, uid: str, annotations: dict[str, str | None], resource_version: str = ""
    ) -> Json:
        """Set annotations on that very Pod, in that very version where one is given. Raises Refused (409) where it is another by now."""
        meta: Json = {"uid": uid, "annotations": annotations}
        if resource_version:
            meta["resourceVersion"] = resource_version
        return self.merge(f"/api/v1/namespaces/{namespace}/pods/{name}", {"metadata": meta})

    def delete_pod(self, namespace: str, name: str, uid: str, resource_version: str) -> None:
        """Delete that very Pod in that very version. Raises Refused: 409 another uid or version, 404 gone."""
        self.request(
            "DELETE",
            f"/api/v1/namespaces/{namespace}/pods/{name}",
            body={
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "preconditions": {"uid": uid, "resourceVersion": resource_version},
            },
        )

    def evict(self, namespace: str, name: str, uid: str, resource_version: str, node_is_off: bool = False) -> None:
        """Evict that very Pod in that very version (policy/v1).

        node_is_off: nobody is left to stop it, so its object goes at once (no grace); only behind a fence (design rule 4).
        Raises Refused: 429 a disruption budget holds it, 500 more than one budget, 409 another uid or version, 404 gone.
        """
        self.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/pods/{name}/eviction",
            body={
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": name, "namespace": namespace},
                "deleteOptions": {
                    "preconditions": {"uid": uid, "resourceVersion": resource_version},
                    **({"gracePeriodSeconds": 0} if node_is_off else {}),
                },
            },
        )

    def web_get(self, namespace: str, pod: str, port: int, path: str, timeout_s: float = 5.0) -> bytes:
        """GET a page of a Pod's web server through the Pod proxy."""
        return self._raw(
            "GET",
            f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}",
            None,
            None,
            "application/json",
            timeout_s,
        )

    def exec(
        self, namespace: str, pod: str, container: str, command: list[str], timeout_s: float, what: str = ""
    ) -> tuple[str, str]:
        """Run a command in a container; its standard output and standard error. what: the command in words, for errors.

        Raises Refused with the exit code and standard error, Unreachable, or OutcomeUnknown where the end was not seen in time.
        """
        query = [
            ("container", container),
            ("stdout", "true"),
            ("stderr", "true"),
            *[("command", word) for word in command],
        ]
        url = _websocket_url(self._base, f"/api/v1/namespaces/{namespace}/pods/{pod}/exec", query)
        what = f"exec {what or _first_words(command)} in {namespace}/{pod}"
        channel = self._channel(url, what)
        try:
            said = read_to_end(channel, timeout_s)
        except (OSError, websocket.WebSocketException) as error:
            raise OutcomeUnknown(f"{what}: {error}") from error
        finally:
            channel.close(timeout=0)
        if said is None:
            raise OutcomeUnknown(f"{what}: no end after {timeout_s:.0f} s")
        out, err, status = (said.get(number, b"").decode("utf-8", "replace") for number in (STDOUT, STDERR, STATUS))
        if not status:
            raise OutcomeUnknown(f"{what}: the connection was cut before its end")
        code = _exit_code(status)
        if code:
            raise Refused((err or out).strip() or status, code)
        return out, err

    def _channel(self, url: str, what: str) -> Any:
        try:
            return open_channel(self._configuration, self._proxied, url, self._identity(), self.timeout_s)
        except websocket.WebSocketBadStatusException as error:
            raise Refused(f"{what}: {_handshake_reason(error)}", error.status_code or 0) from error
        except (OSError, websocket.WebSocketException) as error:
            # What was asked for in the handshake's URL may run although its answer never came.
            kind = Unreachable if _never_connected(error) else OutcomeUnknown
            raise kind(f"{what}: {error}") from error

    @property
    def _proxied(self) -> bool:
        """Whether requests go through the proxy, as the kubernetes package decided by its no_proxy: then websockets do too."""
        return isinstance(self._pool, urllib3.ProxyManager)

    def port_forward(self, namespace: str, pod: str, port: int) -> Any:
        """A connected socket to a port of a Pod. Raises Refused or Unreachable."""
        url = _websocket_url(
            self._base, f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward", [("ports", str(port))]
        )
        what = f"port-forward to {namespace}/{pod}:{port}"
        try:
            return open_tunnel(self._channel(url, what))
        except OutcomeUnknown as error:  # a port-forward changes nothing
            raise Unreachable(str(error)) from error


def _never_connected(error: Exception) -> bool:
    """Whether nothing can have been sent: no connection came about."""
    return isinstance(
        error,
        ConnectionRefusedError
        | ssl.SSLCertVerificationError
        | websocket.WebSocketAddressException
        | websocket.WebSocketProxyException,
    )


def _first_words(command: list[str]) -> str:
    """Enough to know a command by; never the text of a script, behind which the reason would be cut off."""
    return " ".join(takewhile(lambda word: "\n" not in word, command[:4]))


def _websocket_url(base: str, path: str, query: list[tuple[str, str]]) -> str:
    return "ws" + base.removeprefix("http") + path + "?" + urlencode(query)


def _exit_code(status: str) -> int:
    """0 for Success; the command's exit code; 255 where only a message was given (container not found, for one)."""
    try:
        parsed = json.loads(status)
    except ValueError:
        return 255
    if parsed.get("status") == "Success":
        return 0
    for cause in (parsed.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    return 255


def _handshake_reason(error: Any) -> str:
    body = getattr(error, "resp_body", b"") or b""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return str(error)


def _innermost(error: BaseException) -> str:
    """What the operating system or TLS said, without the library's layers around it."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__


def _refusal(method: str, path: str, status: int, data: bytes) -> str:
    try:
        message = str(json.loads(data).get("message") or "")
    except (ValueError, AttributeError):
        message = data[:200].decode("utf-8", "replace")
    return f"{method} {path}: HTTP {status}: {message}"
