# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who we are at the API server and how it is reached: kubernetes.core's options, as the kubernetes package's configuration.

What cannot be done for every kind of request, exec and port-forward included, is refused and never left out.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..errors import EdgeError, Unreachable

with suppress(ImportError):  # clients.kubernetes reports it
    import kubernetes.client
    import kubernetes.config
    import urllib3


@dataclass(frozen=True)
class Access:
    """How to reach the API server; names as in kubernetes.core. Without kubeconfig, host or context the in-cluster config is the last resort."""

    kubeconfig: str | None = None
    context: str | None = None
    host: str | None = None
    api_key: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    validate_certs: bool | None = None
    proxy: str | None = field(default=None, repr=False)
    no_proxy: str | None = None
    proxy_headers: dict[str, str | None] = field(default_factory=dict, repr=False)
    impersonate_user: str | None = None
    impersonate_groups: tuple[str, ...] = ()

    @property
    def authorization(self) -> str | None:
        """The Authorization header that the options ask for; None where the kubeconfig's user decides."""
        if self.api_key:
            return f"Bearer {self.api_key}"
        if self.username:
            return str(urllib3.util.make_headers(basic_auth=f"{self.username}:{self.password}")["authorization"])
        return None

    @property
    def impersonation(self) -> list[tuple[str, str]]:
        """The headers of every request that is made in another's name."""
        user = [("impersonate-user", self.impersonate_user)] if self.impersonate_user else []
        return user + [("impersonate-group", group) for group in self.impersonate_groups]

    def refusal(self) -> str:
        """Why these options cannot be used together or at all, without a secret; empty where they can."""
        unsent = [name for name in ("basic_auth", "user_agent") if self.proxy_headers.get(name)]
        if bool(self.username) != bool(self.password):
            return "username and password are needed together"
        if self.username and self.api_key:
            return "api_key and username both say who we are: unset one"
        if self.impersonate_groups and not self.impersonate_user:
            return "impersonate_groups needs impersonate_user"
        if any(mark in value for _name, value in self.impersonation for mark in "\r\n"):
            return "impersonate_user and impersonate_groups must be one line each"
        if self.proxy:
            proxy = urlsplit(self.proxy)
            if proxy.scheme != "http" or not proxy.hostname:
                return "proxy must be http://host:port: exec and port-forward go through no other kind"
            if proxy.username:
                return "proxy must not hold credentials: give them as proxy_headers.proxy_basic_auth"
        if unsent:
            return f"proxy_headers.{unsent[0]} cannot be sent by exec and port-forward: unset it"
        return ""


def configuration_of(access: Access) -> Any:
    """The kubernetes package's configuration. Raises Unreachable where it leads to no cluster, EdgeError for options that cannot be used."""
    if refusal := access.refusal():
        raise EdgeError(refusal)
    try:
        configuration = _configuration(access)
    except (kubernetes.config.ConfigException, OSError, ValueError) as error:
        if access.context and f"name {access.context} " in str(error):
            raise Unreachable(f"the kubeconfig has no context {access.context}") from error
        raise Unreachable(f"no usable Kubernetes configuration: {error}") from error
    if len(access.impersonate_groups) > 1 and configuration.proxy and not configuration.host.startswith("https:"):
        # urllib3 joins a header's values for a proxy that forwards, and the joined name would be one group.
        raise EdgeError("several impersonate_groups cannot go through a proxy to an API server without TLS")
    return configuration


def _configuration(access: Access) -> Any:
    configuration = kubernetes.client.Configuration()
    # As kubernetes.core: host and credentials together need no kubeconfig.
    if not access.host or ((access.kubeconfig or access.context) and not access.authorization):
        _load(access, configuration)
    if access.host:
        configuration.host = access.host
    if access.authorization:
        # The API server would prefer the certificate of the kubeconfig's user.
        configuration.cert_file = configuration.key_file = None
        configuration.refresh_api_key_hook = None
        configuration.api_key_prefix = {}
        configuration.api_key = {"authorization": access.authorization}
    for option, value in (
        ("ssl_ca_cert", access.ca_cert),
        ("cert_file", access.client_cert),
        ("key_file", access.client_key),
        ("proxy", access.proxy),
        ("no_proxy", access.no_proxy),
    ):
        if value:
            setattr(configuration, option, value)
    if access.validate_certs is not None:
        configuration.verify_ssl = access.validate_certs
    if basic := access.proxy_headers.get("proxy_basic_auth"):
        configuration.proxy_headers = urllib3.util.make_headers(proxy_basic_auth=basic)
    return configuration


def _load(access: Access, configuration: Any) -> None:
    try:
        kubernetes.config.load_kube_config(
            config_file=access.kubeconfig, context=access.context, client_configuration=configuration
        )
    except kubernetes.config.ConfigException:
        if access.kubeconfig or access.context:
            raise
        kubernetes.config.load_incluster_config(client_configuration=configuration)
