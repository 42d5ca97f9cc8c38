# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A report as one page of HTML that needs nothing else: no script, no font, no picture from anywhere. Pure.

Every text passes L(_e): names, reasons and commands come from a cluster that is not ours to trust.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise

from .report import (
    AS_WANTED,
    DONE,
    FAILED,
    GAP,
    GAP_S,
    IN_FLIGHT,
    LEFT,
    OPEN,
    STOPPED,
    Forecast,
    Probe,
    Report,
    Segment,
    ShardReport,
    TabletReport,
)
from .timestamps import moment

WORDS = {DONE: "done", FAILED: "failed", IN_FLIGHT: "in flight", LEFT: "left", AS_WANTED: "as wanted"}
# The colour of a phase; what is not named looks, checks or waits.
KINDS = {
    "reparent": "reparent",
    "every vtgate agrees": "reparent",
    "drain": "drain",
    "idle": "drain",
    "evict": "pod",
    "release": "pod",
    "pod stop and start": "pod",
    "catch up": "catchup",
    "restore type": "readmit",
    "routes": "readmit",
    "canary": "readmit",
    "soak": "soak",
}
LEGEND = (
    ("look", "looks, gates, waits"),
    ("reparent", "reparent"),
    ("drain", "drain, idle"),
    ("pod", "Pod stops and starts"),
    ("catchup", "catch up"),
    ("readmit", "readmit: routes and canary"),
    ("soak", "soak"),
    ("stopped", "a step that failed"),
    ("open", "begun, no end written"),
    ("gap", "nothing written"),
)
# A pause of the whole shard that is longer than this share of what was written is cut out of the axis.
CUT_SHARE, CUT_WIDTH = 0.25, 0.03
UNKNOWN = '<span class="unknown">not known</span>'

CSS = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b2230;--soft:#5b6577;--line:#dde1e8;--track:#eef0f4;
--look:#a9b3c4;--reparent:#8a5cd6;--drain:#d9900f;--pod:#3b7dd8;--catchup:#1298a6;--readmit:#2f9e57;--soak:#8fce9f;--bad:#cf3a2f;
--good:#1f7a42;--warn:#96610a;--code:#eef0f4}
@media (prefers-color-scheme:dark){:root{--bg:#12151b;--card:#1b2029;--ink:#e7eaf0;--soft:#9ba6b8;--line:#2e3542;--track:#262c37;
--look:#667286;--reparent:#a783ea;--drain:#e5a63a;--pod:#5c9bf0;--catchup:#35b9c6;--readmit:#4cbb74;--soak:#2f6b43;--bad:#f0695e;
--good:#5fcf8a;--warn:#e5b05a;--code:#262c37}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:26px;line-height:1.2;margin:2px 0 6px}h2{font-size:18px;margin:0 0 2px}h3{font-size:14px;margin:14px 0 4px}
p{margin:0 0 6px}.eyebrow,.meta,dt,th,small{color:var(--soft)}.eyebrow{font-size:12px;letter-spacing:.06em;text-transform:uppercase;margin:0}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px 18px;margin:16px 0 0}
.card.bad{border-left:5px solid var(--bad)}.card.warn{border-left:5px solid var(--drain)}.card.good{border-left:5px solid var(--readmit)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(148px,1fr));gap:10px;margin:16px 0 0;padding:0;list-style:none}
.tiles li{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:10px 14px}
.tiles b{display:block;font-size:21px;line-height:1.3;font-weight:650;font-variant-numeric:tabular-nums}.tiles span{font-size:13px;color:var(--soft)}
.tiles b .unknown{font-size:15px}.unknown{color:var(--soft);font-style:italic;font-weight:400}
code{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--code);padding:1px 5px;border-radius:4px;overflow-wrap:anywhere}
.command{display:block;padding:8px 10px;margin:6px 0;white-space:pre-wrap}
.pill{display:inline-block;font-size:12px;line-height:1.6;padding:0 8px;border-radius:9px;border:1px solid currentColor;white-space:nowrap}
.pill.done{color:var(--good)}.pill.failed{color:var(--bad);font-weight:650}.pill.in_flight{color:var(--warn);font-weight:650}
.pill.left,.pill.as_wanted{color:var(--soft)}
.legend{display:flex;flex-wrap:wrap;gap:4px 14px;font-size:13px;color:var(--soft);margin:8px 0 0;padding:0;list-style:none}
.legend i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:5px;vertical-align:-1px}
.tablet{border-top:1px solid var(--line)}.tablet:first-of-type{margin-top:10px}
summary{display:grid;grid-template-columns:minmax(200px,25%) 1fr 92px;gap:4px 14px;align-items:center;padding:9px 0;cursor:pointer;list-style:none}
summary::-webkit-details-marker{display:none}summary:focus-visible{outline:2px solid var(--pod);outline-offset:2px;border-radius:4px}
.name{font-weight:600;overflow-wrap:anywhere}.name::before{content:"\\25B8";color:var(--soft);display:inline-block;width:1em}
details[open] .name::before{content:"\\25BE"}.away{text-align:right;font-variant-numeric:tabular-nums;font-size:14px}
.track{position:relative;height:20px;background:var(--track);border-radius:4px;overflow:hidden}
.track i{position:absolute;top:0;bottom:0;min-width:2px}
.axis{position:relative;display:flex;justify-content:space-between;font-size:12px;color:var(--soft);margin:2px 106px 0 calc(max(200px,25%) + 14px);
font-variant-numeric:tabular-nums}
.look{background:var(--look)}.reparent{background:var(--reparent)}.drain{background:var(--drain)}.pod{background:var(--pod)}
.catchup{background:var(--catchup)}.readmit{background:var(--readmit)}.soak{background:var(--soak)}
.stopped{background:var(--bad)}.open{background:repeating-linear-gradient(135deg,var(--bad) 0 4px,transparent 4px 8px);
outline:1px solid var(--bad);outline-offset:-1px}
.gap{background:repeating-linear-gradient(135deg,var(--line) 0 3px,transparent 3px 7px)}
.cut{background:var(--card);border:dashed var(--soft);border-width:0 1px}
.inside{padding:2px 0 14px 1em}dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:0 0 8px}dd{margin:0;overflow-wrap:anywhere}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}th{font-weight:500;text-align:left;font-size:13px}
th,td{padding:3px 12px 3px 0;border-bottom:1px solid var(--line);vertical-align:top}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:6px}
ul.plain{margin:4px 0 0;padding-left:18px}li{overflow-wrap:anywhere}footer{margin-top:22px;font-size:13px;color:var(--soft)}
@media (max-width:640px){main{padding:18px 12px 36px}h1{font-size:22px}.card{padding:13px 12px}
summary{grid-template-columns:1fr auto}summary .track{grid-column:1/-1;grid-row:2}.axis{margin:2px 0 0}
.tiles{grid-template-columns:1fr 1fr;gap:8px}.tiles li{padding:8px 10px}.tiles b{font-size:18px}.inside{padding-left:0}
dl{grid-template-columns:1fr}dd{margin-bottom:4px}th,td{padding-right:8px}}
@media print{body{background:#fff}.card,.tiles li{break-inside:avoid}}
"""


def _e(text: object) -> str:
    return escape(str(text), quote=True)


def _seconds(value: float | None) -> str:
    """For people; what is not known says so."""
    if value is None:
        return UNKNOWN
    if value < 10:
        return f"{value:.1f} s"
    if value < 100:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 100:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _known(value: object, text: str | None = None) -> str:
    return UNKNOWN if value is None or value == "" else _e(value if text is None else text)


def _day_and_time(at: float | None) -> str:
    return UNKNOWN if at is None else f'<time datetime="{moment(at)}">{moment(at)[:19].replace("T", " ")} UTC</time>'


def _clock(at: float) -> str:
    return moment(at)[11:19]


def _list(items: Iterable[str]) -> str:
    return f'<ul class="plain">{"".join(f"<li>{item}</li>" for item in items)}</ul>'


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


# -- the axis of a shard


class Axis:
    """Where a moment is, in percent of a shard's width; pauses that would crush everything else are cut out."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        busy = sorted((s.started_at, s.ended_at) for s in segments if s.kind != GAP)
        merged: list[tuple[float, float]] = []
        for start, end in busy:
            if merged and start - merged[-1][1] <= GAP_S:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((start, end))
        self.start, self.end = (merged[0][0], merged[-1][1]) if merged else (0.0, 0.0)
        written = sum(end - start for start, end in merged)
        pauses = [(one[1], other[0]) for one, other in pairwise(merged)]
        self.cuts = [(start, end) for start, end in pauses if end - start > max(GAP_S, CUT_SHARE * written)]
        shown = self.end - self.start - sum(end - start for start, end in self.cuts)
        self._scale = (100.0 - 100.0 * CUT_WIDTH * len(self.cuts)) / shown if shown > 0 else 0.0

    def at(self, moment_s: float) -> float:
        """Percent from the left."""
        inside = min(max(moment_s, self.start), self.end)
        gone, cut = 0.0, 0.0
        for start, end in self.cuts:
            if inside >= end:
                gone, cut = gone + end - start, cut + 1.0
            elif inside > start:
                gone, cut = gone + inside - start, cut + (inside - start) / (end - start)
        return (inside - self.start - gone) * self._scale + 100.0 * CUT_WIDTH * cut

    def piece(self, kind: str, start: float, end: float, title: str) -> str:
        """One piece of a track."""
        left = self.at(start)
        return f'<i class="{kind}" style="left:{left:.2f}%;width:{max(0.0, self.at(end) - left):.2f}%" title="{_e(title)}"></i>'


def _class(segment: Segment) -> str:
    return {GAP: "gap", STOPPED: "stopped", OPEN: "open"}.get(segment.kind) or KINDS.get(segment.phase, "look")


def _called(segment: Segment) -> str:
    if segment.kind == STOPPED:
        return f"{segment.step} failed: {segment.phase}"
    if segment.kind == OPEN:
        return f"{segment.phase}: begun, no end written"
    return segment.phase


def _track(tablet: TabletReport, axis: Axis) -> str:
    label = "; ".join(f"{_called(s)} {s.seconds:.1f} s" for s in tablet.segments) or "nothing written"
    bars = "".join(
        axis.piece(_class(s), s.started_at, s.ended_at, f"{_called(s)}: {s.seconds:.1f} s from {_clock(s.started_at)}")
        for s in tablet.segments
    )
    cuts = "".join(axis.piece("cut", start, end, f"{end - start:.0f} s cut out") for start, end in axis.cuts)
    return f'<span class="track" role="img" aria-label="{_e(label)}">{bars}{cuts}</span>'


# -- its parts


def _head(report: Report) -> str:
    when = (
        f"{_day_and_time(report.started_at)} to {_day_and_time(report.last_at)}, the last thing that the journal says"
        if report.started_at is not None
        else "The journal has no line of a roll of these tablets."
    )
    rolls = ", ".join(f"<code>{_e(roll)}</code>" for roll in report.rolls) or UNKNOWN
    return (
        f'<p class="eyebrow">Roll of Vitess tablets in {_e(report.namespace)}</p><h1>{_e(report.verdict)}</h1>'
        f'<p class="meta">{when}</p><p class="meta">{"Rolls" if len(report.rolls) > 1 else "Roll"}: {rolls}</p>'
    )


def _tiles(report: Report) -> str:
    away = [tablet.away for tablet in report.tablets if tablet.away is not None]
    ended = [one.seconds for one in away if one.seconds is not None]
    reparents = [moved for shard in report.shards for moved in shard.reparents]
    probe, most = report.probe, max((shard.away_at_once for shard in report.shards), default=0)
    gap = probe.longest_write_gap_s if probe is not None else None
    tiles = [
        (_e(f"{report.counts[DONE]} of {sum(report.counts.values()) - report.counts[AS_WANTED]}"), "tablets done"),
        (_seconds(report.seconds), "from first to last act"),
        (_seconds(max(ended)) if ended else UNKNOWN, "longest away, of those that are back"),
        (_e(most) if away else UNKNOWN, "most of one shard away at once"),
        (_e(len(reparents)), "reparents"),
        (_known(None if probe is None else probe.errors), "errors of clients"),
        (UNKNOWN if gap is None else _e(f"{gap:.2f} s"), "longest gap between writes"),
    ]
    return f'<ul class="tiles">{"".join(f"<li><b>{value}</b><span>{name}</span></li>" for value, name in tiles)}</ul>'


def _stopped(report: Report) -> str:
    found = []
    for tablet in report.failures:
        if tablet.failure is not None:
            found.append(
                f"<h3>{_e(tablet.tablet)}: {_e(tablet.failure.step)}{_gate(tablet.failure.gate)}</h3>"
                f"<p>{_e(tablet.failure.reason)}</p><p class='meta'>State that was left: {_e(tablet.failure.state)}. "
                f"{_day_and_time(tablet.failure.at)}</p><p>Look, or mend it:</p>{_command(tablet.next_command)}"
            )
    for tablet in report.tablets:
        if tablet.state == IN_FLIGHT:
            found.append(f"<h3>{_e(tablet.tablet)}: in flight</h3><p>{_e(tablet.note)}.</p>")
    if not found and not report.next_command:
        return ""
    kind = "bad" if report.counts[FAILED] or report.counts[IN_FLIGHT] else "warn"
    then = f"<h3>To go on</h3>{_command(report.next_command)}" if report.next_command else ""
    return f'<section class="card {kind}"><h2>{"Where it stands" if found else "Not finished"}</h2>{"".join(found)}{then}</section>'


def _gate(gate: str) -> str:
    return f" (<code>{_e(gate)}</code>)" if gate else ""


def _command(text: str) -> str:
    return f'<code class="command">{_e(text)}</code>'


def _shard(shard: ShardReport) -> str:
    axis = Axis([segment for tablet in shard.tablets for segment in tablet.segments])
    away = [tablet for tablet in shard.tablets if tablet.away is not None]
    told = "The journal knows of no tablet that was away."
    if away:
        still = f", {_count(shard.still_away, 'tablet')} not proved to be back" if shard.still_away else ""
        told = (
            f"{_count(len(away), 'tablet')} away, {_seconds(shard.away_seconds)} in all{still}; "
            f"at most {shard.away_at_once} at once."
        )
    held = f'<p class="meta">Its Lease is held by <code>{_e(shard.holder)}</code>.</p>' if shard.holder else ""
    ends = f'<p class="axis"><span>{_clock(axis.start)}</span><span>{_clock(axis.end)} UTC</span></p>'
    return (
        f'<section class="card"><h2>{_e(shard.shard)}</h2><p class="meta">{told}</p>{held}'
        f"{''.join(_reparents(shard))}{''.join(_tablet(tablet, axis) for tablet in shard.tablets)}"
        f"{ends if axis.end > axis.start else ''}</section>"
    )


def _reparents(shard: ShardReport) -> Iterable[str]:
    for moved in shard.reparents:
        new = UNKNOWN if moved.new is None else f"<code>{_e(moved.new)}</code>"
        yield (
            f"<p>Reparent from <code>{_e(moved.old)}</code> to {new} at {_clock(moved.started_at)}: {_seconds(moved.seconds)}, "
            f"until every vtgate agreed {_seconds(moved.seconds_to_agreement)}.</p>"
        )


def _away(tablet: TabletReport) -> str:
    if tablet.away is None:
        return "&ndash;"
    return f"{_seconds(tablet.away.seconds)}" if tablet.away.seconds is not None else "not back"


def _tablet(tablet: TabletReport, axis: Axis) -> str:
    shown = " open" if tablet.state in (FAILED, IN_FLIGHT) else ""
    return (
        f'<details class="tablet"{shown}><summary><span><span class="name">{_e(tablet.tablet)}</span> '
        f'<span class="pill {tablet.state}">{WORDS[tablet.state]}</span></span>{_track(tablet, axis)}'
        f'<span class="away">{_away(tablet)}</span></summary><div class="inside">{_facts(tablet)}{_phases(tablet)}</div></details>'
    )


def _facts(tablet: TabletReport) -> str:
    rows = [("State", f"{WORDS[tablet.state]}: {_e(tablet.note)}"), ("Type now", _e(tablet.type))]
    if tablet.segments:
        rows.append(("Ran before", f"{_known(tablet.image_before)} <small>{_e(tablet.revision_before or '')}</small>"))
    rows.append(("Runs now", f"{_known(tablet.image_now)} <small>{_e(tablet.revision_now)}</small>"))
    if (tablet.image_wanted, tablet.revision_wanted) != (tablet.image_now, tablet.revision_now):
        rows.append(("Wanted", f"{_known(tablet.image_wanted)} <small>{_e(tablet.revision_wanted)}</small>"))
    if tablet.away is not None:
        back = UNKNOWN if tablet.away.ended_at is None else _day_and_time(tablet.away.ended_at)
        rows.append(("Away", f"{_day_and_time(tablet.away.started_at)} to {back}"))
    if tablet.rolls:
        rows.append(("Rolls", ", ".join(f"<code>{_e(roll)}</code>" for roll in tablet.rolls)))
    rows += [("Accepted", f"<code>{_e(option)}</code>") for option in tablet.accepted]
    if tablet.failure is not None:
        told = "Failed, then went on" if tablet.overcome else "Failed"
        rows.append((told, f"{_e(tablet.failure.step)}{_gate(tablet.failure.gate)}: {_e(tablet.failure.reason)}"))
    if tablet.next_command:
        rows.append(("Next", f"<code>{_e(tablet.next_command)}</code>"))
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{value}</dd>' for name, value in rows)}</dl>"


def _phases(tablet: TabletReport) -> str:
    if not tablet.segments:
        return ""
    rows = "".join(
        f'<tr><td><i class="{_class(s)}"></i>{_e(_called(s))}</td><td>{_e(s.step)}</td><td class="n">{_clock(s.started_at)}</td>'
        f'<td class="n">{s.seconds:.2f}</td></tr>'
        for s in tablet.segments
    )
    return (
        '<div class="scroll"><table><thead><tr><th>Phase</th><th>Step</th><th class="n">From (UTC)</th><th class="n">Seconds</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _probe(probe: Probe | None) -> str:
    if probe is None:
        return f'<section class="card"><h2>Clients</h2><p>{UNKNOWN}: no probe was given.</p></section>'
    figures = [
        ("Requests", probe.requests),
        ("Errors", probe.errors),
        ("Transactions that a reparent cut, counted apart", probe.errors_open_transactions),
        ("The probe's own faults, counted apart", probe.own_faults),
        ("Stale reads", probe.stale_reads),
        ("Acknowledged writes", probe.acked),
        ("Of these lost", probe.acked_lost),
    ]
    rows = "".join(f'<tr><td>{name}</td><td class="n">{_known(value)}</td></tr>' for name, value in figures)
    kinds = "".join(
        f'<tr><td>{_e(kind)}</td><td class="n">{_known(probe.errors_by_kind.get(kind))}</td>'
        f"{''.join(_latency(values.get(name)) for name in ('p50', 'p99', 'max'))}</tr>"
        for kind, values in probe.latency.items()
    )
    gap = UNKNOWN if probe.longest_write_gap_s is None else f"{probe.longest_write_gap_s:.3f} s"
    gaps = _list(
        f"{_e(one.get('vtgate'))} to {_e(one.get('shard'))}: {_e(one.get('seconds'))} s from {_e(one.get('start'))}"
        for one in probe.write_gaps[:10]
    )
    return (
        f'<section class="card {"bad" if probe.errors or probe.acked_lost else "good"}"><h2>Clients</h2>'
        f'<p class="meta">client_probe, {_known(probe.started)} to {_known(probe.stopped)}. Its run need not be the roll\'s.</p>'
        f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>'
        '<h3>By kind</h3><div class="scroll"><table><thead><tr><th>Kind</th><th class="n">Errors</th><th class="n">p50 ms</th>'
        f'<th class="n">p99 ms</th><th class="n">max ms</th></tr></thead><tbody>{kinds}</tbody></table></div>'
        f"<h3>Longest gap between two acknowledged writes: {gap}</h3>{gaps if probe.write_gaps else ''}</section>"
    )


def _latency(value: object) -> str:
    return f'<td class="n">{f"{value * 1000:.1f}" if isinstance(value, int | float) else UNKNOWN}</td>'


def _forecast(forecast: Forecast | None, report: Report) -> str:
    pace = ""
    if report.pace is not None:
        pace = (
            f"<p>At the pace of those that are done ({_seconds(report.pace.seconds_per_tablet)} for one, the median) the rest takes "
            f"{_seconds(report.pace.seconds_for_rest)}.</p>"
        )
    if forecast is None:
        told = f"<p>What was planned: {UNKNOWN}, no plan was given.</p>"
    else:
        left = f"; left: {_e(', '.join(forecast.left))}" if forecast.left else ""
        more = f"; done and not in it: {_e(', '.join(forecast.unplanned))}" if forecast.unplanned else ""
        told = (
            f"<p>Plan <code>{_e(forecast.hash[:12])}</code>: {forecast.done} of {forecast.replace} done{left}{more}. "
            f"{'Its order was kept.' if forecast.order_kept else 'Its order was not kept.'} {_foretold(forecast, report)}</p>"
        )
    return f'<section class="card"><h2>Plan and pace</h2>{told}{pace}</section>'


def _foretold(forecast: Forecast, report: Report) -> str:
    if forecast.seconds is None:
        return "It has no forecast of time."
    least, most = forecast.seconds
    return f"It foretold {_seconds(least)} to {_seconds(most)}; it has taken {_seconds(report.seconds)}."


def _cost(report: Report) -> str:
    cost, seconds = report.cost, report.seconds
    second = (
        UNKNOWN
        if cost.blue_green_extra is None
        else f"{cost.blue_green_extra:.2f} tablet-hours more ({cost.tablets} tablets for {_seconds(seconds)}), had it stood for no "
        "longer than this roll took"
    )
    return (
        '<section class="card"><h2>Cost beside blue/green</h2><dl>'
        f"<dt>This roll</dt><dd>no tablet more; {cost.away:.3f} tablet-hours away</dd>"
        f"<dt>A second fleet</dt><dd>{second}</dd></dl></section>"
    )


def _foot(report: Report) -> str:
    found = []
    if report.accepted:
        found.append(
            f'<section class="card warn"><h2>Accepted by option</h2>{_list(f"<code>{_e(o)}</code>" for o in report.accepted)}</section>'
        )
    if report.unknown:
        found.append(f'<section class="card"><h2>Not known</h2>{_list(_e(text) for text in report.unknown)}</section>')
    earlier = (
        f" {_count(report.earlier, 'line')} of the journal {'is' if report.earlier == 1 else 'are'} another roll's and not in here."
        if report.earlier
        else ""
    )
    found.append(
        "<footer>Made from the journal in the shards' Leases and from the fleet as it was when this was made. Away is counted from the "
        "intent to drain to the proof at every vtgate. A failure before the shard was claimed, and one that the cluster could not be "
        f"told, is only in Ansible's output.{earlier}</footer>"
    )
    return "".join(found)


def page(report: Report) -> str:
    """The page; the same bytes for the same report."""
    used = {_class(segment) for tablet in report.tablets for segment in tablet.segments}
    legend = "".join(f'<li><i class="{kind}"></i>{name}</li>' for kind, name in LEGEND if kind in used)
    body = [
        _head(report),
        _tiles(report),
        _stopped(report),
        f'<ul class="legend card">{legend}</ul>' if used else "",
        *(_shard(shard) for shard in report.shards),
        _probe(report.probe),
        _forecast(report.forecast, report),
        _cost(report),
        _foot(report),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{_e(report.verdict)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n</body>\n</html>\n"
    )
