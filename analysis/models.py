"""The models of a study: main effects of condition and network, their interaction, and checks.

After Fel et al. (2023), section 4.1: logistic regressions of being correct with random intercepts
for participants and classes, compared by likelihood ratio and AIC.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.contrasts import Contrasts, pairwise
from analysis.marginal_means import MarginalMeans, marginal_means
from analysis.mixed_logit import MixedLogitResults, mixed_logit
from analysis.omnibus import LikelihoodRatio, anova, likelihood_ratio

__all__ = ["StudyModels", "fit_models"]

FACTORS = ("condition", "network")
GROUPS = ("participant", "class_label")


@dataclass(frozen=True, eq=False)
class StudyModels:
    """The models fitted to some trials.

    factors: those of condition and network that have two levels or more. groups: the grouping
    factors of the random intercepts. interaction and comparison are None with fewer than two
    factors.
    """

    trials: pd.DataFrame
    factors: tuple[str, ...]
    groups: tuple[str, ...]
    additive: MixedLogitResults
    interaction: MixedLogitResults | None
    comparison: LikelihoodRatio | None

    @property
    def chosen(self) -> MixedLogitResults:
        """The model with the lower AIC, as in the paper; the smaller one if they are equal."""
        if self.interaction is not None and self.interaction.aic < self.additive.aic:
            return self.interaction
        return self.additive

    @property
    def has_interaction(self) -> bool:
        """Whether the model with the interaction was chosen."""
        return self.chosen is self.interaction

    def terms(self) -> pd.DataFrame:
        """Type II tests of the chosen model's terms, by likelihood ratio and by Wald.

        Indexed by term: df, chisq, p (likelihood ratio), wald_chisq, wald_p.
        """
        ratio = anova(self.chosen, 2, "likelihood_ratio")
        wald = anova(self.chosen, 2, "wald").add_prefix("wald_").drop(columns="wald_df")
        return ratio[["df", "chisq", "p"]].join(wald)

    def means(self, *factors: str, population: bool = False) -> MarginalMeans:
        """Estimated marginal means of the chosen model."""
        return marginal_means(self.chosen, factors, population=population)

    def contrasts(self, factor: str, by: tuple[str, ...] = ()) -> Contrasts:
        """All differences of a factor's levels in the chosen model, Tukey's adjustment."""
        return pairwise(marginal_means(self.chosen, factor, by=by))

    def structures(self) -> pd.DataFrame:
        """The chosen model beside others with larger random parts: do its tests depend on it?

        Indexed by the random term added: parameters, llf, aic, chisq and p of the likelihood-ratio
        test of the addition (at the boundary), singular, converged, and the Wald chi-square of each
        factor. An addition that cannot be fitted is left out.
        """
        rows = {"": _row(self.chosen, None)}
        for term in self._additions():
            larger = mixed_logit(f"{self.chosen.design.formula.text} + {term}", self.trials)
            try:
                rows[term] = _row(larger, likelihood_ratio(self.chosen, larger))
            except ValueError:  # a fit that went wrong is no reason to lose the others
                continue
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("added")

    def cells(self) -> list[str]:
        """Combinations such as `class_label:network` in which the model lets effects be alike."""
        return [
            term.removeprefix("(1 | ").removesuffix(")")
            for term in self._additions()
            if ":" in term and not term.startswith("(1 | participant")
        ]

    def _additions(self) -> list[str]:
        """Random intercepts that could be needed: effects that differ from item to item."""
        found = []
        if "class_label" in self.groups:
            found += [f"(1 | class_label:{factor})" for factor in self.factors]
        if "network" in self.factors and _crosses(self.trials, "participant", "network"):
            found.append("(1 | participant:network)")
        if "base_image" in self.trials and _is_grouping(self.trials, "base_image"):
            found.append("(1 | base_image)")
        return [term for term in found if self._adds(term)]

    def _adds(self, term: str) -> bool:
        """Whether a random intercept makes other groups than those in the model, and not rows."""
        columns = [name.strip() for name in term.strip("()").split("|")[1].split(":")]
        codes = self.trials.groupby(columns, observed=True).ngroup()
        is_grouping = 1 < codes.nunique() < len(codes)
        return is_grouping and not any(_alike(codes, self.trials[name]) for name in self.groups)


def fit_models(trials: pd.DataFrame) -> StudyModels:
    """The models of the main trials of a study (columns of an export).

    A factor with one level, and classes if there is one only, are left out. Raises ValueError for
    trials that cannot be fitted.
    """
    factors = tuple(name for name in FACTORS if name in trials and trials[name].nunique() > 1)
    groups = tuple(name for name in GROUPS if name in trials and _is_grouping(trials, name))
    if "participant" not in groups:
        raise ValueError("the trials are of one participant: a mixed model needs two or more")
    random = " + ".join(f"(1 | {name})" for name in groups)
    additive = mixed_logit(f"correct ~ {' + '.join(factors) or '1'} + {random}", trials)
    interaction = comparison = None
    if len(factors) == 2:
        interaction = mixed_logit(f"correct ~ {' * '.join(factors)} + {random}", trials)
        comparison = likelihood_ratio(additive, interaction)
    return StudyModels(trials, factors, groups, additive, interaction, comparison)


def _row(results: MixedLogitResults, test: LikelihoodRatio | None) -> dict[str, object]:
    wald = {f"{term}_wald_chisq": value for term, value in anova(results)["chisq"].items()}
    return {
        "parameters": results.df,
        "llf": results.llf,
        "aic": results.aic,
        "chisq": test.chisq if test else np.nan,
        "p": test.p if test else np.nan,
        "singular": results.is_singular,
        "converged": results.converged,
        **wald,
    }


def _is_grouping(trials: pd.DataFrame, column: str) -> bool:
    """Whether a column makes groups: two or more, none missing, not one a row."""
    return 1 < trials[column].nunique() < len(trials) and not trials[column].isna().any()


def _alike(first: pd.Series[int], second: pd.Series[str]) -> bool:
    """Whether two columns make the same groups."""
    pairs = pd.DataFrame({"first": first, "second": second}).drop_duplicates()
    return len(pairs) == first.nunique() == second.nunique()


def _crosses(trials: pd.DataFrame, first: str, second: str) -> bool:
    return bool((trials.groupby(first, observed=True)[second].nunique() > 1).any())
