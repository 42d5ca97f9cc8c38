# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(python -m witness start|stop|summary): the witness as a process beside a test."""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .analysis import tell
from .events import Event, Looks, PodSeen, Started, Stopped, encode, events_of
from .intervals import Interval

EVENTS, STATE, SUMMARY, LOG = "events.jsonl", "witness.json", "summary.json", "witness.log"
FIRST_LOOKS = 30.0
"""Seconds in which every source must have answered once."""
TICK = 5.0


class WitnessError(Exception):
    """The witness can't be started or stopped; the text says why."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="witness", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    for name, text in (("start", "start beside this shell"), ("run", "run in the foreground")):
        start = commands.add_parser(name, help=text)
        start.add_argument("--lab", required=True, help="the lab's JSON file")
        start.add_argument("--deadline", type=float, default=4 * 3600.0, help="seconds")
        start.add_argument("--out", required=True, help="directory for events and summary")
    stop = commands.add_parser("stop", help="stop, write the summary and print it")
    summary = commands.add_parser("summary", help="print the summary, also of a running witness")
    for command in (stop, summary):
        command.add_argument("--out", required=True)
        command.add_argument("--json", action="store_true", help="all of it, not the short form")
        command.add_argument("--from", dest="start", type=float, help="seconds since 1970, for the lower bound")
        command.add_argument("--to", dest="end", type=float, help="seconds since 1970, for the lower bound")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit code 1: it failed; 2: two tablets of a shard were away together."""
    options = parser().parse_args(arguments)
    out = Path(options.out).resolve()
    try:
        match options.command:
            case "run":
                run(Path(options.lab), out, options.deadline)
                return 0
            case "start":
                print(json.dumps(start(Path(options.lab).resolve(), out, options.deadline)))
                return 0
            case "stop":
                stop(out)
        result = summary(out, options.start, options.end)
        if options.command == "stop":
            (out / SUMMARY).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(json.dumps(result, indent=2) if options.json else short(result))
    except (WitnessError, OSError, ValueError, KeyError) as error:
        print(f"witness: {error}", file=sys.stderr)
        return 1
    return 2 if result["most_away_per_shard"] > 1 else 0


def summary(out: Path, start: float | None = None, end: float | None = None) -> dict[str, Any]:
    """The summary of what was seen so far.

    :raises OSError: when nothing was
    """
    with (out / EVENTS).open(encoding="utf-8") as file:
        story = tell(events_of(file))
    window = None
    if start is not None or end is not None:
        window = Interval(story.started_at if start is None else start, story.end if end is None else end)
    return story.summary(window)


def short(result: dict[str, Any]) -> str:
    """A person's form of a summary."""
    lines = [
        f"watched {result['seconds']:.0f} s, looks per second: {result['looks_per_s']}",
        f"most tablets of a shard away at once: {result['most_away_per_shard']} {result['most_away_by_shard']}",
        f"changes seen: {result['changes_seen']}",
    ]
    lines += [
        f"  {alias} away {tablet['away_s']:.1f} s ({', '.join(sorted({r for a in tablet['away'] for r in a['reasons']}))})"
        for alias, tablet in result["tablets"].items()
        if tablet["away"]
    ]
    lines += [
        f"  {entry['alias']} replaced: "
        + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in entry["phases_s"].items())
        for entry in result["replacements"]
    ]
    lines += [
        f"  {entry['keyspace']}/{entry['shard']} {'planned' if entry['planned'] else 'UNPLANNED'} reparent"
        f" {entry['old']} -> {entry['new']}, {entry['seconds']:.1f} s until every vtgate agreed"
        for entry in result["reparents"]
    ]
    return "\n".join(lines)


def _pid(out: Path) -> int | None:
    """The pid of the witness of a directory, None where it doesn't run."""
    try:
        state = json.loads((out / STATE).read_text(encoding="utf-8"))
        command = Path(f"/proc/{state['pid']}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return state["pid"] if str(out).encode() in command.split(b"\0") else None


def start(lab: Path, out: Path, deadline: float) -> dict[str, Any]:
    """Start a witness in a process of its own, and return once every source has answered.

    :raises WitnessError: when one runs there already, or some source doesn't answer
    """
    if _pid(out) is not None:
        raise WitnessError(f"a witness runs in {out} already")
    out.mkdir(parents=True, exist_ok=True)
    for name in (EVENTS, STATE, SUMMARY):
        (out / name).unlink(missing_ok=True)
    command = [sys.executable, "-m", __package__ or "witness", "run", "--lab", str(lab), "--out", str(out)]
    with (out / LOG).open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [*command, "--deadline", str(deadline)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    give_up = time.monotonic() + FIRST_LOOKS + 10
    while not (out / STATE).exists():
        if process.poll() is not None or time.monotonic() > give_up:
            process.kill()
            raise WitnessError(f"it did not start: {(out / LOG).read_text(encoding='utf-8').strip()[-600:]}")
        time.sleep(0.1)
    return {"pid": process.pid, "out": str(out)}


def stop(out: Path) -> None:
    """End the witness of a directory, if it runs.

    :raises WitnessError: when it doesn't end
    """
    pid = _pid(out)
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)
    give_up = time.monotonic() + 20
    while _pid(out) is not None:
        if time.monotonic() > give_up:
            raise WitnessError(f"the witness (pid {pid}) does not end")
        time.sleep(0.1)


class Recorder:
    """The file of events, and the wish to know when a new Pod is Ready."""

    def __init__(self, path: Path) -> None:
        """Opens the file for appending."""
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        self.on_pod: list[Any] = []

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._file.write(encode(event))
        if isinstance(event, PodSeen):
            for hook in self.on_pod:
                hook(event)


class NewPods:
    """Has every Pod that was not there at the first look followed until it has caught up."""

    def __init__(self, catch_up: Any, topology: Any, pods: dict[str, str]) -> None:
        """C(pods) are the tablets' Pods by alias."""
        self._catch_up, self._topology, self._pods = catch_up, topology, pods
        self._aliases = {pod: alias for alias, pod in pods.items()}
        self._known: set[str] = set()

    def __call__(self, event: PodSeen) -> None:
        """A Pod was seen."""
        alias = self._aliases.get(event.pod)
        if alias is None or event.uid is None:
            return
        if event.since is None:
            self._known.add(event.uid)
            return
        if event.running and event.uid not in self._known:
            self._known.add(event.uid)
            tablet = self._topology.tablets[alias]
            primary = self._topology.primaries.get((tablet.keyspace, tablet.shard))
            self._catch_up.begin(event.pod, event.uid, self._pods.get(primary or ""))
        if event.ready:
            self._catch_up.ready(event.uid)


def run(lab_file: Path, out: Path, deadline: float) -> None:
    """Watch until SIGTERM or the deadline.

    :raises WitnessError: when some source doesn't answer at first
    """
    from .watchers import CatchUp, Kubernetes, Lab, Topology, Vtgate

    lab = Lab.read(str(lab_file))
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    record = Recorder(out / EVENTS)
    topology = Topology(lab, record, stopping)
    topology.start()
    _first(topology, FIRST_LOOKS)
    kubernetes = Kubernetes(lab)
    pods = kubernetes.pods_of(topology.tablets)
    lost = sorted(set(topology.tablets) - set(pods))
    if lost or not pods:
        raise WitnessError(f"no Pod is known for {', '.join(lost) or 'any tablet'}")
    record(Started(time.time(), None, pods, [name for name, _host, _port in lab.vtgates]))
    record.on_pod.append(NewPods(CatchUp(lab, record), topology, pods))
    watches = [kubernetes.pods, *kubernetes.others]
    for watch in watches:
        watch.emit, watch.stop = record, stopping
    sources = [Vtgate(lab, name, host, port, record, stopping) for name, host, port in lab.vtgates]
    for source in (*watches, *sources):
        source.start()
    for source in (*watches, *sources):
        _first(source, FIRST_LOOKS)
    (out / STATE).write_text(json.dumps({"pid": os.getpid()}), encoding="utf-8")
    give_up = time.monotonic() + deadline
    polled = [topology, *sources]
    while not stopping.wait(TICK) and time.monotonic() < give_up:
        record(_looks(polled, watches))
    record(_looks(polled, watches))
    stopping.set()
    topology.join(5)
    record(Stopped(time.time(), None))


def _first(source: Any, limit: float) -> None:
    if not source.first.wait(limit):
        raise WitnessError(f"{source.name} does not answer: {source.failure}")


def _looks(polled: Sequence[Any], watches: Sequence[Any]) -> Looks:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Looks(
        time.time(),
        None,
        {source.name: source.looks for source in polled},
        {source.name: round(source.blind, 3) for source in (*polled, *watches)},
        round(usage.ru_utime + usage.ru_stime + children.ru_utime + children.ru_stime, 2),
    )


if __name__ == "__main__":
    sys.exit(main())
