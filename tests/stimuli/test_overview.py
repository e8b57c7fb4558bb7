"""The contact sheet shows the study that was built: its numbers, its images, nothing else."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from stimuli.overview import heat_image, overview
from stimuli.overview_tables import chance_interval
from stimuli.schema import Study

SIDE_PX, SIZE_PX, STRIDE_PX = 64, 24, 8
VOID = {"br", "img", "input", "link", "meta"}
CONFIG = {
    "queries": {"size_px": SIDE_PX, "show_base_image": False},
    "occluder": {"stride_px": STRIDE_PX},
    "references": {"size_px": 32},
}
HOSTILE = 'tabby <b>bold</b> & "quoted"'


class Page(HTMLParser):
    """A page as a list of elements and a text; raises where tags do not nest."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.open = [], "", []
        self.feed(text)
        self.close()
        if self.open:
            raise ValueError(f"never closed: {self.open}")

    def handle_starttag(self, tag, attrs):
        if len(dict(attrs)) != len(attrs):
            raise ValueError(f"<{tag}> says something twice: {attrs}")
        self.elements.append((tag, dict(attrs)))
        self.text += " " * (tag in {"th", "td"})
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            raise ValueError(f"</{tag}> closes something else at {self.getpos()}")

    def handle_data(self, data):
        self.text += data

    def find(self, tag, **attributes):
        wanted = attributes.items()
        return [found for name, found in self.elements if name == tag and wanted <= found.items()]


def article(text, trial_id):
    """The part of a page that shows one trial."""
    return re.search(rf'<article class="trial" id="{trial_id}".*?</article>', text, re.DOTALL)[0]


def query(image, activation, x_px, y_px, size_px=SIZE_PX):
    occluder = {"x_px": x_px, "y_px": y_px, "size_px": size_px}
    return {"image": image, "activation": activation, "occluder": occluder}


def trial(trial_id, kind, network, favored, index=3, large_px=SIZE_PX):
    low = query(f"q{trial_id}low.png", 0.125 + index / 7, 8, 0, large_px)
    high = query(f"q{trial_id}high.png", 2.5 + index / 3, 40, 16)
    return {
        "id": trial_id,
        "kind": kind,
        "network": network,
        "unit": {"kind": "class", "index": index, "label": f"label {index}", "layer": None},
        "base_image": {"source": f"n0{index}/{trial_id}.jpg", "image": f"b{trial_id}.png"},
        "references": {"maco": [f"r{network}{index}.png"], "control": []},
        "queries": [low, high] if favored else [high, low],
        "base_activation": 3.25 + index,
        "favored": favored,
        "baselines": {"centre_distance": [0.25, 0.75], "visible_contrast": [-0.5, -0.5]},
    }


def network(name, accuracy):
    digest = hashlib.sha256(name.encode()).hexdigest()
    source = {"name": name, "model": f"demo/{name}", "weights_digest": digest}
    return source | {"input_size_px": 48, "accuracy": accuracy}


def content(trials=None):
    trials = trials or [
        trial("m0", "main", "VGG", 0),
        trial("m1", "main", "VGG", 1, 4),
        trial("m2", "main", "ViT", 1),
        trial("m3", "main", "ViT", 0, 4),
        trial("p0", "practice", "VGG", 1, 8),
        trial("c0", "catch", "ViT", 0, 9, large_px=48),
    ]
    names = {name for one in trials for name in one["references"]["maco"]}
    names |= {query["image"] for one in trials for query in one["queries"]}
    names |= {one["base_image"]["image"] for one in trials}
    return {
        "schema_version": 1,
        "name": "demo",
        "title": "Which of the two?",
        "config": CONFIG,
        "software": {"torch": "2.11.0", "pillow": "11.3.0"},
        "networks": [network("VGG", 0.875), network("ViT", None)],
        "conditions": ["maco", "control"],
        "rendering": {"maco": {"steps": 173, "transparency": False}},
        "images": dict.fromkeys(names, "a1" * 32),
        "trials": trials,
        "lists": [["p0", "m0", "c0", "m1"], ["p0", "m2", "c0", "m3"], ["m0", "m3", "c0"]],
        "observers": {"all": {"centre_distance": 0.75, "visible_contrast": 0.5}},
    }


def show(study):
    side = (SIDE_PX - SIZE_PX) // STRIDE_PX + 1
    values = torch.arange(side * side, dtype=torch.float32).view(side, side)
    catch = torch.arange(9, dtype=torch.float32).view(3, 3)
    return overview(study, {one.id: catch if one.id == "c0" else values for one in study.trials})


@pytest.fixture(scope="module")
def study():
    return Study.model_validate(content())


@pytest.fixture(scope="module")
def text(study):
    return show(study)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_every_image_of_the_study_is_shown_and_nothing_else_is_loaded(study, page, text):
    sources = [image["src"] for image in page.find("img")]
    stored = {source for source in sources if not source.startswith("data:image/png;base64,")}
    assert stored == {f"images/{name}" for name in study.images}
    assert not page.find("link") and not page.find("image") and not page.find("iframe")
    assert page.find("script") == [{}]
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]*", "", text)


def test_images_are_lazy_sized_and_described(page):
    for image in page.find("img"):
        assert image["loading"] == "lazy"
        assert int(image["width"]) > 0 and int(image["height"]) > 0
        assert image["alt"] or image["class"] == "under"  # the picture below a map is a repetition


def test_links_within_the_page_have_targets_and_ids_are_unique(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in page.find("a")} <= set(ids)


def test_a_trial_shows_its_own_numbers(study, text):
    for one in study.trials:
        part = Page(article(text, one.id))
        values = [json.loads(data["value"]) for data in part.find("data")]
        wanted = [query.activation for query in one.queries]
        assert values[:2] == wanted  # exactly, left then right
        assert one.base_activation in values
        assert max(wanted) - min(wanted) in values
        for left, right in one.baselines.values():
            assert left in values and right in values
        assert one.base_image.source in part.text


def test_queries_stand_left_then_right_and_the_favored_one_is_marked(study, text):
    for one in study.trials:
        part = article(text, one.id)
        shown = re.findall(r'<figure class="query( favored)?"><img src="images/([^"]+)"', part)
        assert [name for _, name in shown] == [query.image for query in one.queries]
        assert [bool(mark) for mark, _ in shown] == [one.favored == 0, one.favored == 1]
        assert part.count("✓ favored") == 1


def test_everything_that_tells_the_answer_can_be_hidden(study, text):
    for one in study.trials:
        part = Page(article(text, one.id))
        told = [tag for tag, attributes in part.elements if "answer" in attributes.get("class", "")]
        assert sorted(told) == ["figure"] + ["span"] * (2 + part.text.count("✓"))
    assert "body:has(#hide:checked) .answer { visibility: hidden; }" in text


def test_squares_lie_where_the_occluders_are(study, text):
    one = study.trials[0]
    part = Page(article(text, one.id))
    for side, shown in zip(("left", "right"), one.queries, strict=True):
        (square,) = part.find("rect", **{"class": side})
        hidden = shown.occluder
        assert (square["x"], square["y"]) == (str(hidden.x_px), str(hidden.y_px))
        assert square["width"] == square["height"] == str(hidden.size_px)


def test_a_cell_of_the_map_lies_about_the_centre_of_its_occluder(text):
    (heat,) = Page(article(text, "m0")).find("img", **{"class": "heat"})
    left, top, width, height = (float(part) for part in re.findall(r"[\d.]+", heat["style"]))
    cell = width / int(heat["width"])
    first_centre = SIDE_PX * (left + cell / 2) / 100
    assert first_centre == pytest.approx(SIZE_PX / 2, abs=0.01)
    assert SIDE_PX * cell / 100 == pytest.approx(STRIDE_PX, abs=0.01)
    assert (top, height) == (left, width)
    (heat,) = Page(article(text, "c0")).find("img", **{"class": "heat"})
    assert "left:31.250%" in heat["style"]  # of the large occluder: (48 - 8) / 2 of 64 px


def test_heat_runs_from_violet_to_yellow_with_rows_downwards():
    address = heat_image(torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 8.0]]))
    png = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    assert pixels.shape == (2, 3, 3)
    assert pixels[0, 0].tolist() == [0x44, 0x01, 0x54]
    assert pixels[1, 2].tolist() == [0xFD, 0xE7, 0x25]
    brightness = pixels @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(brightness.flatten()) > 0).all()
    assert heat_image(torch.full((2, 2), 3.5)).startswith("data:image/png;base64,")


def test_text_of_the_study_is_escaped():
    changed = content()
    for one in changed["trials"]:
        one["unit"]["label"] = HOSTILE
        one["base_image"]["source"] = "a/<script>alert(1)</script>.jpg"
    changed["title"] = changed["name"] = HOSTILE
    changed["software"] = {"<i>": "</footer>"}
    changed["config"] = CONFIG | {"title": HOSTILE}
    changed["rendering"]["maco"]["<u>"] = "<s>"
    page = Page(show(Study.model_validate(changed)))
    assert HOSTILE in page.text and "a/<script>alert(1)</script>.jpg" in page.text
    assert len(page.find("script")) == 1
    assert not any(name in {"s", "u"} for name, _ in page.elements)
    assert any(image["alt"].endswith(HOSTILE) for image in page.find("img"))


def test_kinds_come_in_order_with_every_trial_once(study, page):
    shown = [(one["id"], one["data-kind"]) for one in page.find("article")]
    assert sorted(shown) == sorted((one.id, one.kind) for one in study.trials)
    assert [kind for _, kind in shown] == ["main"] * 4 + ["practice", "catch"]
    units = [one["data-unit"] for one in page.find("article", **{"data-kind": "main"})]
    assert units == ["class:3", "class:3", "class:4", "class:4"]
    assert page.text.index("Practice trials") < page.text.index("Catch trials")


def test_a_study_without_practice_or_catch_has_no_such_section():
    plain = content([trial("m0", "main", "VGG", 0), trial("m1", "main", "ViT", 1)])
    plain["lists"] = [["m0", "m1"]]
    text = show(Study.model_validate(plain))
    Page(text)
    assert "Practice trials" not in text and 'href="#catch"' not in text


def test_the_observers_table_tells_what_is_remarkable():
    counts = (27, 28, 36, 44, 45)
    many = [trial(f"m{at}", "main", "VGG", at % 2) for at in range(72)]
    changed = content(many) | {"lists": [[one["id"] for one in many]]}
    changed["observers"] = {"all": {f"right {count}": count / 72 for count in counts}}
    text = show(Study.model_validate(changed))
    rates = re.findall(r'<td class="rate (\w+)"><data value="([^"]+)">', text)
    assert [kind for kind, _ in rates] == ["below", "even", "even", "even", "above"]
    assert [json.loads(rate) for _, rate in rates] == [count / 72 for count in counts]
    assert "39% to 61%" in text


@pytest.mark.parametrize(
    ("trials", "lowest"),
    [(0, 0), (1, 0), (5, 0), (6, 1), (10, 2), (72, 28), (100, 40), (2000, 956)],
)
def test_guessers_stay_within_the_interval(trials, lowest):
    low, high = chance_interval(trials)
    assert low * trials == pytest.approx(lowest)
    assert low + high == pytest.approx(1)


def test_summary_and_footer_describe_the_study(study, page):
    words = " ".join(page.text.split())
    assert "0 4 2 1 1 1 : 1 0 : 0 ✓" in words
    assert "2 3 2 0 1 1 : 0 1 : 0 off by 2" in words
    assert "lowest 3 2 0 1" in words and "highest 4 2 1 1" in words
    assert "Each main trial is in 1 to 2 of the 3 lists" in words
    assert "87.5%" in words and "steps 173" in words and "no references" in words
    plain = json.dumps(study.config, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(plain.encode()).hexdigest() in words
    assert "torch 2.11.0, pillow 11.3.0" in words


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        (
            {"late": {}, "below_chance": {"alpha": 0.05, "chance": 0.5}},
            "Left out of the analysis: late; below_chance alpha = 0.05 chance = 0.5.",
        ),
        ({}, "Left out of the analysis: nobody."),
    ],
)
def test_the_preregistered_exclusions_are_told(rules, sentence):
    config = CONFIG | {"exclusions": rules}
    assert sentence in Page(show(Study.model_validate(content() | {"config": config}))).text


def test_margins_are_those_of_the_main_trials(study, text):
    gaps = [
        abs(one.queries[0].activation - one.queries[1].activation)
        for one in study.trials
        if one.kind == "main" and one.network == "VGG"
    ]
    panel = text[text.index("<h2>Activation margins</h2>") :]
    shown = [json.loads(value) for value in re.findall(r'<data value="([^"]+)"', panel)[:3]]
    assert shown == [float(np.quantile(gaps, share)) for share in (0.25, 0.5, 0.75)]


def test_the_same_study_gives_the_same_page(study, text):
    assert show(study) == text
