"""``foretell alerts ack|false|true|expected|silence|undo``: what an operator says of an alert, to a running daemon."""

from pathlib import Path
from typing import Annotated

import typer

Id = Annotated[
    str, typer.Argument(metavar="ID", help="Id of an alert or incident, or its beginning: four characters at least.")
]
Config = Annotated[Path | None, typer.Option("--config", "-c", help="The daemon's configuration file.")]
Until = Annotated[str, typer.Option("--until", help="Until when: 2h, 3d, or 2026-03-01T10:00:00Z.")]
By = Annotated[str, typer.Option("--by", help="Who says so; the user's name by default.")]
Note = Annotated[str, typer.Option("--note", help="Why, in a few words.")]


def access(
    context: typer.Context,
    url: Annotated[str, typer.Option("--url", help="Where the daemon serves, instead of what -c says.")] = "",
    token_file: Annotated[str, typer.Option("--token-file", help="File with the token, instead of what -c says.")] = "",
    ca_file: Annotated[str, typer.Option("--ca-file", help="Who signed the endpoint's certificate (PEM).")] = "",
    cert_file: Annotated[str, typer.Option("--cert-file", help="Our certificate and key (PEM).")] = "",
    user: Annotated[str, typer.Option("--user", help="User name.")] = "",
    password_file: Annotated[str, typer.Option("--password-file", help="File with the user's password.")] = "",
) -> None:
    """List alerts, show one with its picture, or say something of one."""
    context.obj = (url, token_file, (ca_file, cert_file, user, password_file))


def ack(context: typer.Context, episode: Id, config: Config = None, by: By = "", note: Note = "") -> None:
    """Say that somebody has seen an alert.

    Example: foretell alerts ack 61b0f2c4 -c edge.yaml --note "ann is on her way"
    """
    _say(context, {"word": "ack", "id": episode}, config, by, note)


def false(context: typer.Context, episode: Id, config: Config = None, by: By = "", note: Note = "") -> None:
    """Say that an alert was a false alarm: for some days its like is held back, unless it is more surprising.

    Example: foretell alerts false 61b0f2c4 -c edge.yaml
    """
    _say(context, {"word": "false", "id": episode}, config, by, note)


def true(context: typer.Context, episode: Id, config: Config = None, by: By = "", note: Note = "") -> None:
    """Say that an alert was right; ends what an earlier 'false' holds back.

    Example: foretell alerts true 61b0f2c4 -c edge.yaml
    """
    _say(context, {"word": "true", "id": episode}, config, by, note)


def expected(
    context: typer.Context, episode: Id, until: Until, config: Config = None, by: By = "", note: Note = ""
) -> None:
    """Say that what an alert tells goes on until then, and is known: its stream's alerts are held back.

    Example: foretell alerts expected 61b0f2c4 --until 2h -c edge.yaml --note defrosting
    """
    _say(context, {"word": "expected", "id": episode, "until": until}, config, by, note)


def silence(
    context: typer.Context,
    match: Annotated[str, typer.Argument(metavar="MATCH", help="Streams or devices, as a pattern with * and ?.")],
    until: Until,
    config: Config = None,
    by: By = "",
    note: Note = "",
) -> None:
    """Hold back all alerts of some streams or devices until then; what is still open is told afterwards.

    Example: foretell alerts silence 'plant/press-*' --until 4h -c edge.yaml --note maintenance
    """
    _say(context, {"word": "silence", "match": match, "until": until}, config, by, note)


def undo(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="ID", help="Id of the word; of an alert: what was said of it last.")],
    config: Config = None,
    by: By = "",
    note: Note = "",
) -> None:
    """Take back what was said.

    Example: foretell alerts undo 61b0f2c4 -c edge.yaml
    """
    _say(context, {"word": "undo", "id": key}, config, by, note)


def print_list(context: typer.Context, config: Path) -> None:
    """Print the alerts that a running daemon remembers."""
    from pipeline.cli.evaluate_common import tables
    from pipeline.runtime.ask import Access, ask, endpoint_url
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.word_shown import list_table, silence_lines

    url, _, access_parts = context.obj
    base = (url or endpoint_url(load_settings(config))).rstrip("/")
    document = ask(f"{base}/alerts.json", Access(*access_parts))
    console = tables()
    console.print(list_table(document, console.width))
    for line in silence_lines(document):
        typer.echo(line)


def _say(context: typer.Context, said: dict[str, str], config: Path | None, by: str, note: str) -> None:
    """Say it, and print what became of it."""
    from getpass import getuser

    from pipeline.core.settings import Settings
    from pipeline.runtime.ask import Access, endpoint_url, tell
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.operator_token import token_of
    from pipeline.runtime.word_shown import answer_lines

    url, token_file, access_parts = context.obj
    settings = load_settings(config) if config else Settings()
    base = (url or endpoint_url(settings)).rstrip("/")
    token = token_of(settings, token_file)
    said |= {"by": by or getuser()} | ({"note": note} if note else {})
    for line in answer_lines(tell(f"{base}/alerts/words", Access(*access_parts), token, said)):
        typer.echo(line)
