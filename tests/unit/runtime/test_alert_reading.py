"""Alerts are read back from what anybody may have written, and found by their ids."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.alert_records import Alert
from pipeline.core.errors import UsageError
from pipeline.core.evidence import Evidence
from pipeline.core.records import EpisodeEvent, Event, episode_id
from pipeline.runtime.alert_reading import MAX_LINE, alerts_in, chosen, merged_evidence, parsed
from pipeline.sinks.alerts import alert_json

AT = 1772359200.0
NAN = float("nan")


def line(stream: str = "pump/t", opened_s: float = AT, *, closed_s: float | None = None) -> str:
    time = (opened_s if closed_s is None else closed_s) + 60.0 * np.arange(-7.0, 1.0)
    ones = np.ones(8)
    evidence = Evidence(time, ones, np.array([NAN, *ones[1:]]), ones - 1, ones + 1)
    event = EpisodeEvent(
        Event.OPEN if closed_s is None else Event.CLOSE,
        stream,
        episode_id(stream, opened_s),
        opened_s,
        opened_s if closed_s is None else closed_s,
        6.0,
        opened_s,
        3.0,
        NAN,
        NAN,
        NAN,
        5.0,
        "next_reading",
        onset_s=opened_s - 120,
        odds=4e4,
        severity="major",
        evidence=evidence,
    )
    return alert_json(Alert(event, "pump", "abc", (), "what happened", "First.\n\nSecond."), "home")


def test_what_was_written_is_read_back() -> None:
    seen = parsed(line())
    assert seen is not None
    assert (seen.is_open, seen.stream, seen.device, seen.incident) == (True, "pump/t", "pump", "abc")
    assert (seen.opened_s, seen.onset_s, seen.at_s, seen.odds) == (AT, AT - 120, AT, 4e4)
    assert (seen.severity, seen.summary, seen.text) == ("major", "what happened", "First.\n\nSecond.")
    assert seen.evidence is not None
    assert seen.evidence.value.tolist() == [1.0] * 8
    assert np.isnan(seen.evidence.forecast[0])


def test_the_topic_that_mosquitto_sub_prints_is_skipped() -> None:
    assert parsed(f"foretell/home/alert/pump/t {line()}") == parsed(line())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"event": "open"}',
        '{"event": "open", "episode": 5, "stream": "a"}',
        '{"event": "burst", "episode": "e", "stream": "a"}',
        '{"event": ["open"], "episode": "e", "stream": "a"}'.replace('["open"]', "NaN"),
        '{"a":' * 5000,
        '{"event": "open", "episode": "e", "stream": "' + "x" * MAX_LINE + '"}',
    ],
)
def test_what_is_no_alert_is_none(text: str) -> None:
    assert parsed(text) is None


def test_control_characters_do_not_reach_the_terminal() -> None:
    data = json.loads(line()) | {"stream": "a\x1b[31m\nb", "text": "one\x1b[2J\n\ntwo", "severity": "\x07"}
    seen = parsed(json.dumps(data))
    assert seen is not None
    assert "".join((seen.stream, seen.severity, seen.text.replace("\n\n", ""))).isprintable()


def test_evidence_that_makes_no_sense_is_left_out() -> None:
    good = json.loads(line())["evidence"]
    wrongs: list[object] = [
        5,
        [],
        {},
        good | {"value": [1.0]},
        good | {"time": [None] * 8},
        good | {"time": [1e300] * 8},
    ]
    for wrong in wrongs:
        seen = parsed(json.dumps(json.loads(line()) | {"evidence": wrong}))
        assert seen is not None
        assert seen.evidence is None


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(sorted(json.loads(line()))), json_values)
def test_no_value_of_any_key_makes_it_fail(key: str, value: object) -> None:
    seen = parsed(json.dumps(json.loads(line()) | {key: value}))
    assert seen is None or seen.stream.isprintable()


@given(st.text(max_size=60))
def test_no_text_makes_it_fail(text: str) -> None:
    assert parsed(text) is None


def test_a_file_without_alerts_says_so_and_bad_lines_are_counted() -> None:
    found, n_bad = alerts_in(["", line(), "junk\n", "\n"], "a.jsonl")
    assert (len(found), n_bad) == (1, 1)
    with pytest.raises(UsageError, match=r"a.jsonl: holds no alerts \(1 other lines\); write them with"):
        alerts_in(["junk"], "a.jsonl")


def test_an_episode_is_found_by_its_id_or_the_beginning_of_it() -> None:
    found, _ = alerts_in([line(), line("tank/l"), line(closed_s=AT + 600)], "x")
    wanted = episode_id("pump/t", AT)
    assert [seen.is_open for seen in chosen(found, wanted)] == [True, False]
    assert chosen(found, wanted[:5]) == chosen(found, wanted)


def test_a_wrong_id_names_the_nearest() -> None:
    found, _ = alerts_in([line(), line("tank/l")], "x")
    wanted = episode_id("pump/t", AT)
    with pytest.raises(UsageError, match=rf"ID {wanted[:-1]}0: no alert has this id; the nearest are: {wanted} "):
        chosen(found, f"{wanted[:-1]}0")
    with pytest.raises(UsageError, match=r"is no episode but has some; the nearest are: .* \(tank/l\)"):
        chosen(found, "tank/l")
    with pytest.raises(UsageError, match="the nearest are"):
        chosen(found, "")


def test_an_id_that_two_episodes_begin_with_is_refused() -> None:
    data = json.loads(line())
    lines = [json.dumps(data | {"episode": f"aaaaaa{i}"}) for i in range(2)]
    found, _ = alerts_in(lines, "x")
    with pytest.raises(UsageError, match="2 episodes have an id that begins so; they are: aaaaaa0"):
        chosen(found, "aaaaa")


def test_the_readings_of_opening_and_closing_are_joined_each_once() -> None:
    found, _ = alerts_in([line(), line(closed_s=AT + 180)], "x")
    both = merged_evidence(found)
    assert both is not None
    assert both.time.tolist() == (AT + 60.0 * np.arange(-7, 4)).tolist()
