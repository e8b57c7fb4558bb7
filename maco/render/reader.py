"""What the network says of the views of a step: the values of objectives, and gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from maco.classifiers import Classifier
from maco.objectives import Objective
from maco.presets import Preset
from maco.render.diversity import Siblings


class RenderError(ValueError):
    """A unit that cannot be rendered: says which, at which step, and why."""


class Reader:
    """Values and gradients of the objectives, `crops` views each, in parts that fit in memory."""

    def __init__(
        self,
        classifier: Classifier,
        objectives: Sequence[Objective],
        preset: Preset,
        memory_gib: float,
        siblings: Siblings | None = None,
    ) -> None:
        self.classifier = classifier
        self.objectives = objectives
        self.count = preset.crops
        self.half = preset.precision == "auto" and classifier.half_precision
        self.layers = frozenset().union(*(objective.layers for objective in objectives))
        self.siblings = siblings
        if siblings is not None:
            self.layers |= {siblings.diversity.layer}
        self.names = [f"{objective!r} of {classifier.name}" for objective in objectives]
        fitting = int(memory_gib * 2**30 / self._bytes_per_view())
        self.part = max(1, min(fitting, classifier.batch))

    def gradient(self, views: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Mean value (n,) of each objective over its views, and its gradient by the views.

        The third is the gradient of how alike siblings are; None without siblings.
        """
        values = views.new_zeros(len(self.objectives))
        gradients, alike_gradients = [], []
        for start in range(0, len(views), self.part):
            part = views[start : start + self.part].requires_grad_()
            with self._precision():
                read = self.classifier.read(part, self.layers)
            sums, alike = [], []
            for unit, own in self._units(start, len(part)):
                activations = {layer: value[own].float() for layer, value in read.items()}
                sums.append(self.objectives[unit](activations).sum() / self.count)
                if not sums[-1].requires_grad:
                    raise RenderError(f"{self.names[unit]} does not depend on the image")
                values[unit] += sums[-1].detach()
                if self.siblings is not None:
                    alike.append(self.siblings.likeness(unit, activations))
            gradients.append(_gradient(sums, part, keep=self.siblings is not None))
            if self.siblings is not None:
                alike_gradients.append(_gradient([one for one in alike if one is not None], part))
        if self.siblings is None:
            return values, torch.cat(gradients), None
        self.siblings.next_step()
        return values, torch.cat(gradients), torch.cat(alike_gradients)

    def _units(self, start: int, length: int) -> Iterator[tuple[int, slice]]:
        """The units whose views lie in a part, and where in it."""
        for unit in range(start // self.count, (start + length - 1) // self.count + 1):
            first, last = unit * self.count - start, (unit + 1) * self.count - start
            yield unit, slice(max(0, first), min(length, last))

    def check(self, values: Tensor, step: int) -> None:
        finite = values.isfinite()
        if not bool(finite.all()):
            unit = int((~finite).long().argmax())
            raise RenderError(f"{self.names[unit]} is {float(values[unit])} at step {step}")

    def _precision(self) -> AbstractContextManager[Any]:
        if self.half:
            return torch.autocast(self.classifier.device.type, torch.bfloat16)
        return nullcontext()

    def _bytes_per_view(self) -> int:
        """What the network keeps of one more view for its backward pass, in bytes."""
        return max(1, self._bytes_kept(2) - self._bytes_kept(1))

    def _bytes_kept(self, views: int) -> int:
        kept: dict[int, Tensor] = {}

        def keep(tensor: Tensor) -> Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        side = self.classifier.input_size_px
        view = torch.zeros(views, 3, side, side, device=self.classifier.device, requires_grad=True)
        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            self._precision(),
        ):
            self.classifier.read(view, self.layers)
        return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def _gradient(sums: Sequence[Tensor], views: Tensor, keep: bool = False) -> Tensor:
    if not sums:
        return torch.zeros_like(views)
    return torch.autograd.grad(torch.stack(list(sums)).sum(), views, retain_graph=keep)[0]
