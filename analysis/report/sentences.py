"""Results as sentences in APA style, true whatever the numbers are.

A p-value above .05 is told as what it is, no clear evidence, and never as no difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from analysis.mixed_logit import MixedLogitResults
from analysis.omnibus import LikelihoodRatio
from analysis.report.apa import interval, listed, number, percent, ratio, said_p, term, word
from analysis.report.separation import Cell, why_not_estimated

__all__ = [
    "compare",
    "contrast",
    "control",
    "means",
    "omnibus",
    "singular",
    "structures",
]

ALPHA = 0.05
ZERO = 1e-3  # a standard deviation below it is shown as 0
MATTERS = 0.1  # a chi-square that changes by a smaller share is not told
PLACE = {"condition": "in ", "network": "for "}


def compare(test: LikelihoodRatio | None) -> str:
    """Which of the models with and without the interaction is reported, and why."""
    if test is None:
        return ""
    gain = test.aic[0] - test.aic[1]
    statistic = f"χ²({test.df}) = {number(test.chisq)}, {said_p(test.p)}"
    size = f"ΔAIC = {number(abs(gain), 1)}"
    if gain > 0 and test.p < ALPHA:
        return f"The model with the interaction fitted better, {statistic}, {size}."
    if gain > 0:
        return (
            f"The model with the interaction had the lower AIC ({size}) and is reported, although "
            f"the likelihood-ratio test was not significant, {statistic}."
        )
    if test.p < ALPHA:
        return (
            f"The interaction was significant, {statistic}, but the model of main effects had the "
            f"lower AIC ({size}) and is reported."
        )
    return (
        f"There was no clear evidence of an interaction, {statistic}, {size} in favor of the model "
        "of main effects, which is reported."
    )


def omnibus(terms: pd.DataFrame) -> list[str]:
    """A sentence for each term, an interaction first: `terms` has chisq, df, p by term.

    Of a factor in an interaction only its effect on average is told (type II).
    """
    rows = sorted(
        ((str(name), row) for name, row in terms.iterrows()), key=lambda one: -_order(one[0])
    )
    joined = [name.split(":") for name, _ in rows if _order(name)]
    averaged = {
        name: [other for names in joined if name in names for other in names if other != name]
        for name, _ in rows
    }
    return [_term(name, row, averaged[name]) for name, row in rows]


def _order(term: str) -> int:
    return term.count(":")


def _term(name: str, row: pd.Series[float], averaged: Sequence[str]) -> str:
    first, *others = map(word, name.split(":"))
    if np.isnan(row["p"]):
        return f"The term {term(name)} could not be tested."
    told = f"χ²({row['df']:.0f}) = {number(row['chisq'])}, {said_p(row['p'])}"
    if others:
        claim = f"the effect of {first} depended on the {listed(others)}"
    else:
        claim = f"{first} predicted whether the favored query was chosen"
    if row["p"] >= ALPHA:
        claim = f"there was no clear evidence that {claim}"
    if averaged:
        claim = f"on average over the {_plural(averaged)}, {claim}"
    return f"{claim[0].upper()}{claim[1:]}, {told}."


def means(
    table: pd.DataFrame, factor: str, cells: Sequence[Cell] = (), over: Sequence[str] = ()
) -> str:
    """Percent correct of a typical participant at each level: probability, low, high.

    cells: of `extreme_cells`; a mean that they enter has no finite log-odds and is left out.
    over: the factors that its effect depends on, said to be averaged over.
    """
    known = [
        f"{percent(row['probability'])} {PLACE.get(factor, 'at ')}{word(row[factor])} "
        f"(95% CI {_percents(row['low'], row['high'])})"
        for _, row in table.iterrows()
        if np.isfinite(row[["probability", "low", "high"]].astype(float)).all()
        and not any(cell.get(factor, row[factor]) == row[factor] for cell in cells)
    ]
    if not known:
        return ""
    return f"The model's mean for a typical participant{_over(over)} was {listed(known)}."


def control(
    mean: pd.Series[float], name: str, cells: Sequence[Cell] = (), over: Sequence[str] = ()
) -> str:
    """Whether people without visualizations were above chance: log_odds, se, low, high.

    cells, over: as in `means`.
    """
    log_odds, se, low, high = (float(mean[key]) for key in ("log_odds", "se", "low", "high"))
    extreme = any(cell.get("condition", name) == name for cell in cells)
    if extreme or not np.isfinite([log_odds, se, low, high]).all():
        return ""
    z = log_odds / se
    p = float(2 * norm.sf(abs(z)))
    statistic = (
        f"{percent(expit(log_odds))}, 95% CI {_percents(expit(low), expit(high))}, "
        f"z = {number(z)}, {said_p(p)}"
    )
    told = (
        f"he model's probability of a correct choice for a typical participant in {word(name)}, "
        f"without visualizations{_over(over) or ','}"
    )
    if p >= ALPHA:
        return f"Whether t{told} differed from chance is open: {statistic}."
    return f"T{told} was {'above' if z > 0 else 'below'} chance: {statistic}."


def contrast(
    row: pd.Series[float],
    factor: str,
    pair: tuple[str, str],
    cells: Sequence[Cell] = (),
    others: Mapping[str, str] | None = None,
) -> str:
    """One difference, the higher level first: estimate, se, low, high, z, p of pair[0] - pair[1].

    cells: of `extreme_cells`. others: levels of the other factors at which it is taken.
    """
    place = PLACE.get(factor, "at ")
    first, second = map(word, pair)
    at = others or {}
    where = "".join(f", {PLACE.get(name, 'at ')}{word(level)}" for name, level in at.items())
    why = why_not_estimated(row, factor, pair, cells, at)
    if why:
        return f"The difference between {first} and {second}{where}{',' if where else ''} {why}."
    sign = -1 if row["estimate"] < 0 else 1
    if sign < 0:
        first, second = second, first
    ends = sorted((sign * row["low"], sign * row["high"]))
    told = (
        f"β = {number(sign * row['estimate'])}, SE = {number(row['se'])}, "
        f"z = {number(sign * row['z'])}, {said_p(row['p'])}, "
        f"OR = {ratio(np.exp(sign * row['estimate']))}, "
        f"95% CI {interval(np.exp(ends[0]), np.exp(ends[1]), ratio)}"
    )
    if row["p"] < ALPHA:
        return (
            f"The odds of a correct choice were higher {place}{first} than {place}{second}{where} "
            f"({told})."
        )
    return (
        f"There was no clear evidence of a difference between {first} and {second}{where} "
        f"({first} minus {second}: {told})."
    )


def singular(results: MixedLogitResults) -> str:
    """That the fit is singular, and which variance is 0; empty if it is not."""
    if not results.is_singular:
        return ""
    groups = [
        word(label)
        for label, covariance in results.random_effects_cov.items()
        if np.sqrt(np.diag(covariance)).min() < ZERO
    ]
    if not groups:
        return "The fit was singular: the random effects have no full covariance matrix."
    return f"The fit was singular: the variance of {listed(groups)} was estimated as 0."


def structures(table: pd.DataFrame, factors: Sequence[str]) -> list[str]:
    """Which larger random parts fit better, and what they do to the factors' tests.

    table: of `StudyModels.structures`, the chosen model first. Of a fit that did not converge
    nothing is said.
    """
    chosen, larger = table.iloc[0], table.iloc[1:]
    larger = larger[larger["converged"].astype(bool)]
    found = []
    for added, row in larger[larger["p"] < ALPHA].iterrows():
        df = row["parameters"] - chosen["parameters"]
        changes = [
            f"{word(factor)} from {number(chosen[column])} to {number(row[column])}"
            for factor in factors
            if abs(row[column := f"{factor}_wald_chisq"] - chosen[column])
            > MATTERS * chosen[column]
        ]
        told = f"; Wald χ² changes for {listed(changes)}" if changes else ""
        found.append(
            f"Adding {added} fitted better, χ²({df:.0f}) = {number(row['chisq'])}, "
            f"{said_p(row['p'])}{told}. Report the tests with and without it."
        )
    return found


def _over(factors: Sequence[str]) -> str:
    return f", averaged over {_plural(factors)}," if factors else ""


def _plural(factors: Sequence[str]) -> str:
    return listed([f"{word(name)}s" for name in factors])


def _percents(low: float, high: float) -> str:
    return interval(100 * low, 100 * high, lambda value: number(value, 1))
