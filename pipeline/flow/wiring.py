"""Which streams are context of which, and what their values were when a batch's readings were taken.

Looked up for a whole batch before its ticks, by event time, so that neither the order of streams nor
a reading that comes later in the batch matters.
"""

from fnmatch import fnmatchcase

import numpy as np

from pipeline.core.records import F64, I64, Batch
from pipeline.core.settings import Settings
from pipeline.flow.state import State
from pipeline.streams.context import newest_values

_DEVICE = "{device}"


def sources_of(settings: Settings, name: str) -> list[str]:
    """Return the names of a stream's context streams, in order; itself is none of them.

    Example:
        >>> context = [{"stream": "*/temperature", "inputs": ["{device}/valve", "weather"]}]
        >>> sources_of(Settings.model_validate({"forecast": {"context": context}}), "boiler/temperature")
        ['boiler/valve', 'weather']
    """
    device = name.rpartition("/")[0]
    entries = settings.forecast.context
    inputs = next((entry.inputs for entry in entries if fnmatchcase(name, entry.stream)), ())
    found = [text.replace(_DEVICE, device) for text in inputs]
    return ["" if source == name else source for source in found]


def wire(settings: Settings, state: State) -> None:
    """Connect all streams to their context streams, as far as these are there."""
    if not settings.forecast.context:
        return
    slot_of = {name: slot for slot, name in enumerate(state.table.names) if name is not None}
    for name, slot in slot_of.items():
        sources = sources_of(settings, name)
        state.context.source[slot] = -1
        state.context.source[slot, : len(sources)] = [slot_of.get(source, -1) for source in sources]


def context_values(state: State, batch: Batch, rows: I64) -> F64:
    """Return the newest value of each context stream at each reading of a batch.

    Args:
        state: The shard, before the batch.
        batch: The readings.
        rows: Those of them that pass the gate.

    Returns:
        Unit of the sources, NaN where there is none, shape (N, K); only ``rows`` are filled.
    """
    n_context = state.context.source.shape[1]
    values = np.full((len(batch), n_context), np.nan)
    if not n_context or not len(rows):
        return values
    order = rows[np.argsort(batch.slot[rows], kind="stable")]
    slots, starts = np.unique(batch.slot[order], return_index=True)
    by_slot = dict(zip(slots.tolist(), np.split(order, starts[1:]), strict=True))
    for slot, own in by_slot.items():
        for k, source in enumerate(state.context.source[slot].tolist()):
            if source >= 0:
                time, value = _readings_of(state, source, batch, by_slot.get(source, rows[:0]))
                values[own, k] = newest_values(batch.time[own], time, value)
    return values


def _readings_of(state: State, slot: int, batch: Batch, rows: I64) -> tuple[F64, F64]:
    """Return what is held of a stream, and what the batch adds, in order of time."""
    held = state.windows.last(np.array([slot]), state.windows.value.shape[1])
    is_valid = held.is_valid[0]
    new = rows[np.argsort(batch.time[rows], kind="stable")]
    return np.append(held.time[0][is_valid], batch.time[new]), np.append(held.value[0][is_valid], batch.value[new])
