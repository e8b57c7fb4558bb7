"""Presets are what was published, and refuse what they do not know."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from maco import (
    PRESETS,
    CropAndNoise,
    FourierSpectrum,
    MacoPhase,
    PixelBuffer,
    Robustness,
    XpliqueStandard,
    find_preset,
    natural_spectrum,
)


def test_the_papers_own_numbers():
    """Fel et al. 2023: 512 px, 256 steps, NAdam at 1.0, crops N(.25, .1), noise U(-.1, .1)."""
    paper = find_preset("paper")
    assert (paper.shape, paper.steps) == ((512, 512), 256)
    assert (paper.optimizer, paper.learning_rate) == ("nadam", 1.0)
    crops = paper.transform()
    assert isinstance(crops, CropAndNoise)
    assert (crops.side, crops.side_sd) == (0.25, 0.1)
    assert (crops.uniform, crops.normal) == (0.1, 0.0)


@pytest.mark.parametrize(
    ("name", "parameterization", "transform"),
    [
        ("paper", MacoPhase, CropAndNoise),
        ("horama", MacoPhase, CropAndNoise),
        ("xplique", MacoPhase, CropAndNoise),
        ("lucid", FourierSpectrum, Robustness),
        ("olah", FourierSpectrum, XpliqueStandard),
        ("cbr", PixelBuffer, XpliqueStandard),
    ],
)
def test_what_each_preset_optimises_and_shows(name, parameterization, transform):
    preset = find_preset(name, size_px=16)
    assert type(preset.parameters(natural_spectrum())) is parameterization
    assert type(preset.transform()) is transform
    assert preset.transform().count == preset.crops


def test_all_presets_are_found_and_become_plain_values():
    for name, preset in PRESETS.items():
        assert find_preset(name) is preset or find_preset(name) == preset
        assert json.loads(json.dumps(preset.to_dict())) == preset.to_dict()


def test_fields_are_replaced_and_presets_stay_as_they_are():
    changed = find_preset("paper", steps=7, size_px=(30, 40))
    assert (changed.steps, changed.shape) == (7, (30, 40))
    assert find_preset(changed, crops=2) == dataclasses.replace(changed, crops=2)
    assert find_preset("paper").steps == 256


def test_unknown_presets_and_fields_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown preset 'horma': .*did you mean horama\?"):
        find_preset("horma")
    with pytest.raises(ValueError, match=r"no field 'step'.*steps"):
        find_preset("paper", step=3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("parameterization", "Maco"),
        ("optimizer", "sgd"),
        ("schedule", "cos"),
        ("to_pixels", "tanh"),
        ("transforms", "crop"),
        ("steps", 0),
        ("crops", 0),
        ("size_px", 1),
        ("size_px", (8,)),
        ("size_px", (8, 0)),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("crop_side", 0.0),
        ("crop_side", 1.5),
        ("crop_side_end", -0.1),
        ("crop_side_sd", -0.1),
        ("crop_centre_sd", -1.0),
        ("noise_uniform", -0.1),
        ("noise_normal", float("nan")),
    ],
)
def test_values_outside_what_is_allowed(field, value):
    with pytest.raises(ValueError, match=field):
        find_preset("paper", **{field: value})


@pytest.mark.parametrize(
    ("preset", "field", "value"),
    [("lucid", "crop_side", 0.5), ("cbr", "noise_uniform", 0.2), ("cbr", "to_pixels", "sigmoid")],
)
def test_a_field_that_would_change_nothing_is_refused(preset, field, value):
    with pytest.raises(ValueError, match=f"{field} has no effect here"):
        find_preset(preset, **{field: value})


@pytest.mark.parametrize("parameterization", ["maco", "fourier", "pixels"])
@pytest.mark.parametrize("transforms", ["crops", "lucid", "xplique", "none"])
def test_any_parameterization_goes_with_any_transforms(parameterization, transforms, generators):
    preset = find_preset(
        "paper", parameterization=parameterization, transforms=transforms, size_px=32, crops=3
    )
    own = generators(0, 1)
    images = preset.parameters(natural_spectrum())(drawn(preset, own))
    views = preset.transform()(images, own, 24, 0.5)
    assert views.shape[:2] == (6, 3)
    if transforms == "none":
        assert torch.equal(views[:3], images[:1].expand(3, -1, -1, -1))


def drawn(preset, generators):
    return preset.parameters(natural_spectrum()).initial(generators)
