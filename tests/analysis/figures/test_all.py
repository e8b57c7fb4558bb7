"""Any figure can be read, in any colours, and is the same file every time."""

from __future__ import annotations

from itertools import combinations, pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from drawn import EFFECTS, EXAMPLES, example, shown
from matplotlib.colors import to_rgb
from PIL import Image

from analysis import figures
from analysis.figures.style import looks, number, p_value
from analysis.figures.timing import SHADES


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_text_is_cut_off_or_lies_on_another(name):
    figure = example(name)
    assert figure.dpi == 200  # that of the PNG: at another, letters take another width
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown(figure)]
    for text, box in boxes:
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1, text
        assert 0 <= box.y0 < box.y1 <= figure.bbox.y1, text
    for (one, box), (other, second) in combinations(boxes, 2):
        assert not box.padded(-1).overlaps(second.padded(-1)), (one, other)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_figure_is_saved_as_the_same_bytes_twice_and_in_words(name, tmp_path):
    svg, png = figures.save(example(name), tmp_path / "new" / "first.v1")
    again, _ = figures.save(EXAMPLES[name](), tmp_path / "second")
    assert svg.name == "first.v1.svg" and png.name == "first.v1.png"
    assert svg.read_bytes() == again.read_bytes()
    content = svg.read_text(encoding="utf-8")
    assert "<text" in content and "dc:date" not in content
    with Image.open(png) as image:
        assert image.size[0] in (680, 1400)
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
    assert sorted(path.name for path in svg.parent.iterdir()) == ["first.v1.png", "first.v1.svg"]


def test_saving_one_figure_again_changes_nothing(tmp_path):
    figure = example("forest")
    svg, png = figures.save(figure, tmp_path / "forest")
    before = svg.read_bytes(), png.read_bytes()
    figures.save(figure, tmp_path / "forest")
    assert (svg.read_bytes(), png.read_bytes()) == before


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    figure = EXAMPLES["caterpillar"]()
    svg, _ = figures.save(figure, tmp_path / "figure")
    before = svg.read_bytes()

    def fail(draft, **options):
        draft.write_text("half a")
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        figures.save(figure, tmp_path / "figure")
    assert svg.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_matplotlibs_settings_and_pyplots_figures_are_left_alone(tmp_path):
    with mpl.rc_context({"font.size": 31, "axes.facecolor": "red"}):
        before = dict(mpl.rcParams)
        drawn = [draw() for draw in EXAMPLES.values()]
        figures.save(drawn[0], tmp_path / "figure")
        assert dict(mpl.rcParams) == before
        assert drawn[0].axes[0].get_facecolor() == (1, 1, 1, 1)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_series_differ_by_ten_steps_of_lightness_and_by_marker(count):
    series = list(looks([str(i) for i in range(count)]).values())
    lightness = [perceived(look.color) for look in series]
    assert min(b - a for a, b in pairwise(lightness)) >= 10
    assert max(lightness) <= 80  # on white paper
    assert len({look.marker for look in series}) == count
    assert len({str(look.line) for look in series[:5]}) == min(count, 5)


def perceived(color: str) -> float:
    """CIE L*, 0 (black) to 100 (white)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


def test_correct_and_wrong_differ_in_greyscale():
    assert perceived(SHADES["wrong"]) - perceived(SHADES["correct"]) >= 20


def test_a_dollar_in_a_name_stays_a_dollar(tmp_path):
    table = EFFECTS.assign(level=["pay_$1_or_$2", "none"])
    svg, _ = figures.save(figures.caterpillar(table, "reward"), tmp_path / "figure")
    assert ">pay $1 or $2</text>" in svg.read_text(encoding="utf-8")


def test_numbers_are_written_as_in_print():
    assert [number(-0.456), number(-0.001), number(2)] == ["\N{MINUS SIGN}0.46", "0.00", "2.00"]
    assert [p_value(p) for p in (0.0009, 0.001, 0.0486, 1)] == ["< .001", ".001", ".049", "1.000"]


def test_the_public_names_are_sorted():
    assert figures.__all__ == sorted(figures.__all__)
    assert all(hasattr(figures, name) for name in figures.__all__)


def test_a_notebook_shows_a_figure_as_the_png_that_is_saved(tmp_path):
    table = pd.DataFrame({"effect": "a", "participants": [10, 20], "power": [0.2, 0.4]})
    figure = figures.power_curves(table.assign(low=0.1, high=0.5))
    shown, size = figure._repr_png_()
    _, png = figures.save(figure, tmp_path / "power")
    assert shown == png.read_bytes()
    assert size["width"] == round(figure.get_figwidth() * 110)
