"""The files of a replay: recordings in, scores, alerts and picture out.

Comes in: paths that the user gave. Goes out: recordings to run and result files, or one clear line
about each that cannot be. Refuses to know the engine and the terminal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import ForetellError, UsageError, printable
from pipeline.sinks.alert_file import check_alerts_file, write_alerts
from pipeline.sinks.chart import check_chart_file, strongest_stream, write_chart
from pipeline.sinks.scores import check_scores_file, write_scores
from pipeline.sources.message_files import message_header
from pipeline.sources.recording import Recording, read_recording
from pipeline.sources.recording_names import recording_labels

if TYPE_CHECKING:  # wrong usage is answered without loading the engine
    from pipeline.core.settings import Settings
    from pipeline.runtime.replay import ReplayResult


@dataclass(frozen=True, slots=True)
class Outputs:
    """The results of a replay that are wanted; None for those that are not.

    Attributes:
        scores: Scores file, ``.csv`` or ``.parquet``.
        alerts: Alerts file, ``.jsonl``.
        plot: Picture, ``.png``.
    """

    scores: Path | None = None
    alerts: Path | None = None
    plot: Path | None = None


def check_outputs(files: Sequence[Path], outputs: Outputs) -> None:
    """Refuse results that could not be written, before the long work starts.

    Args:
        files: The recordings; no result may replace one.
        outputs: The results wanted.

    Raises:
        UsageError: A result has a wrong suffix, an unwritable place or the name of a recording, or
            needs a library that is missing.
    """
    for option, path, check in (
        ("--scores", outputs.scores, check_scores_file),
        ("--alerts", outputs.alerts, check_alerts_file),
        ("--plot", outputs.plot, check_chart_file),
    ):
        if path is not None:
            if path.resolve() in {file.resolve() for file in files}:
                raise UsageError(f"{option} {path}", "is one of the recordings", "name another file")
            check(path)


def read_recordings(
    files: Sequence[Path], say: Callable[[str], None], settings: "Settings | None" = None
) -> list[Recording]:
    """Read what can be read; recordings of messages are decoded as the daemon would.

    Args:
        files: Paths in the order of the run.
        say: Told one line for each file that cannot be read, and for each kind of bad row.
        settings: Those whose topics count for messages; None for those that messages were recorded with.

    Returns:
        The recordings that could be read, in order.
    """
    recordings: list[Recording] = []
    seen: set[Path] = set()
    for path, label in zip(files, recording_labels(files), strict=True):
        if path.resolve() in seen:
            say(str(UsageError(str(path), "is named twice", "name each file once")))
            continue
        seen.add(path.resolve())
        try:
            recordings.append(_read(path, label, settings))
        except UsageError as error:
            say(str(error))
            continue
        for reason, bad in recordings[-1].bad.items():
            say(f"{printable(str(path))}: left out {bad.n} for {reason}, the first at {bad.first}")
    return recordings


def _read(path: Path, label: str, settings: "Settings | None") -> Recording:
    """Read one file of any kind.

    Raises:
        UsageError: It cannot be read.
    """
    header = message_header(path)
    if header is None:
        return read_recording(path, label)
    from pipeline.runtime.message_recording import decoded_recording

    return decoded_recording(path, header, settings)


def check_stream(stream: str, recordings: Sequence[Recording]) -> None:
    """Refuse to draw a stream that is not there.

    Raises:
        UsageError: No recording holds it; the message names the nearest.
    """
    names = [name for recording in recordings for name in recording.readings.names]
    if stream not in names:
        near = ", ".join(get_close_matches(stream, names, 3, cutoff=0.0))
        raise UsageError(f"--stream {stream}", "no recording holds this stream", f"the nearest are: {near}")


def write_results(result: "ReplayResult", outputs: Outputs, settings: "Settings", stream: str | None) -> None:
    """Write scores, alerts and picture, as far as they are wanted.

    Args:
        result: The replay.
        outputs: The results wanted.
        settings: The settings it ran with.
        stream: Stream to draw; None for the one with the strongest episode.

    Raises:
        ForetellError: The disk is full or the folder went away.
    """
    try:
        if outputs.scores is not None:
            write_scores(outputs.scores, result.readings, result.steps)
        if outputs.alerts is not None:
            from pipeline.runtime.incidents import Incidents

            told = Incidents(settings).gather(result.readings, result.steps)
            write_alerts(outputs.alerts, told.alerts, settings.site)
        if outputs.plot is not None:
            chosen = stream or strongest_stream(result.readings, result.steps)
            write_chart(outputs.plot, result.readings, result.steps, chosen)
    except OSError as error:
        raise ForetellError(f"results could not be written: {error.strerror}") from None
