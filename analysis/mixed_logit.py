"""Mixed-effects logistic regression as lme4's glmer fits it, with results as statsmodels' are."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import patsy
from numpy.typing import NDArray
from scipy.special import expit
from statsmodels.base.model import LikelihoodModel, LikelihoodModelResults
from statsmodels.iolib.summary import Summary
from statsmodels.iolib.table import SimpleTable

from analysis.advice import advise
from analysis.design import Design, RandomEffects, build_design, level_labels, rows_of
from analysis.fit import Fit, fit_design
from analysis.formula import parse_formula

Floats = NDArray[np.float64]


def mixed_logit(formula: str, data: pd.DataFrame, *, quadrature: int = 1) -> MixedLogitResults:
    """The maximum-likelihood fit of a binomial mixed model, by the Laplace approximation.

    With one random effect, `quadrature` > 1 is the number of adaptive Gauss-Hermite points.

    `formula` is lme4's: `correct ~ visualization * network + (1 | participant)`, with 0/1
    outcomes or `cbind(successes, failures)`. Raises FormulaError for a formula that cannot be
    read and ValueError for data that cannot be fitted; what else matters is in `.warnings`.
    """
    if not isinstance(data, pd.DataFrame):
        raise ValueError(
            f"data is {type(data).__name__}: give a DataFrame, such as `main` of an export"
        )
    if isinstance(quadrature, bool) or not isinstance(quadrature, int) or quadrature < 1:
        raise ValueError(f"quadrature = {quadrature!r}: give a number of points, 1 or more")
    parsed = parse_formula(formula, [str(column) for column in data.columns])
    design = build_design(parsed, data)
    fit = fit_design(design, quadrature)
    return MixedLogitResults(MixedLogit(design), fit, advise(design, fit))


class MixedLogit(LikelihoodModel):  # type: ignore[misc]  # statsmodels has no types
    """The model behind a fit: what statsmodels' methods ask of one."""

    def __init__(self, design: Design) -> None:
        proportion = design.successes / np.maximum(design.trials, 1)
        exog = pd.DataFrame(design.x, columns=design.names)
        super().__init__(pd.Series(proportion, name=design.formula.successes), exog)
        self.design = design
        self.formula = design.formula.text
        # statsmodels 0.14 looks for design_info, 0.15 for model_spec.
        info = design.info if not design.dropped else patsy.DesignInfo(design.names)
        self.data.design_info = self.data.model_spec = info


class MixedLogitResults(LikelihoodModelResults):  # type: ignore[misc]
    """Estimates of a binomial mixed model; `params` are the fixed effects, in log-odds."""

    def __init__(self, model: MixedLogit, fit: Fit, warnings: list[str]) -> None:
        params = pd.Series(fit.beta, index=model.design.names)
        # By position: 0.15 renamed the third argument and swallows the old keyword.
        super().__init__(model, params, fit.covariance, 1.0)
        self.fit = fit
        self.design = model.design
        self.warnings = warnings
        self.use_t = False
        self.df_resid = self.nobs - self.df

    @property
    def nobs(self) -> int:
        """Rows of the data."""
        return len(self.design.trials)

    @property
    def df(self) -> int:
        """Parameters: fixed effects and entries of θ."""
        return len(self.fit.beta) + len(self.theta)

    @property
    def llf(self) -> float:
        """Log-likelihood with all constants; lme4's with nAGQ > 1 leaves some out."""
        return self.fit.llf

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2 * self.df - 2 * self.llf

    @property
    def bic(self) -> float:
        """Bayes' criterion, with the number of rows."""
        return float(self.df * np.log(self.nobs) - 2 * self.llf)

    @property
    def converged(self) -> bool:
        """Whether a maximum was reached."""
        return self.fit.converged

    @property
    def is_singular(self) -> bool:
        """Whether a random effect has no variance of its own."""
        return self.fit.singular

    @cached_property
    def bse(self) -> pd.Series[float]:
        """Standard errors of the fixed effects; NaN where the likelihood gives none."""
        return self._named(np.sqrt(np.diag(self.fit.covariance)))

    @cached_property
    def tvalues(self) -> pd.Series[float]:
        """Wald z of the fixed effects."""
        return self._named(self.fit.beta / self.bse.to_numpy())

    @cached_property
    def pvalues(self) -> pd.Series[float]:
        """Two-sided p-values of the Wald z."""
        return self._named(np.asarray(super().pvalues))

    @cached_property
    def theta(self) -> pd.Series[float]:
        """The entries of Λ, the Cholesky factor of the covariance, named as in lme4."""
        entries = {}
        for effects, factor in self._by_group(self.fit.factors):
            for column, row in zip(*np.nonzero(effects.free.T), strict=True):
                names = dict.fromkeys([effects.names[row], effects.names[column]])
                entries[".".join([effects.label, *names])] = factor[row, column]
        return pd.Series(entries)

    @cached_property
    def random_effects_cov(self) -> dict[str, pd.DataFrame]:
        """The covariance matrix of each grouping factor's random effects."""
        return {
            effects.label: pd.DataFrame(
                factor @ factor.T, index=effects.names, columns=effects.names
            )
            for effects, factor in self._by_group(self.fit.factors)
        }

    @cached_property
    def random_effects(self) -> dict[str, pd.DataFrame]:
        """For each grouping factor the conditional modes by level, and with `_se` their errors."""
        tables = {}
        spreads = dict(zip(self.random_effects_cov, self.fit.mode_covariances, strict=True))
        for effects, modes in self._by_group(self.fit.modes):
            errors = np.sqrt(np.diagonal(spreads[effects.label], axis1=1, axis2=2))
            names = [*effects.names, *(f"{name}_se" for name in effects.names)]
            tables[effects.label] = pd.DataFrame(
                np.hstack([modes, errors]), index=effects.levels, columns=names
            )
        return tables

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Wald intervals of the fixed effects, of level 1 - `alpha`."""
        return pd.DataFrame(np.asarray(super().conf_int(alpha=alpha)), index=self.params.index)

    def t_test(self, r_matrix: Any, **options: Any) -> Any:
        """Wald z of linear contrasts: `"network[T.n2] = 0"`, or a matrix over `params`."""
        return self._unnamed.t_test(r_matrix, **options)

    def wald_test(self, r_matrix: Any, **options: Any) -> Any:
        """The joint Wald chi-square test of linear contrasts."""
        return self._unnamed.wald_test(r_matrix, **{"scalar": True, **options})

    def wald_test_terms(self, **options: Any) -> Any:
        """The Wald chi-square test of each term; type III, so code the factors with Sum."""
        return self._unnamed.wald_test_terms(**{"scalar": True, **options})

    @cached_property
    def _unnamed(self) -> Any:
        """The same estimates as an array, which statsmodels' tests ask for."""
        results = LikelihoodModelResults(self.model, self.fit.beta, self.fit.covariance, 1.0)
        results.use_t, results.df_resid = False, self.df_resid
        return results

    def predict(
        self,
        data: pd.DataFrame | None = None,
        *,
        random_effects: bool = True,
        new_levels: bool = False,
        link: bool = False,
    ) -> Floats:
        """Probabilities (n,), or log-odds with `link`, for the rows of `data` or of the fit.

        Without `random_effects` they are those of a typical participant (all effects 0). A level
        that was not in the fit raises ValueError, or with `new_levels` gets effects of 0.
        """
        eta = self._fixed_part(data)
        if random_effects:
            for effects, modes in self._by_group(self.fit.modes):
                eta = eta + _random_part(effects, modes, data, new_levels)
        return eta if link else np.asarray(expit(eta))

    def summary(self, alpha: float = 0.05) -> Any:
        """A printable summary: fit, random effects, fixed effects and the warnings."""
        summary = Summary()
        top = [("Outcome:", [self.design.formula.successes]), ("No. rows:", [str(self.nobs)])]
        top += [(f"No. {e.label}:", [str(len(e.levels))]) for e in self.design.random]
        fit = [("Log-likelihood:", [f"{self.llf:.3f}"]), ("AIC:", [f"{self.aic:.3f}"])]
        fit += [("BIC:", [f"{self.bic:.3f}"]), ("Parameters:", [str(self.df)])]
        fit += [("Converged:", [str(self.converged)]), ("Singular:", [str(self.is_singular)])]
        points = self.fit.points
        how = "Laplace approximation" if points == 1 else f"{points} quadrature points"
        title = f"Mixed logistic regression ({how})"
        summary.add_table_2cols(self, gleft=top, gright=fit, title=title)
        summary.add_table_params(self, alpha=alpha, use_t=False)
        summary.tables.append(self._random_table())
        if self.warnings:
            summary.add_extra_txt([f"Warning: {sentence}" for sentence in self.warnings])
        return summary

    def _random_table(self) -> Any:
        rows = []
        for label, covariance in self.random_effects_cov.items():
            sd = np.sqrt(np.diag(covariance))
            with np.errstate(invalid="ignore", divide="ignore"):
                correlation = covariance.to_numpy() / np.outer(sd, sd)
            for i, name in enumerate(covariance.index):
                others = " ".join(f"{value:.2f}" for value in correlation[i, :i])
                rows.append([label, str(name), f"{sd[i]:.4f}", others])
        return SimpleTable(rows, headers=["random effects", "", "sd", "correlation"])

    def _named(self, values: Floats) -> pd.Series[float]:
        return pd.Series(values, index=self.params.index)

    def _by_group(self, values: list[Floats]) -> list[tuple[RandomEffects, Floats]]:
        return list(zip(self.design.random, values, strict=True))

    def _fixed_part(self, data: pd.DataFrame | None) -> Floats:
        if data is None:
            return np.asarray(self.design.x @ self.fit.beta)
        x = rows_of(self.design.info, data)[:, self.design.kept]
        return np.asarray(x @ self.fit.beta)


def _random_part(
    effects: RandomEffects, modes: Floats, data: pd.DataFrame | None, new_levels: bool
) -> Floats:
    if data is None:
        return np.asarray((effects.z * modes[effects.codes]).sum(axis=1))
    z = np.hstack([rows_of(info, data) for info in effects.infos])
    labels = level_labels(effects.term, data)
    codes = pd.Index(effects.levels).get_indexer(pd.Index(labels))
    if (codes < 0).any() and not new_levels:
        unknown = labels.iloc[int(np.argmax(codes < 0))]
        raise ValueError(
            f"level {unknown!r} of {effects.label} was not in the fit: "
            "predict with new_levels=True to give it an effect of 0"
        )
    known = np.where(codes[:, None] < 0, 0.0, modes[codes])
    return np.asarray((z * known).sum(axis=1))
