"""python -m analysis.power: how many participants a study needs, by simulation.

Without options it plans the study of Fel et al. (2023). The assumed log-odds come from --condition
and --network, or from the main-effects model of a study that was run (--export).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from analysis.exclusions import exclude, preregistered
from analysis.models import fit_models
from analysis.power.plan import FEL2023, Plan
from analysis.power.study import power
from analysis.responses import read_export
from stimuli.schema import read_study


@click.command(help=__doc__)
@click.option(
    "--participants", multiple=True, type=int, help="Of the planned study; several may follow."
)
@click.argument("more", nargs=-1, type=int)
@click.option("--condition", multiple=True, metavar="NAME=LOG_ODDS", help="Again for each.")
@click.option("--network", multiple=True, metavar="NAME=LOG_ODDS", help="Again for each.")
@click.option("--classes", type=int, help="Trials of a participant with each network.")
@click.option("--intercept", type=float, help="Log-odds of the control, first network.")
@click.option("--participant-sd", type=float, help="Spread between participants, log-odds.")
@click.option("--class-sd", type=float, help="Spread between classes, log-odds.")
@click.option("--class-network-sd", type=float, help="Spread of a network's effect over classes.")
@click.option("--formula", help="The model to fit to each study.")
@click.option("--bundle", type=click.Path(path_type=Path), help="Conditions, networks, classes.")
@click.option("--export", type=click.Path(path_type=Path), help="Assume its estimates.")
@click.option(
    "--scale", multiple=True, type=float, help="Of conditions' effects; 0 shows type-I errors."
)
@click.option("--simulations", default=1000, show_default=True, type=click.IntRange(min=1))
@click.option("--alpha", default=0.05, show_default=True, type=float)
@click.option("--seed", default=0, show_default=True, type=int)
@click.option(
    "--jobs", default=os.cpu_count() or 1, show_default="all cores", type=click.IntRange(min=1)
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="For CSV and figure.")
def main(
    participants: tuple[int, ...],
    more: tuple[int, ...],
    condition: tuple[str, ...],
    network: tuple[str, ...],
    bundle: Path | None,
    export: Path | None,
    scale: tuple[float, ...],
    simulations: int,
    alpha: float,
    seed: int,
    jobs: int,
    out: Path | None,
    **assumed: Any,
) -> None:
    """The command line."""
    try:
        plan = _plan(bundle, export, _named(condition), _named(network), assumed)
        table = power(
            plan,
            (*participants, *more) or (174,),
            np.random.default_rng(seed),
            scales=scale or (1.0,),
            simulations=simulations,
            alpha=alpha,
            jobs=jobs,
            progress=True,
        )
        click.echo(_shown(table))
        if out:
            _save(plan, table, out)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _plan(
    bundle: Path | None,
    export: Path | None,
    conditions: dict[str, float],
    networks: dict[str, float],
    assumed: Mapping[str, Any],
) -> Plan:
    """The plan of the options; what they leave open is that of Fel et al. (2023)."""
    plan = _fitted(export) if export else FEL2023
    changes: dict[str, Any] = {}
    if bundle:
        study = read_study(bundle)
        labels = {trial.unit.label for trial in study.trials if trial.kind == "main"}
        changes["classes"] = len(labels)
        conditions = _assumed("condition", list(study.conditions), conditions, plan.conditions)
        names = [source.name for source in study.networks]
        networks = _assumed("network", names, networks, plan.networks)
    changes |= {"conditions": conditions or None, "networks": networks or None}
    if networks and not assumed["formula"]:
        changes["formula"] = ""  # without an effect of network where there is one only
    changes |= {name: value for name, value in assumed.items() if value is not None}
    return replace(plan, **{name: value for name, value in changes.items() if value is not None})


def _fitted(folder: Path) -> Plan:
    """The plan of a study like one that was run, after its preregistered exclusions."""
    export = read_export(folder)
    kept = exclude(export, preregistered(export)).kept
    return Plan.from_fit(fit_models(kept.main).additive)


def _assumed(
    what: str, names: list[str], given: Mapping[str, float], known: Mapping[str, float]
) -> dict[str, float]:
    """The log-odds of each name of a bundle: given, or known of the study assumed."""
    found = dict(known) | dict(given)
    for name in names:
        if name not in found:
            raise ValueError(f"the bundle's {what} {name!r} has no effect: add --{what} {name}=0.5")
    return {name: found[name] for name in names}


def _named(options: tuple[str, ...]) -> dict[str, float]:
    found = {}
    for option in options:
        name, _, value = option.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise click.BadParameter(f"{option!r}: write NAME=LOG_ODDS, as in maco=0.9") from None
    return found


def _shown(table: pd.DataFrame) -> str:
    """The table for a terminal."""
    shown = table.assign(
        power=[f"{p:.3f} [{a:.3f}, {b:.3f}]" for p, a, b in table[["power", "low", "high"]].values]
    ).drop(columns=["low", "high", "simulations"])
    return shown.to_string(index=False, na_rep="", float_format="{:.3g}".format)


def _save(plan: Plan, table: pd.DataFrame, out: Path) -> None:
    """power.csv, what was assumed in plan.json, and the curves."""
    from analysis.figures import power_curves, save  # here: each process imports this file

    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / "power.csv", index=False)
    assumed = {field.name: getattr(plan, field.name) for field in fields(plan)}
    assumed |= {name: dict(assumed[name]) for name in ("conditions", "networks")}
    (out / "plan.json").write_text(json.dumps(assumed, indent=2) + "\n", encoding="utf-8")
    several = table["scale"].nunique() > 1
    names = [
        f"{test}, effects x {scale:g}" if several else test
        for test, scale in zip(table["test"], table["scale"], strict=True)
    ]
    save(power_curves(table.assign(effect=names)), out / "power")
    click.echo(f"{out / 'power.csv'}, {out / 'plan.json'} and {out / 'power.svg'}")


if __name__ == "__main__":
    main()
