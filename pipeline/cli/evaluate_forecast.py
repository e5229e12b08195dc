"""``foretell evaluate forecast``: how good one-step forecasts are, beside baselines and other libraries."""

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.evaluate_common import (
    Config,
    Files,
    JsonOut,
    Limit,
    chosen_recordings,
    each_alone,
    progress_bar,
    tables,
)

if TYPE_CHECKING:
    from pipeline.evaluate.forecast import Evaluation


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
    chosen = chosen_recordings(files or [], data)

    from pipeline.evaluate.forecast_files import check_results, write_results
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.replay_files import read_recordings

    settings = load_settings(config) if config else each_alone()
    check_results(chosen, json_out, plot)
    recordings = read_recordings(chosen, lambda line: typer.echo(f"foretell: {line}", err=True))
    if not recordings:
        raise typer.Exit(2)

    from pipeline.evaluate.forecast import evaluate_forecasts

    sizes = [(len(recording.readings), len(recording.readings.names)) for recording in recordings]
    n_readings = sum(n if limit is None else min(n, limit * n_streams) for n, n_streams in sizes)
    with progress_bar(n_readings) as advance:
        found = evaluate_forecasts(recordings, settings, seeds, has_peers=peers, limit=limit, progress=advance)
    write_results(found, json_out, plot)
    _show(found, perf_counter() - began)
    if len(recordings) < len(chosen):
        raise typer.Exit(2)


def _show(found: "Evaluation", took_s: float) -> None:
    """Print the tables and the key figures."""
    from pipeline.evaluate.forecast_report import own_table, peer_table, summary_lines

    console = tables()
    console.print(own_table(found))
    if found.peers:
        console.print(peer_table(found))
    for line in summary_lines(found, took_s):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
