"""Levels are chosen on scores that are there, for each run and profile; what is shown and written says so."""

import json
from collections.abc import Sequence
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from pipeline.core.records import F64, Bool
from pipeline.evaluate.nab import NabEvaluation, alert_levels, evaluate_nab, published_standing
from pipeline.evaluate.nab_alerts import Scored
from pipeline.evaluate.nab_report import as_json, files_table, published_table, summary_lines, summary_table
from pipeline.evaluate.nab_scorer import Corpus, Profile, judge_rows

STANDARD, LOW_FP = Profile("standard", 1.0, 0.11, 1.0), Profile("reward_low_FP_rate", 1.0, 3.0, 1.0)
N, N_FILES = 200, 4
NAMES = [f"some/file-{i}.csv" for i in range(N_FILES)]


def every_row(files: Sequence[Scored], level: float) -> list[Bool]:
    """Raise an alert at every row that reaches the level, as NAB itself does."""
    return [file.score >= level for file in files]


def scored(score: F64, own: Sequence[int] = ()) -> Scored:
    n = len(score)
    return Scored(np.arange(float(n)), np.zeros(n), score, np.ones(n, np.bool_), np.isin(np.arange(n), own))


def run(window_score: float, false_score: float, own: Sequence[int] = ()) -> list[Scored]:
    """Score 1 everywhere, but at the start of each file's window, and at one row long before it."""
    score = np.ones(N)
    score[:3] = np.nan
    score[100], score[50] = window_score, false_score
    return [scored(score, own) for _ in range(N_FILES)]


def corpus(n_windows: int = 1) -> Corpus:
    return Corpus([judge_rows(np.arange(float(N)), [(100.0, 119.0)][:n_windows]) for _ in range(N_FILES)])


def evaluated(*runs: list[Scored], n_windows: int = 1) -> NabEvaluation:
    return evaluate_nab(NAMES, corpus(n_windows), dict(enumerate(runs)), [STANDARD, LOW_FP], every_row)


def test_each_run_gets_the_level_that_is_best_for_it() -> None:
    standard = evaluated(run(7, 3), run(5, 3)).profiles[0]
    assert [one.score for one in standard.best] == pytest.approx([100, 100])
    first, second = (one.level or 0 for one in standard.best)
    assert 3 < second <= 5 < first <= 7
    assert [(one.n_met, one.n_false) for one in standard.best] == [(4, 0), (4, 0)]


def test_a_profile_that_minds_false_alarms_more_gets_a_higher_level_or_silence() -> None:
    standard, low_fp = evaluated(run(3, 7)).profiles
    assert (standard.best[0].n_met, standard.best[0].n_false) == (4, 4)
    assert standard.best[0].score == pytest.approx(100 * (8 - 4 * 0.11) / 8)
    assert (low_fp.best[0].n_met, low_fp.best[0].n_false, low_fp.best[0].score) == (0, 0, 0)


def test_one_level_for_all_runs_is_the_best_for_their_mean_and_never_above_the_best_of_each() -> None:
    standard = evaluated(run(7, 6), run(5, 3), run(5, 3)).profiles[0]
    assert len({one.level for one in standard.common}) == 1
    assert [one.n_met for one in standard.common] == [4, 4, 4]
    assert [one.n_false for one in standard.common] == [4, 0, 0]
    assert [one.score for one in standard.best] == pytest.approx([100, 100, 100])
    assert standard.curve.max() == pytest.approx(np.mean([one.score for one in standard.common]))


def test_the_engines_own_openings_are_scored_as_they_were() -> None:
    standard = evaluated(run(7, 3, own=[100, 150])).profiles[0]
    assert (standard.budget[0].n_met, standard.budget[0].n_false, standard.budget[0].level) == (4, 4, None)


def test_what_is_lost_where_adds_up_to_what_is_missing() -> None:
    found = evaluated(run(3, 7))
    assert found.profiles[0].points.tolist() == pytest.approx([25] * 4)
    assert 100 - found.profiles[0].lost.sum() == pytest.approx(found.profiles[0].best[0].score)


def test_a_level_chosen_on_half_of_like_files_serves_the_others() -> None:
    assert evaluated(run(7, 3)).profiles[0].split.other == pytest.approx(100)
    assert evaluated(run(7, 3)).profiles[0].split.other_sd == pytest.approx(0)


def test_a_level_chosen_on_half_of_unlike_files_does_not() -> None:
    unlike = [*run(3, 1)[:2], *run(7, 6)[2:]]
    split = evaluated(unlike).profiles[1].split
    assert split.other < split.chosen - 10


def test_without_windows_figures_are_none() -> None:
    found = evaluated(run(7, 3), n_windows=0)
    assert np.isnan(found.profiles[0].best[0].score)
    assert np.isnan(found.profiles[0].split.other)
    document = as_json(found)
    assert json.loads(json.dumps(document, allow_nan=False))["profiles"]["standard"]["best"]["mean"] is None


def test_levels_start_above_all_scores_and_end_where_a_tenth_of_the_readings_lies() -> None:
    score = np.arange(1000.0)
    levels = alert_levels([[scored(score)]])
    assert levels[0] > 999
    assert (np.diff(levels) < 0).all()
    assert levels[-1] == 900
    assert alert_levels([[scored(np.full(5, np.nan))]]).tolist() == [1.0]


def test_tables_lines_and_figures_agree() -> None:
    scores = [np.nan_to_num(file.score) for file in run(7, 3)]
    other = published_standing("other", corpus(), scores, [STANDARD, LOW_FP])
    runs = {3: run(3, 7, own=[100]), 4: run(7, 3, own=[100])}
    found = evaluate_nab(NAMES, corpus(), runs, [STANDARD, LOW_FP], every_row, [other])
    console = Console(file=StringIO(), width=200)
    for table in (files_table(found), summary_table(found), published_table(found.published, 4)):
        console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    mean = (100 + 94.5) / 2
    assert all(word in text for word in (*NAMES, "97.25", "94.50", "4.0 of 4", "other", "2 seeds"))
    lines = list(summary_lines(found, 61.4))
    assert lines[0] == "4 files, 800 readings, 2 seeds, 61 s"
    assert lines[1].startswith("standard by seed: 94.50, 100.00; one level for all: 94.50 at level 3.00")
    document = as_json(found)
    assert document["profiles"]["standard"]["best"]["mean"] == pytest.approx(mean)
    assert document["profiles"]["standard"]["own_level"]["worst"] == pytest.approx(100)
    assert document["published"]["other"]["standard"]["score"] == pytest.approx(100)
    assert [file["standard"]["n_false"] for file in document["files"]] == [[1, 0]] * 4
    assert len(document["levels"]) == len(document["profiles"]["standard"]["curve"])
