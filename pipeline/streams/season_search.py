"""Telling a season from noise: a line in the spectrum that repeats in the autocorrelation.

Comes in: the newest readings of some streams. Goes out: the length of the season of each, in usual
intervals, and how strongly it repeats. It keeps nothing between calls.

A season must stand out twice: its strongest harmonic against the spectrum of red noise (AR(1), and
the neighbouring frequencies; Torrence & Compo 1998, Mann & Lees 1996), and its length in the
autocorrelation, after one season and after two, with a dip between.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F64, I64, Bool
from pipeline.streams.spectrum import strongest_line

_CHUNK = 128  # streams at once: their spectra stay small
_SHORTEST = 4  # usual intervals to a season
_N_PERIODS = 3  # seasons within the stretch, at least
_N_MULTIPLES = 48  # of the strongest harmonic's period, tried as the season
_CLIP = 4.0  # mean absolute deviations: one glitch makes no pattern
_LINE = 5.0  # power over noise, at least: the line was no accident; the three below do the telling
_AGREES = 0.4  # autocorrelation at one season, at least
_AGAIN = 0.7  # share of it at two seasons, at least
_DIP = 0.4  # autocorrelation lost and won again within a season, at least
_STRETCH = np.linspace(-0.08, 0.08, 33)  # relative lengths tried around a first estimate
_N_COMB = 8  # multiples of a length that are compared
_REPEATED_WITHIN = 0.75  # of the stretch: beyond it too few pairs are left
_N_ERRORS = 3.5  # standard errors that a longer season must be better by
_COLOUR = 1.5  # standard errors of coloured noise over those of white noise
_FILLED = 0.6  # share of the stretch's usual intervals with a reading, at least
_NOTHING = 1e-6  # energy of nothing but rounding, in mean absolute deviations squared


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found in D streams.

    Attributes:
        step_s: Median interval, seconds, NaN under two readings, shape (D,).
        lag: Length of the season in those intervals, 0 for none, shape (D,).
        strength: Autocorrelation at the season, 0 for none, shape (D,).
        likeness: Autocorrelation by lag, up to a third of the stretch, shape (D, K).
        longest: Longest lag with enough periods behind it, shape (D,).
    """

    step_s: F64
    lag: F64
    strength: F64
    likeness: F64
    longest: F64


def find(time: F64, value: F64, is_valid: Bool) -> Found:
    """Look for the season of each stream.

    Args:
        time: Event times, Unix seconds, oldest first, right-aligned, shape (D, L).
        value: Readings, sensor's unit, shape (D, L).
        is_valid: False where a stream has no such reading, shape (D, L).

    Example:
        >>> t = np.arange(256.0)[None] * 60
        >>> found = find(t, np.sin(2 * np.pi * t / 60 / 37.4), np.ones((1, 256), bool))
        >>> found.lag.round(1).tolist()
        [37.4]
    """
    parts = [
        _find(time[rows], value[rows], is_valid[rows])
        for rows in np.split(np.arange(len(time)), range(_CHUNK, len(time), _CHUNK))
    ]
    return Found(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("step_s", "lag", "strength", "likeness", "longest")
        )
    )


def strength_at(found: Found, lag: F64) -> F64:
    """Return the autocorrelation near given lags, shape (D,); inf where the stretch is too short to tell."""
    likeness = _peak_at(found.likeness, lag[:, None])[:, 0]
    return np.where(lag <= found.longest, likeness, np.inf)


def _find(time: F64, value: F64, is_valid: Bool) -> Found:
    step_s = _median_interval(time, is_valid)
    x, has = _to_grid(time, value, is_valid, step_s)
    span = x.shape[1] - has.argmax(axis=1)
    likeness = _autocorrelation(x, has)
    longest = np.floor(span / _N_PERIODS)
    frequency, line = strongest_line(x, has, span, likeness[:, 1], _N_PERIODS)
    lag, strength, is_repeated = _season_of(likeness, frequency, longest, has.sum(axis=1))
    lag = _refined(likeness, lag, span)
    is_season = is_repeated & (line >= _LINE) & (has.sum(axis=1) >= _FILLED * span) & (x != 0).any(axis=1)
    kept = likeness[:, : x.shape[1] // _N_PERIODS + 2]
    return Found(step_s, np.where(is_season, lag, 0.0), np.where(is_season, strength, 0.0), kept, longest)


def _median_interval(time: F64, is_valid: Bool) -> F64:
    """Return the median interval of each row, the lower of two, NaN without any."""
    is_known = is_valid[:, 1:] & is_valid[:, :-1]
    interval = np.where(is_known, np.diff(np.where(is_valid, time, 0.0), axis=1), np.inf)
    return _lower_median(interval, is_known.sum(axis=1))


def _lower_median(values: F64, n: I64) -> F64:
    """Return the median of the ``n`` finite values of each row, the others being inf; NaN for n = 0."""
    ordered = np.sort(values, axis=1)
    middle = np.take_along_axis(ordered, (np.maximum(n - 1, 0) // 2)[:, None], axis=1)[:, 0]
    return np.where(n > 0, middle, np.nan)


def _to_grid(time: F64, value: F64, is_valid: Bool, step_s: F64) -> tuple[F64, Bool]:
    """Bring readings onto a grid of usual intervals that ends with the newest, without trend and glitches.

    Returns:
        Values in mean absolute deviations, 0 where there is none, and where there is one, shape (D, L).
    """
    n_rows, length = time.shape
    steps_ago = (time[:, -1:] - time) / np.where(step_s > 0, step_s, np.inf)[:, None]
    is_inside = is_valid & (steps_ago < length - 0.5)
    cell = length - 1 - np.floor(np.where(is_inside, steps_ago, 0.0) + 0.5).astype(np.int64)
    flat = (cell + np.arange(n_rows)[:, None] * length)[is_inside]
    count = np.bincount(flat, minlength=n_rows * length).reshape(n_rows, length)
    has = count > 0
    n = np.maximum(is_inside.sum(axis=1), 1)
    middle = _lower_median(np.where(is_inside, value, np.inf), n)
    middle = np.where(np.isfinite(middle), middle, 0.0)
    deviation = np.where(is_inside, value - middle[:, None], 0.0)
    size = np.abs(deviation).sum(axis=1) / n
    scaled = np.clip(deviation / np.where(size > 0, size, np.inf)[:, None], -_CLIP, _CLIP)
    total = np.bincount(flat, scaled[is_inside], n_rows * length).reshape(n_rows, length)
    return _detrended(total / np.maximum(count, 1), has), has


def _detrended(x: F64, has: Bool) -> F64:
    """Take the straight line of least squares out of each row, where it has values."""
    n = np.maximum(has.sum(axis=1, keepdims=True), 1)
    t = np.where(has, np.arange(x.shape[1], dtype=np.float64), 0.0)
    t = np.where(has, t - t.sum(axis=1, keepdims=True) / n, 0.0)
    x = np.where(has, x - x.sum(axis=1, keepdims=True) / n, 0.0)
    slope = (t * x).sum(axis=1, keepdims=True) / np.maximum((t * t).sum(axis=1, keepdims=True), 1.0)
    rest: F64 = x - slope * t
    return rest


def _autocorrelation(x: F64, has: Bool) -> F64:
    """Return each row's correlation with itself by lag, over the pairs that both exist, shape (D, L)."""
    length = x.shape[1]
    values = np.fft.rfft(x, 2 * length)
    squares = np.fft.rfft(x * x, 2 * length)
    mask = np.fft.rfft(has.astype(np.float64), 2 * length)
    product = np.fft.irfft(values * values.conj())[:, :length]
    later = np.fft.irfft(squares * mask.conj())[:, :length]
    earlier = np.fft.irfft(squares.conj() * mask)[:, :length]
    energy = np.sqrt(np.maximum(later, 0) * np.maximum(earlier, 0))
    likeness: F64 = product / np.maximum(energy, _NOTHING)
    return likeness


def _season_of(likeness: F64, frequency: F64, longest: F64, n: I64) -> tuple[F64, F64, Bool]:
    """Choose the season among the multiples of a line's period.

    The shortest multiple counts that is as good as the best, so that neither twice the season nor,
    where the whole repeats better than its parts, a harmonic is taken.

    Returns:
        Length in intervals, autocorrelation there, and whether that repeats as a season does.
    """
    period = 1 / np.maximum(frequency, 1e-9)
    lags = period[:, None] * np.arange(1, _N_MULTIPLES + 1)
    is_candidate = (lags >= _SHORTEST) & (lags <= longest[:, None] + 0.5)
    height = np.where(is_candidate, _peak_at(likeness, lags), -1.0)
    best = height.max(axis=1, keepdims=True)
    n_pairs = np.maximum(n[:, None] - lags, 1.0)
    error = _COLOUR * np.sqrt(np.maximum(1 - best**2, 0.0) / n_pairs)
    chosen = (is_candidate & (height >= best - _N_ERRORS * error)).argmax(axis=1)
    rows = np.arange(len(lags))
    lag, strength = lags[rows, chosen], height[rows, chosen]
    again = _peak_at(likeness, 2 * lag[:, None])[:, 0]
    inside = np.arange(likeness.shape[1]) < lag[:, None]
    lowest = np.where(inside, likeness, 1.0).min(axis=1)
    is_repeated = is_candidate.any(axis=1) & (strength >= _AGREES)
    return lag, strength, is_repeated & (again >= _AGAIN * strength) & (strength - lowest >= _DIP)


def _refined(likeness: F64, lag: F64, span: I64) -> F64:
    """Return the length near ``lag`` at whose multiples the readings are most alike, shape (D,).

    The multiples are weighted with their pairs; the last of them tells a fraction of an interval.
    """
    trial = lag[:, None] * (1 + _STRETCH)
    merit = np.zeros(trial.shape)
    for multiple in range(1, _N_COMB + 1):
        at = multiple * trial
        weight = np.maximum(_REPEATED_WITHIN - multiple * lag / span, 0.0)
        floor = np.clip(np.floor(at), 0, likeness.shape[1] - 2).astype(np.int64)
        left, right = (np.take_along_axis(likeness, floor + side, axis=1) for side in (0, 1))
        merit += weight[:, None] * (left + np.clip(at - floor, 0, 1) * (right - left))
    best = np.clip(merit.argmax(axis=1), 1, trial.shape[1] - 2)
    rows = np.arange(len(lag))
    before, middle, after = (merit[rows, best + side] for side in (-1, 0, 1))
    bend = before - 2 * middle + after
    offset = np.clip(0.5 * (before - after) / np.where(bend < 0, bend, -np.inf), -0.5, 0.5)
    refined: F64 = trial[rows, best] + offset * lag * (_STRETCH[1] - _STRETCH[0])
    return refined


def _peak_at(likeness: F64, lag: F64) -> F64:
    """Return the highest autocorrelation within an interval of each lag, shape (D, M)."""
    middle = np.clip(np.floor(lag + 0.5), 1, likeness.shape[1] - 2).astype(np.int64)
    near = [np.take_along_axis(likeness, middle + side, axis=1) for side in (-1, 0, 1)]
    found: F64 = np.maximum(np.maximum(near[0], near[1]), near[2])
    return found
