"""What runs on Spark's workers: pyspark's stateful processor around ``Shard``.

The state of a shard is three variables: a snapshot, the envelopes since, and a mark that names the state. A worker
keeps the shards that it has scored; it goes on with one only where the mark is that of the state store. What Spark ran
twice, gave up or moved is so taken up from the store, whatever a worker remembers.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pyspark.sql.streaming import StatefulProcessor, StatefulProcessorHandle

from pipeline.core.settings import Settings
from pipeline.scaleout.rows import columns
from pipeline.scaleout.weights import read_weights

if TYPE_CHECKING:  # loaded with the first envelope: Spark also makes processors where nothing is scored
    from pipeline.flow.state import Model
    from pipeline.scaleout.shard import Shard

SNAPSHOT, SINCE, MARK = "snapshot", "since", "mark"
_LIKELY = 2  # shards kept, for each that is a worker's on average

#: The shards that this worker scored last, by number.
kept_shards: OrderedDict[int, "Shard"] = OrderedDict()


class ShardProcessor(StatefulProcessor):
    """Scores the envelopes of one shard after the other.

    Args:
        settings_json: The settings, as pydantic writes them.
        weights: Folder of the networks.
    """

    def __init__(self, settings_json: str, weights: str) -> None:
        self._settings_json = settings_json
        self._folder = weights

    def init(self, handle: StatefulProcessorHandle) -> None:
        """Name the variables of the state."""
        self._settings = _settings(self._settings_json)
        self._weights: Callable[[str], Model] = lambda name: _model(self._folder, name, self._settings_json)
        self._snapshot = handle.getValueState(SNAPSHOT, "blob binary")
        self._since = handle.getListState(SINCE, "envelope binary")
        self._mark = handle.getValueState(MARK, "stamp binary")

    def handleInputRows(  # noqa: N802 - pyspark's name
        self,
        key: Any,  # noqa: ANN401 - a tuple of one
        rows: Iterable[pd.DataFrame],
        timerValues: object,  # noqa: ARG002, N803 - pyspark's name
    ) -> Iterator[pd.DataFrame]:
        """Score the envelopes of a shard, in the order of the log; then keep what became of it."""
        number = int(key[0])
        frame = pd.concat(list(rows)).sort_values("first", kind="stable")
        shard = self._take_up(number)
        fresh = [bytes(envelope) for envelope in frame["envelope"]]
        for envelope in fresh:
            yield _frame(columns(shard.take(envelope), self._settings))
        if shard.is_due:
            self._snapshot.update((shard.snapshot(),))
            self._since.clear()
        else:
            self._since.appendList([(envelope,) for envelope in fresh])
        self._mark.update((shard.stamp,))
        self._keep(number, shard)

    def handleInitialState(self, key: Any, initialState: pd.DataFrame, timerValues: object) -> None:  # noqa: ANN401, ARG002, N802, N803 - pyspark's signature
        """Begin with the state that was imported."""
        from pipeline.scaleout.shard import Shard

        blob = bytes(initialState["blob"].iloc[0])
        self._snapshot.update((blob,))
        self._mark.update((Shard.resume(self._settings, self._weights, blob).stamp,))

    def _take_up(self, number: int) -> "Shard":
        """Return a shard as the state store has it."""
        from pipeline.scaleout.shard import Shard

        mark = self._mark.get()
        kept = kept_shards.pop(number, None)
        if mark is None:
            return Shard(self._settings, self._weights)
        if kept is not None and kept.stamp == bytes(mark[0]):
            return kept
        snapshot = self._snapshot.get()
        since = (bytes(row[0]) for row in self._since.get())
        return Shard.resume(self._settings, self._weights, bytes(snapshot[0]) if snapshot else None, since)

    def _keep(self, number: int, shard: "Shard") -> None:
        """Remember a shard for the next batch."""
        scale = self._settings.scale
        kept_shards[number] = shard
        while len(kept_shards) > _LIKELY * -(-scale.shards // scale.partitions):
            kept_shards.popitem(last=False)


def _frame(cells: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(cells | {"timestamp": pd.Series(cells["timestamp"]).dt.tz_localize("UTC")})


@lru_cache(maxsize=2)
def _settings(text: str) -> Settings:
    return Settings.model_validate_json(text)


@lru_cache(maxsize=4)
def _model(folder: str, name: str, settings_json: str) -> "Model":
    return read_weights(Path(folder), _settings(settings_json), name)
