# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""lab up | fleet | strategy | status | down | clean"""

from __future__ import annotations

import argparse
import contextlib
import json
import time

from . import binaries, cluster, engine, fleet, images, places, versions
from .console import LabError, Stages, say


def main() -> int:
    arguments = _parser().parse_args()
    stages = Stages()
    try:
        with places.alone() if arguments.changes else contextlib.nullcontext():
            arguments.does(arguments, stages)
    except LabError as problem:
        say(f"{arguments.command}: {problem}")
        return 1
    except KeyboardInterrupt:
        say(f"{arguments.command}: interrupted")
        return 130
    _remember_times(arguments.command, stages)
    say(f"{arguments.command}: done in {stages.total():.0f} s")
    return 0


def up(arguments: argparse.Namespace, stages: Stages) -> None:
    with stages.stage("Docker"):
        fresh_engine = engine.ensure()
        source = images.choose_source(arguments.images)
        if fresh_engine and cluster.exists():
            say("the cluster did not outlive its Docker: making it anew")
            cluster.delete()
    with stages.stage("images"):
        images.node_image(source)
        tars = images.workload_tars(source)
        binaries.drop_build_caches()
    with stages.stage("cluster"):
        kind_cluster = cluster.create(source)
    with stages.stage("images on the nodes"):
        kind_cluster.load(tars)
    vitess = fleet.Fleet(kind_cluster, stages)
    if vitess.is_whole() and _fits(vitess, arguments):
        vitess.wait_serving()
    else:
        vitess.lay_foundation(stable_addresses=arguments.stable_addresses)
        vitess.make_anew(arguments.tablets or versions.OLDEST_VITESS, versions.OLDEST_VITESS)
    vitess.describe()


def _fits(vitess: fleet.Fleet, arguments: argparse.Namespace) -> bool:
    """Whether a running fleet is what was asked for; without a wish any is."""
    if arguments.stable_addresses and not vitess.has_stable_addresses():
        return False
    return not arguments.tablets or set(vitess.running_versions().values()) == {arguments.tablets}


def fleet_anew(arguments: argparse.Namespace, stages: Stages) -> None:
    vitess = _running_fleet(stages)
    if arguments.spec_only:
        vitess.set_spec(arguments.tablets)
    else:
        vitess.make_anew(arguments.tablets, arguments.control)


def strategy(arguments: argparse.Namespace, stages: Stages) -> None:
    _running_fleet(stages).set_strategy(arguments.strategy)


def status(_arguments: argparse.Namespace, stages: Stages) -> None:
    print("\n".join(_running_fleet(stages).status()))


def down(_arguments: argparse.Namespace, stages: Stages) -> None:
    with stages.stage("cluster goes"):
        if engine.answers() and cluster.exists():
            cluster.delete()
    with stages.stage("Docker stops"):
        engine.stop()
    for leftover in (places.KUBECONFIG, places.OUTPUT / "lab.json", places.OUTPUT / "READY"):
        leftover.unlink(missing_ok=True)


def clean(arguments: argparse.Namespace, stages: Stages) -> None:
    down(arguments, stages)
    if engine.answers():
        images.forget()
    with stages.stage("cache goes"):
        places.remove_tree(places.CACHE)


def _running_fleet(stages: Stages) -> fleet.Fleet:
    if not places.KUBECONFIG.exists():
        raise LabError("no lab is up: run tests/lab/lab up")
    return fleet.Fleet(cluster.Cluster(), stages)


def _remember_times(command: str, stages: Stages) -> None:
    """Keeps the last runs, so that a change of times can be seen."""
    if not places.OUTPUT.is_dir() or not stages.seconds:
        return
    file = places.OUTPUT / "times.json"
    runs = json.loads(file.read_text()) if file.exists() else []
    ended = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    runs.append({"command": command, "ended": ended, "total_s": stages.total(), "stages_s": stages.seconds})
    file.write_text(json.dumps(runs[-50:], indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="A Vitess fleet on kind, for the tests.")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, does, text, changes=True):  # type: ignore[no-untyped-def]
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(does=does, changes=changes)
        return added

    added = command("up", up, "bring the lab up, or bring back what of it is missing")
    added.add_argument("--tablets", choices=versions.VITESS, help="the tablets' Vitess version")
    added.add_argument("--images", choices=("build", "pull"), help="default: pull where a registry answers")
    added.add_argument("--stable-addresses", action="store_true", help="tablets are known by their Pod's DNS name")

    added = command("fleet", fleet_anew, "make the shards anew, empty, at one version")
    added.add_argument("--tablets", choices=versions.VITESS, required=True, help="the tablets' Vitess version")
    added.add_argument("--control", choices=versions.VITESS, default=versions.OLDEST_VITESS, help="and all others'")
    added.add_argument("--spec-only", action="store_true", help="only set what the StatefulSets want; nothing restarts")

    added = command("strategy", strategy, "set how the StatefulSets replace their Pods")
    added.add_argument("strategy", choices=("OnDelete", "RollingUpdate"))

    command("status", status, "show versions and what each vtgate serves", changes=False)
    command("down", down, "stop all that the lab started; the cache stays")
    command("clean", clean, "down, and no cache left")
    return parser
