# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The event source by itself, and the shape of its rulebook: ansible-rulebook is not part of these tests."""

from __future__ import annotations

import asyncio
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).resolve().parents[3]
SOURCE = TOP / "extensions/eda/plugins/event_source/fleet.py"
ALIAS, OTHER = "zone1-0000000102", "zone1-0000000103"
fleet: dict[str, Any] = runpy.run_path(str(SOURCE))


def seen(*ailing: tuple[str, str], ails: bool = True) -> dict[str, Any]:
    """What a look finds: alias and cause."""
    tablets = [
        {"alias": alias, "cause": cause, "ails": ails, "may_act": True, "fingerprint": f"{alias}/{cause}"}
        for alias, cause in ailing
    ]
    return {"changed": False, "tablets": tablets}


def causes(events: list[dict[str, Any]]) -> list[str]:
    return [event["fleet"]["cause"] for event in events]


def test_a_cause_is_one_event_however_long_it_lasts_and_a_new_one_when_it_comes_again() -> None:
    onsets = fleet["Onsets"](lasts=0.0, quiet_period=0.0)
    dead = seen((ALIAS, "mysqld_dead"))
    assert causes(onsets.of(dead, 0.0)) == ["mysqld_dead"]
    assert [onsets.of(dead, at) for at in (30.0, 3600.0)] == [[], []]
    assert onsets.of(seen(), 3630.0) == []
    assert causes(onsets.of(dead, 3660.0)) == ["mysqld_dead"]


def test_a_cause_that_does_not_last_is_no_event() -> None:
    onsets = fleet["Onsets"](lasts=60.0, quiet_period=0.0)
    starting = seen((ALIAS, "pod_not_ready"))
    assert onsets.of(starting, 0.0) == onsets.of(starting, 30.0) == onsets.of(seen(), 60.0) == []
    assert onsets.of(starting, 90.0) == []
    assert causes(onsets.of(starting, 150.0)) == ["pod_not_ready"]


def test_another_cause_of_the_same_tablet_waits_for_its_quiet_period_and_of_another_tablet_does_not() -> None:
    onsets = fleet["Onsets"](lasts=0.0, quiet_period=900.0)
    assert causes(onsets.of(seen((ALIAS, "mysqld_dead")), 0.0)) == ["mysqld_dead"]
    both = seen((ALIAS, "crash_loop"), (OTHER, "pod_failed"))
    assert causes(onsets.of(both, 60.0)) == ["pod_failed"]
    assert causes(onsets.of(both, 901.0)) == ["crash_loop"]


def test_what_a_living_roll_has_in_flight_is_no_event() -> None:
    assert fleet["Onsets"](0.0, 0.0).of(seen((ALIAS, "taken"), ails=False), 0.0) == []


def test_that_nothing_can_be_seen_is_one_event_until_something_is_seen_and_makes_nobody_well() -> None:
    onsets = fleet["Onsets"](lasts=0.0, quiet_period=0.0)
    dead, blind = seen((ALIAS, "mysqld_dead")), {"failed": True, "msg": "no Ready vtctld Pod"}
    onsets.of(dead, 0.0)
    assert onsets.of(blind, 30.0) == [{"fleet": {"blind": "no Ready vtctld Pod"}}]
    assert onsets.of(blind, 60.0) == []
    assert onsets.of(dead, 90.0) == [], "it was told already, and never seen to be well"
    assert len(onsets.of(blind, 120.0)) == 1


def test_main_puts_events_into_the_queue_with_the_host_to_limit_to() -> None:
    looks: list[Any] = []

    def look(name: str, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
        looks.append((name, params["namespace"], params["max_lag"], check_mode))
        return seen((ALIAS, "mysqld_dead"))

    async def run() -> list[dict[str, Any]]:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        source = asyncio.create_task(
            fleet["main"](queue, {"namespace": "vitess", "interval": 0.01, "lasts": 0.03}, look=look)
        )
        first = await asyncio.wait_for(queue.get(), 10)
        while len(looks) < 10:
            await asyncio.sleep(0.01)
        source.cancel()
        return [first, *[queue.get_nowait() for _number in range(queue.qsize())]]

    (event,) = asyncio.run(run())
    assert (event["fleet"]["alias"], event["meta"]) == (ALIAS, {"hosts": ALIAS})
    assert looks[0] == ("tablet_diagnose", "vitess", 10.0, False)
    assert len(looks) > 3


@pytest.mark.parametrize("args", [{}, {"namespace": "vitess", "intervall": 30}], ids=["no namespace", "a typing error"])
def test_arguments_that_it_does_not_know_end_it_at_once(args: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"vtops\.vitess\.fleet: "):
        asyncio.run(fleet["main"](asyncio.Queue(), args))


def test_it_finds_its_collection_where_nobody_told_python_of_it() -> None:
    installed = TOP / "build/collections/ansible_collections/vtops/vitess" / SOURCE.relative_to(TOP)
    if not installed.exists():
        pytest.skip("the collection is not installed below build/collections")
    program = f"import runpy; runpy.run_path({str(installed)!r})['main']"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={}, cwd="/", check=False)
    assert done.returncode == 0, done.stderr


def test_the_rulebook_has_the_shape_that_ansible_rulebook_documents() -> None:
    (ruleset,) = yaml.safe_load((TOP / "extensions/eda/rulebooks/recover.yml").read_text(encoding="utf-8"))
    assert set(ruleset) == {"name", "hosts", "execution_strategy", "sources", "rules"}
    (source,) = ruleset["sources"]
    arguments = {**source["vtops.vitess.fleet"], "namespace": "vitess"}
    own, params = fleet["parameters"](arguments)
    assert (own["quiet_period"], params["namespace"]) == (900.0, "vitess")
    acting, *telling = ruleset["rules"]
    assert acting["condition"] == "event.fleet.may_act == true"
    assert acting["action"] == {"run_playbook": {"name": "vtops.vitess.recover"}}
    assert (TOP / "playbooks/recover.yml").exists()
    assert [list(rule["action"]) for rule in telling] == [["print_event"]] * 2
    assert all({"name", "condition", "action"} == set(rule) for rule in ruleset["rules"])
