"""lme4's formulas as they are read, and what a wrong one says."""

from __future__ import annotations

import pytest

from analysis.formula import FormulaError, RandomTerm, parse_formula

COLUMNS = ["correct", "visualization", "network", "participant", "class_label", "x"]


def test_crossed_random_effects_are_taken_out_of_the_fixed_part() -> None:
    formula = parse_formula(
        "correct ~ visualization * network + (1 | participant) + (1 | class_label)", COLUMNS
    )
    assert formula.fixed == "visualization * network"
    assert formula.random == (
        RandomTerm(("1",), ("participant",)),
        RandomTerm(("1",), ("class_label",)),
    )


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("(1 + x | g)", (RandomTerm(("1 + x",), ("g",)),)),
        ("(x || g)", (RandomTerm(("1", "0 + x"), ("g",)),)),
        ("(0 + x || g)", (RandomTerm(("0 + x",), ("g",)),)),
        ("(1 | a/b)", (RandomTerm(("1",), ("a",)), RandomTerm(("1",), ("a", "b")))),
        ("(1 | a:b)", (RandomTerm(("1",), ("a", "b")),)),
        ("(1 | g) + (0 + x | g)", (RandomTerm(("1", "0 + x"), ("g",)),)),
    ],
)
def test_random_terms(term: str, expected: tuple[RandomTerm, ...]) -> None:
    assert parse_formula(f"y ~ x + {term}").random == expected


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("y ~ (1 | g)", "1"),
        ("y ~ (1 | g) + x", "x"),
        ("y ~ x + (1 | g) - 1", "x  - 1"),
        ("y ~ C(x, Sum) * (a + b) + (1 | g)", "C(x, Sum) * (a + b)"),
    ],
)
def test_fixed_part(text: str, fixed: str) -> None:
    assert parse_formula(text).fixed == fixed


def test_binomial_counts() -> None:
    formula = parse_formula("cbind(hits, size - hits) ~ x + (1 | g)")
    assert (formula.successes, formula.failures) == ("hits", "size - hits")


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("correct ~ network + 1 | participant", "|", "in parentheses"),
        ("correct ~ network + ( | participant)", "|", "what varies"),
        ("correct ~ network + (1 | )", " )", "grouping factor"),
        ("correct ~ network + (1 | participant", "(", "never closed"),
        ("correct ~ network) + (1 | participant)", ")", "never opened"),
        ("correct ~ netwrok + (1 | participant)", "netwrok", "network"),
        ("correct ~ network + (1 | particpant)", "particpant", "participant"),
        ("correct ~ network * (1 | participant)", "(", "added with +"),
        ("correct ~ network ~ (1 | participant)", "~ (", "one ~"),
        ("correct ~ network + * x + (1 | participant)", "* x", "noun"),
        ("cbind(x) ~ network + (1 | participant)", "(", "successes, failures"),
        (" ~ network + (1 | participant)", "~", "outcome is missing"),
    ],
)
def test_an_error_points_at_the_character(text: str, at: str, says: str) -> None:
    with pytest.raises(FormulaError, match=says) as caught:
        parse_formula(text, COLUMNS)
    problem, shown, caret = str(caught.value).splitlines()
    assert says in problem
    assert shown[caret.index("^") :].startswith(at)


@pytest.mark.parametrize("text", ["correct ~ network", "correct network"])
def test_what_is_missing_is_named(text: str) -> None:
    with pytest.raises(FormulaError, match=r"\(1 \| participant\)|needs a ~"):
        parse_formula(text, COLUMNS)
