"""What is public, what is heavy, and who carries whom."""

from __future__ import annotations

import pytest

import maco


def test_public_names_are_sorted_and_there():
    capitals = [name for name in maco.__all__ if name.isupper()]
    classes = [name for name in maco.__all__ if name[0].isupper() and not name.isupper()]
    functions = [name for name in maco.__all__ if name[0].islower()]
    assert maco.__all__ == [*sorted(capitals), *sorted(classes), *sorted(functions)]
    assert len(set(maco.__all__)) == len(maco.__all__)
    for name in maco.__all__:
        assert getattr(maco, name).__doc__, name


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("maco", {"torch", "timm", "torchvision", "numpy", "PIL"}),
        ("stimuli.schema", {"torch", "timm", "torchvision", "numpy", "pandas", "PIL", "flask"}),
        ("stimuli.build", {"torch", "timm", "torchvision", "numpy", "pandas", "PIL", "flask"}),
        ("experiment_server", {"torch", "timm", "torchvision", "pandas", "maco"}),
        ("analysis", {"torch", "timm", "torchvision", "flask", "maco"}),
    ],
)
def test_light_packages_load_nothing_heavy(module, forbidden, loaded_by):
    loaded = loaded_by(f"import {module}")
    assert module.split(".")[0] in loaded
    assert not loaded & forbidden


def test_the_check_of_what_is_loaded_can_fail(loaded_by):
    assert {"maco", "torch", "timm", "numpy"} <= loaded_by("from maco import Classifier")


def test_maco_knows_nothing_of_people(loaded_by):
    others = {"stimuli", "experiment_server", "analysis", "flask", "pandas"}
    loaded = loaded_by("from maco import *")
    assert "torch" in loaded
    assert not loaded & others


@pytest.mark.parametrize(
    "before", ["pass", "import maco.render", "from maco.render import Diversity"]
)
def test_render_is_the_function_whatever_was_loaded_before(before, loaded_by):
    """Python would set `maco.render` to the package of that name when that is loaded."""
    loaded_by(
        f"{before}\nfrom maco import render\nimport maco, maco.render, types\n"
        "assert maco.render is render and isinstance(render, types.FunctionType)"
    )


def test_names_are_listed_before_they_are_loaded(loaded_by):
    assert "torch" not in loaded_by("import maco\nassert {*maco.__all__} <= {*dir(maco)}")


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'maco' has no attribute 'rendr'"):
        _ = maco.rendr
    with pytest.raises(ImportError, match="cannot import name 'rendr'"):
        from maco import rendr  # noqa: F401
