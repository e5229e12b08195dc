"""For how long somebody has listened: time in which the broker was away, or we were, counts for nobody's silence."""

import json

#: Steps of the clock beyond this count as so much: it was set, or the machine slept, seconds.
LONGEST_STEP_S = 30.0
#: After the broker came back publishers have so long to come back too, seconds.
SETTLE_S = 60.0


class Listening:
    """A clock that stands still while nobody listens.

    Attributes:
        is_on: Somebody listens.

    Example:
        >>> clock = Listening()
        >>> clock.switch(True, 1000.0)
        >>> [clock.at(1000.0 + s) for s in (30.0, 70.0)]  # publishers have a minute to come back
        [0.0, 10.0]
        >>> clock.advance(1080.0), clock.switch(False, 1080.0)
        (20.0, None)
        >>> clock.advance(5000.0)
        20.0
    """

    def __init__(self) -> None:
        self.is_on = False
        self._listened_s = 0.0
        self._last_s = float("nan")
        self._settled_s = float("inf")

    def at(self, now_s: float) -> float:
        """Return for how long was listened until now, seconds; changes nothing."""
        if not self.is_on:
            return self._listened_s
        began_s = max(self._last_s, min(self._settled_s, now_s))
        return self._listened_s + min(max(now_s - began_s, 0.0), LONGEST_STEP_S)

    def since_s(self, now_s: float) -> float:
        """Return how much time has passed since it was last brought up to date, seconds."""
        return abs(now_s - self._last_s)

    def advance(self, now_s: float) -> float:
        """Let time pass; return for how long was listened until now, seconds."""
        self._listened_s = self.at(now_s)
        if self.is_on and abs(now_s - self._last_s) > LONGEST_STEP_S:
            self._settled_s = min(self._settled_s, now_s + SETTLE_S)  # the clock was set, perhaps back
        self._last_s = now_s
        return self._listened_s

    def switch(self, is_on: bool, now_s: float, *, is_start: bool = False) -> None:  # noqa: FBT001 - as a switch is
        """Begin or end to listen.

        Args:
            is_on: Somebody listens from now on.
            now_s: Current time, Unix seconds.
            is_start: We have just started: nobody listened since the clock was last brought up to date.
        """
        if not is_start:
            self.advance(now_s)
        if is_on and (not self.is_on or is_start):
            self._settled_s = now_s + SETTLE_S
        self.is_on, self._last_s = is_on, now_s

    def dump(self) -> str:
        """Return it as text."""
        return json.dumps([self.is_on, self._listened_s, self._last_s, self._settled_s])

    def load(self, text: str) -> None:
        """Take over what ``dump`` returned."""
        self.is_on, self._listened_s, self._last_s, self._settled_s = json.loads(text)
