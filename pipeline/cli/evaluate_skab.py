"""``foretell evaluate skab``: changes on a test bed with eight sensors, beside blind alerts."""

from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from pipeline.cli.evaluate_common import Config, JsonOut, data_folder, each_alone, progress_bar, tables


def skab(
    files: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Only these experiments: valve1/3, or a pattern with *.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Run with so many seeds.")] = 5,
    config: Config = None,
    json_out: JsonOut = None,
    plot: Annotated[Path | None, typer.Option(metavar="OUT", help="Draw the first seed's alerts: .png.")] = None,
) -> None:
    """Measure changepoint detection on the Skoltech Anomaly Benchmark, beside as many blind alerts.

    Example: foretell evaluate skab --seeds 2 --json skab.json

    All sensors of a run make one device. The first 400 rows of every run are clean and not judged. Experiments are
    looked for in skab/ under the folder that FORETELL_DATA names (default: ../shared/data).
    """
    began = perf_counter()
    folder = data_folder("skab")

    from pipeline.evaluate.battery_files import check_results, write_results
    from pipeline.evaluate.skab_files import read_skab
    from pipeline.runtime.configuration import load_settings

    settings = load_settings(config) if config else each_alone()
    check_results(json_out, plot)
    experiments = read_skab(folder, files or [])

    from pipeline.evaluate.skab import evaluate_skab
    from pipeline.evaluate.skab_report import as_json, files_table, levels_table, strips, summary_lines
    from pipeline.evaluate.span_plot import write_strips

    all_seeds = range(settings.forecast.seed, settings.forecast.seed + seeds)
    with progress_bar(seeds * sum(map(len, experiments))) as advance:
        runs = evaluate_skab(experiments, settings, all_seeds, partial(advance, "experiments"))
    draw = partial(write_strips, strips=strips(experiments, runs[0]), axis="seconds since the begin")
    write_results(json_out, as_json(runs), plot, draw)
    console = tables()
    console.print(files_table(runs))
    console.print(levels_table(runs))
    for line in summary_lines(runs, perf_counter() - began):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
