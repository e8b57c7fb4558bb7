"""What the network says of the views of a step: the values of objectives, and gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm import tqdm

from maco.arithmetic import HalfPrecision
from maco.classifiers import Classifier
from maco.devices import is_out_of_memory, memory_budget
from maco.objectives import Objective
from maco.presets import Preset
from maco.render.diversity import Siblings
from maco.render.health import RenderError


class Reader:
    """Values and gradients of the objectives, `crops` views each, in parts that fit in memory."""

    def __init__(
        self,
        classifier: Classifier,
        objectives: Sequence[Objective],
        preset: Preset,
        memory_gib: float | None = None,
        siblings: Siblings | None = None,
    ) -> None:
        """memory_gib: what the activations of a part may take; None: what is free (devices)."""
        self.classifier = classifier
        self.objectives = objectives
        self.count = preset.crops
        self.layers = frozenset().union(*(objective.layers for objective in objectives))
        self.siblings = siblings
        if siblings is not None:
            self.layers |= {siblings.diversity.layer}
        self.half = None
        if preset.precision == "auto" and classifier.half_precision:
            self.half = HalfPrecision(classifier.device, lambda: self._probe(1))
        self.names = [f"{objective!r} of {classifier.name}" for objective in objectives]
        if memory_gib is None:
            memory_gib = memory_budget(classifier.device)
        fitting = int(memory_gib * 2**30 / self._bytes_per_view())
        self.part = max(1, min(fitting, classifier.batch))

    def gradient(self, views: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Mean value (n,) of each objective over its views, and its gradient by the views.

        The third is the gradient of how alike siblings are; None without siblings.
        """
        values = views.new_zeros(len(self.objectives))
        gradients, alike_gradients = [], []
        start = 0
        while start < len(views):
            read = self._read_what_fits(start, views)
            start += len(read.gradient)
            for unit, value in read.values.items():
                values[unit] += value
            gradients.append(read.gradient)
            if self.siblings is not None:
                alike_gradients.append(read.alike)
                for unit, matrix in read.matrices.items():
                    self.siblings.note(unit, matrix)
        if self.siblings is None:
            return values, torch.cat(gradients), None
        self.siblings.next_step()
        return values, torch.cat(gradients), torch.cat(alike_gradients)

    def _read_what_fits(self, start: int, views: Tensor) -> _Part:
        """The next part of the views; a smaller one from now on if memory runs out."""
        while True:
            try:
                return self._read(start, views[start : start + self.part])
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            # Outside of the handler: the error holds on to what the pass had allocated.
            if self.part == 1:
                raise RenderError(
                    f"{self.classifier.name} does not fit in the memory of"
                    f" {self.classifier.device}, not even with one view at a time"
                )
            self.part //= 2
            tqdm.write(f"out of memory: {self.classifier.name} goes on with {self.part} at once")
            if self.classifier.device.type == "cuda":
                torch.cuda.empty_cache()

    def _read(self, start: int, views: Tensor) -> _Part:
        part = views.detach().requires_grad_()
        with self._precision():
            read = self.classifier.read(part, self.layers)
        found, sums, alike = _Part(part, part), [], []
        for unit, own in self._units(start, len(part)):
            activations = {layer: value[own].float() for layer, value in read.items()}
            sums.append(self.objectives[unit](activations).sum() / self.count)
            if not sums[-1].requires_grad:
                raise RenderError(f"{self.names[unit]} does not depend on the image")
            found.values[unit] = sums[-1].detach()
            matrix = None if self.siblings is None else self.siblings.matrix(unit, activations)
            if self.siblings is not None and matrix is not None:
                found.matrices[unit] = matrix.detach()
                alike.append(self.siblings.likeness(unit, matrix))
        found.gradient = _gradient(sums, part, keep=self.siblings is not None)
        if self.siblings is not None:
            found.alike = _gradient([one for one in alike if one is not None], part)
        return found

    def _units(self, start: int, length: int) -> Iterator[tuple[int, slice]]:
        """The units whose views lie in a part, and where in it."""
        for unit in range(start // self.count, (start + length - 1) // self.count + 1):
            first, last = unit * self.count - start, (unit + 1) * self.count - start
            yield unit, slice(max(0, first), min(length, last))

    def _precision(self) -> AbstractContextManager[None]:
        return nullcontext() if self.half is None else self.half.running()

    def _probe(self, views: int) -> None:
        """A pass over grey views."""
        side = self.classifier.input_size_px
        grey = torch.full((views, 3, side, side), 0.5, device=self.classifier.device)
        self.classifier.read(grey.requires_grad_(), self.layers)

    def _bytes_per_view(self) -> int:
        """What the network keeps of one more view for its backward pass, in bytes."""
        return max(1, self._bytes_kept(2) - self._bytes_kept(1))

    def _bytes_kept(self, views: int) -> int:
        kept: dict[int, Tensor] = {}

        def keep(tensor: Tensor) -> Tensor:
            alone = tensor.detach()  # with its graph, which would hold it, it would live for ever
            kept[alone.untyped_storage().data_ptr()] = alone
            return alone

        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            self._precision(),
        ):
            self._probe(views)
        return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@dataclass
class _Part:
    """What was read of some views: gradients by them, and by unit values and Gram matrices."""

    gradient: Tensor
    alike: Tensor
    values: dict[int, Tensor] = field(default_factory=dict)
    matrices: dict[int, Tensor] = field(default_factory=dict)


def _gradient(sums: Sequence[Tensor], views: Tensor, keep: bool = False) -> Tensor:
    if not sums:
        return torch.zeros_like(views)
    return torch.autograd.grad(torch.stack(list(sums)).sum(), views, retain_graph=keep)[0]
