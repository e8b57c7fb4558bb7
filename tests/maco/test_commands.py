"""The command lines: a lab's way from a folder and a weights file to pictures."""

from __future__ import annotations

import pytest
import timm
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from maco import Spectrum, Visualization
from maco.images import encode_png, read_image
from maco.render.__main__ import main as render_command
from maco.spectrum.__main__ import main as spectrum_command


def run(command, *arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path):
    generator = torch.Generator().manual_seed(0)
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for index in range(3):
        image = torch.rand(3, 40 + index, 64, generator=generator)
        (photographs / f"{index}.png").write_bytes(encode_png(image))
    return photographs


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small network of ImageNet's classes, with random weights in a file."""
    file = tmp_path_factory.mktemp("weights") / "small.safetensors"
    network = timm.create_model("test_resnet")
    save_file(network.state_dict(), file)
    return file


def test_a_spectrum_of_a_folder(folder, tmp_path):
    result = run(spectrum_command, "--images", folder, "--out", tmp_path / "s.safetensors")
    assert result.exit_code == 0, result.output
    assert "3 photographs, up to 16 cycles" in result.output
    spectrum = Spectrum.load(tmp_path / "s.safetensors")
    assert (spectrum.images, spectrum.source) == (3, "3 images of photographs")


def test_folders_that_give_no_spectrum(folder, tmp_path):
    (folder / "4.png").write_bytes(b"damaged")
    for images, message in [(folder, "4.png is not an image"), (tmp_path / "no", "not a folder")]:
        result = run(spectrum_command, "--images", images, "--out", tmp_path / "s.safetensors")
        assert result.exit_code == 1
        assert message in result.output
        assert "Traceback" not in result.output
    assert not (tmp_path / "s.safetensors").exists()


def test_visualizations_of_classes_and_running_it_again(weights, tmp_path):
    out = tmp_path / "out"
    command = ["--model", "test_resnet", "--weights", weights, "--out", out, "--device", "cpu"]
    command += ["--steps", 2, "--size", 32, "--classes", "peacock", "broccoli"]
    first = run(render_command, *command)
    assert first.exit_code == 0, first.output
    assert "2 rendered, 0 were there" in first.output
    names = {path.name for path in out.iterdir()}
    assert {"peacock-84.png", "broccoli-937.png", "peacock-84-masked.png"} <= names
    assert read_image(out / "peacock-84.png").shape == (3, 32, 32)
    made = Visualization.load(out / "peacock-84")
    assert made.config["objective"] == "logit(84)"
    (out / "broccoli-937.safetensors").unlink()
    again = run(render_command, *command)
    assert "1 rendered, 1 were there" in again.output
    assert torch.equal(Visualization.load(out / "peacock-84").image, made.image)
    other = run(render_command, *command, "--seed", 5)
    assert other.exit_code == 1
    assert "made by another configuration" in other.output


def test_a_memory_budget(weights, tmp_path):
    quick = ("--steps", 2, "--size", 64, "--device", "cpu")
    wanted = ("--model", "test_resnet", "--weights", weights, "--classes", 1)
    command = (*wanted, *quick, "--out", tmp_path)
    result = run(render_command, *command, "--memory", 0)
    assert result.exit_code == 2
    assert "0.0 is not in the range x>0" in result.output
    result = run(render_command, *command, "--memory", 1e-6)  # one view at a time
    assert result.exit_code == 0, result.output


def test_visualizations_of_channels_in_several_copies(weights, tmp_path):
    result = run(
        render_command,
        *("--model", "test_resnet", "--weights", weights, "--out", tmp_path, "--device", "cpu"),
        *("--steps", 2, "--size", 32, "--layer", "layer1.0.conv1", "--channels", 3, "--copies", 2),
    )
    assert result.exit_code == 0, result.output
    copies = [Visualization.load(tmp_path / f"layer1.0.conv1-3-{copy}") for copy in (0, 1)]
    assert [copy.config["seed"] for copy in copies] == [0, 1]
    assert not torch.equal(copies[0].image, copies[1].image)


def test_copies_that_differ_and_a_deep_dream(weights, tmp_path):
    command = ["--model", "test_resnet", "--weights", weights, "--out", tmp_path, "--device", "cpu"]
    command += ["--steps", 3, "--size", 32]
    plain = run(render_command, *command, "--layer", "layer2")
    assert "1 rendered" in plain.output
    assert Visualization.load(tmp_path / "layer2").config["objective"] == "layer('layer2')"
    differing = [*command, "--classes", 1, 2, "--copies", 2, "--diversity", "layer1"]
    assert "4 rendered" in run(render_command, *differing).output
    paths = sorted(tmp_path.glob("goldfish-1-*.safetensors"))
    configs = [Visualization.load(path).config for path in paths]
    assert [config["diversity"]["seeds"] for config in configs] == [[0, 1], [0, 1]]
    paths[0].unlink()
    assert "2 rendered, 2 were there" in run(render_command, *differing).output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--classes", "peacok"], "did you mean peacock"),
        (["--classes", "crane"], "names classes [134, 517]"),
        (["--classes", "1", "--preset", "papper"], "did you mean paper"),
        (["--channels", "1"], "give --classes, or --layer"),
        (["--classes", "1", "--channels", "1"], "--channels are those of a --layer"),
        (["--classes", "1", "--copies", "2", "--diversity", "layer9"], "has no layer 'layer9'"),
        (["--layer", "layer9", "--channels", "1"], "has no layer 'layer9'"),
        (["--classes", "1", "--layer", "layer1", "--channels", "1"], "give --classes, or --layer"),
        ([], "give --classes, or --layer"),
        (["--classes", "1", "--spectrum", "none.safetensors"], "does not exist"),
    ],
)
def test_requests_that_cannot_be_met(weights, tmp_path, arguments, message):
    out = tmp_path / "out"
    command = ["--model", "test_resnet", "--weights", weights, "--out", out, "--device", "cpu"]
    result = run(render_command, *command, "--steps", 2, "--size", 32, *arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert not out.exists()


def test_a_folder_that_cannot_be_written(weights, tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = run(
        render_command,
        *("--model", "test_resnet", "--weights", weights, "--out", tmp_path / "file" / "out"),
        *("--steps", 1, "--size", 32, "--classes", 1, "--device", "cpu"),
    )
    assert result.exit_code == 1
    assert "cannot be written" in result.output
