"""What operators say changes at once what is told, lasts, and can be taken back."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.operator_words import Word, WordError
from pipeline.core.records import EpisodeEvent, Event, Readings, Steps, episode_id
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.alert_book import MAX_RECORDS
from pipeline.runtime.follow_up import FollowUp, News
from pipeline.runtime.holds import MOST_RAISED

NOW = 1_772_359_200.0
HOUR, DAY = 3600.0, 86_400.0
LEVEL = 5.0
PUMP, FAN = "plant/pump/flow", "plant/fan/speed"


def opening(stream: str = PUMP, at_s: float = NOW, margin: float = 0.5) -> EpisodeEvent:
    episode = episode_id(stream, at_s)
    values = (LEVEL + margin, at_s, 3.0, 1.0, 0.0, 2.0, LEVEL, "next_reading")
    return EpisodeEvent(Event.OPEN, stream, episode, at_s, at_s, *values)


def closing(event: EpisodeEvent, at_s: float) -> EpisodeEvent:
    return replace(event, event=Event.CLOSE, at_s=at_s, reason="quiet")


def batch(rows: Sequence[tuple[str, float, float]], events: Sequence[EpisodeEvent]) -> tuple[Readings, Steps]:
    """Return readings (stream, time, score) and their steps."""
    names = sorted({name for name, _, _ in rows})
    stream = np.array([names.index(name) for name, _, _ in rows], np.int32)
    readings = Readings(
        names, stream, np.array([t for _, t, _ in rows]), np.ones(len(rows)), np.zeros(len(rows), np.uint8)
    )
    steps = Steps.blank(len(rows))
    steps.score[:] = [score for _, _, score in rows]
    steps.level[:] = LEVEL
    steps.events = list(events)
    return readings, steps


def gather(follow: FollowUp, *events: EpisodeEvent, now_s: float = NOW) -> News:
    rows = [(event.stream, event.at_s, event.peak_score) for event in events]
    return follow.gather(*batch(rows, events), now_s)


def word(kind: str, target: str, at_s: float = NOW, until_s: float | None = None, by: str = "ann") -> Word:
    return Word(kind, target, by, "cli", at_s, until_s)


def told(news: News) -> list[str]:
    return [alert.event.episode for alert in news.alerts]


@pytest.fixture
def follow() -> FollowUp:
    return FollowUp(Settings())


def test_an_alert_is_told_and_its_state_is_open_until_it_closes(follow: FollowUp) -> None:
    event = opening()
    news = gather(follow, event)
    assert told(news) == [event.episode]
    assert [(state.state, state.episode) for state in news.states] == [("open", event.episode)]
    news = gather(follow, closing(event, NOW + 60))
    assert told(news) == [event.episode]
    assert [(state.state, state.at_s) for state in news.states] == [("closed", NOW + 60)]


def test_an_acknowledgement_is_in_the_state_at_once_and_can_be_undone(follow: FollowUp) -> None:
    event = opening()
    gather(follow, event)
    said, news = follow.hear(word("ack", event.episode[:6]))
    assert said.target == event.episode
    assert [state.acknowledged_by for state in news.states] == ["ann"]
    undone, news = follow.hear(word("undo", event.episode, by="bob"))
    assert undone.target == said.key
    assert [state.acknowledged_by for state in news.states] == [""]
    with pytest.raises(WordError, match="undone"):
        follow.hear(word("undo", event.episode))


def test_what_is_expected_is_held_back_until_then_and_told_if_it_is_still_open(follow: FollowUp) -> None:
    gather(follow, opening())
    _, news = follow.hear(word("expected", opening().episode, until_s=NOW + HOUR))
    assert news.states[0].expected_until_s == NOW + HOUR
    later = opening(at_s=NOW + 600)
    news = gather(follow, later, now_s=NOW + 600)
    assert (told(news), [why for _, why in news.held], news.incidents) == ([], ["expected"], [])
    assert news.states[-1].held == "expected"
    assert not follow.is_due(NOW + HOUR - 1)
    assert follow.is_due(NOW + HOUR)
    news = follow.tick(NOW + HOUR)
    assert told(news) == [later.episode]
    assert [incident.device for incident in news.incidents] == ["plant/pump"]
    assert news.states[-1].held == ""
    assert follow.n_alerts["told"] == 2


def test_what_closes_while_it_is_expected_is_never_told(follow: FollowUp) -> None:
    gather(follow, opening())
    follow.hear(word("expected", opening().episode, until_s=NOW + HOUR))
    later = opening(at_s=NOW + 600)
    gather(follow, later, now_s=NOW + 600)
    assert told(gather(follow, closing(later, NOW + 700), now_s=NOW + 700)) == []
    assert not follow.is_due(NOW + HOUR)
    assert follow.n_held == 0


def test_other_streams_are_told_meanwhile(follow: FollowUp) -> None:
    gather(follow, opening())
    follow.hear(word("expected", opening().episode, until_s=NOW + HOUR))
    assert told(gather(follow, opening(FAN))) == [opening(FAN).episode]


def test_a_closing_follows_its_opening_even_if_it_is_silenced_meanwhile(follow: FollowUp) -> None:
    event = opening()
    gather(follow, event)
    follow.hear(word("silence", "plant/*", until_s=NOW + HOUR))
    assert told(gather(follow, closing(event, NOW + 60), now_s=NOW + 60)) == [event.episode]


@pytest.mark.parametrize("pattern", ["plant/pump/*", "plant/pump", "*", "plant/pum?/flow"])
def test_a_silence_holds_streams_and_devices_back(follow: FollowUp, pattern: str) -> None:
    said, _ = follow.hear(word("silence", pattern, until_s=NOW + HOUR))
    news = gather(follow, opening())
    assert [why for _, why in news.held] == ["silence"]
    _, news = follow.hear(word("undo", said.key))
    assert told(news) == [opening().episode]  # taken back: told at once


def test_what_was_judged_false_must_be_more_surprising_to_be_told(follow: FollowUp) -> None:
    gather(follow, opening(margin=1.0))
    _, news = follow.hear(word("false", opening().episode))
    assert news.states[0].judged == "false"
    assert follow.book.n_judged() == {"false": 1, "true": 0}
    like = opening(at_s=NOW + 600, margin=0.9)
    assert [why for _, why in gather(follow, like, now_s=NOW + 600).held] == ["judged_false"]
    rows = [(PUMP, NOW + 660, LEVEL + 1.5)]
    assert told(follow.gather(*batch(rows, []), NOW + 660)) == [like.episode]  # it has become worse


def test_the_hold_of_a_false_alarm_is_bounded_in_size_and_time(follow: FollowUp) -> None:
    gather(follow, opening(margin=9.0))
    follow.hear(word("false", opening().episode))
    worse = opening(at_s=NOW + 600, margin=MOST_RAISED + 0.1)
    assert told(gather(follow, worse, now_s=NOW + 600)) == [worse.episode]
    week = opening(at_s=NOW + 7 * DAY, margin=0.1)
    assert told(gather(follow, week, now_s=NOW + 7 * DAY)) == [week.episode]


@pytest.mark.parametrize("kind", ["true", "undo"])
def test_a_later_word_ends_the_hold_of_a_false_alarm(follow: FollowUp, kind: str) -> None:
    gather(follow, opening(margin=1.0))
    follow.hear(word("false", opening().episode))
    like = opening(at_s=NOW + 600, margin=0.5)
    gather(follow, like, now_s=NOW + 600)
    _, news = follow.hear(word(kind, opening().episode, at_s=NOW + 700))
    assert told(news) == [like.episode]
    assert follow.book.n_judged() == {"false": 0, "true": int(kind == "true")}


def test_a_word_about_an_incident_is_about_all_its_alerts(follow: FollowUp) -> None:
    events = [opening(f"plant/pump/s{i}") for i in range(3)]
    news = gather(follow, *events)
    _, news = follow.hear(word("false", news.alerts[0].incident))
    assert [state.judged for state in news.states] == ["false"] * 3
    assert follow.book.n_judged()["false"] == 3


def test_a_cooldown_holds_back_and_tells_what_is_still_open_then() -> None:
    follow = FollowUp(parse_settings("alerts: {cooldown_s: 600}", "test"))
    first, second = opening(), opening(at_s=NOW + 120)
    gather(follow, first)
    gather(follow, closing(first, NOW + 60), now_s=NOW + 60)
    assert [why for _, why in gather(follow, second, now_s=NOW + 120).held] == ["cooldown"]
    assert not follow.is_due(NOW + 599)
    assert told(follow.tick(NOW + 600)) == [second.episode]
    assert told(gather(follow, opening(FAN, NOW + 600), now_s=NOW + 600)) == [opening(FAN, NOW + 600).episode]


def test_an_id_that_nobody_or_two_have_is_refused(follow: FollowUp) -> None:
    with pytest.raises(WordError, match="no alert"):
        follow.hear(word("ack", "61b0f2c4"))
    events = [opening(at_s=NOW + i) for i in range(40)]
    gather(follow, *(each for event in events for each in (event, closing(event, event.at_s + 0.5))))
    shared = next(a.episode[:1] for a in events for b in events if a is not b and a.episode[0] == b.episode[0])
    with pytest.raises(WordError, match="begins so"):
        follow.hear(word("ack", shared))


def test_what_was_dumped_goes_on_as_if_it_had_never_stopped(follow: FollowUp) -> None:
    gather(follow, opening(), opening(FAN))
    follow.hear(word("expected", opening().episode, until_s=NOW + HOUR))
    follow.hear(word("false", opening(FAN).episode))
    follow.hear(word("silence", "plant/hall/*", until_s=NOW + DAY))
    gather(follow, opening(at_s=NOW + 60), opening("plant/hall/t", NOW + 61), now_s=NOW + 61)
    again = FollowUp(Settings())
    again.load(follow.dump())
    for each in (follow, again):
        each.hear(word("undo", opening(FAN).episode, at_s=NOW + 62))
    assert again.dump() == follow.dump()
    mine, theirs = follow.tick(NOW + HOUR), again.tick(NOW + HOUR)
    assert told(mine) == told(theirs) == [opening(at_s=NOW + 60).episode]
    assert again.dump() == follow.dump()


def test_the_book_is_bounded_and_forgets_no_judgement(follow: FollowUp) -> None:
    gather(follow, opening())
    follow.hear(word("false", opening().episode))
    gather(follow, closing(opening(), NOW + 1))
    for i in range(MAX_RECORDS):
        event = opening(f"hall/s{i}", NOW + 2)
        gather(follow, event)
    assert len(follow.book.records) == MAX_RECORDS
    assert opening().episode not in follow.book.records
    assert follow.book.n_judged()["false"] == 1


def test_a_maintenance_window_holds_back_until_it_ends_and_a_reload_ends_it_at_once() -> None:
    window = "{match: 'plant/pump/*', since: '2026-03-01T09:00:00Z', until: '2026-03-01T11:00:00Z'}"
    settings = parse_settings(f"alerts: {{silences: [{window}]}}", "test")
    follow, again = FollowUp(settings), FollowUp(settings)
    for each in (follow, again):
        news = gather(each, opening(), opening(FAN))
        assert [why for _, why in news.held] == ["maintenance"]
        assert told(news) == [opening(FAN).episode]
        assert not each.is_due(NOW + HOUR - 1)
    assert told(follow.tick(NOW + HOUR)) == [opening().episode]
    again.take_settings(Settings())
    assert again.is_due(NOW + 1)
    assert told(again.tick(NOW + 1)) == [opening().episode]
