"""Alerts of a batch over MQTT: QoS 1, and the batch is not done before the broker has them all."""

import json
import time
from collections.abc import Sequence
from secrets import token_hex

from pipeline.core.errors import ForetellError
from pipeline.core.settings import Settings
from pipeline.sinks.publisher import Sender
from pipeline.sources.mqtt import Connection

_CONNECT_S, _STUCK_S, _LOOK_S = 15.0, 60.0, 0.02


class Teller:
    """Publishes alerts as the daemon does: ``PREFIX/SITE/alert/STREAM``.

    Args:
        settings: Broker, site and topics.
    """

    def __init__(self, settings: Settings) -> None:
        client_id = f"{settings.mqtt.client_id}-scale-{token_hex(4)}"
        self._connection = Connection(settings.mqtt, client_id, keep_session=False)
        self._sender = Sender(self._connection.client, is_v5=self._connection.is_v5)
        self._base = f"{settings.alerts.topic_prefix}/{settings.site}/alert"
        self._place = f"{settings.mqtt.host}:{settings.mqtt.port}"
        self._connection.start()

    def tell(self, alerts: Sequence[str]) -> None:
        """Publish alerts, and return when the broker has them.

        Raises:
            ForetellError: The broker is not reachable, or takes none.
        """
        if not alerts:
            return
        until_s = time.monotonic() + _CONNECT_S
        while not self._connection.is_connected:
            if time.monotonic() > until_s:
                raise ForetellError(f"no connection to the broker at {self._place} within {_CONNECT_S:.0f} s")
            time.sleep(_LOOK_S)
        for text in alerts:
            self._sender.send(f"{self._base}/{json.loads(text)['stream']}", text.encode())
        if not self._sender.wait(0, _STUCK_S):
            raise ForetellError(f"the broker at {self._place} took no message for {_STUCK_S:.0f} s")

    def close(self) -> None:
        """End the connection."""
        self._connection.stop()
