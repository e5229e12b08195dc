"""The clean streams of the battery: thirteen kinds of sensor with known truth, seeded and independent.

Comes in: a kind, a seed, a cadence and a length. Goes out: series that know what they are made of, so that a
fault can be put into the true value before the instrument shows it. No kind is rare by accident: whatever a
clean stream does, it does again and again in thirty days. Refuses to know faults and detectors.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.core.records import F64, Bool
from pipeline.sources.simulator_signals import duty, quantised, wandering

#: Event time of the first reading: Monday 2026-03-02, 00:00 UTC.
START_S = 1_772_409_600.0
#: Seconds between readings and length of a stream, unless asked otherwise: 8,640 readings.
STEP_S, DAYS = 300.0, 30.0
_DAY_S, _WEEK_S = 86_400.0, 7 * 86_400.0
_HEARTBEAT = 12  # steps after which a report-on-change sensor reports anyway


@dataclass(frozen=True, slots=True)
class Series:
    """One stream: the true values, and the instrument that shows them.

    Attributes:
        kind: Kind of stream.
        time: Event times, Unix seconds, float64, shape (T,).
        truth: What is measured, sensor's unit, shape (T,); of a counter, what passed since the previous reading.
        cycle: Part of ``truth`` that repeats, sensor's unit, zeros where nothing does, shape (T,).
        sd: Standard deviation of ``truth`` about its cycle and level; where there is no level to return to, that of
            one change; of a constant, the instrument's resolution. Spikes, steps and ramps are measured by it.
        noise: Standard deviation of what changes from one reading to the next for no reason. Noise is measured by it.
        resolution: What the instrument rounds to, sensor's unit; 0 for no rounding.
        deadband: Change that a report-on-change instrument reports; 0 for one that reports always.
        register: Where a counter started; NaN for what is no counter.
        missing: Readings that never arrive, shape (T,).
    """

    kind: str
    time: F64
    truth: F64
    cycle: F64
    sd: float
    noise: float
    resolution: float
    deadband: float
    register: float
    missing: Bool

    def readings(self) -> tuple[F64, F64]:
        """Return event times and values as the instrument sends them, shape (N,) each, N <= T."""
        shown = self.truth if np.isnan(self.register) else self.register + np.cumsum(np.maximum(self.truth, 0.0))
        if self.resolution:
            shown = quantised(shown, self.resolution)
        sent = ~self.missing
        if self.deadband:
            sent &= _reported(shown, self.deadband)
        return self.time[sent], shown[sent]


def _reported(shown: F64, deadband: float) -> Bool:
    """Return what a report-on-change instrument sends: the first, what moved enough, and a heartbeat."""
    sent = np.zeros(len(shown), np.bool_)
    last, silent = float("inf"), 0
    for k, value in enumerate(shown.tolist()):
        silent += 1
        if abs(value - last) >= deadband or silent >= _HEARTBEAT:
            sent[k], last, silent = True, value, 0
    return sent


def clean(kind: str, n_streams: int, seed: int, step_s: float = STEP_S, days: float = DAYS) -> list[Series]:
    """Return clean streams of a kind.

    Args:
        kind: One of ``KINDS``.
        n_streams: How many; asking for more never changes the first ones.
        seed: Another seed, other streams.
        step_s: Seconds between two readings, of irregular ones in the mean.
        days: Simulated length.

    Returns:
        One series per stream, ``days * 86400 / step_s`` steps each.

    Raises:
        UsageError: No such kind.

    Example:
        >>> [len(series.readings()[0]) for series in clean("white", 2, seed=1)]
        [8640, 8640]
    """
    if kind not in KINDS:
        raise UsageError("--kinds", f"there is no kind {kind}", f"kinds are: {', '.join(KINDS)}")
    time = START_S + step_s * np.arange(round(days * _DAY_S / step_s), dtype=np.float64)
    return [KINDS[kind](np.random.default_rng([seed, crc32(kind.encode()), i]), time) for i in range(n_streams)]


def _series(kind: str, time: F64, truth: F64, sd: float, noise: float) -> Series:
    """Return a series without cycle that an ideal instrument shows."""
    return Series(kind, time, truth, np.zeros(len(time)), sd, noise, 0.0, 0.0, np.nan, np.zeros(len(time), np.bool_))


def _constant(rng: np.random.Generator, time: F64) -> Series:
    """A set point or a disused channel: one value for ever, shown to a resolution of 0.1."""
    level = np.round(rng.uniform(10, 90), 1)
    series = _series("constant", time, np.full(len(time), level), 0.1, 0.1)
    return replace(series, resolution=0.1)


def _quantised(rng: np.random.Generator, time: F64) -> Series:
    """A coarse thermometer: slow wandering (AR(1), 0.9) shown in steps of half a degree, some six values in all."""
    sd = rng.uniform(0.6, 1.0)
    truth = rng.uniform(15, 60) + wandering(rng, len(time), 0.9, sd)
    return replace(_series("quantised", time, truth, sd, sd * np.sqrt(1 - 0.9**2)), resolution=0.5)


def _white(rng: np.random.Generator, time: F64) -> Series:
    """Mains voltage: Gaussian noise about a level."""
    sd = rng.uniform(0.5, 2.0)
    return _series("white", time, rng.uniform(220, 240) + sd * rng.standard_normal(len(time)), sd, sd)


def _ar1(rng: np.random.Generator, time: F64) -> Series:
    """A controlled pressure: AR(1), neighbours correlated by 0.8 to 0.95."""
    sd, memory = rng.uniform(0.05, 0.2), rng.uniform(0.8, 0.95)
    truth = rng.uniform(3, 8) + wandering(rng, len(time), memory, sd)
    return _series("ar1", time, truth, sd, sd * np.sqrt(1 - memory**2))


def _heavy_tailed(rng: np.random.Generator, time: F64) -> Series:
    """A latency-like measurement about a level: Student t with 3 or 4 degrees of freedom, now and then far out."""
    scale, freedom = rng.uniform(0.5, 2.0), int(rng.integers(3, 5))
    sd = scale * np.sqrt(freedom / (freedom - 2))
    return _series("heavy_tailed", time, rng.uniform(60, 120) + scale * rng.standard_t(freedom, len(time)), sd, sd)


def _wave(rng: np.random.Generator, time: F64) -> F64:
    """A day's shape, mean 0 and standard deviation 1: a wave and a weaker second one, each of any phase."""
    angle = time * (2 * np.pi / _DAY_S)
    shape = np.cos(angle - rng.uniform(0, 2 * np.pi)) + 0.4 * np.cos(2 * angle - rng.uniform(0, 2 * np.pi))
    return np.asarray(shape / np.sqrt((1 + 0.4**2) / 2), np.float64)


def _cyclic(kind: str, rng: np.random.Generator, time: F64, cycle: F64, sd: float) -> Series:
    """Put a cycle on a level, and a little weather (AR(1), 0.7) on the cycle."""
    truth = rng.uniform(15, 30) + cycle + wandering(rng, len(time), 0.7, sd)
    return replace(_series(kind, time, truth, sd, sd * np.sqrt(1 - 0.7**2)), cycle=cycle)


def _daily(rng: np.random.Generator, time: F64) -> Series:
    """Room temperature: a daily cycle whose standard deviation is four to eight times that of the rest."""
    sd = rng.uniform(0.3, 0.6)
    return _cyclic("daily", rng, time, rng.uniform(4, 8) * sd * _wave(rng, time), sd)


def _daily_weekly(rng: np.random.Generator, time: F64) -> Series:
    """An office's load: the same by day, and at weekends, after a transition of six hours, half of it and lower."""
    sd = rng.uniform(0.3, 0.6)
    days = (time - START_S) % _WEEK_S / _DAY_S
    weekend = np.clip(np.minimum((days - 5) * 4, (7 - days) * 4), 0.0, 1.0)
    wave = rng.uniform(4, 8) * sd * (_wave(rng, time) + 0.5)
    return _cyclic("daily_weekly", rng, time, wave * (1 - 0.5 * weekend), sd)


def _duty_cycle(rng: np.random.Generator, time: F64) -> Series:
    """A compressor's current: runs of some 12 readings and rests of some 24, each a tenth longer or shorter."""
    noise, high = rng.uniform(0.2, 0.4), rng.uniform(6, 12)
    on, off = rng.uniform(9, 15), rng.uniform(18, 30)
    cycle = high * duty(rng, len(time), on, off, 0.1 * (on + off) / 2)
    share = on / (on + off)
    truth = rng.uniform(2, 4) + cycle + noise * rng.standard_normal(len(time))
    sd = float(np.hypot(high * np.sqrt(share * (1 - share)), noise))  # when it switches is not known: no fixed cycle
    return replace(_series("duty_cycle", time, truth, sd, noise), cycle=cycle)


def _counter(rng: np.random.Generator, time: F64) -> Series:
    """An energy meter: a register that rises by a noisy amount each reading, shown to a hundredth."""
    rate = rng.uniform(0.5, 2.0)
    sd = rng.uniform(0.1, 0.2) * rate  # never so far down that the register would have to fall
    series = _series("counter", time, rate + sd * rng.standard_normal(len(time)), sd, sd)
    return replace(series, register=float(rng.uniform(1e3, 1e5)), resolution=0.01)


def _random_walk(rng: np.random.Generator, time: F64) -> Series:
    """A tank level or an exchange rate: each change independent, no level to return to."""
    sd = rng.uniform(0.2, 0.5)
    return _series("random_walk", time, 1000 + np.cumsum(sd * rng.standard_normal(len(time))), sd, sd)


def _bursty(rng: np.random.Generator, time: F64) -> Series:
    """Network traffic: noise, and once in some 20 readings a burst of varying height that decays over a few."""
    noise = rng.uniform(0.5, 1.0)
    begins = rng.random(len(time)) < 1 / rng.uniform(15, 25)
    burst = np.where(begins, noise * rng.gamma(16.0, 0.5, len(time)), 0.0)  # 8 times the noise, give or take 2
    decay = rng.uniform(0.5, 0.7)
    level = np.convolve(burst, decay ** np.arange(32))[: len(time)]
    truth = rng.uniform(20, 40) + level + noise * rng.standard_normal(len(time))
    return _series("bursty", time, truth, float(np.std(truth)), noise)


def _report_on_change(rng: np.random.Generator, time: F64) -> Series:
    """A radio thermometer: AR(1), 0.97, sent when it moved by a fifth of its deviation, or after twelve steps."""
    sd = rng.uniform(0.5, 1.5)
    truth = rng.uniform(15, 30) + wandering(rng, len(time), 0.97, sd)
    series = _series("report_on_change", time, truth, sd, sd * np.sqrt(1 - 0.97**2))
    return replace(series, resolution=0.01, deadband=round(0.2 * sd, 2))


def _irregular(rng: np.random.Generator, time: F64) -> Series:
    """A sensor polled when there is time: intervals a fifth fixed, the rest exponential; an hour's memory."""
    step_s = time[1] - time[0]
    intervals = step_s * (0.2 + 0.8 * rng.standard_exponential(len(time)))
    sd, memory_s = rng.uniform(0.5, 1.5), 10 * step_s
    shares, shocks = np.exp(-intervals / memory_s), sd * rng.standard_normal(len(time))
    truth, level = np.empty(len(time)), 0.0
    for k, (share, shock) in enumerate(zip(shares.tolist(), shocks.tolist(), strict=True)):
        level = share * level + np.sqrt(1 - share**2) * shock if k else shock  # exact Ornstein-Uhlenbeck
        truth[k] = level
    times = time[0] + np.cumsum(intervals) - intervals[0]
    return _series("irregular", times, rng.uniform(40, 60) + truth, sd, sd * np.sqrt(1 - np.exp(-2 * 0.1)))


#: Makes one stream of each kind.
KINDS: dict[str, Callable[[np.random.Generator, F64], Series]] = {
    "constant": _constant,
    "quantised": _quantised,
    "white": _white,
    "ar1": _ar1,
    "heavy_tailed": _heavy_tailed,
    "daily": _daily,
    "daily_weekly": _daily_weekly,
    "duty_cycle": _duty_cycle,
    "counter": _counter,
    "random_walk": _random_walk,
    "bursty": _bursty,
    "report_on_change": _report_on_change,
    "irregular": _irregular,
}
