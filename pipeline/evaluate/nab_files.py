"""The result files of an evaluation on NAB: figures as JSON, a picture, and alerts in NAB's own format.

Comes in: paths that the user gave, and an evaluation. Goes out: complete files, or one clear line about each that
cannot be.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.core.errors import ForetellError, UsageError
from pipeline.core.records import Bool
from pipeline.evaluate.ablation import Ablation
from pipeline.evaluate.ablation_report import ablation_json
from pipeline.evaluate.nab import NabEvaluation, Published
from pipeline.evaluate.nab_alerts import Decide, Scored
from pipeline.evaluate.nab_corpus import NabFiles
from pipeline.evaluate.nab_plot import write_plot
from pipeline.evaluate.nab_report import as_json, published_json
from pipeline.evaluate.nab_scorer import Rows
from pipeline.sinks.chart import check_chart_file
from pipeline.sinks.outfile import check_outfile, replacing


def check_results(json_out: Path | None, plot: Path | None, results: Path | None) -> None:
    """Refuse results that could not be written, before the long work starts.

    Raises:
        UsageError: A wrong suffix, an unwritable place, no folder, or matplotlib is missing.
    """
    if json_out is not None:
        check_outfile(json_out, (".json",), "--json")
    if plot is not None:
        check_chart_file(plot)
    if results is not None:
        try:
            results.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--results {results}", f"no folder: {error.strerror}", "name another folder") from None


def write_figures(found: NabEvaluation, json_out: Path | None, plot: Path | None) -> None:
    """Write figures and picture, as far as they are wanted.

    Raises:
        ForetellError: The disk is full or the folder went away.
    """
    with _told_plainly():
        if json_out is not None:
            _write_json(json_out, as_json(found))
        if plot is not None:
            write_plot(plot, found)


def write_published(json_out: Path | None, published: Sequence[Published]) -> None:
    """Write the standings of published detectors, if wanted.

    Raises:
        ForetellError: The disk is full or the folder went away.
    """
    if json_out is not None:
        with _told_plainly():
            _write_json(json_out, {"published": published_json(published)})


def write_ablation(json_out: Path | None, found: Ablation) -> None:
    """Write what each part is worth, if wanted.

    Raises:
        ForetellError: The disk is full or the folder went away.
    """
    if json_out is not None:
        with _told_plainly():
            _write_json(json_out, ablation_json(found))


def _write_json(path: Path, document: dict[str, Any]) -> None:
    with replacing(path) as draft:
        draft.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_alerts(
    folder: Path, files: NabFiles, found: NabEvaluation, runs: Mapping[int, Sequence[Scored]], decide: Decide
) -> None:
    """Write the first run's alerts as NAB's own scorer reads them: ``detector/folder/detector_name.csv``.

    There is a detector per profile, at the level that is best for that; ``anomaly_score`` is 1 where an alert is
    raised and 0 elsewhere, so that NAB's own search of a threshold finds these very alerts.

    Args:
        folder: NAB's ``results``, or another.
        files: What was run.
        found: The evaluation, for the levels.
        runs: Scored files by seed.
        decide: Raises alerts at a level.

    Raises:
        ForetellError: The disk is full, or the folder cannot be written to.
    """
    run = runs[found.seeds[0]]
    with _told_plainly():
        for judged in found.profiles:
            alerts = decide(run, judged.best[0].level or 0.0)
            for name, scored, rows, own in zip(files.names, run, files.corpus.files, alerts, strict=True):
                _write_file(folder / detector_name(judged.profile.name), name, scored, rows, own)


def detector_name(profile: str) -> str:
    """Return a name that NAB takes apart rightly: without ``_``, and no profile's name is in it.

    Example:
        >>> detector_name("reward_low_FP_rate")
        'foretellRewardLowFPRate'
    """
    return "foretell" + "".join(word[:1].upper() + word[1:] for word in profile.split("_"))


def _write_file(folder: Path, name: str, scored: Scored, rows: Rows, alerts: Bool) -> None:
    """Write one file's alerts beside its readings."""
    path = folder / Path(name).parent / f"{folder.name}_{Path(name).name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    times = [datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S") for time in scored.time.tolist()]
    labels = (rows.window >= 0).astype(int).tolist()
    with replacing(path) as draft, draft.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(("timestamp", "value", "anomaly_score", "label"))
        table.writerows(zip(times, scored.value.tolist(), alerts.astype(float).tolist(), labels, strict=True))


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Turn a failing disk into one line."""
    try:
        yield
    except OSError as error:
        raise ForetellError(f"results could not be written: {error.strerror}") from None
