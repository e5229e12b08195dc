"""How long messages wait, as others see it while the worker is busy, idle or stuck."""

import pytest

from pipeline.runtime.lag import Lag
from pipeline.sources.inbox import Inbox, Message


class FixedClock:
    """A clock that is set."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def now(self) -> float:
        return self.now_s


def message(arrival_s: float) -> Message:
    return Message("a", b"1", retained=False, arrival_s=arrival_s)


def test_the_lag_grows_while_the_worker_is_stuck_with_a_batch_and_ends_with_it() -> None:
    clock, inbox = FixedClock(101.0), Inbox(10)
    lag = Lag(clock, inbox)
    assert lag.now_s() == 0.0
    with lag.scoring([message(100.0), message(100.5)]):
        inbox.put(message(101.0))
        assert lag.now_s() == 1.0
        clock.now_s = 140.0
        assert lag.now_s() == 40.0
    assert lag.last_s == 40.0
    assert lag.last_arrival_s == 100.5
    with lag.scoring(inbox.drain(10, 0.0, 0.0)):
        clock.now_s = 141.0
    assert lag.now_s() == 40.0, "the last batch's"
    with lag.scoring([message(140.9)]):
        pass
    assert lag.now_s() == pytest.approx(0.1)


def test_what_waits_in_the_inbox_counts_and_a_clock_that_went_back_gives_no_negative_wait() -> None:
    clock, inbox = FixedClock(100.0), Inbox(10)
    lag = Lag(clock, inbox)
    inbox.put(message(90.0))
    assert lag.now_s() == 10.0
    clock.now_s = 50.0
    assert lag.now_s() == 0.0
    with pytest.raises(ZeroDivisionError), lag.scoring([message(90.0)]):
        raise ZeroDivisionError
    assert lag.last_s == 0.0
    assert lag.last_arrival_s == 90.0
