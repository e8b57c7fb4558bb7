"""A visualization on disk is the one in memory, and says how it was made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from maco import Visualization, find_preset, logit, render, transparency
from maco.visualization import read_config


@pytest.fixture
def made():
    generator = torch.Generator().manual_seed(0)
    return Visualization(
        image=torch.rand(3, 10, 14, generator=generator),
        sensitivity=torch.rand(3, 10, 14, generator=generator),
        parameters=torch.randn(3, 10, 8, generator=generator),
        trace=torch.arange(5.0),
        config={"network": "n", "seed": 3, "preset": find_preset("paper").to_dict()},
    )


def test_save_and_load(made, tmp_path):
    made.save(tmp_path / "deep" / "peacock")
    names = sorted(path.name for path in (tmp_path / "deep").iterdir())
    assert names == ["peacock-masked.png", "peacock.png", "peacock.safetensors"]
    loaded = Visualization.load(tmp_path / "deep" / "peacock")
    for name in ("image", "sensitivity", "parameters", "trace", "alpha"):
        assert torch.equal(getattr(loaded, name), getattr(made, name))
    assert loaded.config == made.config == read_config(tmp_path / "deep" / "peacock.png")


def test_a_rendered_configuration_survives_the_file(tiny, tmp_path):
    """Also one with a height and a width: whether a file is already made hangs on it."""
    [made] = render(tiny, logit(0), steps=1, size_px=(20, 30), crops=1, progress=False)
    made.save(tmp_path / "v")
    assert Visualization.load(tmp_path / "v").config == made.config


def test_the_pictures_are_the_image_and_its_transparency(made, tmp_path):
    made.save(tmp_path / "v")
    with Image.open(tmp_path / "v.png") as image, Image.open(tmp_path / "v-masked.png") as layer:
        picture, masked = np.array(image), np.array(layer)
    expected = np.round(made.image.permute(1, 2, 0).numpy() * 255)
    assert (picture == expected).all()
    assert (masked[..., :3] == expected).all()
    assert (masked[..., 3] == np.round(made.alpha.numpy() * 255)).all()


@pytest.mark.parametrize(
    ("asked", "name"),
    [("v.png", "v"), ("v.safetensors", "v"), ("layer3.1.conv2-17", "layer3.1.conv2-17")],
)
def test_file_names(made, tmp_path, asked, name):
    made.save(tmp_path / asked)
    assert (tmp_path / f"{name}.safetensors").is_file()
    assert (tmp_path / f"{name}.png").is_file()
    assert torch.equal(Visualization.load(tmp_path / asked).image, made.image)


def test_what_is_no_visualization(tmp_path):
    with pytest.raises(ValueError, match=r"there is no visualization .*v\.safetensors"):
        Visualization.load(tmp_path / "v")
    (tmp_path / "text.safetensors").write_text("hello")
    save_file({"image": torch.zeros(3)}, tmp_path / "other.safetensors")
    save_file({"image": torch.zeros(3)}, tmp_path / "bare.safetensors", {"maco": "{}"})
    save_file({"image": torch.zeros(3)}, tmp_path / "odd.safetensors", {"maco": "{"})
    for name in ("text", "other", "bare", "odd"):
        with pytest.raises(ValueError, match=rf"{name}\.safetensors is no saved visualization"):
            Visualization.load(tmp_path / name)


def test_transparency_is_cut_off_at_its_percentile():
    sensitivity = torch.arange(1.0, 101).reshape(10, 10).expand(3, -1, -1)
    alpha = transparency(sensitivity)
    torch.testing.assert_close(alpha, (sensitivity[0] / 80).clamp(max=1))
    assert float((alpha == 1).float().mean()) == pytest.approx(0.21)
    whole = transparency(sensitivity, percentile=100)
    torch.testing.assert_close(whole, sensitivity[0] / 100)


def test_transparency_is_of_the_mean_over_colours():
    sensitivity = torch.zeros(3, 4, 4)
    sensitivity[0, 0], sensitivity[1:, 1] = 1.0, 1.0
    alpha = transparency(sensitivity, 100)
    torch.testing.assert_close(alpha.mean(1), torch.tensor([0.5, 1.0, 0.0, 0.0]))


def test_transparency_of_nothing_hides_nothing():
    assert (transparency(torch.zeros(3, 5, 5)) == 1).all()
    faint = transparency(torch.full((3, 5, 5), 1e-30))
    assert (faint == 1).all()


def test_transparency_where_little_is_felt():
    """Fewer than a fifth of the pixels matter: they are opaque and the others are not."""
    sensitivity = torch.zeros(3, 10, 10)
    sensitivity[:, 0, :5] = 1.0
    alpha = transparency(sensitivity)
    assert (alpha[0, :5] == 1).all()
    assert (alpha[1:] == 0).all()


@pytest.mark.parametrize("percentile", [0, -5, 101])
def test_percentiles_that_are_none(percentile):
    with pytest.raises(ValueError, match=f"percentile is {percentile}"):
        transparency(torch.ones(3, 4, 4), percentile)


def test_laid_over_grey(made):
    over = made.over(0.5)
    expected = 0.5 + (made.image - 0.5) * made.alpha
    torch.testing.assert_close(over, expected)
