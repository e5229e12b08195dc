"""What commands that publish to a broker have in common: pace, progress, Ctrl-C."""

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from pipeline.runtime.paced import Messages


def publish(messages: "Messages", url: str, speed: str, config: Path | None) -> None:
    """Publish messages at a pace, until all are sent or Ctrl-C, and say how many.

    Args:
        messages: In the order of their arrival.
        url: The broker.
        speed: ``max``, or how many times faster than they came.
        config: Configuration with user and certificates of the broker.

    Raises:
        UsageError: The pace, the address or the configuration is wrong.
        ForetellError: The broker is not reachable, or takes no messages.
    """
    import logging
    import time

    from pipeline.core.settings import Settings
    from pipeline.runtime.configuration import load_settings
    from pipeline.runtime.paced import broker_at, publish_paced, speed_in

    try:
        pace = speed_in(speed)
    except ValueError as error:
        raise UsageError(f"--speed {speed}", "is no pace", f"it {error}") from None
    settings = broker_at((load_settings(config) if config else Settings()).mqtt, url)
    logging.getLogger("paho").setLevel(logging.CRITICAL)  # it calls our own disconnecting an error
    stop, began_s = threading.Event(), time.monotonic()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        n = publish_paced(messages, settings, pace, stop)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    typer.echo(
        f"published {n:,} messages in {time.monotonic() - began_s:.1f} s{', stopped early' if stop.is_set() else ''}"
    )
