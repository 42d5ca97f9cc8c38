# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What vitess-operator's objects and annotations mean."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils import vitess_operator
from ansible_collections.vtops.vitess.plugins.module_utils.cluster import parse_pod
from ansible_collections.vtops.vitess.plugins.module_utils.fleet import Marks
from ansible_collections.vtops.vitess.plugins.module_utils.owners import Owner
from ansible_collections.vtops.vitess.plugins.module_utils.vitess_operator import (
    ACKNOWLEDGED,
    CASCADE,
    FINISHED,
    OBSERVED,
    RELEASED,
    SCHEDULED,
    STARTED,
    Level,
    Tree,
    parse_level,
    parse_marks,
    reason_of,
    revision_of,
)
from ansible_collections.vtops.vitess.tests.unit.factories import NEW, OLD, REPLICA, a_pod

OURS = reason_of("nightly")


def level(kind: str, image: str = OLD, *annotations: str, **changes: Any) -> Level:
    """One that is observed, has nothing pending, and does not say its strategy, which is External then."""
    spec = {"images": {"vttablet": image}, **changes.get("spec", {})}
    meta = {
        "name": kind.lower(),
        "generation": changes.get("generation", 1),
        "annotations": dict.fromkeys(annotations, ""),
    }
    parent = {"VitessKeyspace": "vitesscluster", "VitessShard": "vitesskeyspace"}.get(kind)
    if parent:
        meta["ownerReferences"] = [{"name": "somebody"}, {"name": parent, "controller": True}]
    status = {"observedGeneration": changes.get("observed", 1), "tablets": changes.get("tablets", {})}
    return parse_level({"kind": kind, "metadata": meta, "spec": spec, "status": status})


def tree(cluster: Level | None = None, keyspace: Level | None = None, shard: Level | None = None) -> Tree:
    """Levels that agree, but for the one that is given."""
    return Tree(cluster or level("VitessCluster"), keyspace or level("VitessKeyspace"), shard or level("VitessShard"))


def owner(of: Tree, **pod: Any) -> Owner:
    return vitess_operator.owner_of(of, a_pod(REPLICA, **pod))


# -- annotations on a Pod


def test_only_the_presence_of_an_annotation_counts() -> None:
    found = parse_marks({SCHEDULED: "", RELEASED: "", STARTED: "", ACKNOWLEDGED: "", FINISHED: ""})
    assert found == Marks(scheduled=True, released=True, started=True, acknowledged=True, finished=True, ours=False)
    assert parse_marks({}) == Marks()


@pytest.mark.parametrize(
    ("annotations", "ours"),
    [
        ({RELEASED: OURS}, True),
        ({RELEASED: OURS, STARTED: "rolling update"}, True),
        ({STARTED: OURS, ACKNOWLEDGED: "", FINISHED: ""}, True),
        ({STARTED: "rolling update"}, False),
        ({RELEASED: "by hand", STARTED: "rolling update"}, False),
        ({RELEASED: OURS, STARTED: "maintenance"}, False),
        ({RELEASED: "by hand", STARTED: OURS}, False),
        ({FINISHED: "yesterday"}, False),
    ],
)
def test_ours_is_what_we_asked_for_and_what_the_operator_made_of_it(annotations: dict[str, str], ours: bool) -> None:
    assert parse_marks(annotations).ours is ours


def test_a_pod_is_the_generation_that_it_agrees_with() -> None:
    assert revision_of("s", {OBSERVED: "2"}) == "s-2"
    assert revision_of("s", {OBSERVED: "2", SCHEDULED: ""}) == "s-2-pending"
    assert revision_of("s", {}) == ""


def test_a_pod_of_the_operator_is_read_with_what_it_says_of_it() -> None:
    args = ["--tablet-path=zone1-0000000102", "--tablet_hostname=$(POD_IP)"]
    container = {"name": "vttablet", "args": args, "resources": {"requests": {"cpu": "1"}}}
    item = {
        "metadata": {
            "name": "p",
            "uid": "u",
            "annotations": {OBSERVED: "3", RELEASED: OURS},
            "ownerReferences": [{"kind": "VitessShard", "name": "s", "controller": True}],
        },
        "spec": {"containers": [{"name": "mysqld", "args": ["--a_b"]}, container], "nodeSelector": {"disk": "ssd"}},
    }
    pod = parse_pod(item)
    assert (pod.revision, pod.underscored, pod.alias) == ("s-3", "tablet_hostname", REPLICA)
    assert (pod.marks.released, pod.marks.ours) == (True, True)
    assert (pod.needs.selector, pod.needs.requests) == ((("disk", "ssd"),), pod.requests)
    item["metadata"]["ownerReferences"][0]["kind"] = "StatefulSet"
    assert (parse_pod(item).revision, parse_pod(item).underscored) == ("", "")


# -- what is wanted


def test_where_nothing_is_pending_the_shards_generation_is_wanted() -> None:
    found = owner(tree(shard=level("VitessShard", NEW, generation=4, observed=4)))
    assert (found.update_revision, found.current_revision, found.pending) == ("vitessshard-4",) * 2 + ("",)
    assert found.image("vttablet") == NEW
    assert (found.refusal, found.like_the_last) == ("", True)


@pytest.mark.parametrize(
    "pending",
    [
        tree(keyspace=level("VitessKeyspace", OLD, SCHEDULED)),
        tree(shard=level("VitessShard", OLD, SCHEDULED)),
        tree(keyspace=level("VitessKeyspace", OLD, SCHEDULED), shard=level("VitessShard", OLD, SCHEDULED)),
        tree(cluster=level("VitessCluster", OLD, generation=2)),
        tree(keyspace=level("VitessKeyspace", OLD, generation=2)),
    ],
)
def test_what_is_pending_anywhere_makes_the_next_generation_wanted(pending: Tree) -> None:
    """So a tablet never looks done between two releases, when nothing says scheduled for a moment."""
    assert owner(pending).update_revision == "vitessshard-2"
    assert owner(pending).pending


@pytest.mark.parametrize("kind", ["VitessCluster", "VitessKeyspace", "VitessShard"])
def test_the_level_that_its_controller_has_not_seen_is_the_one_that_is_shown(kind: str) -> None:
    late = {kind.removeprefix("Vitess").lower(): level(kind, OLD, generation=9, observed=8)}
    found = owner(tree(**late))
    assert (found.generation, found.observed_generation) == (9, 8)


def test_the_image_that_comes_is_that_of_the_level_above_what_is_scheduled() -> None:
    scheduled = level("VitessKeyspace", OLD, SCHEDULED, spec={"name": "commerce"})
    assert tree(level("VitessCluster", NEW), scheduled).image("vttablet") == NEW
    own = {"keyspaces": [{"name": "other"}, {"name": "commerce", "images": {"vttablet": "own:v24.0.9"}}]}
    assert tree(level("VitessCluster", NEW, spec=own), scheduled).image("vttablet") == "own:v24.0.9"
    assert (
        tree(keyspace=level("VitessKeyspace", NEW), shard=level("VitessShard", OLD, SCHEDULED)).image("vttablet") == NEW
    )


def test_the_image_of_mysqld_is_found_under_its_flavour() -> None:
    flavoured = {"images": {"vttablet": NEW, "mysqld": {"mysql80Compatible": "mysql:9.7.4"}}}
    assert owner(tree(shard=level("VitessShard", spec=flavoured))).image("mysqld") == "mysql:9.7.4"
    assert owner(tree()).image("mysqld") == ""


# -- refusals


@pytest.mark.parametrize("kind", ["VitessCluster", "VitessKeyspace", "VitessShard"])
def test_the_strategy_immediate_is_refused_wherever_it_is_said(kind: str) -> None:
    immediate = level(kind, OLD, spec={"updateStrategy": {"type": "Immediate"}})
    found = owner(tree(**{kind.removeprefix("Vitess").lower(): immediate}))
    assert "would race this roll" in found.refusal
    assert kind in found.refusal


def test_a_cascade_is_refused() -> None:
    assert "rolls VitessShard vitessshard by itself" in owner(tree(shard=level("VitessShard", OLD, CASCADE))).refusal


def test_an_image_that_nobody_names_is_refused_only_where_it_would_come() -> None:
    unnamed = level("VitessCluster", "")
    assert owner(tree(unnamed)).refusal == ""
    found = owner(tree(unnamed, level("VitessKeyspace", OLD, SCHEDULED)))
    assert "does not name images.vttablet" in found.refusal


@pytest.mark.parametrize(("image", "flag", "refused"), [
    ("vitess/lite:v25.0.0", "tablet_hostname", True),
    ("vitess/lite:v25.0.0", "", False),
    ("vitess/lite:v24.0.2", "tablet_hostname", False),
])  # fmt: skip
def test_vitess_25_is_refused_with_flags_that_have_underscores(image: str, flag: str, refused: bool) -> None:
    found = owner(tree(shard=level("VitessShard", image)), underscored=flag)
    assert ("refuses flags with underscores" in found.refusal) is refused


def test_every_tablet_that_is_not_available_is_named() -> None:
    tablets = {"zone1-2": {"available": "False"}, "zone1-1": {}, "zone1-3": {"available": "True"}}
    assert vitess_operator.not_available(level("VitessShard", OLD, tablets=tablets)) == ("zone1-1", "zone1-2")
