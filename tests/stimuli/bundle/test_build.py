"""The build as a command: done again, interrupted, refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from tiny_study import TINY, files, write

from stimuli.build import build, main
from stimuli.demo.networks import WEIGHTS
from stimuli.demo.world import CLASSES, write_photographs
from stimuli.schema import read_study, verify_images


def test_a_finished_study_is_not_built_again(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("stimuli.assembly.load_network", None)  # would fail if anything were done
    before = files(tiny)
    assert build(write(tmp_path), tiny, progress=False) == tiny / "overview.html"
    assert files(tiny) == before


def command(*words: object, succeeds: bool = True, says: str = "") -> str:
    """A program that runs `python -m stimuli.build WORDS`, and raises if that ends otherwise."""
    return f"""
import contextlib, io, runpy, sys
sys.argv = {["stimuli.build", *map(str, words)]!r}
with contextlib.redirect_stdout(io.StringIO()) as said:
    try:
        runpy.run_module("stimuli.build", run_name="__main__")
    except SystemExit as done:
        assert (done.code in (None, 0)) is {succeeds}
assert {says!r} in said.getvalue()
"""


def test_help_and_a_finished_study_load_no_network_library(tiny, tmp_path, loaded_by):
    """They take seconds to load, for which who reads the help would wait."""
    heavy = {"torch", "timm", "torchvision", "numpy", "PIL"}
    assert not heavy & loaded_by(command("--help", says="--images"))
    again = command(write(tmp_path), "--out", tiny, says="nothing was done")
    assert not heavy & loaded_by(again)
    refused = command(
        write(tmp_path, ("[0, 3]", "[0, 44]")), "--out", tmp_path / "out", succeeds=False
    )
    assert {"torch", "timm"} <= loaded_by(refused)  # so the check can fail


def test_another_configuration_does_not_overwrite(tiny, tmp_path):
    with pytest.raises(ValueError, match=r"another configuration \(seed was 5, now 6\)"):
        build(write(tmp_path, ("seed = 5", "seed = 6")), tiny, progress=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match="is no study bundle"):
        build(write(tmp_path), tmp_path / "mine", progress=False)


def run(when: str, study: Path, out: Path) -> int:
    """The exit status of a build that is killed at some moment."""
    script = Path(__file__).parents[1] / "kill_after.py"
    command = [sys.executable, script, when, study, out]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_a_killed_build_ends_with_the_same_bytes(tiny, tmp_path):
    """Killed again and again: early, among the references, in the sweeps, and before its name."""
    path, out = write(tmp_path), tmp_path / "bundle"
    for when in ("3", "40", "renaming"):
        assert run(when, path, out) == -9
        assert not out.exists()
        halves = out.with_name("bundle.partial") / ".a_file.draft"
        halves.write_bytes(b"half a fi")  # as a kill leaves
    assert run("never", path, out) == 0
    assert files(out) == files(tiny)


def refusal(study: Path, *options: str) -> str:
    """What the command says in its one line of error; nothing may be left at --out."""
    out = study.parent / "out"
    result = CliRunner().invoke(main, [str(study), "--out", str(out), *options])
    assert result.exit_code == 1, result.output
    assert not out.exists()
    lines = result.output.strip().splitlines()
    assert [line.startswith("Error: ") for line in lines].count(True) == 1
    return lines[-1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("demo/resnet", "resnet5O", "network ResNet: timm has no network 'resnet5O'; did you mean"),
        ("demo/resnet", "demo/alexnet", "the demo has no network 'alexnet': vgg, resnet, vit"),
        ("[0, 3]", '[0, "ladybrid"]', "has no class 'ladybrid'"),
        ("[0, 3]", "[0, 44]", "has no class 44: 0 to 9"),
        ('preset = "lucid"', 'preset = "lucidd"', "nearest: lucid"),
        (
            'preset = "lucid"',
            'preset = "lucid"\ncrop_side = 0.5',
            "conditions.olah: crop_side has no",
        ),
        ("per_trial = 2", "per_trial = 0", "references.per_trial = 0"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(tmp_path, old, new, message):
    assert message in refusal(write(tmp_path, (old, new)))


def test_a_photograph_without_a_pair_gives_way_to_the_next(tmp_path):
    path = write(tmp_path, ("margin = 0.05", "margin = 0.99"))
    result = CliRunner().invoke(main, [str(path), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "is turned down with ResNet: beside the occluder at the minimum" in result.output
    for trial in read_study(tmp_path / "out").trials:
        if trial.kind != "catch":
            map_ = load_file(tmp_path / "out" / "maps.safetensors")[f"{trial.id}/45"]
            favored, other = trial.queries[trial.favored], trial.queries[1 - trial.favored]
            spread = float(map_.max() - map_.min())
            assert favored.activation - other.activation >= 0.99 * spread


def test_too_few_photographs(tmp_path):
    write_photographs(tmp_path / "few", per_class=1, seed=0, size_px=112)
    path = write(tmp_path, ('source = "demo"\n', ""))
    message = refusal(path, "--images", str(tmp_path / "few"))
    assert f"{CLASSES[0]}: 2 base images with a query pair are needed, 1 found" in message


def test_a_class_named_twice_in_two_ways(tmp_path):
    path = write(tmp_path, ("[0, 3]", f'[0, "{CLASSES[0]}"]'))
    assert "named twice" in refusal(path)


def test_a_folder_of_photographs_is_needed(tmp_path):
    path = write(tmp_path, ('source = "demo"\n', ""))
    assert "give it with --images" in refusal(path)
    assert "is not a folder of images" in refusal(path, "--images", str(tmp_path / "none"))
    assert "contradict" in refusal(write(tmp_path), "--images", str(tmp_path))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there(tmp_path):
    assert "torch sees no GPU here" in refusal(write(tmp_path), "--device", "cuda")


def test_weights_that_do_not_fit(tmp_path):
    path = write(tmp_path, ('"demo/resnet"', f'"demo/vit"\nweights = "{WEIGHTS["resnet"]}"'))
    assert "do not fit demo/vit" in refusal(path)


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    path, out = write(tmp_path), tmp_path / "out"
    real_fsync, left = os.fsync, [9]

    def fsync(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device", "disk")
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    result = CliRunner().invoke(main, [str(path), "--out", str(out)])
    assert result.exit_code == 1
    assert "No space left on device" in result.output and "nothing is lost" in result.output
    assert not out.exists()
    assert not list(tmp_path.rglob(".*.draft"))
    kept = json.loads((out.with_name("out.partial") / "fingerprint.json").read_text())
    assert kept["config"]["name"] == "tiny"
    monkeypatch.undo()
    build(path, out, progress=False, device="cpu")
    assert read_study(out).name == "tiny"


def test_an_unfinished_build_of_another_configuration(tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr("stimuli.assembly._render", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build(write(tmp_path), out, progress=False, device="cpu")
    with pytest.raises(
        ValueError, match=r"out.partial holds an unfinished build .*seed was 5, now 7"
    ):
        build(write(tmp_path, ("seed = 5", "seed = 7")), out, progress=False, device="cpu")
    # What is decided later may be changed without losing what was rendered.
    with pytest.raises(ZeroDivisionError):
        build(write(tmp_path, ("margin = 0.05", "margin = 0.1")), out, progress=False, device="cpu")


def test_channels_of_a_layer_as_zimmermann_had_them(tmp_path):
    """Extremes of the map, photographs by activation, the base image shown, several occluders."""
    write_photographs(tmp_path / "photographs", per_class=2, seed=1, size_px=112)
    text = TINY.replace(
        'kind = "class"\nclasses = [0, 3]\npractice = [8]',
        'kind = "channel"\nchannels = [{layer = "layer3.0.conv2", index = 5},'
        ' {layer = "layer2.0.bn1", index = 1}]\npractice = [{layer = "layer3.0.conv1", index = 2}]',
    )
    text = text.replace('source = "demo"\n', "").replace('"random"', '"activation"')
    text = text.replace("[queries]\n", '[queries]\nrule = "extremes"\nshow_base_image = true\n')
    text = text.replace("[occluder]\n", "[occluder]\nsize = [0.3, 0.4]\n")
    second = text.index('[[networks]]\nname = "Other"')
    text = text[:second] + text[text.index("[references]") :]
    (tmp_path / "channels.toml").write_text(text)
    out = tmp_path / "out"
    images = tmp_path / "photographs"
    build(tmp_path / "channels.toml", out, images=images, progress=False, device="cpu")
    study = read_study(out)
    verify_images(out, study)
    maps = load_file(out / "maps.safetensors")
    main_trials = [trial for trial in study.trials if trial.kind == "main"]
    assert study.show_base_image and study.networks[0].accuracy is None
    assert {trial.unit.name for trial in main_trials} == {"layer3.0.conv2:5", "layer2.0.bn1:1"}
    assert {query.occluder.size_px for t in main_trials for query in t.queries} == {34, 45}
    for trial in main_trials:
        map_ = maps[f"{trial.id}/{trial.queries[0].occluder.size_px}"]
        values = sorted(query.activation for query in trial.queries)
        assert values == pytest.approx([float(map_.min()), float(map_.max())])
