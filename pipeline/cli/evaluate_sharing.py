"""``foretell evaluate sharing``: what it costs and brings that streams share networks."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.evaluate_common import (
    Config,
    Files,
    JsonOut,
    Limit,
    chosen_recordings,
    each_alone,
    nab_recordings,
    progress_bar,
    tables,
)


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
    chosen = chosen_recordings(files or [], None)
    if labels is None and not files:
        labels = nab_recordings().parent / "labels" / "combined_windows.json"

    from pipeline.evaluate.forecast_files import check_results
    from pipeline.evaluate.labels import read_windows
    from pipeline.evaluate.sharing_files import sharing_table, write_rows
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.replay_files import read_recordings

    settings = load_settings(config) if config else each_alone()
    check_results(chosen, json_out, None)
    windows = read_windows(labels) if labels else {}
    recordings = read_recordings(chosen, lambda line: typer.echo(f"foretell: {line}", err=True))

    from pipeline.evaluate.forecast import first_readings
    from pipeline.evaluate.sharing import compare_sharing

    recordings = first_readings(recordings, limit)
    with progress_bar(sum(len(recording.readings) for recording in recordings)) as advance:
        rows = compare_sharing(recordings, settings, windows, advance)
    if json_out is not None:
        write_rows(json_out, rows)
    tables().print(sharing_table(rows))
    if len(recordings) < len(chosen):
        raise typer.Exit(2)
