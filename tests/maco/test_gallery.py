"""The gallery's files: what is found, what is copied, what is left alone, what is named."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import Generator

from maco import Visualization
from maco.gallery import build, copies
from maco.gallery.__main__ import main
from maco.gallery.catalog import Render, Unit, address, find_renders
from maco.gallery.exhibition import folder_of
from maco.gallery.spectra import describe, describe_natural
from maco.images import read_image
from maco.parameterizations import MacoPhase
from maco.spectrum import natural_spectrum


def seen(path: Path) -> dict:
    """What a script of the site hands to the page."""
    text = path.read_text(encoding="utf-8")
    return json.loads(text[text.index("(") + 1 : text.rindex(")")])


def page_of(site: Path, unit: Unit) -> dict:
    return seen(site / folder_of(unit) / "unit.js")


@pytest.fixture(scope="session")
def visualization():
    """`visualization(seed=3, objective="logit(8)")`: 48 px of smooth colours, its middle opaque."""

    def draw(seed=0, objective="logit(8)", network="vit", kind="maco", size_px=48):
        coarse = torch.rand(1, 3, 4, 4, generator=Generator().manual_seed(seed))
        image = torch.nn.functional.interpolate(coarse, (size_px, size_px), mode="bilinear")[0]
        ramp = torch.hann_window(size_px, periodic=False)
        config = {
            "network": network,
            "objective": objective,
            "seed": seed,
            "preset": {"parameterization": kind},
        }
        sensitivity = (ramp[:, None] * ramp).expand(3, -1, -1)
        return Visualization(image, sensitivity, torch.zeros(1), torch.zeros(1), config)

    return draw


@pytest.fixture(scope="session")
def rendered(tmp_path_factory, visualization):
    folder = tmp_path_factory.mktemp("renders")
    rows = []
    for network in ("vit", "vgg"):
        for method in ("maco", "olah"):
            for label, index in (("hen", 8), ("tench, Tinca tinca", 0)):
                for seed in (0, 1):
                    stem = f"renders/{network}/{method}/{label[:3]}-{index}-s{seed}"
                    (folder / stem).parent.mkdir(parents=True, exist_ok=True)
                    visualization(seed).save(folder / stem)
                    row = {"network": network, "method": method, "label": label}
                    rows.append({"render": stem, **row, "index": index, "seed": seed})
    (folder / "renders.json").write_text(json.dumps(rows))
    return folder


@pytest.fixture
def renders(rendered, tmp_path):
    """What `maco.evaluate` leaves: two networks, two methods, two classes, two seeds."""
    return shutil.copytree(rendered, tmp_path / "renders")


def change_list(renders: Path, change) -> None:
    path = renders / "renders.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def test_every_visualization_is_on_its_page_with_its_measures(renders, tmp_path):
    with (renders / "measurements.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(
            ["network", "method", "class_index", "class_label", "seed", "softmax", "top"]
        )
        table.writerow(["vgg", "olah", 8, "hen", 1, "0.123456", "cock"])
        table.writerow(["vgg", "olah", 8, "hen", 0, "nan", ""])
    built = build(renders, tmp_path / "site", progress=False)
    assert (built.pictures, built.encoded, built.faults) == (16, 16, ())
    index = seen(tmp_path / "site/index.js")
    assert [unit[1:] for unit in index["units"]] == [["tench, Tinca tinca", 0], ["hen", 8]]
    assert index["measures"] == ["softmax", "top"]
    pictures = page_of(tmp_path / "site", Unit("hen", 8))["pictures"]
    assert {(one["column"], one["seed"]) for one in pictures} == {
        (column, seed) for column in range(4) for seed in (0, 1)
    }
    assert [one["measures"] for one in pictures if one["column"] == 3] == [
        [None, None],
        [0.1235, "cock"],
    ]


def test_of_several_cuts_the_usual_one_is_told_and_details_stay_in_the_table(renders, tmp_path):
    header = "network,method,class_index,class_label,seed,view,softmax,softmax_vit,knn_1_raw"
    rows = [f"vgg,olah,8,hen,1,{view},{view},9,9" for view in (1, 0.584, 0.45)]
    (renders / "measurements.csv").write_text("\n".join([header, *rows]))
    build(renders, tmp_path / "site", progress=False)
    assert seen(tmp_path / "site/index.js")["measures"] == ["view", "softmax"]
    pictures = page_of(tmp_path / "site", Unit("hen", 8))["pictures"]
    assert [0.584, 0.584] in [one["measures"] for one in pictures]


def test_without_a_list_every_visualization_below_the_folder_is_found(tmp_path, visualization):
    visualization(2, "logit(8)", kind="fourier").save(tmp_path / "a-hen_bird-8-2")
    visualization(0, "logit(8)", kind="pixels").save(tmp_path / "hen-8")
    (tmp_path / "deep").mkdir()
    visualization(8, "channel('mixed.4', 8)").save(tmp_path / "deep/mixed.4-8-s8")
    visualization(0, "1.0 * logit(3) - logit(1)").save(tmp_path / "odd_name")
    found, faults = find_renders(tmp_path)
    assert faults == []
    assert {(one.unit, one.method, one.seed) for one in found} == {
        (Unit("a-hen bird", 8), "olah", 2),
        (Unit("hen", 8), "cbr", 0),
        (Unit("mixed.4", 8), "maco", 8),
        (Unit("odd name"), "maco", 0),
    }


def test_copies_show_the_image_and_its_transparency(renders, tmp_path):
    build(renders, tmp_path / "site", progress=False)
    made = Visualization.load(renders / "renders/vit/maco/hen-8-s1")
    start = tmp_path / "site" / folder_of(Unit("hen", 8)) / "vit.maco.1"
    whole = read_image(Path(f"{start}.webp"))
    assert (whole - made.image).abs().mean() < 0.02
    with Image.open(f"{start}-masked.webp") as file:
        alpha = torch.from_numpy(np.array(file.getchannel("A"))) / 255
    assert (alpha - made.alpha).abs().mean() < 0.02


def test_large_pictures_are_brought_down_and_small_ones_left(tmp_path, visualization, monkeypatch):
    monkeypatch.setattr(copies, "LARGEST_PX", 64)
    monkeypatch.setattr(copies, "SMALL_PX", 32)
    (tmp_path / "in").mkdir()
    visualization(0).save(tmp_path / "in/hen-8")
    visualization(1, size_px=100).save(tmp_path / "in/hen-8-1")
    build(tmp_path / "in", tmp_path / "site", progress=False)
    sides = {}
    for path in (tmp_path / "site").rglob("*.webp"):
        with Image.open(path) as file:
            sides[path.name] = file.size
    assert sides["vit.maco.0.webp"] == sides["vit.maco.0-masked.webp"] == (48, 48)
    assert sides["vit.maco.1.webp"] == sides["vit.maco.1-masked.webp"] == (64, 64)
    assert sides["vit.maco.1-small.webp"] == sides["vit.maco.0-small.webp"] == (32, 32)


def written(site: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in site.rglob("*") if path.is_file()}


def test_a_second_build_does_nothing_and_a_third_only_what_changed(
    renders, tmp_path, visualization
):
    site = tmp_path / "site"
    build(renders, site, progress=False)
    before = written(site)
    assert build(renders, site, progress=False).encoded == 0
    assert written(site) == before
    visualization(7).save(renders / "renders/vit/maco/hen-8-s1")
    assert build(renders, site, progress=False).encoded == 1
    folder = site / folder_of(Unit("hen", 8))
    changed = {path for path, time in written(site).items() if before[path] != time}
    assert {path for path in changed if path.suffix == ".webp"} == {
        folder / f"vit.maco.1{ending}.webp" for ending in ("", "-small", "-masked")
    }


def test_a_lost_copy_is_made_again(renders, tmp_path):
    build(renders, tmp_path / "site", progress=False)
    lost = tmp_path / "site" / folder_of(Unit("hen", 8)) / "vgg.olah.0-masked.webp"
    lost.unlink()
    assert build(renders, tmp_path / "site", progress=False).encoded == 1
    assert lost.is_file()


def test_what_is_no_longer_among_the_visualizations_leaves_the_site(renders, tmp_path):
    site = tmp_path / "site"
    build(renders, site, progress=False)
    change_list(renders, lambda rows: [row for row in rows if row["label"] == "hen"])
    build(renders, site, progress=False)
    names = {path.name for path in (site / folder_of(Unit("tench, Tinca tinca", 0))).glob("*")}
    assert names == set()
    assert len(list(site.rglob("*.webp"))) == 3 * 8


def test_a_build_that_was_stopped_goes_on(renders, tmp_path, monkeypatch):
    copy = copies._copy
    done = []

    def stop(job, site):
        if len(done) == 9:
            raise KeyboardInterrupt
        done.append(job)
        return copy(job, site)

    monkeypatch.setattr(copies, "_copy", stop)
    monkeypatch.setattr(copies.os, "cpu_count", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        build(renders, tmp_path / "site", progress=False)
    monkeypatch.setattr(copies, "_copy", copy)
    assert 16 - 9 <= build(renders, tmp_path / "site", progress=False).encoded < 16


def test_what_cannot_be_shown_is_named_in_one_line_each(renders, tmp_path):
    files = renders / "renders/vit/maco"
    (files / "hen-8-s0-masked.png").unlink()
    (files / "hen-8-s1-masked.png").write_bytes(b"not a picture")
    whole = (files / "ten-0-s0-masked.png").read_bytes()
    (files / "ten-0-s0-masked.png").write_bytes(whole[: len(whole) // 2])
    change_list(renders, lambda rows: [*rows, {**rows[-1], "render": "again"}])
    done = CliRunner().invoke(main, [str(renders), "--out", str(tmp_path / "site")])
    assert done.exit_code == 0, done.output
    for name in ("hen-8-s0", "hen-8-s1", "ten-0-s0", "again"):
        [line] = [
            line for line in done.stderr.splitlines() if f"{name}" in line.split(" is left")[0]
        ]
        assert "is left out: " in line
    assert "13 visualizations, 13 copied now" in done.output


def test_many_faults_are_counted(renders, tmp_path):
    for path in sorted((renders / "renders").rglob("*-masked.png"))[:14]:
        path.unlink()
    done = CliRunner().invoke(main, [str(renders), "--out", str(tmp_path / "site")])
    assert done.stderr.count("is left out") == 10
    assert "and 4 more are left out" in done.stderr


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda renders: None, "is there and is no gallery: choose another --out"),
        (lambda renders: change_list(renders, lambda rows: []), "holds no visualization"),
        (lambda renders: change_list(renders, lambda rows: [{}]), "renders.json is no list of"),
        (lambda renders: change_list(renders, lambda rows: {"a": 1}), "renders.json is no list of"),
        (lambda renders: (renders / "measurements.csv").write_text("a,b\n"), "no column network"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_line(renders, tmp_path, prepare, message):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    prepare(renders)
    done = CliRunner().invoke(main, [str(renders), "--out", str(out)])
    assert done.exit_code == 1
    assert message in done.output.strip().splitlines()[-1]
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


def test_an_empty_folder_and_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no visualization: make some with"):
        build(tmp_path, tmp_path / "site")
    with pytest.raises(ValueError, match="there is no folder"):
        build(tmp_path / "none", tmp_path / "site")
    with pytest.raises(ValueError, match=r"holds no concepts\.json"):
        (tmp_path / "a-0-masked.png").write_bytes(b"")
        row = {"network": "n", "method": "m", "label": "a", "index": 0, "seed": 0}
        (tmp_path / "renders.json").write_text(json.dumps([{"render": "a-0", **row}]))
        build(tmp_path, tmp_path / "site", concepts=tmp_path)


def test_concepts_are_on_the_page_by_importance(renders, tmp_path, visualization):
    folder = tmp_path / "concepts/vit/hen-8"
    folder.mkdir(parents=True)
    visualization(4).save(folder / "concept-0")
    Image.new("RGB", (600, 600), "red").save(folder / "concept-0-patch-0.png")
    patch = {"source": "a.jpg", "box_px": [0, 0, 9], "activation": 1.5}
    low = {"index": 1, "importance": 0.1, "importance_interval": [0.0, 0.2]}
    high = {
        **{"index": 0, "importance": 0.6, "visualization": "concept-0"},
        "patches": [
            {"image": "concept-0-patch-0.png", **patch},
            {"image": "lost.png", **patch},
        ],
    }
    facts = {"network": "vit", "class_index": 8, "label": "hen", "layer": "blocks.9"}
    (folder / "concepts.json").write_text(json.dumps({**facts, "concepts": [low, high]}))
    (folder / "broken").mkdir()
    (folder / "broken/concepts.json").write_text("{}")
    built = build(renders, tmp_path / "site", concepts=tmp_path / "concepts", progress=False)
    assert [Path(fault.split(" is left out")[0]).name for fault in built.faults] == [
        "concepts.json",
        "lost.png",
    ]
    [shown] = page_of(tmp_path / "site", Unit("hen", 8))["concepts"]
    assert [one["importance"] for one in shown["concepts"]] == [0.6, 0.1]
    first = shown["concepts"][0]
    assert first["image"] == "vit.concept-0"
    assert first["patches"] == [
        {"image": "vit.concept-0-patch-0.webp", "source": "a.jpg", "activation": 1.5}
    ]
    with Image.open(
        tmp_path / "site" / folder_of(Unit("hen", 8)) / first["patches"][0]["image"]
    ) as file:
        assert max(file.size) == copies.PLAIN_PX


@pytest.mark.parametrize(
    "names",
    [
        ("hen", "Hen", "hen ", "hen-", "-hen", "hén", "h_en", "h en", "h-en", "h.en"),
        ("", " ", "..", "../..", "/", "日本", "日木", "\u202e", "con", "a" * 300, "a" * 301),
    ],
)
def test_names_become_plain_addresses_that_differ(names):
    made = [address(name) for name in names]
    assert len(set(made)) == len(names)
    for one in made:
        assert set(one) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert 0 < len(one) < 60


def test_a_hostile_name_stays_in_the_site(tmp_path):
    name = "../../x<img src=x onerror=alert(1)>"
    render = Render(name, name, Unit(name, 3), 0, tmp_path / "a")
    assert ".." not in folder_of(render.unit)
    assert "<" not in folder_of(render.unit)


def test_the_spectrum_of_a_maco_image_is_that_of_photographs_and_noise_is_not(generators):
    phase = MacoPhase(natural_spectrum(), 128, 128)
    image = phase(phase.initial(generators(1)))[0].detach()
    natural = torch.tensor(describe_natural(128, 128))
    assert (torch.tensor(describe(image)) - natural).abs().max() < 150  # a factor of 1.4
    noise = torch.rand(3, 128, 128, generator=Generator().manual_seed(0))
    ratio = torch.tensor(describe(noise)) - natural
    assert ratio[-1] > 400
    halved = torch.tensor(describe(0.5 + (noise - 0.5) / 2))
    assert (torch.tensor(describe(noise)) - halved).tolist() == pytest.approx(
        [301.03] * len(halved), abs=1
    )


def test_the_site_says_nothing_of_other_places(renders, tmp_path):
    build(renders, tmp_path / "site", progress=False)
    for path in (tmp_path / "site").glob("*.*"):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
        assert "http" not in text.replace("http-equiv", ""), path
        assert str(tmp_path) not in text


def test_a_changed_recipe_makes_every_copy_again(renders, tmp_path, monkeypatch):
    build(renders, tmp_path / "site", progress=False)
    known = copies.read_ledger(tmp_path / "site")
    old = {target: replace(copy, recipe=0) for target, copy in known.items()}
    copies.write_ledger(tmp_path / "site", old)
    assert build(renders, tmp_path / "site", progress=False).encoded == 16
