"""MACO beside Horama, DreamLens and the limit: time, memory and quality of a visualization.

Same network, size, crops and steps; each contestant in a process of its own, in turn, so that all
see the same machine. Medians over repeats; ratios are medians of the ratios in each turn. Needs
horama and dreamlens (see the Makefile) and the files beside the repository; on a GPU the cases are
ResNet50 and ViT-B/16 with random weights.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import resource
import statistics
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import click
import contestants
import torch
from contestants import Case
from networks import REAL
from torch.utils.flop_counter import FlopCounterMode

RIVALS = ("horama", "dreamlens")
LIMITS = {
    "torch_alone": "network alone, torch's autocast",
    "network_alone": "network alone, as run here",
}
CLASSES = (84, 355)  # peacock and llama, whose scores are compared


def cases(device: str) -> list[Case]:
    """What is compared on a device."""
    if device == "cpu":
        return [Case(model, 8, 1, device) for model in ("vit_tiny_patch16_224", "mobilenetv2_100")]
    return [
        Case(model, 32, units, device)
        for model in ("resnet50", "vit_base_patch16_224")
        for units in (1, 64)
    ]


def timed(who: str, case: Case, steps: int) -> tuple[float, float]:
    """Seconds a step, and the most memory in MiB so far beside the network's own."""
    run = getattr(contestants, who)
    at_rest_mib = resident_mib(case.model, case.device)
    on_gpu = case.device != "cpu"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    run(case, steps)
    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    if on_gpu:
        return seconds / steps, torch.cuda.max_memory_allocated() / 2**20
    return seconds / steps, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - at_rest_mib


@cache
def resident_mib(model: str, device: str) -> float:
    """The memory of this process with nothing but the network in it."""
    contestants.network(model, device)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def answers(who: str, case: Case, steps: int, judges: list[str]) -> list[dict[str, float]]:
    """What the network says of the final images, and whether other networks see the class."""
    made = getattr(contestants, who)(case, steps)
    own = contestants.network(case.model, case.device)
    with torch.no_grad():
        output = own.network(made)
        shown = made * made.new_tensor(own.std)[:, None, None]
        shown = (shown + made.new_tensor(own.mean)[:, None, None]).clamp(0, 1)
        seen = [contestants.network(judge, case.device)(shown).argmax(1) for judge in judges]
    return [
        {
            "class": case.first + unit,
            "logit": float(output[unit, case.first + unit]),
            "softmax": float(output[unit].softmax(0)[case.first + unit]),
            "transfer": float(sum(int(one[unit]) == case.first + unit for one in seen)),
        }
        for unit in range(case.units)
    ]


def matrix_rate(device: str, side: int) -> float:
    """Multiplications and additions a second in products of square bfloat16 matrices."""
    left = torch.rand(side, side, device=device, dtype=torch.bfloat16)
    best = 0.0
    for _ in range(5):
        started = time.perf_counter()
        left @ left
        if device != "cpu":
            torch.cuda.synchronize()
        best = max(best, 2 * side**3 / (time.perf_counter() - started))
    return best


def work(case: Case) -> float:
    """Multiplications and additions a step of all units, forward and by the input."""
    own = contestants.network(case.model, case.device)
    side = own.input_size_px
    view = torch.rand(1, 3, side, side, device=case.device).requires_grad_()
    with FlopCounterMode(display=False) as counter:
        own.network(view).sum().backward()
    return float(counter.get_total_flops() * case.crops * case.units)


def compare(case: Case, pools: dict[str, Pool], steps: int, repeats: int) -> list[dict[str, Any]]:
    """A row for each contestant."""
    for who, pool in pools.items():
        pool.apply(timed, (who, case, 4))  # warms up
    turns = [
        {who: pool.apply(timed, (who, case, steps)) for who, pool in pools.items()}
        for _ in range(repeats)
    ]
    rate = pools["ours"].apply(matrix_rate, (case.device, 8192 if case.device != "cpu" else 2048))
    needed = pools["ours"].apply(work, (case,))
    rows = []
    for who in pools:
        seconds = [turn[who][0] / case.units for turn in turns]
        ratios = [turn[who][0] / turn["ours"][0] for turn in turns]
        rows.append(
            {
                "case": str(case),
                "who": who,
                "image_steps_per_s": 1 / statistics.median(seconds),
                "ratio": statistics.median(ratios),
                "ratio_range": [min(ratios), max(ratios)],
                "memory_mib": statistics.median(turn[who][1] for turn in turns),
                "share_of_matrix_rate": needed / case.units / statistics.median(seconds) / rate,
            }
        )
    return rows


def show(rows: list[dict[str, Any]], steps: int) -> None:
    print(f"\n{rows[0]['case']}, {torch.get_num_threads()} threads", flush=True)
    head = f"image-steps/s, s a visualization of {steps} steps, time over ours (range), MiB"
    print(f"  {'':32s}{head}, share of the matrix rate")
    for row in rows:
        low, high = row["ratio_range"]
        print(
            f"  {label(row['who']):32s}{row['image_steps_per_s']:8.2f}"
            f"{steps / row['image_steps_per_s']:9.1f}{row['ratio']:9.2f} ({low:.2f} to {high:.2f})"
            f"{row['memory_mib']:8.0f}{row['share_of_matrix_rate']:8.2f}"
        )


def label(who: str) -> str:
    """What a contestant is called, with its version."""
    return LIMITS.get(who) or ("this package" if who == "ours" else f"{who} {version(who)}")


def quality(case: Case, pools: dict[str, Pool], steps: int) -> list[dict[str, Any]]:
    """Scores of each contestant's final images at equal steps, and a printed line each."""
    judges = [name for name in REAL if name != case.model]
    rows = []
    for who, pool in pools.items():
        if who in LIMITS:
            continue
        found = []
        for index in CLASSES:
            one = Case(case.model, case.crops, 1, case.device, case.size_px, index)
            found += pool.apply(answers, (who, one, steps, judges))
        mean = {
            name: statistics.mean(score[name] for score in found) for name in ("logit", "softmax")
        }
        right = sum(score["transfer"] for score in found)
        rows.append({"case": str(case), "who": who, "steps": steps, "scores": found})
        print(
            f"  {label(who):32s}after {steps} steps: logit {mean['logit']:.2f}, softmax"
            f" {mean['softmax']:.3f}, transfer {right:.0f} of {len(judges) * len(CLASSES)}"
        )
    return rows


@click.command(help=__doc__)
@click.option("--device", default="cpu", show_default=True)
@click.option("--timed-steps", default=48, show_default=True)
@click.option("--repeats", default=3, show_default=True)
@click.option("--steps", default=256, show_default=True, help="Of the scores; 0: none.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="A file for the numbers.")
def main(device: str, timed_steps: int, repeats: int, steps: int, out: Path | None) -> None:
    """The command line."""
    spawn = multiprocessing.get_context("spawn")
    names = [*(name for name in RIVALS if is_there(name)), "ours", *LIMITS]
    rows, scores = [], []
    for case in cases(device):
        pools = {name: spawn.Pool(1, initializer=quiet) for name in names}
        rows.append(compare(case, pools, timed_steps, repeats))
        show(rows[-1], steps or 256)
        if steps and case.units == 1 and case.model in REAL:
            scores += quality(case, pools, steps)
        for pool in pools.values():
            pool.terminate()
    if out:
        found = {
            "machine": f"{platform.processor() or platform.machine()}, torch {torch.__version__}",
            "threads": torch.get_num_threads(),
            "speed": [row for group in rows for row in group],
            "quality": scores,
        }
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def is_there(package: str) -> bool:
    """Whether a rival can be compared with; says so if not."""
    try:
        version(package)
    except PackageNotFoundError:
        print(f"{package} is not installed and left out")
        return False
    return True


def quiet() -> None:
    """No progress bars of others."""
    os.environ["TQDM_DISABLE"] = "1"


if __name__ == "__main__":
    main()
