"""The job: segments -> envelopes by shard -> shards -> scores and alerts, batch after batch.

Scores of a batch replace those of an earlier attempt at the same batch, and so do its alerts; Spark notes a batch as
done only afterwards. What is published over MQTT may so be published twice, under the same episode.
"""

import shutil
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from pipeline.core.settings import Settings
from pipeline.scaleout.folders import Folders, batch_folder
from pipeline.scaleout.outcome import BatchOutcome, read_outcome, write_alerts
from pipeline.scaleout.rows import SCHEMA
from pipeline.scaleout.spark.messages import NAME as MESSAGES
from pipeline.scaleout.spark.processor import ShardProcessor
from pipeline.scaleout.spark.source import NAME

SEED_SCHEMA = "shard int, blob binary"
#: Told what each batch came to.
OnBatch = Callable[[int, BatchOutcome], None]


def start(
    spark: SparkSession, settings: Settings, folders: Folders, on_batch: OnBatch, *, is_live: bool
) -> StreamingQuery:
    """Start the job.

    Args:
        spark: The session.
        settings: All settings.
        folders: Where the log is, and where scores go.
        on_batch: Told of each batch after its scores and alerts were written; what it raises ends the job.
        is_live: Wait for more at the end of the log; else end there.
    """
    trigger: dict[str, Any] = (
        {"processingTime": f"{round(settings.scale.trigger_s * 1000)} milliseconds"}
        if is_live
        else {"availableNow": True}
    )
    return (
        _scores(spark, settings, folders)
        .writeStream.queryName("foretell")
        .option("checkpointLocation", str(folders.checkpoint))
        .foreachBatch(lambda frame, batch: _write(frame, batch, folders, on_batch))
        .trigger(**trigger)
        .start()
    )


def _scores(spark: SparkSession, settings: Settings, folders: Folders) -> DataFrame:
    """Return the scores of all that comes."""
    return (
        _envelopes(spark, settings, folders)
        .groupBy("shard")
        .transformWithStateInPandas(
            statefulProcessor=ShardProcessor(settings.model_dump_json(), str(folders.weights)),
            outputStructType=SCHEMA,
            outputMode="append",
            timeMode="None",
            initialState=_seed(spark, folders),
        )
    )


def _envelopes(spark: SparkSession, settings: Settings, folders: Folders) -> DataFrame:
    """Return what comes, by shard."""
    if settings.scale.source == "nats":
        stream = spark.readStream.format(MESSAGES).option("settings", settings.model_dump_json())
    else:
        stream = spark.readStream.format(NAME).option("log", str(folders.log))
        stream = stream.option("shards", str(settings.scale.shards))
        stream = stream.option("rows", str(settings.scale.batch_readings))
    return stream.option("weights", str(folders.weights)).load()


def _seed(spark: SparkSession, folders: Folders) -> Any:  # noqa: ANN401 - a grouped data frame, or None
    """Return the shards that were imported; None where there are none."""
    if not folders.seed.exists():
        return None
    return spark.read.schema(SEED_SCHEMA).parquet(str(folders.seed)).groupBy("shard")


def _write(frame: DataFrame, batch: int, folders: Folders, on_batch: OnBatch) -> None:
    """Write a batch; one action alone, as each would score it again."""
    target = batch_folder(folders.scores, batch)
    frame.write.mode("overwrite").parquet(str(target))
    outcome = read_outcome(target)
    alerts = batch_folder(folders.alerts, batch)
    if outcome.alerts:
        write_alerts(alerts, outcome.alerts)
    else:
        shutil.rmtree(alerts, ignore_errors=True)
    on_batch(batch, outcome)
