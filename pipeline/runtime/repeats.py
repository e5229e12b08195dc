"""Knows messages that come again: what was dealt with, and whose acknowledgement the broker may not have got.

A broker sends a message that it thinks unacknowledged again after a reconnect, with the same packet identifier, in the
same session. Readings with times of their own would be recognised by the engine; one timed by its arrival would count
twice. The broker may wait for ``RECEIVE_MAXIMUM`` acknowledgements at most, so the newest few thousand are enough.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from pipeline.core.records import U16, U64
from pipeline.sources.inbox import Message

#: Messages remembered, a few times what a broker may have in flight.
N_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Received:
    """What identifies messages when they come again.

    Attributes:
        is_new_session: The broker had begun a new session: what came before it comes no more.
        mids: Packet identifiers, uint16, shape (M,).
        digests: Of topic and payload, uint64, shape (M,).
    """

    is_new_session: bool
    mids: U16
    digests: U64


NOTHING_RECEIVED = Received(is_new_session=False, mids=np.zeros(0, np.uint16), digests=np.zeros(0, np.uint64))


class Repeats:
    """Remembers the newest messages of a session.

    Args:
        n_remembered: So many; more than the broker has in flight, less than there are packet identifiers.

    Attributes:
        n_dropped: Messages that had been dealt with before, and came again.

    Example:
        >>> from pipeline.sources.inbox import Receipt
        >>> first = Message("t", b"1", False, 0.0, Receipt(1, 0, 7, False))
        >>> again = Message("t", b"1", False, 5.0, Receipt(2, 0, 7, True))
        >>> repeats = Repeats()
        >>> [len(repeats.sift([message])[0]) for message in (first, again, again)], repeats.n_dropped
        ([1, 0, 0], 2)
    """

    def __init__(self, n_remembered: int = N_REMEMBERED) -> None:
        self.n_dropped = 0
        self._n_remembered = n_remembered
        self._session = 0
        #: By session and packet identifier, oldest first.
        self._digests: OrderedDict[tuple[int, int], int] = OrderedDict()

    def begin(self, session: int) -> bool:
        """Take in which session is the broker's last; return whether it is a new one."""
        is_new = session > self._session
        self._session = max(session, self._session)
        return is_new

    def sift(self, messages: Iterable[Message]) -> tuple[list[Message], Received]:
        """Return the messages that are new, and what is needed to know them again."""
        new: list[Message] = []
        mids: list[int] = []
        digests: list[int] = []
        is_new_session = False
        for message in messages:
            receipt = message.receipt
            if receipt is None:
                new.append(message)
                continue
            if self.begin(receipt.session):
                is_new_session = True
                del mids[:], digests[:]
            digest = _digest(message)
            if receipt.is_again and self._digests.get((receipt.session, receipt.mid)) == digest:
                self.n_dropped += 1
                continue
            new.append(message)
            self._remember((receipt.session, receipt.mid), digest)
            if receipt.session == self._session:  # others come again from the inbox at most, and not after a crash
                mids.append(receipt.mid)
                digests.append(digest)
        return new, Received(is_new_session, np.array(mids, np.uint16), np.array(digests, np.uint64))

    def recall(self, newest_first: Iterable[Received]) -> None:
        """Take over what earlier batches received."""
        found: list[tuple[int, int]] = []
        for received in newest_first:
            found += zip(received.mids[::-1].tolist(), received.digests[::-1].tolist(), strict=True)
            if received.is_new_session or len(found) >= self._n_remembered:
                break
        for mid, digest in reversed(found):
            self._remember((0, mid), digest)

    def _remember(self, key: tuple[int, int], digest: int) -> None:
        self._digests[key] = digest
        self._digests.move_to_end(key)
        if len(self._digests) > self._n_remembered:
            self._digests.popitem(last=False)  # of a plain dict, finding the first takes ever longer


def _digest(message: Message) -> int:
    digest = blake2b(message.topic.encode(errors="surrogateescape"), digest_size=8)
    digest.update(b"\0")
    digest.update(message.payload)
    return int.from_bytes(digest.digest(), "little")
