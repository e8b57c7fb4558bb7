"""One call to Prolific's API: the token, waiting when told to, and errors in one line.

Documented: `Authorization: Token ...`, errors as `{"error": {"title", "detail"}}`, and 429 where
too much is asked at once, to be tried again ever more slowly. Ours: Retry-After is followed where
it is sent; after another failure only calls that may be repeated are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Self

import httpx

BASE_URL = "https://api.prolific.com"
ATTEMPTS = 6
LONGEST_WAIT_S = 120.0
TIMEOUT_S = 30.0

# What may be sent again: "always" after any failure, "refused" only if it was not taken (429).
Repeat = Literal["always", "refused", "never"]


class ProlificError(RuntimeError):
    """A call that did not succeed: which one, and what Prolific says."""


class Api:
    """The API with one researcher's token; to be closed, or used in a `with`."""

    def __init__(
        self,
        token: str,
        base_url: str = BASE_URL,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {"Authorization": f"Token {token}"}
        self._http = httpx.Client(
            base_url=base_url, transport=transport, headers=headers, timeout=TIMEOUT_S
        )
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def call(self, method: str, path: str, repeat: Repeat, **options: Any) -> dict[str, Any]:
        """The JSON object that Prolific answers ({} for none). Raises ProlificError."""
        for attempt in range(1, ATTEMPTS + 1):
            wait_s = 2.0**attempt
            try:
                answer = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                fault = f"no answer ({error!r})"
                again = repeat == "always"
            else:
                if answer.is_success:
                    return _body(answer)
                fault = f"{answer.status_code}, {_detail(answer)}"
                again = _may_repeat(answer, repeat)
                wait_s = _wait_s(answer, wait_s)
            if not again or attempt == ATTEMPTS or wait_s > LONGEST_WAIT_S:
                break
            self._sleep(wait_s)
        raise ProlificError(f"{method} {path}: {fault}")


def _may_repeat(answer: httpx.Response, repeat: Repeat) -> bool:
    if answer.status_code == 429:
        return repeat != "never"
    return answer.status_code >= 500 and repeat == "always"


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {}


def _detail(answer: httpx.Response) -> str:
    """Prolific's own words, on one line."""
    error = _body(answer).get("error")
    words = (error.get("detail") or error.get("title")) if isinstance(error, dict) else error
    return " ".join(str(words or answer.text or answer.reason_phrase).split())[:300]


def _wait_s(answer: httpx.Response, otherwise_s: float) -> float:
    """Seconds until the next attempt, as Prolific says."""
    said = answer.headers.get("Retry-After", "")
    if said.isdigit():
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return otherwise_s
