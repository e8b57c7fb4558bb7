"""Rendering: what it reaches, what it depends on, and what it refuses to go on with."""

from __future__ import annotations

import gc
import json

import pytest
import torch
from torch import nn

from maco import (
    OUTPUT,
    PRESETS,
    Classifier,
    CropAndNoise,
    Diversity,
    MacoPhase,
    Objective,
    RenderError,
    channel,
    find_preset,
    logit,
    natural_spectrum,
    neuron,
    render,
)
from maco.objectives import Term

QUICK = {"steps": 5, "size_px": 40, "crops": 3, "precision": "float32", "progress": False}


def ask(measure, name="asked"):
    """An objective that measures the network's output in its own way."""
    return Objective(((1.0, Term(OUTPUT, measure, name)),))


def batches(classifier):
    """A list that will hold how many views the network is given each time."""
    sizes = []
    classifier.network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    return sizes


@pytest.mark.parametrize(
    "objective",
    [logit(2), channel("conv2", 3), neuron("conv1", 5), logit(1) - 0.5 * logit(4)],
    ids=repr,
)
@pytest.mark.parametrize("preset", ["paper", "lucid"])
def test_the_objective_rises_above_what_chance_gives(tiny, objective, preset):
    """Far above images of the same kind that were not optimised for it."""
    size = {"size_px": 40, "crops": 16, "progress": False}
    chance = torch.cat(
        [made.trace for made in render(tiny, [objective] * 30, preset, steps=1, **size)]
    )
    [made] = render(tiny, objective, preset, steps=40, schedule="cosine", **size)
    assert made.trace.shape == (40,)
    assert made.trace[-10:].mean() > chance.mean() + 2 * chance.std()
    assert made.trace[-10:].mean() > chance.max()
    assert made.image.shape == (3, 40, 40)
    assert made.image.min() >= 0
    assert made.image.max() <= 1


def test_the_trace_is_the_mean_over_the_views(tiny, generators):
    [made] = render(tiny, logit(2), seeds=[7], **QUICK)
    spectrum = natural_spectrum()
    parameterization, own = MacoPhase(spectrum, 40, 40), generators(7)
    image = parameterization(parameterization.initial(own)).requires_grad_()
    views = CropAndNoise(count=3)(image, own, tiny.input_size_px, 0.0)
    value = tiny(views)[:, 2].mean()
    torch.testing.assert_close(made.trace[0], value.detach())
    [single] = render(tiny, logit(2), seeds=[7], **{**QUICK, "steps": 1})
    (gradient,) = torch.autograd.grad(value, image)
    torch.testing.assert_close(single.sensitivity, gradient[0].abs(), rtol=1e-3, atol=1e-7)
    assert torch.equal(parameterization(made.parameters[None])[0], made.image)


def test_a_visualization_is_the_same_alone_or_among_others(tiny):
    wanted = [logit(0), channel("conv2", 3), logit(2)]
    together = render(tiny, wanted, seeds=[3, 4, 5], **QUICK)
    [alone] = render(tiny, wanted[1], seeds=[4], **QUICK)
    torch.testing.assert_close(together[1].trace, alone.trace, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(together[1].image, alone.image, rtol=0, atol=1e-2)
    torch.testing.assert_close(together[1].alpha, alone.alpha, rtol=0, atol=1e-2)
    assert together[1].config == alone.config


def test_a_seed_gives_one_image_and_another_gives_another(tiny):
    first, second = render(tiny, [logit(1), logit(1)], seeds=[0, 1], **QUICK)
    [again] = render(tiny, logit(1), **QUICK)
    assert (first.image - second.image).abs().mean() > 0.02
    torch.testing.assert_close(again.image, first.image, rtol=0, atol=1e-2)
    [once_more] = render(tiny, logit(1), **QUICK)
    assert torch.equal(once_more.image, again.image)
    assert torch.equal(once_more.trace, again.trace)


def test_nothing_is_drawn_from_the_common_generator(tiny):
    before = torch.get_rng_state()
    render(tiny, logit(1), **QUICK)
    render(tiny, logit(1), "lucid", **QUICK)
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_is_left_in_memory_but_the_picture(tiny):
    def tensors() -> int:
        gc.collect()
        return sum(type(one) is torch.Tensor for one in gc.get_objects())

    render(tiny, logit(0), **QUICK)
    before = tensors()
    for _ in range(3):
        render(tiny, logit(0), **QUICK)
    assert tensors() == before


def test_a_tight_memory_changes_how_much_goes_at_once_and_nothing_else(tiny):
    sizes = batches(tiny)
    wanted = [logit(0), channel("conv2", 3), logit(2)]
    expected = render(tiny, wanted, **QUICK)
    assert max(sizes) == 9
    seen = set()
    for exponent in range(12, 24):
        sizes.clear()
        made = render(tiny, wanted, memory_gib=2.0**-exponent, **QUICK)
        assert sum(sizes[2:]) == 9 * QUICK["steps"]  # the first two measure a view
        seen.add(max(sizes[2:]))
        for one, other in zip(made, expected, strict=True):
            torch.testing.assert_close(one.trace, other.trace, rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(one.sensitivity, other.sensitivity, rtol=0.02, atol=1e-5)
    assert 1 in seen
    assert seen & {2, 4, 5, 7, 8}  # parts that end within a unit


def forgetful(classifier, most):
    """The same classifier, out of memory for more than `most` views at once."""
    seen = []

    def check(_, inputs):
        seen.append(len(inputs[0]))
        if len(inputs[0]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    classifier.network.register_forward_pre_hook(check)
    return seen


@pytest.mark.parametrize("diversity", [None, Diversity("conv2")])
def test_out_of_memory_halves_the_batch_says_so_and_loses_nothing(tiny, diversity, capsys):
    wanted = {"objectives": [logit(2)] * 3, "diversity": diversity, **QUICK}
    expected = render(tiny, **wanted)
    seen = forgetful(tiny, most=3)
    made = render(tiny, **wanted)
    assert "out of memory: tiny goes on with 2 at once" in capsys.readouterr().out
    assert seen[2:6] == [9, 8, 4, 2] or seen[2:5] == [9, 4, 2]
    assert max(seen[6:]) == 2  # once is enough: later steps start with what fits
    for one, other in zip(made, expected, strict=True):
        torch.testing.assert_close(one.trace, other.trace, rtol=1e-3, atol=1e-5)


def test_a_network_that_does_not_fit_at_all_says_so(tiny):
    render(tiny, logit(2), **QUICK)
    forgetful(tiny, most=0)
    with pytest.raises(RuntimeError, match="out of memory"):  # already when a view is measured
        render(tiny, logit(2), **QUICK)


def test_the_images_do_not_depend_on_the_objectives_scale(tiny):
    [plain] = render(tiny, logit(2), **QUICK)
    [exact] = render(tiny, 2**-10 * logit(2), **QUICK)
    assert torch.equal(exact.image, plain.image)
    [scaled] = render(tiny, 1e-3 * logit(2), **QUICK)
    torch.testing.assert_close(scaled.image, plain.image, rtol=0, atol=1e-2)
    torch.testing.assert_close(scaled.trace, 1e-3 * plain.trace, rtol=1e-3, atol=1e-8)
    torch.testing.assert_close(scaled.alpha, plain.alpha, rtol=0, atol=1e-2)


def test_an_objective_that_is_nan_stops_with_unit_and_step(tiny):
    calls = []

    def breaks(output):
        calls.append(1)
        return output[:, 0] * (float("nan") if len(calls) == 3 else 1)

    with pytest.raises(RenderError, match="breaks of tiny is nan at step 2"):
        render(tiny, [logit(0), ask(breaks, "breaks")], **QUICK)


@pytest.mark.parametrize(("steps", "last"), [(20, 7), (3, 2)])
def test_an_objective_without_gradient_stops_with_unit_and_step(tiny, steps, last):
    dead = ask(lambda output: output[:, 0] * 0, "dead")
    with pytest.raises(RenderError, match=f"dead of tiny is flat.* step {last}"):
        render(tiny, [logit(0), dead], **{**QUICK, "steps": steps})


def test_an_objective_that_wakes_up_is_rendered(tiny):
    calls = []

    def sleeper(output):
        calls.append(1)
        return output[:, 0] * (len(calls) > 3)

    [made] = render(tiny, ask(sleeper), **{**QUICK, "steps": 30})
    assert made.trace[-5:].mean() > made.trace[3]
    assert made.image.isfinite().all()


def test_the_network_is_left_as_it_was(tiny):
    before = {key: value.clone() for key, value in tiny.network.state_dict().items()}
    [made] = render(tiny, channel("conv1", 2), **QUICK)
    for key, value in tiny.network.state_dict().items():
        assert torch.equal(value, before[key])
    assert all(weight.grad is None for weight in tiny.network.parameters())
    assert not any(module._forward_hooks for module in tiny.network.modules())
    for tensor in (made.image, made.sensitivity, made.parameters, made.trace, made.alpha):
        assert not tensor.requires_grad
        assert tensor.device.type == "cpu"


class Quadrant(nn.Module):
    """Sees only the upper left quarter of what it is shown."""

    def forward(self, images):
        half = images.shape[-1] // 2
        return images[:, :, :half, :half].square().mean((2, 3))


def test_transparency_shows_where_the_network_looks():
    classifier = Classifier(Quadrant(), name="quadrant", input_size_px=32)
    [made] = render(classifier, logit(0), crop_side=1.0, crop_side_sd=0.0, **QUICK)
    assert made.alpha.min() >= 0
    assert made.alpha.max() == 1
    looked_at = torch.zeros(40, 40, dtype=torch.bool)
    looked_at[:20, :20] = True
    assert made.alpha[looked_at].mean() > 0.5
    assert made.alpha[~looked_at].sum() < 0.05 * made.alpha.sum()


def test_sensitivity_is_the_mean_over_the_steps():
    """A linear network feels every pixel alike at each step, however many there are."""
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    linear = Classifier(network, name="linear", input_size_px=40)
    whole = {**QUICK, "crop_side": 1.0, "crop_side_sd": 0.0}
    once, often = (
        render(linear, logit(1), **{**whole, "steps": steps})[0].sensitivity for steps in (1, 4)
    )
    assert once[1].min() > 0
    torch.testing.assert_close(often, once, rtol=1e-4, atol=0)


class RedPatches(nn.Module):
    """Answers to red, wherever it is, and to nothing else."""

    def forward(self, images):
        red, green, blue = images.unbind(1)
        return (red - (green + blue) / 2 - 0.1).relu().mean((1, 2))[:, None]


def test_transparency_is_high_where_the_thing_is_that_the_network_likes():
    classifier = Classifier(
        RedPatches(), name="red", input_size_px=24, mean=(0, 0, 0), std=(1, 1, 1)
    )
    [made] = render(classifier, logit(0), steps=30, size_px=64, crops=8, progress=False)
    red = made.image[0] - (made.image[1] + made.image[2]) / 2 > 0.1
    middle = torch.zeros_like(red)
    middle[20:44, 20:44] = True  # towards the border crops become rare, whatever is there
    assert 0.2 < red[middle].float().mean() < 0.9
    felt = made.sensitivity.mean(0)
    assert felt[red & middle].mean() > 2 * felt[~red & middle].mean()
    assert made.alpha[red].mean() > 2 * made.alpha[~red].mean()


def test_progress_counts_steps_times_images(tiny, capsys):
    counted = []
    render(tiny, [logit(0), logit(1)], **{**QUICK, "progress": counted.append})
    assert sum(counted) == 2 * QUICK["steps"]
    render(tiny, logit(0), **QUICK)
    assert capsys.readouterr() == ("", "")


def test_what_cannot_be_asked_for(tiny):
    with pytest.raises(ValueError, match="2 objectives and 1 seeds"):
        render(tiny, [logit(0), logit(1)], seeds=[0], **QUICK)
    with pytest.raises(ValueError, match="0 objectives"):
        render(tiny, [], **QUICK)
    with pytest.raises(ValueError, match=r"no layer 'conv9'; did you mean .*conv"):
        render(tiny, channel("conv9", 0), **QUICK)
    with pytest.raises(ValueError, match="no channel 5: 0 to 4"):
        render(tiny, logit(5), **QUICK)
    with pytest.raises(ValueError, match=r"unknown preset 'papers'.*did you mean paper"):
        render(tiny, logit(0), "papers")


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_renders(tiny, preset):
    shape = (32, 32) if PRESETS[preset].transforms == "xplique" else (24, 36)
    [made] = render(tiny, logit(0), preset, steps=2, size_px=shape, progress=False)
    assert made.image.shape == (3, *shape)
    assert made.image.min() >= 0
    assert made.image.max() <= 1
    assert made.alpha.shape == shape
    assert made.trace.isfinite().all()
    expected = find_preset(preset, steps=2, size_px=shape).to_dict()
    assert json.loads(json.dumps(made.config["preset"])) == json.loads(json.dumps(expected))


def test_the_configuration_says_all_that_the_image_depends_on(tiny, rough_spectrum):
    [made] = render(tiny, 2 * logit(0), seeds=[9], spectrum=rough_spectrum, **QUICK)
    assert made.config["network"] == "tiny"
    assert made.config["weights_digest"] == tiny.weights_digest()
    assert made.config["spectrum_digest"] == rough_spectrum.digest()
    assert made.config["seed"] == 9
    assert "logit(0)" in made.config["objective"]
    assert made.config["preset"]["steps"] == QUICK["steps"]
    magnitude = MacoPhase(rough_spectrum, 40, 40)
    waves = torch.fft.rfft2(magnitude.decorrelated(made.parameters[None])).abs()[0]
    torch.testing.assert_close(waves, rough_spectrum.magnitude(40, 40), rtol=1e-3, atol=0)


def test_a_learning_rate_that_falls_ends_in_small_steps(tiny):
    def way(schedule):
        """How far the phases are from those after one step, which is alike for all schedules."""
        first, last = (
            render(tiny, logit(0), schedule=schedule, **{**QUICK, "steps": steps})[0].parameters
            for steps in (1, 20)
        )
        return (last - first).abs().mean()

    assert 0 < way("cosine") < 0.9 * way("constant")


def test_an_objective_that_does_not_see_the_image():
    class Deaf(torch.nn.Module):
        def forward(self, images):
            return torch.ones(len(images), 2) + 0 * self.bias

        bias = torch.zeros(2)

    deaf = Classifier(Deaf(), name="deaf", input_size_px=24)
    with pytest.raises(RenderError, match=r"logit\(1\) of deaf does not depend on the image"):
        render(deaf, logit(1), **QUICK)


def test_half_precision_asks_the_same_of_the_image(tiny, monkeypatch):
    """The network's answers and gradients in bfloat16: a rounding, not another objective."""
    [exact] = render(tiny, logit(2), **QUICK)
    monkeypatch.setattr(Classifier, "half_precision", True)
    [again] = render(tiny, logit(2), **QUICK)
    assert torch.equal(again.image, exact.image)  # not where float32 is asked for
    [half] = render(tiny, logit(2), **{**QUICK, "precision": "auto"})
    assert half.trace.dtype == half.image.dtype == torch.float32
    torch.testing.assert_close(half.trace[0], exact.trace[0], rtol=0.05, atol=0.02)
    assert not torch.equal(half.image, exact.image)
    assert half.trace[-1] > half.trace[0]
