"""The state of a job that is stopped: read shard by shard, or laid out in another number of partitions."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, cast

from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import SparkSession

from pipeline.core.errors import ForetellError, UsageError, printable
from pipeline.core.settings import Settings
from pipeline.scaleout.envelopes import open_envelope
from pipeline.scaleout.folders import Folders
from pipeline.scaleout.shard import Shard
from pipeline.scaleout.spark.processor import SINCE, SNAPSHOT
from pipeline.scaleout.spark.session import spark_session
from pipeline.scaleout.weights import read_weights
from pipeline.store.files import lock_folder

_MAX_WORDS = 600


def read_shards(settings: Settings, folders: Folders) -> list[Shard]:
    """Return the shards as the last batch left them.

    Raises:
        UsageError: There is no state, or the job runs.
    """
    _require_state(folders)
    with ExitStack() as stack:
        stack.callback(os.close, lock_folder(folders.output))
        spark = stack.enter_context(spark_session(settings, "foretell export-state"))
        snapshots = {row.key.shard: bytes(row.value.blob) for row in _variable(spark, folders, SNAPSHOT)}
        since: dict[int, list[bytes]] = {}
        for row in _variable(spark, folders, SINCE):
            since.setdefault(row.key.shard, []).append(bytes(row.list_element.envelope))

    weights = partial(read_weights, folders.weights, settings)
    return [
        Shard.resume(settings, weights, snapshots.get(number), sorted(since.get(number, []), key=_first))
        for number in sorted(snapshots.keys() | since.keys())
    ]


def repartition(settings: Settings, folders: Folders, n: int) -> None:
    """Lay the state out in another number of partitions.

    Raises:
        UsageError: There is no state, or the job runs.
        ForetellError: Spark cannot do it.
    """
    _require_state(folders)
    with ExitStack() as stack:
        stack.callback(os.close, lock_folder(folders.output))
        spark = stack.enter_context(spark_session(settings, "foretell repartition"))
        try:
            spark._streamingCheckpointManager.repartition(str(folders.checkpoint), n)  # noqa: SLF001 - Spark 4.3 has no public name yet
        except PySparkException as error:
            raise ForetellError(f"the state cannot be laid out anew: {printable(str(error), _MAX_WORDS)}") from None


def _variable(spark: SparkSession, folders: Folders, name: str) -> Iterator[Any]:
    """Return the rows of one variable of the state."""
    reader = spark.read.format("statestore").option("stateVarName", name)
    try:
        frame = reader.load(str(folders.checkpoint))
    except AnalysisException as error:
        problem = printable(str(error), _MAX_WORDS)
        raise UsageError(str(folders.checkpoint), problem, "let the job score a batch first") from None
    return cast("Iterator[Any]", frame.toLocalIterator())  # a partition after the other: the JVM need not hold them all


def _first(envelope: bytes) -> int:
    return int(open_envelope(envelope).logged.seq[0])


def _require_state(folders: Folders) -> None:
    if not folders.checkpoint.exists():
        remedy = "run the job first, or name its scale.folder"
        raise UsageError(str(folders.checkpoint), "there is no state of a job here", remedy)
