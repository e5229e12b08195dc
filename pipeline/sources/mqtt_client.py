"""A paho client whose network thread outlives whatever the broker sends, and says how it goes.

Comes in: a connection's packets. Goes out: paho's callbacks, when a connection begins, and that one was broken off
because of an error: paho itself would end its thread, and nobody would hear. Refuses to know what is subscribed.
"""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from struct import Struct
from typing import cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from pipeline.sources.buffered_socket import BufferedSocket

#: Packets that have been read are handled for so long before paho does what else it does in a round, seconds.
_READ_S = 0.1
_MID_BYTES = 2
_PUBACK = Struct("!BBH")  # MQTT 5.0, 3.4: nothing but the packet identifier where all went well


class Client(paho.Client):
    """A paho client with manual acknowledgement.

    Args:
        client_id: Client id.
        is_v5: Speak MQTT 5.
        keep_session: With MQTT 3.1.1: the broker keeps the session.

    Attributes:
        progressed_s: When the network thread last did a round, or tried to connect, seconds on the monotonic clock.
        on_begin: Called before each attempt to connect.
        on_broken: Called where an error on the network thread ended the connection; the error is being handled.
    """

    def __init__(self, client_id: str, *, is_v5: bool, keep_session: bool) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if is_v5 else not keep_session,
            protocol=paho.MQTTv5 if is_v5 else paho.MQTTv311,
            manual_ack=True,
        )
        self.progressed_s = float("-inf")
        self.on_begin: Callable[[], None] = lambda: None
        self.on_broken: Callable[[], None] = lambda: None
        self._buffer: BufferedSocket

    def _create_socket(self) -> BufferedSocket:
        """Connect. Four calls of the system for each packet would take as much time as all that paho does with it."""
        self._buffer = BufferedSocket(super()._create_socket())
        return self._buffer

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Handle what the socket has, and all packets that were read with it."""
        until_s = time.monotonic() + _READ_S
        code = super().loop_read(max_packets)
        while code == MQTTErrorCode.MQTT_ERR_SUCCESS and self._buffer.n_held and time.monotonic() < until_s:
            code = super().loop_read(max_packets)
        return code

    def acknowledge(self, mids: Sequence[int]) -> None:
        """Acknowledge messages of quality of service 1, in the order given, with one write; from any thread."""
        if mids:
            packets = b"".join(_PUBACK.pack(paho.PUBACK, _MID_BYTES, mid) for mid in mids)
            self._packet_queue(paho.PUBACK, packets, mids[-1], 1)

    def loop_misc(self) -> MQTTErrorCode:
        """Do what paho does once a round, a second apart at most while connected."""
        self.progressed_s = time.monotonic()
        return super().loop_misc()

    def reconnect(self) -> MQTTErrorCode:
        """Connect, the first time or again; nothing of the connection before is sent any more.

        Raises:
            OSError: It failed, for whatever reason: paho tries again after no other error.
        """
        self.on_begin()
        try:
            return super().reconnect()
        except OSError:
            raise
        except Exception as error:
            self.on_broken()
            raise OSError(str(error)) from error

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:  # noqa: FBT001, FBT002 - paho's signature
        """Serve connections until told to stop; an error, as of a packet that is none, costs the connection alone."""
        while True:
            try:
                return super().loop_forever(timeout, retry_first_connection)
            except Exception:  # noqa: BLE001 - the network thread must outlive any of them
                self.on_broken()
                self._sock_close()  # what was read of the packet goes with it

    def loop_stop(self) -> MQTTErrorCode:
        """End the network thread; paho's own fails where the thread ends by itself just then."""
        thread = self._thread
        if thread is None:
            return MQTTErrorCode.MQTT_ERR_INVAL
        self._thread_terminate = True
        if threading.current_thread() is not thread:
            thread.join()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def cut(self) -> None:
        """End the connection as if it had been lost; another begins after the usual pause."""
        link = cast("socket.socket | None", self.socket())
        if link is not None:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
