"""Spark's source over the ingest log: segments in the order of their names, as envelopes by shard.

An offset says where the log was read to, and how many networks were known: both are in Spark's own log before a batch
begins, so that a batch that is run again has the same readings and the same networks. The planning is pure Python over
a folder (``Planner``); pyspark's classes around it hold nothing.
"""

from collections.abc import Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadLimit, ReadMaxRows, SupportsTriggerAvailableNow

from pipeline.scaleout.envelopes import cut
from pipeline.scaleout.planner import Offset, Planner, Task
from pipeline.scaleout.segments import read_segment

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

NAME = "foretell_segments"
SCHEMA = "shard int, first long, envelope binary"
_ARROW = pa.schema([("shard", pa.int32()), ("first", pa.int64()), ("envelope", pa.binary())])


class SegmentSource(DataSource):
    """What Spark knows the log by; options are ``log``, ``weights``, ``shards`` and ``rows``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return NAME

    def schema(self) -> str:
        """Return the columns of an envelope."""
        return SCHEMA

    def streamReader(self, schema: "StructType") -> "SegmentReader":  # noqa: ARG002, N802 - pyspark's signature
        """Return what reads."""
        return SegmentReader(self.options)


class Part(InputPartition):
    """One segment of a batch."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)


class SegmentReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Plans on the driver, reads on workers."""

    def __init__(self, options: MutableMapping[str, str]) -> None:
        self._planner = Planner(Path(options["log"]), Path(options["weights"]))
        self._n_shards = int(options["shards"])
        self._n_rows = int(options["rows"])
        self._until: Offset | None = None

    def initialOffset(self) -> dict[str, object]:  # noqa: N802 - pyspark's name
        """Return where a job begins."""
        return Offset().as_dict()

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802 - pyspark's name
        """Return how many readings a batch has, about."""
        return ReadMaxRows(self._n_rows)

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802 - pyspark's name
        """Note where the log ends now: the job ends there."""
        self._until = self._planner.end()

    def latestOffset(self, start: dict[str, object], limit: ReadLimit) -> dict[str, object]:  # noqa: N802 - pyspark's name
        """Return where the next batch ends."""
        n_rows = limit.max_rows if isinstance(limit, ReadMaxRows) else self._n_rows
        n_most = None if isinstance(limit, ReadAllAvailable) else n_rows
        return self._planner.next(Offset.from_dict(start), n_most, self._until).as_dict()

    def partitions(self, start: dict[str, object], end: dict[str, object]) -> Sequence[InputPartition]:
        """Return the segments of a batch."""
        return [Part(task) for task in self._planner.tasks(Offset.from_dict(start), Offset.from_dict(end))]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield the envelopes of a segment."""
        task: Task = partition.value
        yield arrow_batch(list(cut(read_segment(Path(task.path)), self._n_shards, task.model)), task.first)


def arrow_batch(cells: Sequence[tuple[int, bytes]], first: int) -> pa.RecordBatch:
    """Return shards and envelopes, all of which begin at a position, as the columns of ``SCHEMA``."""
    shards = pa.array([shard for shard, _ in cells], pa.int32())
    firsts = pa.array([first] * len(cells), pa.int64())
    return pa.record_batch([shards, firsts, pa.array([data for _, data in cells], pa.binary())], schema=_ARROW)
