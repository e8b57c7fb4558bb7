"""The study's activation maps: swept once, kept in the draft, with a progress bar."""

from __future__ import annotations

from types import TracebackType

import torch
from safetensors.torch import load_file, save
from torch import Tensor
from tqdm import tqdm

from maco import Classifier
from maco.files import digest
from stimuli.draft import Draft
from stimuli.occlusion import ActivationMap, corners, sweep
from stimuli.search import searched_places
from stimuli.study import StudyConfig
from stimuli.units import StudyUnit


class Sweeps:
    """Maps of any network, unit, image and occluder size of a study. A context with a bar."""

    def __init__(
        self,
        config: StudyConfig,
        networks: dict[str, Classifier],
        draft: Draft,
        *,
        expected: int,
        progress: bool,
    ) -> None:
        """`expected`: about how many maps will be asked for, for the bar."""
        self.config = config
        self.networks = networks
        self.draft = draft
        places = self._places(round(config.occluder.size[0] * config.queries.size_px))
        self.bar = tqdm(
            total=expected * places,
            desc="occluder sweeps",
            unit="place",
            unit_scale=True,
            smoothing=0.05,
            disable=not progress,
        )

    def __enter__(self) -> Sweeps:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.close()

    def map_of(self, network: str, unit: StudyUnit, pixels: Tensor, size_px: int) -> ActivationMap:
        """The map of an occluder of `size_px` on an image, uint8 (3, side, side)."""
        key = f"{network} {unit.key} {size_px} {digest(pixels.numpy().tobytes())}"
        path = self.draft.records / f"map-{digest(key.encode())[:24]}.safetensors"
        stride = self.config.occluder.stride_px
        if path.is_file():
            self.bar.update(self._places(size_px))
        else:
            made = sweep(
                self.networks[network],
                unit.objective,
                pixels,
                size_px=size_px,
                stride_px=stride,
                fill=self.config.occluder.fill,
                search=self.config.occluder.search,
                progress=self.bar.update,
            )
            base = torch.tensor(made.base, dtype=torch.float64)
            self.draft.write(path, save({"values": made.values, "base": base}))
        kept = load_file(path)
        places = corners(self.config.queries.size_px, size_px, stride)
        return ActivationMap(kept["values"], places, places, size_px, float(kept["base"]))

    def _places(self, size_px: int) -> int:
        """How many places of a map are evaluated."""
        occluder = self.config.occluder
        places = len(corners(self.config.queries.size_px, size_px, occluder.stride_px)) ** 2
        return places if occluder.search == "all" else searched_places(places)
