"""One shard as Spark drives it: bytes and envelopes in, steps and bytes out. READ THIS FIRST of this folder.

``snapshot + envelopes since = the shard now``: as the daemon does with snapshots and its journal, the state is written
whole only now and then, and in between only what came is kept beside it. A stamp, chained over all that came, names
the state; a worker that still holds a shard with that very stamp goes on with it, any other takes it up from bytes and
scores again what came since, with the same result. It is the daemon's session that scores. No I/O, no clock.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

import numpy as np

from pipeline.core.records import Steps
from pipeline.core.settings import Settings
from pipeline.flow.forecasting import rebuild, set_scale
from pipeline.flow.sealing import SnapshotError
from pipeline.flow.sharing import admit
from pipeline.flow.snapshot import copy_model, copy_state, parse_model, parse_state
from pipeline.flow.state import Model, State
from pipeline.runtime.session import Session
from pipeline.scaleout.envelopes import open_envelope
from pipeline.scaleout.segments import Logged

_MAGIC = b"FTSHARD1"
_STAMP_BYTES = 16
_SIZE_BYTES = 8
#: A networks' name to the networks: those of a file that never changes.
Weights = Callable[[str], Model]


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of an envelope.

    Attributes:
        logged: Its readings, in the order of the log.
        steps: Their steps, in the same order.
    """

    logged: Logged
    steps: Steps


class Shard:
    """The streams of one shard.

    Args:
        settings: Those of the job; streams share one network.
        weights: Gives the networks of a name.

    Attributes:
        session: What scores.
        position: Of the newest reading taken in; -1 for none.
        model: Name of the networks in force; empty for those it began with.
        stamp: Names the state: equal where all that came, and in what order, was equal.
        n_since: Readings since the last snapshot.
    """

    def __init__(self, settings: Settings, weights: Weights) -> None:
        self.session = Session(settings)
        self.position = -1
        self.model = ""
        self.stamp = bytes(_STAMP_BYTES)
        self.n_since = 0
        self._now_s = -math.inf
        self._weights = weights

    @classmethod
    def resume(cls, settings: Settings, weights: Weights, snapshot: bytes | None, since: Iterable[bytes] = ()) -> Self:
        """Return a shard as it was.

        Args:
            settings: Those of the job.
            weights: Gives the networks of a name.
            snapshot: What ``snapshot`` returned last; None for a shard that begins.
            since: Envelopes that were taken in after it, in order.

        Raises:
            SnapshotError: The snapshot is damaged, or made with other settings.
            EnvelopeError: An envelope is damaged.
        """
        shard = cls(settings, weights)
        if snapshot is not None:
            shard._restore(snapshot)
        for envelope in since:
            shard.take(envelope)
        return shard

    def take(self, data: bytes) -> Scored:
        """Score an envelope; readings that were taken in before are left out.

        Raises:
            EnvelopeError: It is damaged.
        """
        envelope = open_envelope(data)
        logged = envelope.logged.rows(envelope.logged.seq > self.position)
        self._now_s = max(self._now_s, envelope.now_s)
        self._follow(envelope.model, logged.readings.names)
        steps = self.session.process(logged.readings, self._now_s)
        self.session.tell(logged.told)
        self.position = max(self.position, int(logged.seq.max(initial=-1)))
        self.n_since += len(logged)
        self.stamp = blake2b(self.stamp + data, digest_size=_STAMP_BYTES).digest()
        return Scored(logged, steps)

    @property
    def is_due(self) -> bool:
        """Whether a snapshot is due: scoring again what came since would take longer than it is worth."""
        settings = self.session.settings
        return self.n_since >= settings.scale.n_journal * max(1, len(self.session.state.table))

    def snapshot(self) -> bytes:
        """Return the whole shard as bytes, sealed; what came before is not needed any more."""
        texts = {
            "session": json.dumps(self.session.tallies()),
            "now_s": json.dumps(self._now_s),
            "position": str(self.position),
            "model": self.model,
        }
        model = b"".join(copy_model(self.session.model).chunks())
        parts: list[bytes | memoryview] = [len(model).to_bytes(_SIZE_BYTES, "little"), model]
        parts += copy_state(self.session.state, texts).chunks()
        digest = blake2b(digest_size=_STAMP_BYTES)
        for part in parts:
            digest.update(part)
        self.stamp, self.n_since = digest.digest(), 0
        return b"".join([_MAGIC, self.stamp, *parts])

    def begin(self, model: Model, state: State, tallies: Mapping[str, Any], name: str) -> None:
        """Go on from what somebody else learnt, with the networks of that name in force."""
        self.session.restore(model, state, tallies)
        self.model = name

    def _restore(self, data: bytes) -> None:
        """Go on from a snapshot."""
        start = len(_MAGIC) + _STAMP_BYTES
        body = memoryview(data)[start:]
        stamp = bytes(data[len(_MAGIC) : start])
        if data[: len(_MAGIC)] != _MAGIC:
            raise SnapshotError(f"not a shard of this version: starts with {data[:8]!r}, not {_MAGIC!r}")
        if blake2b(body, digest_size=_STAMP_BYTES).digest() != stamp:
            raise SnapshotError("damaged shard: its checksum does not agree")
        end = _SIZE_BYTES + int.from_bytes(body[:_SIZE_BYTES], "little")
        settings = self.session.settings
        model = parse_model(bytes(body[_SIZE_BYTES:end]), settings)
        state, texts = parse_state(bytes(body[end:]), settings)
        self.session.restore(model, state, json.loads(texts["session"]))
        self.position, self.model = int(texts["position"]), texts["model"]
        self._now_s = float(json.loads(texts["now_s"]))
        self.stamp = stamp

    def _follow(self, name: str, streams: Iterable[str]) -> None:
        """Put the networks of a name in force, and rebuild what follows from them."""
        if name == self.model:
            return
        session = self.session
        model, state = session.model, session.state
        admit(model, state, list(streams))
        group = np.unique(state.ledger.group[state.table.live]).astype(np.int64)
        rows = self._weights(name).bank.take(np.zeros(1, np.int64))
        for at in group.reshape(-1, 1):  # one, as streams share their network; none where all streams were refused
            model.bank.put(at, rows | {"key": model.bank.key[at]})
        known = state.table.live[state.pending.spread_of_scale[state.table.live] > 0]
        if len(known):
            set_scale(state, known)
            rebuild(model, state, known)
        self.model = name
