"""Recording: what a broker sends, kept as it came, to be replayed through the same decoder.

Comes in: settings, a file, and messages until somebody stops it. Goes out: the file. A client of its own listens beside
the daemon; it acknowledges what is in the file. This module refuses to know what messages mean.
"""

import logging
import signal
import time
from pathlib import Path
from types import FrameType

from pipeline.core.errors import ForetellError
from pipeline.core.settings import Settings
from pipeline.decode.payloads import MAX_PAYLOAD_BYTES
from pipeline.runtime.clocks import SystemClock
from pipeline.runtime.routes import checked_routes
from pipeline.sources.inbox import Inbox
from pipeline.sources.message_files import MessageWriter, new_message_file
from pipeline.sources.messages import MessageHeader
from pipeline.sources.mqtt import RECEIVE_MAXIMUM, MqttSource

#: Longest time a message waits for being written, seconds.
_COLLECT_S = 0.2
_BATCH = 1000

_log = logging.getLogger(__name__)


class Recorder:
    """Writes every message of the configured topics to a file, until it is stopped.

    Args:
        settings: Those of the broker and its topics count.
        path: File to write, ``.jsonl`` or ``.parquet``.
        force: Replace a file that is there.

    Attributes:
        n_messages: Messages written.
        n_dropped: Messages lost because the disk was too slow.

    Raises:
        UsageError: A topic is wrong, or the file cannot be written.
    """

    def __init__(self, settings: Settings, path: Path, *, force: bool = False) -> None:
        self._path = path
        self._inbox = Inbox(max(settings.runtime.inbox_messages, RECEIVE_MAXIMUM))
        filters = [route.filter for route in checked_routes(settings)]
        mqtt = settings.mqtt.model_copy(update={"client_id": f"{settings.mqtt.client_id}-record"[-64:]})
        clock = SystemClock()
        self._source = MqttSource(mqtt, filters, self._inbox, clock, MAX_PAYLOAD_BYTES, keep_session=False)
        topics = [topic.model_dump(exclude_defaults=True, mode="json") for topic in settings.mqtt.topics]
        # Defaults of an entry are worth telling: without them another version may mean another topic.
        header = MessageHeader(
            [{"topic": entry.topic} | told for entry, told in zip(settings.mqtt.topics, topics, strict=True)]
        )
        self._file: MessageWriter = new_message_file(path, header, "--output", force=force)
        self.n_messages = 0
        self._is_stopping = False

    @property
    def n_dropped(self) -> int:
        """Messages lost because the disk was too slow."""
        return self._inbox.n_dropped

    @property
    def is_subscribed(self) -> bool:
        """The broker has confirmed the subscriptions."""
        return self._source.is_subscribed

    def stop(self) -> None:
        """Make ``run`` write what has arrived, and return; callable from any thread or signal handler."""
        self._is_stopping = True

    def run(self, duration_s: float = float("inf"), n_most: int = 0) -> None:
        """Record until stopped.

        Args:
            duration_s: Stop after so long, seconds.
            n_most: Stop after so many messages; 0 for any number.

        Raises:
            ForetellError: The file cannot be written any more, or another client took our client id.
        """
        until_s = time.monotonic() + duration_s
        self._source.connection.start()
        try:
            while not self._is_stopping and time.monotonic() < until_s and not (n_most and self.n_messages >= n_most):
                if self._source.connection.failure:
                    raise ForetellError(self._source.connection.failure)
                self._take(min(_BATCH, n_most - self.n_messages if n_most else _BATCH), _COLLECT_S)
            if not n_most:
                self._take(self._inbox.depth, 0.0)
        except OSError as error:
            raise ForetellError(f"{self._path}: cannot be written any more: {error.strerror}") from None
        finally:
            self._source.is_closing = True
            self._source.connection.stop()
            self._close()

    def _take(self, n_most: int, wait_s: float) -> None:
        """Write some messages, and acknowledge them."""
        messages = self._inbox.drain(n_most, wait_s, wait_s)
        for message in messages:
            self._file.write(message)
        self._file.flush()
        self.n_messages += len(messages)
        receipts = [message.receipt for message in messages if message.receipt]
        self._source.connection.acknowledge(receipts)

    def _close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            _log.error("recording not finished", extra={"fields": {"why": str(error)}})


def record_until_signalled(recorder: Recorder, duration_s: float, n_most: int) -> None:
    """Run a recorder in the main thread until it is done, or SIGTERM or SIGINT comes."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        recorder.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        recorder.run(duration_s, n_most)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
