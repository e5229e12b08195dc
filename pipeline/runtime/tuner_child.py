"""One child that fine-tunes, and the threads that talk with it, so that nobody else ever waits for it.

Comes in: lessons. Goes out: checked answers, or how it failed. This module refuses to know what is
due and what follows from an answer.
"""

import os
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

from pipeline.core.compiled import OFF
from pipeline.core.errors import ForetellError
from pipeline.core.settings import Settings
from pipeline.flow.learning import Taught
from pipeline.flow.lesson_bytes import max_answer_bytes, pack_lesson, unpack_taught
from pipeline.flow.lessons import Lesson
from pipeline.runtime.tuner_process import read_frame, write_frame

_N_LAST_LINES, _MAX_LINE_BYTES = 5, 500
_END_S = 2.0
#: All that a child gets of our environment: no secret is among it.
_KEPT = ("PATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", OFF)
_ROOT = str(Path(__file__).resolve().parents[2])


class Failure(StrEnum):
    """How a lesson can be lost; the value is the metric label."""

    DIED = "died"
    TIMEOUT = "timeout"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Answer:
    """A checked answer.

    Attributes:
        taught: What became of the lesson.
        cpu_s: Processor time it took, seconds.
    """

    taught: Taught
    cpu_s: float


class Child:
    """A running child; after its first failure it is of no more use.

    Args:
        command: Starts it.
        settings: Sent to it first.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, command: Sequence[str], settings: Settings) -> None:
        self._settings = settings
        self._lessons: SimpleQueue[Lesson | None] = SimpleQueue()
        self._answers: SimpleQueue[Answer | Failure] = SimpleQueue()
        self._words: deque[str] = deque(maxlen=_N_LAST_LINES)
        self._process = subprocess.Popen(  # noqa: S603 - this very interpreter, no shell
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment()
        )
        self._listener = threading.Thread(target=self._listen, name="tuner-stderr", daemon=True)
        self._talker = threading.Thread(target=self._talk, name="tuner", daemon=True)
        self._listener.start()
        self._talker.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def last_words(self) -> str:
        """The last lines of its stderr, as they came, and how it ended."""
        return "\n".join(self._words)

    def send(self, lesson: Lesson) -> None:
        """Send a lesson, without waiting."""
        self._lessons.put(lesson)

    def answer(self) -> Answer | Failure | None:
        """Return the answer to the lesson sent, or how it failed; None while there is neither."""
        try:
            return self._answers.get_nowait()
        except Empty:
            return None

    def kill(self) -> None:
        """End it, without waiting; its threads end with it."""
        self._process.kill()
        self._lessons.put(None)

    def close(self) -> None:
        """End it and wait, a few seconds at most."""
        self.kill()
        self._talker.join(_END_S)

    def _talk(self) -> None:
        """Converse until a failure or until it is killed, then bury it; runs on a thread of its own."""
        failure = Failure.DIED
        stdin, stdout = _pipe(self._process.stdin), _pipe(self._process.stdout)
        try:
            write_frame(stdin, self._settings.model_dump_json().encode())
            while lesson := self._lessons.get():
                write_frame(stdin, pack_lesson(lesson))
                data = read_frame(stdout, max_answer_bytes(lesson))
                self._answers.put(Answer(*unpack_taught(data, lesson)))
        except (OSError, EOFError):
            self._note_end()
        except (ForetellError, ValueError, MemoryError) as error:
            failure = Failure.INVALID
            self._words.append(f"answer refused: {error!r}")
        self._bury(stdin, stdout)
        self._answers.put(failure)

    def _note_end(self) -> None:
        """Add how it ended to its last words: a kernel that ran out of memory leaves no others."""
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(_END_S)
            self._listener.join(_END_S)
            self._words.append(f"exit code {code}")

    def _bury(self, *pipes: IO[bytes]) -> None:
        self._process.kill()
        self._process.wait()
        self._listener.join(_END_S)
        for pipe in pipes:
            with suppress(OSError):  # what could not be written is lost
                pipe.close()

    def _listen(self) -> None:
        """Keep the last lines of its stderr; runs on a thread of its own."""
        with _pipe(self._process.stderr) as stderr:
            while line := stderr.readline(_MAX_LINE_BYTES):
                self._words.append(line.decode(errors="replace").rstrip())


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("started without this pipe")
    return pipe


def _environment() -> dict[str, str]:
    """Return what Python and its libraries need: where they find their files, and that one thread is enough."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
    return kept | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
