"""What this package's commands share: options that take several values in a row."""

from __future__ import annotations

from typing import Any

import click


class ListCommand(click.Command):
    """A command whose repeatable options also take their values in a row: `--classes hen jay`.

    A row ends at the next word that begins with a dash. With it the command can have no arguments
    of its own beside options.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Gives each value in a row the option that it belongs to."""
        repeatable = {
            name
            for parameter in self.params
            if isinstance(parameter, click.Option) and parameter.multiple
            for name in parameter.opts
        }
        return super().parse_args(ctx, _spread(args, repeatable))


def _spread(args: list[str], repeatable: set[str]) -> list[str]:
    spread: list[Any] = []
    option, filled = None, False
    for word in args:
        if word.startswith("-"):
            option, filled = (word if word in repeatable else None), False
        elif option is not None:
            if filled:
                spread.append(option)
            filled = True
        spread.append(word)
    return spread
