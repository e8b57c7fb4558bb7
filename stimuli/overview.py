"""overview.html: the researcher's contact sheet of a study bundle.

One page beside study.json that opens from disk without a server or a network connection: what the
study is made of (`stimuli.overview_tables`), then every trial with its answer. Participants never
see it. The layout is in overview.html; this file fills it in. The same study gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from string import Template

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from stimuli import schema
from stimuli.overview_tables import KINDS, margin, number, relative_margin, summary, table

# Ten colours of viridis, evenly spaced; those between are interpolated.
_VIRIDIS = (
    *("440154", "482878", "3e4989", "31688e", "26828e"),
    *("1f9e89", "35b779", "6ece58", "b5de2b", "fde725"),
)
_SIDES = ("left", "right")


def overview(study: schema.Study, maps: Mapping[str, Tensor]) -> str:
    """The text of overview.html.

    maps: trial id -> the activation for every place of the occluder, (rows, columns) with rows
    along y; of a catch trial, the map of the large occluder.
    """
    layout = files(__package__).joinpath("overview.html").read_text(encoding="utf-8")
    return Template(layout).substitute(
        title=escape(study.name),
        viridis=", ".join(f"#{colour}" for colour in _VIRIDIS),
        header=_header(study),
        summary=summary(study, maps),
        filters=_filters(study),
        trials="\n".join(_section(study, maps, kind) for kind in KINDS),
        footer=_footer(study),
    )


def _header(study: schema.Study) -> str:
    kinds = {kind: sum(trial.kind == kind for trial in study.trials) for kind in KINDS}
    main = {trial.unit.name for trial in study.trials if trial.kind == "main"}
    facts = {
        "networks": len(study.networks),
        "units": len(main),
        **{f"{kind} trials": count for kind, count in kinds.items()},
        "lists": len(study.lists),
        "conditions": len(study.conditions),
    }
    items = "".join(f"<li><b>{count}</b>{name}</li>" for name, count in facts.items())
    networks = ", ".join(network.name for network in study.networks)
    seen = "also see" if study.show_base_image else "do not see"
    links = " · ".join(f'<a href="#{kind}">{kind} trials</a>' for kind in KINDS if kinds[kind])
    return (
        f'<div class="name">{escape(study.name)}</div>\n<h1>{escape(study.title)}</h1>\n'
        f'<p class="lead">Networks {escape(networks)}; conditions '
        f"{escape(', '.join(study.conditions))}. Participants {seen} the base image.</p>\n"
        f'<ul class="facts">{items}</ul>\n<p>{links}</p>'
    )


def _filters(study: schema.Study) -> str:
    units = {unit.name: f"{unit.label} ({unit.name})" for unit in _units(study.trials)}
    options: dict[str, dict[str, str]] = {
        "network": {network.name: network.name for network in study.networks},
        "unit": units,
        "kind": {kind: kind for kind in KINDS},
        "condition": {name: name for name in study.conditions},
    }
    return "\n".join(
        f'<label>{key} <select name="{key}"><option value="">all</option>'
        + "".join(
            f'<option value="{escape(at)}">{escape(text)}</option>' for at, text in of.items()
        )
        + "</select></label>"
        for key, of in options.items()
    )


def _units(trials: list[schema.Trial]) -> list[schema.Unit]:
    found = {trial.unit.name: trial.unit for trial in trials}
    return sorted(found.values(), key=lambda unit: (unit.layer or "", unit.index))


def _section(study: schema.Study, maps: Mapping[str, Tensor], kind: str) -> str:
    """All trials of a kind: by unit, then by photograph, so that networks can be compared."""
    trials = [trial for trial in study.trials if trial.kind == kind]
    if not trials:
        return ""
    networks = [network.name for network in study.networks]
    groups = []
    for unit in _units(trials):
        of_unit = [trial for trial in trials if trial.unit.name == unit.name]
        of_unit.sort(key=lambda t: (t.base_image.source, networks.index(t.network), t.id))
        articles = "\n".join(_article(study, trial, maps[trial.id]) for trial in of_unit)
        heading = f"<h3>{escape(unit.label)}<small>{escape(unit.name)}</small></h3>"
        groups.append(f"<section>\n{heading}\n{articles}\n</section>")
    heading = f"<h2>{kind.capitalize()} trials<small>{len(trials)}</small></h2>"
    return f'<section id="{kind}">\n{heading}\n' + "\n".join(groups) + "\n</section>"


def _article(study: schema.Study, trial: schema.Trial, map_: Tensor) -> str:
    name = escape(trial.id)
    pictures = [
        _base_figure(study, trial),
        *(_query_figure(study, trial, side) for side in (0, 1)),
        _map_figure(study, trial, map_),
    ]
    references = [_reference_figure(study, trial, condition) for condition in study.conditions]
    return (
        f'<article class="trial" id="{name}" data-network="{escape(trial.network)}" '
        f'data-unit="{escape(trial.unit.name)}" data-kind="{trial.kind}">\n'
        f"<header><h4>{escape(trial.network)} · {escape(trial.unit.label)}</h4>"
        f'<span class="soft">{trial.kind} trial, {escape(trial.base_image.source)}</span>'
        f'<a href="#{name}"><code>{name}</code></a></header>\n'
        f'<div class="body"><div>\n<div class="row">{"".join(pictures)}</div>\n'
        f'<div class="row">{"".join(references)}</div>\n</div>\n'
        f"<aside>{_numbers(trial, map_)}</aside></div>\n</article>"
    )


def _img(name: str, side_px: int, alt: str, kind: str = "") -> str:
    size = f'width="{side_px}" height="{side_px}"'
    attribute = f' class="{kind}"' if kind else ""
    return (
        f'<img{attribute} src="{schema.IMAGE_FOLDER}/{name}" {size} alt="{escape(alt)}" '
        'loading="lazy">'
    )


def _stored_px(study: schema.Study) -> int:
    return int(study.config["queries"]["size_px"])


def _base_figure(study: schema.Study, trial: schema.Trial) -> str:
    side_px = _stored_px(study)
    hidden = [query.occluder for query in trial.queries]
    # Letters last, so that no square covers one.
    squares = "".join(draw(hidden[at], at) for draw in (_square, _letter) for at in (0, 1))
    image = _img(trial.base_image.image, side_px, f"base image: {trial.unit.label}")
    return (
        f'<figure><div class="stack">{image}<svg class="over" viewBox="0 0 {side_px} {side_px}" '
        f'role="img" aria-label="where the two occluders lie">{squares}</svg></div>'
        f"<figcaption><b>base image</b> with both occluders</figcaption></figure>"
    )


def _square(hidden: schema.Occluder, at: int) -> str:
    size = f'width="{hidden.size_px}" height="{hidden.size_px}"'
    box = f'x="{hidden.x_px}" y="{hidden.y_px}" {size}'
    return f'<rect class="halo" {box}/><rect class="{_SIDES[at]}" {box}/>'


def _letter(hidden: schema.Occluder, at: int) -> str:
    x, y = hidden.x_px + at * (hidden.size_px - 18), hidden.y_px
    return (
        f'<rect class="tag {_SIDES[at]}" x="{x}" y="{y}" width="18" height="18"/>'
        f'<text x="{x + 9}" y="{y + 9}">{_SIDES[at][0].upper()}</text>'
    )


def _query_figure(study: schema.Study, trial: schema.Trial, at: int) -> str:
    query, favored = trial.queries[at], trial.favored == at
    badge = ' <span class="badge answer">✓ favored</span>' if favored else ""
    image = _img(query.image, _stored_px(study), f"{_SIDES[at]} query: {trial.unit.label}")
    return (
        f'<figure class="query{" favored" if favored else ""}">{image}<figcaption>'
        f'<b class="{_SIDES[at]}">{_SIDES[at]} query</b>{badge}<br>'
        f'<span class="answer">activation <b>{number(query.activation)}</b></span>'
        "</figcaption></figure>"
    )


def _map_figure(study: schema.Study, trial: schema.Trial, map_: Tensor) -> str:
    """The map over the dimmed photograph; a cell lies about the centre of its occluder."""
    side_px, stride_px = _stored_px(study), int(study.config["occluder"]["stride_px"])
    size_px = max(query.occluder.size_px for query in trial.queries)
    rows, columns = map_.shape
    start = (size_px - stride_px) / 2
    percent = [100 * part / side_px for part in (start, columns * stride_px, rows * stride_px)]
    place = "left:{0:.3f}%;top:{0:.3f}%;width:{1:.3f}%;height:{2:.3f}%".format(*percent)
    pins = "".join(_pin(query.occluder, at, size_px) for at, query in enumerate(trial.queries))
    of = "the larger occluder" if trial.kind == "catch" else "the occluder"
    known = map_[~map_.isnan()]
    return (
        f'<figure class="answer"><div class="stack">'
        f"{_img(trial.base_image.image, side_px, '', 'under')}"
        f'<img class="heat" src="{heat_image(map_)}" width="{columns}" height="{rows}" '
        f'alt="activation map" style="{place}" loading="lazy">'
        f'<svg class="over" viewBox="0 0 {side_px} {side_px}" aria-hidden="true">{pins}</svg></div>'
        f'<figcaption><b>activation</b> by centre of {of}<div class="scale">'
        f"{number(float(known.min()))}<i></i>{number(float(known.max()))}</div></figcaption></figure>"
    )


def _pin(hidden: schema.Occluder, at: int, size_px: int) -> str:
    x, y = hidden.x_px + hidden.size_px / 2, hidden.y_px + hidden.size_px / 2
    elsewhere = "" if hidden.size_px == size_px else " elsewhere"  # it is not on this map
    return (
        f'<circle class="pin {_SIDES[at]}{elsewhere}" cx="{x:g}" cy="{y:g}" r="10"/>'
        f'<text x="{x:g}" y="{y:g}">{_SIDES[at][0].upper()}</text>'
    )


def _reference_figure(study: schema.Study, trial: schema.Trial, condition: str) -> str:
    names, side_px = trial.references[condition], int(study.config["references"]["size_px"])
    if names:
        alt = f"{condition} of {trial.unit.label} for {trial.network}"
        columns = math.ceil(math.sqrt(len(names)))
        images = "".join(_img(name, side_px, alt) for name in names)
        shown = (
            f'<div class="grid" style="grid-template-columns:repeat({columns},1fr)">{images}</div>'
        )
    else:
        shown = '<div class="none">no references</div>'
    caption = f"<figcaption><b>{escape(condition)}</b></figcaption>"
    return f'<figure data-condition="{escape(condition)}">{shown}{caption}</figure>'


def _numbers(trial: schema.Trial, map_: Tensor) -> str:
    facts = {
        "unit": escape(trial.unit.name),
        "base activation": number(trial.base_activation),
        "margin": number(margin(trial)),
    }
    share = relative_margin(trial, map_)
    if trial.kind != "catch" and share is not None:  # one query of a catch trial is on another map
        facts["share of range"] = f"{share:.0%}"
    for side, query in zip(_SIDES, trial.queries, strict=True):
        hidden = query.occluder
        facts[f"{side} occluder"] = f"{hidden.size_px} px at ({hidden.x_px}, {hidden.y_px})"
    items = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    if not trial.baselines:
        return f"<dl>{items}</dl>"
    rows = [_baseline_row(trial, name) for name in trial.baselines]
    return f"<dl>{items}</dl>{table(('object-blind', 'L', 'R', 'picks'), rows)}"


def _baseline_row(trial: schema.Trial, name: str) -> tuple[str, ...]:
    left, right = trial.baselines[name]
    guess = None if left == right else int(right > left)
    pick = "tie" if guess is None else "LR"[guess]
    if guess == trial.favored:
        pick += ' <span class="guess answer" title="right">✓</span>'
    return escape(name.replace("_", " ")), number(left), number(right), pick


def heat_image(map_: Tensor) -> str:
    """A map (rows, columns) as a data address of a PNG, from its lowest (violet) to its highest.

    A place without a value (NaN) is transparent.
    """
    values: NDArray[np.float64] = map_.double().numpy()
    known = ~np.isnan(values)
    lowest = values[known].min()
    spread = float(values[known].max() - lowest)
    levels = np.round(255 * (values - lowest) / (spread if spread > 0 else 1.0))
    picture = Image.fromarray(np.where(known, levels, 0).astype(np.uint8))
    picture.putpalette(_palette())
    if not known.all():
        picture = picture.convert("RGB")
        picture.putalpha(Image.fromarray(known.astype(np.uint8) * 255))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _palette() -> bytes:
    """256 colours, red, green, blue."""
    stops = np.array([list(bytes.fromhex(colour)) for colour in _VIRIDIS], dtype=float)
    at = np.linspace(0, len(stops) - 1, 256)
    channels = [np.interp(at, np.arange(len(stops)), stops[:, c]) for c in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8).tobytes()


def _footer(study: schema.Study) -> str:
    canonical = json.dumps(study.config, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    software = ", ".join(f"{name} {version}" for name, version in study.software.items())
    plain = json.dumps(study.config, indent=1, ensure_ascii=False)
    return (
        f"<p>Made with {escape(software)}.</p>\n<p>{len(study.images)} images. "
        f"Configuration <code>{digest}</code></p>\n{_exclusions(study)}"
        f"<details><summary>the whole configuration</summary><pre>{escape(plain)}</pre></details>"
    )


def _exclusions(study: schema.Study) -> str:
    """The preregistered rules, in their order; nothing for a study built without any table."""
    if "exclusions" not in study.config:
        return ""
    rules = [
        " ".join([name, *(f"{key} = {value}" for key, value in options.items())])
        for name, options in study.config["exclusions"].items()
    ]
    return f"<p>Left out of the analysis: {escape('; '.join(rules)) or 'nobody'}.</p>\n"
