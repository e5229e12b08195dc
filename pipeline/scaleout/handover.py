"""Between a daemon and shards: one session becomes many, and many become one; nothing that was learnt is lost.

Comes in: a session, or shards. Goes out: the other. Streams share one network on both sides. Pure.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.core.settings import Settings
from pipeline.core.sharding import shard_of
from pipeline.flow.sharing import networks
from pipeline.flow.snapshot import merge, pack, unpack
from pipeline.flow.state import Model, State
from pipeline.forecast.bank import empty_bank
from pipeline.runtime.session import Session
from pipeline.scaleout.shard import Shard, Weights


def common_model(session: Session) -> Model:
    """Return the one network that all streams of a session share, as a bank of its own.

    Raises:
        UsageError: They do not share one.
    """
    groups = networks(session.state)
    if len(groups) != 1:
        problem = f"its streams have {len(groups)} networks, and shards have one for all"
        raise UsageError("the daemon's state", problem, "run the daemon with forecast.sharing: fleet")
    model = session.model
    bank = empty_bank(1, model.network, model.settings.forecast.ensemble)
    bank.put(np.zeros(1, np.int64), model.bank.take(groups))
    return Model(model.settings, bank, model.network)


def split(session: Session, settings: Settings, name: str, weights: Weights) -> Iterator[tuple[int, bytes]]:
    """Yield the shards that a session's streams belong to.

    Args:
        session: Of a daemon; its streams share one network.
        settings: Those of the job.
        name: Name of that network, as it was published for the job.
        weights: Gives the networks of a name.

    Yields:
        Shard, and its snapshot.
    """
    by_shard: dict[int, list[str]] = {}
    for slot in session.state.table.live.tolist():
        stream = str(session.state.table.names[slot])
        by_shard.setdefault(shard_of(stream, settings.scale.shards), []).append(stream)
    tallies: dict[str, Any] = session.tallies()
    counted = {key: tallies[key] for key in ("counts", "fine_tunes", "n_drifts", "n_promised")}
    for number, streams in sorted(by_shard.items()):
        shard = Shard(settings, weights)
        nothing = shard.session.tallies()
        told = {stream: prior for stream, prior in tallies["told"].items() if stream in streams}
        state = unpack(pack(session.state, streams), settings)
        state.ledger.group[:] = 0
        shard.begin(common_model(session), state, {**nothing, **counted, "told": told}, name)
        yield number, shard.snapshot()
        counted = {}  # all that was counted so far goes to the first


def join(shards: Sequence[Shard], settings: Settings, match: str = "*") -> Session:
    """Return one session with the streams of shards.

    Args:
        shards: All with the same networks in force.
        settings: Those of the daemon that goes on; sizes must be those of the shards.
        match: Pattern of the streams that are wanted.

    Raises:
        UsageError: No stream matches, or the shards have different networks.
    """
    if len({shard.model for shard in shards}) > 1:
        problem = "newer networks are not in force in all of them yet"
        raise UsageError("the job's shards", problem, "let the job score what is in the log, then export again")
    parts = [part for shard in shards if (part := _matching(shard.session.state, settings, match)) is not None]
    if not parts:
        raise UsageError(f"--match {match}", "no stream matches", "name a pattern with * and ?")
    joined = Session(settings)
    state = merge(parts, settings)
    joined.restore(shards[0].session.model, state, _sum(joined, shards))
    return joined


def _matching(state: State, settings: Settings, match: str) -> State | None:
    """Return the streams that match; None where there are none."""
    names = [str(state.table.names[slot]) for slot in state.table.live.tolist()]
    wanted = [name for name in names if fnmatchcase(name, match)]
    return unpack(pack(state, wanted), settings) if wanted else None


def _sum(fresh: Session, shards: Sequence[Shard]) -> dict[str, Any]:
    """Return what shards have counted together."""
    all_tallies: list[dict[str, Any]] = [shard.session.tallies() for shard in shards]
    total: dict[str, Any] = fresh.tallies()
    for key in ("counts", "fine_tunes"):
        counted: Counter[str] = Counter(total[key])
        for tallies in all_tallies:
            counted.update(tallies[key])
        total[key] = dict(counted)
    for key in ("n_drifts", "n_promised"):
        total[key] = sum(tallies[key] for tallies in all_tallies)
    return total | {"told": {name: prior for tallies in all_tallies for name, prior in tallies["told"].items()}}
