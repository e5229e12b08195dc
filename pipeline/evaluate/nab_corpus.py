"""NAB's folder: recordings, labelled windows, profiles and published scores.

Comes in: the folder that holds ``data/``, ``labels/combined_windows.json``, ``profiles.json`` and perhaps
``published_scores/``. Goes out: a corpus, or one clear line about what is wrong with it. Refuses to know the engine.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from math import inf
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.core.records import F64
from pipeline.evaluate.labels import read_labels
from pipeline.evaluate.nab import Published, published_standing
from pipeline.evaluate.nab_scorer import Corpus, Profile, Rows, judge_rows
from pipeline.runtime.replay_files import read_recordings
from pipeline.sources.recording import Recording

LABELS, PROFILES, DATA, PUBLISHED = "labels/combined_windows.json", "profiles.json", "data", "published_scores"


@dataclass(frozen=True, slots=True)
class NabFiles:
    """NAB's files, or some of them.

    Attributes:
        names: ``folder/name.csv``, in the order of all other sequences.
        recordings: One stream each.
        corpus: What an alert at each row is worth.
        profiles: Weights.
    """

    names: Sequence[str]
    recordings: Sequence[Recording]
    corpus: Corpus
    profiles: Sequence[Profile]


def read_nab(folder: Path, patterns: Sequence[str], say: Callable[[str], None]) -> NabFiles:
    """Read recordings with their labels.

    Args:
        folder: NAB's.
        patterns: Files to take, as ``folder/name.csv`` or ``name``, ``*`` stands for anything; all when empty.
        say: Told one line for each kind of bad row.

    Raises:
        UsageError: A part of the folder is missing or malformed, or a pattern fits no file.
    """
    labels, profiles = read_labels(folder / LABELS), read_profiles(folder / PROFILES)
    _check_names(labels, str(folder / LABELS))
    names = _chosen(sorted(labels), patterns)
    recordings = read_recordings([folder / DATA / name for name in names], say)
    if len(recordings) < len(names):
        raise UsageError(str(folder / DATA), "not all labelled files can be read", f"get them whole, or mend {LABELS}")
    rows = [_judged(recording, labels[name]) for name, recording in zip(names, recordings, strict=True)]
    return NabFiles(names, recordings, Corpus(rows), profiles)


def _check_names(names: Collection[str], where: str) -> None:
    """Refuse labels of nothing, and names that lead out of the folder of recordings: results are named after them."""
    remedy = "name files as folder/name.csv"
    if not names:
        raise UsageError(where, "labels no file", remedy)
    for name in names:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise UsageError(where, f"{name} names no file below {DATA}", remedy)


def _chosen(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the files that any of the patterns fits."""
    fits = {pattern: [name for name in names if _fits(name, pattern)] for pattern in patterns}
    for pattern, own in fits.items():
        if not own:
            raise UsageError(f"--files {pattern}", "fits no labelled file", f"as name a part of {names[0]}, or use *")
    return [name for name in names if not patterns or any(name in own for own in fits.values())]


def _fits(name: str, pattern: str) -> bool:
    path = Path(name)
    return any(fnmatch(text, pattern) for text in (name, path.name, path.stem, path.parent.name))


def _judged(recording: Recording, windows: Sequence[tuple[float, float]]) -> Rows:
    """Lay the windows over a recording of one stream."""
    if len(recording.readings.names) != 1:
        raise UsageError(recording.path, "holds several streams", "NAB's files have the columns timestamp and value")
    try:
        return judge_rows(recording.readings.time, windows)
    except ValueError as error:
        raise UsageError(recording.path, f"does not fit its labels: {error}", f"mend {LABELS}") from None


def read_profiles(path: Path) -> list[Profile]:
    """Read weights by profile.

    Raises:
        UsageError: Not there, not JSON, or not of NAB's form.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        costs = {name: profile["CostMatrix"] for name, profile in found.items()}
        profiles = [
            Profile(name, float(cost["tpWeight"]), float(cost["fpWeight"]), float(cost["fnWeight"]))
            for name, cost in costs.items()
        ]
    except OSError as error:
        raise UsageError(str(path), f"cannot be read: {error.strerror}", "NAB's repository has it") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        profiles = []
    if not profiles or not all(0 < weight < inf for p in profiles for weight in (p.tp, p.fp, p.fn)):
        form = '{"standard": {"CostMatrix": {"tpWeight": 1.0, "fpWeight": 0.11, "fnWeight": 1.0}}}'
        raise UsageError(str(path), "holds no profiles", f"write them as {form}")
    return profiles


def read_published(folder: Path, files: NabFiles) -> list[Published]:
    """Read and score the detectors whose scores lie beside the recordings; none when there is no such folder.

    Raises:
        UsageError: Scores are missing for a file, or of another length.
    """
    return [_published(path, files) for path in sorted((folder / PUBLISHED).glob("*.npz"))]


def _published(path: Path, files: NabFiles) -> Published:
    try:
        with path.open("rb") as file, np.load(file) as archive:
            scores: list[F64] = [np.asarray(archive[name], np.float64) for name in files.names]
        return published_standing(path.stem, files.corpus, scores, files.profiles)
    except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise UsageError(str(path), f"does not fit the recordings: {error}", "remove it, or get it anew") from None
