"""Tables to read of the models: terms, coefficients, means, contrasts, checks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.bootstrap import BootstrapTest
from analysis.findings import Findings
from analysis.report.apa import count, interval, number, p_value, ratio, share, term, word
from analysis.report.sheets import Column, Sheet, bare_percent, ends, of, sheet
from analysis.residuals import Residuals

WALD = "_wald_chisq"  # how the columns of `StudyModels.structures` end


def terms(table: pd.DataFrame) -> Sheet:
    """Tests of the terms."""
    columns = [
        of("term", "Term", term),
        of("df", "df", count),
        of("chisq", "χ² (likelihood ratio)"),
        of("p", "p", p_value),
        of("wald_chisq", "χ² (Wald)"),
        of("wald_p", "p", p_value),
    ]
    return sheet(table.reset_index(), "Tests of the terms of the model, type II.", columns)


def comparison(findings: Findings) -> Sheet | None:
    """The models with and without interaction."""
    test = findings.models.comparison
    if test is None:
        return None
    table = test.table().reset_index()
    table["model"] = ["main effects", "with the interaction"]
    columns = [
        of("model", "Model", str),
        of("parameters", "Parameters", count),
        of("llf", "Log-likelihood"),
        of("aic", "AIC", lambda value: number(value, 1)),
        of("chisq", "χ²"),
        of("df", "df", count),
        of("p", "p", p_value),
    ]
    return sheet(table, "Models compared by likelihood ratio and AIC.", columns)


def fixed(findings: Findings) -> Sheet:
    """Fixed effects with Wald and profile intervals."""
    table = findings.coefficients.rename_axis("name").reset_index()
    table = table[~table["name"].str.contains(" | ", regex=False)]
    columns = [
        of("name", "Effect (log-odds)", effect),
        of("estimate", "β"),
        of("se", "SE"),
        of("z", "z"),
        of("p", "p", p_value),
        ends(heading="95% CI, Wald"),
        ends(low="profile_low", high="profile_high", heading="95% CI, profile"),
    ]
    return sheet(table, "Fixed effects of the model, against its first levels.", columns)


def effect(name: str) -> str:
    """A coefficient's name in words: "condition maco × network ViT"."""
    return term(re.sub(r"(\w+)\[(?:T\.)?([^\]]*)\]", r"\1 \2", name))


def spread(findings: Findings) -> Sheet:
    """Standard deviations of the random intercepts, and their share of the variance."""
    fit, table = findings.models.chosen, findings.coefficients
    rows = [
        {
            "group": word(effects.label),
            "levels": len(effects.levels),
            "sd": table.loc[f"Intercept | {effects.label}", "estimate"],
            "low": table.loc[f"Intercept | {effects.label}", "profile_low"],
            "high": table.loc[f"Intercept | {effects.label}", "profile_high"],
            "icc": findings.icc.loc[effects.label, "adjusted"],
        }
        for effects in fit.design.random
    ]
    columns = [
        of("group", "Random intercepts of", str),
        of("levels", "Levels", count),
        of("sd", "SD"),
        ends(heading="95% CI, profile"),
        of("icc", "ICC", share),
    ]
    return sheet(pd.DataFrame(rows), "Random effects of the model, log-odds.", columns)


def means(findings: Findings, factors: Sequence[str]) -> Sheet:
    """Marginal means on both scales, of a typical participant and of the population."""
    name = "_and_".join(factors)
    link, typical, everyone = (
        findings.means[f"{name}_{scale}"] for scale in ("log_odds", "probability", "population")
    )
    table = link[[*factors, "log_odds", "se"]].assign(
        link_low=link["low"],
        link_high=link["high"],
        probability=typical["probability"],
        low=typical["low"],
        high=typical["high"],
        population=everyone["probability"],
    )
    columns = [
        *(of(factor, word(factor).capitalize(), word) for factor in factors),
        of("log_odds", "Log-odds"),
        of("se", "SE"),
        ends(low="link_low", high="link_high"),
        of("probability", "Correct, %", bare_percent),
        ends(bare_percent),
        of("population", "Population, %", bare_percent),
    ]
    caption = f"Marginal means by {' and '.join(map(word, factors))}."
    return sheet(table, caption, columns, len(factors))


def contrasts(table: pd.DataFrame, caption: str, by: str | None = None) -> Sheet:
    """Tukey contrasts with odds ratios."""
    with np.errstate(over="ignore"):  # of separated data an end is infinite
        odds = table.assign(
            odds_ratio=np.exp(table["estimate"]),
            or_low=np.exp(table["low"]),
            or_high=np.exp(table["high"]),
        )
    columns = [
        *([of(by, word(by).capitalize(), word)] if by else []),
        of("contrast", "Contrast", difference),
        of("estimate", "β"),
        of("se", "SE"),
        of("z", "z"),
        of("p", "p", p_value),
        ends(),
        of("odds_ratio", "OR", ratio),
        ends(ratio, "or_low", "or_high", "95% CI of OR"),
    ]
    return sheet(odds, caption, columns, 2 if by else 1)


def difference(name: str) -> str:
    """A contrast's name in words, with a minus sign."""
    return word(name).replace(" - ", " − ")  # noqa: RUF001


def structures(findings: Findings) -> Sheet:
    """Larger random parts beside the chosen one."""
    table = findings.structures.reset_index()
    columns = [
        of("added", "Random part added", lambda name: name or "none (the model above)"),
        of("parameters", "Parameters", count),
        of("aic", "AIC", lambda value: number(value, 1)),
        of("chisq", "χ²"),
        of("p", "p", p_value),
        of("singular", "Singular", lambda found: "yes" if found else "no"),
        of("converged", "Converged", lambda found: "yes" if found else "no"),
        *(
            of(name, f"χ², {term(name.removesuffix(WALD))}")
            for name in map(str, table)
            if name.endswith(WALD)
        ),
    ]
    return sheet(
        table, "Larger random parts, added one at a time, and the Wald χ² of each term.", columns
    )


def both(kept: Findings, everyone: Findings, factor: str) -> Sheet:
    """Contrasts after exclusions, and of everyone."""
    table = kept.contrasts[factor].merge(
        everyone.contrasts[factor], on="contrast", how="outer", suffixes=("", "_all"), sort=False
    )
    columns = [
        of("contrast", "Contrast", difference),
        *_short("", f"after exclusions, n = {count(kept.participants)}"),
        *_short("_all", f"everyone, n = {count(everyone.participants)}"),
    ]
    caption = f"Contrasts of {word(factor)} with and without exclusions."
    return sheet(table, caption, columns)


def _short(suffix: str, who: str) -> list[Column]:
    return [
        Column(
            f"β [95% CI], {who}",
            lambda row: (
                f"{number(row[f'estimate{suffix}'])} "
                f"{interval(row[f'low{suffix}'], row[f'high{suffix}'])}"
            ),
        ),
        of(f"p{suffix}", "p", p_value),
    ]


def residuals(found: Mapping[str, Residuals]) -> Sheet:
    """Tests of the scaled residuals."""
    rows = [
        {"group": term(group), "levels": len(one.table), "uniformity": one.uniformity_p}
        | {"dispersion": one.dispersion, "dispersion_p": one.dispersion_p}
        | {"outliers": one.outliers, "outliers_p": one.outliers_p}
        for group, one in found.items()
    ]
    columns = [
        of("group", "Sums by", str),
        of("levels", "Levels", count),
        of("uniformity", "Uniformity, p", p_value),
        of("dispersion", "Dispersion"),
        of("dispersion_p", "p", p_value),
        of("outliers", "Outliers", count),
        of("outliers_p", "p", p_value),
    ]
    return sheet(
        pd.DataFrame(rows),
        "Checks of the residuals, by simulation; a large p is no support.",
        columns,
    )


def bootstrap(found: Mapping[str, BootstrapTest]) -> Sheet:
    """Likelihood-ratio tests with a simulated null distribution."""
    rows = [
        {"term": term, "chisq": test.chisq, "df": test.df, "p": test.p, "draws": test.draws}
        for term, test in found.items()
    ]
    columns = [
        of("term", "Term", term),
        of("df", "df", count),
        of("chisq", "χ² (likelihood ratio)"),
        of("p", "p, simulated", p_value),
        of("draws", "Simulated studies", count),
    ]
    return sheet(pd.DataFrame(rows), "Tests of the terms by parametric bootstrap.", columns)
