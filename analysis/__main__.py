"""python -m analysis: from an export to a report, its figures and all its numbers.

EXPORT is a folder that the server wrote, or a CSV file of another layout: with --tidy, pairs of
this program's columns and the file's, such as --tidy condition=visualization class_label=class,
or with --zimmermann.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from analysis.exclusions import (
    COLUMNS,
    DEFAULTS,
    can_answer,
    exclude,
    is_preregistered,
    preregistered,
)
from analysis.findings import STEPS, Analysis, analyse
from analysis.layouts import read_tidy, read_zimmermann
from analysis.report import Provenance, check_out, read_bundle, write_report
from analysis.report.apa import interval, number, p_value, percent, word
from analysis.report.drawings import drawings
from analysis.report.people import kind_caution, people_of
from analysis.report.provenance import digests, has_images
from analysis.responses import Export, read_export


@click.command(help=__doc__)
@click.argument("export", type=click.Path(path_type=Path))
@click.argument("more", nargs=-1)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--bundle", type=click.Path(path_type=Path), help="The study's, for its stimuli.")
@click.option(
    "--bootstrap",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Studies to simulate for each test; 0 leaves these tests out.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option(
    "--tidy", multiple=True, metavar="OURS=THEIRS", help="A CSV file; several may follow."
)
@click.option(
    "--zimmermann", is_flag=True, help="A CSV file as Zimmermann et al. (2021) published."
)
def main(
    export: Path,
    more: tuple[str, ...],
    out: Path,
    bundle: Path | None,
    bootstrap: int,
    seed: int,
    tidy: tuple[str, ...],
    zimmermann: bool,
) -> None:
    """The command line."""
    try:
        check_out(out)
        if more and not tidy:
            raise ValueError(f"{more[0]!r} is not understood: one export, then options")
        found = _read(export, (*tidy, *more), zimmermann)
        analysis, paths = _run(found, digests(export), out, bundle, bootstrap, seed)
    except (ValueError, OSError) as error:
        raise click.ClickException(_line(error)) from error
    click.echo("\n".join([*map(str, paths), "", *_summary(analysis)]))


def _read(path: Path, mapping: tuple[str, ...], zimmermann: bool) -> Export:
    """The export, of whichever layout. Raises ValueError if it holds nothing to compare."""
    if not path.exists():
        raise ValueError(f"{path}: there is no such export")
    if path.is_dir() and (mapping or zimmermann):
        raise ValueError(f"{path} is a folder: --tidy and --zimmermann read a CSV file")
    if mapping and zimmermann:
        raise ValueError("give --tidy or --zimmermann, not both")
    if zimmermann:
        export = read_zimmermann(path)
    else:
        export = read_export(path) if path.is_dir() else read_tidy(path, _pairs(mapping))
    if export.main.empty:
        raise ValueError(f"{path}: there are no main trials")
    _compared(export, f"{path}:")
    return export


def _compared(export: Export, where: str) -> None:
    conditions = list(export.main["condition"].unique())
    if len(conditions) < 2:
        raise ValueError(
            f"{where} the only condition is {conditions[0]!r}, so there is nothing to compare"
        )


def _pairs(mapping: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in mapping:
        ours, _, theirs = pair.partition("=")
        if not ours or not theirs:
            raise ValueError(f"--tidy {pair}: write OURS=THEIRS, as in condition=visualization")
        found[ours] = theirs
    return found


def _run(
    export: Export,
    files: dict[str, str],
    out: Path,
    bundle: Path | None,
    draws: int,
    seed: int,
) -> tuple[Analysis, list[Path]]:
    """The analysis, and the paths of what was written of it."""
    study = read_bundle(bundle, export) if bundle else None
    if bundle:
        files = files | {
            f"bundle/{name}": value for name, value in digests(bundle / "study.json").items()
        }
    notes = _unanswered(export)
    if bundle and not has_images(bundle):
        notes.append("The bundle came without images/, so the report shows no stimuli.")
    excluded = exclude(export, preregistered(export))
    _compared(excluded.kept, "after exclusions")
    steps = len(STEPS) * (2 if excluded.dropped else 1)
    with tqdm(total=steps, bar_format="{bar:24} {n_fmt}/{total_fmt} {desc}") as bar:
        step = _stepping(bar)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            analysis = analyse(
                export,
                np.random.default_rng(seed),
                study=study,
                draws=draws,
                progress=True,
                step=step,
            )
        notes += _doubts(caught)
        bar.total = steps + 3 + len(drawings(analysis))
        images = bundle if bundle and has_images(bundle) else None
        provenance = Provenance(seed, draws, files, study, tuple(notes), images)
        paths = write_report(analysis, out, provenance, step)
        bar.update()
    return analysis, paths


def _stepping(bar: tqdm[Any]) -> Callable[[str], None]:
    def step(name: str) -> None:
        bar.update()
        bar.set_description_str(name)

    return step


def _unanswered(export: Export) -> list[str]:
    """What to say of default rules that a table from elsewhere cannot answer."""
    if is_preregistered(export):
        return []
    return [
        f"The rule {word(rule.name)} was not applied: the data have no column "
        f"{COLUMNS[type(rule)]}."
        for rule in DEFAULTS
        if not can_answer(export, rule)
    ]


def _doubts(caught: list[warnings.WarningMessage]) -> list[str]:
    """Of the warnings of an analysis, those about fits; the others are given on."""
    found = []
    for one in caught:
        text = str(one.message)
        if "has not converged" in text:
            found.append(f"{text[0].upper()}{text[1:]}.")
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return list(dict.fromkeys(found))


def _summary(analysis: Analysis) -> list[str]:
    """Means of the conditions and contrasts, for a terminal."""
    kept = analysis.kept
    who, caution = people_of(analysis.export), kind_caution(analysis.export)
    lines = [caution] if caution else []
    lines += [f"{kept.participants} {who}, {len(kept.trials)} main trials", ""]
    if not kept.models.chosen.converged:
        return [*lines, "The model did not converge: no result is shown; see the report."]
    for _, row in kept.means["condition_probability"].iterrows():
        ends = interval(row["low"], row["high"], lambda value: percent(value).removesuffix("%"))
        lines.append(f"{word(row['condition']):<28}{percent(row['probability']):>8}  {ends}")
    for factor in kept.models.factors:
        lines += ["", f"{'contrast':<28}{'β':>8}{'SE':>7}{'z':>8}{'p':>8}"]
        for _, row in kept.contrasts[factor].iterrows():
            numbers = f"{number(row['estimate']):>8}{number(row['se']):>7}{number(row['z']):>8}"
            lines.append(f"{word(row['contrast']):<28}{numbers}{p_value(row['p']):>8}")
    return lines


def _line(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'} cannot be written: {error.strerror or error}"
    return str(error)


if __name__ == "__main__":
    main()
