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

_CHUNK = 128  # streams at once: their spectra stay small
_SHORTEST = 4  # usual intervals to a season
_N_PERIODS = 3  # seasons within the stretch, at least
_N_MULTIPLES = 16  # of the strongest harmonic's period, tried as the season
_CLIP = 4.0  # mean absolute deviations: one glitch makes no pattern
_REACH = 8  # independent frequencies each way that tell the level of the noise
_SELF = 2  # of them, nearest, left out: the line's own width
_LINE = 15.0  # power over noise from which a line is evidence
_AGREES = 0.3  # autocorrelation at one season, at least
_AGAIN = 0.5  # share of it at two seasons
_DIP = 0.25  # autocorrelation lost and won again within a season
_N_ERRORS = 3.5  # standard errors that a longer season must be better by
_COLOUR = 1.5  # standard errors of coloured noise over those of white noise
_FILLED = 0.6  # share of the stretch's usual intervals with a reading, at least
_NOTHING = 1e-6  # energy of nothing but rounding, in mean absolute deviations squared
_EULER = 0.5772156649015329  # mean of the logarithm of exponential noise is minus this


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
    frequency, line = _strongest_line(x, has, span, likeness[:, 1])
    lag, strength, is_repeated = _season_of(likeness, frequency, longest, has.sum(axis=1))
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


def _strongest_line(x: F64, has: Bool, span: I64, neighbour: F64) -> tuple[F64, F64]:
    """Find the spectral line that stands out most.

    Args:
        x: Values, shape (D, L).
        has: Where there are any.
        span: Grid points from the first to the last of them, shape (D,).
        neighbour: Autocorrelation at lag 1, shape (D,).

    Returns:
        Its frequency, cycles per interval, and its power over that of the noise there, shape (D,).
    """
    length = x.shape[1]
    since = np.arange(length) - (length - span[:, None])
    window = np.where(since >= 0, 0.5 - 0.5 * np.cos(2 * np.pi * (since + 0.5) / span[:, None]), 0.0)
    weight = np.where(has, window, 0.0)
    centred = weight * (x - (weight * x).sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True))
    spectrum = np.fft.rfft(centred, 2 * length)
    power = spectrum.real**2 + spectrum.imag**2
    n_lines = power.shape[1]
    phi = np.clip(neighbour, 0.0, 0.999)[:, None]
    red = (1 - phi**2) / (1 - 2 * phi * np.cos(np.pi * np.arange(n_lines) / length) + phi**2)
    red *= power.mean(axis=1, keepdims=True) / red.mean(axis=1, keepdims=True)
    noise = np.maximum(red, _level_around(power, 2 * length // span))
    ratio = power / np.maximum(noise, 1e-12)
    ratio[np.arange(n_lines) < 2 * length * _N_PERIODS / span[:, None] - 0.5] = 0.0
    at = ratio[:, :-1].argmax(axis=1)
    rows = np.arange(len(x))
    return (at + _vertex(power, at)) / (2 * length), ratio[rows, at]


def _level_around(power: F64, width: I64) -> F64:
    """Return the power of the noise around each frequency: the geometric mean of its neighbours, unbiased.

    ``width`` is the distance of independent frequencies, in lines, shape (D,).
    """
    n = power.shape[1]
    sums = np.zeros((len(power), n + 1))
    np.cumsum(np.log(np.maximum(power, 1e-12)), axis=1, out=sums[:, 1:])
    at = np.arange(n)
    total, count = np.zeros(power.shape), np.zeros(power.shape)
    for sign, reach in ((1, _REACH), (-1, _SELF)):  # wide minus the line's own
        first = np.clip(at - reach * width[:, None], 0, n)
        last = np.clip(at + reach * width[:, None] + 1, 0, n)
        total += sign * (np.take_along_axis(sums, last, axis=1) - np.take_along_axis(sums, first, axis=1))
        count += sign * (last - first)
    level: F64 = np.exp(total / count + _EULER)
    return level


def _vertex(power: F64, at: I64) -> F64:
    """Return the offset (-0.5 to 0.5) of the vertex of the parabola through the logarithms around ``at``."""
    rows = np.arange(len(power))
    left, middle, right = (
        np.log(np.maximum(power[rows, np.clip(at + side, 0, power.shape[1] - 1)], 1e-12)) for side in (-1, 0, 1)
    )
    bend = left - 2 * middle + right
    offset: F64 = np.clip(0.5 * (left - right) / np.where(bend < 0, bend, -np.inf), -0.5, 0.5)
    return offset


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


def _peak_at(likeness: F64, lag: F64) -> F64:
    """Return the highest autocorrelation within an interval of each lag, shape (D, M)."""
    middle = np.clip(np.floor(lag + 0.5), 1, likeness.shape[1] - 2).astype(np.int64)
    near = [np.take_along_axis(likeness, middle + side, axis=1) for side in (-1, 0, 1)]
    found: F64 = np.maximum(np.maximum(near[0], near[1]), near[2])
    return found
