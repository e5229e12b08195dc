"""What goes wrong in the simulated plant: the faults, when they strike and what they do to readings.

Comes in: healthy columns and a number of steps. Goes out: altered columns and the ground truth. A
fault changes its own stream, and those it names as affected, between its start and its end and
nowhere else. This module knows no message and no detector.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F64
from pipeline.sources.simulator_signals import generator

#: What a sensor shows instead: (healthy values up to the fault's end, length, random numbers) -> shown.
Change = Callable[[F64, int, np.random.Generator], F64]

#: Shortest run in which faults are planted, in steps: scores need some 400 readings of a stream first.
MIN_STEPS = 1200
#: No fault strikes before this step, nor in this first share of the run.
MIN_WARMUP_STEPS, WARMUP_SHARE = 640, 0.3
#: Steps kept free after the last fault, so that every fault has its time to be found.
TAIL_STEPS = 90


@dataclass(frozen=True, slots=True)
class Fault:
    """One planted fault: the ground truth of the demo.

    Attributes:
        name: Its own name.
        stream: Stream that it strikes.
        kind: What it is, in one word.
        start: First altered step.
        end: First step after it.
        story: What happened, for the person who watches.
        affected: Other streams that move because of it.
    """

    name: str
    stream: str
    kind: str
    start: int
    end: int
    story: str
    affected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Script:
    """A fault before it is given its time."""

    name: str
    stream: str
    kind: str
    length: int
    changes: Mapping[str, Change]
    story: str


def _shifted(by: float) -> Change:
    return lambda x, n, _: x[-n:] + by


def _ramped(by: float, over: float) -> Change:
    """Rise by ``by`` in the first ``over`` of the fault (0 to 1), then stay there."""
    return lambda x, n, _: x[-n:] + by * np.minimum(np.arange(1, n + 1) / (over * n), 1.0)


def _frozen(x: F64, n: int, _: np.random.Generator) -> F64:
    return np.full(n, x[-n - 1])


def _noisier(sd: float) -> Change:
    return lambda x, n, rng: x[-n:] + sd * rng.standard_normal(n)


def _held(level: float, sd: float) -> Change:
    return lambda _x, n, rng: level + sd * rng.standard_normal(n)


def _settled(level: float, sd: float, over: float) -> Change:
    """Leave the last healthy value for ``level``, reached after the share ``over`` of the fault."""

    def change(x: F64, n: int, rng: np.random.Generator) -> F64:
        path = np.minimum(np.arange(1, n + 1) / (over * n), 1.0)
        shown: F64 = x[-n - 1] + (level - x[-n - 1]) * path + sd * rng.standard_normal(n)
        return shown

    return change


def _converted(factor: float, offset: float) -> Change:
    return lambda x, n, _: factor * x[-n:] + offset


#: In the order in which they strike: slow ones first, so that short runs hold them whole.
SCRIPTS = (
    Script(
        "bearing_dry",
        "pump-1/bearing_temperature",
        "ramp",
        168,
        {"pump-1/bearing_temperature": _ramped(14, over=0.85)},
        "bearing runs dry: +14 degrees within 12 hours",
    ),
    Script(
        "water_lost",
        "boiler/pressure_bar",
        "step",
        96,
        {"boiler/pressure_bar": _shifted(-0.2)},
        "water lost at a valve: pressure 0.2 bar lower until refilled",
    ),
    Script(
        "tank_leak",
        "tank/temperature",
        "ramp",
        144,
        {"tank/temperature": _ramped(6, over=0.8)},
        "leaking heat exchanger warms the tank by 6 degrees in 10 hours",
    ),
    Script(
        "probe_frozen",
        "chiller/supply_temperature",
        "stuck",
        72,
        {"chiller/supply_temperature": _frozen},
        "probe frozen at its last value for 6 hours",
    ),
    Script(
        "air_leak",
        "compressor/motor_current",
        "lost_cycle",
        72,
        {
            "compressor/motor_current": _held(62, 0.8),
            "compressor/network_bar": _settled(6.7, 0.03, over=0.1),
            "compressor/oil_temperature": _settled(85, 0.3, over=0.3),
        },
        "air leak: the compressor never unloads",
    ),
    Script(
        "fan_loose",
        "chiller/condenser_bar",
        "noise_up",
        72,
        {"chiller/condenser_bar": _noisier(0.8)},
        "fan bearing loose: condenser pressure hunts",
    ),
    Script(
        "door_ajar",
        "cold-store/air_temperature",
        "step",
        60,
        {
            "cold-store/air_temperature": _settled(-14, 0.15, over=0.4),
            "cold-store/evaporator_temperature": _settled(-22, 0.2, over=0.4),
            "cold-store/compressor_kw": _held(3.45, 0.05),
        },
        "door ajar: 6 degrees too warm, compressor runs without rest",
    ),
    Script(
        "fahrenheit",
        "weather/outside_temperature",
        "unit",
        60,
        {"weather/outside_temperature": _converted(1.8, 32)},
        "firmware update sends Fahrenheit",
    ),
    Script(
        "cavitation",
        "pump-1/motor_current",
        "noise_up",
        72,
        {"pump-1/motor_current": _noisier(1.2)},
        "cavitation: motor current unsteady",
    ),
    Script(
        "frequency_stuck",
        "meter/frequency_hz",
        "stuck",
        60,
        {"meter/frequency_hz": _frozen},
        "meter repeats one frequency for 5 hours",
    ),
    Script(
        "register_stuck",
        "meter/energy_kwh",
        "stuck",
        36,
        {"meter/energy_kwh": _frozen},
        "register stands still for 3 hours, then catches up",
    ),
    Script(
        "loose_wire",
        "boiler/return_temperature",
        "dropout",
        12,
        {"boiler/return_temperature": _held(0, 0)},
        "loose wire: reads zero for an hour",
    ),
    Script(
        "level_lost",
        "tank/level_percent",
        "dropout",
        6,
        {"tank/level_percent": _held(0, 0)},
        "level transmitter loses power for half an hour",
    ),
    Script(
        "surge",
        "meter/voltage",
        "spike",
        2,
        {"meter/voltage": _shifted(14)},
        "surge of 14 V for 10 minutes",
    ),
)


def schedule(n: int) -> tuple[tuple[Script, Fault], ...]:
    """Give each fault its time: evenly apart between warm-up and tail.

    Args:
        n: Steps of the run; below ``MIN_STEPS`` nothing is planted.

    Example:
        >>> [(fault.kind, fault.start, fault.end) for _, fault in schedule(3600)][:2]
        [('ramp', 1080, 1248), ('step', 1266, 1362)]
        >>> schedule(600)
        ()
    """
    if n < MIN_STEPS:
        return ()
    first = max(MIN_WARMUP_STEPS, round(WARMUP_SHARE * n))
    starts = np.linspace(first, n - TAIL_STEPS, len(SCRIPTS)).astype(int).tolist()
    return tuple((script, _placed(script, start)) for script, start in zip(SCRIPTS, starts, strict=True))


def _placed(script: Script, start: int) -> Fault:
    affected = tuple(stream for stream in script.changes if stream != script.stream)
    return Fault(script.name, script.stream, script.kind, start, start + script.length, script.story, affected)


def chosen(n: int, wanted: Sequence[tuple[str, int]]) -> tuple[tuple[Script, Fault], ...]:
    """Give named faults the times that somebody chose.

    Args:
        n: Steps of the run.
        wanted: Name and first step of each.

    Returns:
        The faults by time.

    Raises:
        ValueError: No fault has this name, it does not fit into the run, or two alter one stream at a time.

    Example:
        >>> [(fault.stream, fault.start, fault.end) for _, fault in chosen(500, [("surge", 400)])]
        [('meter/voltage', 400, 402)]
    """
    scripts = {script.name: script for script in SCRIPTS}
    planned: list[tuple[Script, Fault]] = []
    for name, start in sorted(wanted, key=lambda pair: pair[1]):
        if name not in scripts:
            raise ValueError(f"{name!r} is no fault; faults are: {', '.join(scripts)}")
        script = scripts[name]
        if not 0 < start <= n - script.length:
            raise ValueError(f"{name} lasts {script.length} steps and does not fit; choose another time, or more days")
        for other, before in planned:
            if other.changes.keys() & script.changes.keys() and before.end > start:
                raise ValueError(f"{name} begins while {other.name} alters the same stream; choose another time")
        planned.append((script, _placed(script, start)))
    return tuple(planned)


def plant_faults(
    healthy: Mapping[str, F64], seed: int, wanted: Sequence[tuple[str, int]] | None = None
) -> tuple[dict[str, F64], tuple[Fault, ...]]:
    """Alter the healthy columns as the schedule for their length says, or as somebody chose.

    Args:
        healthy: Values by stream, each shape (T,).
        seed: Seed of the noise that faults add.
        wanted: Name and first step of each fault; None for the schedule.

    Raises:
        ValueError: See ``chosen``.

    Returns:
        Altered values by stream, the unaltered ones shared with ``healthy``, and the ground truth.
    """
    shown = dict(healthy)
    n = len(next(iter(healthy.values())))
    planned = schedule(n) if wanted is None else chosen(n, wanted)
    for script, fault in planned:
        for stream, change in script.changes.items():
            values = shown[stream].copy()
            rng = generator(seed, f"{fault.kind} of {stream}")
            values[fault.start : fault.end] = change(values[: fault.end], script.length, rng)
            shown[stream] = values
    return shown, tuple(fault for _, fault in planned)
