"""An analysis, its report and what is in it, made once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from exports import make_export
from pictured import make_bundle_and_export
from reported import FILES, hopeless

from analysis.findings import Analysis, analyse, find
from analysis.report import Provenance, read_bundle, write_report
from analysis.responses import read_export


@pytest.fixture(scope="session")
def analysis(tmp_path_factory) -> Analysis:
    folder = make_export(tmp_path_factory.mktemp("report") / "export", hopeless)
    return analyse(read_export(folder), np.random.default_rng(0), draws=2)


@pytest.fixture(scope="session")
def report(analysis, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("written") / "report"
    write_report(analysis, out, Provenance(seed=0, draws=2, files=FILES, notes=("A note.",)))
    return out


@pytest.fixture(scope="session")
def pictured(tmp_path_factory) -> Path:
    """The report of a study with its bundle."""
    folder = tmp_path_factory.mktemp("pictured")
    bundle, exported = make_bundle_and_export(folder)
    export = read_export(exported)
    study = read_bundle(bundle, export)
    found = analyse(export, np.random.default_rng(0), study=study)
    write_report(found, folder / "report", Provenance(study=study, bundle=bundle))
    return folder / "report"


@pytest.fixture(scope="session")
def found(report) -> dict:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads((report / "results.json").read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture(scope="session")
def page(report) -> str:
    return (report / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def crossed(tmp_path_factory):
    """Findings of a study in which maco helps for one network as much as it harms for the other."""

    def cross(trials, people):
        seen = Counter()
        for row in trials:
            key = (row["participant"], row["network"])
            seen[key] += 1
            helped = (row["condition"] == "maco") == (row["network"] == "ViT")
            right = seen[key] % 4 != 0 if helped else seen[key] % 4 == 0
            other = {"left": "right", "right": "left"}[row["favored_side"]]
            row |= {"correct": int(right), "response_side": row["favored_side"] if right else other}

    shares = {"control": 0.5, "maco": 0.5}
    folder = make_export(tmp_path_factory.mktemp("crossed") / "export", cross, accuracy=shares)
    return find(read_export(folder).main, np.random.default_rng(0))


@pytest.fixture(scope="session")
def separated(tmp_path_factory):
    """Findings of a study in which everyone in maco is right."""

    def perfect(trials, people):
        for row in trials:
            if row["condition"] == "maco":
                row |= {"correct": 1, "response_side": row["favored_side"]}

    export = read_export(make_export(tmp_path_factory.mktemp("perfect") / "export", perfect))
    return find(export.main, np.random.default_rng(0))
