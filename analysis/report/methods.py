"""What was done, in words: the question, the cautions, the methods paragraph to paste."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from analysis.findings import Analysis, Findings
from analysis.report.account import Told
from analysis.report.apa import count, listed, share, word
from analysis.report.people import kind_caution, people_of
from analysis.report.provenance import TOOLKIT, Provenance, software
from analysis.report.rules import are_of_study, rule_caution, rule_in_words
from analysis.responses import Export

__all__ = ["answered", "cautions", "deviations", "methods", "question", "subtitle"]

PAPER: dict[str, tuple[str, ...]] = {
    "condition": ("Olah", "MACO with mask", "MACO without mask", "control"),
    "network": ("VGG16", "ResNet50", "ViT"),
}


def question(analysis: Analysis) -> str:
    """What was asked, of whom."""
    kept, export = analysis.kept, analysis.export
    arrived, left = len(export.participants), kept.participants
    people = kept.trials.drop_duplicates("participant")["condition"].value_counts(sort=False)
    conditions = [f"{word(name)} (n = {count(n)})" for name, n in people.items()]
    networks = _levels(kept, "network")
    about = f" The networks were {listed(networks)}." if len(networks) > 1 else ""
    return (
        "Do visualizations of what a network likes help people to tell which of two occluded "
        f"photographs it favors? Of {count(arrived)} {people_of(export)} who arrived, "
        f"{count(left)} are analysed, with {count(len(kept.trials))} main trials, in the "
        f"conditions {listed(conditions)}.{about}"
    )


def subtitle(export: Export) -> str:
    """The study's name, whose data they are if not the study's, and when it was exported."""
    codebook = export.codebook or {}
    name = f"Study {export.study}" if codebook.get("title") else "Report"
    who, when = people_of(export), codebook.get("exported_at")
    told = [name] if who == "participants" else [name, who]
    return " · ".join([*told, f"exported {_moment(str(when))}"] if when else told)


def _moment(text: str) -> str:
    """A time of an export, "21 November 2026, 14:10 UTC"; what is no time, as it is."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    when = when.astimezone(UTC) if when.tzinfo else when
    return f"{when.day} {when:%B %Y, %H:%M}{' UTC' if when.tzinfo else ''}"


def cautions(analysis: Analysis, provenance: Provenance, told: Told) -> list[str]:
    """What a reader should know before citing a number, most serious first."""
    kept, everyone = analysis.kept, analysis.everyone
    found = [kind_caution(analysis.export), *_refusals(analysis, told), *provenance.notes]
    found += [*map(_sentence, analysis.remarks), rule_caution(analysis)]
    if everyone is None and analysis.exclusions.dropped:
        found.append(analysis.everyone_note)
    found += told.cautions
    found += [one for one in kept.models.chosen.warnings if one not in answered(kept)]
    return list(dict.fromkeys(f"{one[0].upper()}{one[1:]}" for one in found if one))


def answered(kept: Findings) -> list[str]:
    """The warnings that ask for a larger random part, which the report has compared itself."""
    compared = kept.structures[kept.structures["converged"].astype(bool)]
    terms = [term for term in compared.index if term]
    return [one for one in kept.models.chosen.warnings if any(term in one for term in terms)]


def _refusals(analysis: Analysis, told: Told) -> Iterator[str]:
    if told.refused:
        yield told.refused
    named = {"after exclusions": analysis.kept, "without exclusions": analysis.everyone}
    for who, findings in named.items():
        if findings is None:
            continue
        for fit in (findings.models.additive, findings.models.interaction):
            if fit is not None and not fit.converged:
                yield f"The model {fit.design.formula.text} did not converge, {who}."


def methods(analysis: Analysis, provenance: Provenance) -> list[str]:
    """The paragraphs on exclusions and statistics, with exact model and versions."""
    found, models = analysis.exclusions, analysis.kept.models
    rules = [rule_in_words(rule) for rule in found.rules]
    fixed = "fixed with the study, before anyone took part"
    when = fixed if are_of_study(analysis) else "not fixed with the study"
    who, everyone = people_of(analysis.export), len(found.everyone.participants)
    fate = f"{count(len(found.dropped))} of {count(everyone)} {who}"
    excluded = f"Exclusion rules ({when}): {' '.join(rules) or 'none.'} Excluded: {fate}."
    if analysis.everyone is not None:
        excluded += (
            " Contrasts are also reported without exclusions; all results without them are in "
            "results.json, under everyone."
        )
    groups = listed([word(group) for group in models.groups])
    fitted = (
        "Whether the favored query was chosen was modelled by mixed-effects logistic regression, "
        f"{models.chosen.design.formula.text}, with random intercepts for {groups}, fitted by "
        f"maximum likelihood with the Laplace approximation to {count(models.chosen.nobs)} trials."
    )
    return [excluded, f"{fitted} {_tests(analysis, provenance)}", _software(provenance)]


def _tests(analysis: Analysis, provenance: Provenance) -> str:
    models = analysis.kept.models
    found = []
    if models.comparison is not None:
        found.append(
            "Models with and without the interaction were compared by likelihood ratio, and that "
            "with the lower AIC is reported."
        )
    found.append(
        "Terms were tested by type II likelihood-ratio tests. Marginal means are those of a "
        f"typical participant (random effects of 0){_averaged(models.factors)}. All pairwise "
        f"differences of {listed([f'{word(name)}s' for name in models.factors])} were tested by "
        "Wald z, with p-values and simultaneous 95% intervals adjusted after Tukey."
    )
    if provenance.draws:
        found.append(
            f"Terms were also tested by parametric bootstrap ({count(provenance.draws)} simulated "
            "studies each)."
        )
    r2 = analysis.kept.r_squared
    found.append(
        f"The fixed effects explain R² = {share(r2.marginal)} of the variance of the log-odds, "
        f"with the random effects {share(r2.conditional)} (Nakagawa et al., 2017). Intervals of "
        "observed means are percentile intervals of 10,000 bootstrap samples of participants."
    )
    return " ".join(found)


def _averaged(factors: tuple[str, ...]) -> str:
    return ", averaged with equal weights over the other factor" if len(factors) > 1 else ""


def _software(provenance: Provenance) -> str:
    versions = software()
    others = [f"{name} {version}" for name, version in versions.items() if name != TOOLKIT]
    return (
        f"Computed with {TOOLKIT} {versions[TOOLKIT]} ({', '.join(others)}); seed "
        f"{provenance.seed}."
    )


def deviations(analysis: Analysis) -> list[str]:
    """Where the design differs from the study of Fel et al. (2023), as far as the data tell."""
    found = []
    for factor, paper in PAPER.items():
        here = _levels(analysis.kept, factor)
        if here and not _alike(here, paper):
            found.append(
                f"{factor.capitalize()}s here: {listed(here)}. In the paper: {listed(paper)}."
            )
    return found


def _alike(here: list[str], paper: tuple[str, ...]) -> bool:
    same = {"maco": "maco without mask", "maco masked": "maco with mask"}
    return {same.get(name.lower(), name.lower()) for name in here} == {n.lower() for n in paper}


def _levels(findings: Findings, factor: str) -> list[str]:
    if factor not in findings.trials:
        return []
    column = findings.trials[factor]
    return [word(level) for level in column.cat.categories if (column == level).any()]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."
