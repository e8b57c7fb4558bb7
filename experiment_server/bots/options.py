"""The habits of machine participants as options of a command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from experiment_server.bots.habits import Habits
from experiment_server.bots.observers import read_observed
from stimuli.schema import Study

SHARE = click.FloatRange(0, 1)
AMOUNT = click.FloatRange(0)
SHARES = {
    "lapse": "Share of trials answered by the toss of a coin.",
    "careless": "Share who guess all along, fast, mostly one side.",
    "misread": "Share of quizzes handed in with a wrong answer.",
    "small_window": "Share whose window is too small.",
    "drop_out": "Share who close the window.",
    "withdraw": "Share who leave by the link.",
    "come_back_late": "Share who are away for a while.",
    "refresh": "Share of trials with a refresh.",
    "two_tabs": "Share of responses sent twice at once.",
}
Command = TypeVar("Command", bound=Callable[..., Any])


def _accuracies(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> Any:
    try:
        pairs = [text.split("=") for text in given]
        shares = {condition: float(share) for condition, share in pairs}
    except ValueError:
        raise click.BadParameter("CONDITION=SHARE, such as maco=.8") from None
    return {name: SHARE.convert(share, option, context) for name, share in shares.items()}


def habit_options(preset: Habits) -> Callable[[Command], Command]:
    """Decorates a command with an option a habit; those of `preset` are the defaults."""
    options = [
        click.option(
            "--accuracy",
            multiple=True,
            callback=_accuracies,
            metavar="CONDITION=SHARE",
            help="Share of main trials right; again for each condition.",
        ),
        click.option("--observer", help="They answer as this machine observer does."),
        click.option(
            "--observations",
            type=click.Path(path_type=Path, dir_okay=False),
            help="What python -m stimuli.observers wrote.",
        ),
        click.option(
            "--spread",
            default=preset.spread,
            type=AMOUNT,
            help="S.d. of participants' log-odds; with --accuracy, of classes' and networks' too.",
            show_default=True,
        ),
        *(
            click.option(
                _flag(name), default=getattr(preset, name), type=SHARE, help=text, show_default=True
            )
            for name, text in SHARES.items()
        ),
        click.option(
            "--away",
            "away_s",
            default=preset.away_s,
            type=AMOUNT,
            help="Seconds they are away, median.",
            show_default=True,
        ),
        click.option(
            "--images/--no-images",
            default=preset.images,
            help="Load the images.",
            show_default=True,
        ),
    ]

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def chosen(context: click.Context, preset: Habits, options: Mapping[str, Any]) -> Habits:
    """A preset with the habits that were given on the command line, of those in `options`."""
    given = {
        name: value
        for name, value in options.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    return replace(preset, **given)


def inform(
    habits: Habits, study: Study | None, observer: str | None, observations: Path | None
) -> Habits:
    """The habits with what the observer would answer. UsageError if the study does not have it."""
    if study is None and (habits.accuracy or observer):
        told = "--accuracy" if habits.accuracy else "--observer"
        raise click.UsageError(f"{told} needs --study: without it bots know no right answers")
    for condition in habits.accuracy:
        if study and condition not in study.conditions:
            known = ", ".join(study.conditions)
            raise click.UsageError(f"--accuracy {condition}: the study's conditions are {known}")
    if (observer is None) != (observations is None):
        raise click.UsageError("--observer and --observations are given together")
    if study is None or observer is None or observations is None:
        return habits
    try:
        return replace(habits, observed=read_observed(observations, observer, study))
    except (ValueError, OSError) as error:
        raise click.UsageError(f"--observations {error}") from error
