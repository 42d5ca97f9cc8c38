# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  tablet:
    description: Alias of the tablet, for example V(zone1-0000000101). Keyspace, shard and Pod are found from it.
    type: str
    required: true
  keyspace:
    description: Keyspace of the tablet. It is looked up where it is not given, with O(shard).
    type: str
  shard:
    description: Shard of the tablet. It is looked up where it is not given, with O(keyspace).
    type: str
  roll:
    description:
      - Id of the roll that acts. The shard's claim is held in its name.
      - Without it the module claims the shard by itself, for as long as this ansible-playbook runs.
    type: str
  claim_wait:
    description:
      - Seconds to wait for a shard that another roll holds and renews; then it fails, naming the holder.
      - A holder of another host that does not renew is watched for 60 seconds whatever this is, and then taken over; the first
        renewal that is seen refuses the shard. One that is seen to run on this host is refused at once.
    type: float
    default: 0.0
  wanted_revision:
    description:
      - Revision of the owner (StatefulSet updateRevision; VitessShard's name and generation) that the tablet must run. Without it, what the
        owner's spec says now.
    type: str
  wanted_since:
    description: Instead of a revision, an RFC 3339 time; a Pod created before it is to be replaced. A time that is yet to come is refused.
    type: str
  mysql_series:
    description:
      - The MySQL release series that what is wanted brings, for example V(8.4), where that is another than the one that runs. It
        cannot be known before a tablet runs it, since image tags prove nothing.
      - A step that MySQL does not document is refused, and the mysqld is stopped with C(innodb_fast_shutdown=0). Without it a shard in
        which one tablet came back with another series is not rolled any further.
    type: str
  max_lag:
    description: Replication lag in seconds up to which a tablet counts as a route for clients and as caught up.
    type: float
    default: 10.0
  accept_drained:
    description: Aliases of tablets that somebody else set to DRAINED and that are not to stop this.
    type: list
    elements: str
    default: []
  accept_no_route:
    description: Aliases of tablets that may be taken away although their clients find no other route of the type.
    type: list
    elements: str
    default: []
  override_gates:
    description:
      - Gates to pass for this roll although they are red, by name, each with the reason. What was passed is in RV(gates) as V(overridden) and
        in the shard's journal.
      - Only those that guard requests or time and no data; C(docs/gates.md) says which. Any other is refused.
    type: dict
    default: {}
  batch:
    description: Aliases of the tablets that the play runs in the same batch; a second one of the shard is refused.
    type: list
    elements: str
    default: []
  predicted:
    description: In check mode, aliases of the tablets that the roll would have replaced before this one. Not used outside check mode.
    type: list
    elements: str
    default: []
"""
