"""The study's own images on the page: a trial as participants saw it, the best and worst units."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image, UnidentifiedImageError

from analysis.report.apa import count, listed, number, percent, word
from analysis.report.examples import MINIMUM, Answers, Ranked, example, extremes, referenced
from stimuli.schema import IMAGE_FOLDER, Study, Trial

__all__ = ["Choice", "Frame", "Panel", "Task", "Units", "task", "units"]

REFERENCE_PX, QUERY_PX = 160, 200  # longest sides in the page
QUALITY = 82
SIDES = ("left", "right")


@dataclass(frozen=True)
class Frame:
    """An image in the page: its address and what it shows in words."""

    address: str
    words: str


@dataclass(frozen=True)
class Choice:
    """A query: whether the network favors it, and the share of answers that chose it."""

    frame: Frame
    is_favored: bool
    told: str
    share: float


@dataclass(frozen=True)
class Panel:
    """A trial as it was shown: references in `across` columns, the whole photograph, two queries.

    references is empty where none were shown, base is None where the photograph was not.
    """

    title: str
    lines: Sequence[str]
    references: Sequence[Frame]
    across: int
    base: Frame | None
    choices: Sequence[Choice]


@dataclass(frozen=True)
class Task:
    """The task in words, and one trial in each condition."""

    paragraphs: Sequence[str]
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Units:
    """The best and the worst units, and by which rule they are here."""

    rule: str
    best: Sequence[Panel]
    worst: Sequence[Panel]


def task(trials: pd.DataFrame, study: Study, bundle: Path) -> Task | None:
    """The task of a study, on an example trial; None if nobody answered one with references.

    trials: the answers counted. Raises ValueError for an image that cannot be read.
    """
    found = example(trials, study)
    if found is None:
        return None
    images = bundle / IMAGE_FOLDER
    panels = [
        _panel(study, images, found.trial, condition, word(condition), [_people(answers)], answers)
        for condition, answers in found.answers.items()
    ]
    return Task([_explain(study), _choose(found.trial, found.median)], panels)


def units(trials: pd.DataFrame, study: Study, bundle: Path) -> Units | None:
    """The units with the highest and lowest accuracy; None if fewer than two can be compared."""
    best, worst = extremes(trials, study)
    if not best:
        return None
    seen = referenced(study)
    shares = {name: trials.loc[trials["condition"] == name, "correct"].mean() for name in seen}
    condition = max(seen, key=lambda name: -1.0 if math.isnan(shares[name]) else shares[name])
    rule = (
        "Units of a network by the observed share of correct choices in all conditions with "
        f"references, of those with at least {MINIMUM} such choices. References are those of "
        f"{word(condition)}, the condition with the highest observed share of correct choices "
        f"({percent(shares[condition])}). The queries are of the unit's trial whose share is "
        "nearest the median of its trials; below them is how often they were chosen with "
        "references."
    )
    shown = [
        [_unit(study, bundle / IMAGE_FOLDER, one, condition, trials) for one in several]
        for several in (best, worst)
    ]
    return Units(rule, *shown)


def _unit(study: Study, images: Path, one: Ranked, condition: str, trials: pd.DataFrame) -> Panel:
    own = trials[trials["trial_id"] == one.trial.id]
    own = own[own["condition"].isin(referenced(study))]
    answers = Answers(int(own["correct"].sum()), len(own))
    lines = [f"with references: {_told(one.answers)}"]
    if one.blind is not None:
        lines.append(f"without: {_told(one.blind)}")
    title = f"{word(one.trial.unit.label)}, {one.trial.network}"
    return _panel(study, images, one.trial, condition, title, lines, answers)


def _panel(
    study: Study,
    images: Path,
    trial: Trial,
    condition: str,
    title: str,
    lines: Sequence[str],
    answers: Answers,
) -> Panel:
    names = trial.references[condition]
    of = f"{word(condition)} of {trial.unit.label} for {trial.network}"
    references = [
        _frame(images / name, REFERENCE_PX, f"Reference {place} of {len(names)}: {of}")
        for place, name in enumerate(names, 1)
    ]
    base = None
    if study.show_base_image:
        base = _frame(images / trial.base_image.image, QUERY_PX, "The whole photograph")
    choices = [_choice(images, trial, side, answers) for side in (0, 1)]
    places = max(len(trial.references[name]) for name in study.conditions)
    across = math.ceil(math.sqrt(places))
    return Panel(title, lines, references, across, base, choices)


def _choice(images: Path, trial: Trial, side: int, answers: Answers) -> Choice:
    query, is_favored = trial.queries[side], trial.favored == side
    hidden = query.occluder
    words = (
        f"{SIDES[side].capitalize()} query{', favored by the network' if is_favored else ''}: the "
        f"photograph, its square of {hidden.size_px} px at x = {hidden.x_px} px, "
        f"y = {hidden.y_px} px hidden"
    )
    chose = answers.correct if is_favored else answers.given - answers.correct
    chosen = Answers(chose, answers.given)
    share = chosen.share if answers.given else 0.0
    return Choice(_frame(images / query.image, QUERY_PX, words), is_favored, _told(chosen), share)


def _told(answers: Answers) -> str:
    if not answers.given:
        return "not answered"
    counts = f"({count(answers.correct)} of {count(answers.given)})"
    return f"{percent(answers.share, 0)} {counts}".replace(" ", "\N{NO-BREAK SPACE}")


def _people(answers: Answers) -> str:
    return f"{count(answers.given)} answer{'' if answers.given == 1 else 's'}"


def _explain(study: Study) -> str:
    seen = referenced(study)
    blind = [name for name in study.conditions if name not in seen]
    many = len(study.trials[0].references[seen[0]])
    images = f"{count(many)} reference image{'' if many == 1 else 's'}"
    told = (
        "A trial shows one photograph twice, each time with another square of it hidden, and asks "
        "which of the two the network favors: the one that activates a certain unit of it more. "
        f"{_in(seen)}, participants see {images} of what this unit likes."
    )
    if blind:
        told += f" {_in(blind)}, these places stay blank."
    if study.show_base_image:
        told += " Everyone sees the whole photograph too."
    return " ".join([told, *_asked(study)])


def _asked(study: Study) -> list[str]:
    """How many trials of each kind a participant is asked, if all are asked as many."""
    kinds = {trial.id: trial.kind for trial in study.trials}
    counts = {
        tuple(
            (kind, sum(kinds[one] == kind for one in ids)) for kind in ("practice", "main", "catch")
        )
        for ids in study.lists
    }
    if len(counts) > 1:
        return []
    asked = listed([f"{number(many, 0)} {kind}" for kind, many in counts.pop() if many])
    return [f"A participant is asked {asked} trials."]


def _in(conditions: Sequence[str]) -> str:
    many = "s" if len(conditions) > 1 else ""
    return f"In the condition{many} {listed([word(name) for name in conditions])}"


def _choose(trial: Trial, median: float) -> str:
    low, high = sorted(query.activation for query in trial.queries)
    return (
        f"Shown is a main trial of the unit {word(trial.unit.label)} of {trial.network}, "
        f"{trial.id}: of those answered in the most conditions, the one whose share of correct "
        f"choices with references is nearest the median of all trials ({percent(median)}). The "
        f"unit's activation is {number(high)} to the favored query, {number(low)} to the other and "
        f"{number(trial.base_activation)} to the whole photograph. Below each query is how many of "
        "the participants analysed chose it."
    )


def _frame(path: Path, side_px: int, words: str) -> Frame:
    """A small WebP image in the page. Raises ValueError if the file is no image."""
    try:
        with Image.open(path) as image:
            small = image.convert("RGBA" if image.has_transparency_data else "RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise ValueError(f"{path}: not an image that can be read ({error})") from error
    small.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=QUALITY, method=4)
    return Frame(f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}", words)
