"""``foretell scale``: the same engine on Spark, beyond one machine; assembles its commands."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.core.settings import Settings
    from pipeline.scaleout.figures import Figures

scale = typer.Typer(
    help="Score the ingest log with Spark, beyond one machine.", no_args_is_help=True, rich_markup_mode=None
)

Config = Annotated[Path, typer.Option("--config", "-c", help="Configuration file; configs/scale.yaml is one.")]


@scale.callback()
def group() -> None:
    """Score the ingest log with Spark, beyond one machine."""


@scale.command()
def run(config: Config) -> None:
    """Score what 'foretell bridge' writes, until stopped: scores, alerts, metrics.

    Example: foretell scale run -c configs/scale.yaml

    Scores and alerts go to FOLDER/live as Parquet, a folder for each batch; alerts to MQTT too. A job that was killed
    goes on where its last batch ended: nothing is lost, nothing counted twice.
    """
    settings = _settings(config)
    from pipeline.scaleout.spark.run import run_live

    _say(run_live(settings))


@scale.command()
def backfill(
    config: Config,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="DIR", help="Folder for scores, alerts and state; default: live.")
    ] = None,
) -> None:
    """Score the log as it is now, then end; nothing is published.

    Example: foretell scale backfill -c configs/scale.yaml --output rescored

    A folder of its own scores the whole history again; without one the live job's state is brought up to date.
    """
    settings = _settings(config)
    from pipeline.scaleout.spark.run import run_history

    _say(run_history(settings, output))


def _settings(config: Path) -> "Settings":
    """Read the configuration, and check that Spark's libraries are there."""
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.logs import configure_logging
    from pipeline.scaleout.needed import require_spark

    settings = load_settings(config)
    require_spark()
    configure_logging(settings.runtime.log_level, sys.stdout)
    return settings


def _say(figures: "Figures") -> None:
    typer.echo(f"{figures.n_readings:,} readings in {figures.n_batches:,} batches, {figures.n_alerts:,} alerts")
