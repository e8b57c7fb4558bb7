"""Who is left out: each rule on participants made to break it and on those who just do not."""

from __future__ import annotations

import json

import pytest
from exports import answer, make_export, person, write_table
from scipy.stats import binomtest

from analysis.exclusions import (
    BREACHES,
    DEFAULTS,
    RULES,
    BelowChance,
    CatchTrials,
    Duplicate,
    Duration,
    Incomplete,
    Late,
    OneSided,
    TooFast,
    chance_limits,
    exclude,
    is_preregistered,
    preregistered,
    read_rules,
)
from analysis.layouts import read_tidy
from analysis.responses import read_export


def with_newcomer(folder, trials, **changes):
    """The simulated export, and a participant p99 of condition maco with these trials."""

    def change(rows, people):
        people.append(person("p99", "maco", **changes))
        rows += trials

    return read_export(make_export(folder, change))


def reasons(export, rule):
    table = exclude(export, [rule]).table
    return dict(zip(table["participant"], table["reason"], strict=True))


def scored(right, trials, kind="main"):
    return [
        answer("p99", "maco", number, kind, again=number, right=number < right)
        for number in range(trials)
    ]


def test_of_51_trials_19_are_below_chance_and_32_above():
    assert chance_limits(51) == (19, 32)
    assert chance_limits(3) == (-1, 4)


@pytest.mark.parametrize("alpha", [0.001, 0.01, 0.05, 0.1])
@pytest.mark.parametrize("chance", [0.25, 0.5])
def test_the_limits_are_those_of_exact_binomial_tests(alpha, chance):
    for trials in range(1, 70):
        below, above = chance_limits(trials, alpha, chance)
        low = [binomtest(k, trials, chance, "less").pvalue <= alpha for k in range(trials + 1)]
        high = [binomtest(k, trials, chance, "greater").pvalue <= alpha for k in range(trials + 1)]
        assert below == sum(low) - 1
        assert above == trials + 1 - sum(high)


@pytest.mark.parametrize(("right", "excluded"), [(19, True), (20, False)])
def test_below_chance_leaves_out_at_19_of_51(tmp_path, right, excluded):
    found = reasons(with_newcomer(tmp_path, scored(right, 51)), BelowChance())
    assert ("p99" in found) == excluded
    if excluded:
        assert found["p99"] == "19 of 51 correct, below chance (exact binomial p = 0.046)"


@pytest.mark.parametrize(("right", "excluded"), [(1, True), (2, False)])
def test_two_of_three_catch_trials_are_enough(tmp_path, right, excluded):
    trials = scored(right, 3, "catch")
    found = reasons(with_newcomer(tmp_path, trials), CatchTrials())
    assert ("p99" in found) == excluded


@pytest.mark.parametrize(("fast", "excluded"), [(3, True), (2, False)])
def test_more_than_a_tenth_of_fast_answers_is_too_fast(tmp_path, fast, excluded):
    trials = [row | {"rt_ms": 150 if i < fast else 900} for i, row in enumerate(scored(20, 20))]
    found = reasons(with_newcomer(tmp_path, trials), TooFast(rt_ms=200, share=0.1))
    assert list(found) == (["p99"] if excluded else [])
    if excluded:
        assert found["p99"] == "15% of the answers within 200 ms, over 10%"


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("same", "excluded"), [(19, True), (18, False)])
def test_the_same_side_throughout_is_one_sided(tmp_path, side, same, excluded):
    def chose(row, number):
        other = "right" if side == "left" else "left"
        chosen = side if number < same else other
        return row | {"response_side": chosen, "correct": int(chosen == row["favored_side"])}

    trials = [chose(row, number) for number, row in enumerate(scored(20, 20))]
    found = reasons(with_newcomer(tmp_path, trials), OneSided(share=0.95))
    assert found == ({"p99": f"95% of the answers {side}"} if excluded else {})


@pytest.mark.parametrize(
    ("took_s", "reason"),
    [
        (89, "completed in 89 s, under 90 s"),
        (90, None),
        (900, None),
        (900.5, "completed in 900.5 s, over 900 s"),
    ],
)
def test_duration_has_two_limits(tmp_path, took_s, reason):
    export = with_newcomer(tmp_path, scored(2, 2), duration_s=took_s)
    found = reasons(export, Duration(minimum_s=90, maximum_s=900))
    assert found == ({"p99": reason} if reason else {})
    assert reasons(export, Duration(maximum_s=900)).keys() == ({"p99"} if took_s > 900 else set())


def test_who_did_not_complete_has_no_duration(tmp_path):
    left = with_newcomer(tmp_path, scored(2, 2), outcome="withdrew", finished_at="", duration_s="")
    assert reasons(left, Duration(minimum_s=90)) == {}


def test_incomplete_late_and_repeated_are_told(tmp_path):
    left = with_newcomer(tmp_path / "a", scored(2, 2), outcome="withdrew")
    assert reasons(left, Incomplete()) == {"p99": "outcome 'withdrew' after 2 main trials"}
    late = with_newcomer(tmp_path / "b", scored(2, 2), late=1)
    assert list(reasons(late, Late())) == ["p99"]
    again = [row | {"trial_index": row["trial_index"] + 9} for row in scored(2, 2)]
    twice = with_newcomer(tmp_path / "c", scored(2, 2) + again)
    assert reasons(twice, Duplicate()) == {"p99": "answered 2 main trials again"}


def test_who_breaks_two_rules_is_told_twice_and_counted_once(tmp_path):
    export = with_newcomer(tmp_path, scored(0, 30), outcome="timed_out")
    found = exclude(export, [Incomplete(), BelowChance()])
    assert found.dropped == ["p99"]
    assert found.table["rule"].tolist() == ["incomplete", "below_chance"]
    assert found.table["condition"].tolist() == ["maco", "maco"]
    flow = found.flow.set_index("rule")
    assert flow["break_it"].tolist() == [0, 1, 1]
    assert flow["dropped"].tolist() == [0, 1, 0]
    assert flow["left"].tolist() == [13, 12, 12]
    assert flow["left_maco"].tolist() == [5, 4, 4]
    assert "p99" not in set(found.kept.trials["participant"])
    assert "p99" in set(found.everyone.trials["participant"])


def test_nobody_is_left_out_without_a_reason(tmp_path):
    export = read_export(make_export(tmp_path))
    found = exclude(export)
    assert found.table.empty
    assert len(found.kept.trials) == len(export.trials)


def test_rules_are_read_from_a_study_file_in_their_order():
    tables = {"below_chance": {"alpha": 0.01}, "incomplete": {}, "too_fast": {"rt_ms": 250}}
    assert read_rules(tables) == (BelowChance(alpha=0.01), Incomplete(), TooFast(rt_ms=250))
    assert set(BREACHES) == set(RULES.values())


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"below_chanse": {}}, "exclusions: unknown key 'below_chanse'.*nearest: below_chance"),
        ({"below_chance": {"alpha": 2}}, r"exclusions.below_chance.alpha = 2: .* less than 1"),
        ({"late": {"minutes": 5}}, "exclusions.late: unknown key 'minutes'; allowed: none"),
        ({"late": True}, "exclusions.late = True"),
        ({"duration": {}}, "exclusions.duration: no limit is given; write minimum_s, maximum_s"),
        (["late"], r"exclusions = \['late'\]: a table a rule is expected"),
    ],
)
def test_a_wrong_rule_is_named(tables, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_rules(tables)


def test_a_rule_that_the_data_cannot_answer_is_refused(tmp_path):
    rows = [{"participant": "s", "condition": "a", "correct": 1}]
    tidy = read_tidy(write_table(tmp_path / "t.csv", rows))
    with pytest.raises(ValueError, match="rule too_fast: these data have no column 'rt_ms'"):
        exclude(tidy, [TooFast()])
    with pytest.raises(ValueError, match="the export has no catch trials"):
        exclude(tidy, [CatchTrials()])


def test_rules_that_leave_nobody_are_refused(tmp_path):
    export = read_export(make_export(tmp_path))
    with pytest.raises(ValueError, match="the rules too_fast leave nobody"):
        exclude(export, [TooFast(rt_ms=1e9)])


def with_rules(folder, rules):
    """The simulated export with preregistered rules in its codebook."""
    make_export(folder)
    book = json.loads((folder / "codebook.json").read_text(encoding="utf-8"))
    book["exclusions"] = rules
    (folder / "codebook.json").write_text(json.dumps(book), encoding="utf-8")
    return read_export(folder)


def test_the_export_says_which_rules_were_preregistered(tmp_path):
    rules = {"one_sided": {"share": 0.9}, "duration": {"minimum_s": 90}, "incomplete": {}}
    export = with_rules(tmp_path / "a", rules)
    assert is_preregistered(export)
    assert preregistered(export) == (OneSided(share=0.9), Duration(minimum_s=90), Incomplete())
    nobody = with_rules(tmp_path / "b", {})
    assert is_preregistered(nobody)
    assert preregistered(nobody) == ()


def test_an_export_without_rules_takes_the_defaults_that_it_can_answer(tmp_path):
    older = read_export(make_export(tmp_path / "older"))
    assert not is_preregistered(older)
    assert preregistered(older) == DEFAULTS
    rows = [{"participant": "s", "condition": "a", "correct": 1}]
    tidy = read_tidy(write_table(tmp_path / "t.csv", rows))
    assert not is_preregistered(tidy)
    assert preregistered(tidy) == (BelowChance(),)


def test_a_preregistered_rule_that_is_wrong_is_named(tmp_path):
    export = with_rules(tmp_path, {"below_chance": {"alpha": "5 %"}})
    with pytest.raises(ValueError, match=r"exclusions.below_chance.alpha = '5 %': Input should"):
        preregistered(export)


@pytest.mark.parametrize("rules", [["below_chance"], "late", [BelowChance], {"late": {}}])
def test_what_is_no_rule_is_refused(tmp_path, rules):
    export = read_export(make_export(tmp_path))
    with pytest.raises(ValueError, match=r"rules: .* is no rule; allowed: Incomplete, Late"):
        exclude(export, rules)


def test_who_has_no_sides_or_times_is_not_judged_by_them(tmp_path):
    rows = [
        {"participant": who, "condition": "a", "correct": 1, "response_side": side, "rt_ms": rt}
        for who, side, rt in (("p0", "", ""), ("p1", "left", "900"), ("p1", "right", "900")) * 4
    ]
    tidy = read_tidy(write_table(tmp_path / "t.csv", rows))
    assert exclude(tidy, [OneSided(), TooFast()]).dropped == []
