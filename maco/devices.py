"""What the machine offers: its devices, their memory, and the arithmetic they are fast at."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch

_FREE_SHARE = 0.5  # of the memory that is free: other work wants some, and so do the images
_CPU_GIB = 4.0  # enough for what a CPU is fast at
# glibc's names, from malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def check_device(device: str | torch.device) -> torch.device:
    """The device, if this machine has it, else ValueError. "auto": CUDA where there is."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"unknown device {device!r}: cpu, cuda, cuda:0, mps or auto") from error
    if found.type not in {"cpu", "cuda", "mps"}:
        raise ValueError(f"unknown device {device!r}: cpu, cuda, cuda:0, mps or auto")
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device} was asked for, but torch sees no GPU here: use cpu")
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"device {device} was asked for, but torch sees no Apple GPU: use cpu")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device {device} was asked for, but there are {torch.cuda.device_count()}"
        )
    return found


def fastest_batch(device: torch.device) -> int:
    """How many images at once are fastest: on a CPU, what its caches hold of a network."""
    return 16 if device.type == "cpu" else 256


def fastest_group(device: torch.device) -> int:
    """How many images to render in one pass where there are many: enough to keep it busy."""
    return 16 if device.type == "cpu" else 64


def has_half_precision(device: torch.device) -> bool:
    """Whether it multiplies bfloat16 matrices in hardware: GPUs, and CPUs with AMX."""
    if device.type == "cpu":
        # Older versions of torch cannot be asked.
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", lambda: {})()
        return bool(capabilities.get("amx_bf16"))
    return device.type == "cuda"


def memory_budget(device: torch.device) -> float:
    """GiB that a network's activations may take: half of what is free, on a CPU 4 at most."""
    if device.type == "cuda":
        # What torch keeps for later is free too: else a second rendering would get less.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return _FREE_SHARE * float(torch.cuda.mem_get_info(device)[0] + kept) / 2**30
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux
        return _CPU_GIB
    free_kib = next((int(one.split()[1]) for one in lines if one.startswith("MemAvailable")), None)
    return _CPU_GIB if free_kib is None else min(_CPU_GIB, _FREE_SHARE * free_kib / 2**20)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch says that memory ran out, on whichever device."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    )


@cache
def keep_freed_memory() -> bool:
    """Lets this process keep up to 2 GiB that it has freed; False where this cannot be said.

    Networks free and ask for the same large tensors in every pass. glibc gives each of them back to
    the system, which clears it anew: a third of the time of a pass of MobileNetV2 on a CPU.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
