# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet
short_description: The tablets of a Vitess cluster as hosts
version_added: 0.1.0
description:
  - One host per tablet, named by its alias; groups by keyspace, shard, cell, tablet type and node, all below C(vitess_tablets).
  - Every host gets C(ansible_connection=local), the interpreter of ansible-playbook, and C(vitess_cluster) with the options of this file,
    which the roles of this collection use. Passwords and tokens of this file are used to read the fleet and are not put there, since
    everybody may print a host's variables; for the roles give them in the environment (E(VTGATE_PASSWORD), E(K8S_AUTH_API_KEY)), or
    as C(rolling_upgrade_cluster).
  - One topology read and one Pod list for the whole fleet.
author:
  - vtops contributors (@vtops)
extends_documentation_fragment:
  - vtops.vitess.cluster
options:
  plugin:
    description: Must be V(vtops.vitess.fleet).
    type: str
    required: true
    choices: [vtops.vitess.fleet]
  keyspaces:
    description: Only tablets of these keyspaces.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
# lab.vitess.yml
plugin: vtops.vitess.fleet
kubeconfig: ~/.kube/config
context: kind-vtops
namespace: vitess
"""

import re
import sys
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.inventory import BaseInventoryPlugin

from ..module_utils.arguments import cluster_spec, is_secret
from ..module_utils.operation import execute
from ..module_utils.operations import fleet_info

HOST_VARS = ("keyspace", "shard", "cell", "type", "pod", "node", "image", "wanted_image", "as_wanted", "in_flight")


class InventoryModule(BaseInventoryPlugin):
    """Tablets as hosts."""

    NAME = "vtops.vitess.fleet"

    def verify_file(self, path: str) -> bool:
        """Files that end in vitess.yml or vitess.yaml."""
        return bool(super().verify_file(path)) and path.endswith(("vitess.yml", "vitess.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Read the fleet and add it. Raises AnsibleParserError."""
        super().parse(inventory, loader, path, cache)
        config = self._read_config_data(path)
        given = given_options(config)
        spec = fleet_info.argument_spec()
        validated = ArgumentSpecValidator(spec).validate({**given, "keyspaces": config.get("keyspaces") or []})
        if validated.error_messages:
            raise AnsibleParserError(f"{path}: {'; '.join(validated.error_messages)}")
        result = execute("fleet_info", validated.validated_parameters, check_mode=False)
        if result.get("failed"):
            raise AnsibleParserError(f"{path}: {result['msg']}")
        spoken = {name: value for name, value in given.items() if not is_secret(cluster_spec()[name])}
        if unspoken := sorted(set(given) - set(spoken)):
            self.display.warning(
                f"{path}: {', '.join(unspoken)} read the fleet, but are not in the hosts' vitess_cluster: "
                "give them to the roles in the environment or by rolling_upgrade_cluster"
            )
        self.add_tablets(result["tablets"], spoken)

    def add_tablets(self, tablets: list[dict[str, Any]], cluster: dict[str, Any]) -> None:
        """Hosts and groups. Raises AnsibleParserError where two shards fall into one group name."""
        names: dict[str, str] = {}
        self.inventory.add_group("vitess_tablets")
        for tablet in tablets:
            alias = tablet["alias"]
            self.inventory.add_host(alias, group="vitess_tablets")
            for group, meaning in groups_of(tablet).items():
                if names.setdefault(group, meaning) != meaning:
                    raise AnsibleParserError(f"{names[group]} and {meaning} would both be group {group}")
                self.inventory.add_group(group)
                self.inventory.add_host(alias, group=group)
            self.inventory.set_variable(alias, "ansible_connection", "local")
            self.inventory.set_variable(alias, "ansible_python_interpreter", sys.executable)
            self.inventory.set_variable(alias, "vitess_cluster", cluster)
            for name in HOST_VARS:
                self.inventory.set_variable(alias, f"vitess_{name}", tablet[name])


def given_options(config: dict[str, Any]) -> dict[str, Any]:
    """The connection options of a file by their names, whichever of a name's aliases it used."""
    given: dict[str, Any] = {}
    for name, option in cluster_spec().items():
        values = [config[word] for word in (name, *option.get("aliases", [])) if config.get(word) is not None]
        if values:
            given[name] = values[0]
    return given


def groups_of(tablet: dict[str, Any]) -> dict[str, str]:
    """Group names of a tablet, each with what it stands for."""
    node = {_group("node", tablet["node"]): f"node {tablet['node']}"} if tablet.get("node") else {}
    return {
        **node,
        _group("keyspace", tablet["keyspace"]): f"keyspace {tablet['keyspace']}",
        _group("shard", tablet["keyspace"], tablet["shard"]): f"shard {tablet['keyspace']}/{tablet['shard']}",
        _group("cell", tablet["cell"]): f"cell {tablet['cell']}",
        _group("type", tablet["type"].lower()): f"type {tablet['type']}",
    }


def _group(*parts: str) -> str:
    """A valid group name; an open end of a key range is x, as in vitess-operator's names."""
    words = [re.sub(r"-$", "-x", re.sub(r"^-", "x-", part)) for part in parts]
    return re.sub(r"[^A-Za-z0-9_]", "_", "vitess_" + "_".join(words))
