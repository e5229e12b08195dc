"""``foretell simulate``: the demo's plant as a recording or to a broker, with its planted faults listed."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.core.errors import UsageError


def simulate(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="File to write: .csv, or messages as .jsonl or .parquet."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="Simulated days, one reading each 5 minutes.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same readings.")] = 1,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="NAME@TIME", help="Plant this fault then, and no others; may be repeated."),
    ] = None,
    start: Annotated[str, typer.Option(help="Time of the first reading: ISO 8601, or now.")] = "",
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="OUT", help="Write the planted faults: .json.")
    ] = None,
    to_broker: Annotated[str, typer.Option("--to-broker", metavar="URL", help="Publish: HOST:PORT, mqtts://...")] = "",
    speed: Annotated[str, typer.Option(help="Pace to a broker: 1, 60, ... times real time, or max.")] = "60",
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Configuration with user and certificates of the broker.")
    ] = None,
    *,
    no_faults: Annotated[bool, typer.Option("--no-faults", help="Leave the plant in good health.")] = False,
) -> None:
    """Write a recording of the demo's plant, or publish it, and list the faults planted in it.

    Example: foretell simulate --output plant.csv --truth truth.json

    foretell simulate --to-broker 127.0.0.1:1883 --speed 60 --fault door_ajar@7d --fault surge@8.5d

    Fewer than five days hold no faults unless they are named: scores need some 400 readings of a stream first.
    """
    if (output is None) == (not to_broker):
        raise UsageError("--output", "the readings go to one of --output and --to-broker", "write one of them")
    if no_faults and fault:
        raise UsageError("--no-faults", "contradicts --fault", "leave one out")
    from pipeline.runtime.simulation import (
        START_S,
        plant_text,
        recent_start_s,
        simulated,
        time_in,
        write_plant,
        write_truth,
    )

    try:
        start_s = time_in(start) if start else recent_start_s(days) if to_broker else START_S
    except ValueError:
        raise UsageError(f"--start {start}", "is no time", "write ISO 8601, such as 2026-01-05T00:00, or now") from None
    plant = simulated(seed, days, start_s, [] if no_faults else fault or None)
    if truth is not None:
        write_truth(plant, seed, truth)
    if output is not None:
        write_plant(plant, output)
        typer.echo(plant_text(plant, str(output)))
    else:
        from pipeline.cli.publish import publish
        from pipeline.runtime.simulation import messages_of_plant

        typer.echo(plant_text(plant, to_broker))
        publish(messages_of_plant(plant), to_broker, speed, config)
