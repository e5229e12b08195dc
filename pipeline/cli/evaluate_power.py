"""``foretell evaluate power``: which faults would be seen in a stream of one's own, how fast, and from what size on."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.evaluate_common import Config, JsonOut, each_alone, progress_bar, tables
from pipeline.core.errors import UsageError


def power(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording: CSV, JSON lines or Parquet.")],
    stream: Annotated[str | None, typer.Option(help="Only this stream; default: all of the file.")] = None,
    places: Annotated[int, typer.Option(min=2, max=200, help="Places at which every fault is planted.")] = 10,
    config: Config = None,
    json_out: JsonOut = None,
    plot: Annotated[Path | None, typer.Option(metavar="OUT", help="Draw one stream: .png.")] = None,
) -> None:
    """Plant known faults into the last half of a recording, and say which of them would be seen, and how fast.

    Example: foretell evaluate power pump.csv --stream pump/temperature --json power.json

    Spikes, level shifts, drifts, noise, a stuck sensor, a lost or late daily cycle, silence and a changed unit, in
    several sizes. Sizes count the typical error of the engine's own forecasts (sd), and are told in the sensor's unit.
    """
    from pipeline.evaluate.battery_files import check_results, write_results
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.replay_files import check_stream, read_recordings

    check_results(json_out, plot)
    settings = load_settings(config) if config else each_alone()
    recordings = read_recordings([file], lambda line: typer.echo(f"foretell: {line}", err=True))
    if not recordings:
        raise typer.Exit(2)
    if stream is not None:
        check_stream(stream, recordings)
    readings = recordings[0].readings
    chosen = [stream] if stream is not None else list(readings.names)
    if plot is not None and len(chosen) > 1:
        raise UsageError(f"--plot {plot}", f"the file holds {len(chosen)} streams", "choose one with --stream NAME")

    from pipeline.evaluate.power import power_of
    from pipeline.evaluate.power_report import as_json, power_table, summary_lines, write_plot

    found = []
    with progress_bar(places * len(chosen)) as advance:
        for name in chosen:
            rows = readings.stream == list(readings.names).index(name)
            time, value = readings.time[rows], readings.value[rows]
            found.append(power_of(name, time, value, settings, places, partial(advance, "planting")))
    write_results(json_out, as_json(found), plot, lambda path: write_plot(path, found[0]))
    console = tables()
    for own in found:
        console.print(power_table(own))
    for own in found:
        for line in summary_lines(own):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
