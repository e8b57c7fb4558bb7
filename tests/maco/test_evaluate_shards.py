"""An evaluation in shards: the same files as one call makes, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from evaluations import evaluate, make_world

from maco.evaluate import __main__ as module

METHODS = ("--methods", "maco", "maco_masked", "cbr", "--seeds", "0", "1")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def shared(world, tmp_path_factory) -> Path:
    """Made in three shards, not yet joined."""
    out = tmp_path_factory.mktemp("shared")
    for number in (2, 3, 1):
        done = evaluate(world, out, *METHODS, "--shard", f"{number}/3")
        assert done.exit_code == 0, done.output
        assert f"Shard {number}/3 is done." in done.output
        assert not (out / "tables.md").exists()
    return out


def files(out: Path) -> dict[str, str]:
    """Every file of an evaluation and its digest, but for what its making leaves."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and not path.name.startswith("measured") and path.parent.name != "shards"
    }


def test_shards_make_the_bytes_of_one_call_and_leave_it_nothing(
    world, shared, tmp_path, monkeypatch
):
    alone = tmp_path / "alone"
    assert evaluate(world, alone, *METHODS).exit_code == 0
    joined = shutil.copytree(shared, tmp_path / "joined")  # with the dates of its files
    monkeypatch.setattr("maco.evaluate.renders.render", None)
    monkeypatch.setattr("maco.evaluate.measures.predictions", None)
    done = evaluate(world, joined, *METHODS, "--merge")
    assert done.exit_code == 0, done.output
    assert "0 rendered, 16 were there" in done.output
    assert files(joined) == files(alone)


def test_a_picture_that_is_lost_is_made_again_as_it_was(world, shared, tmp_path):
    """In the same pass as its neighbours, which are left as they are."""
    out = shutil.copytree(shared, tmp_path / "out")
    lost = sorted((out / "renders" / "test_vit" / "maco").glob("*.safetensors"))[0]
    before = files(out)
    lost.unlink()
    done = evaluate(world, out, *METHODS, "--render-only")
    assert "1 rendered, 15 were there" in done.output
    assert {**files(out), "renders.json": ""} == {**before, "renders.json": ""}


def refused(world, out: Path, *words: str) -> str:
    done = evaluate(world, out, *METHODS, *words)
    assert done.exit_code != 0
    return done.output.strip().splitlines()[-1]


def test_what_cannot_be_joined_is_named(world, shared, tmp_path):
    assert "holds no finished shard" in refused(world, tmp_path / "new", "--merge")
    out = shutil.copytree(shared, tmp_path / "out")
    (out / "shards" / "shard-2-of-3.json").unlink()
    assert "lacks shards 2 of 3" in refused(world, out, "--merge")
    another = ["--merge", "--seeds", "7"]  # of which no shard was done
    assert "holds no finished shard of this" in refused(world, out, *another)
    assert "must be one of 1 to 3" in refused(world, out, "--shard", "4/3")
    assert "give one of them" in refused(world, out, "--shard", "1/3", "--merge")


def test_shards_that_were_measured_otherwise_are_named(world, shared, tmp_path):
    out = shutil.copytree(shared, tmp_path / "out")
    part = out / "measured-shard-2-of-3.jsonl"
    first, *rows = part.read_text().splitlines()
    theirs = json.loads(first)
    theirs["software"]["torch"] = "1.0"
    part.write_text("\n".join([json.dumps(theirs), *rows]) + "\n")
    said = refused(world, out, "--merge")
    assert f"{part} was measured under other circumstances (software.torch was " in said
    assert 'was "1.0", now' in said


def test_shards_render_of_another_configuration_are_named(world, shared, tmp_path):
    out = shutil.copytree(shared, tmp_path / "out")
    settings = tmp_path / "other.toml"
    text = (world / "file.toml").read_text().replace("crops = 2", "crops = 3")
    settings.write_text(text)
    words = ["--models", "test_vit", "--networks", world / "file.toml", "--settings", settings]
    words += ["--classes", "hen", "owl", "--real-images", world / "photographs", "--out", out]
    words += ["--methods", "maco", "--device", "cpu", "--neighbours", "1", "--shard", "1/1"]
    done = CliRunner().invoke(module.main, [str(word) for word in words])
    assert done.exit_code == 1
    assert "was made with another preset: choose another --out" in done.output
