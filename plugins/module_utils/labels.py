# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every label, annotation and name in the cluster that this collection reads or writes: the one place that knows them."""

from __future__ import annotations

PREFIX = "vtops.vitess/"

# Written by us.
TABLET = PREFIX + "tablet"  # on a volume claim: the alias whose data it holds, put there while the tablet was healthy
TOPOLOGY = PREFIX + "topology"  # beside it: which topology (namespace of vtctld) the alias belongs to
ROLL = PREFIX + "roll"  # on a Pod: the roll that is about to remove it
TRANSITION = PREFIX + "transition"  # on a Pod: the Lease transition under which it is removed
JOURNAL = PREFIX + "journal"  # on a Lease: what this roll did, JSON
PREVIOUS = PREFIX + "previous-spec"  # on a tablets' owner: the Pod template before tablet_spec changed it, JSON
CORDON = PREFIX + "cordon"  # on a node: that we cordoned it, since when and in which boot, JSON
EXECUTOR = PREFIX + "executor"  # on a Lease: host, pid and start time of the ansible-playbook that holds it
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "vtops.vitess"

# Written by an operator: as long as this ConfigMap is there, no roll takes another tablet. Its reason says why.
PAUSE = "vtops-pause"
REASON = "reason"
# A plan that is kept in the cluster is the ConfigMap of that name and the first digits of its hash.
PLAN_PREFIX = "vtops-plan-"
PLAN = "plan.json.gz"

# vitess-operator's, which the Vitess docs' manifests use too (planetscale/vitess-operator pkg/apis/planetscale/v2/labels.go).
COMPONENT = "planetscale.com/component"
CLUSTER = "planetscale.com/cluster"

# Kubernetes'.
REVISION = "controller-revision-hash"

DEFAULT_TABLET_SELECTOR = f"{COMPONENT}=vttablet"
DEFAULT_VTGATE_SELECTOR = f"{COMPONENT}=vtgate"
DEFAULT_VTCTLD_SELECTOR = f"{COMPONENT}=vtctld"
DEFAULT_VTORC_SELECTOR = f"{COMPONENT}=vtorc"


def safe_shard(shard: str) -> str:
    """A shard's name where a DNS label is needed: C(-80) is C(x-80), C(80-) is C(80-x) (as vitess-operator's KeyRange.SafeName)."""
    start, dash, end = shard.partition("-")
    return f"{start or 'x'}-{end or 'x'}" if dash else shard


def shard_lease(keyspace: str, shard: str) -> str:
    """Name of the Lease that a roll holds on a shard."""
    return f"vtops-shard-{keyspace}-{safe_shard(shard)}".lower().replace("_", "-")


def keyspace_lease(keyspace: str) -> str:
    """Name of the Lease that a PlannedReparentShard holds on its keyspace."""
    return f"vtops-keyspace-{keyspace}".lower().replace("_", "-")
