"""The evaluation of health verdicts: what is counted, what is in time, and what nobody could see."""

import json

import numpy as np
import pytest
from rich.console import Console

from pipeline.core.records import Health, Readings
from pipeline.core.settings import Settings, parse_settings
from pipeline.evaluate.health import Broken, Clean, broken_streams, clean_streams, watched
from pipeline.evaluate.health_report import Report, as_json, broken_table, clean_table, summary
from pipeline.runtime.session import Session

QUICK = "health: {n_warmup: 256}\nforecast: {hidden: 4, ensemble: 1}\ntraining: {enabled: false}"


def test_the_detectors_alone_say_what_the_engine_says() -> None:
    settings, n = parse_settings(QUICK, "test"), 800
    value = 20 + np.random.default_rng(1).normal(size=(n, 2))
    value[400:500, 0] = 21.0
    value[500:, 1] = 20 + 5 * (value[500:, 1] - 20)
    time = np.asarray(60.0 * np.arange(n), np.float64)
    stream = np.tile(np.arange(2, dtype=np.int32), n)
    readings = Readings(["s0", "s1"], stream, np.repeat(time, 2), value.ravel(), np.zeros(2 * n, np.uint8))
    steps = Session(settings).process(readings, now=np.inf)
    told = watched([(time, value[:, 0]), (time, value[:, 1])], settings)
    assert told == [[event for event in steps.health_events if event.stream == name] for name in ("s0", "s1")]
    assert [{event.verdict for event in own} for own in told] == [{Health.STUCK}, {Health.NOISY}]


def test_given_ranges_make_clean_streams_false_and_are_counted() -> None:
    settings = Settings.model_validate({"health": {"ranges": [{"match": "s1", "high": 0.0}]}})
    row = clean_streams("white", 3, seed=1, step_s=300.0, days=3.0, settings=settings)
    assert row.false == {"out_of_range": 1}
    assert (row.n_streams, round(row.days)) == (3, 9)


def test_a_stuck_sensor_is_found_and_a_constant_is_none() -> None:
    white, constant = (
        {(row.fault, row.size): row for row in broken_streams(kind, 4, 1, 300.0, 9.0, Settings())}
        for kind in ("white", "constant")
    )
    assert white["stuck", 1.0].found == 1.0
    assert white["stuck", 1.0].delay <= 60
    assert white["stuck", 1.0].hidden == ""
    assert constant["stuck", 1.0].found == 0.0
    assert np.isnan(constant["stuck", 1.0].delay)
    assert constant["stuck", 1.0].hidden == "stands still anyway"


@pytest.fixture
def report() -> Report:
    clean = [Clean("white", 10, 300.0, {"too_quiet": 1}), Clean("constant", 10, 300.0, {})]
    broken = [
        Broken("white", "stuck", 1.0, 10, 0.9, 11.5, ""),
        Broken("constant", "stuck", 1.0, 10, 0.0, float("nan"), "stands still anyway"),
    ]
    return Report(clean, broken, seed=3, took_s=2.4)


def test_tables_and_summary_name_what_was_found(report: Report) -> None:
    console = Console(width=200, record=True)
    console.print(clean_table(report))
    console.print(broken_table(report))
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert "white 10 300 too quiet 1" in lines
    assert "constant 10 300 none" in lines
    assert "stuck for good 90 / 12 -" in lines
    assert summary(report) == "2 kinds, 20 clean streams, 600 stream-days; false verdicts: too quiet 1; seed 3, 2 s"


def test_the_document_is_json_without_nan(report: Report) -> None:
    document = json.loads(json.dumps(as_json(report), allow_nan=False))
    assert [row["delay"] for row in document["broken"]] == [11.5, None]
    assert document["clean"][0]["false"] == {"too_quiet": 1}
