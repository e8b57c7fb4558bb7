"""The one optimisation loop: objectives of a network -> visualizations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor
from tqdm import tqdm

from maco.classifiers import Classifier
from maco.objectives import Objective
from maco.presets import Preset, find_preset
from maco.render.diversity import Diversity, Siblings
from maco.render.health import Health, RenderError
from maco.render.reader import Reader
from maco.spectrum import Spectrum, natural_spectrum
from maco.visualization import Visualization

__all__ = ["Diversity", "RenderError", "configuration", "render"]


def render(
    classifier: Classifier,
    objectives: Objective | Sequence[Objective],
    preset: str | Preset = "paper",
    *,
    seeds: Sequence[int] | None = None,
    spectrum: Spectrum | None = None,
    diversity: Diversity | None = None,
    memory_gib: float | None = None,
    progress: bool | Callable[[int], object] = True,
    **overrides: Any,
) -> list[Visualization]:
    """Renders one visualization for each objective, all in one pass.

    seeds: one for each objective (default 0, 1, ...); the same objective and seed give the same
        image whatever else is rendered beside it, but for rounding.
    spectrum: the magnitude for MACO (default: that of natural photographs).
    diversity: makes images of the same objective differ; they then depend on each other.
    memory_gib: how much a network's activations may take (default: half of what is free, on a CPU 4
        at most); more views than fit go part by part, and smaller parts where memory runs out.
    progress: True shows a bar; a function is called after each step with the images done in it.
    overrides: fields of the preset to replace, such as `steps=128, size_px=(256, 384)`.
    Raises RenderError for an objective that is NaN or gives no gradient, ValueError for what cannot
    be asked for.
    """
    objectives = [objectives] if isinstance(objectives, Objective) else list(objectives)
    preset = find_preset(preset, **overrides)
    seeds = list(range(len(objectives))) if seeds is None else list(seeds)
    if not objectives or len(seeds) != len(objectives):
        raise ValueError(f"{len(objectives)} objectives and {len(seeds)} seeds: give one seed each")
    spectrum = spectrum or natural_spectrum()
    generators = [Generator(classifier.device).manual_seed(seed) for seed in seeds]
    parameterization = preset.parameters(spectrum)
    transform = preset.transform()
    ascent = _Ascent(parameterization.initial(generators), preset)
    siblings = Siblings.among(objectives, diversity)
    reader = Reader(classifier, objectives, preset, memory_gib, siblings)
    health = Health(reader.names, preset.steps)
    sensitivity: Tensor | float = 0.0
    with _counter(progress, preset.steps, len(objectives)) as count:
        for step in range(preset.steps):
            images = parameterization(ascent.parameters)
            done = step / max(1, preset.steps - 1)
            views = transform(images, generators, classifier.input_size_px, done)
            values, pull, push = reader.gradient(views.detach())
            image_gradient, gradient = torch.autograd.grad(
                views, [images, ascent.parameters], pull, retain_graph=push is not None
            )
            if siblings is not None and push is not None:
                (push,) = torch.autograd.grad(views, ascent.parameters, push)
                gradient = siblings.diversity.apply(gradient, push)
            health.note(values, ascent.step(gradient, step))
            sensitivity = sensitivity + image_gradient.abs()
            count(len(objectives))
    with torch.no_grad():
        images = parameterization(ascent.parameters)
    return [
        Visualization(
            image=images[i].cpu(),
            sensitivity=(torch.as_tensor(sensitivity)[i] / preset.steps).cpu(),
            parameters=ascent.parameters.detach()[i].cpu(),
            trace=health.values[:, i],
            config=configuration(classifier, objective, preset, spectrum, seed)
            | ({} if siblings is None else siblings.configuration(i, seeds)),
        )
        for i, (objective, seed) in enumerate(zip(objectives, seeds, strict=True))
    ]


def configuration(
    classifier: Classifier, objective: Objective, preset: Preset, spectrum: Spectrum, seed: int
) -> dict[str, Any]:
    """Everything a visualization depends on, as plain values: what is saved beside it.

    One that was made to differ from others has a "diversity" too, with the seeds of all of them.
    """
    return {
        "network": classifier.name,
        "weights_digest": classifier.weights_digest(),
        "input": classifier.input_form,
        "spectrum_digest": spectrum.digest(),
        "preset": preset.to_dict(),
        "objective": repr(objective),
        "seed": seed,
    }


class _Ascent:
    """Gradient ascent on the parameters of some units, each at its own scale.

    A unit's gradient is measured in units of its root mean square at its first step, so that the
    optimizer's small constants mean the same for an objective and a thousandth of it.
    """

    def __init__(self, parameters: Tensor, preset: Preset) -> None:
        self.parameters = parameters.requires_grad_()
        self.preset = preset
        kind = {"nadam": torch.optim.NAdam, "adam": torch.optim.Adam}[preset.optimizer]
        self.optimizer = kind([self.parameters], lr=preset.learning_rate)
        self.scale = torch.zeros(len(parameters), device=parameters.device)

    def step(self, gradient: Tensor, step: int) -> Tensor:
        """One step; returns the root mean square (n,) of each unit's gradient."""
        size: Tensor = gradient.flatten(1).norm(dim=1) / gradient[0].numel() ** 0.5
        self.scale = torch.where(self.scale > 0, self.scale, size)
        unit_size = torch.where(self.scale > 0, self.scale, 1).view(-1, *[1] * (gradient.ndim - 1))
        self.parameters.grad = gradient / -unit_size
        if self.preset.schedule == "cosine":
            remaining = (1 + math.cos(math.pi * step / self.preset.steps)) / 2
            self.optimizer.param_groups[0]["lr"] = self.preset.learning_rate * remaining
        self.optimizer.step()
        return size


class _counter:  # noqa: N801 - used as a context, like tqdm
    """Calls back after each step, or shows a bar of image-steps with the time left."""

    def __init__(self, progress: bool | Callable[[int], object], steps: int, images: int) -> None:
        self.call = progress if callable(progress) else None
        self.bar = tqdm(
            total=steps * images,
            unit="step",
            desc=f"rendering {images}",
            disable=progress is not True,
        )

    def __enter__(self) -> Callable[[int], object]:
        return self.call or self.bar.update

    def __exit__(self, *error: object) -> None:
        self.bar.close()
