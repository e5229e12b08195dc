"""The demo's daemon: the one of ``foretell run``, on a thread of its own.

Comes in: settings. Goes out: the newest view of the fleet, and alerts and verdicts in the order they came. This
module refuses to know what is planted and what is shown.
"""

import threading
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from pipeline.core.errors import ForetellError
from pipeline.core.records import EpisodeEvent, Event, HealthEvent
from pipeline.core.settings import Settings
from pipeline.runtime.daemon import Daemon
from pipeline.runtime.demo_verdict import Finding
from pipeline.runtime.session import FleetView


class DaemonThread:
    """A daemon that runs for the length of a ``with`` block.

    Args:
        settings: All its settings; metrics are served on any free port.
    """

    def __init__(self, settings: Settings) -> None:
        self._found: SimpleQueue[Finding] = SimpleQueue()
        self._failure: BaseException | None = None
        self._daemon = Daemon(settings, metrics_port=0, on_events=self._take)
        self._thread = threading.Thread(target=self._run, name="daemon")

    def __enter__(self) -> Self:
        """Start it."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.close()

    @property
    def view(self) -> FleetView:
        """The last step of every stream, at most a second old."""
        return self._daemon.latest

    @property
    def metrics_port(self) -> int:
        """Port of /metrics on loopback; 0 until it is served."""
        return self._daemon.metrics_port

    def close(self) -> None:
        """Let it score what waits, then end it; a second call changes nothing."""
        self._daemon.stop()
        self._thread.join()

    def check(self) -> None:
        """Raise what ended it.

        Raises:
            ForetellError: It ended by itself.
        """
        if self._failure is not None:
            raise ForetellError(f"the daemon ended: {self._failure}") from self._failure

    def new_findings(self) -> list[Finding]:
        """Return the episodes that opened, and the verdicts that were raised, since the last call."""
        found: list[Finding] = []
        while True:
            try:
                found.append(self._found.get_nowait())
            except Empty:
                return found

    def _take(self, events: list[EpisodeEvent], verdicts: list[HealthEvent]) -> None:
        for event in events:
            if event.event == Event.OPEN:
                self._found.put(event)
        for verdict in verdicts:
            if verdict.raised:
                self._found.put(verdict)

    def _run(self) -> None:
        try:
            self._daemon.run()
        except Exception as error:  # noqa: BLE001 - the main thread raises it, see check
            self._failure = error
