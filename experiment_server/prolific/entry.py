"""Arrival from Prolific: the three parameters of the study URL, and the token that signs them.

Documented by Prolific: the parameters (SESSION_ID is the submission id); and of the secured study
URL that it adds `prolific_token`, a JWT signed with RS256 by the key `kid` of a public key set,
with `exp` some minutes ahead, `aud` of the study's own domain and, in `prolific`, the parameters of
the study URL. Our reading: the issuer; `sub`, the submission id; that `aud` is a URL of which the
origin counts; that names in `prolific` are those of the parameters, compared where they are there.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

import jwt

from experiment_server.experiment import Experiment
from experiment_server.prolific import keys as prolific_keys
from experiment_server.prolific.keys import Keys, KeysUnavailableError
from experiment_server.text import TEXT

ISSUER = "https://www.prolific.com"
LEEWAY = timedelta(seconds=30)  # between two clocks
PROLIFIC_ID = re.compile(r"[0-9a-fA-F]{24}")
SUBMISSION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
FORMS = {"PROLIFIC_PID": PROLIFIC_ID, "STUDY_ID": PROLIFIC_ID, "SESSION_ID": SUBMISSION_ID}

Reason = Literal[
    "missing",
    "malformed",
    "placeholder",
    "other_study",
    "unsigned",
    "expired",
    "forged",
    "keys_unavailable",
]

log = logging.getLogger(__name__)


class ArrivalError(ValueError):
    """An arrival that is refused: a sentence for the participant, and one word for the log."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(TEXT[f"arrival.{reason}"])
        self.reason: Reason = reason


@dataclass(frozen=True)
class Arrival:
    """Someone whom Prolific sent. signed: a valid entry token says so."""

    prolific_pid: str
    study_id: str
    submission_id: str
    signed: bool


def read_arrival(
    query: Mapping[str, str], experiment: Experiment, keys: Keys | None = None
) -> Arrival:
    """The arrival that the study URL's parameters describe. Raises ArrivalError."""
    settings = experiment.settings.prolific
    values = {name: normal_id(query.get(name, "")) for name in FORMS}
    _check_forms(values)
    if settings.study_ids and values["STUDY_ID"] not in map(normal_id, settings.study_ids):
        raise ArrivalError("other_study")
    signed = _is_signed(query.get("prolific_token"), values, experiment, keys)
    return Arrival(values["PROLIFIC_PID"], values["STUDY_ID"], values["SESSION_ID"], signed)


def normal_id(value: str) -> str:
    """Ids in capitals are the same ids: nobody becomes a second person by typing them so."""
    value = value.strip()
    return value.lower() if PROLIFIC_ID.fullmatch(value) else value


def _check_forms(values: Mapping[str, str]) -> None:
    if any("%" in value or "{" in value for value in values.values()):
        raise ArrivalError("placeholder")
    if not all(values.values()):
        raise ArrivalError("missing")
    if not all(form.fullmatch(values[name]) for name, form in FORMS.items()):
        raise ArrivalError("malformed")


def _is_signed(
    token: str | None, values: Mapping[str, str], experiment: Experiment, keys: Keys | None
) -> bool:
    settings = experiment.settings.prolific
    if settings.signed_entry == "off":
        return False
    if not token or not settings.audience:
        if settings.signed_entry == "required":
            raise ArrivalError("unsigned")
        if token:
            log.warning("a prolific_token is not verified: settings.prolific.audience is not set")
        return False
    _verify(token, values, settings.audience, experiment, keys or prolific_keys.PROLIFIC_KEYS)
    return True


def _verify(
    token: str, values: Mapping[str, str], audience: str, experiment: Experiment, keys: Keys
) -> None:
    claims = _claims(token, experiment, keys)
    named = claims.get("prolific")
    named = named if isinstance(named, dict) else {}
    if (
        claims["iss"] != ISSUER
        or normal_id(str(claims["sub"])) != values["SESSION_ID"]
        or not _is_for(claims["aud"], audience)
        or any(normal_id(str(named.get(name, value))) != value for name, value in values.items())
    ):
        raise ArrivalError("forged")
    try:
        expires_s = float(claims["exp"])
    except (TypeError, ValueError):
        raise ArrivalError("forged") from None
    if expires_s + LEEWAY.total_seconds() <= experiment.now().timestamp():
        raise ArrivalError("expired")


def _claims(token: str, experiment: Experiment, keys: Keys) -> dict[str, Any]:
    """What a token signed by Prolific says; issuer, audience, subject and expiry are not judged."""
    try:
        header = jwt.get_unverified_header(token)
        key = keys.find(str(header.get("kid")), experiment.now())
        if key is None:
            raise ArrivalError("forged")
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=["RS256"],  # never what the token's own header asks for
            options={
                "require": ["iss", "sub", "aud", "exp"],
                "verify_exp": False,  # judged by the instance's own clock
                "verify_nbf": False,
                "verify_iat": False,
                "verify_aud": False,
            },
        )
    except jwt.PyJWTError as error:
        raise ArrivalError("forged") from error
    except KeysUnavailableError as error:
        raise ArrivalError("keys_unavailable") from error
    return claims


def _is_for(claim: object, audience: str) -> bool:
    claimed = claim if isinstance(claim, list) else [claim]
    return any(isinstance(one, str) and _origin(one) == _origin(audience) for one in claimed)


def _origin(url: str) -> tuple[str, str]:
    """Scheme and host of a URL; of a bare name, the name."""
    parts = urlsplit(url if "//" in url else f"https://{url}")
    return parts.scheme.lower(), parts.netloc.lower()
