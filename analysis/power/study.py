"""Many simulated studies of a plan, each fitted and tested as the real one will be."""

from __future__ import annotations

import itertools
import multiprocessing
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import binomtest, chi2, norm
from tqdm import tqdm

from analysis.adjustment import critical_value
from analysis.design import Design
from analysis.fit import fit_design
from analysis.marginal_means import marginal_means
from analysis.mixed_logit import mixed_logit
from analysis.power.plan import Plan
from analysis.refit import Refits

Floats = NDArray[np.float64]
Task = tuple[Plan, int, float, list[np.random.Generator]]

CHUNK = 25  # studies a task: fixed, so that results do not depend on the number of processes


@dataclass(frozen=True)
class Studies:
    """What fits of simulated studies gave: a row a study, a column a difference of conditions.

    chisq (n,) of the likelihood-ratio test of condition with `df`; estimates, errors (n, k).
    """

    chisq: Floats
    estimates: Floats
    errors: Floats
    converged: NDArray[np.bool_]
    df: int
    omnibus: str


def power(
    plan: Plan,
    participants: Sequence[int],
    generator: np.random.Generator,
    *,
    scales: Sequence[float] = (1.0,),
    simulations: int = 1000,
    alpha: float = 0.05,
    jobs: int = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """How often studies of a plan find its effects, by number of participants and effect scale.

    Each study has new participants and classes, and is fitted by the plan's formula; nobody leaves
    it or is excluded. A row for the likelihood-ratio test of all terms with condition, and for
    each difference of two conditions (Wald, Tukey):
    participants, scale, test, assumed (the true difference of log-odds), power (share of studies
    with p < `alpha`: the type-I error where the difference is 0) with its 95 % Monte-Carlo
    interval low, high; width, expected, of the unadjusted 1 - `alpha` interval and its coverage;
    bias of the estimate; failed (studies without a maximum, which count as not significant).

    The same generator gives the same table with any number of `jobs`; with several, which are
    processes, a script calls this under `if __name__ == "__main__":`.
    """
    _check(scales, simulations, alpha)
    cells = list(itertools.product(participants, scales))
    tasks = [
        (plan, size, scale, streams)
        for (size, scale), cell in zip(cells, generator.spawn(len(cells)), strict=True)
        for streams in _chunks(cell.spawn(simulations))
    ]
    bar = tqdm(total=len(cells) * simulations, desc="simulated studies", disable=not progress)
    with bar:
        done = []
        for task, studies in zip(tasks, _run(tasks, jobs), strict=True):
            done.append(studies)
            bar.update(len(task[3]))
    size = len(tasks) // len(cells)
    tables = [
        _table(plan, *cell, _joined(done[i * size : (i + 1) * size]), alpha)
        for i, cell in enumerate(cells)
    ]
    return pd.concat(tables, ignore_index=True)


def _check(scales: Sequence[float], simulations: int, alpha: float) -> None:
    if simulations < 1:
        raise ValueError(f"simulations = {simulations}: give 1 or more; 1000 are usual")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha = {alpha}: give a probability between 0 and 1, such as 0.05")
    if not scales or not np.isfinite(scales).all():
        raise ValueError(f"scales = {list(scales)}: give one or more numbers, such as 1")


def _chunks(streams: list[np.random.Generator]) -> Iterator[list[np.random.Generator]]:
    return (streams[i : i + CHUNK] for i in range(0, len(streams), CHUNK))


def _run(tasks: list[Task], jobs: int) -> Iterator[Studies]:
    if jobs == 1:
        yield from itertools.starmap(simulate_studies, tasks)
        return
    # Not forked: a BLAS with threads may hang in a child that inherits them.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        yield from pool.map(simulate_studies, *zip(*tasks, strict=True))


def simulate_studies(
    plan: Plan, participants: int, scale: float, streams: Sequence[np.random.Generator]
) -> Studies:
    """Studies of a plan, one from each stream of random numbers."""
    trials = plan.trials(participants)
    first = trials.assign(correct=_outcomes(plan, trials, scale, np.random.default_rng(0)))
    whole = mixed_logit(plan.formula, first)
    null = whole.design.with_columns(_without_condition(whole.design))
    large, small = Refits(whole.design, whole.fit), Refits(null, fit_design(null))
    means = marginal_means(whole, "condition").rows
    contrasts = means[[j for _, j in _pairs(plan)]] - means[[i for i, _ in _pairs(plan)]]
    found = []
    for stream in streams:
        outcomes = _outcomes(plan, trials, scale, stream)
        fit, llf = large.fit(outcomes), small.estimates(outcomes).llf
        variances = np.diag(contrasts @ fit.covariance @ contrasts.T)
        errors = np.sqrt(variances)
        found.append((2 * (fit.llf - llf), contrasts @ fit.beta, errors, fit.converged))
    chisq, estimates, se, converged = (np.array(values) for values in zip(*found, strict=True))
    df = len(whole.design.names) - len(null.names)
    return Studies(chisq, estimates, se, converged, df, _omnibus(whole.design))


def _outcomes(
    plan: Plan, trials: pd.DataFrame, scale: float, generator: np.random.Generator
) -> Floats:
    return generator.binomial(1, expit(plan.log_odds(trials, generator, scale))).astype(np.float64)


def _pairs(plan: Plan) -> list[tuple[int, int]]:
    """All pairs of conditions, of each the one with the smaller assumed effect first."""
    added = list(plan.conditions.values())
    pairs = itertools.combinations(range(len(added)), 2)
    return [(i, j) if added[i] <= added[j] else (j, i) for i, j in pairs]


def _without_condition(design: Design) -> list[int]:
    """The columns of the fixed effects in which condition has no part."""
    part = [_has_condition(term) for term in design.info.terms for _ in _columns(design, term)]
    return [i for i, column in enumerate(design.kept) if not part[column]]


def _columns(design: Design, term: Any) -> range:
    span = design.info.term_slices[term]
    return range(span.start, span.stop)


def _has_condition(term: Any) -> bool:
    return any("condition" in re.findall(r"\w+", factor.name()) for factor in term.factors)


def _omnibus(design: Design) -> str:
    """What the likelihood-ratio test leaves out, in words."""
    terms = [term.name() for term in design.info.terms if _has_condition(term)]
    return " + ".join(terms)


def _joined(parts: list[Studies]) -> Studies:
    chisq, estimates, errors = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("chisq", "estimates", "errors")
    )
    converged = np.concatenate([part.converged for part in parts])
    first = parts[0]
    return Studies(chisq, estimates, errors, converged, first.df, first.omnibus)


def _table(
    plan: Plan, participants: int, scale: float, studies: Studies, alpha: float
) -> pd.DataFrame:
    """The rows of one number of participants and one scale."""
    names, added = list(plan.conditions), np.array(list(plan.conditions.values())) * scale
    true = np.array([added[j] - added[i] for i, j in _pairs(plan)])
    reach = critical_value(
        1 - alpha, "tukey", count=len(true), means=len(names), correlation=np.eye(len(true))
    )
    found = np.abs(studies.estimates) > reach * studies.errors
    near = norm.isf(alpha / 2) * studies.errors
    rows = [(studies.omnibus, np.nan, chi2.sf(studies.chisq, studies.df) < alpha, *[np.nan] * 3)]
    for k, (i, j) in enumerate(_pairs(plan)):
        error = studies.estimates[:, k] - true[k]
        told = np.nanmean(2 * near[:, k]), np.mean(np.abs(error) <= near[:, k]), np.nanmean(error)
        rows.append((f"{names[j]} - {names[i]}", true[k], found[:, k], *told))
    columns = ["test", "assumed", "found", "width", "coverage", "bias"]
    table = pd.DataFrame(rows, columns=columns)
    counted = [hits & studies.converged for hits in table.pop("found")]
    shares = [binomtest(int(hits.sum()), len(hits)) for hits in counted]
    ends = [share.proportion_ci(0.95, method="wilson") for share in shares]
    table.insert(2, "power", [share.statistic for share in shares])
    table.insert(3, "low", [end.low for end in ends])
    table.insert(4, "high", [end.high for end in ends])
    table.insert(0, "participants", participants)
    table.insert(1, "scale", scale)
    return table.assign(failed=int((~studies.converged).sum()), simulations=len(studies.converged))
