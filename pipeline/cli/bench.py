"""``foretell bench``: what the engine does in a second and what all else costs, each beside a yardstick of one run."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer


def bench(
    *,
    json_out: Annotated[Path | None, typer.Option("--json", help="Also write the results to this file.")] = None,
    peers: Annotated[bool, typer.Option("--peers", help="Only beside other libraries (after make peers).")] = False,
) -> None:
    """Measure readings per second beside a bare LSTM cell loop, decoding beside json.loads, and what else costs.

    Example: foretell bench --json bench.json
    """
    import json

    if peers:
        _bench_peers(json_out)
        return

    from rich.console import Console

    from pipeline.evaluate.bench import SHARINGS, bench_engine
    from pipeline.evaluate.bench_costs import bench_costs
    from pipeline.evaluate.bench_decode import bench_decode
    from pipeline.evaluate.bench_live import bench_live, has_broker
    from pipeline.evaluate.bench_replay import bench_replay
    from pipeline.evaluate.bench_scrape import N_STREAMS, bench_scrape
    from pipeline.evaluate.bench_stages import bench_stages

    with Console().status("measuring, about five minutes …"):
        results = bench_engine(lambda _result: None)
        stages = [cost for sharing in SHARINGS for cost in bench_stages(sharing)]
        others = bench_costs()
        decoding = bench_decode()
        replays = [bench_replay(sharing) for sharing in SHARINGS]
        scrapes = [bench_scrape(500), bench_scrape(N_STREAMS)]
        lives = [bench_live(qos) for qos in (1, 0)] if has_broker() else []
    _print(
        "Engine, everything on but fine-tuning, one core",
        ("streams", "network per", "readings/s", "bare LSTM loop/s", "ratio"),
        (
            (
                f"{each.n_streams:,}",
                each.sharing,
                f"{each.readings_per_s:,.0f}",
                f"{each.bare_per_s:,.0f}",
                f"{each.ratio:.0%}",
            )
            for each in results
        ),
    )
    _print(
        "A tick of 1,000 streams, one core",
        ("network per", "stage", "us per reading", "of all"),
        ((each.sharing, each.stage, f"{each.us:.2f}", f"{each.ratio:.0%}") for each in stages),
    )
    _print(
        "What else costs",
        ("what", "cost", "beside", "that", "ratio"),
        (
            (each.what, f"{each.value:.3g}", each.baseline, f"{each.of_baseline:.3g}", f"{each.ratio:.1f}")
            for each in others
        ),
    )
    _print(
        "Decoding a flat JSON message, one core",
        ("message", "json.loads", "decoder", "beyond", "ratio"),
        (
            (
                each.message,
                *(f"{us:.1f} us" for us in (each.json_us, each.decode_us, each.beyond_us)),
                f"{each.ratio:.1f}",
            )
            for each in decoding
        ),
    )
    _print(
        "A replay from Parquet to Parquet of 1,000 streams, all but fine-tuning, one core",
        ("network per", "readings/s", "engine alone/s", "reading, us", "writing, us", "ratio"),
        (
            (
                each.sharing,
                *(f"{rate:,.0f}" for rate in (each.readings_per_s, each.engine_per_s)),
                *(f"{us:.2f}" for us in (each.read_us, each.write_us)),
                f"{each.ratio:.0%}",
            )
            for each in replays
        ),
    )
    _print(
        f"A scrape a second of {N_STREAMS:,} streams that get 5,000 readings a second",
        ("with series", "scrape, median", "worst", "batch scored, p99", "while scraped"),
        (
            (
                f"{each.n_with_series:,}",
                *(f"{ms:.0f} ms" for ms in (each.median_ms, each.worst_ms, each.alone_p99_ms, each.scraped_p99_ms)),
            )
            for each in scrapes
        ),
    )
    _print(
        "What the daemon takes from mosquitto, store and all but fine-tuning, beside paho and json.loads alone"
        if lives
        else "Not measured beside a bare MQTT client: mosquitto is not installed (apt-get install mosquitto)",
        ("quality of service", "messages/s", "bare/s", "ratio", "lost"),
        (
            (str(each.qos), f"{each.per_s:,.0f}", f"{each.bare_per_s:,.0f}", f"{each.ratio:.0%}", str(each.n_lost))
            for each in lives
        ),
    )
    if json_out is not None:
        parts = (results, stages, others, decoding, replays, scrapes, lives)
        rows = [each.as_dict() for part in parts for each in part]
        json_out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _bench_peers(json_out: Path | None) -> None:
    import json

    from rich.console import Console

    from pipeline.core.errors import UsageError
    from pipeline.evaluate.bench_peers import N_STREAMS, bench_peers
    from pipeline.evaluate.deep_river import deep_river_python

    if (python := deep_river_python()) is None:
        raise UsageError("--peers", "the other libraries are not installed", "make peers, in Foretell's folder")
    with Console().status("measuring, some five minutes …"):
        engine, results = bench_peers(python)
    _print(
        f"{N_STREAMS:,} streams on one core: the engine, a network pair per stream, {engine.stream:,.0f} readings/s, "
        f"fine-tunes counted in {engine.tuned:,.0f}, one pair for all {engine.fleet:,.0f}",
        ("one model per stream of", "readings/s", "engine", "with fine-tunes", "one pair for all"),
        (
            (
                each.peer,
                f"{each.readings_per_s:,.0f}",
                *(f"{ratio:.2g}x" for ratio in (each.engine_ratio, each.tuned_ratio, each.fleet_ratio)),
            )
            for each in results
        ),
    )
    if json_out is not None:
        json_out.write_text(json.dumps([each.as_dict() for each in results], indent=2) + "\n", encoding="utf-8")


def _print(title: str, headings: Iterable[str], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
