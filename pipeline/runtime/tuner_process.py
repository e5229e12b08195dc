"""The child that fine-tunes: lessons in on stdin, answers out on stdout, until stdin ends.

Every frame is its length, 8 bytes little-endian, and that many bytes. The first one holds the
settings as JSON, the others are lessons. It may be killed at any moment: it owns nothing. It ends
with its parent, gives way to everybody, and is the first to go when memory runs out. This module
refuses to know when a lesson is due and what follows from it.
"""

import os
import resource
import signal
import struct
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO

#: Lowest priority: every other process goes first.
NICE = 19
_LENGTH = struct.Struct("<Q")
_MB = 1 << 20


def read_frame(source: IO[bytes], max_bytes: int) -> bytes:
    """Return the next frame.

    Raises:
        EOFError: The stream ended before the frame did.
        ValueError: The frame says that it is longer than ``max_bytes``.
    """
    (length,) = _LENGTH.unpack(_exactly(source, _LENGTH.size))
    if length > max_bytes:
        raise ValueError(f"a frame of {length} bytes, more than {max_bytes}")
    return _exactly(source, length)


def write_frame(sink: IO[bytes], data: bytes) -> None:
    """Write one frame and flush it."""
    sink.write(_LENGTH.pack(len(data)))
    sink.write(data)
    sink.flush()


def _exactly(source: IO[bytes], n_bytes: int) -> bytes:
    data = source.read(n_bytes)
    if len(data) < n_bytes:
        raise EOFError("the stream ended inside a frame")
    return data


def main() -> None:
    """Answer lessons until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    _give_way()
    source, sink = _own_pipes()
    text = read_frame(source, sys.maxsize)

    # Heavy; only now that the priority is low.
    from pipeline.core.settings import Settings
    from pipeline.flow.learning import teach
    from pipeline.flow.lesson_bytes import pack_taught, unpack_lesson
    from pipeline.forecast.backend import backend_for
    from pipeline.forecast.network import network_for

    settings = Settings.model_validate_json(text)
    backend_for(network_for(settings.forecast))  # torch, where it is needed, maps more than a lesson may
    lessons: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(source, lessons), name="listener", daemon=True).start()
    _limit_memory(settings.training.memory_mb)
    while True:
        data = lessons.get()
        started_s = time.process_time()
        taught = teach(unpack_lesson(data), settings)
        write_frame(sink, pack_taught(taught, time.process_time() - started_s))


def _give_way() -> None:
    """Take the lowest priority for processor and memory."""
    os.nice(NICE)
    with suppress(OSError):  # no /proc, or it is read-only
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _own_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Return stdin and stdout for frames alone; what anybody prints goes to stderr from now on."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return os.fdopen(0, "rb"), sink


def _listen(source: IO[bytes], lessons: "SimpleQueue[bytes]") -> None:
    """Hand over lessons; when they end the parent is gone, and the process ends at once, even in mid-lesson."""
    with suppress(EOFError):
        while True:
            lessons.put(read_frame(source, sys.maxsize))
    os._exit(0)


def _limit_memory(memory_mb: int) -> None:
    """Limit the address space to what is taken now and ``memory_mb`` beyond; libraries map much that they never use."""
    statm = Path("/proc/self/statm")
    if statm.exists():  # elsewhere the kernel has no such limit
        taken = int(statm.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = taken + memory_mb * _MB
        if hard == resource.RLIM_INFINITY or limit < hard:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main()
