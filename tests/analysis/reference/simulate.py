"""The simulated data behind the frozen results of lme4: python simulate.py FOLDER.

The CSV files are in the repository, and the frozen results belong to them: with another numpy the
same seed may draw other numbers, so freeze again after running this.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

Rng = np.random.Generator


def crossed(**levels: int) -> pd.DataFrame:
    """Every combination of the levels 0, 1, ... of the named columns, a row each."""
    index = pd.MultiIndex.from_product([range(n) for n in levels.values()], names=list(levels))
    return index.to_frame(index=False)


def named(numbers: pd.Series[int], letter: str) -> pd.Series[str]:
    """Levels as `c01`, which sort as their numbers do."""
    width = len(str(numbers.max() + 1))
    return letter + (numbers + 1).astype(str).str.zfill(width)


def study(rng: Rng) -> pd.DataFrame:
    """4 conditions between 40 participants, 3 networks within, 12 classes; 5 idle `session`s."""
    rows = crossed(participant=40, class_label=12, network=3)
    condition = rows["participant"] % 4
    eta = 0.4 + np.array([0, 0.35, -0.1, 0.7])[condition] + np.array([0, 0.3, -0.4])[rows.network]
    eta += 0.4 * ((condition == 3) & (rows["network"] == 2))
    eta += rng.normal(0, 0.6, 40)[rows["participant"]] + rng.normal(0, 0.5, 12)[rows["class_label"]]
    eta += rng.normal(0, 0.5, (12, 3))[rows["class_label"], rows["network"]]
    return pd.DataFrame(
        {
            "participant": named(rows["participant"], "p"),
            "condition": np.array(["control", "maco", "mixed", "olah"])[condition],
            "network": np.array(["resnet", "vgg", "vit"])[rows["network"]],
            "class_label": named(rows["class_label"], "c"),
            "session": named(pd.Series(rng.integers(0, 5, len(rows))), "s"),
            "correct": rng.binomial(1, expit(eta)),
        }
    )


def gaps(rng: Rng) -> pd.DataFrame:
    """30 participants see 30 pairs with an activation `gap`; the photographs have a `year`."""
    rows = crossed(participant=30, pair=30)
    gap = rng.normal(0, 1, len(rows)).round(3)
    year = rng.integers(1960, 2025, 30)[rows["pair"]]
    intercept, slope = rng.multivariate_normal([0, 0], [[0.6, 0.25], [0.25, 0.3]], 30).T
    by_pair, by_gap = rng.normal(0, 0.4, 30), rng.normal(0, 0.35, 30)
    eta = 0.5 + 0.02 * (year - 1995) + intercept[rows["participant"]] + by_pair[rows["pair"]]
    eta += gap * (0.8 + slope[rows["participant"]] + by_gap[rows["pair"]])
    return pd.DataFrame(
        {
            "participant": named(rows["participant"], "p"),
            "pair": named(rows["pair"], "q"),
            "gap": gap,
            "year": year,
            "correct": rng.binomial(1, expit(eta)),
        }
    )


def labs(rng: Rng) -> pd.DataFrame:
    """9 labs of 8 participants, numbered anew in each, with 16 trials easy or hard."""
    rows = crossed(lab=9, participant=8, trial=16)
    hard = rows["trial"] % 2
    eta = 0.9 - 0.8 * hard + rng.normal(0, 0.6, 9)[rows["lab"]]
    eta += rng.normal(0, 0.8, (9, 8))[rows["lab"], rows["participant"]]
    return pd.DataFrame(
        {
            "lab": named(rows["lab"], "l"),
            "participant": named(rows["participant"], "p"),
            "difficulty": np.where(hard, "hard", "easy"),
            "correct": rng.binomial(1, expit(eta)),
        }
    )


def counts(rng: Rng) -> pd.DataFrame:
    """Hits and misses of 36 participants in 3 networks, of 5 to 20 trials."""
    rows = crossed(participant=36, network=3)
    condition = rows["participant"] % 2
    eta = 0.2 + 0.5 * condition + np.array([0, 0.4, -0.3])[rows["network"]]
    eta += rng.normal(0, 0.7, 36)[rows["participant"]]
    trials = rng.integers(5, 21, len(rows))
    hits = rng.binomial(trials, expit(eta))
    return pd.DataFrame(
        {
            "participant": named(rows["participant"], "p"),
            "condition": np.array(["control", "maco"])[condition],
            "network": np.array(["resnet", "vgg", "vit"])[rows["network"]],
            "hits": hits,
            "misses": trials - hits,
        }
    )


def main(folder: Path) -> None:
    """Writes one file a design, each from a seed of its own."""
    for seed, design in enumerate((study, gaps, labs, counts), start=1):
        table = design(np.random.default_rng(seed))
        table.to_csv(folder / f"{design.__name__}.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
