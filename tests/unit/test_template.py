# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import template
from ansible_collections.vtops.vitess.plugins.module_utils.template import Change, Uneditable, applied, change_of, same
from ansible_collections.vtops.vitess.tests.unit.fakes import merged

Json = dict[str, Any]


def a_template(command: list[str] | None = None, args: list[str] | None = None, **spec: Any) -> Json:
    vttablet: Json = {"name": "vttablet", "image": "vitess/lite:v23.0.3", "env": [{"name": "A", "value": "s3cret"}]}
    if command is not None:
        vttablet["command"] = command
    if args is not None:
        vttablet["args"] = args
    mysqld = {"name": "mysqld", "image": "mysql:8.4", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
    init = [{"name": "vt-copy", "image": "vitess/lite:v23.0.3"}, {"name": "other", "image": "busybox"}]
    spec = {
        "initContainers": init,
        "containers": [mysqld, vttablet],
        "volumes": [{"name": "v", "emptyDir": {}}],
        **spec,
    }
    return {"metadata": {"labels": {"a": "b"}}, "spec": spec}


def container(found: Json, name: str) -> Json:
    every = [*found["spec"]["initContainers"], *found["spec"]["containers"]]
    return next(one for one in every if one["name"] == name)


def resized(**mysqld: Any) -> Change:
    return change_of({"resources": {"mysqld": mysqld, "vttablet": None}})


# -- what is wanted


def test_options_that_are_not_given_want_nothing() -> None:
    assert change_of({}).is_empty
    assert not change_of({"tolerations": []}).is_empty


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"resources": {"mysqld": {"requests": {"cpu": "two"}}}}, "not a quantity"),
        ({"resources": {"mysqld": {"requests": {"cpu": "-1"}}}}, "not a quantity"),
        ({"flags": {"vttablet": {"a b": "c"}}}, "not a flag"),
        ({"flags": {"vttablet": {"--tablet_path": "zone1-9"}}}, "which tablet it is"),
        ({"flags": {"vttablet": {"db_app_password": "x"}}}, "is a secret"),
        ({"flags": {"vttablet": {"port": {"a": 1}}}}, "neither text nor a number"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(params: Json, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        change_of(params)


# -- images


def test_what_copies_vttablets_version_gets_its_image_too() -> None:
    after = applied(a_template(), Change(images={"vttablet": "vitess/lite:v24.0.2"}))
    images = [container(after, name)["image"] for name in ("vttablet", "vt-copy", "other", "mysqld")]
    assert images == ["vitess/lite:v24.0.2", "vitess/lite:v24.0.2", "busybox", "mysql:8.4"]


def test_mysqlds_image_is_its_own() -> None:
    after = applied(a_template(), Change(images={"mysqld": "mysql:9.7"}))
    assert template.new_images({"mysqld": "mysql:8.4", "vttablet": "vitess/lite:v23.0.3"}, after) == ("mysqld",)
    assert container(after, "vt-copy")["image"] == "vitess/lite:v23.0.3"


def test_a_template_without_the_container_is_refused() -> None:
    found = a_template()
    found["spec"]["containers"].pop()
    with pytest.raises(Uneditable, match=r"no container vttablet \(it has mysqld\)"):
        applied(found, Change(images={"vttablet": "x"}))


# -- resources


@pytest.mark.parametrize("cpu", ["1", 1, "1000m", "1.0", "1e0"])
@pytest.mark.parametrize("memory", ["1Gi", "1024Mi", "1048576Ki", 1073741824])
def test_the_same_quantity_is_no_change_however_it_is_written(cpu: Any, memory: Any) -> None:
    before = a_template()
    assert applied(before, resized(requests={"cpu": cpu, "memory": memory})) == before


def test_a_quantity_that_is_not_named_stays_and_an_empty_one_goes() -> None:
    after = applied(a_template(), resized(requests={"cpu": "2", "memory": ""}, limits={"memory": "4Gi"}))
    assert container(after, "mysqld")["resources"] == {"requests": {"cpu": "2"}, "limits": {"memory": "4Gi"}}
    gone = applied(after, resized(requests={"cpu": None}, limits={"memory": ""}))
    assert container(gone, "mysqld")["resources"] == {}
    assert same(gone, applied(gone, resized(requests={"cpu": ""})))


def test_two_templates_are_the_same_by_the_value_of_their_quantities() -> None:
    one, other = a_template(nodeSelector={}), a_template()
    container(other, "mysqld")["resources"]["requests"] = {"memory": "1024Mi", "cpu": "1000m"}
    container(other, "vttablet")["resources"] = {}
    assert one != other
    assert same(one, other)
    assert template.fingerprint(one) == template.fingerprint(other)
    container(other, "mysqld")["resources"]["requests"]["cpu"] = "1001m"
    assert not same(one, other)


# -- placing


def test_placing_is_replaced_as_a_whole() -> None:
    before = a_template(nodeSelector={"disk": "ssd", "size": "big"}, tolerations=[{"key": "a"}])
    change = change_of({"node_selector": {"size": 8, "fast": True}, "tolerations": [], "affinity": None})
    spec = applied(before, change)["spec"]
    assert spec["nodeSelector"] == {"size": "8", "fast": "true"}
    assert "tolerations" not in spec
    assert same(before, applied(before, change_of({"tolerations": [{"key": "a"}], "affinity": {}})))


# -- flags

DIRECT = ["/vt/bin/vttablet", "--port", "15000", "--queryserver_config_pool_size=16", "--enable-x"]


@pytest.mark.parametrize(
    ("flags", "command"),
    [
        ({"queryserver-config-pool-size": 24}, [*DIRECT[:3], "--queryserver_config_pool_size=24", "--enable-x"]),
        ({"--port": 15001}, [DIRECT[0], "--port=15001", *DIRECT[3:]]),
        ({"port": 15000}, DIRECT),
        ({"enable_x": True}, DIRECT),
        ({"enable_x": False}, [*DIRECT[:4], "--enable-x=false"]),
        ({"enable_x": None, "port": None}, [DIRECT[0], DIRECT[3]]),
        ({"gone": None}, DIRECT),
        ({"degraded-threshold": "30s"}, [*DIRECT, "--degraded-threshold=30s"]),
    ],
)
def test_a_flag_is_replaced_where_it_stands_added_at_the_end_or_removed(flags: Json, command: list[str]) -> None:
    before = a_template(command=DIRECT)
    after = applied(before, change_of({"flags": {"vttablet": flags}}))
    assert container(after, "vttablet")["command"] == command
    assert applied(after, change_of({"flags": {"vttablet": flags}})) == after


def test_a_new_flag_goes_where_the_flags_are() -> None:
    after = applied(a_template(["vttablet"], ["--port=1"]), change_of({"flags": {"vttablet": {"x": "1 2"}}}))
    assert container(after, "vttablet")["command"] == ["vttablet"]
    assert container(after, "vttablet")["args"] == ["--port=1", "--x=1 2"]


@pytest.mark.parametrize(
    ("command", "args", "says"),
    [
        (["bash", "-c", "exec vttablet --port 1"], None, "by bash, not by vttablet itself"),
        (["/bin/sh", "-c"], ["vttablet"], "by sh, not by vttablet itself"),
        (["tini", "--", "vttablet"], None, "by tini"),
        (None, ["--port=1"], "leaves the command of container vttablet to the image"),
        (None, None, "leaves the command of container vttablet to the image"),
        (["vttablet", "--port=1", "--port=2"], None, "has --port 2 times"),
        (["vttablet", "--port", "-1"], None, "write it --port=-1"),
        (["vttablet", "--", "--port=1"], None, "with --"),
    ],
)
def test_a_command_line_that_cannot_be_edited_safely_is_refused(
    command: list[str] | None, args: list[str] | None, says: str
) -> None:
    with pytest.raises(Uneditable, match=says):
        applied(a_template(command, args), change_of({"flags": {"vttablet": {"port": 3}}}))


def test_a_shell_is_no_matter_where_no_flag_is_wanted() -> None:
    applied(a_template(["bash", "-c", "x"]), Change(images={"vttablet": "new"}))


# -- patches and what is shown


def test_a_patch_makes_of_one_template_exactly_the_other() -> None:
    before = a_template(
        ["vttablet", "--a"], nodeSelector={"disk": "ssd", "x": "y"}, affinity={"nodeAffinity": {"a": []}}
    )
    after = copy.deepcopy(before)
    after["spec"]["nodeSelector"] = {"x": "z"}
    del after["spec"]["affinity"]
    container(after, "vttablet")["command"] = ["vttablet"]
    patch = template.merge_patch(before, after)
    assert merged(before, patch) == after
    assert set(patch) == {"spec"}
    assert set(patch["spec"]) == {"nodeSelector", "affinity", "containers"}


def test_what_is_shown_has_no_environment_and_only_flags_that_are_asked_for() -> None:
    before = a_template([*DIRECT, "--db-credentials-file=/x"])
    after = applied(before, change_of({"flags": {"vttablet": {"port": 15001}}}))
    differ = template.flags_that_differ(before, after)
    assert differ == {"vttablet": ["port"]}
    text = template.shown(after, differ)
    assert text["containers"]["vttablet"]["flags"] == {"port": "15001"}
    assert "s3cret" not in str(text)
    assert "credentials" not in str(text)
