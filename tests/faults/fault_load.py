"""Load for fault tests: known readings at a known rate, QoS 1, sent again until the broker has acknowledged them.

Reading ``i`` belongs to stream ``i % n_streams``; its time and value follow from ``i`` alone, so what arrived can be
held against what was sent without keeping either. A plain socket: a thread of Python then sends 10,000 a second.
"""

import math
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

#: Unacknowledged messages at most; a broker that does not answer stops the load.
_MAX_UNACKNOWLEDGED = 20_000
_ROUND_S = 0.01
_NOISE = [random.Random(7).gauss(0.0, 0.1) for _ in range(4096)]  # noqa: S311 - a signal, not a secret


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent.

    Attributes:
        n_streams: Streams, in turn.
        rate: Readings per second over all streams.
        n_quiet: Readings of each stream before its first fault.
        every: Readings of a stream between two faults; each lasts three.
        base_s: Event time of the first reading, Unix seconds.
    """

    n_streams: int
    rate: float
    n_quiet: int = 450
    every: int = 400
    base_s: float = field(default_factory=lambda: math.floor(time.time()) - 7200.0)

    @property
    def step_s(self) -> float:
        """Event time between two readings of a stream, seconds; a round number of milliseconds."""
        return max(0.001, round(self.n_streams / self.rate, 3))

    def stream(self, i: int) -> str:
        """Return the stream that reading ``i`` belongs to."""
        return f"d{i % self.n_streams // 8}/s{i % self.n_streams}"

    def at_s(self, i: int) -> float:
        """Return the event time of reading ``i``."""
        return round(self.base_s + i // self.n_streams * self.step_s, 3)

    def is_onset(self, i: int) -> bool:
        """Say whether a fault begins with reading ``i``."""
        stream, k = i % self.n_streams, i // self.n_streams
        return k >= self.n_quiet and (k + 7 * stream) % self.every == 0

    def value(self, i: int) -> float:
        """Return the value of reading ``i``."""
        stream, k = i % self.n_streams, i // self.n_streams
        is_fault = k >= self.n_quiet and (k + 7 * stream) % self.every < 3
        smooth = 20 + 2 * math.sin(math.tau * k / 97 + stream)
        return round(smooth + _NOISE[(31 * k + 17 * stream) % 4096] + (8 if is_fault else 0), 4)

    def payload(self, i: int) -> bytes:
        """Return the message of reading ``i``."""
        return b'{"time": %.3f, "value": %.4f}' % (self.at_s(i), self.value(i))


class Load(threading.Thread):
    """Publishes readings 0, 1, 2, ... until it is stopped.

    Args:
        port: Of the broker.
        plan: What is sent.
        n: Reading before which it stops; None for none.
        first: Reading it begins with.
        rate: Readings per second; None for the plan's.

    Attributes:
        n_acknowledged: Readings 0 to this one, exclusive, were acknowledged by the broker.
        onsets: When the first reading of each fault was sent, monotonic seconds, by (stream, event time).
        n_connects: Connections made.
        late_s: How far behind its rate it is, seconds.
    """

    def __init__(
        self, port: int, plan: Plan, n: int | None = None, *, first: int = 0, rate: float | None = None
    ) -> None:
        super().__init__(name="load", daemon=True)
        self.plan = plan
        self.n_acknowledged = first
        self._rate = plan.rate if rate is None else rate
        self.n_connects = 0
        self.late_s = 0.0
        self.onsets: dict[tuple[str, float], float] = {}
        self._address = ("127.0.0.1", port)
        self._n = n if n is not None else 1 << 62
        self._is_stopping = threading.Event()
        self._topics = [f"plant/{plan.stream(s)}".encode() for s in range(plan.n_streams)]

    def finish(self, limit_s: float = 60.0) -> int:
        """Send no more, wait until all that was sent is acknowledged, and return how many that is."""
        self._is_stopping.set()
        self.join(limit_s)
        assert not self.is_alive(), "the broker acknowledged nothing"
        return self.n_acknowledged

    def run(self) -> None:
        """Send, and begin again with what is unacknowledged when the connection is lost."""
        began_s, n_before = time.monotonic(), self.n_acknowledged
        while self.n_acknowledged < self._n:
            try:
                with socket.create_connection(self._address, timeout=5.0) as link:
                    _greet(link)
                    self.n_connects += 1
                    self._serve(link, began_s, n_before)
            except OSError:
                time.sleep(0.2)
            began_s, n_before = time.monotonic(), self.n_acknowledged

    def _serve(self, link: socket.socket, began_s: float, n_before: int) -> None:
        """Send at the rate, and count acknowledgements, while the connection lasts."""
        n_sent, rest = self.n_acknowledged, b""
        while self.n_acknowledged < self._n:
            if self._is_stopping.is_set():
                self._n = min(self._n, max(n_sent, self.n_acknowledged))
            due = n_before + int((time.monotonic() - began_s) * self._rate)
            self.late_s = (due - n_sent) / self._rate
            until = min(due, n_sent + 1000, self._n, self.n_acknowledged + _MAX_UNACKNOWLEDGED)
            if until > n_sent:
                link.settimeout(5.0)
                link.sendall(b"".join(map(self._packet, range(n_sent, until))))
                n_sent = until
            link.settimeout(_ROUND_S)
            try:
                rest += link.recv(65536)
            except TimeoutError:
                continue
            if not rest:
                raise ConnectionResetError
            self.n_acknowledged += len(rest) // 4
            rest = rest[len(rest) // 4 * 4 :]

    def _packet(self, i: int) -> bytes:
        topic, payload = self._topics[i % self.plan.n_streams], self.plan.payload(i)
        if self.plan.is_onset(i):
            self.onsets[self.plan.stream(i), self.plan.at_s(i)] = time.monotonic()
        body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", i % 65_535 + 1) + payload
        assert len(body) < 16_384
        n_low, n_high = len(body) & 127, len(body) >> 7
        head = bytes((0x32, n_low | 128, n_high)) if n_high else bytes((0x32, n_low))
        return head + body


def _greet(link: socket.socket) -> None:
    """Connect: MQTT 3.1.1, a clean session, no keep-alive."""
    name = b"load"
    body = b"\0\4MQTT\4\2\0\0" + struct.pack(">H", len(name)) + name
    link.sendall(bytes((0x10, len(body))) + body)
    answer = b""
    while len(answer) < 4:
        part = link.recv(4 - len(answer))
        if not part:
            raise ConnectionResetError
        answer += part
    if answer[3]:
        raise ConnectionRefusedError
