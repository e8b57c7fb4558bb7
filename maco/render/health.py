"""Whether units can be rendered: objectives that are no numbers, or that nothing moves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

FLAT_STEPS = 8  # so many steps without any gradient and a unit is given up


class RenderError(ValueError):
    """A unit that cannot be rendered: says which, at which step, and why."""


class Health:
    """The course of each unit's objective and gradient, looked at every few steps.

    Each look waits for the device, so that a GPU would stand still at every step if each was
    looked at.
    """

    def __init__(self, names: Sequence[str], steps: int) -> None:
        self.names = names
        self.steps = steps
        self.values = torch.empty(0, len(names))  # (steps seen, n)
        self.sizes = torch.empty(0, len(names))  # of the gradients
        self._unseen: list[Tensor] = []

    def note(self, values: Tensor, sizes: Tensor) -> None:
        """Takes in a step: values (n,) and sizes of gradients (n,).

        Raises RenderError, after the step or a few more, for one that is not finite and for a unit
        without any gradient in FLAT_STEPS steps in a row.
        """
        self._unseen.append(torch.stack([values, sizes]))
        if len(self.values) + len(self._unseen) in {1, self.steps} or (
            len(self._unseen) == FLAT_STEPS
        ):
            seen = torch.stack(self._unseen).cpu()
            self._unseen = []
            self.values = torch.cat([self.values, seen[:, 0]])
            self.sizes = torch.cat([self.sizes, seen[:, 1]])
            self._check()

    def _check(self) -> None:
        for what, found in (("", self.values), ("the gradient of ", self.sizes)):
            if not bool(found.isfinite().all()):
                step, unit = torch.nonzero(~found.isfinite())[0].tolist()
                value = float(found[step, unit])
                raise RenderError(f"{what}{self.names[unit]} is {value} at step {step}")
        row = min(FLAT_STEPS, self.steps)
        if len(self.sizes) >= row:
            flat = (self.sizes == 0).unfold(0, row, 1).all(-1)
            if bool(flat.any()):
                step, unit = torch.nonzero(flat)[0].tolist()
                raise RenderError(
                    f"{self.names[unit]} is flat: no gradient in {row} steps, up to step"
                    f" {step + row - 1} (a dead unit, or one that these views do not reach)"
                )
