"""``foretell bridge``: from a broker to the ingest log."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def bridge(
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration file; 'foretell init' writes one.")],
) -> None:
    """Write the readings of an MQTT broker to the ingest log that 'foretell scale' scores, until stopped.

    Example: foretell bridge -c configs/edge.yaml

    A message is acknowledged once its segment is in place; what is killed meanwhile comes again, and counts once.
    SIGTERM or Ctrl-C writes what has arrived and exits with 0. 'foretell status' tells how it is.
    """
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.logs import configure_logging

    settings = load_settings(config)
    configure_logging(settings.runtime.log_level, sys.stdout)

    from pipeline.runtime.signals import run_until_signalled
    from pipeline.scaleout.bridge import Bridge

    run_until_signalled(Bridge(settings))
