"""Arrivals that tell the time, and bursts that do not: what a broker or a device held back comes all at once.

A reading whose event time is its arrival is uncertain while its topic's messages follow each other much faster than
usual after a pause or a new connection: they were sent earlier, and nobody knows when.
"""

from dataclasses import dataclass

from pipeline.decode.memory import Memory

#: A message within this share of the usual interval after the one before belongs to a burst.
_BURST = 0.25
#: The burst is over with the first message that comes at least this share of the usual interval after the last.
_CALM = 0.5
#: A pause is so many usual intervals long.
_PAUSE = 3.0
#: After a new connection no burst lasts longer than this, seconds.
_LONGEST_S = 120.0
#: Where no interval is known yet, everything that comes so soon after a connection is uncertain, seconds.
_UNKNOWN_S = 2.0
_GAIN = 0.1


@dataclass(slots=True)
class Pace:
    """How often a topic speaks.

    Attributes:
        last_s: Its last arrival, Unix seconds.
        usual_s: Usual seconds between two; 0 until known.
        connected_s: Connection that its last message came over, by when it began, Unix seconds.
        paused_s: When the pause or connection that a burst may follow ended, Unix seconds; 0 when calm.
        was_burst: The last message was part of a burst.
    """

    last_s: float
    usual_s: float = 0.0
    connected_s: float = 0.0
    paused_s: float = 0.0
    was_burst: bool = False


def is_uncertain(memory: Memory, topic: str, arrival_s: float, connected_s: float) -> bool:
    """Tell whether the arrival of a message says little about when it was sent, and learn the topic's pace.

    Args:
        memory: Keeps the pace of each topic.
        topic: Topic.
        arrival_s: Arrival, Unix seconds.
        connected_s: When the connection began that it came over, Unix seconds; 0 where that does not matter.

    Example:
        >>> memory = Memory()
        >>> arrivals = [*range(0, 100, 10), 200, 200.01, 200.02, 207, 217]  # away from 90 to 200, then all at once
        >>> [s for s in arrivals if is_uncertain(memory, "t", s, 0.0 if s < 200 else 199.9)]
        [200, 200.01, 200.02]
    """
    pace: Pace | None = memory.paces.get(topic)
    if pace is None:
        memory.paces.put(topic, Pace(arrival_s, connected_s=connected_s))
        return connected_s > 0 and arrival_s - connected_s < _UNKNOWN_S
    interval_s = arrival_s - pace.last_s
    is_new = connected_s != pace.connected_s
    pace.last_s, pace.connected_s = arrival_s, connected_s
    if pace.usual_s <= 0.0:
        is_early = connected_s > 0 and arrival_s - connected_s < _UNKNOWN_S
        if not is_early and interval_s > 0:
            pace.usual_s = interval_s
        return is_early
    if is_new or interval_s > _PAUSE * pace.usual_s:
        pace.paused_s, pace.was_burst = arrival_s, is_new
        return is_new
    if pace.paused_s and (interval_s >= _CALM * pace.usual_s or arrival_s - pace.paused_s > _LONGEST_S):
        pace.paused_s = 0.0
    is_burst = pace.paused_s > 0 and (pace.was_burst or interval_s < _BURST * pace.usual_s)
    pace.was_burst = is_burst
    if not is_burst:
        pace.usual_s += _GAIN * (interval_s - pace.usual_s)
    return is_burst
