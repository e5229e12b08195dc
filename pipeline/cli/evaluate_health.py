"""``foretell evaluate health``: how often clean sensors are called broken, and how fast broken ones are."""

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from pipeline.cli.evaluate_battery import Names, chosen
from pipeline.cli.evaluate_common import Config, JsonOut, progress_bar, tables


def health(
    streams: Annotated[int, typer.Option(min=1, max=10_000, help="Clean streams of each kind.")] = 100,
    faulty: Annotated[int, typer.Option(min=0, max=1000, help="Streams of each kind with each fault planted.")] = 50,
    kinds: Names = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other streams.")] = 1,
    days: Annotated[float, typer.Option(min=3, max=3650, help="Simulated length of every stream, days.")] = 30,
    step: Annotated[float, typer.Option(min=1, max=7200, help="Seconds between readings.")] = 300,
    config: Config = None,
    json_out: JsonOut = None,
) -> None:
    """Measure the health verdicts on generated streams of every kind, clean and with broken sensors.

    Example: foretell evaluate health --streams 100 --json health.json

    The detectors of verdicts alone, without networks: minutes where the battery takes hours. docs/health.md says what
    each verdict means.
    """
    began = perf_counter()

    from pipeline.core.settings import Settings
    from pipeline.evaluate.battery_files import check_results, write_results
    from pipeline.evaluate.battery_signals import KINDS
    from pipeline.runtime.configuration import load_settings

    chosen_kinds = chosen("--kinds", kinds, KINDS)
    check_results(json_out, None)
    settings = load_settings(config) if config else Settings()

    from pipeline.evaluate.health import broken_streams, clean_streams
    from pipeline.evaluate.health_report import Report, as_json, broken_table, clean_table, summary

    clean, broken = [], []
    with progress_bar(len(chosen_kinds)) as advance:
        for kind in chosen_kinds:
            clean.append(clean_streams(kind, streams, seed, step, days, settings))
            broken += broken_streams(kind, faulty, seed, step, days, settings) if faulty else []
            advance("kinds", 1)
    report = Report(clean, broken, seed, perf_counter() - began)
    write_results(json_out, as_json(report), None, _draw_nothing)
    console = tables()
    console.print(clean_table(report))
    if report.broken:
        console.print(broken_table(report))
    console.print(summary(report), markup=False, highlight=False, soft_wrap=True)


def _draw_nothing(_path: Path) -> None:
    """Stand for the picture that this command does not draw."""
