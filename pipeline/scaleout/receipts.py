"""Receipts of the messages whose readings are in the newest segments, so that they are known when they come again.

A bridge that is killed after a segment was renamed into place and before the broker had the acknowledgements gets its
messages again. A file of receipts is on disk before its segment is, and counts only where the segment is there: with it
the segment's rename decides for both. Kept are as many as a broker may send again.
"""

import logging
import os
import re
import struct
import zlib
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from pipeline.runtime.repeats import Received
from pipeline.store.files import StoreError, lock_folder, write_file

#: Messages remembered: more than any broker has in flight, and half as many as there are packet identifiers.
N_RECEIPTS = 32_768

_HEAD = struct.Struct("<4sQI")  # magic, session, messages; a checksum follows at the end
_MAGIC = b"FRC1"
_NAME = re.compile(r"received-(\d{20})")
_SESSION = "session"

_log = logging.getLogger(__name__)


class Receipts:
    """A folder of receipts; one bridge has it at a time.

    Args:
        folder: Where; made if it is not there.

    Raises:
        UsageError: It cannot be used, or another bridge uses it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle = lock_folder(folder, "scale.folder")
        self._kept: deque[tuple[int, int]] = deque()  # position of the segment and messages, oldest first
        self._before = self._read_session()

    def close(self) -> None:
        """Let another bridge have the folder."""
        os.close(self._handle)

    def begin_session(self, n_sessions: int) -> None:
        """Note on disk that the broker has begun a new session, whose packet identifiers mean other messages.

        Args:
            n_sessions: Sessions that it has begun since this bridge started.

        Raises:
            StoreError: It cannot be written; nothing may be received before it is.
        """
        write_file(self._folder / _SESSION, str(self._before + n_sessions).encode())

    def note(self, first: int, received: Received, session: int) -> None:
        """Keep the receipts of a segment that is about to be written, in place of earlier ones of that name.

        Args:
            first: Position that the segment begins at.
            received: What identifies its messages.
            session: Session they belong to, of those begun since this bridge started; 0 for the one before.

        Raises:
            StoreError: They cannot be written.
        """
        n = len(received.mids)
        head = _HEAD.pack(_MAGIC, self._before + session, n)
        data = head + received.mids.tobytes() + received.digests.tobytes()
        write_file(self._folder / f"received-{first:020d}", data + struct.pack("<I", zlib.crc32(data)))
        while self._kept and self._kept[-1][0] >= first:
            self._kept.pop()
        self._kept.append((first, n))

    def prune(self) -> None:
        """Remove what no broker sends again."""
        n_kept = sum(n for _, n in self._kept)
        while len(self._kept) > 1 and n_kept - self._kept[0][1] >= N_RECEIPTS:
            first, n = self._kept.popleft()
            n_kept -= n
            with suppress(OSError):
                (self._folder / f"received-{first:020d}").unlink()

    def recall(self, firsts: Collection[int]) -> Iterator[Received]:
        """Yield what was received in the session that the broker may still have, newest first.

        Args:
            firsts: Positions at which segments begin; receipts of others were never made good.
        """
        session = self._read_session()
        for first in reversed(self._positions()):
            path = self._folder / f"received-{first:020d}"
            parsed = _parse(path) if first in firsts else None
            if parsed is None:
                with suppress(OSError):
                    path.unlink()
                continue
            self._kept.appendleft((first, len(parsed[1].mids)))
            if parsed[0] == session:
                yield parsed[1]

    @property
    def newest(self) -> int:
        """Position of the newest segment that was begun; -1 for none."""
        return max(self._positions(), default=-1)

    def _positions(self) -> list[int]:
        return sorted(int(match[1]) for path in self._folder.iterdir() if (match := _NAME.fullmatch(path.name)))

    def _read_session(self) -> int:
        try:
            return int((self._folder / _SESSION).read_bytes())
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as error:
            raise StoreError(f"{self._folder / _SESSION}: not readable: {error}; remove it") from None


def _parse(path: Path) -> tuple[int, Received] | None:
    """Return session and receipts of a file; None where it is damaged."""
    try:
        data = path.read_bytes()
        magic, session, n = _HEAD.unpack_from(data)
        at = _HEAD.size
        (checksum,) = struct.unpack_from("<I", data, at + 10 * n)
    except (OSError, struct.error):
        magic, session, n, at, checksum, data = b"", 0, 0, 0, 0, b""
    if magic != _MAGIC or zlib.crc32(data[: at + 10 * n]) != checksum:
        _log.warning("receipts damaged", extra={"fields": {"file": path.name}})
        return None
    mids = np.frombuffer(data, np.uint16, n, at)
    return session, Received(is_new_session=False, mids=mids, digests=np.frombuffer(data, np.uint64, n, at + 2 * n))
