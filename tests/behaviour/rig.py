# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The product on a simulated fleet in virtual time: one operation or a whole roll, and the invariants that must hold after it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

from ansible_collections.vtops.vitess.plugins.module_utils import labels
from ansible_collections.vtops.vitess.plugins.module_utils.executor import Process, hostname
from ansible_collections.vtops.vitess.tests.behaviour.player import Player, Result, Rolled
from ansible_collections.vtops.vitess.tests.sim.clients import Clients, Ledger
from ansible_collections.vtops.vitess.tests.sim.layout import Layout, Timings, one_shard
from ansible_collections.vtops.vitess.tests.sim.server import Server, Wire
from ansible_collections.vtops.vitess.tests.sim.simulation import Simulation

# Shorter waits than the lab's, so that a test makes fewer looks.
SHORT = Timings(terminate_s=4.0, refresh_s=10.0, backoff_most_s=10.0, available_s=6.0)


class Rig:
    """A simulated fleet behind sockets, clients on it, and the product's operations."""

    def __init__(self, layout: Layout | None = None, clients: bool = True, lab_times: bool = False) -> None:
        layout = layout or one_shard()
        self.simulation = Simulation(layout if lab_times else replace(layout, timings=SHORT))
        self.server = Server(self.simulation).start()
        self.clients = Clients(self.simulation, rate=3.0)
        self.executor = Process(hostname(), os.getpid(), Process.current().start)
        self.reported: list[str] = []
        self.player = Player(self.server.url, self.simulation.clock, self.executor, self.reported.append)
        if clients:
            self.clients.start()
            self.simulation.pass_(1.0)

    def close(self) -> None:
        """End the server."""
        self.server.stop()

    @property
    def wire(self) -> Wire:
        """Where faults of the wire are planned."""
        return self.server.wire

    @property
    def acts(self) -> list[str]:
        """What changed the fleet, in order."""
        return self.simulation.fleet.acts

    def alias(self, uid: int) -> str:
        """The alias of that uid."""
        return self.simulation.tablet(str(uid)).alias

    # -- running the product

    def execute(self, name: str, uid: int | None = None, check: bool = False, **given: Any) -> Result:
        """One operation, as its module runs it."""
        return self.player.execute(name, None if uid is None else self.alias(uid), check, **given)

    def replace(self, uid: int, into: Rolled | None = None, **given: Any) -> Rolled:
        """One tablet as the role tablet_replace takes it."""
        return self.player.replace(self.alias(uid), into, **given)

    def recover(self, uid: int, **given: Any) -> Rolled:
        """One tablet as the role tablet_recovery takes it."""
        return self.player.recover(self.alias(uid), **given)

    def diagnosed(self, uid: int, **given: Any) -> Result:
        """What tablet_diagnose says of one tablet."""
        result = self.execute("tablet_diagnose", tablets=[self.alias(uid)], **given)
        found: Result = result["tablets"][0]
        return found

    def roll(self, uids: list[int] | None = None, **given: Any) -> Rolled:
        """The playbook."""
        chosen = [self.alias(uid) for uid in uids] if uids else list(self.simulation.fleet.tablets)
        return self.player.roll(chosen, **given)

    # -- what must hold

    def journal(self) -> dict[str, Any]:
        """The claims' journals by alias."""
        texts = [
            lease["metadata"]["annotations"].get(labels.JOURNAL) or "{}"
            for lease in self.simulation.store.of("leases").values()
        ]
        return {alias: entry for text in texts for alias, entry in json.loads(text).items()}

    def claims_held(self) -> list[str]:
        """Leases that somebody holds."""
        leases = self.simulation.store.of("leases")
        return [name for name, lease in leases.items() if lease["spec"].get("holderIdentity")]

    def types(self) -> dict[int, str]:
        """Type by uid."""
        return {t.uid: t.type for t in self.simulation.fleet.tablets.values()}

    def upgraded(self) -> list[int]:
        """Which tablets run the new version."""
        new = self.simulation.layout.new
        return [t.uid for t in self.simulation.fleet.tablets.values() if t.running and t.version == new]

    def settle(self, seconds: float = 15.0) -> Ledger:
        """Let the fleet come to rest, and the clients end."""
        self.simulation.pass_(seconds)
        return self.clients.stop()

    def assert_unharmed(self, errors: bool = False) -> None:
        """No rule was broken by an act, no client saw an error (unless the fault alone makes some), no acknowledged write is lost."""
        ledger = self.settle()
        assert self.simulation.referee.violations == []
        assert self.clients.lost_writes() == []
        assert ledger.stale_reads == []
        if not errors:
            seen = ledger.without_open_transactions(self.simulation.fleet.reparents)
            assert not seen, seen

    def assert_nothing_taken(self, uids: list[int] | None = None) -> None:
        """Nothing was evicted or reparented, and nobody is left DRAINED by us."""
        assert [act for act in self.acts if not act.startswith("ChangeTabletType")] == []
        assert [uid for uid, kind in self.types().items() if kind == "DRAINED" and uid not in (uids or [])] == []
