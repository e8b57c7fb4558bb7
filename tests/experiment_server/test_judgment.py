"""How machine participants answer: as told on average, and each in their own way."""

from __future__ import annotations

import math
from collections import Counter
from random import Random
from statistics import fmean, median, pstdev

import pytest

from experiment_server.answers import DeviceReport, FinalAnswers
from experiment_server.bots import Habits
from experiment_server.bots.judgment import Judge
from experiment_server.bots.people import draw_answers, draw_device, fill_quiz
from experiment_server.config import Questions
from experiment_server.text import QUIZ
from stimuli.schema import read_study


@pytest.fixture(scope="module")
def trials(bundle_folder):
    return {trial.id: trial for trial in read_study(bundle_folder).trials}


@pytest.fixture(scope="module")
def main(trials):
    return [trial for trial in trials.values() if trial.kind == "main"]


def observing(trials, share, **habits):
    """Habits of who sees what an observer sees, which has the same share right in all trials."""
    return Habits(observed={("maco", name): share for name in trials}, **habits)


def judgments(habits, trials, trial, count=1000, *, index=0, levels=0):
    """What as many bots make of one trial."""
    judges = (Judge("s", number, habits, trials) for number in range(count))
    return [judge.judge(trial.id, "maco", index, levels) for judge in judges]


def share_right(answers, trial):
    return fmean(one.side == trial.favored_side for one in answers)


def log_odds(share):
    return math.log(share / (1 - share))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8, 1.0])
def test_bots_choose_as_often_as_the_observer_would(trials, main, share):
    for trial in main[:2]:  # one favored on either side
        answers = judgments(observing(trials, share), trials, trial)
        assert share_right(answers, trial) == pytest.approx(share, abs=0.04)


def test_each_bot_sees_an_observers_log_odds_from_its_own_ability(trials, main):
    habits = observing(trials, 0.8, spread=0.5)
    judges = [Judge("s", number, habits, trials) for number in range(400)]
    first = [log_odds(one.share_right(main[0].id, "maco")) for one in judges]
    second = [log_odds(one.share_right(main[1].id, "maco")) for one in judges]
    assert fmean(first) == pytest.approx(math.log(4), abs=0.1)
    assert pstdev(first) == pytest.approx(0.5, rel=0.15)
    assert first == pytest.approx(second)  # classes and networks are the observer's


def test_where_the_observer_knows_nothing_no_ability_helps(trials, main):
    habits = observing(trials, 0.5, spread=2.0)
    judges = [Judge("s", number, habits, trials) for number in range(50)]
    assert {one.share_right(main[0].id, "maco") for one in judges} == {0.5}


def test_with_an_accuracy_bots_classes_and_networks_differ_as_much(trials, main):
    def found(number, spread, trial):
        habits = Habits(accuracy={"maco": 0.8}, spread=spread)
        return log_odds(Judge("s", number, habits, trials).share_right(trial.id, "maco"))

    first, second = main[0], next(one for one in main if one.unit != main[0].unit)
    assert found(0, 0.0, first) == pytest.approx(math.log(4))
    abilities = [found(number, 0.5, first) for number in range(400)]
    assert pstdev(abilities) == pytest.approx(0.5, rel=0.15)
    gaps = {round(found(n, 0.5, first) - found(n, 0.5, second), 9) for n in range(20)}
    assert len(gaps) == 1 and gaps != {0.0}  # classes are as hard for each bot
    both = [found(n, 0.5, one) for n in range(400) for one in (first, second)]
    assert fmean(both) == pytest.approx(math.log(4), abs=4 * 0.5 / 20)  # none easier on average


def test_a_lapse_is_the_toss_of_a_coin_and_often_very_fast(trials, main):
    habits = observing(trials, 1.0, lapse=0.4)
    answers = judgments(habits, trials, main[0], 2000, index=100)
    assert share_right(answers, main[0]) == pytest.approx(0.8, abs=0.03)
    assert fmean(one.rt_s < 0.4 for one in answers) == pytest.approx(0.2 * 0.88, abs=0.04)
    attentive = judgments(observing(trials, 1.0), trials, main[0], 2000, index=100)
    assert fmean(one.rt_s < 0.4 for one in attentive) < 0.01


def test_the_careless_are_at_chance_fast_and_keep_to_a_side(trials, main):
    habits = observing(trials, 1.0, careless=1.0)
    left = {trial.id: judgments(habits, trials, trial) for trial in main[:2]}
    assert share_right(left[main[0].id], main[0]) == pytest.approx(0.5, abs=0.05)
    judge = Judge("s", 3, habits, trials)
    own = [judge.judge(main[n % 4].id, "maco", n, 0) for n in range(400)]
    assert max(Counter(one.side for one in own).values()) / 400 == pytest.approx(0.85, abs=0.05)
    assert median(one.rt_s for one in own) == pytest.approx(0.6, rel=0.1)
    of_many = Habits(careless=0.1)
    count = sum(Judge("s", number, of_many, trials).is_careless for number in range(1000))
    assert count == pytest.approx(100, abs=30)


def test_reaction_times_are_log_normal_about_a_median_of_ones_own(trials, main):
    judge = Judge("s", 1, observing(trials, 1.0), trials)
    logs = [math.log(judge.judge(main[0].id, "maco", 1000, 0).rt_s) for _ in range(2000)]
    assert pstdev(logs) == pytest.approx(0.4, rel=0.1)
    assert fmean(logs) == pytest.approx(math.log(judge.median_s), abs=0.03)
    medians = [Judge("s", number, Habits(), trials).median_s for number in range(500)]
    assert pstdev(map(math.log, medians)) == pytest.approx(0.3, rel=0.15)


def test_hard_trials_take_longer_and_practice_makes_faster(trials, main):
    def typical_s(share, index):
        answers = judgments(observing(trials, share), trials, main[0], index=index)
        return median(one.rt_s for one in answers)

    assert typical_s(0.5, 0) > 1.2 * typical_s(0.8, 0) > 1.2 * typical_s(0.99, 0)
    assert typical_s(0.05, 0) == pytest.approx(typical_s(0.95, 0), rel=0.05)  # sure, and wrong
    assert typical_s(0.8, 0) > 1.1 * typical_s(0.8, 10) > 1.1 * typical_s(0.8, 40)


@pytest.mark.parametrize("levels", [2, 5, 7])
def test_who_is_surer_says_so(trials, main, levels):
    means = []
    for share in (0.5, 0.7, 0.9, 0.99):
        answers = judgments(observing(trials, share), trials, main[0], levels=levels)
        assert {one.confidence for one in answers} <= set(range(1, levels + 1))
        means.append(fmean(one.confidence for one in answers))
    assert means == sorted(means) and means[-1] > means[0] + 0.5
    assert judgments(observing(trials, 0.9), trials, main[0], 1)[0].confidence is None


def test_practice_can_be_known_from_references_or_from_feedback(trials):
    trial = next(one for one in trials.values() if one.kind == "practice")
    judge = Judge("s", 1, Habits(), trials)
    assert judge.share_right(trial.id, "maco") > 0.9
    assert judge.share_right(trial.id, "control") == 0.5
    judge.learned[trial.id] = trial.favored_side
    assert judge.share_right(trial.id, "control") == 1.0
    stranger = Judge("s", 1, Habits(), {})
    stranger.learned["unknown"] = "right"
    assert {stranger.judge("unknown", "?", 0, 0).side for _ in range(20)} == {"right"}


def test_the_same_participant_answers_the_same_again(trials, main):
    def answers(seed):
        judge = Judge(seed, 7, observing(trials, 0.6, lapse=0.1, spread=1.0), trials)
        return [judge.judge(trial.id, "maco", at, 5) for at, trial in enumerate(main)]

    assert answers("one") == answers("one") != answers("two")


def test_what_bots_say_of_themselves_is_taken_and_never_passes_for_a_persons():
    chance = Random("people")
    answers = [draw_answers(chance) for _ in range(2000)]
    taken = [FinalAnswers.model_validate(one).asked(Questions()) for one in answers]
    ages = [one["age_years"] for one in taken if "age_years" in one]
    assert min(ages) >= 18 and max(ages) <= 80
    assert 28 <= median(ages) <= 36
    remarks = [one["comments"] for one in taken if "comments" in one]
    assert len(remarks) < 0.2 * len(taken)
    assert all(remark.startswith("I am a bot") for remark in remarks)
    device = draw_device(chance, small_window=False)
    assert DeviceReport.model_validate(device).browser == "Bot 1"


def test_the_quiz_is_misread_as_often_as_told():
    chance = Random("quiz")
    right = {f"q_{question.key}": question.right for question in QUIZ}
    forms = [fill_quiz(chance, 0.3) for _ in range(1000)]
    assert sum(form != right for form in forms) == pytest.approx(300, abs=50)
    assert all(sum(form[key] != right[key] for key in right) <= 1 for form in forms)
