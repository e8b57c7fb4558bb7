"""Every number of a report as plain values: what results.json holds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from analysis.findings import Analysis, Findings
from analysis.mixed_logit import MixedLogitResults
from analysis.omnibus import LikelihoodRatio
from analysis.report.people import kind_of
from analysis.report.provenance import Provenance, software
from analysis.report.rules import are_of_study
from analysis.residuals import Residuals
from stimuli.exclusion_rules import tabulate_rules

__all__ = ["dump_results", "results"]


def dump_results(analysis: Analysis, provenance: Provenance) -> str:
    """The text of results.json: strict JSON, the same for the same findings."""
    found = results(analysis, provenance)
    return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def results(analysis: Analysis, provenance: Provenance) -> dict[str, Any]:
    """All numbers of a report; tables are lists of records, and what has no value is None."""
    everyone = analysis.everyone
    found = {
        "export": _export(analysis, provenance),
        "software": software(),
        "seed": provenance.seed,
        "bootstrap_draws": provenance.draws,
        "exclusions": {
            "preregistered": are_of_study(analysis),
            "rules": tabulate_rules(analysis.exclusions.rules),
            "table": analysis.exclusions.table,
            "flow": analysis.exclusions.flow,
        },
        "kept": _findings(analysis.kept),
        "everyone": _findings(everyone) if everyone else None,
        "everyone_note": analysis.everyone_note,
    }
    plain: dict[str, Any] = _plain(found)
    return plain


def _export(analysis: Analysis, provenance: Provenance) -> dict[str, Any]:
    export, codebook = analysis.export, analysis.export.codebook or {}
    told = {key: codebook.get(key) for key in ("title", "study_digest", "exported_at")}
    return {
        "study": export.study,
        **told,
        "kind": kind_of(analysis.export),
        "participants": len(export.participants),
        "trials": len(export.trials),
        "main_trials": len(export.main),
        "remarks": [*analysis.remarks, *provenance.notes],
        "files": provenance.files,
        "bundle": provenance.study.name if provenance.study else None,
    }


def _findings(findings: Findings) -> dict[str, Any]:
    models = findings.models
    fits = {"additive": models.additive, "interaction": models.interaction}
    return {
        "participants": findings.participants,
        "trials": len(findings.trials),
        "factors": models.factors,
        "groups": models.groups,
        "models": {name: _fit(fit) for name, fit in fits.items() if fit is not None},
        "chosen": "interaction" if models.has_interaction else "additive",
        "comparison": _ratio(models.comparison) if models.comparison else None,
        "terms": findings.terms.reset_index(),
        "structures": findings.structures.reset_index(),
        "coefficients": findings.coefficients.rename_axis("name").reset_index(),
        "random_effects": _modes(models.chosen),
        "means": findings.means,
        "contrasts": findings.contrasts,
        "icc": findings.icc.reset_index(),
        "r_squared": asdict(findings.r_squared),
        "descriptives": findings.descriptives,
        "residuals": {group: _residuals(one) for group, one in findings.residuals.items()},
        "bootstrap": {term: asdict(test) for term, test in findings.bootstrap.items()},
    }


def _fit(fit: MixedLogitResults) -> dict[str, Any]:
    table = {"estimate": fit.params, "se": fit.bse, "z": fit.tvalues, "p": fit.pvalues}
    return {
        "formula": fit.design.formula.text,
        "coefficients": pd.DataFrame(table).rename_axis("name").reset_index(),
        "random_effects": {
            label: {"sd": _sds(covariance), "correlation": _correlations(covariance)}
            for label, covariance in fit.random_effects_cov.items()
        },
        "levels": {effects.label: len(effects.levels) for effects in fit.design.random},
        "rows": fit.nobs,
        **{name: getattr(fit, name) for name in ("llf", "aic", "bic", "df", "converged")},
        "singular": fit.is_singular,
        "dropped_columns": list(fit.design.dropped),
        "warnings": list(fit.warnings),
    }


def _sds(covariance: pd.DataFrame) -> dict[str, float]:
    return dict(zip(covariance.index, np.sqrt(np.diag(covariance)), strict=True))


def _correlations(covariance: pd.DataFrame) -> list[list[float]]:
    sd = np.sqrt(np.diag(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        return list((covariance.to_numpy() / np.outer(sd, sd)).tolist())


def _modes(fit: MixedLogitResults) -> dict[str, pd.DataFrame]:
    return {
        label: table.rename_axis("level").reset_index()
        for label, table in fit.random_effects.items()
    }


def _ratio(test: LikelihoodRatio) -> dict[str, Any]:
    return asdict(test) | {"delta_aic": test.aic[0] - test.aic[1]}


def _residuals(found: Residuals) -> dict[str, Any]:
    names = ("simulations", "uniformity_p", "dispersion", "dispersion_p", "outliers", "outliers_p")
    return {name: getattr(found, name) for name in names} | {"table": found.table}


def _plain(value: Any) -> Any:
    """The same as what JSON knows: records, lists, numbers; None for NaN, infinity and NA."""
    if isinstance(value, pd.DataFrame):
        return [_plain(row) for row in value.astype(object).to_dict("records")]
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (bool, int, str)) else str(value)
