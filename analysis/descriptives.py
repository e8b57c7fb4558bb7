"""What was observed, before any model: accuracy, reaction times, confidence, and the stimuli.

Every mean is a mean over participants: each participant's own mean in the cell first, so that
each counts once. Intervals are percentile intervals of a bootstrap that draws participants with
replacement within the cell. `sd` has ddof = 1 (the sample's). A cell with a single participant has
neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from stimuli.schema import Study

__all__ = [
    "accuracy",
    "activation_bins",
    "activation_correlation",
    "baseline_comparison",
    "confidence",
    "reaction_times",
    "with_stimuli",
]

Floats = NDArray[np.float64]
RESAMPLES = 10_000
BATCH = 1_000_000  # numbers drawn at a time


def accuracy(
    trials: pd.DataFrame,
    by: Sequence[str],
    generator: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> pd.DataFrame:
    """The share of correct trials in each cell.

    by: columns that make the cells, none for all trials. Gives a row a cell: participants, trials,
    mean, sd, low, high.
    """
    return _means(trials, "correct", by, generator, resamples, level)


def confidence(
    trials: pd.DataFrame,
    by: Sequence[str],
    generator: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> pd.DataFrame:
    """Mean ratings in each cell, of all, correct and wrong trials (column `responses`).

    Columns as `accuracy`. Trials without a rating do not count; empty if confidence was not asked.
    """
    rated = trials.dropna(subset=["confidence"]) if "confidence" in trials else trials.iloc[:0]
    tables = [
        _means(part, "confidence", by, generator, resamples, level).assign(responses=name)
        for name, part in _by_outcome(rated)
        if len(part)
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def reaction_times(
    trials: pd.DataFrame,
    by: Sequence[str],
    generator: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> pd.DataFrame:
    """Reaction times in ms in each cell, of all, correct and wrong trials (column `responses`).

    median_ms: median over participants of each one's median. geometric_mean_ms: exp of the mean
    over participants of each one's mean log, with its interval low_ms, high_ms; sd_log: of those
    mean logs. Times of 0 ms have no log and do not count.
    """
    timed = trials[trials["rt_ms"] > 0] if "rt_ms" in trials else trials.iloc[:0]
    tables = []
    for name, part in _by_outcome(timed):
        if part.empty:
            continue
        logs = part.assign(log_ms=np.log(part["rt_ms"]))
        found = _means(logs, "log_ms", by, generator, resamples, level)
        medians = _by_participant(part, "rt_ms", by, "median")
        table = found[[*by, "participants", "trials"]].assign(responses=name)
        table["median_ms"] = [cell["value"].median() for _, cell in _cells(medians, by)]
        table["geometric_mean_ms"] = np.exp(found["mean"])
        table["low_ms"], table["high_ms"] = np.exp(found["low"]), np.exp(found["high"])
        tables.append(table.assign(sd_log=found["sd"]))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def with_stimuli(trials: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The trials with what the bundle knows of each.

    activation_difference: of the favored query's activation and the other's, in the network's own
    units. baseline_NAME: 1 if the object-blind baseline NAME predicts the favored query, 0 if the
    other, .5 if it cannot tell, missing where the trial has no such baseline. Raises ValueError
    for a trial that the study has not.
    """
    known = {trial.id: trial for trial in study.trials}
    for trial_id in trials["trial_id"].unique():
        if trial_id not in known:
            raise ValueError(
                f"trial {trial_id!r} is none of the study {study.name!r}: wrong bundle?"
            )
    names = sorted({name for trial in study.trials for name in trial.baselines})
    rows = []
    for trial in known.values():
        low, high = sorted(query.activation for query in trial.queries)
        row: dict[str, object] = {"trial_id": trial.id, "activation_difference": high - low}
        for name in (name for name in names if name in trial.baselines):
            values = trial.baselines[name]
            row[f"baseline_{name}"] = _prediction(values[trial.favored], values[1 - trial.favored])
        rows.append(row)
    told = pd.DataFrame(rows).set_index("trial_id")
    joined = told.reindex(trials["trial_id"].astype(object)).set_index(trials.index)
    return trials.assign(**{str(column): joined[column] for column in joined})


def activation_correlation(trials: pd.DataFrame) -> pd.DataFrame:
    """Spearman's correlation over trials of their difference in activation and their accuracy.

    A row a network, since networks' activations have no common unit: network, items (different
    trials), rho, p. NaN with fewer than three items, or where all are alike.
    """
    items = _items(trials)
    rows = []
    for (network,), group in _cells(items, ["network"]):
        columns = group["activation_difference"], group["correct"]
        told = len(group) >= 3 and all(column.nunique() > 1 for column in columns)
        rho, p = spearmanr(*columns) if told else (np.nan, np.nan)
        rows.append({"network": network, "items": len(group), "rho": float(rho), "p": float(p)})
    return pd.DataFrame(rows)


def activation_bins(
    trials: pd.DataFrame,
    generator: np.random.Generator,
    *,
    bins: int = 5,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> pd.DataFrame:
    """Accuracy in bins of equally many items by their difference in activation, a network apart.

    bin: 1 has the smallest differences. Columns as `accuracy`, and the bin's mean difference.
    """
    items = _items(trials)
    ranks = items.groupby("network", observed=True)["activation_difference"].rank(method="first")
    sizes = items.groupby("network", observed=True)["trial_id"].transform("size")
    items = items.assign(bin=np.ceil(ranks / sizes * bins).astype(int))
    placed = trials.merge(items[["network", "trial_id", "bin"]], on=["network", "trial_id"])
    found = accuracy(placed, ["network", "bin"], generator, resamples=resamples, level=level)
    means = items.groupby(["network", "bin"], observed=True)["activation_difference"].mean()
    return found.merge(means.reset_index(), on=["network", "bin"])


def baseline_comparison(trials: pd.DataFrame, by: Sequence[str] = ("condition",)) -> pd.DataFrame:
    """Participants beside object-blind baselines, on the trials that they saw.

    A row a cell and baseline: trials, baseline_accuracy (a trial it cannot decide counts .5),
    accuracy (participants'), same (share of answers that are the baseline's), accuracy_when_right
    and accuracy_when_wrong: participants' where the baseline is right and where it is wrong. The
    last shows what a picture without the object cannot explain.
    """
    names = [column for column in trials if str(column).startswith("baseline_")]
    if not names:
        raise ValueError("the trials have no baselines: give with_stimuli a bundle that has them")
    rows = []
    for key, cell in _cells(trials, by):
        for name in names:
            told = cell.dropna(subset=[name])
            guess, right = told[name], told["correct"]
            decided = guess != 0.5
            rows.append(
                dict(zip(by, key, strict=True))
                | {"baseline": str(name).removeprefix("baseline_"), "trials": len(told)}
                | {"baseline_accuracy": guess.mean(), "accuracy": right.mean()}
                | {"same": (guess == right)[decided].mean()}
                | {"accuracy_when_right": right[guess == 1].mean()}
                | {"accuracy_when_wrong": right[guess == 0].mean()}
            )
    return pd.DataFrame(rows)


def _means(
    trials: pd.DataFrame,
    column: str,
    by: Sequence[str],
    generator: np.random.Generator,
    resamples: int,
    level: float,
) -> pd.DataFrame:
    if trials.empty:
        raise ValueError(f"there are no trials to take the mean {column} of")
    counts = [len(cell) for _, cell in _cells(trials, by)]
    own = _by_participant(trials, column, by, "mean")
    rows = []
    for (key, cell), count in zip(_cells(own, by), counts, strict=True):
        values = cell["value"].to_numpy(dtype=float)
        low, high = _interval(values, generator, resamples, level)
        rows.append(
            dict(zip(by, key, strict=True))
            | {"participants": len(values), "trials": count, "mean": values.mean()}
            | {"sd": values.std(ddof=1) if len(values) > 1 else np.nan, "low": low, "high": high}
        )
    return pd.DataFrame(rows)


def _interval(
    values: Floats, generator: np.random.Generator, resamples: int, level: float
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of some values."""
    size = len(values)
    if size < 2:
        return np.nan, np.nan
    step = max(1, BATCH // size)
    means = [
        values[generator.integers(size, size=(min(step, resamples - done), size))].mean(axis=1)
        for done in range(0, resamples, step)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _by_participant(
    trials: pd.DataFrame, column: str, by: Sequence[str], statistic: str
) -> pd.DataFrame:
    """Each participant's own `value` in each cell."""
    groups = trials.groupby([*by, "participant"], observed=True)[column]
    return groups.agg(statistic).rename("value").reset_index()


def _cells(
    table: pd.DataFrame, by: Sequence[str]
) -> Iterator[tuple[tuple[object, ...], pd.DataFrame]]:
    for column in by:
        if column not in table:
            raise ValueError(
                f"these data have no column {column!r}; they have {', '.join(map(str, table))}"
            )
    if not by:
        yield (), table
        return
    for key, cell in table.groupby(list(by), observed=True):
        yield tuple(key), cell


def _by_outcome(trials: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    yield "all", trials
    yield "correct", trials[trials["correct"] == 1]
    yield "wrong", trials[trials["correct"] == 0]


def _items(trials: pd.DataFrame) -> pd.DataFrame:
    """The different trials: network, trial_id, activation_difference, correct (a share)."""
    if "activation_difference" not in trials:
        raise ValueError("the trials have no activation_difference: give with_stimuli the bundle")
    groups = trials.groupby(["network", "trial_id"], observed=True)
    return groups[["activation_difference", "correct"]].mean().reset_index()


def _prediction(favored: float, other: float) -> float:
    return 0.5 if favored == other else float(favored > other)
