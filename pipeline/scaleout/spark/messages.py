"""Spark's source over JetStream: messages of all partitions, decoded on workers, as envelopes by shard.

An offset holds the next sequence number of each partition, and how many networks were known: a batch that is run again
has the same messages, positions and networks. pyspark's classes around ``partitions`` and ``jetstream`` hold nothing.
"""

from collections.abc import Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadLimit, ReadMaxRows, SupportsTriggerAvailableNow

from pipeline.core.errors import UsageError
from pipeline.core.settings import Settings
from pipeline.scaleout.envelopes import cut
from pipeline.scaleout.jetstream import bounds, fetch
from pipeline.scaleout.messages import decoded
from pipeline.scaleout.partitions import Marks, Span, advance, spans
from pipeline.scaleout.spark.source import SCHEMA, arrow_batch
from pipeline.scaleout.weights import versions

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

NAME = "foretell_messages"


class MessageSource(DataSource):
    """What Spark knows JetStream by; options are ``settings`` and ``weights``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return NAME

    def schema(self) -> str:
        """Return the columns of an envelope."""
        return SCHEMA

    def streamReader(self, schema: "StructType") -> "MessageReader":  # noqa: ARG002, N802 - pyspark's signature
        """Return what reads."""
        return MessageReader(self.options)


class Part(InputPartition):
    """The messages of one partition in a batch."""

    def __init__(self, span: Span) -> None:
        super().__init__(span)


class MessageReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Plans on the driver, reads and decodes on workers."""

    def __init__(self, options: MutableMapping[str, str]) -> None:
        self._settings = Settings.model_validate_json(options["settings"])
        self._weights = Path(options["weights"])
        self._until: list[int] | None = None

    def initialOffset(self) -> dict[str, object]:  # noqa: N802 - pyspark's name
        """Return where a job begins: with the oldest messages that are kept."""
        return Marks(tuple(first for first, _ in bounds(self._settings.scale.nats))).as_dict()

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802 - pyspark's name
        """Return how many messages a batch has at most."""
        return ReadMaxRows(self._settings.scale.batch_readings)

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802 - pyspark's name
        """Note what there is now: the job ends there."""
        self._until = [end for _, end in bounds(self._settings.scale.nats)]

    def latestOffset(self, start: dict[str, object], limit: ReadLimit) -> dict[str, object]:  # noqa: N802 - pyspark's name
        """Return where the next batch ends."""
        marks = Marks.from_dict(start)
        if len(marks.next) != self._settings.scale.nats.partitions:
            problem = f"the job began with {len(marks.next)} partitions"
            raise UsageError("scale.nats.partitions", problem, "set it to that number")
        ends = self._until or [end for _, end in bounds(self._settings.scale.nats)]
        n_rows = limit.max_rows if isinstance(limit, ReadMaxRows) else self._settings.scale.batch_readings
        n_most = None if isinstance(limit, ReadAllAvailable) else n_rows
        return advance(marks, ends, n_most, versions(self._weights)).as_dict()

    def partitions(self, start: dict[str, object], end: dict[str, object]) -> Sequence[InputPartition]:
        """Return what a batch reads, partition by partition."""
        found = spans(Marks.from_dict(start), Marks.from_dict(end), versions(self._weights))
        return [Part(span) for span in found]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield the envelopes of a partition's messages."""
        span: Span = partition.value
        scale = self._settings.scale
        messages = fetch(scale.nats, span.partition, span.start, span.end)
        logged = decoded(messages, span, self._settings)
        yield arrow_batch(list(cut(logged, scale.shards, span.model)) if len(logged) else [], span.first)
