# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that all modules share; the doc fragments C(cluster) and C(roll) document them. Light: it imports no client."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.common.parameters import env_fallback

from . import labels


def _env(*names: str) -> tuple[Any, list[str]]:
    return (env_fallback, list(names))


def cluster_spec() -> dict[str, Any]:
    """How to reach Kubernetes, vtctld and the vtgates. Names as in kubernetes.core and community.mysql."""
    return {
        "kubeconfig": {"type": "path", "fallback": _env("K8S_AUTH_KUBECONFIG")},
        "context": {"type": "str", "fallback": _env("K8S_AUTH_CONTEXT")},
        "host": {"type": "str", "fallback": _env("K8S_AUTH_HOST")},
        "api_key": {"type": "str", "no_log": True, "fallback": _env("K8S_AUTH_API_KEY")},
        "ca_cert": {"type": "path", "aliases": ["ssl_ca_cert"], "fallback": _env("K8S_AUTH_SSL_CA_CERT")},
        "client_cert": {"type": "path", "aliases": ["cert_file"], "fallback": _env("K8S_AUTH_CERT_FILE")},
        "client_key": {"type": "path", "aliases": ["key_file"], "no_log": False, "fallback": _env("K8S_AUTH_KEY_FILE")},
        "validate_certs": {"type": "bool", "aliases": ["verify_ssl"], "fallback": _env("K8S_AUTH_VERIFY_SSL")},
        "namespace": {"type": "str", "required": True},
        "tablet_namespaces": {"type": "list", "elements": "str", "default": []},
        "tablet_selector": {"type": "str", "default": labels.DEFAULT_TABLET_SELECTOR},
        "vttablet_web_port": {"type": "int", "default": 15000},
        "vtgate_namespaces": {"type": "list", "elements": "str", "default": []},
        "vtgate_selector": {"type": "str", "default": labels.DEFAULT_VTGATE_SELECTOR},
        "vtgate_addresses": {"type": "list", "elements": "str", "default": []},
        "vtgate_port": {"type": "int", "default": 3306},
        "vtgate_web_port": {"type": "int", "default": 15000},
        "login_user": {"type": "str", "default": "vtops"},
        "login_password": {"type": "str", "no_log": True, "default": ""},
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
        "max_lag": {"type": "float", "default": 10.0},
        "accept_drained": {"type": "list", "elements": "str", "default": []},
        "accept_no_route": {"type": "list", "elements": "str", "default": []},
        "batch": {"type": "list", "elements": "str", "default": []},
        "predicted": {"type": "list", "elements": "str", "default": []},
    }
