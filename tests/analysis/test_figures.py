"""A figure shows what its table says, in any colours, and is the same file every time."""

from __future__ import annotations

import re
from functools import cache
from itertools import combinations, pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from analysis import figures
from analysis.figures.style import looks, number, p_value
from analysis.figures.timing import SHADES

CONDITIONS = ["control", "olah", "maco", "maco_with_transparency"]
NETWORKS = ["VGG16", "ResNet50", "ViT"]
NAN = float("nan")


def participants(each: int = 45) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    rows = [
        (f"{condition}{i}", condition, network, generator.binomial(17, 0.5 + 0.1 * k), 17)
        for k, condition in enumerate(CONDITIONS)
        for i in range(each)
        for network in NETWORKS
    ]
    return pd.DataFrame(rows, columns=["participant", "condition", "network", "correct", "trials"])


def means(name: str, start: float, step: float) -> pd.DataFrame:
    rows = [
        (condition, network, value := start + step * k + step / 5 * j, value - step, value + step)
        for k, condition in enumerate(CONDITIONS)
        for j, network in enumerate(NETWORKS)
    ]
    return pd.DataFrame(rows, columns=["condition", "network", name, "low", "high"])


PEOPLE, LINK, RESPONSE = participants(), means("log_odds", 0.1, 0.3), means("probability", 0.5, 0.1)
CONTRASTS = pd.DataFrame(
    {
        "contrast": ["maco - control", "maco_with_transparency - control", "ResNet50 - ViT"],
        "estimate": [0.92, -0.69, 0.49],
        "low": [0.6, -1.02, 0.35],
        "high": [1.24, -0.36, 0.63],
        "p": [1e-9, 0.0214, 0.3],
        "family": ["Visualization", "Visualization", "Network"],
    }
)
EFFECTS = pd.DataFrame(
    {"level": ["llama", "nile_crocodile"], "mode": [0.4, -0.2], "se": [0.1, 0.2]}
)
FLOW = pd.DataFrame(
    {
        "rule": ["arrived", "incomplete", "below_chance"],
        "break_it": [0, 9, 11],
        "dropped": [0, 9, 8],
        "left": [191, 182, 174],
        "left_control": [95, 91, 87],
        "left_maco_with_transparency": [95, 90, 86],
    }
)
POWER = pd.DataFrame(
    {
        "effect": ["strong", "strong", "none", "none"],
        "participants": [80, 40, 40, 80],
        "power": [0.9, 0.6, 0.05, 0.04],
        "low": [0.88, 0.55, 0.03, 0.02],
        "high": [0.93, 0.65, 0.07, 0.06],
    }
)
RESIDUALS = pd.DataFrame(
    {
        "predicted": np.repeat(np.linspace(0.2, 0.8, 10), 99),
        "residual": np.tile(np.arange(1, 100) / 100, 10),
    }
)
TIMES = pd.DataFrame(
    {
        "condition": ["control"] * 41 + ["maco_with_transparency"] * 3,
        "correct": [1] * 21 + [0] * 20 + [1, 1, 0],
        "rt_ms": [*np.geomspace(500, 8000, 21), *np.geomspace(900, 9000, 20), 700.0, 2500.0, 0.0],
    }
)
BINS = pd.DataFrame(
    [
        (network, number, 0.5 + number / 10, 0.4 + number / 10, 0.55 + number / 10, scale * number)
        for network, scale in (("VGG16", 4.0), ("ResNet50", 0.2))
        for number in (1, 2, 3)
    ],
    columns=["network", "bin", "mean", "low", "high", "activation_difference"],
)
EXAMPLES = {
    "performance": lambda: figures.performance(PEOPLE, LINK, RESPONSE),
    "forest": lambda: figures.forest(CONTRASTS, adjustment="Tukey"),
    "caterpillar": lambda: figures.caterpillar(EFFECTS, "class"),
    "exclusions_flow": lambda: figures.exclusions_flow(FLOW),
    "power_curves": lambda: figures.power_curves(POWER, alpha=0.05),
    "residuals": lambda: figures.residuals(RESIDUALS),
    "reaction_times": lambda: figures.reaction_times(TIMES),
    "activation": lambda: figures.activation(BINS),
}


@cache
def example(name: str) -> Figure:
    return EXAMPLES[name]()


def points(axes: Axes) -> list[tuple[float, float]]:
    """Where the markers are, of lines that are drawn with them."""
    lines = [line for line in axes.lines if line.get_marker() not in ("None", None, "")]
    return [(float(x), float(y)) for line in lines for x, y in line.get_xydata()]


def intervals(axes: Axes, label: str = "") -> list[tuple[float, float]]:
    """The two ends of each interval bar that is drawn, along the axis on which they differ."""
    ends = []
    for bars in axes.collections:
        if hasattr(bars, "get_segments") and bars.get_label().startswith(label):
            for segment in bars.get_segments():
                if len(segment):  # one with a NaN has no points
                    along = int(segment[0, 0] == segment[1, 0])
                    ends.append((float(segment[0, along]), float(segment[1, along])))
    return ends


def shown(figure: Figure) -> list[Text]:
    """All text that can be seen: matplotlib keeps ticks that lie outside the axes."""
    unseen = {
        tick.label1
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }
    found = figure.findobj(Text)
    return [one for one in found if one.get_visible() and one.get_text() and one not in unseen]


def texts(figure: Figure) -> list[str]:
    told = [one.get_text().replace("\N{NO-BREAK SPACE}", " ") for one in shown(figure)]
    return [" ".join(one.split()) for one in told]


def labels(axis: mpl.axis.Axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


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


def test_performance_shows_the_means_with_their_intervals():
    figure = example("performance")
    for axes, table, column in zip(
        figure.axes, (LINK, RESPONSE), ("log_odds", "probability"), strict=True
    ):
        found = [(round(x), pytest.approx(y)) for x, y in points(axes)]
        expected = table.sort_values(
            "network", key=lambda names: names.map(NETWORKS.index), kind="stable"
        )
        places = [CONDITIONS.index(name) for name in expected["condition"]]
        assert found == list(zip(places, expected[column], strict=True))
        ends = list(zip(expected["low"], expected["high"], strict=True))
        assert np.array(intervals(axes, "_interval")) == pytest.approx(np.array(ends))
        assert labels(axes.xaxis) == ["control", "olah", "maco", "maco with\ntransparency"]


def test_performance_shows_every_participant_once_beside_their_network():
    figure = example("performance")
    right, wrong = PEOPLE["correct"], PEOPLE["trials"] - PEOPLE["correct"]
    for axes, values in zip(
        figure.axes, (np.log((right + 0.5) / (wrong + 0.5)), right / PEOPLE["trials"]), strict=True
    ):
        dots = np.concatenate(
            [c.get_offsets() for c in axes.collections if len(c.get_offsets()) > 1]
        )
        assert sorted(dots[:, 1]) == pytest.approx(sorted(values))
        assert len(np.unique(dots.round(6), axis=0)) == len(PEOPLE)
        centres = np.array([x for x, _ in points(axes)])
        assert np.abs(dots[:, :1] - centres).min(axis=1).max() < 0.84 / 3 / 2


def test_performance_says_where_chance_is():
    figure = example("performance")
    for axes, chance in zip(figure.axes, (0, 0.5), strict=True):
        lines = [line for line in axes.lines if line.get_label() == "_mark"]
        assert [list(line.get_ydata()) for line in lines] == [[chance, chance]]
    assert texts(figure).count("chance") == 2


def test_one_participant_one_condition_and_no_interval_are_drawn_as_they_are():
    person = PEOPLE.iloc[:1]
    link, response = (table.iloc[:1].assign(low=NAN, high=NAN) for table in (LINK, RESPONSE))
    figure = figures.performance(person, link, response)
    assert points(figure.axes[0]) == [(0, 0.1)]
    assert points(figure.axes[1]) == [(0, 0.5)]
    assert intervals(figure.axes[0]) == intervals(figure.axes[1]) == []
    assert figure.axes[0].get_ylim()[0] < 0  # chance is in sight


def test_somebody_without_trials_in_a_network_has_no_dot_there():
    people = PEOPLE.iloc[:3].assign(correct=[9, 0, 4], trials=[17, 0, 17])
    axes = figures.performance(people, LINK, RESPONSE).axes[1]
    dots = [
        y for c in axes.collections if not hasattr(c, "get_segments") for _, y in c.get_offsets()
    ]
    assert sorted(dots) == pytest.approx([4 / 17, 9 / 17])


def test_many_cells_get_a_row_for_each_panel_and_labels_that_do_not_meet():
    copies = [f"{name}_of_considerable_length" for name in ("", "x", "y")]
    tables = [
        pd.concat([table.assign(condition=table["condition"] + copy) for copy in copies])
        for table in (PEOPLE, LINK, RESPONSE)
    ]
    first, second = figures.performance(*tables).axes
    assert first.get_position().y0 > second.get_position().y1
    boxes = [label.get_window_extent() for label in second.get_xticklabels()]
    assert len(boxes) == 12
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_forest_shows_estimates_as_points_and_as_words():
    figure = figures.forest(CONTRASTS, adjustment="Tukey")
    axes = figure.axes[0]
    assert [x for x, _ in points(axes)] == list(CONTRASTS["estimate"])
    assert intervals(axes) == list(zip(CONTRASTS["low"], CONTRASTS["high"], strict=True))
    assert labels(axes.yaxis) == [
        "Visualization",
        "maco \N{MINUS SIGN} control",
        "maco with transparency \N{MINUS SIGN} control",
        "Network",
        "ResNet50 \N{MINUS SIGN} ViT",
    ]
    rows = [
        tick
        for tick, name in zip(axes.get_yticks(), labels(axes.yaxis), strict=True)
        if " " in name
    ]
    assert [y for _, y in points(axes)] == rows
    said = texts(figure)
    assert "0.92 [0.60, 1.24]" in said and "< .001" in said
    assert "\N{MINUS SIGN}0.69 [\N{MINUS SIGN}1.02, \N{MINUS SIGN}0.36]" in said and ".021" in said
    assert "p (Tukey)" in said and "Estimate [95 % interval]" in said


def test_the_axis_above_a_forest_is_in_odds_ratios():
    below, above = figures.forest(CONTRASTS).axes
    assert above.get_xlim() == below.get_xlim()
    ratios = [float(label) for label in labels(above.xaxis)]
    assert 1 in ratios and 2 in ratios
    assert np.log(ratios) == pytest.approx(above.get_xticks())


def test_a_contrast_without_an_interval_or_an_estimate_says_so():
    table = CONTRASTS.drop(columns="family")
    table.loc[0, ["low", "high", "p"]] = NAN
    table.loc[1, ["estimate", "low", "high", "p"]] = NAN
    figure = figures.forest(table)
    assert intervals(figure.axes[0]) == [(0.35, 0.63)]
    assert "0.92 [no interval]" in texts(figure) and "cannot be estimated" in texts(figure)
    assert texts(figure).count("\N{EN DASH}") == 2


def test_caterpillar_sorts_the_levels_and_draws_their_intervals():
    figure = figures.caterpillar(EFFECTS, "class_label")
    axes = figure.axes[0]
    assert points(axes) == [(-0.2, 0), (0.4, 1)]
    assert labels(axes.yaxis) == ["nile crocodile", "llama"]
    ends = [(-0.2 - 1.96 * 0.2, -0.2 + 1.96 * 0.2), (0.4 - 1.96 * 0.1, 0.4 + 1.96 * 0.1)]
    assert np.array(intervals(axes)) == pytest.approx(np.array(ends), abs=1e-4)
    assert "class label (2 levels)" in texts(figure)


@pytest.mark.parametrize(("count", "named"), [(60, 60), (61, 0)])
def test_caterpillar_names_sixty_levels_at_most(count, named):
    table = pd.DataFrame({"level": range(count), "mode": np.arange(count) / 10, "se": 0.1})
    axes = figures.caterpillar(table, "participant").axes[0]
    assert len(labels(axes.yaxis)) == named
    assert len(points(axes)) == count


def test_the_flow_tells_each_step_in_words():
    said = texts(figures.exclusions_flow(FLOW))
    assert said == [
        "Arrived (n = 191)",
        "Excluded: left before the end (n = 9)",
        "182 left",
        "Excluded: worse than chance (n = 8; 3 more had been excluded before)",
        "Analysed (n = 174)",
        "control (n = 87)",
        "maco with transparency (n = 86)",
        "no condition (n = 1)",
    ]


def test_the_flow_without_rules_goes_straight_to_the_analysis():
    flow = FLOW.iloc[:1].assign(left=190)
    assert texts(figures.exclusions_flow(flow))[:2] == ["Arrived (n = 190)", "Analysed (n = 190)"]


def test_power_has_a_curve_an_effect_in_the_order_of_participants():
    figure = figures.power_curves(POWER, alpha=0.05)
    axes = figure.axes[0]
    assert points(axes) == [(40, 0.6), (80, 0.9), (40, 0.05), (80, 0.04)]
    assert intervals(axes) == [(0.55, 0.65), (0.88, 0.93), (0.03, 0.07), (0.02, 0.06)]
    marks = [line.get_ydata()[0] for line in axes.lines if line.get_label() == "_mark"]
    assert marks == [0.8, 0.05]
    assert {"80 %", "alpha = 5 %", "strong", "none"} <= set(texts(figure))
    curves = [line for line in axes.lines if line.get_label() != "_mark"]
    assert len({(line.get_marker(), str(line.get_linestyle())) for line in curves}) == 2


def test_uniform_residuals_lie_on_the_diagonal_and_their_quartiles_on_the_lines():
    left, right = figures.residuals(RESIDUALS).axes
    found = np.array(points(left))
    assert found.shape == (990, 2)
    assert np.abs(found[:, 0] - found[:, 1]).max() < 0.011
    quartiles = right.lines[-1], right.lines[-3], right.lines[-5]
    for line, share in zip(quartiles, (0.75, 0.5, 0.25), strict=True):
        assert line.get_ydata() == pytest.approx([share] * 10, abs=0.011)


def test_the_band_of_residuals_is_that_of_massart():
    left = figures.residuals(RESIDUALS.iloc[:50]).axes[0]
    band = left.collections[0].get_paths()[0].get_extents()
    assert band.y1 - 1 == pytest.approx(np.sqrt(np.log(40) / 100))


def test_residuals_outside_0_to_1_are_refused():
    with pytest.raises(ValueError, match=r"residual 1\.2: scaled residuals lie between 0 and 1"):
        figures.residuals(pd.DataFrame({"predicted": [0.5], "residual": [1.2]}))


def test_reaction_times_are_drawn_on_a_logarithmic_axis_with_their_numbers():
    figure = figures.reaction_times(TIMES)
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert labels(axes.yaxis) == ["control", "maco with\ntransparency"]
    said = texts(figure)
    assert "21 correct 20 wrong" in said and "2 correct 0 wrong" in said
    assert "Choice; left out: 1 trial without a time" in said
    assert np.array([float(name) for name in labels(axes.xaxis)]) * 1000 == pytest.approx(
        axes.get_xticks()
    )
    assert any(line.get_xdata()[0] == pytest.approx(2000) for line in axes.lines)  # the median


def test_a_few_reaction_times_are_dots_and_no_curve():
    axes = figures.reaction_times(TIMES.iloc[-3:-1]).axes[0]
    dots = np.concatenate([c.get_offsets() for c in axes.collections])
    assert sorted(dots[:, 0]) == [700, 2500]
    assert not axes.lines


def test_activation_has_a_panel_a_network_in_its_own_units():
    figure = figures.activation(BINS)
    for axes, (_, table) in zip(figure.axes, BINS.groupby("network", sort=False), strict=True):
        expected = list(zip(table["activation_difference"], table["mean"], strict=True))
        assert points(axes) == expected
        assert intervals(axes) == list(zip(table["low"], table["high"], strict=True))
    assert [axes.get_title() for axes in figure.axes] == ["VGG16", "ResNet50"]


def test_a_dollar_in_a_name_stays_a_dollar(tmp_path):
    table = EFFECTS.assign(level=["pay_$1_or_$2", "none"])
    svg, _ = figures.save(figures.caterpillar(table, "reward"), tmp_path / "figure")
    assert ">pay $1 or $2</text>" in svg.read_text(encoding="utf-8")


def test_numbers_are_written_as_in_print():
    assert [number(-0.456), number(-0.001), number(2)] == ["\N{MINUS SIGN}0.46", "0.00", "2.00"]
    assert [p_value(p) for p in (0.0009, 0.001, 0.0486, 1)] == ["< .001", ".001", ".049", "1.000"]


@pytest.mark.parametrize(
    ("draw", "column"),
    [
        (lambda drop: figures.performance(drop(PEOPLE), LINK, RESPONSE), "trials"),
        (lambda drop: figures.performance(PEOPLE, drop(LINK), RESPONSE), "log_odds"),
        (lambda drop: figures.performance(PEOPLE, LINK, drop(RESPONSE)), "probability"),
        (lambda drop: figures.forest(drop(CONTRASTS)), "p"),
        (lambda drop: figures.caterpillar(drop(EFFECTS), "class"), "se"),
        (lambda drop: figures.exclusions_flow(drop(FLOW)), "dropped"),
        (lambda drop: figures.power_curves(drop(POWER)), "power"),
        (lambda drop: figures.residuals(drop(RESIDUALS)), "residual"),
        (lambda drop: figures.reaction_times(drop(TIMES)), "rt_ms"),
        (lambda drop: figures.activation(drop(BINS)), "activation_difference"),
    ],
)
def test_a_missing_column_is_named_and_an_empty_table_refused(draw, column):
    with pytest.raises(ValueError, match=f"has no column {re.escape(repr(column))}; its columns:"):
        draw(lambda table: table.drop(columns=column))
    with pytest.raises(ValueError, match="is empty: there is nothing to draw"):
        draw(lambda table: table.iloc[:0])


def test_rows_without_a_condition_are_refused():
    people = PEOPLE.assign(condition=PEOPLE["condition"].where(PEOPLE.index > 1))
    with pytest.raises(ValueError, match="2 rows have no condition"):
        figures.performance(people, LINK, RESPONSE)


def test_an_outcome_that_is_neither_right_nor_wrong_is_refused():
    with pytest.raises(ValueError, match=r"correct = nan: 0 or 1 is allowed"):
        figures.reaction_times(TIMES.assign(correct=[NAN, *[1.0] * 43]))


def test_trials_without_any_time_are_refused():
    with pytest.raises(ValueError, match="no trial has an rt_ms above 0"):
        figures.reaction_times(TIMES.assign(rt_ms=NAN))


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
