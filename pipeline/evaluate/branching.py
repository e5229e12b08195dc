"""Branches of a session: streams as they are now, copied under other names, so that their futures can differ.

Comes in: a session and what each branch is a copy of. Goes out: a session of its own in which every branch has its
own state and its own network. The first session goes on as if nothing had happened. Refuses to know why.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.core.settings import Settings
from pipeline.flow.state import State
from pipeline.forecast.bank import empty_bank
from pipeline.runtime.session import Session


def check_apart(settings: Settings) -> None:
    """Refuse settings under which streams touch each other: such streams cannot be branched one by one.

    Raises:
        UsageError: Streams share networks or see each other.
    """
    if settings.forecast.sharing != "stream" or settings.forecast.context:
        remedy = "set forecast.sharing to stream and leave forecast.context out"
        raise UsageError("--config", "streams touch each other", remedy)


def branched(session: Session, origins: Sequence[str], names: Sequence[str]) -> Session:
    """Copy streams of a session into another one.

    Args:
        session: Its settings pass ``check_apart``; it is not changed.
        origins: Stream that each branch is a copy of; the same one may have many.
        names: Names of the branches, all different.

    Returns:
        A session that holds the branches and nothing else.
    """
    settings = session.settings
    many = settings.model_copy(
        update={"streams": settings.streams.model_copy(update={"max_streams": max(1, len(names))})}
    )
    where = {name: slot for slot, name in enumerate(session.state.table.names)}
    slots = np.array([where[origin] for origin in origins], np.int64)
    branch = Session(many)
    branch.state = State.empty(many, capacity=max(1, len(names)))
    branch.state.table.restore(list(names))
    places = np.arange(len(names))
    for part, stage in branch.state.parts().items():
        stage.put(places, session.state.parts()[part].take(slots))
    bank = empty_bank(len(names), session.model.network, settings.forecast.ensemble)
    bank.put(places, session.model.bank.take(session.state.ledger.group[slots].astype(np.int64)))
    branch.model.bank = bank
    branch.state.ledger.group[places] = places
    return branch
