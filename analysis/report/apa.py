"""Numbers and names as the Publication Manual of the APA (7th edition, chapter 6) writes them.

True minus signs, no zero before the point of a share or a p-value, a dash where there is no number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

__all__ = [
    "count",
    "interval",
    "listed",
    "number",
    "p_value",
    "percent",
    "ratio",
    "said_p",
    "share",
    "term",
    "word",
]

MINUS, DASH, TIMES = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"


def number(value: float, digits: int = 2) -> str:
    """A rounded number: "−0.14"; a number from 1,000 on has commas."""
    if not np.isfinite(value):
        return {np.inf: "∞", -np.inf: f"{MINUS}∞"}.get(float(value), DASH)
    text = f"{value:,.{digits}f}"
    if not text.strip("-0.,"):
        return text.lstrip("-")
    return text.replace("-", MINUS)


def count(value: float) -> str:
    """A whole number: "8,874"."""
    return number(value, 0)


def share(value: float, digits: int = 2) -> str:
    """A number that cannot exceed 1, such as a correlation or an R²: ".13", "−.06", "1.00"."""
    text = number(value, digits)
    sign, size = (MINUS, text[1:]) if text.startswith(MINUS) else ("", text)
    return sign + (size[1:] if size.startswith("0.") else size)


def p_value(p: float) -> str:
    """A p-value for a table: ".021", "< .001", "> .999"."""
    if np.isnan(p):
        return DASH
    if p < 0.001:
        return "< .001"
    return "> .999" if p > 0.999 else share(p, 3)


def said_p(p: float) -> str:
    """A p-value for a sentence: "p = .021", "p < .001"."""
    text = p_value(p)
    return f"p {text}" if text[0] in "<>" else f"p = {text}"


def percent(value: float, digits: int = 1) -> str:
    """A share as a percentage: "58.4%"."""
    text = number(100 * value, digits)
    return text if text == DASH else f"{text}%"


def ratio(value: float) -> str:
    """An odds ratio: two decimals near 1, more below .1, none from 100 on, then powers of ten."""
    if not np.isfinite(value):
        return number(value)
    if value >= 1e6 or 0 < value < 1e-4:
        power = int(np.floor(np.log10(value)))
        return f"{value / 10.0**power:.1f} {TIMES} 10^{number(power, 0)}"
    return number(value, 0 if value >= 100 else 2 if value >= 0.1 else 3 if value >= 0.01 else 4)


def interval(low: float, high: float, form: Callable[[float], str] = number) -> str:
    """The two ends in brackets: "[0.54, 0.65]". form: how each is written."""
    if np.isnan(low) or np.isnan(high):
        return DASH
    return f"[{form(low)}, {form(high)}]"


def word(name: object) -> str:
    """The name of a condition or a column as a person writes it."""
    return str(name).replace("_", " ")


def term(name: str) -> str:
    """A term of a model: "condition × network" for "condition:network"."""
    return word(name).replace(":", f" {TIMES} ")


def listed(names: Sequence[object], last: str = "and") -> str:
    """Names in a row: "a", "a and b", "a, b, and c". last: the word before the last name."""
    words = [str(name) for name in names]
    if len(words) < 3:
        return f" {last} ".join(words)
    return f"{', '.join(words[:-1])}, {last} {words[-1]}"
