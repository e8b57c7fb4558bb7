"""A report's folder: made beside its place and moved there whole, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from analysis.figures import save
from analysis.findings import Analysis
from analysis.report.drawings import drawings, filed
from analysis.report.page import page
from analysis.report.provenance import Provenance
from analysis.report.results import dump_results

__all__ = ["check_out", "write_report"]

PAGE, RESULTS, FIGURES, TABLES = "report.html", "results.json", "figures", "tables"


def check_out(out: Path) -> None:
    """Raises ValueError, one line, if at `out` stands anything but an earlier report."""
    if not out.exists():
        return
    if not out.is_dir():
        raise ValueError(f"{out} is a file: choose another --out")
    found = {path.name for path in out.iterdir()}
    is_ours = {PAGE, RESULTS} <= found <= {PAGE, RESULTS, FIGURES, TABLES}
    if found and not is_ours:
        raise ValueError(f"{out} holds files that are no earlier report: choose another --out")


def write_report(
    analysis: Analysis,
    out: Path,
    provenance: Provenance | None = None,
    step: Callable[[str], object] = lambda name: None,
) -> list[Path]:
    """Writes report.html, results.json, figures/ and tables/; gives their paths.

    The folder appears whole, in place of an earlier report. step: called before each piece of
    work with what it is. Raises ValueError as `check_out` does.
    """
    check_out(out)
    made_with = provenance or Provenance()
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{os.getpid()}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        _write(analysis, draft, made_with, step)
        _publish(draft, out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return [out / name for name in (PAGE, RESULTS, FIGURES, TABLES)]


def _write(
    analysis: Analysis, draft: Path, provenance: Provenance, step: Callable[[str], object]
) -> None:
    pictures = {}
    for drawing in drawings(analysis):
        step(f"figure {drawing.name}")
        svg, _ = save(drawing.draw(), draft / FIGURES / drawing.name)
        pictures[drawing.name] = (drawing, svg.read_bytes())
    step("tables")
    (draft / TABLES).mkdir(parents=True)
    for name, table in tables(analysis).items():
        table.to_csv(draft / TABLES / f"{name}.csv", index=False, lineterminator="\n")
    step("page")
    (draft / RESULTS).write_text(dump_results(analysis, provenance), encoding="utf-8")
    (draft / PAGE).write_text(page(analysis, provenance, pictures), encoding="utf-8")


def tables(analysis: Analysis) -> Mapping[str, pd.DataFrame]:
    """Name -> table, of those kept; without exclusions as everyone_NAME."""
    kept, everyone = analysis.kept, analysis.everyone
    found = {
        "exclusions": analysis.exclusions.table,
        "exclusions_flow": analysis.exclusions.flow,
        **kept.descriptives,
        "terms": kept.terms.reset_index(),
        "coefficients": kept.coefficients.rename_axis("name").reset_index(),
        "random_structures": kept.structures.reset_index(),
        **{f"means_{name}": table for name, table in kept.means.items()},
        **{f"contrasts_{name}": table for name, table in kept.contrasts.items()},
        **{f"residuals_{filed(name)}": found.table for name, found in kept.residuals.items()},
    }
    if everyone is not None:
        found |= {f"everyone_contrasts_{k}": table for k, table in everyone.contrasts.items()}
        found |= {f"everyone_means_{k}": table for k, table in everyone.means.items()}
    return found


def _publish(draft: Path, out: Path) -> None:
    """Gives the draft its name; an earlier report goes only when the new one stands."""
    if not out.exists():
        draft.rename(out)
        return
    earlier = out.with_name(f".{out.name}.{os.getpid()}.earlier")
    out.rename(earlier)
    try:
        draft.rename(out)
    except OSError:
        earlier.rename(out)
        raise
    shutil.rmtree(earlier, ignore_errors=True)
