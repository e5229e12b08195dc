"""The sounds a plant makes: noises, cycles and instruments, as columns over steps.

Comes in: a number of steps or a column of true values. Goes out: a float64 column of the same length.
Every function is causal and draws its random numbers in the order of the steps, so that asking for
more steps never changes earlier ones. This module knows no device and no fault.
"""

from zlib import crc32

import numpy as np

from pipeline.core.records import F64, Bool

#: Simulated seconds between two steps.
STEP_S = 300
#: Steps of one simulated day.
DAY_STEPS = 86_400 // STEP_S


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the random numbers that belong to one signal: others never change them."""
    return np.random.default_rng([seed, crc32(name.encode())])


def daily(n: int, peak_hour: float) -> F64:
    """Return a cosine of one day's period between -1 and 1, for steps counted from midnight.

    Example:
        >>> daily(2 * DAY_STEPS, peak_hour=15.0)[[36, 180]].round(6).tolist()
        [-1.0, 1.0]
    """
    hours = np.arange(n) * (STEP_S / 3600)
    cycle: F64 = np.cos((hours - peak_hour) * (2 * np.pi / 24))
    return cycle


def gaussian(rng: np.random.Generator, n: int, sd: float) -> F64:
    """Return white noise of standard deviation ``sd``."""
    return sd * rng.standard_normal(n)


def heavy_tailed(rng: np.random.Generator, n: int, scale: float) -> F64:
    """Return Student-t noise with five degrees of freedom: now and then a reading is far out."""
    return scale * rng.standard_t(5, n)


def wandering(rng: np.random.Generator, n: int, memory: float, sd: float) -> F64:
    """Return AR(1) noise.

    Args:
        rng: Random numbers of this signal.
        n: Steps.
        memory: Correlation of neighbouring steps, in [0, 1).
        sd: Standard deviation of the values, not of the innovations.
    """
    shocks = gaussian(rng, n, sd)
    innovation = np.sqrt(1 - memory**2)
    out = np.empty(n)
    level = 0.0
    for k, shock in enumerate(shocks.tolist()):
        level = memory * level + innovation * shock if k else shock
        out[k] = level
    return out


def smoothed(x: F64, share: float) -> F64:
    """Return ``x`` through a first-order lag that moves ``share`` of the way at each step.

    Example:
        >>> smoothed(np.array([0.0, 1.0, 1.0]), 0.5).tolist()
        [0.0, 0.5, 0.75]
    """
    out = np.empty(len(x))
    level = float(x[0]) if len(x) else 0.0
    for k, target in enumerate(x.tolist()):
        level += share * (target - level)
        out[k] = level
    return out


def duty(rng: np.random.Generator, n: int, on: float, off: float, jitter: float) -> F64:
    """Return a machine that runs and rests in turn: 1 while it runs, else 0.

    Args:
        rng: Random numbers of this signal.
        n: Steps.
        on: Mean steps of a run.
        off: Mean steps of a rest.
        jitter: Standard deviation of both, in steps; no phase is shorter than one step.
    """
    phases = np.where(np.arange(n) % 2 == 0, on, off) + jitter * rng.standard_normal(n)
    ends = np.cumsum(np.maximum(phases, 1.0))
    phase = np.searchsorted(ends, np.arange(n), side="right")
    return np.asarray(phase % 2 == 0, np.float64)


def thermostat(rise: F64, fall: F64, low: float, high: float) -> tuple[F64, F64]:
    """Return level and switch of something driven between two limits.

    Args:
        rise: Rise per step while switched on, shape (T,).
        fall: Fall per step while switched off, shape (T,).
        low: Level that switches on.
        high: Level that switches off.

    Returns:
        Level and switch (1 on, 0 off), each shape (T,).
    """
    level, switch = np.empty(len(rise)), np.empty(len(rise))
    now, is_on = (low + high) / 2, True
    for k, (up, down) in enumerate(zip(rise.tolist(), fall.tolist(), strict=True)):
        now += up if is_on else -down
        is_on = now < high if is_on else now <= low
        level[k], switch[k] = now, is_on
    return level, switch


def counter(start: float, rate: F64) -> F64:
    """Return a meter's register: ``start`` plus all that passed; negative rates count nothing."""
    return start + np.cumsum(np.maximum(rate, 0.0))


def quantised(x: F64, resolution: float) -> F64:
    """Return ``x`` as an instrument of that resolution shows it.

    Example:
        >>> quantised(np.array([1.26, 1.24]), 0.5).tolist()
        [1.5, 1.0]
    """
    return np.round(x / resolution) * resolution


def on_change(x: F64, deadband: float) -> Bool:
    """Return which values a report-on-change sensor sends: the first, then each that moved enough.

    Example:
        >>> on_change(np.array([1.0, 1.1, 1.6, 1.6]), 0.5).tolist()
        [True, False, True, False]
    """
    sent = np.zeros(len(x), np.bool_)
    last = float("inf")
    for k, value in enumerate(x.tolist()):
        if abs(value - last) >= deadband:
            sent[k], last = True, value
    return sent
