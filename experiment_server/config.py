"""How one instance of the server is set up: a settings file for the study, secrets from outside.

Environment: STUDY (bundle folder), DATA (folder for the default database, the local key and the
backups), DATABASE_URL, SETTINGS (a TOML file of the tables below), LIVE ("1": real participants
over https), PROXIES (how many proxies stand before the server and are believed), LOG ("json": one
JSON line a request, as always where LIVE is set), SECRET_KEY, ADMIN_PASSWORD_HASH, METRICS_TOKEN,
PROLIFIC_TOKEN, PROLIFIC_WEBHOOK_SECRET. No secret stands in a study's file.
"""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails

from stimuli.study_tables import Table

Whole = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Pointer = Literal["mouse", "touch", "pen"]
CodeFor = Literal[
    "completed", "declined_consent", "unsuitable_device", "screened_out", "failed_checks"
]


class ConfigError(ValueError):
    """A setting that cannot be used: says which, where, and what is allowed."""


class Recruitment(Table):
    """Who takes part, and how many.

    target_per_condition: where recruitment stops; absent, it never does.
    conditions: those dealt, all by default. stale_after_min: after so long without a sign of life
    a place is dealt again. other_studies: files of `flask --app experiment_server keys`, written by
    instances with the same SECRET_KEY: whoever they name is refused.
    pilot: participants are marked as pilots, and never count.
    """

    target_per_condition: Count | None = None
    conditions: tuple[str, ...] | None = None
    stale_after_min: Count = 20
    other_studies: tuple[str, ...] = ()
    pilot: bool = False


class Device(Table):
    """What a browser must offer, in CSS pixels."""

    viewport_width_px: Whole = 1000
    viewport_height_px: Whole = 600
    pointers: tuple[Pointer, ...] = ("mouse", "touch", "pen")


class Practice(Table):
    """Practice goes on, a round after another, until enough answers of one round are right.

    In a condition without references nobody can know: there, one round is always enough.
    """

    correct_needed: Whole = 4
    rounds: Count = 4


class Task(Table):
    """The trial. confidence_levels: 0 does not ask. gap_ms: neutral screen between trials."""

    confidence_levels: Annotated[int, Field(ge=0, le=7)] = 0
    gap_ms: Annotated[int, Field(ge=0, le=5000)] = 400
    quiz_attempts: Count = 2


class Questions(Table):
    """What is asked at the end; every answer is optional."""

    age: bool = True
    gender: bool = True
    comments: bool = True


class Prolific(Table):
    """How this study is known to Prolific.

    codes: outcome -> completion code, for completed, declined_consent, unsuitable_device,
    screened_out (quiz, practice) and failed_checks. study_ids: those accepted, all if empty.
    signed_entry: "required" refuses an arrival without a valid `prolific_token`; "checked" verifies
    it where there is one. audience: the study URL that tokens are made for.
    reward_minor, estimated_min: pay in pence or cents and minutes, for the dashboard's pay rate.
    """

    codes: dict[CodeFor, str] = Field(default_factory=dict)
    study_ids: tuple[str, ...] = ()
    signed_entry: Literal["off", "checked", "required"] = "checked"
    audience: str | None = None
    reward_minor: Whole | None = None
    estimated_min: Count | None = None

    @model_validator(mode="after")
    def _required_can_be_verified(self) -> Self:
        if self.signed_entry == "required" and self.audience is None:
            raise ValueError('signed_entry = "required" needs audience, the https URL of the study')
        return self


class Settings(Table):
    """The settings file."""

    recruitment: Recruitment = Recruitment()
    device: Device = Device()
    practice: Practice = Practice()
    task: Task = Task()
    questions: Questions = Questions()
    prolific: Prolific = Prolific()


class Config(Table):
    """Everything one instance runs with.

    key_is_local: `secret_key` was made up here, and stands in the folder `data`. json_log: see
    `request_log.py`. metrics_token: who has it may read /metrics. rehearsal: all participants are
    machines, and may be as fast as they like; no environment sets it.
    """

    study: Path
    data: Path
    database_url: str
    live: bool = False
    proxies: Whole = 0
    json_log: bool = False
    secret_key: SecretStr
    key_is_local: bool = False
    admin_password_hash: SecretStr | None = None
    metrics_token: SecretStr | None = None
    prolific_token: SecretStr | None = None
    prolific_webhook_secret: SecretStr | None = None
    settings: Settings = Settings()
    rehearsal: bool = False


def read_config(environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration that an environment describes. Raises ConfigError, one line a problem."""
    data = Path(environment.get("DATA", "instance")).absolute()
    live = environment.get("LIVE", "") not in {"", "0"}
    key = environment.get("SECRET_KEY")
    if key is None:
        if live:
            raise ConfigError("LIVE is set, but SECRET_KEY is not: give it 32 random characters")
        key = _local_key(data / "secret_key")
    elif len(key) < 32:
        raise ConfigError(f"SECRET_KEY has {len(key)} characters: give it at least 32 random ones")
    return Config(
        study=Path(environment.get("STUDY", "studies/demo")).absolute(),
        data=data,
        database_url=environment.get("DATABASE_URL") or f"sqlite:///{data / 'study.sqlite'}",
        live=live,
        proxies=_whole(environment, "PROXIES"),
        json_log=_is_json(environment, live),
        secret_key=SecretStr(key),
        key_is_local="SECRET_KEY" not in environment,
        admin_password_hash=_secret(environment, "ADMIN_PASSWORD_HASH"),
        metrics_token=_secret(environment, "METRICS_TOKEN"),
        prolific_token=_secret(environment, "PROLIFIC_TOKEN"),
        prolific_webhook_secret=_secret(environment, "PROLIFIC_WEBHOOK_SECRET"),
        settings=read_settings(environment.get("SETTINGS")),
    )


def read_settings(path: str | Path | None) -> Settings:
    """The settings of a TOML file, or the defaults. Raises ConfigError."""
    if not path:
        return Settings()
    try:
        return Settings.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"SETTINGS = {path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        lines = [f"{path}: {_sentence(one)}" for one in error.errors()]
        raise ConfigError("\n".join(lines)) from error
    except ValueError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def _sentence(detail: ErrorDetails) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    if isinstance(detail["input"], str | int | float):
        return f"{key} = {detail['input']!r}: {message}"
    return f"{key}: {message}" if key else message


def _secret(environment: Mapping[str, str], name: str) -> SecretStr | None:
    value = environment.get(name)
    return SecretStr(value) if value else None


def _whole(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, "0")
    if not value.isdecimal():
        raise ConfigError(f"{name} is {value!r}: a whole number from 0")
    return int(value)


def _is_json(environment: Mapping[str, str], live: bool) -> bool:
    """Where people take part the log is JSON: it alone is held to tell nothing of them."""
    form = environment.get("LOG") or ("json" if live else "plain")
    if form not in {"json", "plain"} or (live and form == "plain"):
        raise ConfigError(f"LOG is {form!r}: json, or without LIVE also plain")
    return form == "json"


def _local_key(path: Path) -> str:
    """A key for local use, made once; `check` refuses to go live with it."""
    try:
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            _offer(path, secrets.token_urlsafe(32))
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"DATA = {path.parent}: the key {path.name} cannot be kept there ({error.strerror});"
            " choose a folder of your own"
        ) from error


def _offer(path: Path, text: str) -> None:
    """Makes a file that only its owner may read, at once; of several processes one succeeds."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        draft.touch(mode=0o600)
        draft.write_text(text, encoding="utf-8")
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
