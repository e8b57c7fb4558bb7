"""lme4's formula language: `correct ~ visualization * network + (1 | participant)`."""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import patsy

_NAME = re.compile(r"(?<![\w.'\"])[A-Za-z_]\w*")
_TEXT = re.compile(r"'[^']*'|\"[^\"]*\"")
_GROUP = re.compile(r"\s*[A-Za-z_]\w*(\s*[:/]\s*[A-Za-z_]\w*)*\s*$")
_CBIND = re.compile(r"cbind\s*\((.*)\)$", re.DOTALL)


# What a formula may call: R's words for numpy's functions, numpy itself, and patsy's.
FUNCTIONS: dict[str, Any] = {
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "np": np,
}
_CODINGS = ["Treatment", "Sum", "Helmert", "Poly", "Diff"]
_CALLED = [*FUNCTIONS, "cbind", *patsy.builtins.__all__]


class FormulaError(ValueError):
    """A formula that cannot be read; the message points at the character."""

    def __init__(self, problem: str, text: str, position: int) -> None:
        super().__init__(f"{problem}\n    {text}\n    {' ' * position}^")
        self.position = position


@dataclass(frozen=True)
class RandomTerm:
    """Effects that vary by the levels of one grouping factor.

    `effects` are right-hand sides that covary within, and not between, themselves: one for
    `(1 + x | g)`, two for `(x || g)`. `group` names the columns whose combinations are levels.
    """

    effects: tuple[str, ...]
    group: tuple[str, ...]

    @property
    def label(self) -> str:
        """The grouping factor as it is printed: `participant`, or `class:network`."""
        return ":".join(self.group)


@dataclass(frozen=True)
class Formula:
    """A parsed formula: the response, patsy's fixed part and the random terms."""

    text: str
    successes: str
    failures: str | None
    fixed: str
    random: tuple[RandomTerm, ...]


def parse_formula(text: str, columns: Iterable[str] | None = None) -> Formula:
    """The parts of an lme4 formula; names are checked against `columns` where given.

    Raises FormulaError for syntax and for unknown names, which names the nearest columns.
    """
    _check_parentheses(text)
    tilde = _only_tilde(text)
    if columns is not None:
        _check_names(text, [str(column) for column in columns])
    successes, failures = _response(text, tilde)
    fixed, spans = _split(text, tilde + 1)
    random = [term for start, end in spans for term in _random_terms(text, start, end)]
    if not random:
        raise FormulaError(
            "a mixed model needs a random effect such as (1 | participant)", text, len(text)
        )
    _check_fixed(fixed, text, tilde + 1)
    return Formula(text, successes, failures, fixed, merge_groups(random))


def merge_groups(terms: Iterable[RandomTerm]) -> tuple[RandomTerm, ...]:
    """Terms of the same grouping factor made one, whose parts stay uncorrelated."""
    merged: dict[tuple[str, ...], tuple[str, ...]] = {}
    for term in terms:
        merged[term.group] = merged.get(term.group, ()) + term.effects
    return tuple(RandomTerm(effects, group) for group, effects in merged.items())


def _masked(text: str) -> str:
    """The text with quoted strings blanked, positions kept."""
    return _TEXT.sub(lambda match: " " * len(match.group()), text)


def _check_parentheses(text: str) -> None:
    opened: list[int] = []
    for position, character in enumerate(_masked(text)):
        if character == "(":
            opened.append(position)
        elif character == ")":
            if not opened:
                raise FormulaError("this parenthesis was never opened", text, position)
            opened.pop()
    if opened:
        raise FormulaError("this parenthesis is never closed", text, opened[-1])


def _only_tilde(text: str) -> int:
    first = text.find("~")
    if first < 0:
        raise FormulaError("a formula needs a ~ after the outcome", text, len(text))
    second = text.find("~", first + 1)
    if second >= 0:
        raise FormulaError("a formula has one ~ only", text, second)
    return first


def _check_names(text: str, columns: list[str]) -> None:
    masked = _masked(text)
    for match in _NAME.finditer(masked):
        name, after = match.group(), masked[match.end() :].lstrip()
        if after[:1] == "(" or (after[:1] == "." and name not in columns):
            if name not in _CALLED:
                raise FormulaError(_unknown("function", name, _CALLED), text, match.start())
            continue
        is_keyword = after[:1] == "=" and after[:2] != "=="
        if name in columns or is_keyword or name in _CODINGS or name in ("True", "None"):
            continue
        raise FormulaError(_unknown("column", name, [*columns, *_CODINGS]), text, match.start())


def _unknown(what: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return f"there is no {what} {name!r}; did you mean {', '.join(near)}?"
    shown = [word for word in known if word not in _CODINGS][:12]
    return f"there is no {what} {name!r}; there are {', '.join(shown)}"


def _response(text: str, tilde: int) -> tuple[str, str | None]:
    outcome = text[:tilde].strip()
    if not outcome:
        raise FormulaError("the outcome is missing before the ~", text, tilde)
    counts = _CBIND.match(outcome)
    if counts is None:
        return outcome, None
    parts = _pieces(counts.group(1), ",")
    if len(parts) != 2:
        raise FormulaError("cbind takes two columns: successes, failures", text, text.find("("))
    return parts[0].strip(), parts[1].strip()


def _pieces(text: str, separator: str) -> list[str]:
    """The text split at separators outside parentheses."""
    depth, pieces = 0, [""]
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == separator and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += character
    return pieces


def _split(text: str, start: int) -> tuple[str, list[tuple[int, int]]]:
    """The fixed part, and where the content of each random term starts and ends."""
    masked, spans, depth, opened = _masked(text), [], 0, start
    for position in range(start, len(text)):
        if masked[position] == "(":
            depth, opened = depth + 1, position if depth == 0 else opened
        elif masked[position] == ")":
            depth -= 1
            if depth == 0 and "|" in masked[opened:position]:
                spans.append((opened + 1, position))
        elif masked[position] == "|" and depth == 0:
            raise FormulaError("put a random effect in parentheses: (1 | g)", text, position)
    return _without(text, start, spans), spans


def _without(text: str, start: int, spans: list[tuple[int, int]]) -> str:
    kept = ""
    for left, right in spans:
        kept += text[start : left - 1].rstrip()
        if kept and kept[-1] != "+":
            raise FormulaError("a random effect is added with +", text, left - 1)
        after = text[right + 1 :].lstrip()
        if after and after[0] not in "+-":
            raise FormulaError("only + or - may follow a random effect", text, right + 1)
        kept, start = kept.removesuffix("+"), right + 1
    return (kept + text[start:]).strip().removeprefix("+").strip() or "1"


def _random_terms(text: str, start: int, end: int) -> list[RandomTerm]:
    inner = text[start:end]
    bar = inner.index("|")
    double = inner[bar : bar + 2] == "||"
    after = bar + 2 if double else bar + 1
    effects, group = inner[:bar].strip(), inner[after:]
    if not effects:
        raise FormulaError("write what varies, such as 1, before the |", text, start + bar)
    if not _GROUP.match(group):
        raise FormulaError(
            "after the | comes a grouping factor: g, a:b or a/b", text, start + after
        )
    parts = _uncorrelated(effects, text, start) if double else (effects,)
    return [RandomTerm(parts, names) for names in _nested(group)]


def _nested(group: str) -> list[tuple[str, ...]]:
    """`a/b` as a and a:b."""
    levels = [tuple(name.strip() for name in part.split(":")) for part in group.split("/")]
    return [sum(levels[: depth + 1], ()) for depth in range(len(levels))]


def _uncorrelated(effects: str, text: str, position: int) -> tuple[str, ...]:
    _check_fixed(effects, text, position)
    terms = patsy.ModelDesc.from_formula(effects).rhs_termlist
    return tuple("1" if term == patsy.INTERCEPT else f"0 + {term.name()}" for term in terms)


def _check_fixed(part: str, text: str, start: int) -> None:
    """Ask patsy to read a part, and move its complaint to where the part stands."""
    for match in _NAME.finditer(_masked(part)):
        if keyword.iskeyword(match.group()) and match.group() not in ("True", "None"):
            raise FormulaError(
                f"{match.group()!r} is a word of Python: rename that column to use it here",
                text,
                max(text.find(match.group(), start), 0),
            )
    try:
        patsy.ModelDesc.from_formula(part)
    except patsy.PatsyError as error:
        at = text.find(part, start) + (error.origin.start if error.origin else 0)
        raise FormulaError(str(error.message), text, max(at, 0)) from None
