"""Who shares a network: streams get slots and networks here, give them back, and are merged by kind.

The kind of a stream is the first configured pattern that its name matches, else the last part of
its name: ``plant/press-3/temperature`` is a temperature.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np

from pipeline.core.forecast_settings import ForecastSettings
from pipeline.core.records import I64
from pipeline.core.seeds import key_of
from pipeline.flow.forecasting import rebuild
from pipeline.flow.state import Model, State
from pipeline.flow.verdicts import give_ranges
from pipeline.flow.wiring import wire

_FLEET = "\0fleet"
_KIND = "\0kind:"  # no stream name holds a NUL: keys of kinds and of streams differ


def kind_of(name: str, settings: ForecastSettings) -> str:
    """Return the kind of a stream.

    Example:
        >>> kind_of("plant/press-3/temperature", ForecastSettings())
        'temperature'
        >>> kind_of("plant/press-3/temperature", ForecastSettings(kinds=("plant/press-*",)))
        'plant/press-*'
    """
    pattern = next((pattern for pattern in settings.kinds if fnmatchcase(name, pattern)), None)
    return pattern or name.rsplit("/", 1)[-1]


def admit(model: Model, state: State, names: Sequence[str]) -> I64:
    """Give every name a slot and a network, growing state and bank where needed.

    Streams already there keep their numbers. Refused are names that are not stream names and
    streams beyond ``max_streams``.

    Args:
        model: Its bank may grow.
        state: Its arrays may grow.
        names: Stream names, repeats allowed.

    Returns:
        Slot of each name, -1 where it is refused, int64, shape (len(names),).
    """
    slots = state.table.known(names)
    if slots is not None:
        return slots
    known = set(state.table.live.tolist())
    slots = state.table.admit(names)
    fresh = np.array(sorted(set(slots[slots >= 0].tolist()) - known), np.int64)
    if len(fresh):
        needed = len(state.table.names)
        if needed > state.capacity:
            capacity = max(needed, 2 * state.capacity)
            for part in state.parts().values():
                part.grow(capacity)
        for part in state.parts().values():
            part.reset(fresh)
        _assign(model, state, fresh, np.array(sorted(known), np.int64))
        wire(model.settings, state)
        give_ranges(model.settings.health, state, fresh.tolist())
    return slots


def evict(model: Model, state: State, names: Sequence[str]) -> I64:
    """Forget streams; their slots and networks are given to the next new ones. Returns the slots."""
    slots = state.table.evict(names)
    for part in state.parts().values():
        part.reset(slots)
    wire(model.settings, state)
    return slots


def networks(state: State) -> I64:
    """Return the networks in use, ascending."""
    used: I64 = np.unique(state.ledger.group[state.table.live]).astype(np.int64)
    return used


def _assign(model: Model, state: State, fresh: I64, known: I64) -> None:
    """Give new streams their networks: that of their kind where it is shared, else a new one."""
    used: I64 = np.unique(state.ledger.group[known]).astype(np.int64)
    shared = {int(model.bank.key[group]): int(group) for group in used}
    needed: dict[int, list[int]] = {}
    for slot in fresh.tolist():
        own, common = _keys(model, str(state.table.names[slot]))
        key = common if common in shared or model.settings.forecast.sharing in {"group", "fleet"} else own
        if key in shared:
            state.ledger.group[slot] = shared[key]
        else:
            needed.setdefault(key, []).append(slot)
    if not needed:
        return
    groups = _new_groups(model, used, len(needed), state.capacity)
    model.bank.initialise(model.network, groups, np.array(list(needed), np.uint64))
    for group, slots in zip(groups, needed.values(), strict=True):
        state.ledger.group[slots] = group


def _keys(model: Model, name: str) -> tuple[int, int]:
    """Return the key of a stream's own network, and that of the one it would share."""
    forecast = model.settings.forecast
    common = _FLEET if forecast.sharing == "fleet" else _KIND + kind_of(name, forecast)
    return key_of(name, forecast.seed), key_of(common, forecast.seed)


def _new_groups(model: Model, used: I64, n: int, capacity: int) -> I64:
    """Find room for ``n`` networks, growing the bank where needed."""
    bank = model.bank
    if len(used) + n > bank.capacity:
        room = capacity if model.settings.forecast.sharing in {"stream", "auto"} else 2 * bank.capacity
        bank.grow(max(len(used) + n, room))
    free: I64 = np.setdiff1d(np.arange(bank.capacity), used)[:n]
    return free


def merge_kinds(model: Model, state: State, n_most: int) -> int:
    """Merge the networks of whole kinds, largest kind first, until no more than ``n_most`` are left.

    The longest trained network of a kind goes on as that of all its streams; their hidden states are
    rebuilt. Streams of other kinds keep their numbers. What has one network per kind stays as it is.

    Returns:
        Networks saved.
    """
    n_before = len(networks(state))
    kinds: dict[int, list[int]] = {}
    for slot in state.table.live.tolist():
        kinds.setdefault(_keys(model, str(state.table.names[slot]))[1], []).append(slot)
    for key, slots in sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0])):
        if len(networks(state)) <= n_most:
            break
        _merge(model, state, np.array(slots, np.int64), np.uint64(key))
    return n_before - len(networks(state))


def _merge(model: Model, state: State, slots: I64, key: np.uint64) -> None:
    """Let streams share the longest trained of their networks from now on."""
    groups = np.unique(state.ledger.group[slots])
    if len(groups) < 2:  # noqa: PLR2004 - one network is shared already
        return
    kept = groups[model.bank.n_rounds[groups].argmax()]
    model.bank.key[kept] = key
    moved = slots[state.ledger.group[slots] != kept]
    state.ledger.group[moved] = kept
    state.ledger.n_trained[slots] = state.windows.n[slots]  # debts were those of the networks that are given up
    state.due.reset(slots)
    state.due.next[slots] = state.windows.n[slots] + model.settings.training.every
    rebuild(model, state, moved)
