"""Mixed logistic regression beside lme4's glmer: a Markdown table of times.

    python tests/benchmarks/mixed_models.py --repeats 5

Fits take turns, ours, glmer with bobyqa, glmer as it comes, so that other work on the machine slows
all of them. Ours counts from formula and table to results and warnings; R's clock runs around
glmer alone. Figures are medians, with the range in brackets; the ratio is the median over turns.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
import pandas as pd
from scipy.special import expit

from analysis import mixed_logit
from analysis.bootstrap import bootstrap

SHARED = Path(__file__).parents[3] / "shared" / "data" / "glmm" / "maco_sim.csv"
RANDOM = "(1 | participant) + (1 | class)"
MODELS = {
    "interaction": f"correct ~ visualization * network + {RANDOM}",
    "additive": f"correct ~ visualization + network + {RANDOM}",
}
OPTIMISERS = {"bobyqa": 'glmerControl("bobyqa")', "default": "glmerControl()"}
GOALS = {"fit": 0.3, "ratio": 10.0, "refits": 60.0, "large": 15.0, "memory": 2.0}

# Reads a formula and a control a line, and answers with the seconds that glmer took.
GLMER = """
suppressPackageStartupMessages(library(lme4))
data <- read.csv(commandArgs(TRUE), stringsAsFactors = TRUE)
asked <- file("stdin", "r")
while (length(line <- readLines(asked, 1))) {
  parts <- strsplit(line, "\\t")[[1]]
  model <- as.formula(parts[1])
  control <- eval(parse(text = parts[2]))
  timed <- system.time(suppressWarnings(glmer(model, data, binomial, control)))
  cat(timed[["elapsed"]], "\\n")
  flush(stdout())
}
"""


def simulate(participants: int, classes: int, networks: int, seed: int = 20) -> pd.DataFrame:
    """Every participant judges every class in every network; 4 visualizations between them."""
    rng = np.random.default_rng(seed)
    sizes = (participants, classes, networks)
    person, label, network = (axis.ravel() for axis in np.indices(sizes))
    visualization = person % 4
    eta = 0.4 + np.array([0, 0.35, -0.1, 0.6])[visualization] + 0.25 * (network == 1)
    eta += rng.normal(0, 0.5, participants)[person] + rng.normal(0, 0.5, classes)[label]
    return pd.DataFrame(
        {
            "participant": np.char.mod("p%04d", person),
            "visualization": np.array(["control", "maco", "mixed", "olah"])[visualization],
            "network": np.char.mod("n%d", network),
            "class": np.char.mod("c%03d", label),
            "correct": rng.binomial(1, expit(eta)),
        }
    )


class Glmer:
    """glmer in an R that stays up between fits."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def seconds(self, formula: str, control: str) -> float:
        """How long one fit took, by R's clock."""
        asked, answers = self.process.stdin, self.process.stdout
        print(f"{formula}\t{control}", file=asked, flush=True)
        return float(answers.readline() if answers else "nan")


@contextmanager
def running_r(data: pd.DataFrame) -> Iterator[Glmer | None]:
    """R with the data loaded, or None without R and lme4."""
    with tempfile.TemporaryDirectory() as name:
        table, script = Path(name) / "data.csv", Path(name) / "glmer.R"
        data.to_csv(table, index=False)
        script.write_text(GLMER)
        load = ["Rscript", "-e", "library(lme4)"]
        if not shutil.which("Rscript") or subprocess.run(load, capture_output=True).returncode:
            yield None
            return
        pipe = subprocess.PIPE
        command = ["Rscript", str(script), str(table)]
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
            yield Glmer(process)
            if process.stdin:
                process.stdin.close()


def seconds(formula: str, data: pd.DataFrame) -> float:
    """How long one fit of ours takes."""
    start = time.perf_counter()
    mixed_logit(formula, data)
    return time.perf_counter() - start


def large_fit(participants: int) -> tuple[float, float]:
    """Seconds where each participant judges 100 classes once, and this process' most memory, GB."""
    data = simulate(participants, 100, 1)
    place = np.arange(len(data))
    data["network"] = np.char.mod("n%d", (place + place // 100) % 3)
    taken = seconds(MODELS["interaction"], data)
    return taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def refits(data: pd.DataFrame, draws: int) -> float:
    """Seconds for a parametric bootstrap of the interaction model."""
    results = mixed_logit(MODELS["interaction"], data)
    start = time.perf_counter()
    bootstrap(results, draws, np.random.default_rng(0))
    return time.perf_counter() - start


def spread(values: list[float], digits: int = 2) -> str:
    """`0.17 s (0.16 to 0.19)`."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} s ({low:.{digits}f} to {high:.{digits}f})"


def versus(met: bool, goal: str) -> str:
    """The goal, and whether it is met."""
    return f"{goal}: {'met' if met else 'MISSED'}"


def compare(name: str, data: pd.DataFrame, glmer: Glmer | None, repeats: int) -> list[str]:
    """The table's row of one model, after a first turn that is not counted."""
    formula = MODELS[name]
    ours: list[float] = []
    theirs: dict[str, list[float]] = {optimiser: [] for optimiser in OPTIMISERS}
    seconds(formula, data)
    for _ in range(repeats):
        ours.append(seconds(formula, data))
        for optimiser, control in OPTIMISERS.items():
            if glmer:
                theirs[optimiser].append(glmer.seconds(formula, control))
    cells = [spread(values) if values else "R is not installed" for values in theirs.values()]
    ratio, goal = "-", versus(statistics.median(ours) <= GOALS["fit"], f"{GOALS['fit']} s")
    if glmer:
        ratios = [b / a for a, b in zip(ours, theirs["bobyqa"], strict=True)]
        middle = statistics.median(ratios)
        ratio = f"{middle:.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
        goal += "; " + versus(middle >= GOALS["ratio"], f"{GOALS['ratio']:g} times")
    return [f"{name}, {len(data):,} rows", spread(ours), *cells, ratio, goal]


class Table:
    """Rows of cells, printed as they come."""

    def __init__(self, *columns: str) -> None:
        self.columns = columns
        self.rows: list[dict[str, str]] = []
        print(self._line(columns))
        print(self._line(["---"] * len(columns)), flush=True)

    def add(self, *cells: str) -> None:
        self.rows.append(dict(zip(self.columns, cells, strict=True)))
        print(self._line(cells), flush=True)

    @staticmethod
    def _line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"


@click.command(help=__doc__)
@click.option("--repeats", default=5, show_default=True)
@click.option("--draws", default=1000, show_default=True, help="Bootstrap refits.")
@click.option("--rows-large", default=300_000, show_default=True, help="100 a participant.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="A file for the table.")
def main(repeats: int, draws: int, rows_large: int, out: Path | None) -> None:
    """The command line."""
    data = pd.read_csv(SHARED) if SHARED.exists() else simulate(174, 17, 3)
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} processors, load {load:.1f} at the start, {repeats} turns\n")
    table = Table("model", "ours", "glmer, bobyqa", "glmer, default", "bobyqa / ours", "goal")
    with running_r(data) as glmer:
        for name in MODELS:
            table.add(*compare(name, data, glmer, repeats))
    taken = refits(data, draws)
    goal = versus(taken / draws <= GOALS["refits"] / 1000, f"{GOALS['refits'] * draws / 1000:g} s")
    table.add(f"{draws:,} bootstrap refits", f"{taken:.1f} s", "-", "-", "-", goal)
    participants = rows_large // 100
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        taken, memory = pool.submit(large_fit, participants).result()
    goal = versus(taken <= GOALS["large"] and memory <= GOALS["memory"], "15 s, 2 GB")
    name = f"interaction, {participants * 100:,} rows, {participants:,} participants, 100 classes"
    table.add(name, f"{taken:.1f} s, {memory:.2f} GB", "-", "-", "-", goal)
    if out:
        out.write_text(json.dumps(table.rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
