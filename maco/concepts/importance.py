"""How much of a class's logit hangs on each concept: Sobol's total-order indices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from maco.classifiers import OUTPUT, Classifier
from maco.concepts.factors import Factors
from maco.concepts.substitution import answer
from maco.photographs import read_square

Array = NDArray[np.float64]
_PART = 64  # answers asked of the network at once


def sobol_design(inputs: int, rows: int, rng: Generator) -> Array:
    """Masks (rows * (inputs + 2), inputs) in [0, 1]: A, B, then A with each column of B in turn.

    A and B are the halves of a scrambled Sobol sequence. Raises ValueError if rows is no power of
    2, which the sequence needs for its balance.
    """
    from scipy.stats import qmc

    if rows < 2 or rows & (rows - 1):
        raise ValueError(f"{rows} rows of a Sobol sequence: give a power of 2")
    sequence = qmc.Sobol(2 * inputs, scramble=True, rng=rng).random(rows)
    first, second = sequence[:, :inputs], sequence[:, inputs:]
    mixed = np.repeat(first[None], inputs, 0)
    each = np.arange(inputs)
    mixed[each, :, each] = second.T
    return np.concatenate([first, second, mixed.reshape(-1, inputs)])


def total_order(values: Array, inputs: int) -> Array:
    """Total-order indices (inputs,) of a function's values (rows * (inputs + 2),) at a design.

    Jansen's estimator (Jansen 1999; Saltelli et al. 2010, table 2, formula f), as CRAFT uses: half
    the mean squared change by one input alone, over the variance. A constant has indices of 0.
    """
    rows = len(values) // (inputs + 2)
    first, mixed = values[:rows], values[2 * rows :].reshape(inputs, rows)
    variance = values[: 2 * rows].var()
    if variance <= 1e-12 * max(1.0, float(np.square(values).mean())):
        return np.zeros(inputs)
    indices: Array = ((first - mixed) ** 2).mean(1) / (2 * variance)
    return indices


def measure_importance(
    classifier: Classifier,
    class_index: int,
    layer: str,
    factors: Factors,
    photographs: Sequence[Path],
    rng: Generator,
    *,
    rows: int = 32,
    progress: bool = True,
) -> tuple[Array, Array]:
    """Total-order indices (photographs, concepts) of a class's logit (CRAFT, section 3.3), and it.

    A mask in [0, 1] for each concept multiplies its coefficients at all places of a photograph, the
    basis leads back to the layer's activations, and the rest of the network answers. Second are the
    logits (photographs, 2) of the photographs and of all their concepts together, unmasked: what
    the concepts do not carry is the difference.
    Raises ValueError if the logit depends on no concept in any photograph.
    """
    concepts = len(factors.basis)
    masks = sobol_design(concepts, rows, rng)
    indices, logits = [], []
    for path in tqdm(photographs, desc="importance", unit="photograph", disable=not progress):
        answers = _answer_masks(classifier, layer, factors, path, masks)[:, class_index]
        own, composed, *masked = answers.double().tolist()
        indices.append(total_order(np.array(masked), concepts))
        logits.append((own, composed))
    found = np.stack(indices)
    if not found.any():
        raise ValueError(
            f"class {class_index} of {classifier.name} does not depend on its concepts in"
            f" {layer!r}: choose another layer"
        )
    return found, np.array(logits)


def _answer_masks(
    classifier: Classifier, layer: str, factors: Factors, path: Path, masks: Array
) -> Tensor:
    """Logits (2 + masks, classes): of the photograph, of its concepts, and under each mask."""
    image = read_square(path, classifier.input_size_px)[None].to(classifier.device)
    with torch.no_grad():
        read = classifier.read(image, [layer])
    own = factors.find(read[layer])
    weights = torch.cat([torch.ones(1, len(factors.basis)), torch.from_numpy(masks).float()])
    weights = weights.reshape(*weights.shape, *[1] * (own.ndim - 2))
    answers = [
        answer(classifier, image, layer, factors.compose(weights[at : at + _PART] * own))
        for at in range(0, len(weights), _PART)
    ]
    return torch.cat([read[OUTPUT].cpu(), *answers])


def bootstrap(
    values: Array, rng: Generator, *, level: float = 0.95, resamples: int = 2000
) -> tuple[Array, Array]:
    """Percentile interval (low, high), each (k,), of the mean of values (n, k) over its n rows."""
    rows = rng.integers(0, len(values), size=(resamples, len(values)))
    means = values[rows].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
