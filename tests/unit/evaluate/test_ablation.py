"""Parts of the detector are left out one at a time; the rest of it, and how NAB judges it, stay as they are."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from pipeline.core.records import F32, N_VIEWS_AND_VOTE, Detail
from pipeline.core.settings import DetectionSettings, Settings
from pipeline.detect import views
from pipeline.detect.views import Recent, Usual, View, look
from pipeline.evaluate import nab_run
from pipeline.evaluate.ablation import DEFAULT, Ablation, Rule, Variant, judged, plan, rested
from pipeline.evaluate.ablation_report import ablation_json, ablation_table
from pipeline.evaluate.nab_alerts import Scored, raise_alerts
from pipeline.evaluate.nab_run import Setup
from pipeline.evaluate.nab_scorer import Corpus, Profile, judge_rows

N, LEVEL = 400, 4.0
RULE = Rule(DetectionSettings())
STANDARD, LOW_FP = Profile("standard", 1.0, 0.5, 1.0), Profile("reward_low_FP_rate", 1.0, 1.0, 1.0)


def scored(score: Mapping[int, float] | None = None, seen: F32 | None = None) -> Scored:
    """Return a file that scores 0 but at the rows given, and what views saw in it."""
    column = np.zeros(N) if seen is None else seen.max(axis=1).astype(np.float64)
    for row, number in (score or {}).items():
        column[row] = number
    return Scored(np.arange(float(N)), np.zeros(N), column, np.ones(N, np.bool_), np.zeros(N, np.bool_), seen)


def rows(rule: Rule, file: Scored) -> list[int]:
    (found,) = rule.raise_alerts([file], LEVEL)
    return np.flatnonzero(found).tolist()


def test_the_default_rule_is_the_engines_own() -> None:
    file = scored({100: 5.0, 102: 9.0, 110: 11.0, 119: 12.9, 250: 4.0, 300: 3.9})
    assert rows(RULE, file) == np.flatnonzero(raise_alerts([file], LEVEL)[0]).tolist() == [100, 110, 250]


def test_without_rests_every_reading_at_the_level_is_an_alert() -> None:
    file = scored({100: 5.0, 101: 4.0, 102: 3.9, 103: np.nan})
    assert rows(replace(RULE, has_rests=False), file) == [100, 101]


def test_without_rarer_nothing_ends_a_rest_early() -> None:
    file = scored({100: 5.0, 115: 9.0, 125: 4.0})
    assert rows(RULE, file) == [100, 115]
    assert rows(replace(RULE, has_rarer=False), file) == [100, 125]


def test_rests_are_half_or_twice_as_long() -> None:
    file = scored({100: 5.0, 112: 5.0, 145: 5.0})
    assert rows(replace(RULE, detection=rested(RULE.detection, 0.5)), file) == [100, 112, 145]
    assert rows(RULE, file) == [100, 145]
    assert rows(replace(RULE, detection=rested(RULE.detection, 4.0)), file) == [100]
    assert rested(DetectionSettings(rest_share=0.8, n_rest=1), 2.0).rest_share == 1
    assert rested(DetectionSettings(n_rest=1), 0.4).n_rest == 1


def test_a_score_is_that_of_the_views_that_are_left() -> None:
    seen = np.zeros((N, N_VIEWS_AND_VOTE), np.float32)
    seen[50, [View.LEVEL, View.VOTE]] = 8, 6
    seen[60] = np.nan
    without_level = tuple(view for view in View if view is not View.LEVEL)
    for views_left, score in (((View.LEVEL,), 8), (without_level, 6), ((View.SPREAD,), 0)):
        (found,) = replace(RULE, views=views_left).scored([scored(seen=seen)])
        assert found.score[50] == score
        assert np.isnan(found.score[60])
        assert found.score.dtype == np.float64
    with pytest.raises(ValueError, match="kept no views"):
        replace(RULE, views=without_level).scored([scored()])


def test_every_view_is_left_out_once_and_there_are_as_many_as_the_records_hold() -> None:
    wanted = plan(Settings())
    left = [variant.rule.views for variant in wanted.variants if variant.rule.views is not None]
    assert [{*View} - {*kept} for kept in left[:-1]] == [{view} for view in View]
    assert left[-1] == (View.VOTE,)
    assert Detail.blank(2, 1).views.shape == (2, len(View))


def test_each_run_differs_from_the_default_in_one_setting() -> None:
    wanted = plan(Settings())
    changed = {}
    default = wanted.setups[DEFAULT].settings.model_dump()
    for name, setup in wanted.setups.items():
        own = setup.settings.model_dump()
        changed[name] = [
            (key, own[section][key])
            for section in ("forecast", "training", "streams", "detection")
            for key in own[section]
            if own[section][key] != default[section][key]
        ]
    assert changed.pop(DEFAULT) == []
    assert changed.pop("trifles count") == []
    assert sorted(changed.values()) == [
        [("enabled", False)],
        [("ensemble", 1)],
        [("quarantine_level", 6.0)],
        [("window_len", 512)],
    ]
    assert [name for name, setup in wanted.setups.items() if not setup.has_floors] == ["trifles count"]
    assert [name for name, setup in wanted.setups.items() if setup.has_views] == [DEFAULT]
    assert {variant.run for variant in wanted.variants} == {*wanted.setups}


def test_what_the_settings_leave_out_already_is_no_variant() -> None:
    settings = Settings.model_validate({"forecast": {"ensemble": 1}, "training": {"enabled": False}})
    names = {variant.name for variant in plan(settings).variants}
    assert "one network per stream" not in names
    assert "networks that are not trained" not in names
    assert "512 readings kept to train on" in names


def test_short_windows_still_hold_a_training_window() -> None:
    settings = Settings.model_validate({"training": {"window": 500}, "forecast": {"horizon_long": 40}})
    assert "540 readings kept to train on" in plan(settings).setups


def floored() -> float:
    """Return what the view of the residual shows of a trifle: nothing, while there are floors."""
    recent = Recent(np.array([0.01]), np.array([0.0]), np.array([1.0]))
    usual = Usual(np.array([0.0]), np.array([1.0]), np.array([1.0]))
    came = np.array([[0.01, 0.0, 0.0, 0.0]])
    found = look(came, np.zeros((1, 1, 4)), np.ones((1, 1, 4)), recent, usual)
    assert (found.sizes > 0).all()
    return float(found.of_forecasts[0, 0, View.RESIDUAL])


def test_floors_are_away_for_one_run_and_back_after_it_even_if_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def fails(*_: object) -> None:
        seen.append(floored())
        raise RuntimeError("no engine")

    before = views.FLOOR_OF_SPREAD, views.FLOOR_OF_ACTIVITY
    monkeypatch.setattr(nab_run, "replay", fails)
    for has_floors in (False, True):
        with pytest.raises(RuntimeError, match="no engine"):
            nab_run.run([], Setup(Settings(), has_floors=has_floors), lambda _: None)
    assert seen == [pytest.approx(0.01, rel=1e-6), 0]
    assert before == (views.FLOOR_OF_SPREAD, views.FLOOR_OF_ACTIVITY)


def corpus() -> Corpus:
    return Corpus([judge_rows(np.arange(float(N)), [(200.0, 239.0)])])


def ablation(*seeds: int) -> Ablation:
    """Judge a detector of which one view finds the window, and another sees something elsewhere."""
    seen = np.zeros((N, N_VIEWS_AND_VOTE), np.float32)
    seen[200, View.LEVEL], seen[100, View.SPREAD] = 8, 9
    variants = [
        Variant("all", "as it is", DEFAULT, RULE),
        *(
            Variant("views", f"without {out.name}", DEFAULT, replace(RULE, views=tuple(v for v in View if v != out)))
            for out in (View.LEVEL, View.SPREAD)
        ),
    ]
    runs: Mapping[int, Sequence[Scored]] = {seed: [scored(seen=seen)] for seed in seeds}
    found = [judged(variant, corpus(), [STANDARD, LOW_FP], runs) for variant in variants]
    return Ablation(seeds, 1, found)


def test_a_view_that_finds_is_worth_what_is_lost_without_it_and_one_that_misleads_what_is_won() -> None:
    found = ablation(1)
    assert found.rows[0].mean(0) == pytest.approx(75)
    assert [found.difference(row, 0) for row in found.rows] == pytest.approx([0, -75, 25])
    assert [found.difference(row, 1) for row in found.rows] == pytest.approx([0, -50, 50])
    assert [(row.profiles[0].best[0].n_met, row.profiles[0].best[0].n_false) for row in found.rows] == [
        (1, 1),
        (0, 0),
        (1, 0),
    ]


def test_the_table_is_markdown_and_agrees_with_the_figures() -> None:
    found = ablation(1, 2)
    console = Console(file=StringIO(), width=300)
    console.print(ablation_table(found))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert "1 windows, 2 seeds" in lines[0]
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines[1:] if "|" in line]
    assert cells[0] == [
        "part",
        "variant",
        *("standard", "difference", "met", "false alarms"),
        *("reward_low_FP_rate", "difference", "met", "false alarms"),
    ]
    assert set("".join(cells[1])) == {"-", ":"} or set("".join(cells[1])) == {"-"}
    assert cells[2] == ["all", "as it is", "75.00", "", "1.0", "1.0", "50.00", "", "1.0", "1.0"]
    assert cells[3] == ["views", "without LEVEL", "0.00", "-75.00", "0.0", "0.0", "0.00", "-50.00", "0.0", "0.0"]
    document = json.loads(json.dumps(ablation_json(found), allow_nan=False))
    assert document["seeds"] == [1, 2]
    standard = document["variants"][1]["profiles"]["standard"]
    assert (standard["mean"], standard["difference"], standard["n_met"]) == (0, -75, [0, 0])
