"""``foretell what-if``: the alerts that another false-alarm budget would have given."""

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.evaluate_common import JsonOut, progress_bar, tables
from pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from pipeline.core.settings import Settings
    from pipeline.runtime.what_if import Scored, WhatIf


def what_if(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Scores that replay --scores wrote, or recordings.")
    ],
    budget: Annotated[
        list[str], typer.Option("--budget", "-b", metavar="RATE", help="False alarms per stream; may be repeated.")
    ],
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Count only the last 7d, 12h, ... of them; default: all.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Configuration the scores were made with; default: defaults.")
    ] = None,
    json_out: JsonOut = None,
) -> None:
    """Show which alerts another budget would have given, per stream and week, and which are new or gone.

    Example: foretell what-if scores.csv --budget "1 per 7 days" --budget "1 per 90 days" --since 30d

    Scores do not depend on the budget: a scores file is decided on anew in seconds, a recording is replayed once.
    """
    from pipeline.evaluate.battery_files import check_results, write_results

    check_results(json_out, None)
    since_s = _checked(budget, since)

    from pipeline.core.settings import Settings
    from pipeline.runtime.configuration import load_settings

    settings = load_settings(config) if config else Settings()
    scored = _scored(files, settings, topics_of=settings if config else None)

    from pipeline.runtime.what_if import what_if as decide
    from pipeline.runtime.what_if_report import as_json

    found = decide(scored, settings.detection, budget, since_s)
    if not found.is_same:
        remedy = "give the configuration they were made with as --config"
        typer.echo(f"foretell: these scores were told with other settings; {remedy}", err=True)
    _print(found)
    write_results(json_out, as_json(found), None, lambda _: None)


def _checked(budgets: list[str], since: str | None) -> float:
    """Refuse wrong rates and durations before anything is read; return the seconds to look back."""
    from pipeline.core.durations import seconds_in
    from pipeline.core.rates import seconds_per_event

    for budget in budgets:
        try:
            seconds_per_event(budget)
        except ValueError as error:
            raise UsageError(f"--budget {budget}", "is no rate", f"it {error}") from None
    try:
        return seconds_in(since) if since is not None else math.inf
    except ValueError as error:
        raise UsageError(f"--since {since}", "is no duration", f"it {error}") from None


def _scored(files: list[Path], settings: "Settings", topics_of: "Settings | None") -> "Scored":
    """Return the scores of the files: read, or, of recordings, made by a replay."""
    from pipeline.runtime.what_if_files import is_scores_file, read_scores

    n_scores = sum(is_scores_file(path) for path in files)
    if n_scores == len(files):
        return read_scores(files)
    if n_scores:
        raise UsageError(str(files[0]), "scores files and recordings are mixed", "give the ones or the others")

    from pipeline.runtime.replay_files import read_recordings

    recordings = read_recordings(files, lambda line: typer.echo(f"foretell: {line}", err=True), topics_of)
    if len(recordings) < len(files):
        raise typer.Exit(2)

    from pipeline.runtime.replay import replay
    from pipeline.runtime.what_if import Scored

    with progress_bar(sum(len(recording.readings) for recording in recordings)) as advance:
        result = replay(recordings, settings, partial(advance, "replaying"))
    return Scored.of(result.readings, result.steps)


def _print(found: "WhatIf") -> None:
    """Print the counts, the changes and a line per budget."""
    from pipeline.runtime.what_if_report import change_table, count_table, summary

    console = tables()
    console.print(count_table(found))
    for outlook in found.outlooks:
        if outlook.new or outlook.gone:
            console.print(change_table(found, outlook))
    for line in summary(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
