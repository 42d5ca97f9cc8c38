# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""vtorc: elects where a primary is dead, and mends replication."""

from __future__ import annotations

from .fleet import CHANGEABLE, Fleet


class Vtorc:
    """Looks at every shard each second."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.enabled = fleet.layout.vtorc
        self.mends_replication = True
        self.mends_read_only = True
        self.drains_errant = False
        self._dead_since: dict[str, float] = {}

    def begin(self) -> None:
        """From now on."""
        self.fleet.timeline.after(self.fleet.timings.vtorc_poll_s, self._look)

    def _look(self) -> None:
        self.fleet.timeline.after(self.fleet.timings.vtorc_poll_s, self._look)
        if not self.enabled:
            return
        for shard, record in self.fleet.shards.items():
            if not record.lock:
                self._look_at(shard)

    def _look_at(self, shard: str) -> None:
        fleet, now = self.fleet, self.fleet.timeline.now
        primary = fleet.primary(shard)
        if primary is None or not primary.mysqld.running or not primary.running:
            since = self._dead_since.setdefault(shard, now)
            if now - since >= fleet.timings.detect_s and fleet.emergency_reparent(shard):
                self._dead_since.pop(shard, None)
            return
        self._dead_since.pop(shard, None)
        if primary.mysqld.read_only and self.mends_read_only and not primary.demoting:
            primary.mysqld.read_only = False  # PrimaryIsReadOnly
            fleet.fix_semi_sync(primary)
            fleet.changed(primary)
        for tablet in fleet.of(shard):
            if tablet is primary or not tablet.running or not tablet.mysqld.running:
                continue
            lost = not tablet.mysqld.io or tablet.mysqld.source != primary.alias
            moved = tablet.mysqld.source_host != primary.hostname
            if self.drains_errant and fleet.errant(tablet) and tablet.type in CHANGEABLE and tablet.type != "DRAINED":
                fleet.change_type(tablet.alias, "DRAINED")
            elif self.mends_replication and (lost or moved or not tablet.mysqld.sql):
                fleet.follow(tablet)
                fleet.changed(tablet)
