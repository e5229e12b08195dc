"""The line of a spectrum that stands out most against coloured noise.

Comes in: values on a grid, with holes. Goes out: a frequency, and its power over that of the noise.
It knows nothing of seasons.
"""

import numpy as np

from pipeline.core.records import F64, I64, Bool

_REACH = 8  # independent frequencies each way that tell the level of the noise
_SELF = 2  # of them, nearest, left out: the line's own width
_EULER = 0.5772156649015329  # mean of the logarithm of exponential noise is minus this


def strongest_line(x: F64, has: Bool, span: I64, neighbour: F64, n_periods: int) -> tuple[F64, F64]:
    """Find the spectral line that stands out most.

    Args:
        x: Values, shape (D, L).
        has: Where there are any.
        span: Grid points from the first to the last of them, shape (D,).
        neighbour: Autocorrelation at lag 1, shape (D,).
        n_periods: Periods that must lie within the span.

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
    ratio[np.arange(n_lines) < 2 * length * n_periods / span[:, None] - 0.5] = 0.0
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
    level: F64 = np.exp(total / np.maximum(count, 1) + _EULER)
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
