"""What each means does for a network's pass: forward, and the gradient by 8 views.

From the way public code runs a network to the way this package does, one means after the other; all
variants take turns. "Freed memory kept" concerns a whole process, so each side has its own.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from functools import cache
from multiprocessing.pool import Pool
from pathlib import Path

import click
import torch
from networks import REAL, load
from torch import nn

import maco.classifiers
from maco.arithmetic import HalfPrecision
from maco.devices import keep_freed_memory

HALF = "bfloat16 (torch's autocast)"
OWN = "attention and strided convolutions in groups replaced"
FOLDED = "normalisations folded into convolutions"
COMPILED = "torch.compile in place of the last two"
VARIANTS = (  # name, and whether the process keeps freed memory
    ("float32, gradients of the weights too", False),
    ("weights frozen", False),
    ("channels last", False),
    ("freed memory kept", True),
    (HALF, True),
    (OWN, True),
    (FOLDED, True),
)


@cache
def network(model: str, variant: str) -> nn.Module:
    """The network in the state in which a variant runs it."""
    own = load(model).network
    if variant == VARIANTS[0][0]:
        own.requires_grad_(True)
    if variant in {VARIANTS[0][0], VARIANTS[1][0]}:
        own.to(memory_format=torch.contiguous_format)
    return torch.compile(deepcopy(own)) if variant == COMPILED else own


@cache
def running(model: str, variant: str) -> Callable[[], AbstractContextManager[None]]:
    """A context for each pass."""
    if variant in {HALF, COMPILED}:
        return lambda: torch.autocast("cpu", torch.bfloat16)
    if variant in {OWN, FOLDED}:
        own = network(model, variant)
        half = HalfPrecision(torch.device("cpu"), lambda: own(torch.zeros(1, 3, 224, 224)))
        if variant == OWN:
            half.kernels = {}
        return half.running
    return nullcontext


def one_pass(model: str, variant: str, views: int) -> float:
    """Seconds."""
    own, within = network(model, variant), running(model, variant)
    images = torch.rand(views, 3, 224, 224).requires_grad_()
    started = time.perf_counter()
    with within():
        value = own(images)[:, 84].float().sum()
    if variant == VARIANTS[0][0]:
        value.backward()
    else:
        torch.autograd.grad(value, images)
    return time.perf_counter() - started


def start(keeps: bool) -> None:
    """A process that keeps what it has freed, or one that torch has as it is."""
    if keeps:
        keep_freed_memory()
    maco.classifiers.keep_freed_memory = lambda: False  # would be called by every network


@click.command(help=__doc__)
@click.option("--model", "models", multiple=True, default=REAL, show_default=True)
@click.option("--views", default=8, show_default=True)
@click.option("--repeats", default=7, show_default=True)
@click.option("--compiled", is_flag=True, help="torch.compile too; it needs a C++ compiler.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="A file for the numbers.")
def main(
    models: tuple[str, ...], views: int, repeats: int, compiled: bool, out: Path | None
) -> None:
    """The command line."""
    spawn = multiprocessing.get_context("spawn")
    pools: dict[bool, Pool] = {keeps: spawn.Pool(1, start, (keeps,)) for keeps in (False, True)}
    variants = [*VARIANTS, *([(COMPILED, True)] if compiled else [])]
    rows = []
    for model in models:
        seconds: dict[str, list[float]] = {name: [] for name, _ in variants}
        for _ in range(repeats + 1):
            for name, keeps in variants:
                seconds[name].append(pools[keeps].apply(one_pass, (model, name, views)))
        print(f"{model}, {views} views, {torch.get_num_threads()} threads")
        before = variants[0][0]
        for name, _ in variants:
            median = statistics.median(seconds[name][1:])
            pairs = zip(seconds[before][1:], seconds[name][1:], strict=True)
            gain = statistics.median(one / other for one, other in pairs)
            print(f"  {name:56s}{1000 * median:8.1f} ms{gain:8.2f} times as fast", flush=True)
            rows.append({"model": model, "variant": name, "seconds": median, "gain": gain})
            before = name if name != FOLDED else HALF
    if out:
        out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
