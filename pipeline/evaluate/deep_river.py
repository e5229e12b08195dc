"""deep-river's LSTM on the same readings, in a process of its own environment.

Its requirements (an old torch, an old river) do not go with ours, so ``make peers`` gives it an environment, and
readings and forecasts pass as lines of JSON. Refuses to know what the forecasts are compared with.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, cast

import numpy as np

from pipeline.core.errors import ForetellError, printable
from pipeline.core.records import F64
from pipeline.evaluate.peers import Peer, Progress

NAME = "deep-river LSTM"
PEER = Peer(
    NAME,
    is_seasonal=False,
    settings="LSTMForecaster() as it comes (window 10, hidden 16, Adam 0.001), on readings scaled as they come",
)
_ROOT = Path(__file__).resolve().parents[2]
_SCRIPT = Path(__file__).with_name("deep_river_worker.py")


def deep_river_python(root: Path = _ROOT) -> Path | None:
    """Return the Python of the environment that ``make peers`` made; None where it did not.

    Example:
        >>> deep_river_python(Path("nowhere")) is None
        True
    """
    python = root / ".venv-peers" / "bin" / "python"
    return python if (root / ".venv-peers" / ".ready").exists() and python.exists() else None


def run_deep_river(
    python: Path, streams: Sequence[F64], progress: Progress, script: Path = _SCRIPT
) -> list[dict[str, F64]]:
    """Foretell every reading of every stream.

    Args:
        python: Interpreter of the environment.
        streams: Readings of each, shape (N,).
        progress: Told the readings of each stream that is done.
        script: What to run there; it answers a line of readings with a line of forecasts.

    Returns:
        Forecasts under ``NAME``, in the order of ``streams``: NaN before the first one, infinite once diverged.

    Raises:
        ForetellError: The process ended early; the message holds its last line of complaint.
    """
    command = [str(python), "-P", "-W", "ignore", str(script)]  # -P: our modules' names must not shadow its own
    found = []
    with (
        TemporaryFile("w+", encoding="utf-8") as complaints,
        subprocess.Popen(  # noqa: S603 - a fixed command, no shell
            command,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        ) as process,
    ):
        try:
            for value in streams:
                answer = _asked(process, json.dumps(value.tolist()))
                if not answer:
                    raise _ended_early(complaints)
                found.append({NAME: np.array(json.loads(answer), np.float64)})
                progress(len(value))
        finally:
            process.kill()
    return found


def _asked(process: "subprocess.Popen[str]", line: str) -> str:
    """Send one line and wait for the answer, which is empty when the process has ended."""
    stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)  # both are pipes
    try:
        stdin.write(line + "\n")
        stdin.flush()
    except BrokenPipeError:
        return ""
    return stdout.readline()


def _ended_early(complaints: IO[str]) -> ForetellError:
    """Say why, as far as the process itself did."""
    complaints.seek(0)
    said = complaints.read().strip().splitlines() or ["no reason given"]
    return ForetellError(
        f"deep-river's process ended early: {printable(said[-1])}; make its environment anew: make peers"
    )
