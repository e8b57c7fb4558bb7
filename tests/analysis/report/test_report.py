"""The report of an analysis: every number as JSON, and one page that stands by itself."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from reported import FILES

from analysis.exclusions import BelowChance, Incomplete, OneSided, exclude
from analysis.figures import forest
from analysis.findings import analyse
from analysis.layouts import read_tidy
from analysis.report import Provenance, check_out, results, write_report
from analysis.report.account import Told
from analysis.report.citation import works
from analysis.report.drawings import drawings
from analysis.report.folder import tables
from analysis.report.methods import answered, cautions, methods, question, subtitle
from analysis.report.results import dump_results
from analysis.report.rules import rule_origin

ROOT = Path(__file__).parents[3]


def test_the_report_is_a_page_numbers_figures_and_tables(report):
    assert {path.name for path in report.iterdir()} == {
        "report.html",
        "results.json",
        "figures",
        "tables",
    }
    figures = {path.stem for path in (report / "figures").iterdir()}
    assert {"performance", "contrasts", "exclusions", "reaction_times"} <= figures
    for name in figures:
        assert (report / "figures" / f"{name}.svg").is_file()
        assert (report / "figures" / f"{name}.png").is_file()
    contrasts = pd.read_csv(report / "tables" / "contrasts_condition.csv")
    assert list(contrasts["contrast"]) == ["control - maco", "control - olah", "maco - olah"]


def test_the_numbers_are_those_of_the_findings(analysis, found):
    kept = analysis.kept
    assert found["kept"]["participants"] == 11
    assert found["everyone"]["participants"] == 12
    fit = found["kept"]["models"]["additive"]
    assert fit["llf"] == kept.models.additive.llf
    assert fit["random_effects"]["participant"]["sd"].keys() == {"Intercept"}
    assert found["kept"]["comparison"]["p"] == kept.models.comparison.p
    assert [row["p"] for row in found["kept"]["terms"]] == list(kept.terms["p"])
    estimates = [row["estimate"] for row in found["kept"]["contrasts"]["condition"]]
    assert estimates == list(kept.contrasts["condition"]["estimate"])
    assert found["kept"]["bootstrap"]["condition"]["draws"] == 2
    assert found["seed"] == 0
    assert set(found["software"]) >= {"maco-psychophysics", "python", "numpy", "statsmodels"}


def test_who_was_left_out_and_why_is_in_the_numbers_and_on_the_page(found, page):
    told = found["exclusions"]
    assert [(row["participant"], row["rule"]) for row in told["table"]] == [("p0", "below_chance")]
    assert told["rules"]["below_chance"] == {"alpha": 0.05, "chance": 0.5}
    assert told["preregistered"] is False
    assert "0 of 24 correct, below chance" in page
    assert "The export names no rules of exclusion; the rules are this program" in page


@pytest.mark.parametrize(
    ("codebook", "told"),
    [
        (
            {"title": "Which one?", "exported_at": "2026-11-21T14:10:16.293Z"},
            "Study tiny · exported 21 November 2026, 14:10 UTC",
        ),
        (
            {"exported_at": "2026-03-01T01:30:00+02:00"},
            "Report · exported 28 February 2026, 23:30 UTC",
        ),
        ({"exported_at": "yesterday"}, "Report · exported yesterday"),
        (None, "Report"),
    ],
)
def test_under_the_title_stand_the_name_and_the_time_of_the_export(analysis, codebook, told):
    assert subtitle(replace(analysis.export, codebook=codebook)) == told


BOTS = "Machine participants: {} of 12 are programs, not people."


@pytest.mark.parametrize(
    ("codebook", "remarks", "who"),
    [
        ({"participants": "machine"}, (), "machine participants"),
        ({"participants": "pilot"}, (), "pilot participants"),
        ({"participants": "real"}, (BOTS.format(12),), "machine participants"),
        (None, (BOTS.format(3),), "participants (some of them machines)"),
    ],
    ids=["machine", "pilot", "bots", "some bots"],
)
def test_data_that_are_not_of_the_studys_participants_say_so_everywhere(
    analysis, codebook, remarks, who
):
    export = replace(analysis.export, codebook=codebook, remarks=remarks)
    odd = replace(analysis, export=export, remarks=remarks)
    first = cautions(odd, Provenance(notes=("A note.",)), Told(refused="No result is told."))[0]
    assert "cite no number" in first
    assert who.split(" (")[0] in first
    assert who in subtitle(export)
    assert f"Of 12 {who} who arrived" in question(odd)
    assert f"Excluded: 1 of 12 {who}." in methods(odd, Provenance())[0]


@pytest.mark.parametrize("codebook", [None, {"participants": "real"}])
def test_the_studys_own_participants_are_called_participants(analysis, codebook):
    export = replace(analysis.export, codebook=codebook)
    real = replace(analysis, export=export)
    told = [subtitle(export), question(real), *methods(real, Provenance())]
    told += cautions(real, Provenance(), Told())
    assert "Of 12 participants who arrived" in question(real)
    assert not re.search("machine|cite no number", " ".join(told))


PLANNED = {"incomplete": {}, "below_chance": {"alpha": 0.05}}


@pytest.mark.parametrize(
    ("planned", "used", "told"),
    [
        (PLANNED, (Incomplete(), BelowChance()), "were fixed with the study, before anyone took"),
        (PLANNED, (Incomplete(),), "not applied: below chance (alpha = .05, chance = .50)."),
        (
            PLANNED,
            (Incomplete(), BelowChance(alpha=0.01)),
            "not applied: below chance (alpha = .05",
        ),
        (PLANNED, (Incomplete(), BelowChance(), OneSided()), "and besides one sided"),
        ({"sorcery": {}}, (Incomplete(),), "Those cannot be read: exclusions"),
        (None, None, "names no rules of exclusion; the rules are this program's defaults."),
        (None, (Incomplete(),), "names no rules of exclusion; the rules were given to this"),
    ],
    ids=["own", "fewer", "other options", "more", "unreadable", "defaults", "given"],
)
def test_whose_rules_were_used_is_told(analysis, planned, used, told):
    codebook = {} if planned is None else {"exclusions": planned}
    export = replace(analysis.export, codebook=codebook)
    rules = analysis.exclusions.rules if used is None else used
    found = replace(analysis, export=export, exclusions=exclude(export, rules), preregistered=False)
    text = [rule_origin(found), *cautions(found, Provenance(), Told())]
    assert told in " ".join(text)
    own = "before anyone took part" in text[0]
    assert own == (told == "were fixed with the study, before anyone took")
    assert own == (not any("rules" in one for one in text[1:]))
    method = methods(found, Provenance())[0]
    assert ("(not fixed with the study)" in method) == (not own)
    assert "preregistered" not in " ".join([*text, method])


def test_what_the_page_gives_without_exclusions_is_told_as_it_is(analysis, found):
    told = methods(analysis, Provenance())[0]
    assert "Contrasts are also reported without exclusions; all results without them are in" in told
    assert found["everyone"]["terms"]


def test_residuals_are_no_proof_of_the_model(page):
    text = re.sub(r"<[^>]+>", "", page)
    assert "A large one is no support for it: the tests are lenient" in text


def test_residuals_of_an_interaction_of_groups_have_a_name_that_files_can_have(analysis):
    kept = analysis.kept
    residuals = {"class_label:network": kept.residuals["participant"]}
    odd = replace(analysis, kept=replace(kept, residuals=residuals))
    drawn = {one.name: one.caption for one in drawings(odd)}
    assert (
        "class label \N{MULTIPLICATION SIGN} network" in drawn["residuals_class_label_by_network"]
    )
    assert "residuals_class_label_by_network" in tables(odd)


def test_a_random_part_that_did_not_converge_answers_no_warning():
    table = pd.DataFrame({"converged": [True, True, False]}, index=["", "(1 | a)", "(1 | b)"])
    chosen = SimpleNamespace(warnings=["Compare (1 | a).", "Compare (1 | b)."])
    kept = SimpleNamespace(structures=table, models=SimpleNamespace(chosen=chosen))
    assert answered(kept) == ["Compare (1 | a)."]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_a_contrast_of_separated_data_is_named_and_not_drawn(tmp_path):
    (tmp_path / "t.csv").write_text(
        "participant,condition,correct\np1,a,1\np1,a,1\np2,b,0\np2,b,1\n", encoding="utf-8"
    )
    found = analyse(read_tidy(tmp_path / "t.csv", {}), np.random.default_rng(0))
    write_report(found, tmp_path / "report")
    (drawn,) = (one for one in drawings(found) if one.name == "contrasts")
    figure = drawn.draw()
    assert "cannot be estimated" in texts(figure)
    assert figure.axes[0].get_xlim() == (-1, 1)


def test_a_forest_of_an_interval_that_no_odds_ratio_can_hold_is_drawn():
    row = {"contrast": "a - b", "estimate": 16.1, "low": -1463.1, "high": 1495.3, "p": 0.98}
    _, above = forest(pd.DataFrame([row])).axes
    assert 0 in above.get_xticks()


def test_the_same_analysis_gives_the_same_bytes(analysis, report, tmp_path):
    again = Provenance(seed=0, draws=2, files=FILES, notes=("A note.",))
    write_report(analysis, tmp_path / "again", again)
    for path in sorted(path for path in report.rglob("*") if path.is_file()):
        name = path.relative_to(report)
        assert (tmp_path / "again" / name).read_bytes() == path.read_bytes(), name


def test_without_anyone_excluded_the_page_says_so(analysis, tmp_path):
    note = "No participant was excluded, so the results without exclusions are the same."
    write_report(replace(analysis, everyone=None, everyone_note=note), tmp_path / "report")
    assert note in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_what_has_no_number_is_null(analysis):
    table = analysis.kept.terms.assign(p=[np.nan, np.inf])
    odd = replace(analysis, kept=replace(analysis.kept, terms=table))
    assert [row["p"] for row in results(odd, Provenance())["kept"]["terms"]] == [None, None]
    assert "NaN" not in dump_results(odd, Provenance())


def test_a_report_is_replaced_and_anything_else_refused(analysis, report, tmp_path):
    check_out(report)
    check_out(tmp_path)
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    with pytest.raises(ValueError, match="no earlier report: choose another --out"):
        write_report(analysis, tmp_path)
    assert (tmp_path / "thesis.tex").read_text(encoding="utf-8") == "years of work"
    with pytest.raises(ValueError, match="is a file"):
        check_out(tmp_path / "thesis.tex")


def test_a_report_that_fails_leaves_the_earlier_one_and_nothing_half_written(
    analysis, tmp_path, monkeypatch
):
    out = tmp_path / "report"
    (out / "figures").mkdir(parents=True)
    for name in ("report.html", "results.json"):
        (out / name).write_text("earlier", encoding="utf-8")

    def fail(*args: object) -> str:
        raise OSError("no space left on device")

    monkeypatch.setattr("analysis.report.folder.page", fail)
    with pytest.raises(OSError, match="no space left"):
        write_report(analysis, out)
    assert (out / "report.html").read_text(encoding="utf-8") == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_what_is_cited_is_what_citation_cff_says():
    cff = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    toolkit, *articles = works()
    title = re.search(r'^title: "(.*)"$', cff, re.M)[1]
    version = re.search(r"^version: (.*)$", cff, re.M)[1]
    assert title in toolkit.text
    assert f"(Version {version})" in toolkit.text
    told = cff.split("  - type: article\n")[1:]
    for article, entry in zip(articles, told, strict=True):
        for name in re.findall(r"family-names: (.*)", entry):
            assert f"{name}, " in article.text
        assert article.url in entry
        assert re.search(r'title: "(.*)"', entry)[1].lower() in article.text.lower()


def test_the_numbers_agree_with_lme4_and_emmeans(reference, glmm_data):
    frozen = reference("maco_tight")
    mapping = {"condition": "visualization", "class_label": "class"}
    export = read_tidy(glmm_data / "maco_sim.csv", mapping)
    found = results(analyse(export, np.random.default_rng(0), rules=[]), Provenance())["kept"]
    fit = found["models"]["interaction"]
    assert found["chosen"] == "interaction"
    assert fit["llf"] == pytest.approx(frozen["logLik"], abs=1e-6)
    assert fit["bic"] == pytest.approx(frozen["BIC"], abs=1e-5)
    assert found["comparison"]["chisq"] == pytest.approx(
        frozen["lrt"]["interaction"]["chisq"], abs=1e-5
    )
    sds = [
        fit["random_effects"][name]["sd"]["Intercept"] for name in ("participant", "class_label")
    ]
    assert sds == pytest.approx([row["sdcor"] for row in frozen["varcorr"]], abs=1e-5)
    for factor, name in (("condition", "visualization"), ("network", "network")):
        pairs = found["contrasts"][factor]
        expected = frozen[f"pairs_{name}_tukey"]
        assert [row["contrast"] for row in pairs] == [row["contrast"] for row in expected]
        assert [row["estimate"] for row in pairs] == pytest.approx(
            [row["estimate"] for row in expected], abs=1e-5
        )
        assert [row["p"] for row in pairs] == pytest.approx(
            [row["p.value"] for row in expected], abs=2e-4
        )
        means = [row["log_odds"] for row in found["means"][f"{factor}_log_odds"]]
        assert means == pytest.approx(
            [row["emmean"] for row in frozen[f"emm_{name}_link"]], abs=1e-5
        )
    assert [found["r_squared"][key] for key in ("conditional", "marginal")] == pytest.approx(
        frozen["r2"], abs=1e-5
    )
    assert {row["group"]: row["adjusted"] for row in found["icc"]}["all"] == pytest.approx(
        frozen["icc"][0], abs=1e-5
    )
