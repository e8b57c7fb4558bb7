"""Options that take several values in a row."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from maco.commandline import ListCommand


@click.command(cls=ListCommand)
@click.option("--classes", multiple=True)
@click.option("--seeds", "-s", multiple=True, type=int)
@click.option("--fast", is_flag=True)
@click.option("--out")
def command(**given):
    print(given)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--classes hen jay --out o", {"classes": ("hen", "jay"), "out": "o"}),
        ("--out o --classes hen", {"classes": ("hen",), "out": "o"}),
        ("--classes hen --classes jay owl", {"classes": ("hen", "jay", "owl")}),
        ("--classes=hen --seeds 1 2 3 --fast", {"classes": ("hen",), "seeds": (1, 2, 3)}),
        ("-s 1 2 --classes hen", {"seeds": (1, 2), "classes": ("hen",)}),
    ],
)
def test_values_in_a_row(words, expected):
    result = CliRunner().invoke(command, words.split())
    assert result.exit_code == 0, result.output
    given = eval(result.output)
    assert {key: given[key] for key in expected} == expected


@pytest.mark.parametrize("words", ["--out o more", "--fast hen", "hen --classes jay"])
def test_what_belongs_to_no_list_is_refused(words):
    assert CliRunner().invoke(command, words.split()).exit_code == 2
