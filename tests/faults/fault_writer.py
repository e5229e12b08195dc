"""Writes a store as the daemon does, and notes each step that it would now acknowledge; run under strace.

``python fault_writer.py FOLDER NOTES``: a line of NOTES is written after the commit of each step, and holds what a
start must go on from if that commit is the last one on disk.
"""

import os
import sys
from hashlib import sha256
from pathlib import Path

from fault_kept import Kept, batch

from pipeline.core.settings import Settings
from pipeline.sinks.outgoing import outgoing

N_STEPS = 40
SETTINGS = Settings.model_validate(
    {
        "streams": {"window_len": 128},
        "forecast": {"hidden": 4, "ensemble": 1},
        "store": {"checkpoint_s": 1, "ballast_mb": 0.1},
    }
)


def summary(kept: Kept) -> str:
    """Return a digest of all that must be the same after a start: state, networks and messages to publish."""
    waiting = ",".join(message.topic for message in kept.outbox.take(1000))
    return sha256(f"{kept.fingerprint} {kept.session.counts} {waiting}".encode()).hexdigest()[:16]


def main(folder: Path, notes: Path) -> None:
    """Do the steps: readings, alerts, fine-tunes and snapshots."""
    handle = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    kept = Kept(folder, SETTINGS)
    for i in range(N_STEPS):
        kept.outbox.add([outgoing(f"alert/{i}", "{}", retain=False, severity=1)])
        if i >= 3:
            kept.outbox.acknowledge([outgoing(f"alert/{i - 3}", "{}", retain=False, severity=1).key])
        if i % 5 == 4:
            kept.session.fine_tune(1)
        kept.take([], batch(i))
        os.write(handle, f"{i} {_peek(kept)}\n".encode())
        if i % 9 == 8:
            kept.keeper.want_checkpoint()
        kept.keeper.checkpoint()
    kept.keeper.close()
    os.close(handle)


def _peek(kept: Kept) -> str:
    """Return the summary, and leave the messages unsent."""
    text = summary(kept)
    kept.outbox._unsent.update(dict.fromkeys(kept.outbox._kept))  # noqa: SLF001 - as a start would see them
    return text


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
