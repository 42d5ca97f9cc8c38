# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clients that the options name."""

from __future__ import annotations

import platform
import sys
from typing import Any

from . import gates
from .clients.access import Access
from .clients.kubernetes import KUBERNETES_IMPORT_ERROR, KubernetesClient
from .clients.login import PYMYSQL_IMPORT_ERROR, login_from
from .clients.vtctld import ExecTransport, LocalTransport, Vtctld
from .clients.vttablet import Vttablet
from .cluster import Cluster, Scope, find_vtctld
from .fleet import Alias
from .waiting import Clock


def missing_library() -> str:
    """The usual message where a library is missing, with the interpreter and the pip command; empty if none is."""
    missing = [
        name for name, error in (("kubernetes", KUBERNETES_IMPORT_ERROR), ("PyMySQL", PYMYSQL_IMPORT_ERROR)) if error
    ]
    if not missing:
        return ""
    return (
        f"Failed to import the required Python library ({', '.join(missing)}) on {platform.node()}'s Python {sys.executable}. "
        f"Install with: {sys.executable} -m pip install {' '.join(missing)}"
    )


def access(params: dict[str, Any]) -> Access:
    """The Kubernetes part of the options."""
    return Access(
        kubeconfig=params["kubeconfig"],
        context=params["context"],
        host=params["host"],
        api_key=params["api_key"],
        username=params["username"],
        password=params["password"],
        ca_cert=params["ca_cert"],
        client_cert=params["client_cert"],
        client_key=params["client_key"],
        validate_certs=params["validate_certs"],
        proxy=params["proxy"],
        no_proxy=params["no_proxy"],
        proxy_headers=params["proxy_headers"] or {},
        impersonate_user=params["impersonate_user"],
        impersonate_groups=tuple(params["impersonate_groups"] or ()),
    )


def connect(params: dict[str, Any], clock: Clock) -> Cluster:
    """The cluster that the options name. Raises EdgeError where it cannot be reached."""
    login = login_from(params)
    kube = KubernetesClient(access(params))
    program = [*params["vtctldclient"], *params["vtctldclient_args"]]
    member = None
    if params["vtctldclient_local"]:
        vtctld = Vtctld(LocalTransport(program))
    else:
        found = find_vtctld(kube, params["namespace"], params["vtctld_selector"])
        vtctld = Vtctld(ExecTransport(kube, params["namespace"], found.name, found.container, program))
        member = found.member
    scope = Scope(
        namespace=params["namespace"],
        tablet_namespaces=tuple(params["tablet_namespaces"]),
        vtgate_namespaces=tuple(params["vtgate_namespaces"]),
        tablet_selector=params["tablet_selector"],
        vtgate_selector=params["vtgate_selector"],
        vtgate_addresses=tuple(params["vtgate_addresses"]),
        vtgate_port=params["vtgate_port"],
        vtgate_web_port=params["vtgate_web_port"],
        vtctld_by_exec=not params["vtctldclient_local"],
    )
    return Cluster(kube, vtctld, Vttablet(kube, params["vttablet_web_port"]), scope, login, clock, member)


def aliases(values: list[str]) -> frozenset[Alias]:
    """Raises ValueError where one is no alias."""
    return frozenset(Alias.parse(value) for value in values)


def overrides_of(params: dict[str, Any], *allowed: str) -> dict[str, str]:
    """Gates that the operator passes, with the reasons. Raises ValueError where one cannot be passed, or has no reason.

    allowed: those that can be passed, where it is not a tablet's step that asks.
    """
    given = {str(name): str(why if why is not None else "") for name, why in params["override_gates"].items()}
    gates.refuse_overrides(given, *([allowed] if allowed else []))
    return given
