# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe as a process of its own: started, watched, stopped; its directory tells the state."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..clients.login import Login
from ..executor import Process, hostname
from .ledger import Ledger, Request, entries
from .load import Load, Settings, Stop
from .summary import Reparent, Summary, summarise
from .vtgate import Dialler, Layout, ProbeError, Target, look_at, rows_found

STATE_FILE = "probe.json"
TICK = 5.0
"""Seconds between two ticks in the ledger."""
READ_BACK = 60.0
"""Seconds to go on trying to read the rows back at the end."""


@dataclass(frozen=True)
class Plan:
    """Everything that a run is made of."""

    targets: tuple[Target, ...]
    login: Login
    settings: Settings
    directory: str
    deadline: float
    """Seconds after which the load ends, whatever happens."""

    def described(self) -> dict[str, Any]:
        """The plan without credentials, for the state file."""
        return {
            "vtgates": [asdict(target) for target in self.targets],
            **asdict(self.settings),
            "deadline": self.deadline,
        }


@dataclass(frozen=True)
class State:
    """What the state file of a directory says about its newest run."""

    run: str
    pid: int
    started: int
    """The process's start, in clock ticks after the boot."""
    ledger: str
    plan: dict[str, Any]
    stays_with: int | None
    """The pid with which the probe ends."""

    @property
    def running(self) -> bool:
        """Whether the probe's process lives."""
        return Process(hostname(), self.pid, self.started).runs


def state_of(directory: str) -> State | None:
    """The newest run of a directory, None if there was none.

    :raises ProbeError: when the state file can't be read
    """
    path = os.path.join(directory, STATE_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            return State(**json.load(file))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise ProbeError(f"{path} can't be read: {error}") from error


def start(plan: Plan, stay_with: Process | None) -> tuple[State, bool]:
    """Start a probe beside this process, and say if that changed anything.

    It returns as soon as the load runs. A probe that runs in this directory with the same settings is left alone.

    :param stay_with: the process with which the probe ends
    :raises ProbeError: when a vtgate or the table can't be reached, or another probe uses the directory
    """
    running = state_of(plan.directory)
    if running is not None and running.running:
        if running.plan != plan.described():
            raise ProbeError(
                f"a probe with other settings runs in {plan.directory} (pid {running.pid}): stop it first,"
                " or name another directory"
            )
        return running, False
    dialler = Dialler(plan.targets, plan.login, plan.settings.timeout)
    layout = look_at(dialler, plan.settings.keyspace, plan.settings.table)
    os.makedirs(plan.directory, mode=0o700, exist_ok=True)
    run = time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + f"-{os.getpid()}"
    ledger = os.path.join(plan.directory, f"ledger-{run}.jsonl")

    def child(tell: Callable[[str], None]) -> None:
        _run(plan, dialler, layout, run, ledger, stay_with, tell)

    answer = _detached(child, plan.settings.timeout * 2 + 10)
    state = state_of(plan.directory)
    if answer != "running" or state is None:
        raise ProbeError(f"the probe did not start: {answer or 'its process ended without a word'}")
    return state, True


def stop(directory: str, wait: float) -> bool:
    """End the probe of a directory and wait until its rows are read back; say if it ran.

    :param wait: seconds
    :raises ProbeError: when it still runs after that
    """
    state = state_of(directory)
    if state is None or not state.running:
        return False
    os.kill(state.pid, signal.SIGTERM)
    give_up = time.monotonic() + wait
    while state.running:
        if time.monotonic() > give_up:
            raise ProbeError(f"the probe (pid {state.pid}) still runs {wait:g} s after it was told to stop")
        time.sleep(0.1)
    return True


def summary(
    directory: str,
    reparents: Sequence[Reparent] = (),
    margin: float = 0.0,
    listed_gap: float = 0.5,
    read_back: Callable[[int, int], set[int]] | None = None,
) -> Summary:
    """The figures of the newest run of a directory.

    :param read_back: gives the ids found from one id to below another; used for a probe that was killed before it
        could do so itself
    :raises ProbeError: when there was no run, or its ledger can't be read
    """
    state = state_of(directory)
    if state is None:
        raise ProbeError(f"no probe was ever started in {directory}")
    try:
        with open(state.ledger, encoding="utf-8") as file:
            result = summarise(entries(file), reparents, margin, listed_gap)
        result.running = state.running
        if result.acked_lost is None and not result.running and read_back is not None:
            with open(state.ledger, encoding="utf-8") as file:
                _add_rows(result, _written(file), read_back)
    except (OSError, ValueError) as error:
        raise ProbeError(f"{state.ledger}: {error}") from error
    return result


def _written(lines: Any) -> dict[int, bool]:
    return {entry["id"]: bool(entry["a"]) for entry in entries(lines) if entry["e"] == "r" and "id" in entry}


def _add_rows(result: Summary, written: dict[int, bool], read_back: Callable[[int, int], set[int]]) -> None:
    found: set[int] = set()
    if written:
        try:
            found = read_back(min(written), max(written) + 1)
        except ProbeError as error:
            result.rows_error = str(error)
            return
    for key, value in compared({row for row, acked in written.items() if acked}, set(written), found).items():
        setattr(result, "lost_rows" if key == "lost" else key, value)


def compared(acked: set[int], written: set[int], found: set[int]) -> dict[str, Any]:
    """Acknowledged rows against rows found: how many were found, which are lost, which came without a word."""
    lost = sorted(acked - found)
    return {
        "found": len(acked & found),
        "acked_lost": len(lost),
        "lost": lost[:1000],
        "found_unacked": len((written & found) - acked),
    }


def _detached(child: Callable[[Callable[[str], None]], None], wait: float) -> str:
    """Run a function in a process that outlives this one and shares no pipe with it; wait for its first word."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    first = os.fork()
    if first:
        os.close(writing)
        os.waitpid(first, 0)
        return _first_word(reading, wait)
    code = 1
    try:
        os.setsid()
        if os.fork():
            code = 0
            return ""
        os.chdir("/")
        os.umask(0o077)
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 65536)
        os.closerange(3, writing)
        os.closerange(writing + 1, limit)

        def tell(word: str) -> None:
            os.write(writing, word.encode())
            os.close(writing)

        child(tell)
        code = 0
    finally:
        os._exit(code)


def _first_word(reading: int, wait: float) -> str:
    """All that the other side says before it closes the pipe, within C(wait) seconds."""
    word = b""
    give_up = time.monotonic() + wait
    try:
        while select.select([reading], [], [], max(0.0, give_up - time.monotonic()))[0]:
            part = os.read(reading, 4096)
            if not part:
                return word.decode()
            word += part
        return f"no answer within {wait:g} s"
    finally:
        os.close(reading)


def _run(
    plan: Plan,
    dialler: Dialler,
    layout: Layout,
    run: str,
    path: str,
    stay_with: Process | None,
    tell: Callable[[str], None],
) -> None:
    """The whole life of the probe's process."""
    try:
        threading.stack_size(512 * 1024)
        ledger = Ledger(path)
        written: dict[int, bool] = {}

        def record(request: Request) -> None:
            if request.row is not None:
                written[request.row] = request.acked
            ledger.request(request)

        load = Load(plan.settings, dialler, layout, record)
        load.restock()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        reasons: list[str] = []

        def told_to_stop(_number: int, _frame: Any) -> None:
            load.stop()

        signal.signal(signal.SIGTERM, told_to_stop)
        signal.signal(signal.SIGINT, told_to_stop)
        ledger.note(
            "start",
            run=run,
            at=load.clock() + load.epoch,
            pid=os.getpid(),
            shards=layout.shards,
            stays_with=None if stay_with is None else stay_with.pid,
            **(plan.described() | {"vtgates": [target.name for target in plan.targets]}),
        )
        _write_state(plan, run, path, stay_with)
    except (OSError, ProbeError, ValueError, Stop) as error:
        tell(str(error))
        return
    hard_limit = plan.deadline + 3 * plan.settings.timeout + plan.settings.answer_limit + 2 * READ_BACK
    last_resort = threading.Timer(hard_limit, os._exit, (1,))
    last_resort.daemon = True
    last_resort.start()
    watcher = threading.Thread(target=_watch, args=(load, ledger, stay_with, reasons), daemon=True)
    watcher.start()
    tell("running")
    try:
        reason, until = load.run(plan.deadline)
    except Stop as error:
        reason, until = str(error), time.time()
    if reason == "stopped" and reasons:
        reason = reasons[0]
    rows: dict[str, Any]
    try:
        settings = plan.settings
        found = rows_found(dialler, settings.keyspace, settings.table, load.rows.first, load.rows.end, READ_BACK)
        rows = compared({row for row, acked in written.items() if acked}, set(written), found)
    except ProbeError as error:
        rows = {"found": None, "acked_lost": None, "lost": [], "found_unacked": None, "error": str(error)}
    _tick(load, ledger)
    ledger.note("rows", **rows)
    ledger.note("stop", reason=reason, until=until, at=time.time())


def _write_state(plan: Plan, run: str, path: str, stay_with: Process | None) -> None:
    myself = Process.current()
    state = State(
        run=run,
        pid=myself.pid,
        started=myself.start,
        ledger=path,
        plan=plan.described(),
        stays_with=None if stay_with is None else stay_with.pid,
    )
    temporary = os.path.join(plan.directory, f".{STATE_FILE}.{os.getpid()}")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(asdict(state), file)
    os.replace(temporary, os.path.join(plan.directory, STATE_FILE))


def _tick(load: Load, ledger: Ledger) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    ledger.note(
        "tick",
        at=time.time(),
        cpu=round(usage.ru_utime + usage.ru_stime, 3),
        late=round(load.worst_lateness(), 3),
        requests=load.requests,
    )


def _watch(load: Load, ledger: Ledger, stay_with: Process | None, reasons: list[str]) -> None:
    """Stop the load when the process that it stays with is gone; keep the ledger's ticks."""
    next_tick = time.monotonic() + TICK
    while True:
        time.sleep(1)
        if stay_with is not None and not reasons and not stay_with.runs:
            reasons.append(f"its process {stay_with.pid} is gone")
            load.stop()
        if time.monotonic() >= next_tick:
            next_tick += TICK
            try:
                _tick(load, ledger)
            except OSError:
                load.stop()
