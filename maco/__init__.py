"""Feature visualization: pictures of what a network's unit likes.

from maco import Classifier, logit, render
classifier = Classifier.load("resnet50")
[peacock] = render(classifier, logit(classifier.class_index("peacock")))
peacock.save("peacock")
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and mypy; at run time, `_Package` finds the same names
    from maco.classifiers import OUTPUT, Classifier
    from maco.layers import Layer
    from maco.objectives import Objective, channel, direction, inversion, layer, logit, neuron
    from maco.parameterizations import FourierSpectrum, MacoPhase, PixelBuffer
    from maco.presets import PRESETS, Preset, find_preset
    from maco.render import Diversity, RenderError, render
    from maco.robustness import Robustness, XpliqueStandard
    from maco.spectrum import Spectrum, estimate, natural_spectrum
    from maco.transforms import CropAndNoise, WholeImage
    from maco.visualization import Visualization, transparency

__version__ = "0.1.0"

__all__ = [
    "OUTPUT",
    "PRESETS",
    "Classifier",
    "CropAndNoise",
    "Diversity",
    "FourierSpectrum",
    "Layer",
    "MacoPhase",
    "Objective",
    "PixelBuffer",
    "Preset",
    "RenderError",
    "Robustness",
    "Spectrum",
    "Visualization",
    "WholeImage",
    "XpliqueStandard",
    "channel",
    "direction",
    "estimate",
    "find_preset",
    "inversion",
    "layer",
    "logit",
    "natural_spectrum",
    "neuron",
    "render",
    "transparency",
]

_NAMES = {
    "classifiers": ("OUTPUT", "Classifier"),
    "layers": ("Layer",),
    "objectives": ("Objective", "channel", "direction", "inversion", "layer", "logit", "neuron"),
    "parameterizations": ("FourierSpectrum", "MacoPhase", "PixelBuffer"),
    "presets": ("PRESETS", "Preset", "find_preset"),
    "render": ("Diversity", "RenderError", "render"),
    "robustness": ("Robustness", "XpliqueStandard"),
    "spectrum": ("Spectrum", "estimate", "natural_spectrum"),
    "transforms": ("CropAndNoise", "WholeImage"),
    "visualization": ("Visualization", "transparency"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}


class _Package(ModuleType):
    """This package: a public name is loaded, and torch with it, when it is first asked for."""

    def __getattr__(self, name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{self.__name__}.{_HOMES[name]}"), name)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        # Python sets each module it loads here: `render` stays the function in maco/render.
        if name in _HOMES and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_HOMES})


sys.modules[__name__].__class__ = _Package
