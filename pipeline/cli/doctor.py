"""``foretell doctor``: does the delivery promise hold here?"""

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    config: Annotated[Path, typer.Option("--config", "-c", help="The daemon's configuration file.")],
) -> None:
    """Check configuration, clock, disk, and the broker with messages of our own; takes some ten seconds.

    Example: foretell doctor -c edge.yaml

    A running daemon is not disturbed. Exit code 2 when something would lose readings, with the setting to change.
    """
    from pipeline.runtime.configuration import load_settings

    settings = load_settings(config)

    import logging

    from pipeline.runtime.doctor import examine, is_healthy

    logging.getLogger("pipeline").setLevel(logging.CRITICAL)  # findings are printed, not logged
    logging.getLogger("paho").setLevel(logging.CRITICAL)
    findings = examine(settings)
    for finding in findings:
        typer.echo(f"{finding.kind:4}  {finding.text}")
        if finding.remedy:
            typer.echo(f"      -> {finding.remedy}")
    if not is_healthy(findings):
        raise typer.Exit(2)
    typer.echo("no reading is lost here, as far as can be seen from outside")
