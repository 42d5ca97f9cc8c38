# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file. Without it, O(host) and O(context), the usual places are tried, the in-cluster configuration last.
      - The environment variable E(K8S_AUTH_KUBECONFIG) is used where the option is not set.
    type: path
  context:
    description: Context of the kubeconfig. Falls back to E(K8S_AUTH_CONTEXT).
    type: str
  host:
    description: URL of the Kubernetes API server. Falls back to E(K8S_AUTH_HOST).
    type: str
  api_key:
    description:
      - Bearer token for the API server, in place of what the kubeconfig's user has. Falls back to E(K8S_AUTH_API_KEY).
    type: str
  username:
    description:
      - User name for HTTP basic authentication, with O(password). Falls back to E(K8S_AUTH_USERNAME).
      - An API server knows none since Kubernetes 1.19; a gateway before it may.
    type: str
  password:
    description: Password of O(username). Falls back to E(K8S_AUTH_PASSWORD).
    type: str
  ca_cert:
    description: CA file that the API server's certificate is checked with. Falls back to E(K8S_AUTH_CA_CERT) and E(K8S_AUTH_SSL_CA_CERT).
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description: Client certificate for the API server. Falls back to E(K8S_AUTH_CLIENT_CERT) and E(K8S_AUTH_CERT_FILE).
    type: path
    aliases: [cert_file]
  client_key:
    description: Key of the client certificate. Falls back to E(K8S_AUTH_CLIENT_KEY) and E(K8S_AUTH_KEY_FILE).
    type: path
    aliases: [key_file]
  validate_certs:
    description:
      - Whether the API server's certificate is checked. Falls back to E(K8S_AUTH_VALIDATE_CERTS) and E(K8S_AUTH_VERIFY_SSL).
    type: bool
    aliases: [verify_ssl]
  proxy:
    description:
      - Proxy to the API server, C(http://host:port); another scheme, or credentials in it, are refused, since exec and port-forward
        go through it too. Falls back to E(K8S_AUTH_PROXY).
    type: str
  no_proxy:
    description: Hosts, domains and networks that are not reached through O(proxy), with commas. Falls back to E(K8S_AUTH_NO_PROXY).
    type: str
  proxy_headers:
    description: What O(proxy) wants to be told.
    type: dict
    suboptions:
      proxy_basic_auth:
        description: The proxy's C(user:password). Falls back to E(K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH).
        type: str
      basic_auth:
        description:
          - Refused where it is set, since exec and port-forward cannot send it.
          - Falls back to E(K8S_AUTH_PROXY_HEADERS_BASIC_AUTH).
        type: str
      user_agent:
        description:
          - Refused where it is set, since exec and port-forward cannot send it.
          - Falls back to E(K8S_AUTH_PROXY_HEADERS_USER_AGENT).
        type: str
  impersonate_user:
    description: User in whose name every request is made, exec and port-forward included. Falls back to E(K8S_AUTH_IMPERSONATE_USER).
    type: str
  impersonate_groups:
    description: Groups of O(impersonate_user). Falls back to E(K8S_AUTH_IMPERSONATE_GROUPS), with commas.
    type: list
    elements: str
  namespace:
    description: Namespace of the Vitess cluster's vtctld; claims are kept there too.
    type: str
    required: true
  tablet_namespaces:
    description: Namespaces of the tablets' Pods, if they are not in O(namespace).
    type: list
    elements: str
    default: []
  tablet_selector:
    description: Label selector of the tablets' Pods.
    type: str
    default: planetscale.com/component=vttablet
  vttablet_web_port:
    description: Port of vttablet's web server.
    type: int
    default: 15000
  vtgate_namespaces:
    description: Namespaces of the vtgates' Pods, if they are not in O(namespace).
    type: list
    elements: str
    default: []
  vtgate_selector:
    description:
      - Label selector of the vtgates' Pods. Every vtgate that clients use must be found, by this or by O(vtgate_addresses).
      - Those of another Vitess cluster (another global topology in their command lines, else another label C(planetscale.com/cluster)) are refused.
    type: str
    default: planetscale.com/component=vtgate
  vtgate_addresses:
    description:
      - Addresses (C(host:port)) of vtgates that are not Pods of this cluster; when given, O(vtgate_selector) is not used.
      - Their flags can't be read, so Vitess' defaults are assumed, and with them no buffering.
    type: list
    elements: str
    default: []
  vtgate_port:
    description: Port of vtgate's MySQL protocol.
    type: int
    default: 3306
  vtgate_web_port:
    description: Port of vtgate's web server.
    type: int
    default: 15000
  login_user:
    description: User name at vtgate. Falls back to E(VTGATE_USER).
    type: str
    default: vtops
  login_password:
    description: Password at vtgate. Falls back to E(VTGATE_PASSWORD).
    type: str
    default: ''
  login_ca_cert:
    description:
      - CA file that vtgate's certificate is checked with.
      - Any of this, O(login_client_cert), O(login_server_name) and O(login_check_hostname=true) makes the connection encrypted; a vtgate
        that offers no TLS is then refused. The certificate is verified unless O(login_client_cert) is the only one, with this machine's
        CAs where no file is given.
    type: path
  login_client_cert:
    description: Client certificate for vtgate.
    type: path
  login_client_key:
    description: Key of the client certificate for vtgate.
    type: path
  login_check_hostname:
    description: Whether a verified certificate must name the vtgate, see O(login_server_name). Without a word it must.
    type: bool
  login_server_name:
    description:
      - Name that vtgate's certificate must have. Without it, the host that is connected to, which for a vtgate that is reached by
        port-forward is its Pod's name.
    type: str
  vtctld_selector:
    description:
      - Label selector of the vtctld Pods; C(vtctldclient) runs in a Ready one.
      - Pods of two Vitess clusters are refused, so where a namespace has two this must narrow to one, for example with
        C(planetscale.com/component=vtctld,planetscale.com/cluster=NAME).
    type: str
    default: planetscale.com/component=vtctld
  vtctldclient:
    description: The C(vtctldclient) command, as a list; run in the vtctld Pod, or on this machine with O(vtctldclient_local=true).
    type: list
    elements: str
    default: [/vt/bin/vtctldclient, --server, 'localhost:15999']
  vtctldclient_local:
    description: Run O(vtctldclient) on this machine, where C(exec) into Pods is forbidden.
    type: bool
    default: false
  vtctldclient_args:
    description: Further arguments of C(vtctldclient), for example C(--vtctld-grpc-ca).
    type: list
    elements: str
    default: []
requirements:
  - python >= 3.10
  - kubernetes
  - PyMySQL
"""
