# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader

from ansible_collections.vtops.vitess.plugins.inventory import fleet
from ansible_collections.vtops.vitess.plugins.inventory.fleet import InventoryModule, groups_of
from ansible_collections.vtops.vitess.tests.unit.fakes import World


def a_tablet(**changes: Any) -> dict[str, Any]:
    return {"keyspace": "commerce", "shard": "-80", "cell": "zone1", "type": "REPLICA", **changes}


def test_a_tablet_is_in_the_groups_of_its_keyspace_shard_cell_and_type() -> None:
    assert groups_of(a_tablet()) == {
        "vitess_keyspace_commerce": "keyspace commerce",
        "vitess_shard_commerce_x_80": "shard commerce/-80",
        "vitess_cell_zone1": "cell zone1",
        "vitess_type_replica": "type REPLICA",
    }


def test_a_tablet_is_in_the_group_of_its_node_where_it_has_one() -> None:
    assert groups_of(a_tablet(node="worker-1.example"))["vitess_node_worker_1_example"] == "node worker-1.example"
    assert not [group for group in groups_of(a_tablet(node=None)) if group.startswith("vitess_node")]


@pytest.mark.parametrize(
    ("shard", "group"),
    [
        ("-80", "vitess_shard_commerce_x_80"),
        ("80-", "vitess_shard_commerce_80_x"),
        ("40-80", "vitess_shard_commerce_40_80"),
        ("0", "vitess_shard_commerce_0"),
    ],
)
def test_the_open_end_of_a_key_range_is_x(shard: str, group: str) -> None:
    assert group in groups_of(a_tablet(shard=shard))


@pytest.mark.parametrize("changes", [{"keyspace": "my-keyspace.1"}, {"cell": "us-east-1a"}, {"shard": "-"}])
def test_every_group_has_a_name_that_ansible_takes(changes: dict[str, str]) -> None:
    assert all(group.isidentifier() for group in groups_of(a_tablet(**changes)))


@pytest.fixture
def plugin() -> InventoryModule:
    made = InventoryModule()
    made.inventory = InventoryData()
    return made


def test_two_shards_that_would_be_one_group_are_an_error_that_names_both(plugin: InventoryModule) -> None:
    tablets = [
        {**dict.fromkeys(fleet.HOST_VARS), **a_tablet(keyspace=keyspace, alias=f"zone1-{n}")}
        for n, keyspace in enumerate(("a-b", "a_b"))
    ]
    with pytest.raises(AnsibleParserError, match="keyspace a-b and keyspace a_b would both be group"):
        plugin.add_tablets(tablets, {})


@pytest.mark.parametrize(
    ("name", "ours"),
    [("lab.vitess.yml", True), ("vitess.yaml", True), ("hosts.yml", False), ("vitess.ini", False)],
)
def test_only_files_that_end_in_vitess_yml_are_ours(
    plugin: InventoryModule, tmp_path: Path, name: str, ours: bool
) -> None:
    path = tmp_path / name
    path.write_text("plugin: vtops.vitess.fleet\n")
    assert plugin.verify_file(str(path)) is ours


def parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: World, text: str) -> InventoryData:
    path = tmp_path / "lab.vitess.yml"
    path.write_text(text)
    monkeypatch.setattr(
        fleet,
        "execute",
        lambda name, params, check_mode: world.execute(
            name, monkeypatch, **{k: v for k, v in params.items() if v is not None}
        ),
    )
    made, data = InventoryModule(), InventoryData()
    monkeypatch.setattr(made, "_read_config_data", lambda _path: DataLoader().load(text))
    made._load_name = InventoryModule.NAME
    made._redirected_names = [InventoryModule.NAME]
    made.parse(data, DataLoader(), str(path))
    return data


FILE = "plugin: vtops.vitess.fleet\nnamespace: vitess\ncontext: kind-vtops\n"


def test_every_tablet_is_a_host_that_runs_on_the_controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = parsed(tmp_path, monkeypatch, World(), FILE)
    assert sorted(data.hosts) == ["zone1-0000000101", "zone1-0000000102", "zone1-0000000103"]
    assert sorted(h.name for h in data.groups["vitess_type_replica"].hosts) == ["zone1-0000000102", "zone1-0000000103"]
    variables = data.hosts["zone1-0000000102"].vars
    assert variables["ansible_connection"] == "local"
    assert variables["ansible_python_interpreter"] == sys.executable
    assert variables["vitess_cluster"] == {"namespace": "vitess", "context": "kind-vtops"}
    assert (variables["vitess_type"], variables["vitess_shard"], variables["vitess_as_wanted"]) == (
        "REPLICA",
        "-80",
        False,
    )


def test_a_fleet_that_cannot_be_read_is_an_error_and_no_empty_inventory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible_collections.vtops.vitess.plugins.module_utils.errors import Unreachable

    world = World()
    world.fail("GetTablets", Unreachable("no route to vtctld"))
    with pytest.raises(AnsibleParserError, match="no route to vtctld"):
        parsed(tmp_path, monkeypatch, world, FILE)


def test_an_option_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnsibleParserError, match="missing required arguments: namespace"):
        parsed(tmp_path, monkeypatch, World(), "plugin: vtops.vitess.fleet\n")


def test_no_secret_of_the_file_is_in_a_hosts_variables_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr("ansible.plugins.inventory.display.warning", warned.append)
    secrets = (
        "login_password: s3cret\napi_key: s3cret\npassword: s3cret\nproxy_headers: {proxy_basic_auth: 'me:s3cret'}\n"
    )
    data = parsed(tmp_path, monkeypatch, World(), FILE + secrets)
    assert "s3cret" not in repr([host.vars for host in data.hosts.values()])
    assert data.hosts["zone1-0000000102"].vars["vitess_cluster"] == {"namespace": "vitess", "context": "kind-vtops"}
    (warning,) = warned
    assert "api_key, login_password, password, proxy_headers" in warning
    assert "s3cret" not in warning


def test_an_alias_of_an_option_is_kept_under_the_options_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = parsed(tmp_path, monkeypatch, World(), FILE + "verify_ssl: false\nssl_ca_cert: /ca.pem\n")
    cluster = data.hosts["zone1-0000000102"].vars["vitess_cluster"]
    assert (cluster["validate_certs"], cluster["ca_cert"]) == (False, "/ca.pem")
