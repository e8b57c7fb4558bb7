"""The observers' figures for a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from stimuli.observers.figures import MISLED, Figures
from stimuli.schema import IMAGE_FOLDER, Study

_LISTED = 4  # units, and trials that mislead
_NAME, _CELL = 22, 19  # columns


def page(study: Study, figures: Figures, bundle: Path, participants: Sequence[int] = ()) -> str:
    """About a screen. participants: how many the printed power command is for."""
    observers: Figures = figures["observers"]
    embedded = {name: own for name, own in observers.items() if "effects" in own}
    trials = sum(trial.kind == "main" for trial in study.trials)
    lines = [
        f"{study.name}: predicted accuracy in {trials} main trials"
        " [95 % interval: trials drawn again]",
        _line("", study.conditions),
    ]
    for name, own in embedded.items():
        lines += _by_condition(name, own, study)
    for name, own in observers.items():
        if name not in embedded:  # they do not look at references
            figure = own["conditions"][study.conditions[0]]
            lines.append(_line(name, [_cell(figure), "in every condition"]))
    lines += [f"Note: {remark}." for remark in figures["remarks"]]
    for name, own in embedded.items():
        lines += _details(name, own, bundle)
        lines += _effects(own, figures["attenuation"], bundle, participants)
    return "\n".join(lines)


def _line(name: str, cells: Iterable[str]) -> str:
    return (f"{name:<{_NAME}}" + "".join(f"{cell:<{_CELL}}" for cell in cells)).rstrip()


def _cell(figure: Figures | None) -> str:
    return f"{figure['accuracy']:.3f} [{figure['low']:.2f}, {figure['high']:.2f}]" if figure else ""


def _by_condition(name: str, own: Figures, study: Study) -> list[str]:
    found = [own["conditions"][condition] for condition in study.conditions]
    lines = [_line(name, map(_cell, found))]
    for network in found[0]["networks"]:
        lines.append(_line(f"  {network}", (_cell(one["networks"][network]) for one in found)))
    wrong = [own["wrong_references"].get(condition) for condition in study.conditions]
    if any(wrong):
        lines.append(_line("  another unit's", map(_cell, wrong)))
    return lines


def _details(name: str, own: Figures, bundle: Path) -> list[str]:
    units, misled = list(own["units"].items()), own["misled"]
    best, worst = (
        ", ".join(f"{label} {value:.2f}" for label, value in part)
        for part in (units[:_LISTED], units[: -_LISTED - 1 : -1])
    )
    lines = [
        "",
        f"{name}: looks with {', '.join(own['embeddings'])}; softness {own['softness']:.3g}",
        f"best units: {best}; worst: {worst}",
        f"references mislead (more than {MISLED:g} below control) {len(misled)} times"
        + (", most in:" if misled else ""),
    ]
    for one in misled[:_LISTED]:
        image = bundle / IMAGE_FOLDER / one["favored_image"]
        what = f"{one['network']}, {one['class_label']}, {one['condition']}"
        lines.append(f"  {one['p_favored']:.2f} {image} ({what}, trial {one['trial_id']})")
    return lines


def _effects(
    own: Figures, attenuation: float, bundle: Path, participants: Sequence[int]
) -> list[str]:
    conditions, networks = own["effects"]["conditions"], own["effects"]["networks"]
    shown = ", ".join(
        f"{name} {one['log_odds']:+.2f} ({one['attenuated']:+.2f})"
        for name, one in conditions.items()
    )
    lines = [f"log-odds against control (of people, taken as {attenuation:g} of that): {shown}"]
    if participants:
        words = ["python", "-m", "analysis.power", "--bundle", str(bundle)]
        for option, found in (("--condition", conditions), ("--network", networks)):
            for name, one in found.items():
                words += [option, f"{name}={one['attenuated'] + 0.0:.2f}"]
        words += ["--participants", *map(str, participants)]
        lines.append(shlex.join(words))
    return lines
