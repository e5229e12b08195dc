"""``foretell evaluate``: how good it is, measured on recordings that anybody can get."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.core.settings import Settings
    from pipeline.evaluate.forecast import Evaluation

#: Where the public recordings are looked for when no file is named, and the suffixes that make one.
DATA, DEFAULT_DATA, NAB = "FORETELL_DATA", Path("../shared/data"), Path("nab/data")
SUFFIXES = frozenset({".csv", ".jsonl", ".ndjson", ".parquet"})

Files = Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="Recordings; default: all of NAB.")]
Limit = Annotated[int | None, typer.Option(min=1, metavar="ROWS", help="Only the first readings of each stream.")]
Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration file (YAML); default: all defaults.")
]
JsonOut = Annotated[Path | None, typer.Option("--json", metavar="OUT", help="Write all figures: .json.")]

evaluate = typer.Typer(help="Measure forecasts on recordings.", no_args_is_help=True, rich_markup_mode=None)


@evaluate.callback()
def group() -> None:
    """Measure forecasts on recordings."""


@evaluate.command()
def forecast(
    files: Files = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="All recordings under this folder.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Run with so many seeds, and average.")] = 1,
    limit: Limit = None,
    config: Config = None,
    json_out: JsonOut = None,
    plot: Annotated[Path | None, typer.Option(metavar="OUT", help="Draw the errors of every stream: .png.")] = None,
    *,
    peers: Annotated[bool, typer.Option("--peers", help="Also run river's models, and deep-river's LSTM.")] = False,
) -> None:
    """Measure one-step forecasts: each reading is foretold, then learnt from, beside baselines and other libraries.

    Example: foretell evaluate forecast --peers --json errors.json --plot errors.png

    Every stream has a network of its own. Without files it takes NAB's recordings from nab/data under the folder
    that the environment variable FORETELL_DATA names (default: ../shared/data). deep-river's LSTM needs an environment
    of its own: make peers.
    """
    began = perf_counter()
    chosen = _chosen(files or [], data)

    from pipeline.evaluate.forecast_files import check_results, write_results
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.replay_files import read_recordings

    settings = load_settings(config) if config else _each_alone()
    check_results(chosen, json_out, plot)
    recordings = read_recordings(chosen, lambda line: typer.echo(f"foretell: {line}", err=True))
    if not recordings:
        raise typer.Exit(2)

    from pipeline.evaluate.forecast import evaluate_forecasts

    sizes = [(len(recording.readings), len(recording.readings.names)) for recording in recordings]
    n_readings = sum(n if limit is None else min(n, limit * n_streams) for n, n_streams in sizes)
    with _progress(n_readings) as advance:
        found = evaluate_forecasts(recordings, settings, seeds, has_peers=peers, limit=limit, progress=advance)
    write_results(found, json_out, plot)
    _show(found, perf_counter() - began)
    if len(recordings) < len(chosen):
        raise typer.Exit(2)


@evaluate.command()
def sharing(
    files: Files = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Labelled windows as NAB writes them; default: NAB's own.")
    ] = None,
    limit: Limit = None,
    config: Config = None,
    json_out: JsonOut = None,
) -> None:
    """Compare a network per stream, per kind and for the whole fleet: forecasts, detection, cost.

    Example: foretell evaluate sharing --json sharing.json

    All streams are watched at once. Kinds are those of the configuration, or families among NAB's recordings.
    """
    chosen = _chosen(files or [], None)
    if labels is None and not files:
        labels = _nab().parent / "labels" / "combined_windows.json"

    from pipeline.evaluate.forecast_files import check_results
    from pipeline.evaluate.sharing_files import read_windows, sharing_table, write_rows
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.replay_files import read_recordings

    settings = load_settings(config) if config else _each_alone()
    check_results(chosen, json_out, None)
    windows = read_windows(labels) if labels else {}
    recordings = read_recordings(chosen, lambda line: typer.echo(f"foretell: {line}", err=True))

    from pipeline.evaluate.forecast import first_readings
    from pipeline.evaluate.sharing import compare_sharing

    recordings = first_readings(recordings, limit)
    with _progress(sum(len(recording.readings) for recording in recordings)) as advance:
        rows = compare_sharing(recordings, settings, windows, advance)
    if json_out is not None:
        write_rows(json_out, rows)
    _console().print(sharing_table(rows))
    if len(recordings) < len(chosen):
        raise typer.Exit(2)


def _nab() -> Path:
    """Return where NAB's recordings are looked for."""
    return Path(os.environ.get(DATA, DEFAULT_DATA)) / NAB


def _chosen(files: list[Path], data: Path | None) -> list[Path]:
    """Return the recordings to read: those named, those of a folder, or NAB's."""
    if files and data is not None:
        raise UsageError("--data", "files are named as well", "give files or --data, not both")
    if files:
        return files
    if data is not None:
        return _recordings_in(data, f"--data {data}", "name a folder with .csv, .jsonl or .parquet files")
    folder = _nab()
    remedy = f"name files, give --data DIR, or set {DATA} to the folder that holds {NAB} (github.com/numenta/NAB)"
    return _recordings_in(folder, str(folder), remedy)


def _recordings_in(folder: Path, where: str, remedy: str) -> list[Path]:
    """Return the recordings under a folder, sorted."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise UsageError(where, "holds no recordings" if folder.is_dir() else "is no folder", remedy)
    return found


def _each_alone() -> "Settings":
    """Return the defaults, with a network for every stream however many there are."""
    from pipeline.core.settings import Settings

    return Settings.model_validate({"forecast": {"sharing": "stream"}})


@contextmanager
def _progress(n_readings: int) -> Iterator[Callable[[str, int], None]]:
    """Show a bar on stderr for each kind of work while the block runs, when that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:

        def advance(work: str, n: int) -> None:
            if work not in tasks:
                tasks[work] = bar.add_task(work, total=n_readings)
            bar.advance(tasks[work], n)

        yield advance


def _show(found: "Evaluation", took_s: float) -> None:
    """Print the tables and the key figures."""
    from pipeline.evaluate.forecast_report import own_table, peer_table, summary_lines

    console = _console()
    console.print(own_table(found))
    if found.peers:
        console.print(peer_table(found))
    for line in summary_lines(found, took_s):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _console() -> "Console":
    """Return where tables are printed: wide where nobody looks, so that no cell is folded."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=400)
