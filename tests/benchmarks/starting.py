"""How long each command takes to start: its --help, and a build that finds its study finished.

Medians over repeats, each in a Python of its own, and which heavy packages it loads. The last row
is left out where the bundle is not there.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
DEMO = "stimuli/studies/demo.toml"
MODULES = (
    *("stimuli.build", "stimuli.observers", "stimuli.demo.train"),
    *("maco.render", "maco.evaluate", "maco.spectrum", "maco.gallery"),
    *("maco.layers", "maco.invert", "maco.concepts", "analysis", "analysis.power"),
)
HEAVY = ("torch", "timm", "pandas")


def commands(bundle: Path) -> dict[str, list[str]]:
    """What is typed after `python` -> its words."""
    words = {f"{module} --help": ["-m", module, "--help"] for module in MODULES}
    words["flask --help"] = ["-m", "flask", "--app", "experiment_server", "--help"]
    if (bundle / "study.json").is_file():
        words["stimuli.build, finished"] = ["-m", "stimuli.build", DEMO, "--out", str(bundle)]
    return words


def run_s(words: list[str]) -> float:
    """Wall time of a command in seconds. Raises CalledProcessError if it fails."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - started


def heavy(words: list[str]) -> list[str]:
    """Which heavy packages a command loads."""
    traced = [sys.executable, "-X", "importtime", *words]
    done = subprocess.run(traced, cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    return [name for name in HEAVY if name in loaded]


@click.command(help=__doc__)
@click.option("--bundle", type=click.Path(path_type=Path), default=ROOT / "studies" / "demo")
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(min=1))
@click.option("--json", "out", type=click.Path(path_type=Path), help="A file for the numbers.")
def main(bundle: Path, repeats: int, out: Path | None) -> None:
    """The command line."""
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        print("PYTHONDONTWRITEBYTECODE is set: every start may compile all that it loads")
    rows = []
    print(f"{'command':<28}{'median, s':>10}{'least, s':>10}  loads")
    for name, words in commands(bundle.absolute()).items():
        loads = heavy(words)  # also the run that leaves compiled files to the later ones
        times_s = [run_s(words) for _ in range(repeats)]
        row = {"command": name, "median_s": statistics.median(times_s), "least_s": min(times_s)}
        rows.append(row | {"times_s": times_s, "loads": loads})
        print(f"{name:<28}{row['median_s']:>10.2f}{row['least_s']:>10.2f}  {', '.join(loads)}")
    if out:
        out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
