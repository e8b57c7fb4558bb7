"""Feature visualization: pictures of what a network's unit likes.

from maco import Classifier, logit, render
classifier = Classifier.load("resnet50")
[peacock] = render(classifier, logit(classifier.class_index("peacock")))
peacock.save("peacock")
"""

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
