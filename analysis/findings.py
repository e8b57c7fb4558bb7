"""All that a study's report says, computed once: from an export to tables.

`analyse` is what `python -m analysis` runs; its parts can be called one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.agreement import agreement
from analysis.bootstrap import BootstrapTest, bootstrap_test
from analysis.descriptives import (
    accuracy,
    activation_bins,
    activation_correlation,
    baseline_comparison,
    confidence,
    reaction_times,
    with_stimuli,
)
from analysis.effect_sizes import RSquared, icc, r_squared
from analysis.exclusions import Exclusions, exclude, is_preregistered, preregistered
from analysis.mixed_logit import mixed_logit
from analysis.models import StudyModels, fit_models
from analysis.profile import profile_conf_int
from analysis.residuals import Residuals, simulate_residuals
from analysis.responses import Export
from stimuli.exclusion_rules import Rule
from stimuli.schema import Study

Step = Callable[[str], object]
STEPS = (
    "models",
    "descriptives",
    "larger random structures",
    "profile intervals",
    "residuals",
)

__all__ = ["STEPS", "Analysis", "Findings", "analyse", "find"]


@dataclass(frozen=True, eq=False)
class Findings:
    """What one set of participants shows.

    descriptives: name -> table of `analysis.descriptives` and `analysis.agreement`; what the data
    lack (confidence, reaction times, a bundle's activations and baselines) has no table.
    coefficients: of the chosen model, with Wald and profile intervals. residuals: by grouping
    factor, and by cells that the model lets be alike. bootstrap: term -> its simulated test, if
    asked for.
    """

    trials: pd.DataFrame
    models: StudyModels
    descriptives: dict[str, pd.DataFrame]
    terms: pd.DataFrame
    structures: pd.DataFrame
    coefficients: pd.DataFrame
    means: dict[str, pd.DataFrame]
    contrasts: dict[str, pd.DataFrame]
    icc: pd.DataFrame
    r_squared: RSquared
    residuals: dict[str, Residuals]
    bootstrap: dict[str, BootstrapTest] = field(default_factory=dict)

    @property
    def participants(self) -> int:
        """How many people answered."""
        return int(self.trials["participant"].nunique())


@dataclass(frozen=True, eq=False)
class Analysis:
    """An export analysed: the findings after exclusions, and those of everyone.

    everyone is None if nobody was excluded or, without exclusions, nothing can be fitted: then
    `everyone_note` says so. preregistered: whether the rules came with the study.
    """

    export: Export
    exclusions: Exclusions
    preregistered: bool
    kept: Findings
    everyone: Findings | None
    everyone_note: str
    remarks: tuple[str, ...]


def analyse(
    export: Export,
    generator: np.random.Generator,
    *,
    rules: Sequence[Rule] | None = None,
    study: Study | None = None,
    draws: int = 0,
    progress: bool = False,
    step: Step = lambda name: None,
) -> Analysis:
    """The findings of an export by its preregistered rules, and without them.

    rules: of exclusion, in place of the preregistered ones. study: the bundle's, for activations
    and baselines. draws: studies to simulate for each test by parametric bootstrap; 0 leaves
    these out. progress: show a bar over them. step: is told each of STEPS when it begins. Raises
    ValueError for data that cannot be used.
    """
    found = exclude(export, preregistered(export) if rules is None else rules)
    streams = generator.spawn(2)
    kept = find(found.kept.main, streams[0], study=study, draws=draws, progress=progress, step=step)
    everyone, note = None, ""
    if not found.dropped:
        note = "No participant was excluded, so the results without exclusions are the same."
    else:
        try:
            everyone = find(
                export.main, streams[1], study=study, draws=draws, progress=progress, step=step
            )
        except ValueError as error:
            note = f"Without exclusions no model can be fitted: {error}"
    told = rules is None and is_preregistered(export)
    return Analysis(export, found, told, kept, everyone, note, tuple(export.remarks))


def find(
    trials: pd.DataFrame,
    generator: np.random.Generator,
    *,
    study: Study | None = None,
    draws: int = 0,
    progress: bool = False,
    step: Step = lambda name: None,
) -> Findings:
    """The findings of some main trials; see `analyse`."""
    described, simulated, drawn = generator.spawn(3)
    step("models")
    models = fit_models(trials)
    step("descriptives")
    descriptives = _describe(trials, study, described)
    step("larger random structures")
    structures = models.structures()
    step("profile intervals")
    coefficients = _coefficients(models)
    step("residuals")
    groups = [*models.groups, *models.cells()]
    residuals = {
        group: simulate_residuals(models.chosen, group.split(":"), stream)
        for group, stream in zip(groups, simulated.spawn(len(groups)), strict=True)
    }
    return Findings(
        trials=trials,
        models=models,
        descriptives=descriptives,
        terms=models.terms(),
        structures=structures,
        coefficients=coefficients,
        means=_means(models),
        contrasts=_contrasts(models),
        icc=icc(models.chosen),
        r_squared=r_squared(models.chosen),
        residuals=residuals,
        bootstrap=_bootstrap(models, draws, drawn, progress) if draws else {},
    )


def _describe(
    trials: pd.DataFrame, study: Study | None, generator: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """The descriptive tables that the columns allow; empty ones are left out."""
    cells = [name for name in ("condition", "network") if name in trials]
    found = {
        f"accuracy_by_{'_and_'.join(by)}": accuracy(trials, by, generator)
        for by in _groupings(trials, cells)
    }
    found["reaction_times"] = reaction_times(trials, ["condition"], generator)
    found["confidence"] = confidence(trials, ["condition"], generator)
    if {"trial_id", "response_side"} <= set(trials):
        once = trials.drop_duplicates(["participant", "trial_id"])  # who repeats one agrees once
        found["agreement"] = agreement(once)
        found["agreement_on_favored"] = agreement(once, choice="correct")
    if study is not None:
        trials = with_stimuli(trials, study)
        if any(str(column).startswith("baseline_") for column in trials):
            found["baselines"] = baseline_comparison(trials)
    if {"activation_difference", "trial_id", "network"} <= set(trials):
        found["activation_correlation"] = activation_correlation(trials)
        found["activation_bins"] = activation_bins(trials, generator)
    return {name: table for name, table in found.items() if not table.empty}


def _groupings(trials: pd.DataFrame, cells: list[str]) -> list[list[str]]:
    classes = ["class_label"] if "class_label" in trials else []
    singles = [[name] for name in (*cells, *classes)]
    return [*singles, cells] if len(cells) > 1 else singles


def _coefficients(models: StudyModels) -> pd.DataFrame:
    """Estimates of the chosen model: estimate, se, z, p, Wald low and high, and the profile's."""
    results = models.chosen
    table = pd.DataFrame({"estimate": results.params, "se": results.bse, "z": results.tvalues})
    wald = results.conf_int().set_axis(["low", "high"], axis=1)
    spread = {
        f"{name} | {label}": float(np.sqrt(covariance.loc[name, name]))
        for label, covariance in results.random_effects_cov.items()
        for name in covariance.index
    }
    table = table.assign(p=results.pvalues).join(wald)
    sds = pd.DataFrame({"estimate": spread})
    profile = profile_conf_int(results).add_prefix("profile_")
    return pd.concat([table, sds]).join(profile)


def _means(models: StudyModels) -> dict[str, pd.DataFrame]:
    """Marginal means on both scales, of each factor and of their cells, and over the population."""
    wanted: list[tuple[str, ...]] = [(factor,) for factor in models.factors]
    if len(models.factors) > 1:
        wanted.append(models.factors)
    found = {}
    for factors in wanted:
        name = "_and_".join(factors)
        means = models.means(*factors)
        found[f"{name}_log_odds"] = means.table("link")
        found[f"{name}_probability"] = means.table("response")
        found[f"{name}_population"] = models.means(*factors, population=True).table("response")
    return found


def _contrasts(models: StudyModels) -> dict[str, pd.DataFrame]:
    """Tukey contrasts of each factor; with an interaction also within the other's levels."""
    found = {}
    for factor in models.factors:
        contrasts = models.contrasts(factor)
        found[factor] = contrasts.table()
        found[f"{factor}_odds_ratios"] = contrasts.table(odds_ratios=True)
        if models.has_interaction:
            (other,) = set(models.factors) - {factor}
            found[f"{factor}_by_{other}"] = models.contrasts(factor, (other,)).table()
    return found


def _bootstrap(
    models: StudyModels, draws: int, generator: np.random.Generator, progress: bool
) -> dict[str, BootstrapTest]:
    """The parametric bootstrap of each factor in the additive model, and of the interaction."""
    random = " + ".join(f"(1 | {name})" for name in models.groups)
    tests = {}
    for factor, stream in zip(models.factors, generator.spawn(len(models.factors)), strict=True):
        others = " + ".join(name for name in models.factors if name != factor) or "1"
        small = mixed_logit(f"correct ~ {others} + {random}", models.trials)
        tests[factor] = bootstrap_test(small, models.additive, draws, stream, progress=progress)
    if models.interaction is not None:
        tests[":".join(models.factors)] = bootstrap_test(
            models.additive, models.interaction, draws, generator, progress=progress
        )
    return tests
