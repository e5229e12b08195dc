"""One season ago: what each stream read a day, a week or a cycle before its next reading.

Comes in: readings in order, and now and then a stretch of the newest ones. Goes out: the value one
season before the next reading, and its neighbourhood. It knows neither scales nor forecasts; how a
season is told from noise is ``season_search``'s matter.

A season is cut into at most 288 bins, kept in a ring somewhat longer than one season, so that the
memory is bounded whatever the sampling, and what happens now does not hide what happened then.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I8, I64, Bool, Slots
from pipeline.streams.season_choice import choose
from pipeline.streams.season_search import find

N_BINS = 288  # a day of five-minute readings
_N_BEHIND = 4  # bins kept beyond one season: the neighbourhood before the next reading is still the old one
N_CELLS = N_BINS + _N_BEHIND

_N_SETTLED = 48  # readings from which the usual interval can be told
_N_WIDE = 200  # bins from which the neighbourhood is two bins each way: +-1 % of the season
_LONGEST_BRIDGE = 4  # bins from one reading to the next that a straight line may cross
_FAR = 1e15  # bins: beyond it an absurd time is as good as any

_GAIN = 0.4  # weight of the newest season in a bin; all weight on it forecasts the NAB recordings 2 % worse
_FAR_OFF = 50.0  # usual changes beyond which a change counts no more
#: What a usual change is multiplied by where a change is less, as much, more.
PACES = np.exp(0.05 * np.array([-1.0, 0.0, 1.0]))
_COARSER, _FINER = 1.5, 0.4  # usual interval over bin: outside, the sampling has changed


@dataclass
class Season(SlotArrays):
    """The season of each stream, and its last season bin by bin. Bin k has its centre at anchor + k bins.

    Attributes:
        period_s: Length of the season, seconds, 0 for none, shape (S,).
        bin_s: Length of a bin, seconds, inf without a season.
        anchor_s: Centre of bin 0, Unix seconds.
        n_bins: Bins to a season, at most 288.
        is_found: The season was found in the readings, not assumed.
        n_missed: Searches in a row that did not see it.
        newest_s: Newest event time, Unix seconds.
        bin: Bin of the newest reading.
        n_in_bin: Readings in it so far.
        place: Their mean time, bins since the anchor.
        mean: Their mean, sensor's unit.
        place_before: Mean time of the readings in the bin before it that had any.
        mean_before: Their mean.
        usual_change: Running median of the change of a bin from season to season, sensor's unit.
        ring: Value at the centre of bin k at k % (n_bins + 4), sensor's unit, NaN unknown, shape (S, 292).
    """

    period_s: F64 = column(np.float64)
    bin_s: F64 = column(np.float64, fill=np.inf)
    anchor_s: F64 = column(np.float64)
    n_bins: I64 = column(np.int64)
    is_found: Bool = column(np.bool_)
    n_missed: I8 = column(np.int8)
    newest_s: F64 = column(np.float64)
    bin: I64 = column(np.int64)
    n_in_bin: I64 = column(np.int64)
    place: F64 = column(np.float64)
    mean: F64 = column(np.float64)
    place_before: F64 = column(np.float64)
    mean_before: F64 = column(np.float64)
    usual_change: F64 = column(np.float64)
    ring: F64 = column(np.float64, "cells", fill=np.nan)

    def learn(self, ix: Slots, slots: I64, time: F64, value: F64) -> None:
        """Take in one reading per stream.

        Readings of one bin are averaged; when a bin is left, its value at the centre is interpolated
        between its readings and those of the neighbouring bins, so that a season of 37.4 readings
        does not smear.

        Args:
            ix: Streams.
            slots: The same streams as an index array, shape (A,).
            time: Event times, later than those before, Unix seconds, shape (A,).
            value: Readings, sensor's unit, shape (A,).
        """
        place = (time - self.anchor_s[ix]) / self.bin_s[ix]
        entered = _bin_of(place)
        left, n, place_left, mean_left = self.bin[ix], self.n_in_bin[ix], self.place[ix], self.mean[ix]
        n_cells = self.n_bins[ix] + _N_BEHIND
        is_new = (entered > left) | (n == 0)
        is_left = is_new & (n > 0)
        cells, first = self.ring.reshape(-1), slots * self.ring.shape[1]
        season_before = cells[first + (left + _N_BEHIND) % n_cells]
        blended = self._blend(ix, self._at_centre(ix, place, value), season_before, is_left)
        cells[first + left % n_cells] = np.where(n > 0, blended, np.nan)  # final once the bin is left
        is_jump = is_left & (entered - left > 1)
        if is_jump.any():
            self._bridge(slots[is_jump], entered[is_jump], place[is_jump], value[is_jump])
        self.place_before[ix] = np.where(is_left, place_left, np.where(is_new, place, self.place_before[ix]))
        self.mean_before[ix] = np.where(is_left, mean_left, np.where(is_new, value, self.mean_before[ix]))
        n = np.where(is_new, 1, n + 1)
        self.place[ix] = np.where(is_new, place, place_left + (place - place_left) / n)
        self.mean[ix] = np.where(is_new, value, mean_left + (value - mean_left) / n)
        self.n_in_bin[ix] = n
        self.bin[ix] = np.where(is_new, entered, left)
        self.newest_s[ix] = time

    def _at_centre(self, ix: Slots, place: F64, value: F64) -> F64:
        """Return the value at the centre of the newest bin, given the reading after it, shape (A,)."""
        own, mean = self.place[ix], self.mean[ix]
        is_early = own <= self.bin[ix]  # its readings lie before the centre, on average
        other = np.where(is_early, place, self.place_before[ix])
        other_mean = np.where(is_early, value, self.mean_before[ix])
        distance = other - own
        share = (self.bin[ix] - own) / np.where(distance == 0, np.inf, distance)
        found: F64 = mean + share.clip(0.0, 0.5) * (other_mean - mean)
        return found

    def _blend(self, ix: Slots, newest: F64, before: F64, is_left: Bool) -> F64:
        """Average bins over the seasons; what changed out of all proportion has to repeat to be believed.

        The usual change follows the median by steps in the logarithm (Robbins & Monro 1951), so that
        no glitch moves it far.
        """
        change = newest - before
        is_known = is_left & ~np.isnan(change)
        size = np.where(is_known, np.abs(change), 0.0)
        usual = self.usual_change[ix]
        pace = np.where(size > usual, PACES[2], np.where(size < usual, PACES[0], PACES[1]))
        moved = np.where(usual > 0, usual * pace, size)
        usual = np.where(is_known, moved, usual)
        self.usual_change[ix] = usual
        most = _FAR_OFF * usual
        return np.where(is_known & (usual > 0), before + _GAIN * change.clip(-most, most), newest)

    def _bridge(self, slots: I64, entered: I64, place: F64, value: F64) -> None:
        """Fill the bins that readings skipped: a line over a few, else what they held a season before."""
        left, n_bins = self.bin[slots], self.n_bins[slots]
        n_cells = n_bins + _N_BEHIND
        n_skipped = np.minimum(entered - left - 1, n_cells)
        row = np.repeat(np.arange(len(slots)), n_skipped)
        ordinal = np.arange(len(row)) - np.repeat(np.cumsum(n_skipped) - n_skipped, n_skipped)
        skipped = entered[row] - 1 - ordinal
        at_slot, cells = slots[row], n_cells[row]
        carried = self.ring[at_slot, (skipped - n_bins[row]) % cells]
        carried[skipped - n_bins[row] > left[row]] = np.nan
        own, mean = self.place[slots][row], self.mean[slots][row]
        line = mean + (skipped - own) / (place[row] - own) * (value[row] - mean)
        is_short = (entered - left)[row] <= _LONGEST_BRIDGE
        self.ring[at_slot, skipped % cells] = np.where(is_short, line, carried)

    def ahead(self, ix: Slots, slots: I64, next_time: F64) -> tuple[F64, F64, F64, F64]:
        """Return what was read one season before the expected next reading.

        Args:
            ix: Streams.
            slots: The same streams as an index array, shape (A,).
            next_time: When the next reading is expected, Unix seconds, shape (A,).

        Returns:
            The value then, highest and lowest within 1 % of the season (at least a bin) around it, and
            the value one season before the newest reading; sensor's unit, NaN where unknown, shape (A,).
        """
        anchor_s, bin_s, n_bins, newest = self.anchor_s[ix], self.bin_s[ix], self.n_bins[ix], self.bin[ix]
        place = (next_time - anchor_s) / bin_s - n_bins
        place_now = (self.newest_s[ix] - anchor_s) / bin_s - n_bins
        middle, n_cells = _bin_of(place), n_bins + _N_BEHIND
        is_held = (n_bins > 0) & (middle + 1 < newest) & (middle - 1 > newest - n_cells)
        around = self._around(slots, middle, n_cells)
        if not is_held.all():
            around[:, ~is_held] = np.nan
        value = _between(around[1:4], place - middle)
        is_behind = _bin_of(place_now) < middle
        nearby = np.where(is_behind, around[0:3], around[1:4])
        before = _between(nearby, (place_now - middle + is_behind).clip(-0.5, 0.5))
        high = np.fmax(np.fmax(around[1], around[2]), around[3])
        low = np.fmin(np.fmin(around[1], around[2]), around[3])
        is_wide = n_bins >= _N_WIDE
        if is_wide.any():
            high = np.where(is_wide, np.fmax(np.fmax(around[0], around[4]), high), high)
            low = np.where(is_wide, np.fmin(np.fmin(around[0], around[4]), low), low)
        return value, high, low, before

    def _around(self, slots: I64, middle: I64, n_cells: I64) -> F64:
        """Return the bins from two before to two after the middle ones, shape (5, A)."""
        at = (middle - 2) % n_cells + np.arange(5)[:, None]
        at -= np.where(at >= n_cells, n_cells, 0)
        at += slots * self.ring.shape[1]
        found: F64 = self.ring.reshape(-1).take(at)
        return found

    def search(self, slots: I64, time: F64, value: F64, is_valid: Bool) -> I64:
        """Choose the season of streams from their newest readings, and refill it where it changed.

        A day is assumed where it has 4 to 100,000 usual intervals. A season found in the readings
        replaces it, and is given up after three searches that do not see it.

        Args:
            slots: Streams, shape (D,).
            time: Event times, Unix seconds, oldest first, right-aligned, shape (D, L).
            value: Readings, sensor's unit, shape (D, L).
            is_valid: False where a stream has no such reading, shape (D, L).

        Returns:
            The slots whose season changed.
        """
        found = find(time, value, is_valid)
        is_ready = (is_valid.sum(axis=1) >= _N_SETTLED) & np.isfinite(found.step_s)
        chosen = choose(found, self.period_s[slots], self.is_found[slots], self.n_missed[slots])
        period_s = chosen.period_s
        bin_share = found.step_s / self.bin_s[slots]
        has_room = self.n_bins[slots] < N_BINS
        is_resampled = (bin_share > _COARSER) | ((bin_share < _FINER) & has_room & (self.period_s[slots] > 0))
        is_other = np.abs(period_s - self.period_s[slots]) > 0
        at = np.flatnonzero(is_ready & (is_other | (is_resampled & (period_s > 0))))
        self.is_found[slots] = np.where(is_ready, chosen.is_found, self.is_found[slots])
        self.n_missed[slots] = np.where(is_ready, chosen.n_missed, self.n_missed[slots])
        if len(at):
            self._begin(slots[at], period_s[at], found.step_s[at], time[at, -1])
            self._refill(slots[at], time[at], value[at], is_valid[at])
        return slots[at]

    def _begin(self, slots: I64, period_s: F64, step_s: F64, anchor_s: F64) -> None:
        """Give streams a new season, empty."""
        n_bins = np.clip(np.floor(period_s / step_s + 0.05), 1, N_BINS)  # not more than readings: none stays empty
        has = period_s > 0
        self.period_s[slots] = period_s
        self.n_bins[slots] = np.where(has, n_bins, 0)
        self.bin_s[slots] = np.where(has, period_s / n_bins, np.inf)
        self.anchor_s[slots] = anchor_s
        self.forget(slots)

    def _refill(self, slots: I64, time: F64, value: F64, is_valid: Bool) -> None:
        """Learn a stretch as if it came now."""
        for i in range(time.shape[1]):
            row = np.flatnonzero(is_valid[:, i])
            if len(row):
                self.learn(slots[row], slots[row], time[row, i], value[row, i])

    def forget(self, slots: I64) -> None:
        """Empty the bins of streams whose values changed their meaning; the season itself stays."""
        self.n_in_bin[slots] = 0
        self.usual_change[slots] = 0
        self.bin[slots] = 0
        self.ring[slots] = np.nan


def empty_season(capacity: int) -> Season:
    """Allocate ``capacity`` streams without a season."""
    return Season.empty(capacity, cells=N_CELLS)


def _bin_of(place: F64) -> I64:
    """Return the bin whose centre is nearest."""
    return np.floor(place.clip(-_FAR, _FAR) + 0.5).astype(np.int64)


def _between(three: F64, offset: F64) -> F64:
    """Interpolate at ``offset`` (-0.5 to 0.5 bins) from the middle of three bins; a missing neighbour is no matter.

    Example:
        >>> _between(np.array([[0.0], [1.0], [3.0]]), np.array([0.5])).tolist()
        [2.0]
    """
    neighbour = np.where(offset < 0, three[0], three[2])
    difference = neighbour - three[1]
    found: F64 = three[1] + np.abs(offset) * np.where(np.isnan(difference), 0.0, difference)
    return found
