"""The settings beyond one machine: the ingest log, and Spark that scores it."""

from typing import Literal

from pydantic import Field

from pipeline.core.edge_settings import Section
from pipeline.core.nats_settings import NatsSettings


class ScaleSettings(Section):
    """Beyond one machine (foretell bridge, foretell scale); a daemon of its own does not look at these."""

    folder: str = Field(
        "scale",
        min_length=1,
        max_length=1024,
        title="Folder of the log, of networks, of Spark's checkpoint, and of scores and alerts.",
        description="On storage that the bridge and all workers share.",
    )
    shards: int = Field(
        64,
        ge=1,
        le=65_536,
        title="Shards that streams are parted into; fixed once there is a state.",
        description="A thousand streams each, or more: every batch costs a shard about 10 ms.",
    )
    partitions: int = Field(
        4,
        ge=1,
        le=4096,
        title="Parts that the shards' state lies in: cores that can score at the same time.",
        description="foretell scale repartition changes it where there is a state.",
    )
    batch_readings: int = Field(
        500_000,
        ge=1,
        title="Readings of one batch, about; a segment is never parted.",
        description="Smaller takes less memory and costs more.",
    )
    trigger_s: float = Field(1.0, gt=0, le=3600, title="Time between two batches of the live job, seconds.")
    n_journal: int = Field(
        128,
        ge=1,
        le=100_000,
        title="Readings per stream after which a shard's state is written whole, and what came since is dropped.",
        description="More writes less; a worker that takes over a shard scores so many again at most.",
    )
    master: str = Field(
        "local[1]",
        min_length=1,
        max_length=256,
        title="Where Spark runs: local[1], local-cluster[2,1,1024], spark://host:7077.",
        description="Executors of one core each: what a worker knows of a shard stays in its process.",
    )
    source: Literal["log", "nats"] = Field(
        "log",
        title="What the job reads: the bridge's log, or JetStream.",
        description="The log keeps what the broker accepted; nats has no such promise, and needs no bridge.",
    )
    nats: NatsSettings = NatsSettings()
