"""Run in a process of its own: takes what a broker has kept for it, as the daemon, or as a bare paho client does.

Comes in: an order, as JSON in the only argument. Goes out, as JSON: seconds from the first message to the last one that
was dealt with, messages, processor time. The bare client does what nobody can leave out: it parses each payload, and
acknowledges when as many have gathered as make one of the daemon's batches.
"""

import json
import logging
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, process_time, sleep

import numpy as np
from paho.mqtt.client import Client as Paho
from paho.mqtt.client import MQTTMessage

from pipeline.core.records import Outcome, Readings, Steps
from pipeline.core.settings import Settings
from pipeline.evaluate.bench_live import START_MIN, Order, Took, client_for, connect, leave
from pipeline.runtime.daemon import Daemon
from pipeline.runtime.follow_up import FollowUp
from pipeline.runtime.keeper import Keeper
from pipeline.runtime.session import Session
from pipeline.sinks.outbox import Outbox
from pipeline.store.store import Store

_LIMIT_S, _LOOK_S = 120.0, 0.002


def main() -> None:
    """Consume what was ordered."""
    order = Order(**json.loads(sys.argv[1]))
    settings = order.settings()
    logging.disable(logging.WARNING)
    took = bare(order, settings) if order.who == "bare" else daemon(order, settings)
    sys.stdout.write(json.dumps(took._asdict()) + "\n")


def bare(order: Order, settings: Settings) -> Took:
    """Consume with nothing but paho and the standard library's JSON."""
    runtime, client = settings.runtime, client_for(order.client_id, manual_ack=True)
    waiting: list[int] = []
    n, acked_s, began = 0, 0.0, _Beginning()

    def take(_client: Paho, _data: object, message: MQTTMessage) -> None:
        nonlocal n, acked_s
        began.note()
        json.loads(message.payload)
        n += 1
        if message.qos:
            waiting.append(message.mid)
        if len(waiting) >= runtime.batch_messages or monotonic() - acked_s > runtime.batch_s or n == order.n_messages:
            for mid in waiting:
                client.ack(mid, 1)
            waiting.clear()
            acked_s = monotonic()

    client.on_message = take
    connect(client, order)
    took = began.until(lambda: n >= order.n_messages, lambda: n)
    leave(client)
    return took


def daemon(order: Order, settings: Settings) -> Took:
    """Consume with the daemon and its store, streams past their warm-up, all but fine-tuning."""
    session = _Watched(settings)
    with tempfile.TemporaryDirectory() as folder:
        _keep_warmed_up(Path(folder), settings, order.n_streams)
        each = Daemon(settings, session=session, store=Store(Path(folder), settings.store), metrics_port=0)
        thread = threading.Thread(target=each.run)
        began = session.began
        take = each._source._on_message  # noqa: SLF001 - the clock starts with the first message, not with its batch

        def noting(client: Paho, data: object, message: MQTTMessage) -> None:
            began.note()
            take(client, data, message)

        each._source.connection.client.on_message = noting  # noqa: SLF001
        thread.start()
        took = began.until(lambda: session.n >= order.n_messages, lambda: session.n)
        each.stop()
        thread.join()
    return took


def _keep_warmed_up(folder: Path, settings: Settings, n_streams: int) -> None:
    """Leave a snapshot of streams that had their warm-up in the minutes before the messages."""
    session = Session(settings)
    keeper = Keeper(session, FollowUp(settings), Outbox(1), Store(folder, settings.store))
    keeper.restore()
    n_ticks, rng = settings.detection.n_settled + 1, np.random.default_rng(1)
    stream = np.tile(np.arange(n_streams, dtype=np.int32), n_ticks)
    time = np.repeat(60.0 * np.arange(START_MIN - n_ticks, START_MIN), n_streams)
    names = [f"s{i}" for i in range(n_streams)]
    readings = Readings(names, stream, time, rng.normal(size=len(time)), np.zeros(len(time), np.uint8))
    session.process(readings, now=np.inf)
    keeper.commit([])
    keeper.close()


class _Beginning:
    """When the first message came, and what processor time had been spent by then."""

    def __init__(self) -> None:
        self._at: tuple[float, float] | None = None

    def note(self) -> None:
        if self._at is None:
            self._at = monotonic(), process_time()

    def until(self, is_done: Callable[[], bool], count: Callable[[], int]) -> Took:
        """Wait until all is dealt with; what was not within the limit shows in the count."""
        limit_s = monotonic() + _LIMIT_S
        while not is_done() and monotonic() < limit_s:
            sleep(_LOOK_S)
        began_s, spent_s = self._at or (monotonic(), process_time())
        return Took(monotonic() - began_s, count(), process_time() - spent_s)


class _Watched(Session):
    """A session that counts what it scored since it was warmed up."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.n = 0
        self.began = _Beginning()

    def process(self, readings: Readings, now: float) -> Steps:
        """Score readings, and count them."""
        steps = super().process(readings, now)
        self.n += int(np.count_nonzero(steps.outcome == Outcome.ACCEPTED))
        return steps


if __name__ == "__main__":
    main()
