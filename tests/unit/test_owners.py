# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.vtops.vitess.plugins.module_utils.cluster import parse_stateful_set
from ansible_collections.vtops.vitess.plugins.module_utils.owners import Wanted, stateful_set_refusal, unsupported
from ansible_collections.vtops.vitess.tests.unit.factories import NEW, REPLICA, a_pod, an_owner


def test_a_stateful_set_with_on_delete_is_driven() -> None:
    assert stateful_set_refusal("db", "OnDelete", 3) == ""


def test_a_stateful_set_with_rolling_update_is_refused_because_it_would_race() -> None:
    assert "would race this roll" in stateful_set_refusal("db", "RollingUpdate", 3)


def test_a_partition_does_not_make_a_rolling_update_one_that_waits_for_us() -> None:
    """Below the partition a Pod comes back at the old revision, above it the controller does not ask (kubernetes.io, StatefulSet)."""
    item = {
        "metadata": {"name": "db"},
        "spec": {
            "replicas": 3,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}},
            "template": {},
        },
    }
    assert "RollingUpdate with partition 3" in parse_stateful_set(item).refusal


def test_a_stateful_set_that_is_scaled_to_0_would_recreate_nothing() -> None:
    assert stateful_set_refusal("db", "OnDelete", 0) == "StatefulSet db is scaled to 0"


def test_a_pod_without_a_controller_is_refused() -> None:
    assert "nothing would recreate it" in unsupported("", "").refusal


def test_another_owner_is_refused_by_its_kind() -> None:
    assert "Deployment (commerce-x-80)" in unsupported("Deployment", "commerce-x-80").refusal


def test_wanted_by_revision_is_met_by_that_revision_only() -> None:
    wanted = Wanted(revision="new")
    assert wanted.met_by(a_pod(REPLICA, revision="new"))
    assert not wanted.met_by(a_pod(REPLICA, revision="old"))
    assert not wanted.met_by(None)


def test_wanted_by_time_is_met_by_a_pod_that_was_created_later() -> None:
    wanted = Wanted(since=1000.0)
    assert wanted.met_by(a_pod(REPLICA, created=1000.5))
    assert not wanted.met_by(a_pod(REPLICA, created=1000.0))
    assert not wanted.met_by(None)


def test_an_image_is_found_by_its_container() -> None:
    assert an_owner().image("vttablet") == NEW
    assert an_owner().image("sidecar") == ""
    assert a_pod(REPLICA).image("sidecar") == ""
