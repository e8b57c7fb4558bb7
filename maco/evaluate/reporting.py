"""What an evaluation leaves to read: tables as CSV and Markdown, and figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from maco.evaluate.figures import draw_scores, draw_spectra, save_figure
from maco.evaluate.measures import Photographs, picture
from maco.evaluate.methods import ABLATION, Method
from maco.evaluate.renders import Render
from maco.evaluate.tables import BY_NETWORK, compare, markdown, summarise, wide
from maco.files import write_atomically
from maco.metrics.naturalness import RadialSpectrum, mean_spectrum

_TRANSFER = ("transfer_top1", "transfer_top5", "transfer_softmax")
_STRENGTH = ("logit", "softmax")
_SPECTRUM = ("brightness_sd", "colour_sd", "gain")


def write_report(
    out: Path,
    methods: Sequence[Method],
    pictures: Sequence[tuple[Method, Render]],
    photographs: Photographs,
) -> None:
    """Writes tables/*.csv, tables.md and figures/ of what was measured in a folder."""
    measurements = pd.read_csv(out / "measurements.csv")
    sets = pd.read_csv(out / "distributions.csv")
    summary = summarise(measurements)
    differences = compare(measurements, methods[0].name)
    for name, table in (("means", summary), ("differences", differences)):
        content = table.to_csv(index=False, float_format="%.6g")
        write_atomically(out / "tables" / f"{name}.csv", content.encode())
    text = "\n\n".join(_sections(summary, differences, sets, methods[0]))
    write_atomically(out / "tables.md", (text + "\n").encode())
    titles = {method.name: method.title for method in methods}
    for view in summary["view"].unique():
        drawn = [*_distances(summary)[:1], "transfer_softmax", "logit"]
        drawn = [name for name in drawn if name in set(summary["measure"])]
        figure = draw_scores(summary, titles, drawn, view)
        save_figure(figure, out / "figures" / f"scores-{view:g}")
    save_figure(
        draw_spectra(_spectra(out, methods, pictures, photographs)), out / "figures/spectra"
    )


def _sections(
    summary: pd.DataFrame, differences: pd.DataFrame, sets: pd.DataFrame, first: Method
) -> Iterator[str]:
    yield "# Evaluation\n\nMeans with 95 % bootstrap intervals over classes."
    for view in summary["view"].unique():
        part = _part(view)
        table = wide(summary, (*_distances(summary), *_TRANSFER), view)
        yield f"## Plausibility and transfer, {part}\n\n{markdown(table)}"
        asked = [name for name in summary["measure"].unique() if name.startswith(BY_NETWORK)]
        columns = (*asked, *_STRENGTH)
        yield f"## By classifier, and strength, {part}\n\n" + markdown(wide(summary, columns, view))
    view = summary["view"].iloc[0]
    yield "## Magnitude spectrum, whole images\n\n" + markdown(wide(summary, _SPECTRUM, view))
    if len(sets):
        yield "## Distances between sets of images\n\n" + _distributions(sets)
    # The rest is in differences.csv.
    told = differences[differences["measure"].isin((*_distances(summary), *_TRANSFER))]
    clear = told[told["better"].notna() & (told["better"] != "")]
    yield f"## Where {first.title} differs clearly\n\n" + (
        markdown(clear.drop(columns=["first"]).round(4).set_index("network"))
        if len(clear)
        else "Nowhere."
    )
    if set(ABLATION) <= set(summary["method"]):
        ordered = summary.set_index("method").loc[list(ABLATION)].reset_index()
        columns = (
            "logit",
            "softmax",
            *_distances(summary)[:1],
            "transfer_softmax",
            "transfer_top1",
        )
        for view in summary["view"].unique():
            text = markdown(wide(ordered, columns, view))
            yield f"## Ablation (Table 3), {_part(view)}\n\n{text}"


def _distances(summary: pd.DataFrame) -> list[str]:
    return [name for name in summary["measure"].unique() if name.startswith("knn_")]


def _part(view: float) -> str:
    return "the whole image" if view == 1 else f"the central {view:g} of the side"


def _distributions(sets: pd.DataFrame) -> str:
    table = sets.copy()
    table["fid"] = table["fid"].map("{:.4g}".format)
    table["kid"] = [
        f"{m:.3g} (s.d. {s:.2g})" for m, s in zip(table["kid"], table["kid_sd"], strict=True)
    ]
    return markdown(table.drop(columns=["kid_sd"]).set_index("network"))


def _spectra(
    out: Path,
    methods: Sequence[Method],
    pictures: Sequence[tuple[Method, Render]],
    photographs: Photographs,
) -> dict[str, RadialSpectrum]:
    spectra = {"photographs": mean_spectrum(photographs.all())}
    for method in methods:
        own = (picture(one, method, out) for other, one in pictures if other == method)
        spectra[method.title] = mean_spectrum(own)
    return spectra
