"""From evidence to choices, and from choices to what is said of a study."""

from __future__ import annotations

import numpy as np
import pytest
from coloured_discs import CONDITIONS, NETWORKS, chosen, colours

from stimuli.observers.choice import fit_softness, probability
from stimuli.observers.evidence import look
from stimuli.observers.figures import summarise
from stimuli.observers.page import page
from stimuli.observers.panel import Target, observe


def test_softness_goes_from_certain_to_guessing():
    assert probability(0.3, 0) == 1 and probability(-0.3, 0) == 0 and probability(0, 0) == 0.5
    assert probability(0.3, 1e-9) == 1 and probability(-0.3, 1e-9) == 0
    assert probability(0.3, 1e9) == pytest.approx(0.5) and probability(0.3, float("inf")) == 0.5
    assert probability(1, 1) == pytest.approx(0.731059, abs=1e-6)
    assert probability(-2, 0.7) == pytest.approx(1 - probability(2, 0.7))


def test_evidence_is_in_units_of_its_own_size(watch):
    rows = [o for o in watch().observations if o.observer == "colours" and o.trial_kind == "main"]
    shown = [one.evidence for one in rows if one.condition != "control"]
    assert np.sqrt(np.mean(np.square(shown))) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("target", [0.55, 0.7, 0.9])
def test_a_fitted_softness_gives_the_accuracy_it_was_fitted_to(watch, target):
    panel = watch(target=Target("maco", target))
    mean = np.mean(list(chosen(panel, "colours", "maco").values()))
    assert mean == pytest.approx(target, abs=1e-6)
    assert panel.softness["colours"] != 1 and panel.softness["map"] == 1


def test_a_target_out_of_reach_is_said():
    with pytest.raises(ValueError, match=r"no softness gives an accuracy of 0.9: .* to 0\.7"):
        fit_softness([1, 1, 1, -1], 0.9)


def test_every_observer_answers_every_trial_in_every_condition_once(watch, study):
    panel = watch()
    keys = [(one.observer, one.condition, one.trial_id) for one in panel.observations]
    observers = {"colours", "random", "map", "centre_distance", "always_left"}
    assert len(set(keys)) == len(keys) == len(observers) * len(CONDITIONS) * len(study.trials)


def test_the_figures_name_the_trials_that_references_mislead(study, bundle):
    """The decoy's references in place of the object's: every trial misleads."""
    others = {trial.unit.index: trial.references["maco"] for trial in study.trials}
    trials = [
        trial.model_copy(
            update={"references": trial.references | {"maco": others[1 - trial.unit.index]}}
        )
        for trial in study.trials
    ]
    changed = study.model_copy(update={"trials": trials})
    panel = observe(changed, bundle, {"colours": [colours()]}, progress=False)
    own = summarise(changed, panel)["observers"]["colours"]
    named = {one["trial_id"] for one in own["misled"] if one["condition"] == "maco"}
    main = {trial.id: trial for trial in study.trials if trial.kind == "main"}
    assert named == set(main)
    worst = own["misled"][0]
    assert (
        worst["favored_image"]
        == main[worst["trial_id"]].queries[main[worst["trial_id"]].favored].image
    )
    assert own["effects"]["conditions"]["maco"]["log_odds"] < 0


def test_effects_are_log_odds_against_control_and_people_get_a_share(watch, study):
    panel = watch()
    effects = summarise(study, panel, attenuation=0.25)["observers"]["colours"]["effects"]
    mean = np.mean(list(chosen(panel, "colours", "maco").values()))
    found = effects["conditions"]["maco"]
    assert found["log_odds"] == pytest.approx(np.log(mean / (1 - mean)))
    assert found["attenuated"] == pytest.approx(found["log_odds"] / 4)
    assert effects["conditions"]["control"]["log_odds"] == 0
    assert effects["networks"]["VGG"]["log_odds"] == 0 and set(effects["networks"]) == set(NETWORKS)


def test_trials_that_are_easy_without_references_are_remarked(study, watch):
    """A measure that is always right, such as a careless query rule leaves."""
    easy = [
        trial.model_copy(
            update={"baselines": {"easy": (1.0 - trial.favored, float(trial.favored))}}
        )
        for trial in study.trials
    ]
    remarks = summarise(study, watch(study.model_copy(update={"trials": easy})))["remarks"]
    assert any("easy needs no references and has 1.00" in remark for remark in remarks)
    assert summarise(study, watch())["remarks"] == []


def test_the_page_fits_a_screen_and_names_the_power_command(watch, study, bundle):
    text = page(study, summarise(study, watch()), bundle, (80, 120))
    lines = text.splitlines()
    assert len(lines) <= 40 and all(len(line) <= 160 for line in lines[:12])
    command = lines[-1]
    assert command.startswith("python -m analysis.power --bundle ")
    assert "--condition control=0.00" in command and "--network VGG=0.00" in command
    assert command.endswith("--participants 80 120")


def test_looking_reports_each_trial_once(study, bundle):
    done: list[int] = []
    look(study, bundle, colours(), ["VGG"], "local", done.append)
    assert sum(done) == sum(trial.network == "VGG" for trial in study.trials)
