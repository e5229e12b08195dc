"""How long messages wait to be scored, also while the worker is stuck with one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pipeline.core.clock import Clock
from pipeline.sources.inbox import Inbox, Message

#: Threads of the endpoint keep the interpreter from the worker for so long at most. Python's 5 ms, many times a batch,
#: made a batch wait for the whole of a large scrape.
SWITCH_S = 0.0005


class Lag:
    """The wait of the oldest message; the worker notes it, any thread may ask.

    Args:
        clock: Gives the current time; the one that arrivals are stamped with.
        inbox: Messages that wait for the worker.

    Attributes:
        last_s: How long the oldest message of the last batch had waited once it was scored, seconds.
        last_arrival_s: When the newest message that was scored arrived, Unix seconds; 0 for none yet.
    """

    def __init__(self, clock: Clock, inbox: Inbox) -> None:
        self.last_s = 0.0
        self.last_arrival_s = 0.0
        self._clock = clock
        self._inbox = inbox
        self._in_hand_s: float | None = None

    @contextmanager
    def scoring(self, messages: Sequence[Message]) -> Iterator[None]:
        """Note that a batch is being scored; it is never empty."""
        self._in_hand_s = messages[0].arrival_s
        try:
            yield
        finally:
            self.last_s = max(0.0, self._clock.now() - messages[0].arrival_s)
            self.last_arrival_s = messages[-1].arrival_s
            self._in_hand_s = None

    def now_s(self) -> float:
        """Return how long the oldest that is not yet scored has waited, or that of the last batch if it is longer."""
        oldest_s = self._in_hand_s
        if oldest_s is None:
            oldest_s = self._inbox.oldest_s
        return self.last_s if oldest_s is None else max(self.last_s, self._clock.now() - oldest_s)
