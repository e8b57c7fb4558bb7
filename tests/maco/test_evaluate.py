"""An evaluation from networks and photographs to tables: whole, resumable, and true."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from evaluations import evaluate, make_world

from maco import PRESETS, Visualization
from maco.evaluate import measures
from maco.evaluate.methods import ABLATION, METHODS, read_methods
from maco.evaluate.tables import compare, markdown, summarise, wide
from maco.networks import load_network


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def finished(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluation")
    result = evaluate(world, out, "--methods", "maco", "maco_masked", "cbr", "--seeds", 0, 1)
    assert result.exit_code == 0, result.output
    assert "16 rendered, 0 were there" in result.output
    return out


def test_every_picture_is_there_once_and_listed(finished):
    listed = json.loads((finished / "renders.json").read_text())
    assert len(listed) == 2 * 2 * 2 * 2  # networks, methods that render, classes, seeds
    assert {one["label"] for one in listed} == {"hen", "owl"}
    for one in listed:
        made = Visualization.load(finished / one["render"])
        assert made.config["network"] == one["network"]
        assert made.config["objective"] == f"logit({one['index']})"
        assert made.config["seed"] == one["seed"]


def test_measurements_are_those_of_the_files(finished, world):
    """Numbers in the table, recomputed from a picture on disk and the networks' weights."""
    table = pd.read_csv(finished / "measurements.csv")
    assert len(table) == 2 * 3 * 2 * 2 * 2  # networks, methods, classes, seeds, views
    row = table[(table.method == "maco_masked") & (table.view == 1)].iloc[3]
    stem = f"renders/{row.network}/maco/{row.class_label}-{row.class_index}-s{row.seed}"
    shown = Visualization.load(finished / stem).over()[None]
    [other] = set(table.network) - {row.network}
    with torch.no_grad():
        own, theirs = (
            load_network(name, networks=world / "file.toml", device="cpu")(shown)[0]
            for name in (row.network, other)
        )
    assert float(own[row.class_index]) == pytest.approx(row["logit"], rel=1e-4)
    assert float(own.softmax(0)[row.class_index]) == pytest.approx(row["softmax"], rel=1e-4)
    transferred = float(theirs.softmax(0)[row.class_index])
    assert transferred == pytest.approx(row[f"softmax_{other}"], rel=1e-4)
    assert transferred == pytest.approx(row["transfer_softmax"], rel=1e-4)


def test_tables_and_figures_are_written(finished):
    text = (finished / "tables.md").read_text()
    assert "Plausibility and transfer, the whole image" in text
    assert "| test_vit | maco_masked |" in text
    for name in ("scores-1", "scores-0.584", "spectra"):
        assert (finished / "figures" / f"{name}.png").stat().st_size > 5000
        assert (finished / "figures" / f"{name}.svg").read_text().startswith("<?xml")
    record = json.loads((finished / "evaluation.json").read_text())
    assert {index: len(files) for index, files in record["photographs"].items()} == {"0": 4, "2": 4}
    assert record["layers"]["test_vit"]
    sets = pd.read_csv(finished / "distributions.csv")
    assert (sets.network != sets.features).all()
    assert (sets.pictures == 4).all() and (sets.photographs == 8).all()


def test_run_again_renders_nothing_and_gives_the_same(finished, world):
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    result = evaluate(world, finished, "--methods", "maco", "maco_masked", "cbr", "--seeds", 0, 1)
    assert "0 rendered, 16 were there" in result.output
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


def test_measuring_goes_on_where_it_was_stopped(finished, world, monkeypatch):
    """Lines that are there are not measured again; half a line, or another question, is."""
    path = finished / "measured.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 24  # a picture of each network, method, class and seed
    path.write_text("".join(lines[:21]) + lines[21][:40])
    asked = []
    ask = measures.predictions
    monkeypatch.setattr(measures, "predictions", lambda *a, **k: asked.append(1) or ask(*a, **k))
    words = ("--methods", "maco", "maco_masked", "cbr", "--seeds", 0, 1)
    before = (finished / "measurements.csv").read_bytes()
    assert evaluate(world, finished, *words).exit_code == 0
    assert len(asked) == 4 * 2 * 2  # pictures, views, its own network and the other
    assert (finished / "measurements.csv").read_bytes() == before
    assert path.read_text().splitlines(keepends=True) == lines
    asked.clear()
    assert evaluate(world, finished, *words, "--views", "0.9").exit_code == 0
    assert len(asked) == 24 * 2
    assert evaluate(world, finished, *words).exit_code == 0


def test_what_is_missing_is_rendered_alone(finished, world):
    """An interrupted evaluation goes on where it was."""
    lost = next((finished / "renders" / "test_vit" / "cbr").glob("*.safetensors"))
    made = Visualization.load(lost)
    lost.unlink()
    result = evaluate(world, finished, "--methods", "maco", "cbr", "--seeds", 0, 1, "--render-only")
    assert "1 rendered, 15 were there" in result.output
    result = evaluate(world, finished, "--methods", "cbr", "--render-only", classes=("hen",))
    assert "0 rendered, 2 were there" in result.output
    assert len(json.loads((finished / "renders.json").read_text())) == 16
    difference = (Visualization.load(lost).image - made.image).abs().mean()
    assert float(difference) < 1e-3  # rounding, as it was rendered beside another before


@pytest.mark.parametrize(
    ("more", "given", "message"),
    [
        (("--methods", "mako"), {}, "unknown method 'mako'"),
        (("--neighbours", "9"), {}, "hen has 4 photographs: --neighbours 9 needs as many"),
        ((), {"classes": ("crow",)}, "has no class 'crow'"),
        ((), {"models": ("test_resnet", "test_vitt")}, "no network 'test_vitt'"),
        (("--layers", "test_vit=blocks.99"), {}, "no layer 'blocks.99'"),
        (("--layers", "vit=blocks.0"), {}, "--layers vit=blocks.0: write NETWORK=LAYER"),
        (("--methods", "maco_wide"), {}, "made with another"),
        (("--transfer", "test_efficientnett"), {}, "no network 'test_efficientnett'"),
    ],
)
def test_what_cannot_be_evaluated(world, tmp_path, more, given, message):
    if "made with another" in message:
        tmp_path = tmp_path / "other"
        evaluate(world, tmp_path, "--methods", "maco_wide", "--render-only", classes=("hen",))
        changed = world / "file.toml"
        text = changed.read_text()
        changed.write_text(text.replace("crop_side = 0.6", "crop_side = 0.7"))
        result = evaluate(world, tmp_path, *more, classes=("hen",))
        changed.write_text(text)
    else:
        result = evaluate(world, tmp_path, *more, "--methods", "cbr", **given)
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_class_without_photographs(world, tmp_path):
    for file in (world / "photographs" / "jay").iterdir():
        file.rename(file.with_suffix(".txt"))
    result = evaluate(world, tmp_path, classes=("jay",))
    assert result.exit_code == 1
    assert "no photographs of jay" in result.output
    for file in (world / "photographs" / "jay").iterdir():
        file.rename(file.with_suffix(".png"))


def test_the_papers_methods():
    """Table 3 removes transparency, crops, noise and magnitude, and Olah's transforms."""
    assert set(ABLATION) <= set(METHODS)
    paper = PRESETS["paper"]
    assert METHODS["maco"].preset == METHODS["maco_masked"].preset == paper
    crops = METHODS["maco_no_crop"].preset.transform()
    assert (crops.side, crops.side_sd, crops.uniform) == (1.0, 0.0, paper.noise_uniform)
    image = torch.rand(1, 3, 24, 24)
    generator = torch.Generator().manual_seed(0)
    noisy = crops(image, [generator], 24, 0.0)
    assert float((noisy - image).abs().max()) <= 0.1 + 1e-5
    assert METHODS["maco_no_noise"].preset.transforms == "none"
    assert METHODS["maco_no_magnitude"].preset.parameterization == "fourier"
    assert METHODS["maco_no_magnitude"].preset.transforms == "crops"
    assert METHODS["olah_no_transforms"].preset.transforms == "none"


def test_settings_change_methods_and_those_that_show_them(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text('[methods.maco]\nsteps = 7\n[methods.slow]\nbase = "maco"\nsteps = 9\n')
    methods = read_methods(path)
    assert {methods[name].preset.steps for name in ABLATION if "maco" in name} == {7}
    assert (methods["slow"].preset.steps, methods["slow"].render) == (9, "slow")
    assert METHODS["maco"].preset.steps == 256
    for text, message in [
        ('[methods.x]\nbase = "mako"', r"based on 'mako'; did you mean maco\?"),
        ("[methods.maco]\nstep = 7", r"\[methods\.maco\].*no field 'step'"),
        ("[methods]\nmaco = 3", r"methods are tables"),
    ]:
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_methods(path)


@pytest.fixture
def measurements():
    """40 classes of two networks: maco transfers .2 better and is .1 nearer, with noise."""
    rng = np.random.default_rng(3)
    rows = []
    for network in ("a", "b"):
        for index in range(40):
            level = rng.normal()
            for method, gain in (("maco", 0.2), ("olah", 0.0)):
                rows.append(
                    {
                        "network": network,
                        "method": method,
                        "class_index": index,
                        "seed": 0,
                        "view": 1.0,
                        "transfer_softmax": level + gain + 0.05 * rng.normal(),
                        "knn_1": -level - gain / 2 + 0.05 * rng.normal(),
                        "logit": level,
                    }
                )
    return pd.DataFrame(rows)


def test_differences_are_of_pairs_and_their_sign_is_read(measurements):
    found = compare(measurements, "maco").set_index(["network", "measure"])
    pooled = found.loc["all"]
    assert pooled.loc["transfer_softmax", "difference"] == pytest.approx(0.2, abs=0.03)
    assert pooled.loc["transfer_softmax", "better"] == "maco"
    assert pooled.loc["knn_1", "difference"] == pytest.approx(-0.1, abs=0.03)
    assert pooled.loc["knn_1", "better"] == "maco"  # less is better
    assert "logit" not in pooled.index  # its scale is each network's own
    assert set(found["better"].xs("logit", level="measure")) == {""}  # more is not better
    width = pooled.loc["transfer_softmax", "high"] - pooled.loc["transfer_softmax", "low"]
    assert width < 0.06  # classes differ with s.d. 1, pairs with .07


def test_nothing_is_clear_of_a_single_class(measurements):
    """An interval over classes needs several."""
    one = measurements[measurements.class_index == 3]
    assert set(compare(one, "maco")["better"]) == {""}


def test_a_network_does_not_judge_its_own_pictures_under_another_name(world, tmp_path):
    text = (world / "file.toml").read_text()
    copy = text[text.index("[[networks]]") :].split("[[networks]]")[1]
    (world / "twice.toml").write_text(
        text + "[[networks]]" + copy.replace("name = 'test_resnet'", "name = 'twin'")
    )
    result = evaluate(
        world,
        tmp_path,
        *("--methods", "cbr", "--networks", world / "twice.toml"),
        *("--transfer", "twin", "test_vit", "--views", "1"),
        models=("test_resnet",),
    )
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "measurements.csv")
    assert "softmax_twin" not in table.columns
    assert (table["transfer_softmax"] == table["softmax_test_vit"]).all()
    assert set(pd.read_csv(tmp_path / "distributions.csv").features) == {"test_vit"}


def test_one_network_alone_is_evaluated_without_transfer(world, tmp_path):
    words = ("--methods", "cbr", "maco", "--views", "1", "--seeds", 0, 0)
    result = evaluate(world, tmp_path, *words, models=("test_vit",))
    assert result.exit_code == 0, result.output
    assert len(pd.read_csv(tmp_path / "measurements.csv")) == 4  # seed 0 once
    assert pd.read_csv(tmp_path / "distributions.csv").empty
    assert "Deep-KNN, k = 3" in (tmp_path / "tables.md").read_text()


def test_a_class_must_be_the_same_in_all_networks(world, tmp_path):
    text = (world / "file.toml").read_text()
    second = text.rindex("['hen'")
    turned = text[:second] + text[second:].replace("['hen', 'jay', 'owl']", "['owl', 'jay', 'hen']")
    (world / "turned.toml").write_text(turned)
    result = evaluate(world, tmp_path, "--networks", world / "turned.toml")
    assert result.exit_code == 1
    assert "class 0 must be the same in all networks; it is 'hen' in test_resnet" in result.output


def test_means_and_their_table(measurements):
    summary = summarise(measurements)
    assert set(summary["network"]) == {"a", "b", "all"}
    one = summary.set_index(["network", "method", "measure"]).loc[("a", "maco", "logit")]
    own = measurements[(measurements.network == "a") & (measurements.method == "maco")]
    assert one["mean"] == pytest.approx(own["logit"].mean())
    assert one["low"] < one["mean"] < one["high"]
    assert (one["high"] - one["low"]) == pytest.approx(3.92 * own["logit"].std() / 40**0.5, rel=0.2)
    table = wide(summary, ("knn_1", "logit"), 1.0)
    assert list(table.columns) == ["Deep-KNN, k = 1", "logit"]
    lines = markdown(table).splitlines()
    assert lines[0] == "| network | method | Deep-KNN, k = 1 | logit |"
    assert len(lines) == 2 + 6
