"""``foretell demo``: see it work in a minute and a half, without broker, sensors or configuration."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pipeline.core.errors import UsageError


def demo(
    duration: Annotated[int, typer.Option(min=5, max=3600, help="How long the plant runs, seconds.")] = 90,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of the plant: another one, other noise.")] = 1,
    json_out: Annotated[Path | None, typer.Option("--json", help="Also write the summary to this file.")] = None,
) -> None:
    """Watch a simulated plant in which faults are planted, and see which of them are found, and how fast.

    Example: foretell demo --duration 90

    The plant publishes to a broker of its own on loopback, some 500 times faster than real plants; everything else is
    what 'foretell run' does. Ctrl-C ends it with the summary so far.
    """
    if json_out is not None:
        _check_writable(json_out)

    import json
    import logging

    from rich.console import Console

    from pipeline.runtime.demo import run_demo
    from pipeline.runtime.demo_report import summary_json, summary_lines

    logging.getLogger("pipeline").setLevel(logging.ERROR)  # the daemon's alerts are shown, not logged
    logging.getLogger("paho").setLevel(logging.CRITICAL)  # it calls our own disconnecting an error
    console = Console()
    with _stop_on_signal() as stop:
        outcome = run_demo(duration, seed, console, stop)
    for line in summary_lines(outcome):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if json_out is not None:
        try:
            json_out.write_text(json.dumps(summary_json(outcome), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(str(json_out), f"cannot be written: {error.strerror}", "name another file") from None


def _check_writable(path: Path) -> None:
    """Refuse a hopeless path before the run, not after it."""
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(str(path), "cannot be written", "name a file in a folder that exists")


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    """Turn Ctrl-C and SIGTERM into an event while the block runs."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
