"""A network whose answer is known, and photographs to hide parts of."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from maco import Classifier


class RedDetector(nn.Module):
    """Answers with the area of strong red: class 0 likes it, class 1 does not."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        red = (images[:, 0] - images[:, 1:].amax(1) - 0.55).clamp(min=0).mean((1, 2))
        answers: torch.Tensor = self.answers(torch.stack([red, 1e-3 - red], dim=1))
        return answers


@pytest.fixture
def red_detector() -> Classifier:
    return Classifier(
        RedDetector(),
        name="red",
        input_size_px=40,
        mean=(0, 0, 0),
        std=(1, 1, 1),
        labels=("red", "not"),
    )


@pytest.fixture
def red_square() -> torch.Tensor:
    """Grey noise, uint8 (3, 40, 48), with a red square of 8 px at x = 20, y = 6."""
    noise = torch.randint(100, 140, (1, 40, 48), generator=torch.Generator().manual_seed(0))
    image = noise.repeat(3, 1, 1).to(torch.uint8)
    image[:, 6:14, 20:28] = torch.tensor([220, 30, 30], dtype=torch.uint8)[:, None, None]
    return image
