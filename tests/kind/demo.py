# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""C(make demo-kind): the main job on the lab with one command: v23 to v24 under the probe, and the ledger."""

from __future__ import annotations

import sys
from typing import Any

from .harness import OUT, Lab, Ledger, Played, watched


def broken_on_replicas(probe: dict[str, Any]) -> int:
    """Transactions on replicas that broke: Vitess breaks those that are open in the moment of a drain or reparent (docs/operating.md)."""
    return int(probe["errors_by_kind"].get("replica_transaction", 0))


def errors(probe: dict[str, Any]) -> int:
    """What no roll may cost its clients: every error but the transactions on replicas, which are counted apart."""
    return int(probe["errors"]) - broken_on_replicas(probe)


def harmed(ledger: Ledger) -> bool:
    """Whether a client saw an error, or two tablets of a shard were away together."""
    return errors(ledger.probe) > 0 or ledger.witness["most_away_per_shard"] > 1


def story(played: Played, ledger: Ledger) -> str:
    """What clients saw, for a terminal."""
    probe, witness = ledger.probe, ledger.witness
    lines = [
        f"rolled {len(witness['replacements'])} tablets in {played.seconds:.0f} s, exit code {played.returncode}",
        (
            f"requests {probe['requests']:,}, errors {errors(probe)}, "
            f"transactions that were open across a reparent {probe['errors_open_transactions']}"
        ),
        (
            f"transactions on a replica that was drained or promoted under them: {broken_on_replicas(probe)}, "
            "which Vitess breaks (docs/operating.md)"
        ),
        (
            f"longest write gap {probe['longest_write_gap_s']:.2f} s, stale reads {probe['stale_reads']}, "
            f"acknowledged writes {probe['acked']:,}, lost {probe['acked_lost']}"
        ),
        f"most tablets of a shard away at once: {witness['most_away_per_shard']}",
    ]
    lines += [f"  {kind}: {text}" for kind, text in sorted(probe["latency"].items())]
    lines += [
        f"  {reparent['keyspace']}/{reparent['shard']}: {reparent['old']} -> {reparent['new']} in {reparent['seconds']:.1f} s"
        for reparent in witness["reparents"]
    ]
    lines += [f"  error: {error}" for error in probe["first_errors"][:10]]
    return "\n".join(lines)


def main() -> int:
    """Exit code 0 only where the roll ended well and no client saw an error."""
    lab = Lab()
    lab.command("fleet", "--tablets", "23.0.3")
    lab.command("fleet", "--tablets", "24.0.2", "--spec-only")
    with watched(lab, "demo") as ledger:
        played = lab.play("vtops.vitess.rolling_upgrade", name="demo")
    print((OUT / "demo.log").read_text(encoding="utf-8", errors="replace"))
    print(story(played, ledger))
    return played.returncode or int(harmed(ledger))


if __name__ == "__main__":
    sys.exit(main())
