"""The demo's daemon: the one of ``foretell run``, on a thread of its own.

Comes in: settings. Goes out: the newest view of the fleet, and alerts in the order they opened. This
module refuses to know what is planted and what is shown.
"""

import threading
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from pipeline.core.errors import ForetellError
from pipeline.core.records import EpisodeEvent, Event
from pipeline.core.settings import Settings
from pipeline.runtime.daemon import Daemon
from pipeline.runtime.session import FleetView


class DaemonThread:
    """A daemon that runs for the length of a ``with`` block.

    Args:
        settings: All its settings; metrics are served on any free port.
    """

    def __init__(self, settings: Settings) -> None:
        self._opened: SimpleQueue[EpisodeEvent] = SimpleQueue()
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

    def new_alerts(self) -> list[EpisodeEvent]:
        """Return the episodes that opened since the last call."""
        alerts: list[EpisodeEvent] = []
        while True:
            try:
                alerts.append(self._opened.get_nowait())
            except Empty:
                return alerts

    def _take(self, events: list[EpisodeEvent]) -> None:
        for event in events:
            if event.event == Event.OPEN:
                self._opened.put(event)

    def _run(self) -> None:
        try:
            self._daemon.run()
        except Exception as error:  # noqa: BLE001 - the main thread raises it, see check
            self._failure = error
