"""Forecasters are compared on the same readings; what cannot be compared is not."""

from collections.abc import Mapping

import numpy as np
import pytest

from pipeline.core.records import F64
from pipeline.evaluate.forecast_judge import Forecasts, StreamErrors, judge, mean_over_seeds
from pipeline.evaluate.forecast_plot import RANGE, curves
from pipeline.evaluate.forecast_summary import Share, summarise

N = 1_500
VALUE = np.arange(float(N))


def off(by: float, first: int = 0) -> F64:
    """Forecasts that are wrong by so much, none before reading ``first``."""
    forecast = VALUE + by
    forecast[:first] = np.nan
    return forecast


def judged(by: Mapping[str, F64], seasonal: frozenset[str] = frozenset(), value: F64 = VALUE) -> StreamErrors:
    """Judge forecasts with intervals of 1, 2 and 3."""
    baselines = frozenset(by) & {"persistence", "smoothing", "seasonal"}
    return judge(Forecasts("s", value, by, seasonal, baselines, np.tile([1.0, 2.0, 3.0], (len(value), 1))))


def test_all_are_measured_on_the_readings_that_all_foretold() -> None:
    late = off(1.0, first=10)
    late[:20] += 1000  # before the others are there, so it does not count
    errors = judged(
        {"persistence": off(4.0, first=1), "league": late, "lstm": off(2.0, first=20), "none": VALUE * np.nan}
    )
    assert (errors.n_readings, errors.n) == (N, N - 20)
    assert errors.mae == {"persistence": 4.0, "league": 1.0, "lstm": 2.0}
    assert (errors.mase("league"), errors.mase("lstm")) == (0.25, 0.5)
    assert np.isnan(errors.mase("none"))
    assert errors.coverage == (1.0, 1.0, 1.0)


def test_those_that_look_back_a_season_shorten_only_the_comparison_with_them() -> None:
    by = {
        "persistence": off(4.0),
        "league": off(1.0),
        "seasonal": off(2.0, 288),
        "seasonal persistence": off(5.0, 290),
    }
    errors = judged(by, frozenset({"seasonal", "seasonal persistence"}))
    assert (errors.n, errors.n_season) == (N, N - 290)
    assert "seasonal" not in errors.mae
    assert errors.mase("seasonal") == 0.5
    assert errors.season_mase("league") == 0.2
    assert errors.ratio("league", "seasonal") == 0.5


def test_the_league_is_held_against_the_best_baseline_after_the_first_thousand_readings() -> None:
    league = off(3.0)
    league[:1000] += 50.0
    by = {
        "persistence": off(4.0),
        "smoothing": off(2.0),
        "seasonal": off(1.0, 1450),
        "league": league,
        "lstm": off(0.1),
    }
    errors = judged(by, frozenset({"seasonal"}))
    assert (errors.keeps_up, errors.best) == (1.5, "smoothing")  # 50 readings of a season are too few to tell


def test_a_constant_stream_has_no_scale_and_a_short_one_no_errors() -> None:
    flat = np.full(N, 7.0)
    errors = judged({"persistence": flat, "smoothing": flat, "league": flat, "lstm": flat + 0.1}, value=flat)
    assert np.isnan([errors.mase("league"), errors.mase("lstm"), errors.keeps_up]).all()
    few = judged(dict.fromkeys(("persistence", "league", "lstm"), VALUE[:50]), value=VALUE[:50])
    assert few.mae == {}
    assert np.isnan(few.mase("league"))


def stream(name: str, league: float, peer: float, keeps_up: float = 1.0, covered: float = 0.9) -> StreamErrors:
    mae = {"persistence": 1.0, "league": league, "lstm": league, "P a": peer, "P b": 2 * peer}
    return StreamErrors(name, 500, 500, 0, mae, {}, (0.5, covered, 0.99), 0.1, keeps_up, "smoothing")


def test_seeds_are_averaged_and_of_their_lags_the_worst_is_kept() -> None:
    mean = mean_over_seeds([stream("s", 0.6, 1.0, keeps_up=1.2), stream("s", 0.8, 1.0, keeps_up=np.nan, covered=0.8)])
    assert mean.mae["league"] == pytest.approx(0.7)
    assert mean.keeps_up == 1.2
    assert mean.coverage == pytest.approx((0.5, 0.85, 0.99))


def test_key_figures_count_the_diverged_as_beaten_and_leave_out_what_has_no_scale() -> None:
    constant = StreamErrors(
        "flat", 500, 500, 0, {"persistence": 0.0, "league": 0.0, "P a": 0.1}, {}, (1.0,) * 3, 0.0, np.nan, ""
    )
    streams = [
        stream("a", 0.8, np.inf),
        stream("b", 0.9, 0.7, keeps_up=1.3, covered=0.97),
        stream("c", 1.1, 1.2),
        constant,
    ]
    found = summarise(streams, [0.9], {"P a": "P", "P b": "P", "Q": "Q"})
    assert (found.n_streams, found.n_without_scale) == (4, 1)
    assert found.median_mase["league"] == 0.9
    assert found.beats_persistence["league"] == Share(2, 3)
    assert found.worst == (1.3, "b", "smoothing")
    assert found.covered == Share(2, 4)
    assert found.beats_peer == {"P a": Share(2, 3), "P b": Share(3, 3), "Q": Share(0, 0), "best P": Share(2, 3)}
    assert found.diverged == {"P a": 1, "P b": 1}


def test_the_picture_holds_the_best_of_each_family_and_clips_what_diverged() -> None:
    drawn = curves([stream("a", 0.9, np.inf), stream("b", 0.5, 0.7)], {"P a": "P", "P b": "P"})
    assert list(drawn) == ["league", "lstm", "P"]
    assert drawn["league"].tolist() == [0.5, 0.9]
    assert drawn["P"].tolist() == [0.7, RANGE[1]]
