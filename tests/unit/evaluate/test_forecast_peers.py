"""Other libraries' forecasters get the same readings, tested before trained, and may blow up without harm."""

import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import ForetellError
from pipeline.evaluate.deep_river import NAME, deep_river_python, run_deep_river
from pipeline.evaluate.peers import RIVER_PEERS, river_forecasts, run_river

RNG = np.random.default_rng(1)
WAVE = 20 + 5 * np.sin(np.arange(400) / 8) + 0.1 * RNG.normal(size=400)


def test_every_model_of_the_table_runs_and_no_forecast_knows_its_reading() -> None:
    whole = river_forecasts(WAVE, season=50)
    assert set(whole) == set(RIVER_PEERS)
    changed = river_forecasts(np.concatenate([WAVE[:200], 1000 + WAVE[200:]]), season=50)
    for name, forecast in whole.items():
        first = 50 if RIVER_PEERS[name].is_seasonal else 2
        assert np.isnan(forecast[:first]).all()
        assert np.isfinite(forecast[first:201]).all(), name
        np.testing.assert_array_equal(forecast[:201], changed[name][:201])


def test_exponential_smoothing_is_what_its_formula_says() -> None:
    level, expected = (WAVE[0] + WAVE[1]) / 2, []
    for value in WAVE[2:]:
        expected.append(level)
        level += 0.3 * (value - level)
    np.testing.assert_allclose(river_forecasts(WAVE, season=0)["exponential smoothing"][2:], expected)


def test_a_model_that_runs_away_is_infinite_from_there_on_and_raises_nothing() -> None:
    wild = 10.0 ** RNG.uniform(-300, 300, size=600)
    found = river_forecasts(wild, season=0)
    diverged = [forecast for forecast in found.values() if np.isinf(forecast).any()]
    assert diverged
    for forecast in diverged:
        assert np.isinf(forecast[int(np.argmax(np.isinf(forecast))) :]).all()
    assert not any(np.isnan(forecast[2:]).any() for forecast in found.values())


def test_processes_give_what_one_gives_in_the_order_asked() -> None:
    time = np.arange(400.0) * 1800
    done: list[int] = []
    found = run_river([(time[:150], WAVE[:150]), (time, WAVE)], done.append)
    assert sorted(done) == [150, 400]
    assert "HoltWinters day" in found[1]
    for value, got, season in ((WAVE[:150], found[0], 48), (WAVE, found[1], 48)):
        for name, forecast in river_forecasts(value, season).items():
            np.testing.assert_array_equal(got[name], forecast)


ECHO = """
import json, sys
for line in sys.stdin:
    values = json.loads(line)
    print(json.dumps([float("nan"), *values[:-2], float("inf")]), flush=True)
"""


def test_lines_of_readings_come_back_as_lines_of_forecasts(tmp_path: Path) -> None:
    script = tmp_path / "echo.py"
    script.write_text(ECHO)
    done: list[int] = []
    found = run_deep_river(Path(sys.executable), [np.array([1.0, 2.0, 3.0]), WAVE], done.append, script)
    np.testing.assert_array_equal(found[0][NAME], [np.nan, 1.0, np.inf])
    assert [len(by[NAME]) for by in found] == done == [3, 400]


def test_a_process_that_dies_is_one_clear_error(tmp_path: Path) -> None:
    script = tmp_path / "dies.py"
    script.write_text("import deep_lake")
    with pytest.raises(
        ForetellError, match=r"ended early: ModuleNotFoundError: No module named 'deep_lake'; .*make peers"
    ):
        run_deep_river(Path(sys.executable), [WAVE, WAVE], lambda _: None, script)


def test_deep_rivers_lstm_learns_a_wave_where_it_is_installed() -> None:
    python = deep_river_python()
    if python is None:
        pytest.skip("deep-river is not installed: make peers")
    forecast = run_deep_river(python, [np.tile(WAVE, 3)], lambda _: None)[0][NAME]
    assert np.isnan(forecast[:10]).all()
    error = np.abs(forecast - np.tile(WAVE, 3))[800:].mean()
    assert error < np.std(WAVE) / 2
