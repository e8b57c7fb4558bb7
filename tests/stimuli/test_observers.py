"""Machine observers on a study whose answer is known: red and blue discs, one of them hidden."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import nn

from maco import Classifier
from maco.images import encode_png
from stimuli.observers.choice import fit_softness, probability
from stimuli.observers.embedding import Embedding
from stimuli.observers.evidence import look, wrong_references
from stimuli.observers.figures import accuracy, summarise
from stimuli.observers.matching import MEASURES, match, seen_only_here
from stimuli.observers.page import page
from stimuli.observers.panel import Panel, Target, observe
from stimuli.occlusion import occlude
from stimuli.schema import Occluder, Study, Trial, dump_study, read_study

SIDE_PX, DISC_PX, OCCLUDER_PX = 64, 16, 24
RED, BLUE = (220, 40, 40), (40, 40, 220)
SPOTS = ((4, 4), (36, 4), (4, 36), (36, 36))  # corners of the occluders
CONDITIONS = ("maco", "noise", "control")
NETWORKS = ("VGG", "ViT")


class Colours(nn.Module):
    """Red and blue of 16 x 16 places, against green: an embedding that sees colour."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.places = nn.AvgPool2d(4)
        self.pooled = nn.AdaptiveAvgPool2d(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        against = images - images.mean(1, keepdim=True)
        found: torch.Tensor = self.pooled(self.places(self.weight * against)).flatten(1)
        return found


def colours(weight: float = 1.0, layer: str = "places") -> Embedding:
    network = Classifier(
        Colours(weight), name="colours", input_size_px=SIDE_PX, mean=(0, 0, 0), std=(1, 1, 1)
    )
    return Embedding(network, layer)


def noise(
    rng: np.random.Generator, *discs: tuple[tuple[int, int], tuple[int, ...]]
) -> torch.Tensor:
    """Grey noise, uint8 (3, 64, 64), with discs of a colour around places."""
    grey = rng.integers(90, 150, (1, SIDE_PX, SIDE_PX)).repeat(3, 0)
    image = (grey + rng.integers(-12, 13, grey.shape)).astype(np.uint8)
    ys, xs = np.mgrid[:SIDE_PX, :SIDE_PX]
    for (x, y), colour in discs:
        middle = OCCLUDER_PX / 2
        inside = np.hypot(xs - x - middle, ys - y - middle) <= DISC_PX / 2
        image[:, inside] = np.array(colour)[:, None]
    return torch.from_numpy(image)


def make_bundle(
    folder: Path, trials: int = 24, digests: tuple[str, str] = ("0" * 64, "1" * 64)
) -> Path:
    """A bundle: the network of a trial likes red (unit 0) or blue (unit 1) discs."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(3)
    images: dict[str, str] = {}

    def store(image: torch.Tensor) -> str:
        content = encode_png(image / 255)
        digest = hashlib.sha256(content).hexdigest()
        (folder / "images" / f"{digest[:20]}.png").write_bytes(content)
        images[f"{digest[:20]}.png"] = digest
        return f"{digest[:20]}.png"

    references = {
        unit: {
            "maco": [store(noise(rng, (SPOTS[at], colour))) for at in range(2)],
            "noise": [store(noise(rng)) for _ in range(2)],
            "control": [],
        }
        for unit, colour in enumerate((RED, BLUE))
    }
    made = []
    for number in range(trials):
        unit, favored = number % 2, number // 2 % 2
        liked, other = rng.permutation(4)[:2]
        colour, decoy = (RED, BLUE) if unit == 0 else (BLUE, RED)
        photograph = noise(rng, (SPOTS[liked], colour), (SPOTS[other], decoy))
        queries = [
            {
                "image": store(occlude(photograph, *SPOTS[at], OCCLUDER_PX)),
                "activation": activation + number / 100,
                "occluder": {"x_px": SPOTS[at][0], "y_px": SPOTS[at][1], "size_px": OCCLUDER_PX},
            }
            for at, activation in ((other, 2.0), (liked, 1.0))
        ]
        made.append(
            {
                "id": f"t{number:03d}",
                "kind": "catch" if number < 2 else "main",
                "network": NETWORKS[number // 4 % 2],
                "unit": {"kind": "class", "index": unit, "label": ("=red", "blue")[unit]},
                "base_image": {"source": f"{number}.jpg", "image": store(photograph)},
                "references": references[unit],
                "queries": queries if favored == 0 else queries[::-1],
                "base_activation": 3.0,
                "favored": favored,
                "baselines": {"centre_distance": (1.0, 1.0), "always_left": (1.0, 0.0)},
            }
        )
    networks = [
        {
            "name": name,
            "model": f"demo/{name.lower()}",
            "weights_digest": digest,
            "input_size_px": 96,
        }
        for name, digest in zip(NETWORKS, digests, strict=True)
    ]
    study = Study.model_validate(
        {
            "schema_version": 1,
            "name": "discs",
            "title": "Which?",
            "config": {"networks": [{"name": n["name"], "model": n["model"]} for n in networks]},
            "software": {},
            "networks": networks,
            "conditions": list(CONDITIONS),
            "images": images,
            "trials": made,
            "lists": [[trial["id"] for trial in made]],
        }
    )
    (folder / "study.json").write_text(dump_study(study), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("discs") / "bundle")


@pytest.fixture(scope="module")
def study(bundle) -> Study:
    return read_study(bundle)


@pytest.fixture(scope="module")
def watch(study, bundle) -> Callable[..., Panel]:
    """`watch()`: the panel with one observer `colours`; settings as in `observe`."""

    def run(changed: Study | None = None, **settings) -> Panel:
        watched = changed or study
        return observe(watched, bundle, {"colours": [colours()]}, progress=False, **settings)

    return run


def chosen(panel: Panel, observer: str, condition: str, kind: str = "main") -> dict[str, float]:
    """Trial -> probability of the favored query."""
    return {
        one.trial_id: one.p_favored
        for one in panel.observations
        if (one.observer, one.condition, one.trial_kind) == (observer, condition, kind)
    }


def test_references_that_show_the_object_beat_control(watch):
    panel = watch()
    shown = accuracy(list(chosen(panel, "colours", "maco").values()))
    control = accuracy(list(chosen(panel, "colours", "control").values()))
    assert shown["low"] > 0.6
    assert shown["accuracy"] > control["accuracy"] + 0.15
    assert control["low"] <= 0.5 <= control["high"]


def test_local_matching_is_right_in_every_trial_and_wrong_with_the_decoy_as_reference(watch):
    """With another unit's references, which show the decoy, it prefers the decoy."""
    panel = watch()
    assert min(chosen(panel, "colours", "maco").values()) > 0.5
    assert max(panel.wrong["colours"]["maco"]) < 0.5


def test_references_without_an_object_say_less(watch):
    panel = watch()
    shown, empty = (
        np.mean(list(chosen(panel, "colours", condition).values())) for condition in CONDITIONS[:2]
    )
    assert empty < shown - 0.1


def test_pooled_over_the_image_colours_say_nothing(watch):
    """A square hidden by its own mean colour leaves the whole image's mean colour as it was."""
    shown = accuracy(list(chosen(watch(measure="global"), "colours", "maco").values()))
    assert shown["low"] < 0.5 < shown["high"]


def test_without_references_every_probability_is_one_half(watch):
    panel = watch()
    for kind in ("main", "catch"):
        assert set(chosen(panel, "colours", "control", kind).values()) == {0.5}
        assert set(chosen(panel, "random", "maco", kind).values()) == {0.5}
    evidence = [one.evidence for one in panel.observations if one.condition == "control"]
    assert "-0.0" not in {str(value) for value in evidence}


@pytest.mark.parametrize("measure", MEASURES)
def test_evidence_changes_sign_when_the_queries_change_sides(measure):
    generator = torch.Generator().manual_seed(0)
    one, other, *references = torch.randn(4, 5, 8, 8, generator=generator)
    seen = torch.rand(2, 8, 8, generator=generator).unbind()
    forth = match(measure, (one, other), seen, references)
    back = match(measure, (other, one), seen[::-1], references)
    assert forth == pytest.approx(-back, abs=1e-6)
    assert abs(forth) > 1e-3


def swapped(trial: Trial) -> Trial:
    return trial.model_copy(update={"queries": trial.queries[::-1], "favored": 1 - trial.favored})


def test_which_side_is_which_and_the_order_of_images_do_not_matter(study, watch):
    turned = [
        swapped(trial).model_copy(
            update={"references": {c: names[::-1] for c, names in trial.references.items()}}
        )
        for trial in study.trials
    ]
    changed = study.model_copy(update={"trials": turned[::-1]})
    for condition in CONDITIONS:
        before, after = (chosen(watch(s), "colours", condition) for s in (study, changed))
        assert before == pytest.approx(after, abs=1e-5)


def test_mirrored_pictures_are_seen_the_same(study, bundle, tmp_path, watch):
    """The queries mirrored, and their occluders with them."""
    (tmp_path / "images").mkdir()
    for name in study.images:
        with Image.open(bundle / "images" / name) as picture:
            ImageOps.mirror(picture).save(tmp_path / "images" / name)

    def mirrored(trial: Trial) -> Trial:
        queries = tuple(
            query.model_copy(
                update={
                    "occluder": query.occluder.model_copy(
                        update={"x_px": SIDE_PX - query.occluder.x_px - OCCLUDER_PX}
                    )
                }
            )
            for query in trial.queries
        )
        return trial.model_copy(update={"queries": queries})

    changed = study.model_copy(update={"trials": [mirrored(trial) for trial in study.trials]})
    panel = observe(changed, tmp_path, {"colours": [colours()]}, progress=False)
    expected = chosen(watch(), "colours", "maco")
    assert chosen(panel, "colours", "maco") == pytest.approx(expected, abs=1e-5)


def test_only_what_the_other_query_hides_counts():
    small, large = Occluder(x_px=24, y_px=24, size_px=16), Occluder(x_px=0, y_px=0, size_px=64)
    assert float(seen_only_here(large, small, (64, 64), 8).sum()) == 0
    assert float(seen_only_here(small, large, (64, 64), 8).sum()) == 64 - 4
    apart = Occluder(x_px=0, y_px=0, size_px=16)
    assert seen_only_here(apart, small, (64, 64), 4)[1:3, 1:3].tolist() == [[0.25, 0.25]] * 2


def test_a_query_that_shows_nothing_of_its_own_resembles_nothing():
    generator = torch.Generator().manual_seed(0)
    one, other, reference = torch.randn(3, 5, 8, 8, generator=generator)
    seen = torch.ones(8, 8), torch.zeros(8, 8)
    assert match("local", (one, other), seen, [one, reference]) > 0.9


def test_the_network_under_study_never_looks_at_its_own_trials(tmp_path):
    mine, another = colours(1.0), colours(2.0)
    folder = make_bundle(tmp_path / "bundle", digests=(mine.digest, "1" * 64))
    study = read_study(folder)
    with pytest.raises(
        ValueError, match=r"observer 'own'.*colours is the network under study in VGG"
    ):
        observe(study, folder, {"own": [mine]}, progress=False)
    both = observe(study, folder, {"both": [mine, another]}, progress=False)
    alone = observe(study, folder, {"both": [another]}, progress=False)
    of_vgg = {trial.id for trial in study.trials if trial.network == "VGG"}
    first, second = (
        [o.evidence for o in p.observations if o.trial_id in of_vgg and o.observer == "both"]
        for p in (both, alone)
    )
    ratio = [a / b for a, b in zip(first, second, strict=True) if b]
    assert ratio == pytest.approx([ratio[0]] * len(ratio))  # but for the scale the same evidence


def test_softness_goes_from_certain_to_guessing():
    assert probability(0.3, 0) == 1 and probability(-0.3, 0) == 0 and probability(0, 0) == 0.5
    assert probability(0.3, 1e-9) == 1 and probability(-0.3, 1e-9) == 0
    assert probability(0.3, 1e9) == pytest.approx(0.5) and probability(0.3, float("inf")) == 0.5
    assert probability(1, 1) == pytest.approx(0.731059, abs=1e-6)
    assert probability(-2, 0.7) == pytest.approx(1 - probability(2, 0.7))


def test_evidence_is_in_units_of_its_own_size(watch):
    rows = [o for o in watch().observations if o.observer == "colours" and o.trial_kind == "main"]
    shown = [one.evidence for one in rows if one.condition != "control"]
    assert np.sqrt(np.mean(np.square(shown))) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("target", [0.55, 0.7, 0.9])
def test_a_fitted_softness_gives_the_accuracy_it_was_fitted_to(watch, target):
    panel = watch(target=Target("maco", target))
    mean = np.mean(list(chosen(panel, "colours", "maco").values()))
    assert mean == pytest.approx(target, abs=1e-6)
    assert panel.softness["colours"] != 1 and panel.softness["map"] == 1


def test_a_target_out_of_reach_is_said():
    with pytest.raises(ValueError, match=r"no softness gives an accuracy of 0.9: .* to 0\.7"):
        fit_softness([1, 1, 1, -1], 0.9)


def test_the_map_observer_is_right_in_every_trial(watch):
    for condition in CONDITIONS:
        certain = chosen(watch(softness=1e-3), "map", condition)
        assert set(certain.values()) == {1.0}


def test_object_blind_observers_answer_as_the_bundle_says(watch, study):
    panel = watch()
    assert set(chosen(panel, "centre_distance", "maco").values()) == {0.5}  # ties
    left = chosen(panel, "always_left", "control")
    favored = {trial.id: trial.favored for trial in study.trials}
    assert all(p == 1 - favored[trial] for trial, p in left.items())


def test_every_observer_answers_every_trial_in_every_condition_once(watch, study):
    panel = watch()
    keys = [(one.observer, one.condition, one.trial_id) for one in panel.observations]
    observers = {"colours", "random", "map", "centre_distance", "always_left"}
    assert len(set(keys)) == len(keys) == len(observers) * len(CONDITIONS) * len(study.trials)


def test_wrong_references_are_those_of_another_unit(study):
    shown = {trial.unit.name: trial.references for trial in study.trials}
    assert wrong_references(study)["VGG", "class:0"] == shown["class:1"]
    assert wrong_references(study)["ViT", "class:1"] == shown["class:0"]


def test_the_figures_name_the_trials_that_references_mislead(study, bundle):
    """The decoy's references in place of the object's: every trial misleads."""
    others = {trial.unit.index: trial.references["maco"] for trial in study.trials}
    trials = [
        trial.model_copy(
            update={"references": trial.references | {"maco": others[1 - trial.unit.index]}}
        )
        for trial in study.trials
    ]
    changed = study.model_copy(update={"trials": trials})
    panel = observe(changed, bundle, {"colours": [colours()]}, progress=False)
    own = summarise(changed, panel)["observers"]["colours"]
    named = {one["trial_id"] for one in own["misled"] if one["condition"] == "maco"}
    main = {trial.id: trial for trial in study.trials if trial.kind == "main"}
    assert named == set(main)
    worst = own["misled"][0]
    assert (
        worst["favored_image"]
        == main[worst["trial_id"]].queries[main[worst["trial_id"]].favored].image
    )
    assert own["effects"]["conditions"]["maco"]["log_odds"] < 0


def test_effects_are_log_odds_against_control_and_people_get_a_share(watch, study):
    panel = watch()
    effects = summarise(study, panel, attenuation=0.25)["observers"]["colours"]["effects"]
    mean = np.mean(list(chosen(panel, "colours", "maco").values()))
    found = effects["conditions"]["maco"]
    assert found["log_odds"] == pytest.approx(np.log(mean / (1 - mean)))
    assert found["attenuated"] == pytest.approx(found["log_odds"] / 4)
    assert effects["conditions"]["control"]["log_odds"] == 0
    assert effects["networks"]["VGG"]["log_odds"] == 0 and set(effects["networks"]) == set(NETWORKS)


def test_trials_that_are_easy_without_references_are_remarked(study, watch):
    """A measure that is always right, such as a careless query rule leaves."""
    easy = [
        trial.model_copy(
            update={"baselines": {"easy": (1.0 - trial.favored, float(trial.favored))}}
        )
        for trial in study.trials
    ]
    remarks = summarise(study, watch(study.model_copy(update={"trials": easy})))["remarks"]
    assert any("easy needs no references and has 1.00" in remark for remark in remarks)
    assert summarise(study, watch())["remarks"] == []


def test_the_page_fits_a_screen_and_names_the_power_command(watch, study, bundle):
    text = page(study, summarise(study, watch()), bundle, (80, 120))
    lines = text.splitlines()
    assert len(lines) <= 40 and all(len(line) <= 160 for line in lines[:12])
    command = lines[-1]
    assert command.startswith("python -m analysis.power --bundle ")
    assert "--condition control=0.00" in command and "--network VGG=0.00" in command
    assert command.endswith("--participants 80 120")


def test_looking_reports_each_trial_once(study, bundle):
    done: list[int] = []
    look(study, bundle, colours(), ["VGG"], "local", done.append)
    assert sum(done) == sum(trial.network == "VGG" for trial in study.trials)
