"""When networks are fine-tuned, and when what they learnt is taken over: counted in readings, nothing else decides.

A network falls due at a reading, learns from what was known at that reading, and is taken over ``training.takeover``
readings later: with none, before the next one. However long teaching takes in between, in whatever process, the same
readings give the same networks at the same readings: in the daemon, and in a replay of what it received.
"""

import numpy as np

from pipeline.core.records import F64, I64, Bool
from pipeline.core.settings import Settings
from pipeline.flow.state import Model, State

_RETRY_EVERY = 8  # readings after which a stream that could not be trained is looked at again


def debts(model: Model, state: State) -> I64:
    """Return how many readings each network is behind: those its streams got since it was last fine-tuned."""
    live = state.table.live
    by_group = np.zeros(model.bank.capacity, np.int64)
    if len(live) and model.settings.training.enabled:
        behind = state.windows.n[live] - state.ledger.n_trained[live]
        np.maximum.at(by_group, state.ledger.group[live], np.where(is_ready(model, state, live), behind, 0))
    return by_group


def is_ready(model: Model, state: State, slots: I64) -> Bool:
    """Say which streams have a whole training window and a scale."""
    n_least = model.settings.training.window + 2
    ready: Bool = (state.windows.n[slots] >= n_least) & (state.pending.spread_of_scale[slots] > 0)
    return ready


def note_due(model: Model, state: State) -> None:
    """Note which networks have fallen due, as of which reading of each of their streams, and by which scale.

    A network is due when one of its streams has ``training.every`` readings that it was not trained on, and a whole
    training window.
    """
    live = state.table.live
    if len(live) and model.settings.training.enabled:
        _note(model, state, live, state.windows.n[live] >= _next(model.settings, state.due.next[live]))


def make_due(model: Model, state: State) -> None:
    """Let every network that can be trained fall due now, whenever it was fine-tuned."""
    live = state.table.live
    state.due.n[live] = 0
    _note(model, state, live, np.ones(len(live), np.bool_))


def _note(model: Model, state: State, live: I64, reached: Bool) -> None:
    """Note the networks of the live streams that have reached the reading at which they fall due."""
    if not reached.any():
        return
    due = state.due
    ready = is_ready(model, state, live)
    early = live[reached & ~ready]
    due.next[early] = state.windows.n[early] + _RETRY_EVERY
    group = state.ledger.group[live]
    is_noted = np.zeros(model.bank.capacity, np.bool_)
    is_noted[group[reached & ready]] = True
    is_noted[group[due.n[live] > 0]] = False  # its lesson is still to come
    taken = is_noted[group]
    pupils, all_of_them = live[taken & ready], live[taken]
    due.n[pupils] = state.windows.n[pupils]
    due.ripe[pupils] = due.n[pupils] + model.settings.training.takeover
    for name, array in scale_now(state, pupils).items():
        getattr(due, name)[pupils] = array
    due.next[all_of_them] = state.windows.n[all_of_them] + _until_next(model, state, all_of_them)


def scale_now(state: State, slots: I64) -> dict[str, F64]:
    """Return the scale that streams would be trained in now; the spread is 0 where a stream has none."""
    return {
        "middle": state.scaling.mean[slots],
        "spread": np.where(state.pending.spread_of_scale[slots] > 0, state.scaling.spread(slots), 0.0),
        "interval": state.cadence.step_s[slots],
    }


def _until_next(model: Model, state: State, slots: I64) -> I64:
    """Return readings until the next lesson: as the settings say, but after the first one each network has its own.

    Else networks of streams that began together would fall due together for ever, and be taught in a hurry. Those that
    are taken over at once are taught at once, whenever that is.
    """
    training = model.settings.training
    group = state.ledger.group[slots]
    n_turns = training.every - training.takeover if training.takeover else 1
    own = (model.bank.key[group] % np.uint64(n_turns)).astype(np.int64)
    return training.every - np.where(model.bank.n_rounds[group] == 0, own, 0)


def first_due(settings: Settings) -> int:
    """Return the reading at which a stream makes its network due for the first time: when it has a whole window."""
    every, n_least = settings.training.every, settings.training.window + 2
    return -(-n_least // every) * every


def _next(settings: Settings, noted: I64) -> I64:
    """Return the reading from which on a stream makes its network due, given what is noted."""
    return np.where(noted > 0, noted, first_due(settings))


def due_groups(model: Model, state: State) -> I64:
    """Return the networks that are due for a fine-tune, largest debt first."""
    return _by_debt(model, state, state.due.n[state.table.live] > 0)


def ripe_groups(model: Model, state: State) -> I64:
    """Return the networks whose fine-tune is to be taken over now, largest debt first."""
    live = state.table.live
    return _by_debt(model, state, (state.due.n[live] > 0) & (state.windows.n[live] >= state.due.ripe[live]))


def _by_debt(model: Model, state: State, is_meant: Bool) -> I64:
    """Return the networks of the live streams that are meant."""
    found = np.unique(state.ledger.group[state.table.live[is_meant]]).astype(np.int64)
    return found[np.argsort(-debts(model, state)[found], kind="stable")]


def readings_since(state: State, slots: I64, n: I64, network_of: I64, n_networks: int) -> I64:
    """Return how many readings came since networks fell due, the most of any of their streams.

    Args:
        state: The shard.
        slots: Streams, shape (D,).
        n: Reading of each at which its network fell due, shape (D,).
        network_of: Place of its network, shape (D,).
        n_networks: How many networks there are.

    Returns:
        By network, int64; -1 where what was noted no longer holds.
    """
    since = np.where(state.due.n[slots] == n, state.windows.n[slots] - n, -1)
    by_network = np.full(n_networks, -1, np.int64)
    np.maximum.at(by_network, network_of, since)
    return by_network


def readings_until(model: Model, state: State, slots: I64) -> I64:
    """Return how many readings each stream lacks until its network falls due or is to be taken over, at least 1."""
    due = state.due
    moment = np.where(due.n[slots] > 0, due.ripe[slots], _next(model.settings, due.next[slots]))
    lacks = moment - state.windows.n[slots]
    return np.where(lacks > 0, lacks, model.settings.training.every)  # a teacher that is late does not hold up anybody
