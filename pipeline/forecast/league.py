"""The league: every forecaster foretells every reading, and the one that was recently best is shown.

Readings, the LSTM's forecasts and the season come in; the forecast to show, its intervals and the skill
of every forecaster go out, in the sensor's unit. Refuses to know networks and episodes.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import column
from pipeline.core.records import F64, I8, I32, I64, Slots
from pipeline.forecast.autoregression import N_INPUTS, Autoregression
from pipeline.forecast.baselines import (
    N_FORECASTERS,
    N_FORMS,
    N_SMOOTHINGS,
    Forecaster,
    Seasonal,
    Smoothing,
    faded,
)
from pipeline.forecast.choice import N_MOODS, Choice
from pipeline.forecast.compiled import league as helper
from pipeline.forecast.intervals import N_LEVELS, Intervals
from pipeline.forecast.tempering import N_SHARES, Tempering

_GAIN = 0.005  # a memory of about 200 readings
_CLIP = 50.0  # spreads that one error counts for at most; at 10 one stream of spikes in 20 had the wrong one shown
_SHARPNESS = 4  # doublings of the exponent of the blend: weights are error^-16
_TINY = 1e-300  # where all errors are 0 all weights are 1
# Scale of the intervals: quicker than the error, and no glitch makes the intervals wide for hundreds of readings.
_SCALE_GAIN = 0.02
_SCALE_CLIP = 5.0  # scales
_SCALE_FREE = 0.25  # spreads that a size may always count for, so that a scale of 0 can grow
_N_FREE = 8  # readings before the scale is worth something as a bound


@dataclass
class League(Smoothing, Seasonal, Autoregression, Tempering, Choice, Intervals):
    """All forecasters of all streams, over one set of slots; F forecasters.

    Per tick, in this order: ``shown`` what was foretold, ``learn`` from the reading, ``foretell`` the next.

    Attributes:
        location: Forecasts under way, NaN for none, sensor's unit, shape (S, F).
        scale: Of their residuals, NaN while unknown, sensor's unit, shape (S, F).
        usual: Recent mean absolute error, glitches bounded, sensor's unit, shape (S, F).
        error: Recent mean absolute error, sensor's unit, shape (S, F).
        n_errors: Errors taken in, int32, shape (S, F).
    """

    location: F64 = column(np.float64, "forecasters", fill=np.nan)
    scale: F64 = column(np.float64, "forecasters", fill=np.nan)
    usual: F64 = column(np.float64, "forecasters")
    error: F64 = column(np.float64, "forecasters")
    n_errors: I32 = column(np.int32, "forecasters")

    def shown(self, ix: Slots) -> tuple[I8, F64, F64]:
        """Return the forecast that was made before the reading that arrives.

        Returns:
            Who made it, int8, shape (A,); location, NaN for none, shape (A,); half-widths at 50, 90
            and 99 %, NaN while unknown, shape (A, 3); the last two in the sensor's unit.
        """
        if helper.serves():
            return helper.shown(self, ix, ix.stop - ix.start if isinstance(ix, slice) else len(ix))
        location, who = self.location[ix], self.chosen(ix)
        rows = np.arange(len(who))
        found = location[rows, who]
        missing = np.isnan(found)
        if missing.any():
            who[missing] = Forecaster.PERSISTENCE  # there whenever anything is
            found = location[rows, who]
        return who.astype(np.int8), found, self.half_widths(ix, who, self.scale[ix][rows, who])

    def _location_shown(self, ix: Slots) -> F64:
        """Return the forecast that is shown, NaN for none, sensor's unit, shape (A,)."""
        location, who = self.location[ix], self.chosen(ix)
        found: F64 = location[np.arange(len(who)), who]
        return np.where(np.isnan(found), location[:, Forecaster.PERSISTENCE], found)

    def learn(self, ix: Slots, slots: I64, value: F64, spread: F64) -> None:
        """Take in how well the readings were foretold, and choose whom to show.

        Args:
            ix: Streams.
            slots: The same streams as an index array, shape (A,).
            value: Readings, sensor's unit, shape (A,).
            spread: Spread of each stream, sensor's unit, shape (A,).
        """
        if helper.serves():
            helper.learn(self, ix, value, spread)
            return
        most = _CLIP * spread
        location = self._location_shown(ix)
        size = value[:, None] - self.location[ix]
        np.abs(size, out=size)
        bounded = np.minimum(size, most[:, None])
        self.learn_coverage(ix, size, self.scale[ix])
        self._learn_scale(ix, size, spread)
        self.learn_choice(ix, slots, bounded)
        self.note_shocks(ix, np.abs(value - location), spread)
        self.error[ix] = faded(self.error[ix], bounded, self.n_errors[ix], _GAIN)
        self.n_errors[ix] += ~np.isnan(size)
        self.learn_tempering(ix, value - self.location[ix, Forecaster.PERSISTENCE], most)
        self.learn_smoothing(ix, value, most)
        self.learn_seasonal(ix, value, most)
        self.fit(ix, value, spread)

    def _learn_scale(self, ix: Slots, size: F64, spread: F64) -> None:
        """Take in sizes of residuals, NaN where there is none, shape (A, F)."""
        usual, n = self.usual[ix], self.n_errors[ix]
        bound = np.where(n < _N_FREE, np.inf, np.maximum(_SCALE_CLIP * usual, _SCALE_FREE * spread[:, None]))
        self.usual[ix] = faded(usual, np.minimum(size, bound), n, _SCALE_GAIN)

    def foretell(self, ix: Slots, slots: I64, value: F64, season_now: F64, season_next: F64) -> F64:
        """Make and keep the next forecasts of the baselines; ``join`` adds the LSTM's.

        Args:
            ix: Streams.
            slots: The same streams as an index array, shape (A,).
            value: Readings that arrived, sensor's unit, shape (A,).
            season_now: Value one season before the readings, NaN where no season is known, shape (A,).
            season_next: Value one season before the next readings, NaN likewise, shape (A,).

        Returns:
            Forecasts of smoothing and autoregression, which the LSTM sees: an LSTM that is given what
            smoothing foretells learns the rest (Smyl 2020); NaN for none, sensor's unit, shape (A, 2).
        """
        if helper.serves():
            return helper.foretell(self, ix, value, season_now, season_next)
        found = np.empty((len(slots), 2))
        found[:, 0] = self.smooth(ix, value)
        found[:, 1] = self.regress(ix, value, season_now, season_next)
        self.location[ix, Forecaster.LSTM] = np.nan
        self.location[ix, Forecaster.PERSISTENCE] = value
        self.location[ix, Forecaster.SMOOTHING] = found[:, 0]
        self.location[ix, Forecaster.SEASONAL] = self.repeat_season(ix, value, season_now, season_next)
        self.location[ix, Forecaster.AUTOREGRESSION] = found[:, 1]
        self.location[ix, Forecaster.BLEND] = np.nan
        self.scale[ix] = np.where(self.n_errors[ix] > 0, self.usual[ix], np.nan)
        return found

    def join(self, ix: Slots, value: F64, location: F64, scale: F64) -> None:
        """Add the LSTM's forecasts, tempered, to those under way, and blend all anew.

        Args:
            ix: Streams.
            value: Newest readings, sensor's unit, shape (A,).
            location: The LSTM's forecast of the next reading, sensor's unit, NaN for none, shape (A,).
            scale: Its scale, sensor's unit, NaN for none, shape (A,).
        """
        if helper.serves():
            helper.join(self, ix, value, location, scale)
            return
        self.location[ix, Forecaster.LSTM] = self.temper(ix, value, location)
        self.scale[ix, Forecaster.LSTM] = scale
        self.location[ix, Forecaster.BLEND] = self._blend(ix, value, self.location[ix, : Forecaster.BLEND])

    def _blend(self, ix: Slots, value: F64, location: F64) -> F64:
        """Return the mean of the forecasts, weighted by how good they were of late, shape (A,)."""
        standing = self.standing(ix)[:, : Forecaster.BLEND]
        is_out = np.isnan(location) | np.isinf(standing)
        error = (standing + _TINY).T.copy()  # (F - 1, A): quicker
        way = location.T - value
        if is_out.any():
            error[is_out.T], way[is_out.T] = np.inf, 0.0
            error[Forecaster.PERSISTENCE, is_out.all(axis=1)] = 1.0
        weight = np.minimum.reduce(error, axis=0) / error
        for _ in range(_SHARPNESS):
            weight *= weight
        way *= weight
        blended: F64 = value + np.add.reduce(way, axis=0) / np.add.reduce(weight, axis=0)
        return blended

    def forget(self, slots: I64) -> None:
        """After a gap: drop the forecasts under way; levels start anew at the next value, what was learnt stays."""
        self.location[slots] = np.nan
        self.is_shaken[slots] = False
        self.n_in_row[slots] = 0
        self.forget_levels(slots)
        self.forget_season(slots)
        self.forget_values(slots)

    def skill_ratios(self, ix: Slots) -> F64:
        """Return each forecaster's recent error over that of persistence, NaN until known, shape (A, F)."""
        error = self.error[ix]
        base = error[:, Forecaster.PERSISTENCE, None]
        is_known = (self.n_errors[ix] > 0) & (base > 0)
        ratios: F64 = np.divide(error, base, out=np.full(error.shape, np.nan), where=is_known)
        return ratios


def empty_league(capacity: int) -> League:
    """Allocate a league of ``capacity`` streams.

    Example:
        >>> league, one = empty_league(1), np.ones(1)
        >>> for value in (1.0, 2.0, 4.0):
        ...     who, location, half = league.shown(slice(0, 1))
        ...     league.learn(slice(0, 1), np.array([0]), value * one, one)
        ...     _ = league.foretell(slice(0, 1), np.array([0]), value * one, *[np.nan * one] * 2)
        >>> Forecaster(who[0]).name, location.tolist()
        ('PERSISTENCE', [2.0])
    """
    return League.empty(
        capacity,
        smoothings=N_SMOOTHINGS,
        forms=N_FORMS,
        inputs=N_INPUTS,
        products=N_INPUTS * N_INPUTS,
        forecasters=N_FORECASTERS,
        shares=N_SHARES,
        widths=N_FORECASTERS * N_LEVELS,
        moods=N_MOODS,
    )
