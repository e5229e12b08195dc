"""Life signs: whether the daemon lives and is ready, and telling systemd so.

Comes in: each round of the worker, and when the network thread last did one. Goes out: what ``/livez`` and
``/readyz`` say, and ``READY``, ``WATCHDOG`` and ``STATUS`` lines to systemd's socket. Progress alone counts: being
connected proves nothing about a thread that hangs. This module refuses to know what the rounds do.
"""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

#: Without a round for so long, worker or network thread counts as stuck, seconds.
PROGRESS_S = 15.0
#: Pause between two messages to systemd, seconds.
_BEAT_S = 1.0
#: While the broker is away at the start, systemd is asked for so much more patience at each beat, microseconds.
_PATIENCE_US = 60_000_000


class Network(Protocol):
    """What is asked of the input connection."""

    @property
    def progressed_s(self) -> float:
        """When its thread last did a round, monotonic seconds."""
        ...

    @property
    def is_subscribed(self) -> bool:
        """The broker has confirmed our subscriptions, and the connection is up."""
        ...


@dataclass(frozen=True, slots=True)
class Life:
    """The daemon's state at one moment.

    Attributes:
        is_live: Worker and network thread make progress.
        is_ready: It is live, subscribed, and keeps what it promises.
        why: Why it is not; ``ready`` when it is.
    """

    is_live: bool
    is_ready: bool
    why: str


class LifeSigns:
    """Watches over the worker and the network thread.

    Args:
        network: The input connection.
        notify: Tells systemd; ``systemd_notify`` by default.
        monotonic_s: Gives the current time, monotonic seconds.

    Attributes:
        degraded: Why promises cannot be kept just now, such as a full disk; empty when they can.
    """

    def __init__(
        self,
        network: Network,
        notify: Callable[[str], None] | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.degraded = ""
        self._network = network
        self._notify = notify or systemd_notify
        self._now_s = monotonic_s
        self._began_s = self._turned_s = monotonic_s()
        self._beat_s = float("-inf")
        self._was_ready = False
        self._is_stopping = False

    def turned(self) -> None:
        """Note that the worker did a round; at most once a second systemd hears of it."""
        now_s = self._turned_s = self._now_s()
        if now_s - self._beat_s < _BEAT_S:
            return
        self._beat_s = now_s
        life = self.now()
        if not life.is_live:
            self._notify(f"STATUS={life.why}")  # and no WATCHDOG: systemd restarts what does not come back
            return
        lines = [f"STATUS={life.why}", "WATCHDOG=1"]
        if life.is_ready and not self._was_ready:
            self._was_ready = True
            lines.insert(0, "READY=1")
        elif not self._was_ready:
            lines.append(f"EXTEND_TIMEOUT_USEC={_PATIENCE_US}")
        self._notify("\n".join(lines))

    def stopping(self) -> None:
        """Note that the daemon is about to end."""
        self._is_stopping = True
        self._notify("STOPPING=1\nSTATUS=stopping")

    def now(self) -> Life:
        """Return the state at this moment; any thread may ask."""
        now_s = self._now_s()
        worker_s, network_s = now_s - self._turned_s, now_s - max(self._network.progressed_s, self._began_s)
        if self._is_stopping:
            return Life(is_live=True, is_ready=False, why="stopping")
        if worker_s > PROGRESS_S:
            return Life(is_live=False, is_ready=False, why=f"the worker has not moved for {worker_s:.0f} s")
        if network_s > PROGRESS_S:
            return Life(is_live=False, is_ready=False, why=f"the network thread has not moved for {network_s:.0f} s")
        if not self._network.is_subscribed:
            return Life(is_live=True, is_ready=False, why="not subscribed: waiting for the broker")
        if self.degraded:
            return Life(is_live=True, is_ready=False, why=self.degraded)
        return Life(is_live=True, is_ready=True, why="ready")


def systemd_notify(lines: str) -> None:
    """Send lines to the socket that systemd names in ``NOTIFY_SOCKET``; does nothing elsewhere, and never fails."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # Linux' abstract addresses
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0.0)
            sender.sendto(lines.encode(), address)
    except OSError:
        pass  # life goes on without; systemd's own time limit decides
