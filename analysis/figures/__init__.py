"""Figures: plain tables in, matplotlib figures out; `save` writes them as SVG and PNG.

They read in greyscale and by eyes that see fewer colours: series differ in lightness and in marker
or line. Every function leaves matplotlib's settings and pyplot's figures as they were.
"""

from __future__ import annotations

from analysis.figures.accuracy import performance
from analysis.figures.contrasts import forest
from analysis.figures.diagnostics import residuals
from analysis.figures.difficulty import activation
from analysis.figures.effects import caterpillar
from analysis.figures.exclusions import exclusions_flow
from analysis.figures.planning import power_curves
from analysis.figures.style import save
from analysis.figures.timing import reaction_times

__all__ = [
    "activation",
    "caterpillar",
    "exclusions_flow",
    "forest",
    "performance",
    "power_curves",
    "reaction_times",
    "residuals",
    "save",
]
