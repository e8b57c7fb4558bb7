"""What the machine offers: memory that is kept, budgets, and what counts as running out."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from maco.devices import is_out_of_memory, memory_budget

FAULTS = """
import resource
import torch
from maco.devices import keep_freed_memory
if {keep}:
    kept = keep_freed_memory()
    assert kept, "glibc was not told"
def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.empty(16, 2**20).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
for _ in range(4):  # until the heap has grown
    pages()
print(pages())
"""


def faults(keep):
    """Pages that the system hands out for 5 tensors of 64 MiB, one after the other."""
    command = [sys.executable, "-c", FAULTS.format(keep=keep)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc is told")
def test_freed_memory_is_kept():
    assert faults(keep=True) < 200 < 1000 < faults(keep=False)


def test_a_cpu_gives_half_of_what_is_free_and_4_gib_at_most():
    assert 0 < memory_budget(torch.device("cpu")) <= 4


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("DefaultCPUAllocator"), False),
    ],
)
def test_what_counts_as_out_of_memory(error, expected):
    assert is_out_of_memory(error) == expected


def test_an_allocation_that_no_machine_can_make_is_one():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
