"""The summary tables of overview.html: what a study is made of, and whether it is fair.

Everything here gives HTML; text that comes from the study is escaped where it enters.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stimuli import schema
from stimuli.rows import TrialKind

KINDS: tuple[TrialKind, ...] = ("main", "practice", "catch")
NOTHING = '<span class="soft">&ndash;</span>'


def number(value: float) -> str:
    """A number to four digits, with all of them for a program (and on hovering)."""
    exact = json.dumps(value)
    return f'<data value="{exact}" title="{exact}">{value:.4g}</data>'


def chance_interval(trials: int) -> tuple[float, float]:
    """Shares right (lowest, highest) that a guesser keeps within in at least 95 % of studies.

    Exact binomial with probability .5; at most 2.5 % lie beyond each end. (0, 1) without trials.
    """
    tail = lowest = 0
    while lowest < trials and 40 * (tail + comb(trials, lowest)) <= 2**trials:
        tail += comb(trials, lowest)
        lowest += 1
    return (lowest / trials, (trials - lowest) / trials) if trials else (0.0, 1.0)


def summary(study: schema.Study, maps: Mapping[str, Tensor]) -> str:
    """All panels. maps: trial id -> activation map (rows, columns)."""
    return "\n".join(
        [
            _networks(study),
            _sides(study),
            _observers(study),
            _margins(study, maps),
            _conditions(study),
            _lists(study),
        ]
    )


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], foot: Iterable[Sequence[str]] = ()
) -> str:
    """A table whose first column names the rows. Cells are HTML, bare or a whole <td>."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    parts = [f"<thead><tr>{top}</tr></thead>"]
    for name, lines in (("tbody", rows), ("tfoot", foot)):
        body = "".join(f"<tr>{_cells(line)}</tr>\n" for line in lines)
        parts.append(f"<{name}>{body}</{name}>" if body else "")
    return f"<table>{''.join(parts)}</table>"


def _cells(line: Sequence[str]) -> str:
    rest = (cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in line[1:])
    return f'<th scope="row">{line[0]}</th>' + "".join(rest)


def _panel(title: str, note: str, content: str, wide: bool = False) -> str:
    kind = "panel wide" if wide else "panel"
    return f'<section class="{kind}"><h2>{title}</h2><p>{note}</p>\n{content}</section>'


def _main(study: schema.Study, network: str | None = None) -> list[schema.Trial]:
    return [
        trial for trial in study.trials if trial.kind == "main" and network in (None, trial.network)
    ]


def _networks(study: schema.Study) -> str:
    rows = [
        (
            escape(network.name),
            escape(network.model),
            f"{network.input_size_px} px",
            NOTHING if network.accuracy is None else f"{network.accuracy:.1%}",
            f'<code title="{escape(network.weights_digest)}">'
            f"{escape(network.weights_digest[:10])}</code>",
            str(len(_main(study, network.name))),
        )
        for network in study.networks
    ]
    head = ("network", "model", "input side", "accuracy", "weights", "main trials")
    return _panel(
        "Networks", "Accuracy is on the base images of the main trials.", table(head, rows)
    )


def _conditions(study: schema.Study) -> str:
    conditions = study.conditions
    settings = dict.fromkeys(key for name in conditions for key in study.rendering.get(name, {}))
    rows = {
        key: [_setting(study.rendering.get(name, {}), key) for name in conditions]
        for key in settings
    }
    shown = [name for name in conditions if name in study.rendering]
    differing = {
        key
        for key in settings
        if len({json.dumps(study.rendering[name].get(key)) for name in shown}) > 1
    }
    first = study.trials[0].references
    counts = [str(len(first[name]) or "no references") for name in conditions]
    head = ("", *(escape(name) for name in conditions))
    top = [("references a trial", *counts)]
    top += [(escape(key), *cells) for key, cells in rows.items() if key in differing]
    same = [(escape(key), *cells) for key, cells in rows.items() if key not in differing]
    content = table(head, top)
    if same:
        content += (
            f"<details><summary>{len(same)} settings that are the same</summary>"
            f"{table(head, same)}</details>"
        )
    note = "What participants see as references, between subjects; settings that differ come first."
    return _panel("Conditions", note, content, wide=True)


def _setting(settings: Mapping[str, Any], key: str) -> str:
    if key not in settings:
        return NOTHING
    value = settings[key]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    short = text if len(text) <= 24 else text[:12] + "…"
    return f'<span title="{escape(text)}">{escape(short)}</span>'


def _observers(study: schema.Study) -> str:
    measures = dict.fromkeys(name for rates in study.observers.values() for name in rates)
    order = [network.name for network in study.networks if network.name in study.observers]
    rows = []
    for group in dict.fromkeys([*order, *study.observers]):
        trials = len(_main(study, None if group == "all" else group))
        low, high = chance_interval(trials)
        rates = study.observers[group]
        cells = [_rate(rates[name], low, high) if name in rates else NOTHING for name in measures]
        rows.append(
            (escape(group), str(trials), f'<td class="nowrap">{low:.0%} to {high:.0%}</td>', *cells)
        )
    head = ("", "main trials", "95 % of guessers", *(_words(name) for name in measures))
    note = (
        "How often someone would be right who knows nothing of the network and picks the query in "
        'which less seems hidden. <span class="key even">As a guesser</span> '
        '<span class="key above">above ▲</span> <span class="key below">below ▼</span> '
        "On average at most one cell in twenty is outside by chance."
    )
    return _panel("Object-blind observers", note, table(head, rows))


def _rate(rate: float, low: float, high: float) -> str:
    kind, mark = ("above", " ▲") if rate > high else ("below", " ▼") if rate < low else ("even", "")
    return f'<td class="rate {kind}"><data value="{json.dumps(rate)}">{rate:.1%}</data>{mark}</td>'


def _words(name: str) -> str:
    return escape(name.replace("_", " "))


def margin(trial: schema.Trial) -> float:
    """Activation of the favored query minus that of the other."""
    return trial.queries[trial.favored].activation - trial.queries[1 - trial.favored].activation


def relative_margin(trial: schema.Trial, map_: Tensor) -> float | None:
    """The margin as a share of the map's range; None for a flat map."""
    known = map_[~map_.isnan()]
    spread = float(known.max() - known.min())
    return margin(trial) / spread if spread > 0 else None


def _margins(study: schema.Study, maps: Mapping[str, Tensor]) -> str:
    rows = []
    for network in study.networks:
        trials = _main(study, network.name)
        if trials:
            shares = [relative_margin(trial, maps[trial.id]) for trial in trials]
            known = [share for share in shares if share is not None]
            rows.append(
                (
                    escape(network.name),
                    *map(number, _quartiles([margin(trial) for trial in trials])),
                    *([_box(known)] if known else [NOTHING]),
                )
            )
    head = ("", "25 %", "median", "75 %", "share of the map's range, 0 to 1")
    note = "Activation of the favored query minus the other's, in main trials."
    return _panel("Activation margins", note, table(head, rows))


def _quartiles(values: Sequence[float]) -> list[float]:
    points: NDArray[np.float64] = np.quantile(np.asarray(values, dtype=float), (0.25, 0.5, 0.75))
    return [float(point) for point in points]


def _box(shares: Sequence[float]) -> str:
    low, middle, high = _quartiles(shares)
    ends = min(shares), max(shares)
    text = f"median {middle:.2f}, quartiles {low:.2f} and {high:.2f}"
    return (
        f'<svg class="box" viewBox="0 0 150 14" role="img" aria-label="{text}">'
        f"<title>{text}; {ends[0]:.2f} to {ends[1]:.2f}</title>"
        '<line class="axis" x1="0" x2="150" y1="13" y2="13"/>'
        f'<line x1="{150 * ends[0]:.1f}" x2="{150 * ends[1]:.1f}" y1="6" y2="6"/>'
        f'<rect x="{150 * low:.1f}" y="1" width="{150 * (high - low):.1f}" height="10" rx="2"/>'
        f'<line class="median" x1="{150 * middle:.1f}" x2="{150 * middle:.1f}" y1="0" y2="12"/>'
        f'</svg> <span class="nowrap"><b>{middle:.2f}</b>'
        f' <span class="soft">({low:.2f} to {high:.2f})</span></span>'
    )


def _sides(study: schema.Study) -> str:
    kinds = [kind for kind in KINDS if any(trial.kind == kind for trial in study.trials)]
    groups = {network.name: network.name for network in study.networks} | {"all": None}
    rows = []
    for name, network in groups.items():
        tallies = [
            Counter(
                trial.favored_side
                for trial in study.trials
                if trial.kind == kind and network in (None, trial.network)
            )
            for kind in kinds
        ]
        rows.append((escape(name), *(_balance(tally["left"], tally["right"]) for tally in tallies)))
    note = (
        'How often the favored query is on the <b class="left">left</b> and on the '
        '<b class="right">right</b>.'
    )
    return _panel("Left and right", note, table(("", *kinds), rows))


def _balance(left: int, right: int) -> str:
    if not left + right:
        return NOTHING
    share = 100 * left / (left + right)
    return f'{left} : {right}<span class="bar"><i style="width:{share:.1f}%"></i></span>'


def _lists(study: schema.Study) -> str:
    trials = {trial.id: trial for trial in study.trials}
    names = [network.name for network in study.networks]
    rows, counts = [], []
    for index, ids in enumerate(study.lists):
        dealt = [trials[trial_id] for trial_id in ids]
        kinds = Counter(trial.kind for trial in dealt)
        sides = Counter((trial.network, trial.favored) for trial in dealt if trial.kind == "main")
        pairs = [(sides[name, 0], sides[name, 1]) for name in names]
        off = max(
            *(abs(left - right) for left, right in pairs),
            abs(sum(left - right for left, right in pairs)),
        )
        counts.append([len(dealt), *(kinds[kind] for kind in KINDS)])
        rows.append(
            (
                str(index),
                *map(str, counts[-1]),
                *(f"{left} : {right}" for left, right in pairs),
                "✓" if off <= 1 else f'<td class="above">off by {off}</td>',
            )
        )
    foot = [
        (
            name,
            *(str(pick(column)) for column in zip(*counts, strict=True)),
            *[""] * (len(names) + 1),
        )
        for name, pick in (("lowest", min), ("highest", max))
    ]
    uses = Counter(trial_id for ids in study.lists for trial_id in ids)
    used = [uses[trial.id] for trial in _main(study)] or [0]
    note = (
        f"Each main trial is in {_span(used)} of the {len(study.lists)} lists. Balanced: in the "
        "main trials, left and right differ by at most one, in all and for each network."
    )
    head = ("list", "length", *KINDS, *(f"{escape(name)}, left : right" for name in names))
    return _panel("Trial lists", note, table((*head, "balanced"), rows, foot), wide=True)


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"
