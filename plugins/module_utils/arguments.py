# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that all modules share; the doc fragments C(cluster) and C(roll) document them. Light: it imports no client."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.common.parameters import env_fallback

from . import labels

# Lists that an operator may leave blank. Not the lists of tablets: an empty one of these may mean the whole fleet.
MAY_BE_BLANK = ("accept_drained", "accept_no_route", "rolls")


def _env(*names: str) -> tuple[Any, list[str]]:
    return (env_fallback, list(names))


def _k8s(*names: str) -> tuple[Any, list[str]]:
    """kubernetes.core's variables: by its own name of the option first, then by the kubernetes package's."""
    return _env(*(f"K8S_AUTH_{name}" for name in names))


def cluster_spec() -> dict[str, Any]:
    """How to reach Kubernetes, vtctld and the vtgates. Names as in kubernetes.core and community.mysql."""
    return {
        "kubeconfig": {"type": "path", "fallback": _k8s("KUBECONFIG")},
        "context": {"type": "str", "fallback": _k8s("CONTEXT")},
        "host": {"type": "str", "fallback": _k8s("HOST")},
        "api_key": {"type": "str", "no_log": True, "fallback": _k8s("API_KEY")},
        "username": {"type": "str", "fallback": _k8s("USERNAME")},
        "password": {"type": "str", "no_log": True, "fallback": _k8s("PASSWORD")},
        "ca_cert": {"type": "path", "aliases": ["ssl_ca_cert"], "fallback": _k8s("CA_CERT", "SSL_CA_CERT")},
        "client_cert": {"type": "path", "aliases": ["cert_file"], "fallback": _k8s("CLIENT_CERT", "CERT_FILE")},
        "client_key": {
            "type": "path",
            "aliases": ["key_file"],
            "no_log": False,
            "fallback": _k8s("CLIENT_KEY", "KEY_FILE"),
        },
        "validate_certs": {"type": "bool", "aliases": ["verify_ssl"], "fallback": _k8s("VALIDATE_CERTS", "VERIFY_SSL")},
        "proxy": {"type": "str", "fallback": _k8s("PROXY")},
        "no_proxy": {"type": "str", "fallback": _k8s("NO_PROXY")},
        "proxy_headers": {
            "type": "dict",
            "apply_defaults": True,
            "options": {
                "proxy_basic_auth": {"type": "str", "no_log": True, "fallback": _k8s("PROXY_HEADERS_PROXY_BASIC_AUTH")},
                "basic_auth": {"type": "str", "no_log": True, "fallback": _k8s("PROXY_HEADERS_BASIC_AUTH")},
                "user_agent": {"type": "str", "fallback": _k8s("PROXY_HEADERS_USER_AGENT")},
            },
        },
        "impersonate_user": {"type": "str", "fallback": _k8s("IMPERSONATE_USER")},
        "impersonate_groups": {"type": "list", "elements": "str", "fallback": _k8s("IMPERSONATE_GROUPS")},
        "namespace": {"type": "str", "required": True},
        "tablet_namespaces": {"type": "list", "elements": "str", "default": []},
        "tablet_selector": {"type": "str", "default": labels.DEFAULT_TABLET_SELECTOR},
        "vttablet_web_port": {"type": "int", "default": 15000},
        "vtgate_namespaces": {"type": "list", "elements": "str", "default": []},
        "vtgate_selector": {"type": "str", "default": labels.DEFAULT_VTGATE_SELECTOR},
        "vtgate_addresses": {"type": "list", "elements": "str", "default": []},
        "vtgate_port": {"type": "int", "default": 3306},
        "vtgate_web_port": {"type": "int", "default": 15000},
        "login_user": {"type": "str", "default": "vtops", "fallback": _env("VTGATE_USER")},
        "login_password": {"type": "str", "no_log": True, "default": "", "fallback": _env("VTGATE_PASSWORD")},
        "login_ca_cert": {"type": "path"},
        "login_client_cert": {"type": "path"},
        "login_client_key": {"type": "path", "no_log": False},
        "login_check_hostname": {"type": "bool"},
        "login_server_name": {"type": "str"},
        "vtctld_selector": {"type": "str", "default": labels.DEFAULT_VTCTLD_SELECTOR},
        "vtctldclient": {
            "type": "list",
            "elements": "str",
            "default": ["/vt/bin/vtctldclient", "--server", "localhost:15999"],
        },
        "vtctldclient_local": {"type": "bool", "default": False},
        "vtctldclient_args": {"type": "list", "elements": "str", "default": []},
    }


def is_secret(option: dict[str, Any]) -> bool:
    """Whether an option of a spec holds a password or a token, itself or in one of its suboptions."""
    return bool(option.get("no_log")) or any(is_secret(inner) for inner in option.get("options", {}).values())


def place_spec() -> dict[str, Any]:
    """Which tablet; keyspace and shard are looked up where they are not given."""
    return {
        "tablet": {"type": "str", "required": True},
        "keyspace": {"type": "str", "no_log": False},
        "shard": {"type": "str"},
    }


def roll_spec() -> dict[str, Any]:
    """What the acting modules share: the tablet, the roll that acts, and what the operator accepts."""
    return {
        **place_spec(),
        "roll": {"type": "str"},
        "claim_wait": {"type": "float", "default": 0.0},
        "wanted_revision": {"type": "str"},
        "wanted_since": {"type": "str"},
        "mysql_series": {"type": "str"},
        "max_lag": {"type": "float", "default": 10.0},
        "accept_drained": {"type": "list", "elements": "str", "default": []},
        "accept_no_route": {"type": "list", "elements": "str", "default": []},
        "override_gates": {"type": "dict", "default": {}},
        "batch": {"type": "list", "elements": "str", "default": []},
        "predicted": {"type": "list", "elements": "str", "default": []},
    }


def without_blanks(params: dict[str, Any]) -> dict[str, Any]:
    """Lists of names that were given as text, as a survey of AWX gives them, without what is no name.

    ansible-core 2.16 leaves the blanks beside the commas, and every version makes a list of one of an empty text.
    """
    return {
        name: [value.strip() for value in given if value.strip()] if name in MAY_BE_BLANK and given else given
        for name, given in params.items()
    }
