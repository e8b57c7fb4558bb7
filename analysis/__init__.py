"""From an export to figures and a report: mixed-effects logistic regression."""

from __future__ import annotations

from analysis.formula import FormulaError
from analysis.mixed_logit import MixedLogitResults, mixed_logit

__all__ = ["FormulaError", "MixedLogitResults", "mixed_logit"]
