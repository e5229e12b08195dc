"""What each part of the detector is worth on NAB: the same files and seeds, with one part left out or changed.

Comes in: settings, then scored files of all runs. Goes out: which runs are wanted, and a row of NAB's scores per
variant. What a view is worth, and how alerts follow from scores, needs no run of its own: no network, scale or history
depends on either, as long as nothing is quarantined. Refuses to know files, terminals and how runs are made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.core.records import Bool
from pipeline.core.settings import DetectionSettings, Settings
from pipeline.detect.views import View
from pipeline.evaluate.nab import Judgement, evaluate_nab
from pipeline.evaluate.nab_alerts import Scored, raise_alerts
from pipeline.evaluate.nab_run import Setup
from pipeline.evaluate.nab_scorer import Corpus, Profile

#: The run that the others are held against.
DEFAULT = "default"
_SHORT_WINDOW, _QUARANTINE = 512, 6.0


@dataclass(frozen=True, slots=True)
class Rule:
    """How alerts follow from what was scored.

    Attributes:
        detection: Rests.
        views: Those that make the score, the largest counts; None for the score as it was.
        has_rests: An alert is followed by a rest; else every reading at the level is an alert.
        has_rarer: What is a hundred times rarer ends a rest early.
    """

    detection: DetectionSettings
    views: tuple[View, ...] | None = None
    has_rests: bool = True
    has_rarer: bool = True

    def scored(self, files: Sequence[Scored]) -> list[Scored]:
        """Return files with the score that the views make.

        Raises:
            ValueError: The run was not asked to keep what the views saw.
        """
        if self.views is None:
            return list(files)
        columns = [int(view) for view in self.views]
        found = []
        for file in files:
            if file.views is None:
                raise ValueError("the run kept no views")
            found.append(replace(file, score=file.views[:, columns].max(axis=1).astype(np.float64)))
        return found

    def raise_alerts(self, files: Sequence[Scored], level: float) -> list[Bool]:
        """Decide on files at a level; return the rows with an alert, one mask per file."""
        with np.errstate(invalid="ignore"):
            reached = [np.greater_equal(file.score, level) for file in files]
        if not self.has_rests:
            return reached
        if not self.has_rarer:  # of what is all alike nothing is rarer
            pairs = zip(files, reached, strict=True)
            files = [replace(file, score=np.where(is_at, level, np.nan)) for file, is_at in pairs]
        return raise_alerts(files, level, self.detection)


@dataclass(frozen=True, slots=True)
class Variant:
    """The detector with one part left out or changed.

    Attributes:
        part: What it is about.
        name: What is different.
        run: Name of the setup that it is judged on.
        rule: How alerts follow.
    """

    part: str
    name: str
    run: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run and judged.

    Attributes:
        setups: By name, seeds apart; the default first.
        variants: Rows of the table; the default first.
    """

    setups: Mapping[str, Setup]
    variants: Sequence[Variant]


@dataclass(frozen=True, slots=True)
class Row:
    """How a variant stands, a judgement per profile."""

    variant: Variant
    profiles: Sequence[Judgement]

    def mean(self, profile: int) -> float:
        """Return the standard score at NAB's own choice of level, mean over seeds."""
        return float(np.mean([run.score for run in self.profiles[profile].best]))


@dataclass(frozen=True, slots=True)
class Ablation:
    """What ``foretell evaluate nab --ablation`` found.

    Attributes:
        seeds: Seeds that were run.
        n_windows: Labelled windows.
        rows: One per variant; the default first.
    """

    seeds: Sequence[int]
    n_windows: int
    rows: Sequence[Row]

    def difference(self, row: Row, profile: int) -> float:
        """Return by how much a variant is better than the default, points of the standard score."""
        return row.mean(profile) - self.rows[0].mean(profile)


def plan(settings: Settings) -> Plan:
    """Return all variants of the detector; what the settings leave out already is no variant.

    Example:
        >>> [variant.name for variant in plan(Settings()).variants][-2:]
        ['rests half as long', 'rests twice as long']
    """
    rule = Rule(settings.detection)
    setups = {DEFAULT: Setup(settings, has_views=True)}
    variants = [Variant("all", "the detector as it is", DEFAULT, rule), *_views(rule)]
    for part, name, setup in _setups(settings):
        if setup != Setup(settings):
            setups[name] = setup
            variants.append(Variant(part, name, name, replace(rule, detection=setup.settings.detection)))
    return Plan(setups, [*variants, *_rests(rule)])


def _views(rule: Rule) -> Iterator[Variant]:
    """Yield the detector without each view, and with the vote alone."""
    for view in View:
        others = tuple(other for other in View if other != view)
        yield Variant("views", f"without {_words(view)}", DEFAULT, replace(rule, views=others))
    yield Variant("views", "nothing but the vote", DEFAULT, replace(rule, views=(View.VOTE,)))


def _words(view: View) -> str:
    return "the vote" if view is View.VOTE else view.name.lower().replace("_", " ")


def _setups(settings: Settings) -> Iterator[tuple[str, str, Setup]]:
    """Yield part, name and setup of the runs beside the default one."""
    need = settings.training.window + settings.forecast.horizon_long
    n_readings = min(max(_SHORT_WINDOW, need), settings.window_len)
    streams = settings.streams.model_copy(update={"window_len": n_readings})
    training = settings.training.model_copy(update={"enabled": False})
    forecast = settings.forecast.model_copy(update={"ensemble": 1})
    detection = settings.detection.model_copy(update={"quarantine_level": _QUARANTINE})
    yield "networks", "one network per stream", _changed(settings, forecast=forecast)
    yield "networks", "networks that are not trained", _changed(settings, training=training)
    yield "networks", f"{n_readings} readings kept to train on", _changed(settings, streams=streams)
    yield "floors", "trifles count", Setup(settings, has_floors=False)
    yield "quarantine", f"nothing learns from scores of {_QUARANTINE:g} on", _changed(settings, detection=detection)


def _changed(settings: Settings, **sections: object) -> Setup:
    return Setup(settings.model_copy(update=sections))


def _rests(rule: Rule) -> Iterator[Variant]:
    """Yield other ways from scores to alerts."""
    yield Variant("rests", "every reading at the level is an alert", DEFAULT, replace(rule, has_rests=False))
    yield Variant("rests", "no alert in a rest, however rare", DEFAULT, replace(rule, has_rarer=False))
    for factor, text in ((0.5, "half as long"), (2.0, "twice as long")):
        yield Variant("rests", f"rests {text}", DEFAULT, replace(rule, detection=rested(rule.detection, factor)))


def rested(detection: DetectionSettings, factor: float) -> DetectionSettings:
    """Return settings with rests that are so many times as long.

    Example:
        >>> found = rested(DetectionSettings(), 2.0)
        >>> found.rest_share, found.n_rest, found.n_rest_most
        (0.11, 50, 900)
    """
    lengths = {name: max(1, round(factor * getattr(detection, name))) for name in ("n_rest", "n_rest_most")}
    return detection.model_copy(update={"rest_share": min(1.0, factor * detection.rest_share), **lengths})


def judged(variant: Variant, corpus: Corpus, profiles: Sequence[Profile], runs: Mapping[int, Sequence[Scored]]) -> Row:
    """Judge a variant as NAB does, each run at the level that is best for it.

    Args:
        variant: The variant.
        corpus: What an alert at each row is worth.
        profiles: Weights.
        runs: Scored files of the variant's own setup, by seed.
    """
    scored = {seed: variant.rule.scored(files) for seed, files in runs.items()}
    names = [str(number) for number in range(len(corpus.files))]
    return Row(variant, evaluate_nab(names, corpus, scored, profiles, variant.rule.raise_alerts).profiles)
