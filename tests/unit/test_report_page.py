# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page: well formed, alone in the world, the same bytes again, and nothing that the cluster says is markup."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from html.parser import HTMLParser

import pytest

from ansible_collections.vtops.vitess.plugins.module_utils.claim import Entry, Stop
from ansible_collections.vtops.vitess.plugins.module_utils.report import PHASE, Seen, Segment, report_of
from ansible_collections.vtops.vitess.plugins.module_utils.report_page import Axis, page
from ansible_collections.vtops.vitess.tests.unit.test_report import BEGIN, A, B, C, done, of, seen, stop

EVIL = "<script>alert('x')</script>\"&'<img src=x onerror=y>"
VOID = {"meta", "br", "img"}
PROBE = {
    "requests": 71792,
    "errors": 0,
    "latency": {"write": {"p50": 0.0021, "p99": 0.04, "max": 0.9}},
    "longest_write_gap_s": 1.5,
    "longest_write_gap_s_by_vtgate": {"vtgate-0": 1.5},
    "write_gaps": [{"vtgate": "vtgate-0", "shard": "-80", "seconds": 1.5, "start": "2026-09-21T14:13:30.000Z"}],
}


class Parsed(HTMLParser):
    """Its elements with their attributes, its text; whatever is not closed in order is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


FULL = of(
    seen(A, done(0)),
    seen(B, done(60, failure=stop(70), accepted=("tablet_drain: accept_no_route: x",))),
    seen(C, Entry(steps={"drain": (BEGIN + 120, BEGIN + 121)}, rolls=("one",), failure=stop(140)), as_wanted=False),
    probe=PROBE,
)


@pytest.mark.parametrize("report", [FULL, of(seen(A)), of(), of(seen(A, Entry(failure=stop(0)), as_wanted=False))])
def test_it_is_well_formed_and_alone_in_the_world(report: object) -> None:
    text = page(report)  # type: ignore[arg-type]
    parsed = Parsed(text)
    assert text.startswith("<!DOCTYPE html>")
    assert not {tag for tag, _attributes in parsed.elements} & {"script", "link", "img", "iframe", "object", "svg"}
    for _tag, attributes in parsed.elements:
        assert not {name for name in attributes if name in ("src", "href") or name.startswith("on")}
    assert not re.search(r"url\(|@import|https?:", text)
    assert "prefers-color-scheme:dark" in text
    assert "width=device-width" in text


def test_the_same_report_is_the_same_bytes_and_names_no_time_of_its_own() -> None:
    assert page(FULL) == page(replace(FULL))
    days = set(re.findall(r"20\d\d-\d\d-\d\d", page(FULL)))
    assert days == {"2026-09-21"}


def test_whatever_the_cluster_says_is_text() -> None:
    texts = {f.name: EVIL for f in fields(Stop) if f.name != "at"}
    entry = replace(
        done(0),
        rolls=(EVIL,),
        image=EVIL,
        revision=EVIL,
        promoted=EVIL,
        accepted=(EVIL,),
        failure=Stop(BEGIN + 99, **texts),
    )
    entry = replace(entry, phases=((EVIL, EVIL, BEGIN, 1.0), ("shard_reparent", "reparent", BEGIN, 1.0)), finished=None)
    evil = Seen(A, EVIL, EVIL, EVIL, False, EVIL, EVIL, EVIL, EVIL, entry, EVIL)
    probe = {
        **PROBE,
        "started_at": EVIL,
        "errors_by_kind": {EVIL: EVIL},
        "latency": {EVIL: {"p50": EVIL}},
        "write_gaps": [dict.fromkeys(("vtgate", "shard", "seconds", "start"), EVIL)],
    }
    text = page(report_of([evil], EVIL, probe=probe))
    parsed = Parsed(text)
    assert not {tag for tag, _attributes in parsed.elements} & {"script", "img"}
    assert not [attributes for _tag, attributes in parsed.elements if "onerror" in attributes]
    assert "<script" not in text
    assert parsed.text.count(EVIL) > 15


def test_it_says_what_stopped_it_and_what_to_run() -> None:
    text = Parsed(page(FULL)).text
    assert "2 of 3 tablets done, 1 failed" in text
    for said in (
        "it does not start",
        "it is DRAINED",
        "kubectl describe pod",
        "vtops.vitess.abort",
        "Failed, then went on",
    ):
        assert said in text
    assert "tablet_drain: accept_no_route: x" in text


def test_a_figure_that_is_not_known_says_so_and_is_no_zero() -> None:
    text = page(of(seen(A)))
    tiles = dict(re.findall(r"<li><b>(.*?)</b><span>(.*?)</span></li>", text))
    by_name = {name: value for value, name in re.findall(r"<li><b>(.*?)</b><span>(.*?)</span></li>", text)}
    assert tiles
    for name in (
        "errors of clients",
        "longest gap between writes",
        "from first to last act",
        "most of one shard away at once",
    ):
        assert "not known" in by_name[name]
    assert "71792" in page(FULL)
    assert "1.50 s" in page(FULL)


def test_the_axis_cuts_out_a_pause_that_would_crush_the_rest() -> None:
    pieces = [Segment(PHASE, "s", "p", BEGIN, 50.0), Segment(PHASE, "s", "p", BEGIN + 40_000, 50.0)]
    axis = Axis(pieces)
    assert axis.cuts == [(BEGIN + 50, BEGIN + 40_000)]
    assert axis.at(BEGIN) == 0.0
    assert axis.at(BEGIN + 50) == pytest.approx(48.5)
    assert axis.at(BEGIN + 40_000) == pytest.approx(51.5)
    assert axis.at(BEGIN + 40_050) == pytest.approx(100.0)
    assert axis.at(BEGIN + 9e9) == pytest.approx(100.0)


def test_the_axis_keeps_a_short_pause_and_bears_nothing() -> None:
    pieces = [Segment(PHASE, "s", "p", BEGIN, 50.0), Segment(PHASE, "s", "p", BEGIN + 60, 40.0)]
    assert Axis(pieces).cuts == []
    assert Axis(pieces).at(BEGIN + 60) == pytest.approx(60.0)
    assert Axis([]).at(BEGIN) == 0.0
    assert Axis([Segment(PHASE, "s", "p", BEGIN, 0.0)]).at(BEGIN) == 0.0
