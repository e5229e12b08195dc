"""The parent's end of the plant's process: starts it, paces it, hears how far it is, ends it.

Comes in: JSON lines from the child. Goes out: step numbers to it. This module refuses to know what
the plant publishes and who listens.
"""

import json
import subprocess
import sys
import threading
from types import TracebackType
from typing import Self

from pipeline.core.errors import ForetellError, printable

_START_S = 60.0
_STOP_S = 5.0


class PlantProcess:
    """A running plant with its broker; ends with its ``with`` block, or with this process.

    Args:
        seed: Seed of the plant.
        n_steps: Steps it publishes.
        start_s: Event time of its first step, Unix seconds.
        steps_per_s: Its pace.

    Attributes:
        step: First step not published yet.
    """

    def __init__(self, seed: int, n_steps: int, start_s: int, steps_per_s: float) -> None:
        self.step = 0
        self._port = 0
        self._complaint = ""
        self._said_something = threading.Event()
        arguments = [str(argument) for argument in (seed, n_steps, start_s, steps_per_s)]
        self._child = subprocess.Popen(  # noqa: S603 - this very interpreter, no shell, numbers only
            [sys.executable, "-P", "-m", "pipeline.runtime.plant", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # the terminal's Ctrl-C is for the parent, which ends the child in order
        )
        self._listener = threading.Thread(target=self._listen, name="plant-listener", daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the child."""
        self.close()

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._child.pid

    def wait_for_port(self) -> int:
        """Wait until the broker listens and return its port.

        Raises:
            ForetellError: The child ended, or said nothing for a minute.
        """
        self._said_something.wait(_START_S)
        if not self._port:
            raise ForetellError(f"the plant's process did not start: {self._complaint or 'it said nothing'}")
        return self._port

    def check(self) -> None:
        """Raise when the child has died.

        Raises:
            ForetellError: It has; the message has its last words.
        """
        if self._child.poll() is not None:
            raise ForetellError(f"the plant's process ended early: {self._complaint or self._child.returncode}")

    def allow(self, step: int) -> None:
        """Let the plant publish up to, not including, this step."""
        self._send(f"{step}\n")

    def close(self) -> None:
        """Close its stdin, which ends it; kill it if it does not."""
        self._send(None)
        try:
            self._child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._listener.join(_STOP_S)
        if self._child.stdout:
            self._child.stdout.close()

    def _send(self, line: str | None) -> None:
        """Write a line to the child, or close its stdin; a child that has died is found by ``check``."""
        stdin = self._child.stdin
        if stdin is None or stdin.closed:
            return
        try:
            if line is None:
                stdin.close()
            else:
                stdin.write(line)
                stdin.flush()
        except BrokenPipeError:
            self._complaint = self._complaint or "it no longer listens"

    def _listen(self) -> None:
        """Take what the child reports; what is not JSON is a complaint, the last one is kept."""
        for line in self._child.stdout or ():
            try:
                report = json.loads(line)
                self.step = int(report.get("step", self.step))
                self._port = int(report.get("port", self._port))
            except (ValueError, AttributeError):
                self._complaint = printable(line.strip())
            else:
                self._said_something.set()
        self._said_something.set()
