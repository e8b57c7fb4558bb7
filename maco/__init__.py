"""Feature visualization: pictures of what a network's unit likes.

from maco import Classifier, logit, render
classifier = Classifier.load("resnet50")
[peacock] = render(classifier, logit(classifier.class_index("peacock")))
peacock.save("peacock")
"""

from maco.classifiers import OUTPUT, Classifier
from maco.objectives import Objective, channel, logit, neuron
from maco.parameterizations import FourierSpectrum, MacoPhase, PixelBuffer
from maco.presets import PRESETS, Preset, find_preset
from maco.render import RenderError, render
from maco.spectrum import Spectrum, estimate, natural_spectrum
from maco.transforms import CropAndNoise, Robustness
from maco.visualization import Visualization, transparency

__version__ = "0.1.0"

__all__ = [
    "OUTPUT",
    "PRESETS",
    "Classifier",
    "CropAndNoise",
    "FourierSpectrum",
    "MacoPhase",
    "Objective",
    "PixelBuffer",
    "Preset",
    "RenderError",
    "Robustness",
    "Spectrum",
    "Visualization",
    "channel",
    "estimate",
    "find_preset",
    "logit",
    "natural_spectrum",
    "neuron",
    "render",
    "transparency",
]
