"""Networks as commands name them: the hub's, a file of weights, or a line of a table of networks.

A table is a TOML file with the `[[networks]]` of a study file, so a study file itself will do:

    [[networks]]
    name = "ResNet50"
    model = "resnet50.a1_in1k"
    weights = "resnet50.safetensors"     # beside the table; without it, the hub's
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Container
from pathlib import Path
from typing import Any

from maco.classifiers import Classifier

_KEYS = ("name", "model", "weights", "options", "input_size_px", "mean", "std", "labels")


def load_network(
    name: str,
    *,
    networks: Path | None = None,
    weights: Path | None = None,
    device: str = "auto",
) -> Classifier:
    """The network of a name: of the table `networks` if given there, else timm's or torchvision's.

    weights: a file for a network that is not in the table. Raises ValueError for a table that
    cannot be read, and for everything that `Classifier.load` refuses.
    """
    table = read_networks(networks) if networks is not None else {}
    if name not in table:
        try:
            return Classifier.load(name, weights=weights, device=device)
        except ValueError as error:
            listed = f"; {networks} has {', '.join(table)}" if table and weights is None else ""
            raise ValueError(f"{error}{listed}") from error
    if weights is not None:
        raise ValueError(f"network {name!r} has its weights from {networks}: leave --weights out")
    entry = dict(table[name])
    try:
        classifier = Classifier.load(entry.pop("model"), **entry, device=device)
    except (ValueError, TypeError) as error:
        raise ValueError(f"network {name}: {error}") from error
    classifier.name = name
    return classifier


def read_networks(path: Path) -> dict[str, dict[str, Any]]:
    """Name -> arguments of `Classifier.load`, of the `[[networks]]` in a TOML file.

    Files are looked for beside it. Raises ValueError naming the file, the network and the key.
    """
    try:
        listed = tomllib.loads(path.read_text(encoding="utf-8")).get("networks")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from error
    if not isinstance(listed, list) or not listed:
        raise ValueError(f"{path} has no [[networks]]: give each a name and a model")
    found: dict[str, dict[str, Any]] = {}
    for entry in listed:
        if not isinstance(entry, dict):
            raise ValueError(f"{path}: networks are tables: [[networks]]")
        name = entry.get("name")
        _check_entry(path, name, entry, found)
        found[str(name)] = _arguments(path.parent, entry)
    return found


def _check_entry(path: Path, name: object, entry: dict[str, Any], found: Container[str]) -> None:
    if not isinstance(name, str) or not isinstance(entry.get("model"), str):
        raise ValueError(f"{path}: each of [[networks]] needs a name and a model, in quotes")
    if name in found:
        raise ValueError(f"{path}: two networks are named {name!r}")
    if not isinstance(entry.get("weights", ""), str):
        raise ValueError(f"{path}: network {name} has weights that are no file name, in quotes")
    if not isinstance(entry.get("labels", ""), str | list):
        raise ValueError(f"{path}: network {name} has labels that are neither a list nor a file")
    for key in sorted(entry.keys() - set(_KEYS)):
        close = difflib.get_close_matches(key, _KEYS, n=1)
        hint = f"; did you mean {close[0]}?" if close else f": {', '.join(_KEYS)}"
        raise ValueError(f"{path}: network {name} has an unknown key {key!r}{hint}")


def _arguments(folder: Path, entry: dict[str, Any]) -> dict[str, Any]:
    arguments = {key: value for key, value in entry.items() if key != "name"}
    if "weights" in arguments:
        arguments["weights"] = folder / arguments["weights"]
    labels = arguments.pop("labels", "imagenet")
    if labels != "imagenet":
        arguments["labels"] = labels if isinstance(labels, list) else _labels(folder / labels)
    return arguments


def _labels(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"labels {path} cannot be read: {error.strerror}") from error
    return [line.strip() for line in lines if line.strip()]
