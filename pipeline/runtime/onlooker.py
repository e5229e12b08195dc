"""What may look over the daemon's shoulder: the status page does.

The daemon tells an onlooker on its worker's thread, and serves what it answers. Without one nothing is done.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.runtime.incidents import Told
from pipeline.runtime.session import FleetView, Session
from pipeline.sinks.http_server import Route


class Onlooker:
    """Nobody looks on; a base for those who do."""

    def routes(
        self, status: Callable[[], Mapping[str, Any]], alerts: Callable[[], Mapping[str, Any]]
    ) -> dict[str, Route]:
        """Return further paths of the endpoint with their answers, called on its threads.

        Args:
            status: Makes the document of ``/status.json``.
            alerts: Returns that of ``/alerts.json``, which is replaced and never changed.
        """
        del status, alerts
        return {}

    def take(self, told: Told) -> None:
        """Note alerts; called on the worker's thread."""

    def look(self, session: Session, view: FleetView) -> None:
        """Note the last readings; called on the worker's thread, twice a second.

        Args:
            session: The session, to be left as it is.
            view: Its last step of every stream.
        """
