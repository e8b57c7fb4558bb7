"""Do participants who saw the same trials choose the same? Agreement beyond chance.

Cohen (1960), "A coefficient of agreement for nominal scales", Educational and Psychological
Measurement 20, 37-46. Fleiss (1971), "Measuring nominal scale agreement among many raters",
Psychological Bulletin 76, 378-382.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = ["agreement", "cohen_kappa", "fleiss_kappa", "pairwise_kappa"]

Floats = NDArray[np.float64]


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """Cohen's kappa of two raters' labels of the same items, in [-1, 1].

    kappa = (p_o - p_e) / (1 - p_e): p_o is the share of equal labels, p_e what the two raters' own
    label frequencies give by chance. NaN where both use one and the same label throughout.
    """
    if len(first) != len(second) or not len(first):
        raise ValueError(f"two raters of the same items, not of {len(first)} and {len(second)}")
    labels = {label: code for code, label in enumerate(dict.fromkeys([*first, *second]))}
    table = np.zeros((len(labels), len(labels)))
    for one, other in zip(first, second, strict=True):
        table[labels[one], labels[other]] += 1 / len(first)
    return float(_beyond(np.trace(table), table.sum(0) @ table.sum(1)))


def fleiss_kappa(counts: ArrayLike) -> float:
    """Fleiss' kappa of counts (items, categories): how many raters put the item there.

    An item with one rating tells nothing and is left out. Where items have different numbers of
    ratings, each counts once in the observed agreement and each rating once in the category
    frequencies; with equal numbers this is Fleiss' formula. NaN if only one category is used.
    """
    table = np.asarray(counts, dtype=float)
    if table.ndim != 2 or (table < 0).any():
        raise ValueError("counts are a table (items, categories) of numbers of raters")
    table = table[table.sum(1) >= 2]
    if not len(table):
        raise ValueError("no item has two ratings, so there is no agreement to measure")
    raters = table.sum(1)
    observed = (((table**2).sum(1) - raters) / (raters * (raters - 1))).mean()
    frequencies = table.sum(0) / table.sum()
    return float(_beyond(observed, (frequencies**2).sum()))


def pairwise_kappa(
    trials: pd.DataFrame, *, choice: str = "response_side", at_least: int = 2
) -> pd.DataFrame:
    """Cohen's kappa of every two participants over the trials both saw.

    A row a pair: first, second, trials (how many both saw, `at_least` so many), same (share of
    equal choices), kappa. choice: the column that holds what was chosen.
    """
    labels, names = _choices(trials, choice)
    chosen = [(labels == code).astype(float) for code in range(int(labels.max()) + 1)]
    seen = (labels >= 0).astype(float)
    both = seen @ seen.T
    with np.errstate(invalid="ignore", divide="ignore"):
        same = sum((one @ one.T for one in chosen), np.zeros_like(both)) / both
        shares = [one @ seen.T / both for one in chosen]
        expected = sum((share * share.T for share in shares), np.zeros_like(both))
        kappa = _beyond(same, expected)
    first, second = np.triu_indices(len(names), k=1)
    keep = both[first, second] >= at_least
    first, second = first[keep], second[keep]
    return pd.DataFrame(
        {
            "first": names[first],
            "second": names[second],
            "trials": both[first, second].astype(int),
            "same": same[first, second],
            "kappa": kappa[first, second],
        }
    )


def agreement(
    trials: pd.DataFrame,
    by: Sequence[str] = ("condition",),
    *,
    choice: str = "response_side",
    at_least: int = 2,
) -> pd.DataFrame:
    """Agreement among the participants of each group of trials.

    A row a group: participants, items (trials with two answers or more), pairs, same (mean share
    of equal choices), cohen (mean over the pairs whose kappa is defined) and fleiss. With
    choice="response_side", chance is what each person's or the group's use of the sides gives;
    with choice="correct" it is how often the favored query is chosen at all, as for a comparison
    with Zimmermann et al. (2021).
    """
    rows = []
    for key, group in trials.groupby(list(by), observed=True):
        labels, names = _choices(group, choice)
        counts = np.stack([(labels == code).sum(0) for code in range(int(labels.max()) + 1)], 1)
        shared = counts.sum(1) >= 2
        pairs = pairwise_kappa(group, choice=choice, at_least=at_least)
        rows.append(
            dict(zip(by, key, strict=True))
            | {"participants": len(names), "items": int(shared.sum()), "pairs": len(pairs)}
            | {"same": pairs["same"].mean(), "cohen": pairs["kappa"].mean()}
            | {"fleiss": fleiss_kappa(counts) if shared.any() else float("nan")}
        )
    return pd.DataFrame(rows)


def _choices(trials: pd.DataFrame, choice: str) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Codes (participants, items) of what was chosen, -1 where not seen; the participants."""
    for column in ("participant", "trial_id", choice):
        if column not in trials:
            raise ValueError(f"agreement needs the column {column!r}, which these data have not")
    answered = trials.dropna(subset=[choice])
    if answered.empty:
        raise ValueError(f"agreement: there is no trial with a {choice}")
    if answered.duplicated(["participant", "trial_id"]).any():
        twice = answered[answered.duplicated(["participant", "trial_id"])].iloc[0]
        raise ValueError(
            f"participant {twice['participant']!r} answered trial {twice['trial_id']!r} twice"
        )
    people, names = pd.factorize(answered["participant"].astype(object))
    items, trial_ids = pd.factorize(answered["trial_id"].astype(object))
    codes, _ = pd.factorize(answered[choice].astype(object), sort=True)
    found = np.full((len(names), len(trial_ids)), -1)
    found[people, items] = codes
    return found, np.asarray(names, dtype=object)


def _beyond(observed: ArrayLike, expected: ArrayLike) -> Floats:
    """(observed - expected) / (1 - expected), NaN where chance alone agrees always."""
    room = 1 - np.asarray(expected, dtype=float)
    room = np.where(room < 1e-12, np.nan, room)
    return np.asarray((np.asarray(observed, dtype=float) - expected) / room)
