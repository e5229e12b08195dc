"""A session: one shard of streams with its networks, driven by whoever has readings and a clock.

Comes in: named readings. Goes out: one step per reading, and on request a view of the fleet. The
daemon, replay, the demo and the benchmark all drive this class; it refuses to know where readings
come from or where steps go.
"""

from dataclasses import dataclass

from pipeline.core.records import F64, I64, U16, Bool, Readings, Steps
from pipeline.core.settings import Settings


@dataclass(frozen=True, slots=True)
class FleetView:
    """The last step of every stream, as columns: what metrics, page and live table show.

    Attributes:
        names: Stream names, shape (S,) like every other column.
        n_readings: Readings accepted so far.
        time: Event time of the last accepted reading, Unix seconds.
        value: Last accepted reading, sensor's unit.
        forecast: Forecast that was made for that reading; NaN when there was none.
        lower: Lower end of its interval.
        upper: Upper end of its interval.
        score: Its score; NaN while warming up.
        level: Alert level in force.
        is_open: An episode is open.
        skill_ratio: Recent absolute error of the LSTM over that of persistence; NaN until known.
        health: Bits of ``Health`` of the last reading, accepted or not.
    """

    names: tuple[str, ...]
    n_readings: I64
    time: F64
    value: F64
    forecast: F64
    lower: F64
    upper: F64
    score: F64
    level: F64
    is_open: Bool
    skill_ratio: F64
    health: U16


class Session:
    """One shard of streams: admits names, runs the engine, fine-tunes what is due.

    Attributes:
        settings: The settings it was made with.
        counts: Readings so far by outcome name (``Outcome``, lower case).
        fine_tunes: Fine-tunes so far by outcome: ``accepted``, ``rejected``.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.counts: dict[str, int] = {}
        self.fine_tunes: dict[str, int] = {}

    def process(self, readings: Readings, now: float) -> Steps:
        """Score readings, then learn from them in O(1).

        Args:
            readings: Named readings, any order, any number.
            now: Current time, Unix seconds; later event times than ``now + future_s`` are rejected.

        Returns:
            One row per reading, in the order given.
        """
        raise NotImplementedError

    def fine_tune(self, max_groups: int | None = None) -> int:
        """Fine-tune the networks that are due, oldest debt first.

        Args:
            max_groups: Networks at most; None for all that are due.

        Returns:
            Number of networks fine-tuned.
        """
        raise NotImplementedError

    def view(self) -> FleetView:
        """Return the last step of every stream, copied."""
        raise NotImplementedError
