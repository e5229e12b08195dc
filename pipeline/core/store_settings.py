"""The settings of the store: where state is kept, how much of it, and how often it is written."""

from typing import Literal

from pydantic import Field

from pipeline.core.edge_settings import Section


class StoreSettings(Section):
    """What survives a restart: a journal of readings, snapshots of the state, alerts to send."""

    path: str = Field(
        "auto",
        min_length=1,
        max_length=1024,
        title="Folder of the state; auto or none.",
        description="auto: systemd's state folder, else foretell in the user's. none keeps everything in memory.",
    )
    keep: Literal["readings", "alerts", "snapshots"] = Field(
        "readings",
        title="What is written with each batch: readings and alerts, alerts, or nothing; snapshots always.",
        description="Less spares a memory card; a crash then costs what was learnt since the last snapshot.",
    )
    checkpoint_s: float = Field(
        60.0,
        ge=1,
        le=86_400,
        title="Time between two snapshots, seconds, where the write budget lets it.",
        description="Shorter makes a start after a crash quicker.",
    )
    checkpoint_mb_per_hour: float = Field(
        1000.0,
        gt=0,
        title="Snapshots write so much at most, MB per hour, while a start would stay within replay_s.",
        description="A stream takes about 0.2 MB. Less where the disk is a memory card.",
    )
    replay_s: float = Field(
        5.0,
        ge=0.1,
        le=600,
        title="A snapshot is due when replaying the journal would take this long, seconds.",
        description="Longer writes less, and starts slower after a crash.",
    )
    journal_mb: float = Field(
        64.0,
        ge=8,
        title="Past readings kept beyond what a start needs, MB.",
        description="About 10 bytes each.",
    )
    journal_days: float = Field(30.0, gt=0, title="Past readings older than this are dropped, days.")
    evidence_mb: float = Field(
        256.0,
        ge=0,
        title="Snapshots kept so that the newest alerts can be reproduced (replay --alert), MB; 0 for none.",
        description="32 alerts at most. A snapshot takes about 0.2 MB a stream, and serves all alerts of its minute.",
    )
    outbox_messages: int = Field(
        10_000,
        ge=10,
        title="Messages to publish kept while the broker is away; the oldest least severe go first.",
    )
    ballast_mb: float = Field(
        4.0,
        ge=0,
        le=1024,
        title="File that is given up when the disk is full, MB, so that old entries can be removed; 0 for none.",
    )
