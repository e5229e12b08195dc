"""The faults of the battery: what goes wrong in a stream from a known reading on, in several sizes.

Comes in: a series, a fault, a size and a place. Goes out: the series with the fault in its true values, so that the
instrument shows it as it shows everything, and when it began and ended. Says too which fault nobody could see on
which kind, and why. Refuses to know detectors.

Sizes: spikes, steps and ramps in ``Series.sd``, the deviation of the stream about its cycle and level, not that of
the whole stream: a step of 4 sd may be half a daily cycle's height. Noise is a factor on ``Series.noise``, what
changes from one reading to the next. Of a counter, faults are of what it counts: a step is a higher rate.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.core.records import F64, Health
from pipeline.evaluate.battery_signals import Series

#: Readings within which a fault should be found: one that is plain at once, and one that takes its time.
SOON, LATER = 60, 500
#: Readings over which a ramp rises; then it stays.
RAMP = 200
_N_RECENT = 12  # readings whose mean a damped stream stays about
_FAHRENHEIT = 1.8


@dataclass(frozen=True, slots=True)
class Planted:
    """A series with a fault in it.

    Attributes:
        series: The same up to the fault.
        start_s: Event time of the first reading that is changed or missing, Unix seconds.
        end_s: Event time of the last one.
    """

    series: Series
    start_s: float
    end_s: float


#: (series, first changed step, size, random numbers) -> series.
Change = Callable[[Series, int, float, np.random.Generator], Series]


@dataclass(frozen=True, slots=True)
class Fault:
    """One sort of fault.

    Attributes:
        change: Puts it into a series.
        sizes: Sizes that the battery plants.
        unit: What a size counts, with its place: ``{} sd``.
        within: Readings within which it should be found.
        required: Size that must be found where the fault is visible at all; None where none is promised.
        verdicts: Health verdicts, by name, that name this fault.
        n_readings: Readings that it lasts at most; 0 for to the end of the series.
    """

    change: Change
    sizes: tuple[float, ...]
    unit: str
    within: int
    required: float | None = None
    verdicts: frozenset[str] = frozenset()
    n_readings: int = 0

    def label(self, size: float) -> str:
        """Return a size with its unit.

        Example:
            >>> FAULTS["noise_up"].label(3.0)
            'x3'
        """
        return self.unit.format(f"{size:g}")

    def n_silent(self, size: float) -> int:
        """Return how many readings of it never arrive: only those after them can tell."""
        return round(size) if self.change is _dropout else 0

    @property
    def health(self) -> Health:
        """Bits of the verdicts that name it."""
        return Health(sum(bit for bit in Health if bit.text() in self.verdicts))


def apply(fault: str, size: float, series: Series, at: int, seed: int = 0) -> Planted:
    """Plant a fault.

    Args:
        fault: One of ``FAULTS``.
        size: In the fault's unit.
        series: A clean series; it is not changed.
        at: First step that is changed, at least 1.
        seed: Of the fault's own noise and of its direction.

    Returns:
        The changed series, and when the fault is in it.

    Raises:
        UsageError: No such fault.

    Example:
        >>> from pipeline.evaluate.battery_signals import clean
        >>> white = clean("white", 1, seed=1)[0]
        >>> planted = apply("step", 4.0, white, at=100)
        >>> round(float(np.abs(planted.series.truth - white.truth)[99:101] @ [0, 1] / white.sd), 6)
        4.0
    """
    if fault not in FAULTS:
        raise UsageError("--faults", f"there is no fault {fault}", f"faults are: {', '.join(FAULTS)}")
    changed = FAULTS[fault].change(series, at, size, np.random.default_rng([seed, at]))
    n = FAULTS[fault].n_silent(size) or FAULTS[fault].n_readings
    last = min(at + n, len(series.time)) - 1 if n else -1
    return Planted(changed, float(series.time[at]), float(series.time[last]))


def is_possible(kind: str, fault: str) -> bool:
    """Say whether a fault means anything on a kind of stream.

    Example:
        >>> is_possible("constant", "stuck"), is_possible("white", "lost_cycle"), is_possible("white", "step")
        (False, False, True)
    """
    needs_cycle = fault in {"lost_cycle", "phase_shift"}
    return (kind, fault) not in _NO_FAULT and (kind in _CYCLIC or not needs_cycle)


def invisible(kind: str, fault: str) -> str:
    """Say why nobody could see a fault of the required size on a kind of stream; empty where it can be seen.

    Example:
        >>> invisible("constant", "stuck")
        'stands still anyway'
        >>> invisible("white", "lost_cycle"), invisible("white", "step")
        ('has no cycle', '')
    """
    reason = _NO_FAULT.get((kind, fault)) or _HIDDEN.get((kind, fault), "")
    return reason or ("" if is_possible(kind, fault) else "has no cycle")


def _sign(series: Series, rng: np.random.Generator) -> float:
    """Return a direction; what a counter counts can only rise."""
    return 1.0 if not np.isnan(series.register) else float(rng.choice((-1.0, 1.0)))


def _from(series: Series, at: int, tail: F64) -> Series:
    """Return the series with other true values from a step on."""
    return replace(series, truth=np.concatenate((series.truth[:at], tail)))


def _spike(series: Series, at: int, size: float, rng: np.random.Generator) -> Series:
    """One reading is off."""
    tail = series.truth[at:].copy()
    tail[0] += _sign(series, rng) * size * series.sd
    return _from(series, at, tail)


def _step(series: Series, at: int, size: float, rng: np.random.Generator) -> Series:
    """The level is another from now on."""
    return _from(series, at, series.truth[at:] + _sign(series, rng) * size * series.sd)


def _ramp(series: Series, at: int, size: float, rng: np.random.Generator) -> Series:
    """The level goes away slowly, then stays."""
    rise = np.minimum(np.arange(1, len(series.time) - at + 1) / RAMP, 1.0)
    return _from(series, at, series.truth[at:] + _sign(series, rng) * size * series.sd * rise)


def _stuck(series: Series, at: int, _size: float, _rng: np.random.Generator) -> Series:
    """The sensor repeats its last value; a register stands still."""
    value = series.truth[at - 1] if np.isnan(series.register) else 0.0
    return _from(series, at, np.full(len(series.time) - at, value))


def _noise_up(series: Series, at: int, size: float, rng: np.random.Generator) -> Series:
    """White noise is added, so that readings vary ``size`` times as much for no reason."""
    extra = series.noise * np.sqrt(size**2 - 1) * rng.standard_normal(len(series.time) - at)
    return _from(series, at, series.truth[at:] + extra)


def _noise_down(series: Series, at: int, size: float, _rng: np.random.Generator) -> Series:
    """All that is no cycle moves only ``size`` times as much as it would, about where it was."""
    rest = series.truth - series.cycle
    about = rest[at - 1] if series.kind == "random_walk" else rest[max(0, at - _N_RECENT) : at].mean()
    return _from(series, at, series.cycle[at:] + about + size * (rest[at:] - about))


def _lost_cycle(series: Series, at: int, size: float, _rng: np.random.Generator) -> Series:
    """The cycle stands where it is, by the share ``size``; the rest goes on."""
    return _from(series, at, series.truth[at:] - size * (series.cycle[at:] - series.cycle[at - 1]))


def _phase_shift(series: Series, at: int, size: float, _rng: np.random.Generator) -> Series:
    """The cycle runs ``size`` hours late."""
    late = np.interp(series.time[at:] - 3600 * size, series.time, series.cycle)
    return _from(series, at, series.truth[at:] - series.cycle[at:] + late)


def _dropout(series: Series, at: int, size: float, _rng: np.random.Generator) -> Series:
    """``size`` readings never arrive."""
    missing = series.missing.copy()
    missing[at : at + round(size)] = True
    return replace(series, missing=missing)


def _unit(series: Series, at: int, size: float, _rng: np.random.Generator) -> Series:
    """The sensor sends another unit: ``size`` times the value, and for 1.8 degrees Fahrenheit, 32 more."""
    tail = size * series.truth[at:] + (32.0 if size == _FAHRENHEIT and np.isnan(series.register) else 0.0)
    if not np.isnan(series.register):
        tail[0] += (size - 1) * (
            series.register + np.maximum(series.truth[:at], 0.0).sum()
        )  # the register itself is converted
    return _from(series, at, tail)


#: The faults, in the order of tables.
FAULTS: Mapping[str, Fault] = {
    "spike": Fault(_spike, (4.0, 8.0, 16.0), "{} sd", SOON, 8.0, n_readings=1),
    "step": Fault(_step, (2.0, 4.0, 8.0), "{} sd", SOON, 4.0),
    "ramp": Fault(_ramp, (3.0, 6.0, 12.0), f"{{}} sd over {RAMP}", LATER, 6.0),
    "stuck": Fault(_stuck, (1.0,), "for good", LATER, 1.0, frozenset({"stuck", "too_quiet"})),
    "noise_up": Fault(_noise_up, (2.0, 3.0, 5.0), "x{}", SOON, 3.0, frozenset({"noisy"})),
    "noise_down": Fault(_noise_down, (0.3, 0.1), "x{}", LATER, None, frozenset({"stuck", "too_quiet"})),
    "lost_cycle": Fault(_lost_cycle, (0.5, 1.0), "{} of it", LATER, 1.0, frozenset({"too_quiet"})),
    "phase_shift": Fault(_phase_shift, (3.0, 6.0), "{} h late", LATER),
    "dropout": Fault(_dropout, (10.0, 30.0, 100.0), "{} readings", LATER, None, frozenset({"gap"})),
    "unit": Fault(_unit, (1.8, 1000.0), "x{}", SOON, None, frozenset({"out_of_range", "resolution"})),
}

#: Faults that are no faults on some kinds: they are not planted.
_CYCLIC = ("daily", "daily_weekly", "duty_cycle")
_NO_FAULT: Mapping[tuple[str, str], str] = {
    ("constant", "stuck"): "stands still anyway",
    ("constant", "noise_down"): "has no noise",
    ("duty_cycle", "phase_shift"): "has no fixed phase",
}
#: Faults of the required size that nobody could tell from the stream's own ways who may err once in thirty days.
_HIDDEN: Mapping[tuple[str, str], str] = {
    ("heavy_tailed", "spike"): "goes so far by itself, some five times in thirty days",
    ("random_walk", "step"): "each reading is a step; one of 4 sd comes by itself every other month",
    ("random_walk", "ramp"): "strays further by itself: some 14 sd in 200 readings",
}
