"""``foretell bench``: what the engine does in a second, as a ratio to a bare LSTM loop."""

from pathlib import Path
from typing import Annotated

import typer


def bench(
    json_out: Annotated[Path | None, typer.Option("--json", help="Also write the results to this file.")] = None,
) -> None:
    """Measure readings per second beside a bare LSTM cell loop, on one core.

    Example: foretell bench --json bench.json
    """
    import json

    from rich.console import Console
    from rich.table import Table

    from pipeline.evaluate.bench import Result, bench_engine

    console = Console()
    table = Table(title="Engine, everything on but fine-tuning, one core")
    for heading in ("streams", "network per", "readings/s", "bare LSTM loop/s", "ratio"):
        table.add_column(heading, justify="right")

    def add(result: Result) -> None:
        rates = (f"{result.readings_per_s:,.0f}", f"{result.bare_per_s:,.0f}")
        table.add_row(f"{result.n_streams:,}", result.sharing, *rates, f"{result.ratio:.0%}")

    with console.status("measuring, about a minute …"):
        results = bench_engine(add)
    console.print(table)
    if json_out is not None:
        json_out.write_text(json.dumps([result.as_dict() for result in results], indent=2) + "\n", encoding="utf-8")
