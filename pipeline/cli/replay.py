"""``foretell replay``: recordings through the engine, the scores to a file, the episodes to the terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from pipeline.runtime.replay import ReplayResult


def replay(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="Recordings: of readings or of messages.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option("--scores", metavar="OUT", help="Write one row per reading: .csv or .parquet.")
    ] = None,
    alerts: Annotated[
        Path | None, typer.Option("--alerts", metavar="OUT", help="Write the alerts, one per line: .jsonl.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Configuration file (YAML); default: all defaults.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="OUT", help="Draw the strongest episode: .png.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="OUT", help="Write an interactive report: one .html file.")
    ] = None,
    stream: Annotated[str | None, typer.Option(help="Stream to draw; default: the one with the highest peak.")] = None,
    to_broker: Annotated[
        str, typer.Option("--to-broker", metavar="URL", help="Publish instead: HOST:PORT, mqtt://..., mqtts://...")
    ] = "",
    alert: Annotated[
        str, typer.Option("--alert", metavar="ID", help="Take a decision of the daemon of -c again, from its store.")
    ] = "",
    speed: Annotated[
        str, typer.Option(help="Pace to a broker: 1, 60, ... times as it came; scoring is always max.")
    ] = "max",
) -> None:
    """Run recordings through the engine as if they arrived now, and list the episodes.

    Example: foretell replay pump.csv tank.csv --scores scores.csv --plot pump.png

    Separators, times and layout are recognised: timestamp,value is one stream named after the file; a wide file is
    one stream per numeric column; a stream, sensor or device column names the streams of a long one. Recordings of
    messages ('foretell record') are decoded by the topics they were recorded with, or those of -c. The same recordings
    give the same scores, byte for byte.

    foretell replay live.jsonl --to-broker 127.0.0.1:1883 --speed 60 publishes instead of scoring: messages as they
    were, rows of tables as sensors/STREAM {"time": ..., "value": ...}. Event times stay those of the recording.

    foretell replay --alert 61b0f2c4 -c edge.yaml takes the decision behind an alert again, from the daemon's own
    snapshot and journal, and says whether it comes out the same to the last bit (else exit code 1).

    Exit code 2 when a file could not be read; the others are still worked on.
    """
    began = perf_counter()
    if not files or alert:
        _take_again(alert, config, has_files=bool(files))
        return
    if to_broker:
        _publish(files, to_broker, speed, config, is_scored=any((scores, alerts, plot, stream)))
        return
    if speed != "max":
        raise UsageError("--speed", "paces what goes to a broker", "add --to-broker HOST:PORT, or leave it out")
    if stream is not None and plot is None:
        raise UsageError("--stream", "chooses what --plot draws", "add --plot OUT.png, or leave it out")

    from pipeline.core.settings import Settings
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.replay_files import Outputs, check_outputs, check_stream, read_recordings, write_results

    settings = load_settings(config) if config else Settings()
    outputs = Outputs(scores, alerts, plot)
    check_outputs(files, outputs)
    if report is not None:
        _check_report(report, files)
    recordings = read_recordings(files, _complain, settings if config else None)
    if not recordings:
        raise typer.Exit(2)
    if stream is not None:
        check_stream(stream, recordings)

    from pipeline.runtime.replay import replay as run

    with _progress(sum(len(recording.readings) for recording in recordings)) as advance:
        result = run(recordings, settings, advance)
    write_results(result, outputs, settings, stream)
    if report is not None:
        from pipeline.runtime.replay_report import summary
        from pipeline.web.report import write_report

        write_report(report, result, settings, summary(result))
    _report(result, perf_counter() - began)
    if len(recordings) < len(files):
        raise typer.Exit(2)


def _take_again(episode: str, config: Path | None, *, has_files: bool) -> None:
    """Take a decision of a daemon again, show it, and say whether it is the same."""
    if not episode:
        raise UsageError("FILE", "is missing", "name recordings, or a decision of a daemon: --alert ID -c edge.yaml")
    if config is None or has_files:
        raise UsageError("--alert", "is about a daemon's own store", "give its configuration with -c, and no files")
    from rich.console import Console

    from pipeline.runtime.alert_reading import parsed
    from pipeline.runtime.alert_replay import retake
    from pipeline.runtime.alert_shown import shown
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.state_folder import state_folder

    folder = state_folder(load_settings(config).store.path)
    if folder is None:
        raise UsageError("store.path", "is none: this daemon keeps nothing", "name a folder")
    retaken = retake(folder, episode)
    seen = parsed(retaken.alert)
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=100, highlight=False)
    if seen is not None:
        console.print(shown([seen], console.width))
    begin = "the snapshot before it" if retaken.has_snapshot else "the first reading on"
    same = "the same to the last bit" if retaken.is_same else "NOT the same: other code, libraries or settings"
    typer.echo(f"from {begin} and {retaken.n_entries} journal entries: {same}")
    if not retaken.is_same:
        raise typer.Exit(1)


def _publish(files: list[Path], url: str, speed: str, config: Path | None, *, is_scored: bool) -> None:
    """Publish recordings instead of scoring them."""
    if is_scored:
        raise UsageError("--to-broker", "publishes and scores nothing", "leave --scores, --alerts and --plot out")
    from pipeline.cli.publish import publish
    from pipeline.runtime.replay_broker import messages_of

    publish(messages_of(files, _complain), url, speed, config)


def _complain(line: str) -> None:
    typer.echo(f"foretell: {line}", err=True)


def _check_report(report: Path, files: list[Path]) -> None:
    """Refuse a report that could not be written."""
    from pipeline.web.report import check_report_file

    if report.resolve() in {file.resolve() for file in files}:
        raise UsageError(f"--report {report}", "is one of the recordings", "name another file")
    check_report_file(report)


@contextmanager
def _progress(n_readings: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr while the block runs, when that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("replaying"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("replaying", total=n_readings)
        yield lambda n: bar.advance(task, n)


def _report(result: "ReplayResult", took_s: float) -> None:
    """Print the episodes, the health verdicts and one line of summary."""
    from rich.console import Console

    from pipeline.runtime.replay_report import episode_table, summary
    from pipeline.runtime.replay_verdicts import verdict_table, verdicts_held

    console = Console()
    if not console.is_terminal:
        console = Console(width=400)
    if result.episodes:
        console.print(episode_table(result.episodes, console.width))
    if held := verdicts_held(result.steps.health_events):
        console.print(verdict_table(held))
    console.print(summary(result, took_s), markup=False, highlight=False, soft_wrap=True)
