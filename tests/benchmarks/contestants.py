"""Who is compared: MACO by Horama, by DreamLens, by this package, and the network alone.

Each function does so many steps of one case and returns the final images as the network's input,
(n, 3, side, side). Each contestant runs in a process of its own, as its users would run it; what
one does to its process (`keep_freed_memory` here) does not help another.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import timm
import torch
from networks import REAL, SHARED, load
from torch import Tensor
from torch.nn import functional as F

from maco import Classifier, logit, render
from maco.arithmetic import HalfPrecision

SPECTRUM = SHARED / "spectrum" / "imagenet_decorrelated.npy"


@dataclass(frozen=True)
class Case:
    """A network and how it is visualized. units: how many classes at once, from `first` on."""

    model: str
    crops: int
    units: int
    device: str
    size_px: int = 512
    first: int = 84

    def __str__(self) -> str:
        units = f"{self.units} unit{'s' * (self.units > 1)}"
        return f"{self.model}, {self.size_px} px, {self.crops} crops, {units}, {self.device}"


@cache
def network(model: str, device: str) -> Classifier:
    """A real network where its weights lie beside the repository, else one of random weights."""
    if model in REAL:
        return load(model).to(device)
    torch.manual_seed(0)
    return Classifier(timm.create_model(model), name=model, input_size_px=224).to(device)


@cache
def trainable(model: str, device: str) -> Classifier:
    """The network as others get it from timm: with gradients of its weights, not channels last."""
    own = network(model, device)
    own.network.requires_grad_(True).to(memory_format=torch.contiguous_format)
    return own


def horama(case: Case, steps: int) -> Tensor:
    """Horama renders one unit at a time."""
    import horama as package

    own = trainable(case.model, case.device)
    images = []
    with _spectrum_here():
        for index in range(case.first, case.first + case.units):
            image, _ = package.maco(
                lambda views, index=index: own.network(views)[:, index].mean(),
                total_steps=steps,
                image_size=case.size_px,
                model_input_size=own.input_size_px,
                crops_per_iteration=case.crops,
                device=case.device,
            )
            side = (own.input_size_px, own.input_size_px)
            images.append(F.interpolate(image.detach()[None], side, mode="bilinear"))
    return torch.cat(images)


def dreamlens(case: Case, steps: int) -> Tensor:
    """DreamLens renders one unit at a time."""
    from dreamlens import FeatureTarget, FeatureVisualizer, MacoConfig

    own = trainable(case.model, case.device)
    *_, (name, _) = own.network.named_modules()  # the classifier's last layer
    visualizer = FeatureVisualizer(
        own.network, quiet=True, device=case.device, preprocess=own.prepare
    )
    side = own.input_size_px
    config = MacoConfig(
        width=case.size_px,
        height=case.size_px,
        input_shape=(3, side, side),
        steps=steps,
        crops=case.crops,
    )
    images = []
    for index in range(case.first, case.first + case.units):
        made = visualizer.maco(FeatureTarget(layer=name, channel=index), config)
        image = torch.as_tensor(made.image).detach().reshape(1, 3, case.size_px, case.size_px)
        images.append(own.prepare(image))
    return torch.cat(images)


def ours(case: Case, steps: int) -> Tensor:
    """All units in one pass."""
    own = network(case.model, case.device)
    wanted = [logit(index) for index in range(case.first, case.first + case.units)]
    made = render(own, wanted, steps=steps, crops=case.crops, size_px=case.size_px, progress=False)
    return own.prepare(torch.stack([one.image for one in made]).to(case.device))


def torch_alone(case: Case, steps: int) -> Tensor:
    """The network's forward pass and input gradient in torch's autocast: nothing else is done."""
    half = torch.autocast(case.device, torch.bfloat16)
    return _alone(case, steps, lambda own: half)


def network_alone(case: Case, steps: int) -> Tensor:
    """The same in this package's arithmetic: the limit of what is around the network."""
    halves: dict[str, HalfPrecision] = {}

    def running(own: Classifier):
        if own.name not in halves:
            grey = torch.zeros(1, 3, own.input_size_px, own.input_size_px, device=own.device)
            halves[own.name] = HalfPrecision(own.device, lambda: own.network(grey))
        return halves[own.name].running()

    return _alone(case, steps, running)


def _alone(case: Case, steps: int, running: Callable[[Classifier], object]) -> Tensor:
    own = network(case.model, case.device)
    side = own.input_size_px
    views = torch.rand(min(own.batch, case.units * case.crops), 3, side, side, device=case.device)
    views = views.to(memory_format=torch.channels_last)
    for _ in range(steps):
        for start in range(0, case.units * case.crops, len(views)):
            part = views[: case.units * case.crops - start].detach().requires_grad_()
            with running(own) if own.half_precision else torch.enable_grad():
                value = own.network(part)[:, case.first].float().sum()
            torch.autograd.grad(value, part)
    return views[:1]


class _spectrum_here:  # noqa: N801 - a context
    """Horama reads its spectrum from the working directory."""

    def __enter__(self) -> None:
        self.before = Path.cwd()
        self.folder = tempfile.TemporaryDirectory()
        os.chdir(self.folder.name)
        shutil.copy(SPECTRUM, "spectrum_decorrelated.npy")

    def __exit__(self, *error: object) -> None:
        os.chdir(self.before)
        self.folder.cleanup()
