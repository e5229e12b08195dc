"""``foretell evaluate nab``: the Numenta Anomaly Benchmark, scored as its own scorer does."""

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.evaluate_common import Config, JsonOut, data_folder, each_alone, progress_bar, tables
from pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from pipeline.core.settings import Settings
    from pipeline.evaluate.nab_corpus import NabFiles

_N_SEEDS, _N_SEEDS_OF_ABLATION = 5, 1


def nab(
    files: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Only these: name, folder, or a pattern with *.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, max=100, help="Run with so many seeds; default: 5, with --ablation 1.")
    ] = None,
    config: Config = None,
    json_out: JsonOut = None,
    plot: Annotated[Path | None, typer.Option(metavar="OUT", help="Draw score over false alarms: .png.")] = None,
    results: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the first seed's alerts for NAB's own scorer.")
    ] = None,
    *,
    published: Annotated[bool, typer.Option("--published", help="Only score the published detectors.")] = False,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Score the detector with each part left out or changed.")
    ] = False,
) -> None:
    """Measure detection on the Numenta Anomaly Benchmark: windows met, false alarms, score of its three profiles.

    Example: foretell evaluate nab --seeds 2 --files realKnownCause --json nab.json

    Every stream has a network of its own, and no run knows a label. As NAB's own search does, each run has its alert
    level chosen for each profile; figures at the engine's own level, and at a level chosen on other files, stand
    beside. The recordings are looked for in nab/ under the folder that FORETELL_DATA names (default: ../shared/data).
    """
    began = perf_counter()
    if ablation and (published or plot is not None or results is not None):
        raise UsageError("--ablation", "has a table and --json only", "leave --published, --plot and --results out")
    folder = data_folder("nab")

    from pipeline.evaluate.nab_corpus import read_nab, read_published
    from pipeline.evaluate.nab_files import check_results, write_alerts, write_figures, write_published
    from pipeline.runtime.configuration import load_settings

    settings = load_settings(config) if config else each_alone()
    check_results(json_out, plot, results)
    found = read_nab(folder, files or [], lambda line: typer.echo(f"foretell: {line}", err=True))
    if ablation:
        _ablate(found, settings, seeds or _N_SEEDS_OF_ABLATION, json_out)
        return
    others = read_published(folder, found)

    from pipeline.evaluate.nab_report import files_table, published_table, summary_lines, summary_table

    console = tables()
    n_windows = int(found.corpus.n_windows.sum())
    if published:
        write_published(json_out, others)
        console.print(published_table(others, n_windows))
        return

    from pipeline.evaluate.nab import evaluate_nab
    from pipeline.evaluate.nab_alerts import raise_alerts
    from pipeline.evaluate.nab_run import run_seeds

    all_seeds = range(settings.forecast.seed, settings.forecast.seed + (seeds or _N_SEEDS))
    with progress_bar(found.corpus.n_rows) as advance:
        runs = run_seeds(found.recordings, settings, all_seeds, lambda seed, n: advance(f"seed {seed}", n))
    evaluation = evaluate_nab(found.names, found.corpus, runs, found.profiles, raise_alerts, others)
    write_figures(evaluation, json_out, plot)
    if results is not None:
        write_alerts(results, found, evaluation, runs, raise_alerts)
    console.print(files_table(evaluation))
    if others:
        console.print(published_table(others, n_windows))
    console.print(summary_table(evaluation))
    for line in summary_lines(evaluation, perf_counter() - began):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _ablate(found: "NabFiles", settings: "Settings", n_seeds: int, json_out: Path | None) -> None:
    """Show and write what each part of the detector is worth."""
    from pipeline.evaluate.ablation_report import ablation_table
    from pipeline.evaluate.ablation_run import ablate
    from pipeline.evaluate.nab_files import write_ablation

    all_seeds = range(settings.forecast.seed, settings.forecast.seed + n_seeds)
    with progress_bar(found.corpus.n_rows) as advance:
        ablated = ablate(found, settings, all_seeds, advance)
    write_ablation(json_out, ablated)
    tables().print(ablation_table(ablated))
