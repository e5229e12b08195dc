"""Writes an ingest log as the bridge does, and notes each message that it acknowledges; run under strace.

``python fault_log_writer.py FOLDER NOTES``: a line of NOTES is written where the broker would hear of a batch.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from pipeline.core.settings import Settings
from pipeline.scaleout.bridge import Bridge
from pipeline.sources.inbox import Message, Receipt
from pipeline.sources.mqtt import Connection

N_STEPS, N_OF_STEP = 12, 3


def settings_of(folder: Path) -> Settings:
    return Settings.model_validate({"scale": {"folder": str(folder)}, "metrics": {"enabled": False}})


def messages(step: int, *, is_again: bool) -> list[Message]:
    """Return the messages of a step: readings and packet identifiers are their numbers; every third step has none."""
    numbers = range(step * N_OF_STEP, (step + 1) * N_OF_STEP)
    payload = b"{" if step % 3 == 2 else b"%d"
    return [
        Message(
            "sensors/pump",
            payload % each if b"%" in payload else payload,
            retained=False,
            arrival_s=1e9 + each,
            receipt=Receipt(1, 0, each + 1, is_again),
        )
        for each in numbers
    ]


def expected(n_steps: int) -> list[float]:
    """Return the readings of the first steps."""
    return [float(each) for each in range(n_steps * N_OF_STEP) if each // N_OF_STEP % 3 != 2]


def main(folder: Path, notes: Path) -> None:
    """Do the steps."""
    handle = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def acknowledge(_connection: Connection, receipts: Iterable[Receipt]) -> None:
        os.write(handle, f"{len(list(receipts))}\n".encode())

    setattr(Connection, "acknowledge", acknowledge)  # noqa: B010 - mypy takes no method for another
    bridge = Bridge(settings_of(folder))
    bridge.go_on()
    for step in range(N_STEPS):
        bridge.take(messages(step, is_again=False))
        bridge.commit()
    bridge.close()
    os.close(handle)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
