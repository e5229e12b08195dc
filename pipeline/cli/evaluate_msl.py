"""``foretell evaluate msl``: telemetry of a Mars rover, with its commands as context."""

from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from pipeline.cli.evaluate_common import Config, JsonOut, data_folder, each_alone, progress_bar, tables


def msl(
    files: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Only these channels: name, or a pattern with *.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Run with so many seeds.")] = 5,
    commands: Annotated[
        int, typer.Option(min=0, max=32, help="Commands that forecasters see, those that change most; 0 for none.")
    ] = 8,
    config: Config = None,
    json_out: JsonOut = None,
    plot: Annotated[Path | None, typer.Option(metavar="OUT", help="Draw the first seed's alerts: .png.")] = None,
) -> None:
    """Measure detection on Mars rover telemetry: anomalous sequences found, false alarms, F1.

    Example: foretell evaluate msl --seeds 2 --files 'M-*' --json msl.json

    The training part of a channel is streamed before its test part; nothing is trained beforehand. Channels and
    labels are looked for in msl/ under the folder that FORETELL_DATA names (default: ../shared/data).
    """
    began = perf_counter()
    folder = data_folder("msl")

    from pipeline.evaluate.battery_files import check_results, write_results
    from pipeline.evaluate.msl_files import read_msl
    from pipeline.runtime.configuration import load_settings

    settings = load_settings(config) if config else each_alone()
    check_results(json_out, plot)
    channels = read_msl(folder, files or [])

    from pipeline.evaluate.msl import evaluate_msl
    from pipeline.evaluate.msl_report import as_json, channels_table, strips, summary_lines
    from pipeline.evaluate.span_plot import write_strips

    all_seeds = range(settings.forecast.seed, settings.forecast.seed + seeds)
    with progress_bar(seeds * sum(map(len, channels))) as advance:
        runs = evaluate_msl(channels, settings, all_seeds, commands, partial(advance, "channels"))
    draw = partial(write_strips, strips=strips(channels, runs[0]), axis="reading of the test part")
    write_results(json_out, as_json(runs), plot, draw)
    console = tables()
    console.print(channels_table(runs))
    for line in summary_lines(runs, perf_counter() - began):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
