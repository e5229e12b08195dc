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


@scale.command("fine-tune")
def fine_tune(
    config: Config,
    rounds: Annotated[int, typer.Option(min=1, max=10_000, help="Fine-tunes after each other.")] = 16,
    streams: Annotated[int, typer.Option(min=1, max=100_000, help="Streams to learn from, drawn anew.")] = 256,
) -> None:
    """Train the network of all shards on the end of the log; what passes the gate is in force from there on.

    Example: foretell scale fine-tune -c configs/scale.yaml --rounds 32

    The job takes new networks up at the next segment, running or not. Run this by a timer, as often as the process
    changes; it takes one core and no Spark.
    """
    from pipeline.runtime.configuration import load_settings
    from pipeline.scaleout.fine_tune import fine_tune as train
    from pipeline.scaleout.folders import Folders, check_settings

    settings = load_settings(config)
    check_settings(settings)
    done = train(settings, Folders.of(settings), rounds, streams)
    said = ", ".join(f"{n} {outcome}" for outcome, n in done.outcomes.items() if n)
    result = f"in force from position {done.since:,} on" if done.name else "none in force"
    typer.echo(f"{done.n_readings:,} readings of {done.n_streams:,} streams; rounds: {said}; {result}")


@scale.command("import-state")
def import_state(
    config: Config,
    source: Annotated[Path, typer.Option("--from", metavar="DIR", help="State folder of a daemon that is stopped.")],
) -> None:
    """Begin a job with what a daemon has learnt; its streams shared one network, its windows were as long.

    Example: foretell scale import-state -c configs/scale.yaml --from /var/lib/foretell
    """
    from pipeline.runtime.configuration import load_settings
    from pipeline.scaleout.folders import Folders, check_settings
    from pipeline.scaleout.stores import import_state as take

    settings = load_settings(config)
    check_settings(settings)
    n_streams, n_shards = take(source, settings, Folders.of(settings))
    typer.echo(f"{n_streams:,} streams in {n_shards:,} shards; start the job with: foretell scale run -c {config}")


@scale.command("export-state")
def export_state(
    config: Config,
    target: Annotated[Path, typer.Option("--to", metavar="DIR", help="State folder to write: a daemon's store.path.")],
    match: Annotated[str, typer.Option(help="Streams to hand over, as a pattern with * and ?; default: all.")] = "*",
) -> None:
    """Hand streams of a job that is stopped back to a daemon, with all that was learnt.

    Example: foretell scale export-state -c configs/scale.yaml --to /var/lib/foretell --match 'plant-3/*'
    """
    settings = _settings(config)
    from pipeline.scaleout.folders import Folders
    from pipeline.scaleout.handover import join
    from pipeline.scaleout.spark.state import read_shards
    from pipeline.scaleout.stores import export_state as give

    n_streams = give(target, join(read_shards(settings, Folders.of(settings)), settings, match))
    typer.echo(f"{n_streams:,} streams in {target}; forecast.sharing and streams.window_len must be the job's")


@scale.command()
def repartition(
    config: Config,
    partitions: Annotated[int, typer.Argument(metavar="N", min=1, max=4096, help="Partitions from now on.")],
) -> None:
    """Lay the state of a job that is stopped out for another number of cores.

    Example: foretell scale repartition -c configs/scale.yaml 16
    """
    settings = _settings(config)
    from pipeline.scaleout.folders import Folders
    from pipeline.scaleout.spark.state import repartition as lay_out

    lay_out(settings, Folders.of(settings), partitions)
    typer.echo(f"{partitions} partitions; set scale.partitions: {partitions} in {config}")


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
