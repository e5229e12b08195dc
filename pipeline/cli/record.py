"""``foretell record``: what a broker sends, to a file."""

from pathlib import Path
from typing import Annotated

import typer


def record(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="File to write: .jsonl or .parquet.")],
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration: broker and topics.")] = None,
    duration: Annotated[str, typer.Option(help="Stop after so long: 90s, 10min, 2h, 7d; default: Ctrl-C.")] = "",
    messages: Annotated[int, typer.Option(min=0, help="Stop after so many messages; 0 for any number.")] = 0,
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
) -> None:
    """Record the messages of the configured topics: exact topics, payloads and times of arrival.

    Example: foretell record -c edge.yaml --output plant.jsonl --duration 1h

    'foretell replay plant.jsonl' decodes and scores them as the daemon would; with --to-broker it publishes them again.
    The recorder is a client of its own beside the daemon: the broker holds nothing for it when it is gone.
    """
    import logging
    import math
    import time

    from pipeline.core.durations import seconds_in
    from pipeline.core.errors import UsageError
    from pipeline.core.settings import Settings
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.record import Recorder, record_until_signalled

    try:
        seconds = seconds_in(duration) if duration else math.inf
    except ValueError as error:
        raise UsageError(f"--duration {duration}", "is no duration", f"it {error}") from None
    settings = load_settings(config) if config else Settings()
    logging.getLogger("paho").setLevel(logging.CRITICAL)  # it calls our own disconnecting an error
    recorder = Recorder(settings, output, force=force)
    began_s = time.monotonic()
    record_until_signalled(recorder, seconds, messages)
    lost = f", {recorder.n_dropped} lost because writing was too slow" if recorder.n_dropped else ""
    typer.echo(f"{output}: {recorder.n_messages:,} messages in {time.monotonic() - began_s:.0f} s{lost}")
