"""Explains episodes in plain words: what was not as foretold, by how much, how rare that is, since when.

Comes in: an ``EpisodeEvent`` with its evidence, and the neighbours that were found. Goes out: one line, or paragraphs.
Pure and total: what is missing is left out. Refuses to know where the words are shown.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.alert_records import Neighbour
from pipeline.core.records import F64, EpisodeEvent, Event
from pipeline.detect.wording import about, duration, listed, moment, number

#: Readings that the views of scatter and of several measures look back over.
N_RECENT = 60
_ALSO = 0.75  # of the largest surprise, from which another view is worth a word
_MAX_ALSO = 2
_FINEST = 0.05  # of the interval: a reading just as foretold needs no more digits
_MAX_ODDS = 1e6  # no stream was watched long enough to say more


@dataclass(frozen=True, slots=True)
class Spans:
    """How many readings the views look at: the settings' horizons.

    Attributes:
        short: Readings that the short mean covers.
        long: Readings that the long mean and the activity cover.
    """

    short: int = 8
    long: int = 32

    def of(self, view: str) -> int:
        """Return how many readings a view looks back over; 1 for those that look at the newest alone."""
        spans = {"next_short": self.short, "next_long": self.long, "activity": self.long}
        return spans.get(view, N_RECENT if view in {"spread", "vote"} else 1)


#: What each view says, about ``n`` readings that span some time.
_SAYS = {
    "next_reading": "the reading was not as foretold",
    "next_short": "the mean of {span} was not as foretold",
    "next_long": "the mean of {span} was not as foretold",
    "activity": "{span} moved otherwise from one to the next than foretold",
    "residual": "the reading was further from its forecast than this stream's readings are",
    "spread": "{span} scattered otherwise than they usually do",
    "level": "the reading was far from the level that is usual for this stream",
    "vote": "the reading, its forecast and {span} were all unusual together",
}
#: The same in a few words, where there is no room for more.
SHORT_WORDS = {
    "next_reading": "reading not as foretold",
    "next_short": "short mean not as foretold",
    "next_long": "long mean not as foretold",
    "activity": "moves otherwise than foretold",
    "residual": "far from its forecast",
    "spread": "scatters otherwise",
    "level": "unusual level",
    "vote": "several at once",
}
#: Views of which the newest reading says little: its mean, moves or scatter with those before it does.
_OF_MANY = frozenset({"next_short", "next_long", "activity", "spread"})


def summary(event: EpisodeEvent, spans: Spans) -> str:
    """Explain an episode in one line, without the name of its stream.

    Args:
        event: The opening or the closing.
        spans: How many readings the views look at.

    Example:
        >>> event = EpisodeEvent(
        ...     Event.OPEN, "pump/flow", "0" * 16, 1e9, 1e9, 6.0, 1e9, 31.0, 20.5, 19.0, 22.0, 4.5, "next_reading"
        ... )
        >>> summary(event, Spans())
        'the reading was not as foretold: 31, 10.5 higher than foretold'
    """
    parts = [f"{view_words(event, spans)}: {_reading(event)}"]
    if math.isfinite(event.odds):
        parts.append(_odds(event))
    if event.event is Event.CLOSE:
        parts.append(_ending(event))
    return "; ".join(parts)


def explanation(event: EpisodeEvent, spans: Spans, neighbours: Sequence[Neighbour] = ()) -> str:
    """Explain an episode in full: paragraphs parted by empty lines.

    Args:
        event: The opening or the closing.
        spans: How many readings the views look at.
        neighbours: Streams that were surprising at the same time.
    """
    paragraphs = (
        _what(event, spans),
        _how_rare(event, spans),
        _when(event),
        _who_else(event, neighbours),
    )
    return "\n\n".join(" ".join(paragraph) for paragraph in map(list, paragraphs) if paragraph)


def view_words(event: EpisodeEvent, spans: Spans, view: str | None = None) -> str:
    """Say in plain words what a view saw; a view of an unknown name stands for itself."""
    view = event.view if view is None else view
    n = spans.of(view)
    step_s = event.evidence.step_s if event.evidence is not None else math.nan
    time = f" ({duration(n * step_s)})" if math.isfinite(step_s) and step_s > 0 else ""
    return _SAYS.get(view, view).format(span=f"the last {n} readings{time}")


def direction(event: EpisodeEvent) -> str:
    """Return ``higher`` or ``lower`` than foretold, or nothing when that cannot be said."""
    if not math.isfinite(event.residual) or event.residual == 0:
        return ""
    return "higher" if event.residual > 0 else "lower"


def _what(event: EpisodeEvent, spans: Spans) -> Iterator[str]:
    """Say what was seen, with its numbers."""
    yield f"{_capital(view_words(event, spans))}."
    yield from _compared(event, spans)
    which = "The last of them" if event.view in _OF_MANY else "It"
    resolution = _resolution(event)
    yield f"{which} was {number(event.value, resolution)}, at {moment(event.peak_s)} UTC."
    if not math.isfinite(event.forecast):
        yield "Nothing was foretold for it."
        return
    foretold = f"Foretold was {number(event.forecast, resolution)}"
    if math.isfinite(event.lower) and math.isfinite(event.upper):
        where = "inside" if event.lower <= event.value <= event.upper else "outside of"
        foretold += f", between {number(event.lower, resolution)} and {number(event.upper, resolution)}"
        yield f"{foretold}: the reading is {_away(event)}, {where} that interval."
    else:
        yield f"{foretold}: the reading is {_away(event)}."


def _compared(event: EpisodeEvent, spans: Spans) -> Iterator[str]:
    """Set the readings that the view looks at against those before them, where both are at hand."""
    n, values = spans.of(event.view), _values(event)
    is_shown = event.event is Event.OPEN and event.view in _OF_MANY and len(values) >= n
    if not is_shown or (np.diff(values) >= 0).all():  # what only rises, as a counter does, has no level to compare
        return
    if event.view == "activity":
        now, before = _moves(values[-n - 1 :]), _moves(values[: len(values) - n])
        words = "From one reading to the next they moved by {now} on average; the ones before them by {before}."
    elif event.view == "spread":
        now, before = _scatter(event, n)
        words = "The newer half scatters by {now} around its mean, the older half by {before}."
    else:
        now, before = float(values[-n:].mean()), _mean(values[: len(values) - n][-n:])
        words = "They average {now}; the ones before them {before}."
    if math.isfinite(now) and math.isfinite(before):
        resolution = 10 * abs(now - before) or now
        yield words.format(now=number(now, resolution), before=number(before, resolution))


def _how_rare(event: EpisodeEvent, spans: Spans) -> Iterator[str]:
    """Say how rare that is, how severe, and what else was surprising."""
    if math.isfinite(event.odds):
        step_s = event.evidence.step_s if event.evidence is not None else math.nan
        is_told = event.odds <= _MAX_ODDS and math.isfinite(step_s) and step_s > 0
        often = f" (once in {duration(event.odds * step_s)})" if is_told else ""
        yield f"{_capital(_odds(event))}{often}."
    yield f"Severity: {event.severity}."
    largest = event.views[0][1] if event.views else math.inf
    also = [view for view, decades in event.views if view != event.view and decades >= _ALSO * largest]
    for view in also[:_MAX_ALSO]:
        yield f"Also, {view_words(event, spans, view)}."


def _when(event: EpisodeEvent) -> Iterator[str]:
    """Say when it began, was noticed and ended."""
    noticed = f"It was noticed at {moment(event.opened_s)} UTC"
    late_s = event.opened_s - event.onset_s
    if not math.isfinite(late_s) or late_s < 0:
        yield f"{noticed}."
    elif late_s == 0:
        yield f"{noticed}, at the first reading that shows it."
    else:
        began = moment(event.onset_s, near_s=event.opened_s)
        yield f"{noticed}. It began about {began}, {duration(late_s)} before it was noticed."
    if event.event is Event.CLOSE:
        yield f"{_capital(_ending(event))}."


def _who_else(event: EpisodeEvent, neighbours: Sequence[Neighbour]) -> Iterator[str]:
    """Name the streams that were surprising at the same time."""
    own = [each.stream for each in neighbours if each.is_of_device and each.stream != event.stream]
    other = [each.stream for each in neighbours if not each.is_of_device]
    if own:
        yield f"Surprising at the same time on this device: {listed(own)}."
    if other:
        yield f"Surprising at the same time elsewhere: {listed(other)}."


def _reading(event: EpisodeEvent) -> str:
    """Return the reading at the peak, with what it is beside its forecast."""
    value = number(event.value, _resolution(event))
    if not math.isfinite(event.residual):
        return f"{value}, nothing was foretold"
    return f"{'the last of them ' if event.view in _OF_MANY else ''}{value}, {_away(event)}"


def _away(event: EpisodeEvent) -> str:
    """Say how far the reading is from its forecast, and on which side."""
    side = direction(event)
    return f"{number(abs(event.residual))} {side} than foretold" if side else "just as foretold"


def _odds(event: EpisodeEvent) -> str:
    """Say how rare the surprise is."""
    if event.odds > _MAX_ODDS:
        return f"fewer than one in {about(_MAX_ODDS)} readings is as surprising"
    return f"about one in {about(max(event.odds, 1.0))} readings is as surprising"


def _ending(event: EpisodeEvent) -> str:
    """Say when and why an episode ended."""
    lasted_s = event.at_s - event.opened_s
    when = f"it ended at {moment(event.at_s)} UTC" + (f", after {duration(lasted_s)}" if lasted_s > 0 else "")
    whys = {"quiet": "readings are as foretold again", "drift": "the change has lasted and is taken for normal now"}
    return f"{when}: {whys[event.reason]}" if event.reason in whys else when


def _resolution(event: EpisodeEvent) -> float:
    """Return the smallest difference that the numbers of an event must show, sensor's unit."""
    widths = [abs(each) for each in (event.residual, event.upper - event.lower) if math.isfinite(each) and each]
    return max(min(widths), _FINEST * max(widths)) if widths else math.nan


def _scatter(event: EpisodeEvent, n: int) -> tuple[float, float]:
    """Return the standard deviations of the newer and the older half of the last ``n`` readings."""
    values = _values(event)[-n:]
    half = len(values) // 2
    return float(values[half:].std()), float(values[:half].std())


def _values(event: EpisodeEvent) -> F64:
    """Return the readings at hand."""
    return event.evidence.value if event.evidence is not None else np.zeros(0)


def _moves(values: F64) -> float:
    """Return how far readings move from one to the next on average; NaN for fewer than two."""
    return _mean(np.abs(np.diff(values)))


def _mean(values: F64) -> float:
    return float(values.mean()) if len(values) else math.nan


def _capital(text: str) -> str:
    """Return a text with a capital at its beginning."""
    return text[:1].upper() + text[1:]
