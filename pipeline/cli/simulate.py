"""``foretell simulate``: the demo's plant as a recording, with its planted faults listed."""

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="CSV file to write.")],
    days: Annotated[int, typer.Option(min=1, max=366, help="Simulated days, one reading each 5 minutes.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same file.")] = 1,
) -> None:
    """Write a recording of the demo's plant and list the faults planted in it.

    Example: foretell simulate --output plant.csv

    Fewer than five days hold no faults: scores need some 400 readings of a stream first.
    """
    from pipeline.runtime.simulation import iso, write_plant

    plant, faults = write_plant(output, seed, days)
    typer.echo(f"{output}: {plant.n_readings:,} readings of {len(plant.values)} streams, {len(faults)} planted faults")
    for fault in faults:
        span = f"{iso(plant.time_s(fault.start))} to {iso(plant.time_s(fault.end - 1))}"
        typer.echo(f"  {span}  {fault.stream}  {fault.kind}: {fault.story}")
