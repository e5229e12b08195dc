"""``foretell status``: how a running daemon is."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def status(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="The daemon's configuration file.")] = None,
    url: Annotated[str, typer.Option("--url", help="Or where it serves, such as http://127.0.0.1:9464.")] = "",
    ca_file: Annotated[str, typer.Option("--ca-file", help="Who signed the endpoint's certificate (PEM).")] = "",
    cert_file: Annotated[str, typer.Option("--cert-file", help="Our certificate and key (PEM).")] = "",
    user: Annotated[str, typer.Option("--user", help="User name.")] = "",
    password_file: Annotated[str, typer.Option("--password-file", help="File with the user's password.")] = "",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole document.")] = False,
) -> None:
    """Show how a running daemon or bridge is: state, lag, open episodes, what was rejected.

    Example: foretell status -c edge.yaml

    Exit code 0 when it is ready, 1 when it is not or nobody answers.
    """
    import json

    from pipeline.core.settings import Settings
    from pipeline.runtime.ask import Access, ask, endpoint_url
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.status_report import status_lines

    settings = load_settings(config) if config else Settings()
    base = (url or endpoint_url(settings)).rstrip("/")
    document = ask(f"{base}/status.json", Access(ca_file, cert_file, user, password_file))
    if as_json:
        typer.echo(json.dumps(document, indent=1))
    else:
        for line in status_lines(document):
            typer.echo(line)
    if not document.get("ready"):
        sys.exit(1)
