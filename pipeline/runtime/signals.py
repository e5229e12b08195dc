"""Runs a daemon in the foreground, by the signals that stop it and make it read its configuration again."""

import signal
from typing import Protocol


class Foreground(Protocol):
    """What runs until it is stopped."""

    def run(self) -> None:
        """Run until ``stop`` is called."""
        ...

    def stop(self) -> None:
        """Make ``run`` finish and return; callable from a signal handler."""
        ...

    def reload(self) -> None:
        """Take the configuration as it is now; callable from a signal handler."""
        ...


def run_until_signalled(daemon: Foreground) -> None:
    """Run a daemon in the main thread until SIGTERM or SIGINT; SIGHUP reads the configuration again.

    A second signal to stop ends the process at once.
    """
    signals = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in (*signals, signal.SIGHUP)}

    def stop(_number: int, _frame: object) -> None:
        for number in signals:
            signal.signal(number, signal.SIG_DFL)
        daemon.stop()

    for number in signals:
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, lambda _number, _frame: daemon.reload())
    try:
        daemon.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
