"""The bundle refuses whatever would give a wrong number, and says where."""

from __future__ import annotations

import copy
import hashlib
import json

import pytest
from pydantic import ValidationError

from stimuli.schema import (
    Study,
    Unit,
    dump_study,
    read_study,
    verify_images,
)

IMAGES = {f"{letter}.png": f"picture {letter}".encode() for letter in "abcdef"}


def trial(trial_id, kind="main", **changes):
    content = {
        "id": trial_id,
        "kind": kind,
        "network": "VGG",
        "unit": {"kind": "class", "index": 3, "label": "ball", "layer": None},
        "base_image": {"source": "ball/0.png", "image": "a.png"},
        "references": {"maco": ["d.png", "e.png"], "control": []},
        "queries": [
            {
                "image": "b.png",
                "activation": 0.1,
                "occluder": {"x_px": 0, "y_px": 4, "size_px": 90},
            },
            {
                "image": "c.png",
                "activation": 2.5,
                "occluder": {"x_px": 60, "y_px": 0, "size_px": 90},
            },
        ],
        "base_activation": 3.25,
        "favored": 1,
        "baselines": {"centre_distance": [0.2, 0.4]},
    }
    return content | changes


def content(**changes):
    study = {
        "schema_version": 1,
        "name": "demo",
        "title": "Which?",
        "config": {"queries": {"show_base_image": True}},
        "software": {"maco": "0.1.0"},
        "networks": [
            {
                "name": "VGG",
                "model": "demo/vgg",
                "weights_digest": "0" * 64,
                "input_size_px": 64,
                "accuracy": 0.9,
            }
        ],
        "conditions": ["maco", "control"],
        "rendering": {"maco": {"steps": 256}},
        "participant_text": {"question": "Größer?"},
        "images": {name: hashlib.sha256(data).hexdigest() for name, data in IMAGES.items()},
        "trials": [trial("t0"), trial("t1", kind="practice")],
        "lists": [["t1", "t0"], ["t0"]],
        "observers": {"VGG": {"centre_distance": 0.5}, "all": {"centre_distance": 0.5}},
    }
    return copy.deepcopy(study | changes)


@pytest.fixture
def bundle(tmp_path):
    (tmp_path / "images").mkdir()
    for name, data in IMAGES.items():
        (tmp_path / "images" / name).write_bytes(data)
    (tmp_path / "study.json").write_text(
        dump_study(Study.model_validate(content())), encoding="utf-8"
    )
    return tmp_path


def test_a_study_survives_the_file_with_the_same_bytes(bundle):
    study = read_study(bundle)
    assert study == Study.model_validate(content())
    text = (bundle / "study.json").read_text(encoding="utf-8")
    assert dump_study(study) == text
    assert text.endswith("}\n")
    assert list(json.loads(text)) == list(Study.model_fields)
    assert "Größer?" in text
    assert study.show_base_image
    assert study.trials[0].favored_side == "right"


def test_a_study_does_not_change(bundle):
    with pytest.raises(ValidationError, match="frozen"):
        read_study(bundle).name = "other"


def test_units_have_one_name_in_the_export():
    assert Unit(kind="class", index=355, label="llama").name == "class:355"
    channel = Unit(kind="channel", index=12, label="twelve", layer="inception4a.branch2.1.bn")
    assert channel.name == "inception4a.branch2.1.bn:12"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"trials": [trial("t0", favored=0), trial("t1")]}, "trial 't0': favored = 0, but"),
        ({"trials": [trial("t0", network="Vgg"), trial("t1")]}, "trial 't0': network 'Vgg'"),
        ({"trials": [trial("t0"), trial("t0")]}, "trial id 't0' appears twice"),
        (
            {"trials": [trial("t0"), trial("t1", references={"maco": ["d.png", "e.png"]})]},
            r"trial 't1': references are for \['maco'\]",
        ),
        (
            {
                "trials": [
                    trial("t0"),
                    trial("t1", references={"maco": ["d.png"], "control": []}),
                ]
            },
            "trial 't1': 1 references in condition 'maco', but 2 in trial 't0'",
        ),
        (
            {
                "trials": [
                    trial("t0"),
                    trial("t1", base_image={"source": "x", "image": "z.png"}),
                ]
            },
            "trial 't1': image 'z.png' has no digest",
        ),
        ({"lists": [["t0"], ["t0", "t9"]]}, r"lists\[1\]: there is no trial 't9'"),
        ({"lists": [["t0", "t1", "t0"]]}, r"lists\[0\]: trial 't0' appears twice"),
        ({"conditions": ["maco", "maco"]}, "condition 'maco' appears twice"),
        ({"networks": [content()["networks"][0]] * 2}, "network 'VGG' appears twice"),
        ({"networks": []}, "networks: List should have at least 1 item"),
        ({"images": {"../a.png": "0" * 64}}, "images.*String should match pattern"),
        ({"schema_version": 2}, "schema_version is 2, this program reads 1"),
        ({"answer": 1}, "answer: Extra inputs are not permitted"),
        ({"name": 7}, "name: Input should be a valid string"),
    ],
)
def test_invalid_content_is_refused_in_one_line(bundle, changes, sentence):
    (bundle / "study.json").write_text(json.dumps(content(**changes)), encoding="utf-8")
    with pytest.raises(ValueError, match=sentence) as refusal:
        read_study(bundle)
    assert "study.json: " in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_trial_needs_a_right_answer_and_a_finite_one():
    equal = trial("t0")
    equal["queries"][0]["activation"] = 2.5
    with pytest.raises(ValidationError, match="'t0': both activations are"):
        Study.model_validate(content(trials=[equal, trial("t1")]))
    with pytest.raises(ValidationError, match="finite number"):
        Study.model_validate(content(trials=[trial("t0", base_activation=float("nan"))]))


@pytest.mark.parametrize(("kind", "layer"), [("class", "conv1"), ("channel", None)])
def test_only_channels_name_a_layer(kind, layer):
    with pytest.raises(ValidationError, match="a channel names its layer"):
        Unit(kind=kind, index=0, label="x", layer=layer)


def test_a_trial_has_exactly_two_queries():
    three = trial("t0")
    three["queries"].append(three["queries"][0])
    with pytest.raises(ValidationError, match="queries"):
        Study.model_validate(content(trials=[three, trial("t1")]))


def test_what_is_no_bundle_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"study\.json: cannot be read \(No such file"):
        read_study(tmp_path / "absent")
    for text in ("{", "[]", "\x00"):
        (tmp_path / "study.json").write_text(text)
        with pytest.raises(ValueError, match=r"study\.json: not a JSON object"):
            read_study(tmp_path)
    (tmp_path / "study.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"study\.json: not a JSON object"):
        read_study(tmp_path)


def test_images_are_verified_by_digest(bundle):
    study = read_study(bundle)
    verify_images(bundle, study)
    changed = bundle / "images" / "c.png"
    changed.write_bytes(b"another picture")
    with pytest.raises(ValueError, match=r"c\.png: SHA-256 is"):
        verify_images(bundle, study)
    changed.unlink()
    with pytest.raises(ValueError, match=r"c\.png: the image is missing"):
        verify_images(bundle, study)


HEAVY = {"torch", "pandas", "numpy"}


@pytest.mark.parametrize("module", ["stimuli.schema", "stimuli.study", "stimuli.exclusion_rules"])
def test_what_all_packages_read_is_light(loaded_by, module):
    assert loaded_by(f"import {module}") & HEAVY == set()


def test_this_would_notice_a_heavy_import(loaded_by):
    assert "numpy" in loaded_by("import stimuli.schema, numpy")
