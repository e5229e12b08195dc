"""A session: one shard of streams with its networks, driven by whoever has readings and a clock.

Comes in: named readings. Goes out: one step per reading, and on request a view of the fleet. The
daemon, replay, the demo and the benchmark all drive this class; it refuses to know where readings
come from or where steps go.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.priors import Prior
from pipeline.core.records import F64, I32, I64, U16, Batch, Bool, Detail, Health, Outcome, Readings, Steps, episode_id
from pipeline.core.settings import Settings
from pipeline.detect.episodes import severity
from pipeline.flow.engine import update
from pipeline.flow.learning import Taught, apply, fine_tune_groups
from pipeline.flow.lessons import Lesson
from pipeline.flow.priors import tell_priors
from pipeline.flow.schedule import debts, note_due, ripe_groups
from pipeline.flow.sharing import admit, merge_kinds, networks
from pipeline.flow.state import Model, State, new_model
from pipeline.forecast.baselines import N_FORECASTERS, Forecaster
from pipeline.forecast.gate import Outcome as FineTune

_OUTCOMES = [outcome.name.lower() for outcome in Outcome]
_MOST_LAG = 10  # fine-tunes behind at which the training budget counts as spent


@dataclass(frozen=True, slots=True)
class OpenEpisode:
    """An episode that is open now.

    Attributes:
        stream: Stream name.
        episode: Stable id.
        kind: The view that was most surprising at its peak.
        severity: As far as it has gone.
        opened_s: Event time of the opening, Unix seconds.
        peak_score: Largest score so far.
        level: Alert level at the opening.
    """

    stream: str
    episode: str
    kind: str
    severity: str
    opened_s: float
    peak_score: float
    level: float


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
        skill_ratio: Recent absolute error of each forecaster over that of persistence, NaN until known, shape (S, F).
        shown: ``Forecaster`` whose forecast of the next reading is shown.
        forecasters: Their names, in that order.
        health: Bits of ``Health`` of the last reading, accepted or not.
        episodes: Those that are open, in the order of streams; not a column.
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
    shown: I64
    health: U16
    forecasters: tuple[str, ...] = tuple(forecaster.name.lower() for forecaster in Forecaster)
    episodes: tuple[OpenEpisode, ...] = ()


class Session:
    """One shard of streams: admits names, runs the engine, fine-tunes what is due.

    Attributes:
        settings: The settings it was made with.
        model: Settings and weights.
        state: The shard.
        counts: Readings so far by outcome name (``Outcome``, lower case).
        fine_tunes: Fine-tunes so far by outcome (``gate.Outcome``, lower case), how many were ``rolled_back``, and
            how many came ``late``: after the reading at which they were to be taken over.
        n_drifts: Drifts so far.
        n_promised: False alarms that the budget has allowed so far, of all streams.
        on_learnt: Told of each lesson that was applied, after it was.
        on_admission: Told whether new streams are taken from now on.
        on_merged: Told that kinds were merged until so many networks were left.
        on_told: Told what publishers said of streams that was not known yet.
        told: What publishers said of streams: units, and limits that are in force where the settings give none.

    Example:
        >>> session = Session(Settings())
        >>> one = Readings(["t"], np.zeros(1, np.int32), np.ones(1), np.ones(1), np.zeros(1, np.uint8))
        >>> session.process(one, now=1.0).outcome.tolist(), session.counts["accepted"]
        ([0], 1)
    """

    def __init__(self, settings: Settings, *, has_detail: bool = False) -> None:
        self.settings = settings
        self._has_detail = has_detail
        self.model = new_model(settings)
        self.state = State.empty(settings)
        self.counts = dict.fromkeys(_OUTCOMES, 0)
        self.fine_tunes = dict.fromkeys([*(outcome.name.lower() for outcome in FineTune), "rolled_back", "late"], 0)
        self.n_drifts = 0
        self.n_promised = 0.0
        self.on_learnt: Callable[[Lesson, Taught], None] = lambda _lesson, _taught: None
        self.on_admission: Callable[[bool], None] = lambda _is_open: None
        self.on_merged: Callable[[int], None] = lambda _n_most: None
        self.on_told: Callable[[Mapping[str, Prior]], None] = lambda _news: None
        self.told: dict[str, Prior] = {}

    def process(self, readings: Readings, now: float) -> Steps:
        """Score readings, then learn from them in O(1).

        Args:
            readings: Named readings, any order, any number.
            now: Current time, Unix seconds; later event times than ``now + future_s`` are rejected.

        Returns:
            One row per reading, in the order given.
        """
        slot_of = admit(self.model, self.state, readings.names)
        slots = slot_of[readings.stream].astype(np.int32) if len(readings) else np.zeros(0, np.int32)
        batch = Batch(slots, np.arange(len(readings)), readings.time, readings.value, readings.flags)
        detail = Detail.blank(len(readings), N_FORECASTERS) if self._has_detail else None
        self.state, steps = update(self.model, self.state, batch, now, detail)
        note_due(self.model, self.state)
        self.n_drifts += int(np.count_nonzero(steps.health & Health.DRIFT))
        self._promise(slots[steps.outcome == Outcome.ACCEPTED])
        for outcome, n in zip(_OUTCOMES, np.bincount(steps.outcome, minlength=len(_OUTCOMES)).tolist(), strict=True):
            self.counts[outcome] += n
        return steps

    def tell(self, priors: Mapping[str, Prior]) -> None:
        """Tell streams what their publishers say of them; those that are not watched are passed over."""
        table = self.state.table
        news = {name: prior for name, prior in priors.items() if name in table and self.told.get(name) != prior}
        if not news:
            return
        self.told |= news
        if len(self.told) > len(table):  # streams that were evicted
            for name in [each for each in self.told if each not in table]:
                del self.told[name]
        tell_priors(self.settings.health, self.state, news)
        self.on_told(news)

    def _promise(self, slots: I32) -> None:
        """Count what the budget allows for readings of these streams, of those that may alert."""
        detection = self.settings.detection
        at = slots[self.state.windows.n[slots] > detection.n_settled]
        watched_s = float(np.nan_to_num(self.state.cadence.step_s[at]).sum())
        self.n_promised += watched_s / detection.seconds_per_false_alarm

    def take_settings(self, settings: Settings) -> None:
        """Go on with other settings of decisions; state and networks stay as they are.

        Args:
            settings: What ``reload.merged`` returned: only what may change live differs.
        """
        self.settings = settings
        self.model.settings = settings

    def admit_streams(self, *, is_open: bool) -> None:
        """Take new streams up to ``streams.max_streams``, or none."""
        table = self.state.table
        table.max_streams = self.settings.streams.max_streams if is_open else len(table)
        self.on_admission(is_open)

    def fine_tune(self, max_groups: int | None = None) -> int:
        """Fine-tune the networks that are to be taken over now, largest debt first.

        Args:
            max_groups: Networks at most; None for all of them.

        Returns:
            Number of networks fine-tuned.
        """
        self.relieve()
        groups = ripe_groups(self.model, self.state)[:max_groups]
        self._count_late(groups)
        for lesson, taught in fine_tune_groups(self.model, self.state, groups):
            self._note(lesson, taught)
        return len(groups)

    def learn(self, lesson: Lesson, taught: Taught) -> None:
        """Put what became of a lesson in force, and count it."""
        self._count_late(lesson.groups)
        apply(self.model, self.state, lesson, taught)
        self._note(lesson, taught)

    def relieve(self) -> int:
        """With ``sharing: auto``, let kinds share where memory or training falls short; return networks saved."""
        forecast = self.settings.forecast
        if forecast.sharing != "auto":
            return 0
        n = self.n_networks()
        n_most = min(forecast.max_networks, n // 2 if self.training_lag() > _MOST_LAG else n)
        return self.merge(n_most) if n > n_most else 0

    def merge(self, n_most: int) -> int:
        """Merge kinds until no more than ``n_most`` networks are left; return networks saved."""
        n_saved = merge_kinds(self.model, self.state, n_most)
        self.on_merged(n_most)
        return n_saved

    def tallies(self) -> dict[str, object]:
        """Return what is counted beside the state, as plain values."""
        return {
            "counts": dict(self.counts),
            "fine_tunes": dict(self.fine_tunes),
            "n_drifts": self.n_drifts,
            "n_promised": self.n_promised,
            "max_streams": self.state.table.max_streams,
            "told": {name: list(prior) for name, prior in self.told.items()},
        }

    def restore(self, model: Model, state: State, tallies: Mapping[str, Any]) -> None:
        """Go on from a snapshot and the ``tallies`` kept with it."""
        self.model, self.state = model, state
        state.table.max_streams = int(tallies["max_streams"])
        self.counts.update(tallies["counts"])
        self.fine_tunes.update(tallies["fine_tunes"])
        self.n_drifts, self.n_promised = int(tallies["n_drifts"]), float(tallies["n_promised"])
        self.told |= {name: Prior(*prior) for name, prior in tallies.get("told", {}).items()}
        tell_priors(self.settings.health, state, self.told)

    def _count_late(self, groups: I64) -> None:
        """Count the networks that could have been taken over readings ago; a replay takes them over in time."""
        live, due = self.state.table.live, self.state.due
        is_late = (due.n[live] > 0) & (self.state.windows.n[live] > due.ripe[live])
        late = np.intersect1d(self.state.ledger.group[live[is_late]], groups)
        self.fine_tunes["late"] += len(late)

    def _note(self, lesson: Lesson, taught: Taught) -> None:
        """Count what became of fine-tunes, and say so."""
        for outcome in FineTune:
            self.fine_tunes[outcome.name.lower()] += int(np.count_nonzero(taught.outcome == outcome))
        self.fine_tunes["rolled_back"] += int(taught.is_rolled_back.sum())
        self.on_learnt(lesson, taught)

    def training_lag(self) -> float:
        """Return how many fine-tunes the network furthest behind is behind; 0 when all are up to date."""
        behind = debts(self.model, self.state).max(initial=0)
        return float(behind // self.settings.training.every)

    def n_networks(self) -> int:
        """Return how many networks are in use."""
        return len(networks(self.state))

    def view(self) -> FleetView:
        """Return the last step of every stream, copied."""
        live = self.state.table.live
        ledger = self.state.ledger
        return FleetView(
            names=tuple(str(self.state.table.names[slot]) for slot in live),
            n_readings=self.state.windows.n[live],
            time=self.state.windows.newest[live],
            value=ledger.value[live],
            forecast=ledger.forecast[live],
            lower=ledger.lower[live],
            upper=ledger.upper[live],
            score=ledger.score[live],
            level=ledger.level[live],
            is_open=self.state.episodes.is_open[live],
            skill_ratio=self.state.league.skill_ratios(live),
            shown=self.state.league.chosen(live),
            health=ledger.health[live],
            episodes=self._open_episodes(live),
        )

    def _open_episodes(self, live: I64) -> tuple[OpenEpisode, ...]:
        episodes = self.state.episodes
        return tuple(
            OpenEpisode(
                stream=name,
                episode=episode_id(name, opened_s),
                kind=next((view for view, _ in episodes.views(slot)), "unknown"),
                severity=severity(peak - level),
                opened_s=opened_s,
                peak_score=peak,
                level=level,
            )
            for slot in live[episodes.is_open[live]].tolist()
            for name in [str(self.state.table.names[slot])]
            for opened_s, peak, level in [
                (float(episodes.opened_s[slot]), float(episodes.peak_score[slot]), float(episodes.level[slot]))
            ]
        )
