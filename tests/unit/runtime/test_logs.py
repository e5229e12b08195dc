"""Log lines: one JSON object each, whatever foreign text is in them."""

import json
import logging
from io import StringIO

from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.logs import JsonFormatter, configure_logging


def line(fields: dict[str, object], event: str = "something happened") -> str:
    record = logging.makeLogRecord({"msg": event, "levelname": "WARNING", "fields": fields})
    return JsonFormatter().format(record)


def test_a_line_has_time_level_event_and_fields() -> None:
    shown = json.loads(line({"n": 3, "why": None}))
    assert shown.pop("time").endswith("Z")
    assert shown == {"level": "warning", "event": "something happened", "n": 3, "why": None}


def test_fields_cannot_replace_the_lines_own_keys() -> None:
    assert json.loads(line({"level": "debug", "event": "forged"}))["event"] == "something happened"


def test_numbers_json_does_not_know_are_null() -> None:
    shown = json.loads(line({"x": float("nan"), "alert": {"y": float("inf"), "z": 1.5}}))
    assert shown["x"] is None
    assert shown["alert"] == {"y": None, "z": 1.5}


@given(st.text() | st.just("a\n\x1b[31m\u2028\ud800"))
def test_foreign_text_never_breaks_the_line(text: str) -> None:
    shown = line({"topic": text}, event=text.replace("%", ""))
    assert shown.isascii()
    assert shown.isprintable()
    assert json.loads(shown)["topic"] == text


def test_an_exception_adds_its_traceback_to_the_same_line() -> None:
    error = ValueError("broken\nin two")
    record = logging.makeLogRecord({"msg": "failed", "levelname": "ERROR", "exc_info": (ValueError, error, None)})
    shown = JsonFormatter().format(record)
    assert "\n" not in shown
    assert "ValueError: broken" in json.loads(shown)["traceback"]


def test_only_lines_of_the_configured_level_are_written() -> None:
    stream = StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        root.handlers = []
        configure_logging("warning", stream)
        logging.getLogger("pipeline.x").info("quiet")
        logging.getLogger("pipeline.x").warning("loud", extra={"fields": {"n": 1}})
    finally:
        root.handlers, root.level = handlers, level
        logging.captureWarnings(capture=False)
    assert [json.loads(each)["event"] for each in stream.getvalue().splitlines()] == ["loud"]
