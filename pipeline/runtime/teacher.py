"""Where networks are fine-tuned: in a child process, or by the worker itself in small bites.

Comes in: a session, on every turn of the worker. Goes out: networks taken over, into the session. Refuses to know what
is due.
"""

import time
from collections.abc import Callable, Mapping

from pipeline.core.settings import Settings
from pipeline.runtime.session import Session
from pipeline.runtime.tuner import Tuner

#: Networks that the worker itself fine-tunes at once: about a tenth of a second; fewer cost more each.
FINETUNE_BITE = 8
_LONGEST_S = 0.5


class Teacher:
    """Fine-tunes the networks of a session as the settings say.

    Args:
        settings: All settings.
        depth: Says how many messages wait for the worker.
        on_lesson: Told how long each lesson took, seconds.
    """

    def __init__(self, settings: Settings, depth: Callable[[], int], on_lesson: Callable[[float], None]) -> None:
        self._settings = settings
        self._depth = depth
        self._on_lesson = on_lesson
        self._tuner = Tuner(settings, on_lesson)

    @property
    def pid(self) -> int | None:
        """Process id of the child; None while there is none."""
        return self._tuner.pid

    @property
    def lost(self) -> Mapping[str, int]:
        """Networks whose fine-tune was lost, by how."""
        return self._tuner.lost

    def turn(self, session: Session) -> None:
        """Take over what is to be taken over now, and go on teaching."""
        if self._settings.training.in_child:
            self._tuner.turn(session)
        else:
            self._teach_here(session)

    def close(self) -> None:
        """End the child, if there is one; the next turn starts another."""
        self._tuner.close()

    def _teach_here(self, session: Session) -> None:
        """Fine-tune in small bites, looking up after each: a message that arrives waits for one bite at most."""
        patience, until_s = self._settings.runtime.batch_messages, time.monotonic() + _LONGEST_S
        while self._depth() < patience and time.monotonic() < until_s:
            started_s = time.perf_counter()
            if not session.fine_tune(FINETUNE_BITE):
                return
            self._on_lesson(time.perf_counter() - started_s)
            patience = 1
