"""``foretell alerts``: lists alerts of a file, the standard input or a daemon, draws one, and says something of one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import alert_words
from pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

alerts = typer.Typer(
    help="List alerts, show one with its picture, or say something of one.",
    no_args_is_help=True,
    callback=alert_words.access,
)
for _word in (
    alert_words.ack,
    alert_words.false,
    alert_words.true,
    alert_words.expected,
    alert_words.silence,
    alert_words.undo,
):
    alerts.command()(_word)

From = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Alerts as JSON lines, as replay --alerts writes them; - for stdin."),
]


@alerts.command("list")
def list_alerts(
    context: typer.Context,
    source: From = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Configuration of a running daemon, to ask it instead.")
    ] = None,
) -> None:
    """List the episodes, oldest first, each with its id; of a daemon with what operators said of them.

    Example: foretell alerts list --from alerts.jsonl

    Of a running daemon: foretell alerts list -c edge.yaml
    """
    if config is not None:
        alert_words.print_list(context, config)
        return
    from pipeline.cli.evaluate_common import tables
    from pipeline.runtime.alert_input import STDIN, lines_from
    from pipeline.runtime.alert_reading import alerts_in
    from pipeline.runtime.alert_shown import alert_table

    path = _named(source)
    found, n_bad = alerts_in(lines_from(path), "stdin" if path == STDIN else str(path))
    console = tables()
    console.print(alert_table(found, console.width))
    if n_bad:
        lines = "line that holds" if n_bad == 1 else "lines that hold"
        typer.echo(f"foretell: left out {n_bad} {lines} no alert", err=True)


@alerts.command()
def show(
    episode: Annotated[
        str, typer.Argument(metavar="ID", help="Id of an episode, or its beginning; - shows each alert as it arrives.")
    ],
    source: From = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="OUT", help="Draw it into a file as well: .png.")
    ] = None,
) -> None:
    """Show one alert: what happened in plain words, and the readings around it.

    Example: foretell alerts show 61b0f2c4 --from alerts.jsonl

    Live: mosquitto_sub -t 'foretell/home/alert/#' | foretell alerts show -
    """
    from pipeline.runtime.alert_input import STDIN, lines_from
    from pipeline.runtime.alert_reading import alerts_in, chosen
    from pipeline.runtime.alert_shown import check_picture, draw, shown

    if plot is not None:
        check_picture(plot)
    if episode == "-":
        _follow(source, plot)
        return
    path = _named(source)
    group = chosen(alerts_in(lines_from(path), "stdin" if path == STDIN else str(path))[0], episode)
    console = _console()
    console.print(shown(group, console.width))
    if plot is not None:
        draw(group, plot)


def _follow(source: Path | None, plot: Path | None) -> None:
    """Show each alert as it arrives."""
    from pipeline.runtime.alert_input import STDIN, lines_from
    from pipeline.runtime.alert_reading import parsed
    from pipeline.runtime.alert_shown import draw, shown

    console = _console()
    for line in lines_from(source or STDIN):
        seen = parsed(line)
        if seen is not None:
            console.print(shown([seen], console.width))
            console.rule(style="dim")
            if plot is not None and seen.evidence is not None:
                draw([seen], plot)


def _console() -> "Console":
    """Return where an alert is shown."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=100, highlight=False)


def _named(source: Path | None) -> Path:
    """Return where to read from."""
    if source is None:
        remedy = "give a file that replay --alerts wrote, - for the standard input, or the daemon's -c FILE"
        raise UsageError("--from", "is missing", remedy)
    return source
