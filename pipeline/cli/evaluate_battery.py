"""``foretell evaluate battery``: false alarms and faults found, on generated streams where the truth is known."""

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from pipeline.cli.evaluate_common import Config, JsonOut, each_alone, progress_bar, tables
from pipeline.core.errors import UsageError

_DAY_S = 86_400.0

Names = Annotated[list[str] | None, typer.Option(metavar="NAME,...", help="Only these; default: all.")]


def battery(
    streams: Annotated[int, typer.Option(min=1, max=10_000, help="Clean streams of each kind.")] = 40,
    faulty: Annotated[int, typer.Option(min=0, help="How many of them have every fault planted.")] = 20,
    kinds: Names = None,
    faults: Names = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other streams.")] = 1,
    days: Annotated[float, typer.Option(min=3, max=3650, help="Simulated length of every stream, days.")] = 30,
    step: Annotated[float, typer.Option(min=1, max=7200, help="Seconds between readings.")] = 300,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Processes; default: one per core.")] = None,
    config: Config = None,
    json_out: JsonOut = None,
    plot: Annotated[Path | None, typer.Option(metavar="OUT", help="Draw all of it: .png.")] = None,
) -> None:
    """Measure false alarms against the promise, and which faults are found, on generated streams of every kind.

    Example: foretell evaluate battery --streams 100 --json battery.json --plot battery.png

    Thirteen kinds of sensor, each clean and with ten kinds of fault in several sizes. Every stream has a network of
    its own, fine-tuned as in replay. The same seed gives the same figures, however many processes there are.
    """
    began = perf_counter()

    from pipeline.evaluate.battery_faults import FAULTS
    from pipeline.evaluate.battery_files import check_results, write_results
    from pipeline.evaluate.battery_signals import KINDS
    from pipeline.runtime.configuration import load_settings

    chosen_kinds = chosen("--kinds", kinds, KINDS)
    chosen_faults = chosen("--faults", faults, FAULTS)
    check_results(json_out, plot)
    settings = load_settings(config) if config else each_alone()

    from pipeline.evaluate.battery import run_battery
    from pipeline.evaluate.battery_job import Plan
    from pipeline.evaluate.battery_plot import write_plot
    from pipeline.evaluate.battery_report import Report, as_json, delay_table, found_table, kinds_table, summary_lines
    from pipeline.evaluate.battery_summary import fault_rows, kind_rows

    plan = Plan(settings, chosen_kinds, chosen_faults, streams, min(faulty, streams), seed, step, days)
    with progress_bar(len(chosen_kinds) * streams) as advance:
        outcome = run_battery(plan, workers or os.cpu_count() or 1, advance)
    report = Report(
        kinds=kind_rows(outcome, _DAY_S / settings.detection.seconds_per_false_alarm),
        faults=fault_rows(outcome),
        promise=settings.detection.false_alarms_per_stream,
        n_readings=outcome.n_readings,
        seed=seed,
        took_s=perf_counter() - began,
    )
    write_results(json_out, as_json(report), plot, partial(write_plot, report=report))
    console = tables()
    console.print(kinds_table(report))
    if report.faults:
        console.print(found_table(report))
        console.print(delay_table(report))
    for line in summary_lines(report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def chosen(option: str, named: list[str] | None, known: Iterable[str]) -> list[str]:
    """Return the names chosen, each once, in the order of the known ones; all when none is named."""
    names = [name.strip() for text in named or [] for name in text.split(",")]
    every = list(known)
    unknown = [name for name in names if name not in every]
    if unknown:
        raise UsageError(option, f"{unknown[0] or 'nothing'} is none of them", f"name some of {', '.join(every)}")
    return [name for name in every if not names or name in names]
