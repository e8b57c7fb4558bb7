"""Weights from files into networks, and what identifies them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn


def load_weights(network: nn.Module, path: Path, name: str) -> None:
    """Loads a safetensors or pth file into a network; ValueError says how it does not fit."""
    state = read_weights(path)
    for wrapper in ("state_dict", "model"):
        if isinstance(state.get(wrapper), Mapping):
            state = dict(state[wrapper])
    own = network.state_dict()
    missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    other = sorted(key for key in own.keys() & state.keys() if own[key].shape != state[key].shape)
    faults = [
        f"{len(keys)} {what} (such as {keys[0]})"
        for keys, what in (
            (missing, "missing"),
            (unexpected, "unknown"),
            (other, "of another shape"),
        )
        if keys
    ]
    if faults:
        raise ValueError(f"the weights in {path} do not fit {name}: {', '.join(faults)}")
    network.load_state_dict(
        {
            key: value.to(own[key].dtype) if own[key].is_floating_point() else value
            for key, value in state.items()
        }
    )


def read_weights(path: Path) -> dict[str, Any]:
    """What a safetensors or pth file holds, nothing in it executed; ValueError if it is neither."""
    if not path.is_file():
        raise ValueError(f"there is no weights file {path}")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (SafetensorError, RuntimeError, TypeError, OSError, EOFError, KeyError) as error:
        raise ValueError(f"{path} is no weights file: {error}") from error
    except Exception as error:  # torch raises pickle's own errors, whose classes vary
        raise ValueError(f"{path} is no weights file: {str(error).splitlines()[0]}") from error


def digest_weights(network: nn.Module) -> str:
    """SHA-256 of all parameters and buffers: names, types, shapes and values."""
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
