"""The README's examples do what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import timm

from analysis.responses import read_export
from maco import PRESETS, Visualization, find_preset

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_five_lines_render_and_save(tmp_path, monkeypatch):
    """With random weights instead of the hub's, and a preset that is quick."""
    code = PYTHON[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 5
    monkeypatch.chdir(tmp_path)
    create = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda name, pretrained, **options: create(name, **options)
    )
    small = find_preset("paper", steps=2, size_px=32, crops=2)
    monkeypatch.setitem(PRESETS, "paper", small)
    exec(code, {})
    made = Visualization.load("renders/peacock")
    assert made.config["objective"] == "logit(84)"
    assert made.config["preset"] == small.to_dict()
    assert {path.name for path in Path("renders").iterdir()} == {
        "peacock.png",
        "peacock-masked.png",
        "peacock.safetensors",
    }


def test_the_mixed_model_prints_its_summary(capsys):
    trials = read_export(ROOT / "analysis" / "demo").without([]).main
    exec(PYTHON[1], {"trials": trials})
    assert "condition[T.maco]:network[T.ViT]" in capsys.readouterr().out


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("name", re.findall(r"(?:`|^ +)make (\w+)", README, flags=re.MULTILINE))
def test_every_make_target_exists(name):
    assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("path", re.findall(r"\]\(((?:stimuli|docs|CITATION)[^)]*)\)", README))
def test_every_link_leads_somewhere(path):
    assert (ROOT / path).exists()


def test_the_documented_modules_have_a_command_line():
    for module in set(re.findall(r"python -m ([\w.]+)", README)):
        parts = ROOT.joinpath(*module.split("."))
        assert parts.with_suffix(".py").is_file() or (parts / "__main__.py").is_file(), module
