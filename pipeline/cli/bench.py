"""``foretell bench``: what the engine does in a second and what decoding costs, each beside a yardstick of one run."""

from pathlib import Path
from typing import Annotated

import typer


def bench(
    json_out: Annotated[Path | None, typer.Option("--json", help="Also write the results to this file.")] = None,
) -> None:
    """Measure readings per second beside a bare LSTM cell loop, decoding beside json.loads, and what scrapes cost.

    Example: foretell bench --json bench.json
    """
    import json

    from rich.console import Console
    from rich.table import Table

    from pipeline.evaluate.bench import Result, bench_engine
    from pipeline.evaluate.bench_decode import bench_decode
    from pipeline.evaluate.bench_scrape import N_STREAMS, bench_scrape

    console = Console()
    table = Table(title="Engine, everything on but fine-tuning, one core")
    for heading in ("streams", "network per", "readings/s", "bare LSTM loop/s", "ratio"):
        table.add_column(heading, justify="right")

    def add(result: Result) -> None:
        rates = (f"{result.readings_per_s:,.0f}", f"{result.bare_per_s:,.0f}")
        table.add_row(f"{result.n_streams:,}", result.sharing, *rates, f"{result.ratio:.0%}")

    with console.status("measuring, about three minutes …"):
        results = bench_engine(add)
        costs = bench_decode()
        scrapes = [bench_scrape(500), bench_scrape(N_STREAMS)]
    console.print(table)
    table = Table(title="Decoding a flat JSON message, one core")
    for heading in ("message", "json.loads", "decoder", "beyond", "ratio"):
        table.add_column(heading, justify="right")
    for cost in costs:
        times = (f"{each:.1f} us" for each in (cost.json_us, cost.decode_us, cost.beyond_us))
        table.add_row(cost.message, *times, f"{cost.ratio:.1f}")
    console.print(table)
    table = Table(title=f"A scrape a second of {N_STREAMS:,} streams that get 5,000 readings a second")
    for heading in ("with series", "scrape, median", "worst", "batch scored, p99", "while scraped"):
        table.add_column(heading, justify="right")
    for each in scrapes:
        took_ms = (each.median_ms, each.worst_ms, each.alone_p99_ms, each.scraped_p99_ms)
        table.add_row(f"{each.n_with_series:,}", *(f"{ms:.0f} ms" for ms in took_ms))
    console.print(table)
    if json_out is not None:
        rows = [result.as_dict() for result in results] + [cost.as_dict() for cost in costs]
        rows += [each.as_dict() for each in scrapes]
        json_out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
