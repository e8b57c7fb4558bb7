"""What this package's commands share: how they name networks, take lists, and say what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from maco.shards import Shard, parse_shard

Command = TypeVar("Command", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, dir_okay=False)


def network_options(command: Command) -> Command:
    """The options that name one network: --model, --networks, --weights (`load_network`)."""
    for option in (
        click.option("--weights", type=_FILE, help="File with the network's weights."),
        click.option(
            "--networks", type=_FILE, help="TOML file with [[networks]]: their names too."
        ),
        click.option("--model", required=True, help="timm name, torchvision/NAME, or of the file."),
    ):
        command = option(command)
    return command


def device_option(command: Command) -> Command:
    """--device, as every command that computes has it."""
    names = "cpu, cuda, cuda:1, mps or auto."
    option = click.option("--device", default="auto", show_default=True, help=names)
    return option(command)


def memory_option(command: Command) -> Command:
    """--memory, as every command that renders many pictures has it."""
    text = "GiB that a network's activations may take [half of what is free, 4 at most on a CPU]."
    kind = click.FloatRange(min=0, min_open=True)
    option = click.option("--memory", "memory_gib", type=kind, metavar="GIB", help=text)
    return option(command)


class _ShardType(click.ParamType[Shard]):
    name = "K/N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Shard:
        """The shard that the command line names."""
        try:
            return value if isinstance(value, Shard) else parse_shard(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def shard_options(command: Command) -> Command:
    """--shard and --merge, as every command has them whose work many jobs can share."""
    for option in (
        click.option(
            "--merge", is_flag=True, help="Join what the shards made; refuse if one is missing."
        ),
        click.option("--shard", type=_ShardType(), help="Do this share of the work alone."),
    ):
        command = option(command)
    return command


def given(**options: Any) -> dict[str, Any]:
    """The options that were given: those that are not None."""
    return {name: value for name, value in options.items() if value is not None}


@contextmanager
def one_line_errors(out: Path) -> Iterator[None]:
    """Ends a command with one line for what it cannot do, instead of a traceback."""
    try:
        yield
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        where = error.filename or out
        raise click.ClickException(
            f"{where} cannot be written: {error.strerror or error}"
        ) from error


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
