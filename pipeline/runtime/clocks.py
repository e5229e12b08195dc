"""The clock of the machine, for those who compose; everything below has time handed in."""

import time


class SystemClock:
    """The machine's clock; it may jump when somebody sets it."""

    def now(self) -> float:
        """Return Unix time in seconds, UTC."""
        return time.time()
