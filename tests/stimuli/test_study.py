"""Study files: what is written is what is read, and every mistake is named with its remedy."""

from __future__ import annotations

import pytest

from stimuli.study import StudyConfig, StudyFileError, read_config

SMALLEST = """
name = "small"
title = "Which?"

[units]
kind = "class"
classes = ["peacock", "n02437616", 355, 7]
practice = ["ostrich", 4]

[[networks]]
name = "VGG16"
model = "vgg16.tv_in1k"

[conditions.maco]
preset = "paper"

[conditions.control]
"""

NAMED = {
    "title": 'title = "Which?"',
    "units": """kind = "class"
classes = ["peacock", "n02437616", 355, 7]
practice = ["ostrich", 4]""",
    "classes": 'classes = ["peacock", "n02437616", 355, 7]',
    "network": 'model = "vgg16.tv_in1k"',
    "maco": 'preset = "paper"',
    "conditions": '[conditions.maco]\npreset = "paper"\n\n[conditions.control]',
}

CHANNELS = """
kind = "channel"
channels = [
    {layer = "inception4a.branch2.1.bn", index = 12},
    {layer = "inception4a.branch2.1.bn", index = 13},
]
practice = [{layer = "inception3a.branch2.1.bn", index = 12}, {layer = "conv1", index = 12}]

[catch]
trials = 1
"""


@pytest.fixture
def write(tmp_path):
    """Writes the smallest study with named parts replaced and tables added; gives its path."""

    def write_study(addition="", **parts):
        text = SMALLEST
        for part, replacement in parts.items():
            text = text.replace(NAMED[part], replacement)
        path = tmp_path / "study.toml"
        path.write_text(f"{text}\n{addition}", encoding="utf-8")
        return path

    return write_study


def refusal(path):
    with pytest.raises(StudyFileError) as error:
        read_config(path)
    lines = str(error.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_absent_keys_take_the_documented_defaults(write):
    config = read_config(write())
    assert config.units.main == ("peacock", "n02437616", 355, 7)
    assert (config.seed, config.lists) == (0, 12)
    assert (config.base_images.per_unit, config.base_images.choose) == (3, "correct")
    assert (config.references.per_trial, config.references.centre_fraction) == (4, 0.7)
    assert (config.occluder.size, config.occluder.stride_px) == ((0.4,), 2)
    assert (config.queries.rule, config.queries.margin) == ("minimum_vs_elsewhere", 0.25)
    assert (config.practice.trials, config.catch.trials) == (6, 3)


def test_every_key_can_be_written(write, tmp_path):
    (tmp_path / "vgg.safetensors").write_bytes(b"")
    (tmp_path / "labels.txt").write_text("a\nb\n")
    network = """
        model = "torchvision/vgg16"
        weights = "vgg.safetensors"
        options = { pad_type = "same", aux_logits = true, width = 0.5, depth = 3 }
        mean = [0, 0.5, 0.5]
        std = [1, 0.5, 0.5]
        input_size_px = 240
        labels = "labels.txt"
    """
    addition = """
        [base_images]
        choose = "activation"
        index = "index.csv"
        [presets.long]
        base = "paper"
        steps = 4096
        [references]
        centre_fraction = 0.6
        [occluder]
        size = [0.3, 0.4]
        fill = "grey"
        [participant_text]
        question = "Which one?"
    """
    config = read_config(write(addition, network=network, units=CHANNELS))
    assert config.networks[0].options == {
        "pad_type": "same",
        "aux_logits": True,
        "width": 0.5,
        "depth": 3,
    }
    assert config.networks[0].mean == (0.0, 0.5, 0.5)
    assert config.occluder.size == (0.3, 0.4)
    assert str(config.units.main[0]) == "inception4a.branch2.1.bn:12"
    assert config.presets["long"].steps == 4096
    assert StudyConfig.model_validate(config.model_dump(mode="json")) == config


def test_the_digest_depends_on_content_only(write):
    digest = read_config(write()).digest()
    assert len(digest) == 64
    assert read_config(write("# a comment")).digest() == digest
    assert read_config(write("[occluder]\nsize = [0.4]")).digest() == digest
    assert read_config(write("[occluder]\nsize = 0.3")).digest() != digest


def test_a_study_does_not_change(write):
    with pytest.raises(ValueError, match="frozen"):
        read_config(write()).seed = 1


def test_conditions_that_differ_only_by_transparency_share_their_renders(write):
    conditions = """
        [presets.own]
        base = "paper"
        steps = 64
        crops = 8
        [conditions.plain]
        preset = "own"
        [conditions.masked]
        preset = "own"
        transparency = true
        [conditions.spelled_out]
        preset = "paper"
        steps = 64
        crops = 8
        transparency = true
        [conditions.longer]
        preset = "own"
        steps = 128
        [conditions.control]
    """
    rendered = read_config(write(conditions=conditions)).rendered()
    assert sorted(rendered.values()) == [("longer",), ("plain", "masked", "spelled_out")]
    by_conditions = {names[0]: settings for settings, names in rendered.items()}
    assert by_conditions["plain"].preset == "paper"
    assert by_conditions["plain"].given() == {"steps": 64, "crops": 8}
    assert by_conditions["longer"].given() == {"steps": 128, "crops": 8}


@pytest.mark.parametrize(
    ("replacements", "addition", "line"),
    [
        ({}, "[ocluder]\nsize = 0.4", "unknown key 'ocluder'; allowed: name, title"),
        ({}, "[occluder]\nsiz = 0.4", "occluder: unknown key 'siz'; allowed: size, stride_px"),
        ({}, "[occluder]\nsize = 1.2", "occluder.size[0] = 1.2: Input should be less than 1"),
        ({}, "[occluder]\nstride_px = 0", "occluder.stride_px = 0: Input should be greater"),
        ({}, '[occluder]\nfill = "gray"', "occluder.fill = 'gray': Input should be 'mean', 'grey'"),
        ({}, "[occluder]\nsize = 0.999", "occluder.size = 0.999 hides 224 of 224 px"),
        ({}, "[occluder]\nstride_px = 200", "occluder.size = 0.4 hides 90 of 224 px: with stride"),
        ({}, "[queries]\nmargin = 1.5", "queries.margin = 1.5: Input should be less than 1"),
        (
            {},
            "[queries]\nsize_px = true",
            "queries.size_px = True: Input should be a valid integer",
        ),
        ({}, "[catch]\nlarge = 0.2\nsmall = 0.2", "catch: small = 0.2 must be below large = 0.2"),
        ({}, "[catch]\ntrials = 4", "catch.trials = 4 must be below the 4 main trials"),
        (
            {"units": 'kind = "class"\nclasses = [1, 2, 3, 5]'},
            "",
            "practice.trials = 6, but units.practice is empty",
        ),
        ({"units": 'kind = "class"\nclasses = [1, 2, 3, 1]'}, "", "units: 1 appears twice"),
        (
            {"units": 'kind = "class"\nclasses = [1, 2, 3, 4]\npractice = [2, 8]'},
            "",
            "units: 2 appears twice; main and practice units must differ",
        ),
        (
            {"units": 'kind = "class"\nclasses = [1]\nchannels = []'},
            "",
            "units: unknown key 'channels'; allowed: kind, classes, practice",
        ),
        ({"units": 'kind = "klass"'}, "", 'units.kind: allowed: "class", "channel"'),
        ({"units": 'classes = ["peacock"]'}, "", 'units.kind: allowed: "class", "channel"'),
        ({"classes": "classes = []"}, "", "units.classes: Tuple should have at least 1 item"),
        ({"classes": "classes = [-1]"}, "", "units.classes[0] = -1: a class is a label, a wnid"),
        ({"classes": "classes = [true]"}, "", "units.classes[0] = True: a class is a label"),
        (
            {"units": CHANNELS},
            "",
            'base_images.choose = "correct" has no meaning for channels; allowed: "in_order"',
        ),
        ({"network": ""}, "", "networks[0].model: is required, and missing"),
        ({"network": 'model = "x"\nmean = [1.0]'}, "", "networks[0].mean"),
        ({"network": 'model = "x"\nstd = [1, 0, 1]'}, "", "networks[0].std[1] = 0"),
        (
            {"network": 'model = "x"\nweights = "w/none.safetensors"'},
            "",
            "networks[0].weights = 'w/none.safetensors': there is no file",
        ),
        (
            {"network": 'model = "x"\nlabels = "none.txt"'},
            "",
            "networks[0].labels = 'none.txt': there is no file",
        ),
        (
            {},
            '[[networks]]\nname = "VGG16"\nmodel = "y"',
            "networks: the name 'VGG16' appears twice",
        ),
        ({"conditions": "[conditions]"}, "", "conditions: Dictionary should have at least 1 item"),
        (
            {"maco": 'preset = "papr"'},
            "",
            "conditions.maco.preset is 'papr'; allowed: paper, horama, xplique, lucid, olah, cbr; "
            "nearest: paper",
        ),
        ({"maco": "transparency = true"}, "", "conditions.maco: transparency without preset"),
        ({"maco": "steps = 5"}, "", "conditions.maco: steps without preset"),
        ({"maco": ""}, "", "conditions.control is the same as conditions.maco"),
        ({}, "[presets.paper]\nbase = 'lucid'", "presets.paper: the name is taken"),
        ({}, "[presets.own]\nbase = 'other'", "presets.own.base is 'other'; allowed: paper"),
        ({}, "[references]\ncentre_fraction = 1.5", "references.centre_fraction = 1.5"),
        ({}, '[references]\nview = "centre"', "references: unknown key 'view'"),
        ({"title": 'title = "Which?"\nlists = 10'}, "", "lists = 10 must be a multiple of 3"),
        (
            {"title": 'title = "Which?"\nseed = "4"'},
            "",
            "seed = '4': Input should be a valid integer",
        ),
        ({"title": ""}, "", "title: is required, and missing"),
        (
            {},
            '[base_images]\nsource = "demo"\nindex = "a.csv"',
            "base_images.index is for a folder of images",
        ),
        ({}, "[participant_text]\nquestion = ''", "participant_text.question = '': String should"),
    ],
)
def test_mistakes_are_named_in_one_line(write, replacements, addition, line):
    lines = refusal(write(addition, **replacements))
    assert any(found.startswith(line) for found in lines), lines


def test_nearest_names_are_offered(write):
    assert refusal(write("[ocluder]"))[0].endswith("nearest: occluder")


def test_every_problem_is_reported_at_once(write):
    lines = refusal(write("[occluder]\nstride_px = 0\n[queries]\nmargin = 2\n[catch]\ntrials = -1"))
    assert [line.split(" = ")[0] for line in lines] == [
        "occluder.stride_px",
        "queries.margin",
        "catch.trials",
    ]
    lines = refusal(write("[occluder]\nsize = 0.999\n[catch]\ntrials = 5"))
    assert [line.split(" = ")[0] for line in lines] == ["occluder.size", "catch.trials"]


def test_names_must_be_safe_as_folders(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(SMALLEST.replace('"small"', '"../small"'))
    assert refusal(path)[0].startswith("name = '../small': String should match pattern")


def test_toml_mistakes_name_the_line(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text('name = "x"\ntitle = \n')
    assert refusal(path) == ["not valid TOML: Invalid value (at line 2, column 9)"]


def test_an_absent_file_is_named(tmp_path):
    assert refusal(tmp_path / "none.toml") == ["cannot be read (No such file or directory)"]
