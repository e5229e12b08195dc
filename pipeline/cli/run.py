"""``foretell run``: the daemon in the foreground."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def run(
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration file; 'foretell init' writes one.")],
) -> None:
    """Watch the sensors of an MQTT broker: metrics, JSON log lines and alerts, until stopped.

    Example: foretell run -c configs/edge.yaml

    SIGHUP reads the configuration again: budget, rests and other decisions change at once, the rest needs a restart.
    SIGTERM or Ctrl-C scores what has arrived, sends pending alerts and exits with 0.
    """
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.heap import keep_little
    from pipeline.runtime.logs import configure_logging

    keep_little()
    settings = load_settings(config)
    configure_logging(settings.runtime.log_level, sys.stdout)

    from pipeline.runtime.daemon import Daemon
    from pipeline.runtime.signals import run_until_signalled
    from pipeline.runtime.state_folder import open_store
    from pipeline.web.page import StatusPage

    page = StatusPage(settings) if settings.page.enabled else None
    with open_store(settings.store) as store:
        run_until_signalled(Daemon(settings, store=store, reload=lambda: load_settings(config), onlooker=page))
