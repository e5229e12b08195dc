"""Explanations: plain words that say what was seen, how rare it is and since when, and never fail."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.alert_records import Neighbour
from pipeline.core.evidence import Evidence
from pipeline.core.records import EpisodeEvent, Event
from pipeline.detect.explain import SHORT_WORDS, Spans, direction, explanation, summary, view_words
from pipeline.detect.views import View

AT = 1772359200.0  # 2026-03-01 10:00
TIME = AT + 300.0 * np.arange(-63.0, 1.0)
VALUE = np.where(np.arange(64) < 32, 20.0, 21.5) + 0.1 * (-1.0) ** np.arange(64)
EVENT = EpisodeEvent(
    event=Event.OPEN,
    stream="pump-1/temperature",
    episode="d801d35eeae09374",
    opened_s=AT,
    at_s=AT,
    peak_score=6.2,
    peak_s=AT,
    value=21.3,
    forecast=19.8,
    lower=19.2,
    upper=20.4,
    level=4.5,
    view="next_long",
    onset_s=AT - 1500,
    severity="major",
    odds=40_321.0,
    views=(("next_long", 6.2), ("spread", 5.1), ("level", 2.0)),
    evidence=Evidence(TIME, VALUE, VALUE - 0.1, VALUE - 1, VALUE + 1),
)
#: Words of the trade that an operator need not know.
JARGON = re.compile(r"residual|sigma|quantile|p-value|LSTM|tail|decade|horizon|anomal|nan|None", re.IGNORECASE)


def test_the_summary_names_what_was_seen_by_how_much_and_how_rare_that_is() -> None:
    assert summary(EVENT, Spans()) == (
        "the mean of the last 32 readings (2 h 40 min) was not as foretold: the last of them 21.3, "
        "1.5 higher than foretold; about one in 40,000 readings is as surprising"
    )


def test_the_explanation_has_numbers_odds_onset_and_neighbours() -> None:
    neighbours = (
        Neighbour("pump-1/flow", 5.0, 4.5, AT, is_of_device=True),
        Neighbour("pump-1/power", 4.0, 4.5, AT, is_of_device=True),
        Neighbour("hall/humidity", 4.0, 4.5, AT, is_of_device=False),
    )
    what, rare, when, who = explanation(EVENT, Spans(), neighbours).split("\n\n")
    assert what == (
        "The mean of the last 32 readings (2 h 40 min) was not as foretold. They average 21.5; the ones before them "
        "20. The last of them was 21.3, at 2026-03-01 10:00 UTC. Foretold was 19.8, between 19.2 and 20.4: "
        "the reading is 1.5 higher than foretold, outside of that interval."
    )
    assert rare == (
        "About one in 40,000 readings is as surprising (once in 140 days). Severity: major. "
        "Also, the last 60 readings (5 h) scattered otherwise than they usually do."
    )
    assert when == "It was noticed at 2026-03-01 10:00 UTC. It began about 09:35, 25 min before it was noticed."
    assert who == (
        "Surprising at the same time on this device: pump-1/flow and pump-1/power. "
        "Surprising at the same time elsewhere: hall/humidity."
    )


@pytest.mark.parametrize("view", [view.name.lower() for view in View])
def test_every_view_of_the_detector_has_words_without_jargon(view: str) -> None:
    assert view in SHORT_WORDS
    event = replace(EVENT, view=view, views=((view, 6.2), ("residual", 6.0)))
    for text in (summary(event, Spans()), explanation(event, Spans()), SHORT_WORDS[view]):
        assert not JARGON.search(text), text
    assert view_words(event, Spans()) != view


def test_other_horizons_are_other_words() -> None:
    assert view_words(EVENT, Spans(4, 12)) == "the mean of the last 12 readings (1 h) was not as foretold"
    assert view_words(replace(EVENT, view="next_short"), Spans(4, 12)).startswith("the mean of the last 4 readings (20")


def test_a_reading_below_its_forecast_is_lower_than_foretold() -> None:
    event = replace(EVENT, value=18.0, view="next_reading")
    assert direction(event) == "lower"
    assert ": 18, 1.8 lower than foretold;" in summary(event, Spans())
    assert "the reading is 1.8 lower than foretold, outside of that interval." in explanation(event, Spans())


def test_odds_beyond_what_was_ever_watched_are_not_told_as_a_number() -> None:
    event = replace(EVENT, odds=4.4e17)
    assert summary(event, Spans()).endswith("; fewer than one in 1,000,000 readings is as surprising")
    assert "Fewer than one in 1,000,000 readings is as surprising. Severity" in explanation(event, Spans())


def test_a_change_noticed_at_its_first_reading_says_so() -> None:
    assert "It was noticed at 2026-03-01 10:00 UTC, at the first reading that shows it." in explanation(
        replace(EVENT, onset_s=AT), Spans()
    )


def test_a_closing_says_when_it_ended_and_why() -> None:
    closed = replace(EVENT, event=Event.CLOSE, at_s=AT + 9600, reason="quiet")
    ending = "it ended at 2026-03-01 12:40 UTC, after 2 h 40 min: readings are as foretold again"
    assert summary(closed, Spans()).endswith(ending)
    assert f"I{ending[1:]}." in explanation(closed, Spans())
    assert "is taken for normal now" in explanation(replace(closed, reason="drift"), Spans())
    assert "They average" not in explanation(closed, Spans())  # its evidence is that of the end


def test_what_is_missing_is_left_out() -> None:
    nan = float("nan")
    bare = replace(EVENT, forecast=nan, lower=nan, upper=nan, onset_s=nan, odds=nan, views=(), evidence=None)
    assert explanation(bare, Spans()) == (
        "The mean of the last 32 readings was not as foretold. The last of them was 21.3, at 2026-03-01 10:00 UTC. "
        "Nothing was foretold for it.\n\nSeverity: major.\n\nIt was noticed at 2026-03-01 10:00 UTC."
    )


def test_a_counter_which_only_rises_is_not_compared_with_its_past() -> None:
    rising = 1e9 + np.arange(64.0)
    counter = replace(EVENT, evidence=Evidence(TIME, rising, rising, rising, rising))
    assert "They average" not in explanation(counter, Spans())


any_number = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(any_number, min_size=8, max_size=8), st.sampled_from([*SHORT_WORDS, "", "{span}"]), st.booleans())
def test_no_number_makes_it_fail(numbers: list[float], view: str, is_open: bool) -> None:  # noqa: FBT001 - drawn
    value, forecast, lower, upper, onset_s, odds, opened_s, at_s = numbers
    event = replace(
        EVENT,
        event=Event.OPEN if is_open else Event.CLOSE,
        view=view,
        value=value,
        forecast=forecast,
        lower=lower,
        upper=upper,
        onset_s=onset_s,
        odds=odds,
        opened_s=opened_s,
        at_s=at_s,
    )
    assert "\n" not in summary(event, Spans())
    assert "nan" not in explanation(event, Spans())
