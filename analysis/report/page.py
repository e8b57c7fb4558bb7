"""report.html: one page with everything in it, for co-authors; no script, nothing from outside."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from analysis.findings import Analysis, Findings
from analysis.report import data_sheets, methods, model_sheets, panels
from analysis.report.account import tell
from analysis.report.apa import TIMES, listed, word
from analysis.report.citation import works
from analysis.report.drawings import Drawing, filed, flat_groups
from analysis.report.people import people_of
from analysis.report.provenance import Provenance
from analysis.report.rules import rule_in_words, rule_origin
from analysis.report.sheets import Sheet
from stimuli.schema import Study

__all__ = ["page", "tied"]

Show = Callable[[pd.DataFrame, Study, Path], Any]

HERE = Path(__file__).parent
TITLES = {
    "task": "The task",
    "performance": "Performance",
    "units": "Units",
    "exclusions": "Exclusions",
    "descriptives": "What was observed",
    "models": "Models",
    "structure": "Check of the random structure",
    "both": "With and without exclusions",
    "residuals": "Residuals",
    "random": "Random effects",
    "agreement": "Agreement between participants",
    "stimuli": "Activations and object-blind baselines",
    "methods": "Methods",
    "cite": "How to cite",
}
SCALE = 1.22  # of a figure on the page, so that its letters are as large as the table's
QUOTE = "\N{RIGHT SINGLE QUOTATION MARK}"
SYMBOLS = re.compile(r"\b(p|z|n|SE|SD|df)\b(?=\u00a0(?:=|&lt;|&gt;|≥))")
GLUE = re.compile(rf" (?==|&lt;|&gt;|≥|{TIMES})|(?<=[=≥]) |(?<=&lt;) |(?<=&gt;) |(?<={TIMES}) ")
FORMULA = re.compile(r"correct ~ [^,]*\)|\([^()]*\|[^()]*\)")


@dataclass(frozen=True)
class Picture:
    """A figure in the page: its caption, what it shows in words, its address and width."""

    caption: str
    words: str
    address: str
    width_px: int


def page(
    analysis: Analysis, provenance: Provenance, pictures: Mapping[str, tuple[Drawing, bytes]]
) -> str:
    """The text of report.html. pictures: name -> what was drawn, and its SVG."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"tied": tied, "filed": filed, "heading": _heading}
    style = Markup((HERE / "page.css").read_text(encoding="utf-8"))
    shown = {name: _picture(*drawn) for name, drawn in pictures.items()}
    layout = environment.get_template("page.html")
    return layout.render(style=style, pictures=shown, **_content(analysis, provenance))


def tied(text: str) -> Markup:
    """A sentence with symbols in italics, formulas as code, and no line break in "p < .001"."""
    glued = GLUE.sub("\N{NO-BREAK SPACE}", str(escape(text)).replace("&#39;", QUOTE))
    return Markup(FORMULA.sub(r"<code>\g<0></code>", SYMBOLS.sub(r"<i>\1</i>", glued)))


def _heading(text: str) -> Markup:
    """The heading of a column, its symbol in italics."""
    return Markup(re.sub(r"^(p|z|SE|SD|df)\b", r"<i>\1</i>", str(escape(text))))


def _picture(drawing: Drawing, svg: bytes) -> Picture:
    found = re.search(rb'<svg[^>]* width="([\d.]+)pt"', svg)
    width_px = SCALE * float(found[1]) * 4 / 3 if found else 800
    address = f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
    return Picture(drawing.caption, drawing.words, address, round(width_px))


def _content(analysis: Analysis, provenance: Provenance) -> dict[str, Any]:
    kept, export = analysis.kept, analysis.export
    told = tell(kept, provenance.without_visualizations(export))
    optional = {
        "task": _shown(panels.task, kept, provenance),
        "units": _shown(panels.units, kept, provenance),
        "agreement": _agreement(kept),
        "stimuli": _stimuli(kept),
    }
    return {
        **optional,
        "study": export.study,
        "title": str((export.codebook or {}).get("title") or export.study),
        "subtitle": methods.subtitle(export),
        "titles": TITLES,
        "sections": [one for one in TITLES.items() if optional.get(one[0], True)],
        "question": methods.question(analysis),
        "told": told,
        "cautions": methods.cautions(analysis, provenance, told),
        "analysis": analysis,
        "people": people_of(export),
        "rule_origin": rule_origin(analysis),
        "rules": [rule_in_words(rule) for rule in analysis.exclusions.rules],
        "excluded": data_sheets.excluded(analysis.exclusions.table),
        "described": _described(kept),
        "by_class": _by_class(kept),
        "answers": _answers(kept),
        "models": _models(kept),
        "answered": [f"{one[0].upper()}{one[1:]}" for one in methods.answered(kept)],
        "slopes": model_sheets.structures(kept),
        "both": _both(analysis),
        "residuals": model_sheets.residuals(kept.residuals),
        "flat": listed([word(group) for group in flat_groups(kept.models.chosen)]),
        "spread": model_sheets.spread(kept),
        "same_model": _same_model(analysis),
        "methods": methods.methods(analysis, provenance),
        "deviations": methods.deviations(analysis),
        "works": works(),
        "provenance": provenance,
    }


def _shown(show: Show, kept: Findings, provenance: Provenance) -> Any:
    """What `show` makes of the study's images; None without them."""
    if provenance.study is None or provenance.bundle is None:
        return None
    return show(kept.trials, provenance.study, provenance.bundle)


def _same_model(analysis: Analysis) -> bool:
    found = {
        one.models.chosen.design.formula.text
        for one in (analysis.kept, analysis.everyone)
        if one is not None
    }
    return len(found) == 1


def _described(kept: Findings) -> list[Sheet]:
    found = []
    for by in (["condition"], ["network"], ["condition", "network"]):
        table = kept.descriptives.get(f"accuracy_by_{'_and_'.join(by)}")
        if table is not None:
            caption = f"Correct choices by {' and '.join(map(word, by))}."
            found.append(data_sheets.accuracy(table, by, caption))
    return found


def _answers(kept: Findings) -> list[Sheet]:
    made = {
        "reaction_times": data_sheets.reaction_times,
        "confidence": data_sheets.confidence,
    }
    return [
        show(kept.descriptives[name]) for name, show in made.items() if name in kept.descriptives
    ]


def _by_class(kept: Findings) -> Sheet | None:
    table = kept.descriptives.get("accuracy_by_class_label")
    if table is None:
        return None
    return data_sheets.accuracy(table, ["class_label"], "Correct choices by class.")


def _models(kept: Findings) -> dict[str, Any]:
    factors = kept.models.factors
    wanted: list[tuple[str, ...]] = [(factor,) for factor in factors]
    if len(factors) > 1:
        wanted.append(factors)
    return {
        "comparison": model_sheets.comparison(kept),
        "formulas": [
            fit.design.formula.text
            for fit in (kept.models.additive, kept.models.interaction)
            if fit is not None
        ],
        "chosen": kept.models.chosen,
        "terms": model_sheets.terms(kept.terms) if len(kept.terms) else None,
        "bootstrap": model_sheets.bootstrap(kept.bootstrap) if kept.bootstrap else None,
        "fixed": model_sheets.fixed(kept),
        "means": [model_sheets.means(kept, names) for names in wanted],
        "contrasts": [
            model_sheets.contrasts(kept.contrasts[name], f"Contrasts of {word(name)}, Tukey.")
            for name in factors
        ],
        "split": [
            model_sheets.contrasts(
                kept.contrasts[f"{name}_by_{other}"],
                f"Contrasts of {word(name)} for each {word(other)}, Tukey within it.",
                other,
            )
            for name in factors
            for other in factors
            if f"{name}_by_{other}" in kept.contrasts
        ],
    }


def _both(analysis: Analysis) -> list[Sheet]:
    kept, everyone = analysis.kept, analysis.everyone
    if everyone is None:
        return []
    shared = [name for name in kept.models.factors if name in everyone.models.factors]
    return [model_sheets.both(kept, everyone, name) for name in shared]


def _agreement(kept: Findings) -> Sheet | None:
    tables = kept.descriptives
    if "agreement" not in tables:
        return None
    return data_sheets.agreement(tables["agreement"], tables["agreement_on_favored"])


def _stimuli(kept: Findings) -> list[Sheet]:
    made = {
        "activation_correlation": data_sheets.activation,
        "baselines": data_sheets.baselines,
    }
    tables = kept.descriptives
    return [show(tables[name]) for name, show in made.items() if name in tables]
