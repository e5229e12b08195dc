"""An alert drawn in a terminal: readings in dots over the forecast band, the beginning and the noticing marked.

Comes in: evidence. Goes out: text with styles, the same picture with and without colours. A cell is two dots wide and
four dots high (braille). Refuses to know what an alert is.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from pipeline.core.evidence import GAP, Evidence
from pipeline.core.records import F64
from pipeline.detect.wording import moment, number

HEIGHT = 14
MIN_WIDTH, MAX_WIDTH = 24, 110
_BRAILLE = 0x2800
#: Bit of each dot of a braille character: four rows of two.
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.uint8)
_BAND, _BAND_STYLE, _READING_STYLE, _OUTSIDE_STYLE, _MARK_STYLE = "░", "blue", "bold", "bold red", "red"


@dataclass(frozen=True, slots=True)
class _Canvas:
    """Dots and cells; row 0 is the top.

    Attributes:
        bits: Braille dots set, shape (H, W).
        is_band: The cell lies in the forecast band, shape (H, W).
        is_outside: A reading in the cell lies outside of its band, shape (H, W).
    """

    bits: NDArray[np.uint8]
    is_band: NDArray[np.bool_]
    is_outside: NDArray[np.bool_]

    def row(self, i: int) -> Text:
        """Return one row of cells."""
        text = Text()
        for bits, is_band, is_outside in zip(self.bits[i], self.is_band[i], self.is_outside[i], strict=True):
            if bits:
                text.append(chr(_BRAILLE + int(bits)), _OUTSIDE_STYLE if is_outside else _READING_STYLE)
            elif is_band:
                text.append(_BAND, _BAND_STYLE)
            else:
                text.append(" ")
        return text


def picture(evidence: Evidence, *, onset_s: float, opened_s: float, width: int) -> list[Text]:
    """Draw readings and what was foretold of them.

    Args:
        evidence: At least one reading.
        onset_s: When the change began, Unix seconds; NaN for unknown.
        opened_s: When it was noticed, Unix seconds.
        width: Characters per line.

    Returns:
        Lines, the axis and a legend included.
    """
    low, high = _limits(evidence)
    labels = [number(each, (high - low) / 10) for each in (high, (low + high) / 2, low)]
    margin = max(map(len, labels)) + 1
    n_columns = max(MIN_WIDTH, min(MAX_WIDTH, width) - margin - 1)
    column = _columns(evidence.time, n_columns)
    canvas = _drawn(evidence, column, n_columns, low, high)
    label_of = dict(zip((0, HEIGHT // 2, HEIGHT - 1), labels, strict=True))
    lines = [Text(f"{label_of.get(i, ''):>{margin - 1}} │", "dim") + canvas.row(i) for i in range(HEIGHT)]
    return [*lines, *_axis(evidence, margin, n_columns), *_marks(evidence, margin, n_columns, onset_s, opened_s)]


def _limits(evidence: Evidence) -> tuple[float, float]:
    """Return the value axis: all readings, and as much of the band as leaves them three fifths of it."""
    low, high = float(evidence.value.min()), float(evidence.value.max())
    room = (high - low) / 3 or max(abs(high) * 0.05, 1e-9)
    lowest = float(np.nanmin(evidence.lower, initial=low))
    highest = float(np.nanmax(evidence.upper, initial=high))
    low, high = max(lowest, low - room), min(highest, high + room)
    return (low, high) if high > low else (low - room, high + room)


def _columns(time: F64, n_columns: int) -> NDArray[np.int64]:
    """Return the dot column of each event time."""
    span_s = float(time[-1] - time[0])
    share = (time - time[0]) / span_s if span_s > 0 else np.full(len(time), 0.5)
    column: NDArray[np.int64] = np.rint(share * (2 * n_columns - 1)).astype(np.int64)
    return column


def _drawn(evidence: Evidence, column: NDArray[np.int64], n_columns: int, low: float, high: float) -> _Canvas:
    """Draw band and readings."""
    shape = (HEIGHT, n_columns)
    canvas = _Canvas(np.zeros(shape, np.uint8), np.zeros(shape, np.bool_), np.zeros(shape, np.bool_))
    _draw_band(canvas, evidence.parted(), low, high)
    row = np.clip(np.rint((high - evidence.value) / (high - low) * (4 * HEIGHT - 1)), 0, 4 * HEIGHT - 1)
    dots = list(zip(column.tolist(), row.astype(np.int64).tolist(), strict=True))
    limit_s = GAP * evidence.step_s
    for i, (x, y) in enumerate(dots):
        is_joined = i > 0 and evidence.time[i] - evidence.time[i - 1] <= limit_s
        before = dots[i - 1] if is_joined else (x, y)
        n = max(abs(x - before[0]), abs(y - before[1]), 1)
        xs = np.rint(np.linspace(before[0], x, n + 1)).astype(np.int64)
        ys = np.rint(np.linspace(before[1], y, n + 1)).astype(np.int64)
        np.bitwise_or.at(canvas.bits, (ys // 4, xs // 2), _BITS[ys % 4, xs % 2])
        canvas.is_outside[y // 4, x // 2] |= not evidence.lower[i] <= evidence.value[i] <= evidence.upper[i] and bool(
            np.isfinite(evidence.lower[i])
        )
    return canvas


def _draw_band(canvas: _Canvas, evidence: Evidence, low: float, high: float) -> None:
    """Fill the cells between the ends of the forecast interval; none where it is not known."""
    n_columns = canvas.bits.shape[1]
    place = _columns(evidence.time, n_columns) / 2
    lower, upper = (np.interp(np.arange(n_columns), place, ends) for ends in (evidence.lower, evidence.upper))
    edges = np.linspace(high, low, HEIGHT + 1)
    centre = ((edges[:-1] + edges[1:]) / 2)[:, None]
    half = (high - low) / HEIGHT / 2
    with np.errstate(invalid="ignore"):
        canvas.is_band[:] = (centre + half > lower) & (centre - half < upper)


def _axis(evidence: Evidence, margin: int, n_columns: int) -> list[Text]:
    """Return the axis of time, with its ends."""
    first, last = (moment(float(each)) for each in (evidence.time[0], evidence.time[-1]))
    pad = " " * margin
    gap = n_columns - len(first) - len(last)
    ends = f"{first}{' ' * gap}{last}" if gap > 0 else first
    return [Text(f"{pad}└{'─' * n_columns}", "dim"), Text(f"{pad} {ends}", "dim")]


def _marks(evidence: Evidence, margin: int, n_columns: int, onset_s: float, opened_s: float) -> list[Text]:
    """Return a line with arrows where the change began and was noticed, and the legend."""
    time = evidence.time
    marks = []
    for at_s, word in ((onset_s, "began"), (opened_s, "noticed")):
        if math.isfinite(at_s) and time[0] <= at_s <= time[-1]:
            dot = int(_columns(np.array([time[0], at_s, time[-1]]), n_columns)[1])
            marks.append((dot // 2, word, at_s))
    if len({column for column, _, _ in marks}) < len(marks):  # one arrow for both
        marks = [(marks[0][0], "began and noticed", opened_s)]
    lines = [_mark(margin, column, f"{word} {moment(at_s)}", n_columns) for column, word, at_s in marks]
    legend = Text(f"{' ' * margin} ")
    legend.append("⠒⠒", _READING_STYLE)
    legend.append(" reading   ")
    legend.append(_BAND * 2, _BAND_STYLE)
    legend.append(" foretold   ")
    legend.append("⠒⠒", _OUTSIDE_STYLE)
    legend.append(" outside of what was foretold, in colour")
    return [*lines, legend]


def _mark(margin: int, column: int, words: str, n_columns: int) -> Text:
    """Return an arrow under a column, its words on the side where there is room."""
    pad = " " * (margin + 1)
    is_left = column + 2 + len(words) > n_columns and column > len(words)
    text = f"{' ' * (column - len(words) - 1)}{words} ▲" if is_left else f"{' ' * column}▲ {words}"
    return Text(pad + text, _MARK_STYLE)
