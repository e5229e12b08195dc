"""What all commands of ``foretell evaluate`` share: options, where the public data lie, progress and tables."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.core.settings import Settings

#: Where the public data lie: the folder that the environment variable names, or the default; NAB's recordings in it.
DATA, DEFAULT_DATA, NAB = "FORETELL_DATA", Path("../shared/data"), Path("nab/data")
SUFFIXES = frozenset({".csv", ".jsonl", ".ndjson", ".parquet"})

Files = Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="Recordings; default: all of NAB.")]
Limit = Annotated[int | None, typer.Option(min=1, metavar="ROWS", help="Only the first readings of each stream.")]
Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration file (YAML); default: all defaults.")
]
JsonOut = Annotated[Path | None, typer.Option("--json", metavar="OUT", help="Write all figures: .json.")]


def data_folder(name: str) -> Path:
    """Return the folder of one public data set, ``nab``, ``msl`` or ``skab``.

    Raises:
        UsageError: It is not there.
    """
    folder = Path(os.environ.get(DATA, DEFAULT_DATA)) / name
    if not folder.is_dir():
        raise UsageError(str(folder), "is no folder", f"set {DATA} to the folder that holds {name}")
    return folder


def nab_recordings() -> Path:
    """Return where NAB's recordings are looked for."""
    return Path(os.environ.get(DATA, DEFAULT_DATA)) / NAB


def chosen_recordings(files: list[Path], data: Path | None) -> list[Path]:
    """Return the recordings to read: those named, those of a folder, or NAB's."""
    if files and data is not None:
        raise UsageError("--data", "files are named as well", "give files or --data, not both")
    if files:
        return files
    if data is not None:
        return recordings_in(data, f"--data {data}", "name a folder with .csv, .jsonl or .parquet files")
    folder = nab_recordings()
    remedy = f"name files, give --data DIR, or set {DATA} to the folder that holds {NAB} (github.com/numenta/NAB)"
    return recordings_in(folder, str(folder), remedy)


def recordings_in(folder: Path, where: str, remedy: str) -> list[Path]:
    """Return the recordings under a folder, sorted."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise UsageError(where, "holds no recordings" if folder.is_dir() else "is no folder", remedy)
    return found


def each_alone() -> "Settings":
    """Return the defaults, with a network for every stream however many there are."""
    from pipeline.core.settings import Settings

    return Settings.model_validate({"forecast": {"sharing": "stream"}})


@contextmanager
def progress_bar(n_readings: int) -> Iterator[Callable[[str, int], None]]:
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


def tables() -> "Console":
    """Return where tables are printed: wide where nobody looks, so that no cell is folded."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=400)
