"""The build as a whole: a small study of the demo world, read back, recomputed, interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file

from maco.images import from_pil, to_bytes
from stimuli import baselines
from stimuli.build import build, main
from stimuli.demo.networks import WEIGHTS
from stimuli.demo.world import CLASSES, write_photographs
from stimuli.occlusion import activations, occlude
from stimuli.schema import Study, read_study, verify_images
from stimuli.study import StudyConfig
from stimuli.study_tables import NetworkSource
from stimuli.units import find_unit, load_network

TINY = """
name = "tiny"
title = "Which?"
seed = 5
lists = 4

[units]
kind = "class"
classes = [0, 3]
practice = [8]

[base_images]
source = "demo"
per_unit = 2
choose = "random"

[[networks]]
name = "ResNet"
model = "demo/resnet"

[[networks]]
name = "Other"
model = "demo/resnet"

[references]
per_trial = 2
size_px = 48

[presets.small]
base = "paper"
size_px = 64
steps = 2
crops = 2

[conditions.olah]
preset = "lucid"
size_px = 48
steps = 2

[conditions.maco]
preset = "small"

[conditions.maco_masked]
preset = "small"
transparency = true

[conditions.control]

[occluder]
stride_px = 16

[queries]
margin = 0.05
size_px = 112

[practice]
trials = 2
[catch]
trials = 1
"""


def write(folder: Path, *replacements: tuple[str, str]) -> Path:
    text = TINY
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path = folder / "tiny.toml"
    path.write_text(text)
    return path


def files(folder: Path) -> dict[str, str]:
    """Every file of a folder with its digest and date."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        + f" {path.stat().st_mtime}"
        for path in folder.rglob("*")
        if path.is_file()
    }


def pixels(folder: Path, name: str) -> torch.Tensor:
    with Image.open(folder / "images" / name) as picture:
        return to_bytes(from_pil(picture))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """The bundle of the tiny study."""
    folder = tmp_path_factory.mktemp("tiny")
    build(write(folder), folder / "bundle", progress=False, device="cpu")
    return folder / "bundle"


@pytest.fixture(scope="module")
def study(tiny) -> Study:
    return read_study(tiny)


def test_the_bundle_is_whole(tiny, study):
    verify_images(tiny, study)
    assert sorted(path.name for path in tiny.iterdir()) == [
        "images",
        "maps.safetensors",
        "overview.html",
        "study.json",
    ]
    assert {path.name for path in (tiny / "images").iterdir()} == set(study.images)
    assert not tiny.with_name("bundle.partial").exists()
    kinds = [trial.kind for trial in study.trials]
    assert [kinds.count(kind) for kind in ("main", "practice", "catch")] == [8, 2, 1]
    assert len(study.lists) == 4
    assert StudyConfig.model_validate(study.config).name == "tiny"
    assert study.rendering["maco"]["steps"] == 2
    assert study.rendering["maco_masked"]["transparency"]
    assert "control" not in study.rendering


def test_no_file_tells_an_answer(tiny, study):
    """Not by name, order, size, date, or anything inside the file beside its pixels."""
    queries = {query.image: trial for trial in study.trials for query in trial.queries}
    sizes = {(tiny / "images" / name).stat().st_size for name in queries}
    assert len(sizes) == 1
    assert len({path.stat().st_mtime for path in tiny.rglob("*")}) == 1
    for name in study.images:
        path = tiny / "images" / name
        assert path.stem == hashlib.sha256(path.read_bytes()).hexdigest()[:20]
        with Image.open(path) as picture:
            assert picture.info == {}
    ids = [trial.id for trial in study.trials]
    assert ids == sorted(ids)
    main_trials = [trial for trial in study.trials if trial.kind == "main"]
    assert sum(trial.favored for trial in main_trials) == len(main_trials) / 2
    assert {trial.favored for trial in main_trials if trial.network == "Other"} == {0, 1}


def test_every_activation_is_that_of_its_image_file(tiny, study):
    networks = {
        source["name"]: load_network(NetworkSource(**source), Path(), "cpu")
        for source in study.config["networks"]
    }
    for network in study.networks:
        assert network.weights_digest == networks[network.name].weights_digest()
    for trial in study.trials:
        classifier = networks[trial.network]
        unit = find_unit(trial.unit.index, networks)
        base = pixels(tiny, trial.base_image.image)
        seen = torch.stack([base, *(pixels(tiny, query.image) for query in trial.queries)])
        found = activations(classifier, unit.objective, seen).tolist()
        stored = [trial.base_activation, *(query.activation for query in trial.queries)]
        assert found == pytest.approx(stored, rel=1e-4, abs=1e-4)
        for side, query in enumerate(trial.queries):
            box = query.occluder
            assert torch.equal(occlude(base, box.x_px, box.y_px, box.size_px), seen[1 + side])
            blind = baselines.measure(base, box.x_px, box.y_px, box.size_px)
            stored_blind = {name: values[side] for name, values in trial.baselines.items()}
            assert stored_blind == pytest.approx(blind)


def test_maps_hold_every_place_and_the_queries_among_them(tiny, study):
    maps = load_file(tiny / "maps.safetensors")
    for trial in study.trials:
        for query in trial.queries:
            box = query.occluder
            map_ = maps[f"{trial.id}/{box.size_px}"]
            assert map_[box.y_px // 16, box.x_px // 16] == pytest.approx(query.activation)
        if trial.kind != "catch":
            less = trial.queries[1 - trial.favored]
            assert float(map_.min()) == pytest.approx(less.activation)


def test_catch_trials_hide_nearly_all_or_nearly_nothing(study):
    [catch] = [trial for trial in study.trials if trial.kind == "catch"]
    favored, other = catch.queries[catch.favored], catch.queries[1 - catch.favored]
    assert (favored.occluder.size_px, other.occluder.size_px) == (
        round(0.15 * 112),
        round(0.8 * 112),
    )
    assert favored.activation > other.activation


def test_no_list_shows_a_photograph_twice(study):
    trials = {trial.id: trial for trial in study.trials}
    for dealt in study.lists:
        shown = [trials[one].base_image.image for one in dealt]
        assert len(shown) == len(set(shown))
        assert [trials[one].kind for one in dealt[:2]] == ["practice", "practice"]
        assert sum(trials[one].kind == "catch" for one in dealt) == 1


def test_conditions_show_their_own_references(study):
    for trial in study.trials:
        assert trial.references["control"] == []
        olah, maco, masked = (trial.references[c] for c in ("olah", "maco", "maco_masked"))
        assert len({*olah, *maco, *masked}) == 6
    same = [
        t.references["maco"] for t in study.trials if t.network == "ResNet" and t.unit.index == 0
    ]
    other = [
        t.references["maco"] for t in study.trials if t.network == "Other" and t.unit.index == 0
    ]
    assert len({tuple(names) for names in same}) == 1
    assert same[0] != other[0]  # another seed, also where the weights are the same


def test_observers_can_be_recomputed(study):
    for name, rates in study.observers.items():
        main_trials = [
            trial
            for trial in study.trials
            if trial.kind == "main" and name in {"all", trial.network}
        ]
        for measure, rate in rates.items():
            right = [
                (
                    trial.baselines[measure][trial.favored]
                    > trial.baselines[measure][1 - trial.favored]
                )
                for trial in main_trials
            ]
            assert rate == pytest.approx(sum(right) / len(right))


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
    script = Path(__file__).with_name("kill_after.py")
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
    monkeypatch.setattr("stimuli.assembly._references", lambda *_: 1 / 0)
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
