"""Tests of whole terms and of nested models: likelihood ratios, Wald chi-squares, drop1."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
import patsy
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.stats import chi2

from analysis.design import Design, independent_columns
from analysis.fit import fit_design
from analysis.mixed_logit import MixedLogitResults
from analysis.nested import check_nested, check_same_rows

Floats = NDArray[np.float64]

_ROUNDING = 1e-6  # of a likelihood ratio: what a variance of 0 gives instead of 0


@dataclass(frozen=True)
class LikelihoodRatio:
    """The test of a model against a larger one.

    `p` is the p-value to report and `naive_p` that of chi-square with `df` degrees of freedom;
    they differ where a variance is tested, and `note` says how.
    """

    formulas: tuple[str, str]
    parameters: tuple[int, int]
    llf: tuple[float, float]
    aic: tuple[float, float]
    chisq: float
    df: int
    p: float
    naive_p: float
    note: str

    def table(self) -> pd.DataFrame:
        """A row for each model: parameters, llf, aic, and in the second chisq, df, p."""
        models = {"parameters": self.parameters, "llf": self.llf, "aic": self.aic}
        test = {"chisq": self.chisq, "df": float(self.df), "p": self.p}
        index = pd.Index(self.formulas, name="model")
        return pd.DataFrame(
            {**models, **{name: (np.nan, value) for name, value in test.items()}}, index=index
        )


def likelihood_ratio(small: MixedLogitResults, large: MixedLogitResults) -> LikelihoodRatio:
    """The likelihood-ratio test of `small` against `large`, both fitted to the same rows.

    Where `large` adds one variance, the null hypothesis is at the boundary of what a variance can
    be, and `p` is that of the mixture of half chi-square with df - 1 and half with df degrees of
    freedom (Self and Liang 1987; Stram and Lee 1994). Raises ValueError for models that are not
    nested, of other rows or outcomes, or of other quadrature.
    """
    check_same_rows(small, large)
    check_nested(small, large)
    df = large.df - small.df
    chisq = 2 * (large.llf - small.llf)
    if chisq < -1e-4:
        raise ValueError(
            f"the larger model has the lower log-likelihood ({large.llf:.4f} against "
            f"{small.llf:.4f}): it has not converged, so simplify it"
        )
    chisq = chisq if chisq > _ROUNDING else 0.0
    naive = float(chi2.sf(chisq, df))
    p, note = _at_boundary(chisq, df, naive, _variances(large) - _variances(small))
    return LikelihoodRatio(
        formulas=(small.design.formula.text, large.design.formula.text),
        parameters=(small.df, large.df),
        llf=(small.llf, large.llf),
        aic=(small.aic, large.aic),
        chisq=chisq,
        df=df,
        p=p,
        naive_p=naive,
        note=note,
    )


def anova(
    results: MixedLogitResults,
    kind: Literal[2, 3] = 2,
    test: Literal["wald", "likelihood_ratio"] = "wald",
) -> pd.DataFrame:
    """A test of each term of the fixed effects: chisq, df, p, indexed by `term`.

    Type II tests a term in the model without the terms that contain it, whatever the coding.
    Type III tests it beside all others, which has a meaning only with factors coded to sum to
    zero: `C(factor, Sum)`; Wald tests then include the intercept. Likelihood-ratio tests refit
    the model for each term. Raises ValueError for what cannot be tested so.
    """
    if kind not in (2, 3):
        raise ValueError(f"kind = {kind!r}: give 2 or 3")
    if test not in ("wald", "likelihood_ratio"):
        raise ValueError(f"test = {test!r}: give 'wald' or 'likelihood_ratio'")
    spaces = _Spaces(results)
    if kind == 3:
        _check_type_3(spaces.design)
    measure = spaces.wald if test == "wald" else spaces.deviance
    rows = {}
    terms = list(spaces.terms)
    if kind == 3 and test == "wald":
        terms.insert(0, patsy.INTERCEPT)
    for term in terms:
        base = spaces.without(_containing(term, terms) if kind == 2 else [])
        reduced = spaces.without([*_containing(term, terms), term] if kind == 2 else [term])
        (low, rank), (high, other) = measure(base), measure(reduced)
        rows[term.name()] = _row(high - low, rank - other)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["chisq", "df", "p"]).rename_axis(
        "term"
    )


def drop1(results: MixedLogitResults) -> pd.DataFrame:
    """What leaving out each term does, by likelihood ratio: df, aic, chisq, p.

    Only terms that no other term contains can be left out. The first row, `<none>`, is the model
    as it is; `aic` is that of the model without the term.
    """
    spaces = _Spaces(results)
    full, rank = spaces.deviance(spaces.without([]))
    rows = {"<none>": (np.nan, results.aic, np.nan, np.nan)}
    for term in spaces.terms:
        if not _containing(term, spaces.terms):
            deviance, left = spaces.deviance(spaces.without([term]))
            chisq, df, p = _row(deviance - full, rank - left)
            rows[term.name()] = (df, results.aic + deviance - full - 2 * df, chisq, p)
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=["df", "aic", "chisq", "p"]
    ).rename_axis("term")


class _Spaces:
    """The column spaces of a model's terms, and how far the data are from each of them."""

    def __init__(self, results: MixedLogitResults) -> None:
        self.results, self.design = results, results.design
        design, info = self.design, results.design.info
        if patsy.INTERCEPT not in info.terms:
            raise ValueError(
                "the formula has no intercept, so its first factor stands for means and not for "
                "differences: test its terms in the formula with an intercept"
            )
        names = list(info.column_names)
        self.present = {*design.kept, *(names.index(name) for name in design.dropped)}
        self.terms = [t for t in info.terms if t != patsy.INTERCEPT and self._columns(t)]
        self.known: dict[tuple[int, ...], tuple[float, int]] = {}

    @cached_property
    def full(self) -> Floats:
        """All columns of the formula, those that were dropped too."""
        (matrix,) = patsy.build_design_matrices([self.design.info], self.design.data)
        return np.asarray(matrix, dtype=np.float64)

    def _columns(self, term: Any) -> list[int]:
        span = self.design.info.term_slices[term]
        return [column for column in range(span.start, span.stop) if column in self.present]

    def without(self, terms: list[Any]) -> tuple[int, ...]:
        """The columns that are left when terms are left out."""
        out = {column for term in terms for column in self._columns(term)}
        return tuple(sorted(self.present - out))

    def wald(self, columns: tuple[int, ...]) -> tuple[float, int]:
        """The Wald chi-square of the hypothesis that `columns` suffice, and their rank."""
        scale = np.linalg.norm(self.design.x, axis=0)
        x, span = self.design.x / scale, self.full[:, columns]
        sizes = np.linalg.norm(span, axis=0)
        inside = np.linalg.lstsq(x, span / np.where(sizes > 0, sizes, 1), rcond=None)[0]
        outside = null_space(inside.T, rcond=1e-9).T if columns else np.eye(x.shape[1])
        rank = x.shape[1] - len(outside)
        difference = outside @ (self.results.fit.beta * scale)
        known = np.isfinite(self.results.fit.covariance)
        if np.abs(outside[:, ~np.diag(known)]).max(initial=0) > 1e-8:
            return np.nan, rank
        spread = np.where(known, self.results.fit.covariance, 0) * np.outer(scale, scale)
        covariance = outside @ spread @ outside.T
        return float(difference @ np.linalg.solve(covariance, difference)), rank

    def deviance(self, columns: tuple[int, ...]) -> tuple[float, int]:
        """-2 log-likelihood of the model with `columns` of the fixed effects, and their rank."""
        if columns not in self.known:
            self.known[columns] = self._refit(columns)
        return self.known[columns]

    def _refit(self, columns: tuple[int, ...]) -> tuple[float, int]:
        if len(columns) == len(self.present):
            return -2 * self.results.llf, len(self.design.kept)
        kept = [columns[place] for place in independent_columns(self.full[:, columns])]
        names = [str(self.design.info.column_names[column]) for column in kept]
        design = replace(self.design, x=self.full[:, kept], names=names, kept=kept)
        fit = fit_design(design, self.results.fit.points)
        if not fit.converged:
            warnings.warn(
                f"the fit with {', '.join(names)} has not converged: do not trust its test",
                RuntimeWarning,
                stacklevel=4,
            )
        return -2 * fit.llf, len(kept)


def _row(chisq: float, df: int) -> tuple[float, int, float]:
    """chisq, df, p; NaN for a term of which nothing can be estimated."""
    if df == 0:
        return np.nan, 0, np.nan
    chisq = max(chisq, 0.0) if chisq == chisq else np.nan
    return chisq, df, float(chi2.sf(chisq, df))


def _containing(term: Any, terms: list[Any]) -> list[Any]:
    """The terms that a term is part of, as `a` is of `a:b`."""
    return [other for other in terms if set(term.factors) < set(other.factors)]


def _check_type_3(design: Design) -> None:
    if design.dropped:
        raise ValueError(
            f"type III has no one meaning where columns were dropped ({', '.join(design.dropped)}):"
            " use kind=2, or leave out what is collinear"
        )
    for subterms in design.info.term_codings.values():
        for subterm in subterms:
            for factor, coding in subterm.contrast_matrices.items():
                if np.abs(coding.matrix.sum(axis=0)).max() > 1e-9:
                    raise ValueError(
                        f"type III needs factors coded to sum to zero, and {factor.name()} is "
                        f"not: write C(factor, Sum) and its main effect, or use kind=2"
                    )


def _variances(results: MixedLogitResults) -> int:
    return sum(len(effects.names) for effects in results.design.random)


def _at_boundary(chisq: float, df: int, naive: float, variances: int) -> tuple[float, str]:
    """The p-value to report when `variances` are among what the larger model adds."""
    if variances <= 0:
        return naive, ""
    if variances > 1:
        return naive, (
            f"{variances} variances are tested at their boundary: the p-value is that of "
            f"chi-square with {df} df, which is too large; a parametric bootstrap is exact"
        )
    less = float(chi2.sf(chisq, df - 1)) if df > 1 else float(chisq <= 0)
    return (naive + less) / 2, (
        f"a variance is tested at its boundary: p is that of the mixture of half chi-square with "
        f"{df - 1} and half with {df} df; naive_p, with {df} df, is too large"
    )
