"""NAB's score of the engine: every alert level is tried on the scores of a few runs that differ in seed.

Comes in: scored files, by seed, and what an alert at each row would be worth. Goes out: standard scores at the level
that NAB's own search would choose, at the level that the engine itself had, and at a level chosen on other files.
Refuses to know files and terminals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F64, I64, Bool
from pipeline.evaluate.nab_alerts import Decide, Scored
from pipeline.evaluate.nab_scorer import Corpus, Profile, Tally, standard_score

#: Levels tried: so many, from above all scores down to the one that this share of the readings reaches.
N_LEVELS, LOWEST_SHARE = 400, 0.1
#: Random halves of the files: on one the level is chosen, on the other it is scored.
N_SPLITS, SPLIT_SEED = 100, 0


@dataclass(frozen=True, slots=True)
class Standing:
    """How one run stands at one level under one profile.

    Attributes:
        score: Standard score, 100 at most; NaN where nothing is labelled.
        level: Alert level; None for the engine's own.
        n_met: Windows met.
        n_false: Alerts outside of windows.
        files: The tally of each file.
    """

    score: float
    level: float | None
    n_met: int
    n_false: int
    files: Tally


@dataclass(frozen=True, slots=True)
class Split:
    """Scores when the level is chosen on half of the files: means over splits and seeds.

    Attributes:
        chosen: On the half it was chosen on.
        other: On the other half.
        other_sd: Standard deviation of that over splits.
    """

    chosen: float
    other: float
    other_sd: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of all runs under one profile.

    Attributes:
        profile: The profile.
        best: By seed, at the level that is best for that run.
        budget: By seed, at the engine's own level.
        common: By seed, at the one level that is best for the mean of all runs.
        curve: Mean standard score over seeds at each level, shape (L,).
        split: Chosen on one half, scored on the other.
        points: Points of the standard score that each file could bring, shape (F,).
        lost: Points that it does not bring at the best levels, mean over seeds, shape (F,).
    """

    profile: Profile
    best: Sequence[Standing]
    budget: Sequence[Standing]
    common: Sequence[Standing]
    curve: F64
    split: Split
    points: F64
    lost: F64


@dataclass(frozen=True, slots=True)
class Published:
    """A published detector's standing, by profile name."""

    name: str
    by: Mapping[str, Standing]


@dataclass(frozen=True, slots=True)
class NabEvaluation:
    """What ``foretell evaluate nab`` found.

    Attributes:
        names: Files, ``folder/name.csv``.
        n_readings: Readings of each file.
        n_windows: Windows of each file, shape (F,).
        seeds: Seeds that were run.
        levels: Levels that were tried, descending, shape (L,).
        n_false: Alerts outside at each level, mean over seeds, shape (L,).
        profiles: One judgement per profile.
        published: Detectors whose scores are there, on the same files.
    """

    names: Sequence[str]
    n_readings: Sequence[int]
    n_windows: I64
    seeds: Sequence[int]
    levels: F64
    n_false: F64
    profiles: Sequence[Judgement]
    published: Sequence[Published] = ()


def evaluate_nab(
    names: Sequence[str],
    corpus: Corpus,
    runs: Mapping[int, Sequence[Scored]],
    profiles: Sequence[Profile],
    decide: Decide,
    published: Sequence[Published] = (),
) -> NabEvaluation:
    """Score runs of the engine as NAB does.

    Args:
        names: Files, in the order of the corpus.
        corpus: What an alert at each row is worth.
        runs: Scored files by seed, in the same order.
        profiles: Weights.
        decide: Raises alerts at a level.
        published: To stand beside.
    """
    levels = alert_levels(list(runs.values()))
    swept = [_stacked([corpus.tally(decide(run, level)) for level in levels.tolist()]) for run in runs.values()]
    own = [corpus.tally([file.is_opening for file in run]) for run in runs.values()]
    return NabEvaluation(
        names=names,
        n_readings=[len(rows.window) for rows in corpus.files],
        n_windows=corpus.n_windows,
        seeds=list(runs),
        levels=levels,
        n_false=np.mean([tally.n_false.sum(axis=1) for tally in swept], axis=0),
        profiles=[_judged(profile, corpus, levels, swept, own) for profile in profiles],
        published=published,
    )


def alert_levels(runs: Sequence[Sequence[Scored]]) -> F64:
    """Return the levels to try, descending: scores of the runs, at ranks that grow geometrically.

    The first lies above all scores, since NAB's own search may choose silence.

    Example:
        >>> scores = np.array([np.nan, 1.0, 2.0, 3.0, 4.0])
        >>> file = Scored(np.arange(5.0), scores, scores, np.ones(5, np.bool_), np.zeros(5, np.bool_))
        >>> alert_levels([[file]]).tolist()
        [5.0, 4.0]
    """
    known = np.concatenate([file.score for run in runs for file in run] or [np.zeros(0)])
    known = np.sort(known[np.isfinite(known)])[::-1]
    if not len(known):
        return np.ones(1)
    most = max(1, int(LOWEST_SHARE * len(known)))
    ranks = np.unique(np.geomspace(max(1.0, most / 5000), most, N_LEVELS).astype(np.int64))
    return np.append(known[0] + 1, np.unique(known[ranks - 1])[::-1])


def _stacked(tallies: Sequence[Tally]) -> Tally:
    """Return the tallies of all levels as one, arrays of shape (L, F)."""
    columns = ("n_met", "n_missed", "n_false", "earned", "lost")
    return Tally(**{column: np.stack([getattr(tally, column) for tally in tallies]) for column in columns})


def _judged(profile: Profile, corpus: Corpus, levels: F64, swept: Sequence[Tally], own: Sequence[Tally]) -> Judgement:
    """Weigh all runs with one profile."""
    raw = np.stack([tally.raw(profile) for tally in swept])  # (seeds, L, F)
    curves = corpus.standard(raw.sum(axis=2), profile)
    bests = raw.sum(axis=2).argmax(axis=1)
    common = int(raw.sum(axis=(0, 2)).argmax())

    def stand(run: int, at: int) -> Standing:
        return standing(corpus, profile, _at(swept[run], at), float(levels[at]))

    best = [stand(run, int(at)) for run, at in enumerate(bests)]
    silent = corpus.silent().raw(profile)
    perfect: F64 = corpus.n_windows * np.float64(profile.tp)
    span = float((perfect - silent).sum())
    reached = np.mean([run.files.raw(profile) for run in best], axis=0)
    return Judgement(
        profile=profile,
        best=best,
        budget=[standing(corpus, profile, tally, None) for tally in own],
        common=[stand(run, common) for run in range(len(swept))],
        curve=curves.mean(axis=0),
        split=_split(raw, silent, perfect),
        points=100 * (perfect - silent) / (span or np.nan),
        lost=100 * (perfect - reached) / (span or np.nan),
    )


def standing(corpus: Corpus, profile: Profile, files: Tally, level: float | None) -> Standing:
    """Return how a run stands, from the tally of each of its files."""
    score = corpus.standard(np.asarray(files.raw(profile).sum()), profile)
    return Standing(float(score), level, int(files.n_met.sum()), int(files.n_false.sum()), files)


def published_standing(name: str, corpus: Corpus, scores: Sequence[F64], profiles: Sequence[Profile]) -> Published:
    """Return how a detector stands whose scores are known, each profile at its best threshold."""
    thresholds, tally = corpus.sweep(scores)
    by = {}
    for profile in profiles:
        level = float(thresholds[tally.raw(profile).argmax()])
        alerts: list[Bool] = [score >= level for score in scores]
        by[profile.name] = standing(corpus, profile, corpus.tally(alerts), level)
    return Published(name, by)


def _at(tally: Tally, level: int) -> Tally:
    """Return the tally of each file at one level."""
    columns = ("n_met", "n_missed", "n_false", "earned", "lost")
    return Tally(**{column: getattr(tally, column)[level] for column in columns})


def _split(raw: F64, silent: F64, perfect: F64) -> Split:
    """Choose the level on random halves of the files, for each run by itself, and score it on the others.

    Args:
        raw: Raw scores, shape (seeds, L, F).
        silent: Those of silence, shape (F,).
        perfect: Those of perfection, shape (F,).
    """
    n_files = raw.shape[2]
    rng = np.random.default_rng(SPLIT_SEED)
    half = np.zeros((N_SPLITS, n_files))
    for row in half:
        row[rng.permutation(n_files)[: n_files // 2]] = 1
    chosen = standard_score(raw @ half.T, half @ silent, half @ perfect)  # (seeds, L, splits)
    other = standard_score(raw @ (1 - half).T, (1 - half) @ silent, (1 - half) @ perfect)
    best = np.nan_to_num(chosen, nan=-np.inf).argmax(axis=1, keepdims=True)
    pairs = np.stack([np.take_along_axis(scores, best, axis=1)[:, 0].mean(axis=0) for scores in (chosen, other)])
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]  # a half without a window says nothing
    if not pairs.size:
        return Split(np.nan, np.nan, np.nan)
    return Split(float(pairs[0].mean()), float(pairs[1].mean()), float(pairs[1].std()))
