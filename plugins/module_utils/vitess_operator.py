# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""planetscale/vitess-operator, as it was read (6b0a1b8c) and recorded: the one place that knows its objects and annotations. Pure.

With updateStrategy External it only writes down what it would change (C(scheduled)) and waits for somebody to say C(released):
on the VitessKeyspace, then on the VitessShard, then on one tablet's Pod (pkg/operator/rollout). A Pod that is released, or
whose drain somebody started, it drains (pkg/operator/drain) and, if released, deletes and recreates under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import labels, versions
from .fleet import Marks, Pod
from .owners import Owner

Json = dict[str, Any]

GROUP = "planetscale.com"
CLUSTERS, KEYSPACES, SHARDS = "vitessclusters", "vitesskeyspaces", "vitessshards"
KIND = "VitessShard"  # what owns a tablet's Pod; a VitessKeyspace owns that, and a VitessCluster this

SCHEDULED = (
    "rollout.planetscale.com/scheduled"  # the pending change as text; only its presence counts, as of all others
)
RELEASED = "rollout.planetscale.com/released"
CASCADE = "rollout.planetscale.com/cascade"  # on a VitessShard: the operator itself releases its Pods, one by one
STARTED = "drain.planetscale.com/started"
ACKNOWLEDGED = "drain.planetscale.com/acknowledged"
FINISHED = "drain.planetscale.com/finished"
OBSERVED = (
    "planetscale.com/observed-shard-generation"  # on a Pod: the generation of its VitessShard that it was compared with
)
ROLLING = "rolling update"  # what the operator starts the drain of a released Pod with

# It counts a tablet as available, and drains no other before, 30 s after its Pod got Ready (reconcile_tablets.go); 120 s in op#797.
AVAILABLE_WITHIN_S = 180.0
# How long it is given to forget a drain that was taken back: its next pass, which there is none of while a tablet is not available.
FORGOTTEN_WITHIN_S = 15.0
# The first release of Vitess that refuses flags with underscores, which the operator still writes.
WITHOUT_UNDERSCORES = 25


def path(resource: str, namespace: str, name: str) -> str:
    """Where the API has one of its objects."""
    return f"/apis/{GROUP}/v2/namespaces/{namespace}/{resource}/{name}"


def reason_of(roll: str) -> str:
    """What we write into C(released) and C(started), so that what is ours can be told from what is somebody else's."""
    return f"{labels.MANAGER}: {roll}"


def parse_marks(annotations: Mapping[str, str]) -> Marks:
    """What its annotations on a Pod say."""
    released, started = annotations.get(RELEASED), annotations.get(STARTED)
    our_release = released is not None and released.startswith(labels.MANAGER)
    our_start = started is not None and (started.startswith(labels.MANAGER) or (started == ROLLING and our_release))
    return Marks(
        scheduled=SCHEDULED in annotations,
        released=released is not None,
        started=started is not None,
        acknowledged=ACKNOWLEDGED in annotations,
        finished=FINISHED in annotations,
        ours=(our_release or our_start) and (released is None or our_release) and (started is None or our_start),
    )


def revision_of(shard: str, annotations: Mapping[str, str]) -> str:
    """What a Pod of a VitessShard is: the generation that it was compared with and agrees with. Empty where it was not compared yet."""
    generation = annotations.get(OBSERVED, "")
    if not generation:
        return ""
    return f"{shard}-{generation}" + ("-pending" if SCHEDULED in annotations else "")


def _image(images: Json | None, program: str) -> str:
    """mysqld's is by the flavour that it is compatible with (C(mysql80Compatible) and others): one is set."""
    found = (images or {}).get(program) or ""
    return str(next(iter(found.values()), "") if isinstance(found, dict) else found)


@dataclass(frozen=True)
class Level:
    """A VitessCluster, VitessKeyspace or VitessShard, as one read of it showed."""

    kind: str
    name: str
    generation: int
    observed: int
    strategy: str
    scheduled: bool
    released: bool
    cascades: bool
    parent: str  # the name of what owns it
    item: Json

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def is_observed(self) -> bool:
        """Whether its own controller has seen its latest spec, and so scheduled what follows from that."""
        return self.observed >= self.generation

    def image(self, program: str) -> str:
        """Of vttablet or mysqld, as its spec has it; empty where that is left to the operator's default."""
        return _image(self.item["spec"].get("images"), program)


def parse_level(item: Json) -> Level:
    """From planetscale.com/v2."""
    meta, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    annotations = meta.get("annotations") or {}
    owners = (owner for owner in meta.get("ownerReferences") or [] if owner.get("controller"))
    return Level(
        kind=str(item.get("kind") or ""),
        name=str(meta["name"]),
        generation=int(meta.get("generation") or 0),
        observed=int(status.get("observedGeneration") or 0),
        strategy=str((spec.get("updateStrategy") or {}).get("type") or "External"),
        scheduled=SCHEDULED in annotations,
        released=RELEASED in annotations,
        cascades=CASCADE in annotations,
        parent=next((str(owner["name"]) for owner in owners), ""),
        item=item,
    )


@dataclass(frozen=True)
class Tree:
    """What a tablet's Pod hangs on, from the root."""

    cluster: Level
    keyspace: Level
    shard: Level

    @property
    def levels(self) -> tuple[Level, ...]:
        """In the order in which changes are released."""
        return self.cluster, self.keyspace, self.shard

    @property
    def pending(self) -> str:
        """What is not released yet, or not looked at yet; empty where the Pods are all that may have changes left."""
        for level in (self.keyspace, self.shard):
            if level.scheduled:
                return f"{level} has changes scheduled"
        # Each controller says what it observed after it scheduled what follows from that (their Reconcile, at its end).
        return next(
            (f"{level} is not observed yet" for level in (self.cluster, self.keyspace) if not level.is_observed), ""
        )

    @property
    def unobserved(self) -> str:
        """The level whose own controller has not seen its latest spec, in words; empty where all have."""
        return next((f"{level} is not observed yet" for level in self.levels if not level.is_observed), "")

    @property
    def wanted_generation(self) -> int:
        """The VitessShard's generation when all that is pending was released: one more, as one release applies the whole difference."""
        return self.shard.generation + (1 if self.pending else 0)

    def image(self, program: str) -> str:
        """What the next Pod will run when all that is pending was released; empty where nobody wrote it down."""
        if self.keyspace.scheduled or not self.cluster.is_observed:
            name = self.keyspace.item["spec"].get("name")
            every = self.cluster.item["spec"].get("keyspaces") or []
            its_own = next((keyspace.get("images") or {} for keyspace in every if keyspace.get("name") == name), {})
            return _image(its_own, program) or self.cluster.image(program)
        return (self.keyspace if self.shard.scheduled else self.shard).image(program)


def refusal(tree: Tree, pod: Pod) -> str:
    """Why this Pod must not be released, empty if nothing of what owns it speaks against that."""
    for level in tree.levels:
        if level.strategy != "External":
            return (
                f"{level} has updateStrategy {level.strategy}: vitess-operator replaces Pods on its own and would race this roll; "
                "set updateStrategy.type to External"
            )
        if level.cascades:
            return f"vitess-operator rolls {level} by itself ({CASCADE}): wait for its end"
    image = tree.image("vttablet")
    if not image:
        return f"{tree.cluster} does not name images.vttablet: what its tablets would become is not known"
    version = versions.of_image(image)
    if version is not None and version.major >= WITHOUT_UNDERSCORES and pod.underscored:
        return (
            f"Vitess {version} refuses flags with underscores, and vttablet is started with --{pod.underscored}: "
            "take a vitess-operator that writes dashes first"
        )
    return ""


def owner_of(tree: Tree, pod: Pod) -> Owner:
    """The VitessShard that recreates a Pod. What that asks of a node is what the Pod asks: pools are not read."""
    shard = tree.shard
    late = next((level for level in tree.levels if not level.is_observed), shard)
    return Owner(
        kind=KIND,
        name=shard.name,
        strategy=shard.strategy,
        current_revision=f"{shard.name}-{shard.generation}",
        update_revision=f"{shard.name}-{tree.wanted_generation}",
        generation=late.generation,
        observed_generation=late.observed,
        images=tuple((program, tree.image(program)) for program in ("vttablet", "mysqld")),
        like_the_last=True,
        pending=tree.pending,
        refusal=refusal(tree, pod),
    )


def not_available(shard: Level) -> tuple[str, ...]:
    """The tablets that the operator does not count as available, by its own, late, word; with one of them it drains none."""
    tablets = (shard.item.get("status") or {}).get("tablets") or {}
    return tuple(sorted(str(alias) for alias, said in tablets.items() if said.get("available") != "True"))
