"""Every metric there is: name, kind, labels and help. Dashboards and tests read this list too.

Names carry the prefix ``foretell_`` (but for ``process_``, which every exporter has), base units, and ``_total`` on
counters. Only ``stream`` is an open set of label values; it is capped by ``metrics.max_streams``.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric.

    Attributes:
        name: Name without the prefix.
        kind: How it behaves.
        labels: Names of its labels.
        help: What it says, in one sentence.
        prefix: What stands before the name; empty for what every exporter calls alike.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    prefix: str = "foretell_"

    @property
    def full_name(self) -> str:
        """The name as scraped."""
        return f"{self.prefix}{self.name}"


CATALOGUE = (
    MetricSpec("messages_total", "counter", ("outcome",), "Messages taken from the inbox: accepted, or why not."),
    MetricSpec(
        "messages_lost_total", "counter", (), "Messages that publishers' own counts show to be lost on their way."
    ),
    MetricSpec("fields_skipped_total", "counter", ("reason",), "Values skipped inside messages that were accepted."),
    MetricSpec("readings_total", "counter", ("outcome",), "Readings by what the gate made of them."),
    MetricSpec("reading_value", "gauge", ("stream",), "Last accepted reading, in the sensor's unit."),
    MetricSpec("forecast_value", "gauge", ("stream",), "Forecast made before that reading arrived."),
    MetricSpec("forecast_lower", "gauge", ("stream",), "Lower end of the forecast interval."),
    MetricSpec("forecast_upper", "gauge", ("stream",), "Upper end of the forecast interval."),
    MetricSpec("residual_value", "gauge", ("stream",), "Reading minus forecast, in the sensor's unit."),
    MetricSpec("score", "gauge", ("stream",), "Surprise of that reading, in tenfolds of rarity."),
    MetricSpec(
        "alert_level", "gauge", ("stream",), "Score that opens an episode; follows from the false-alarm budget."
    ),
    MetricSpec(
        "episode_open",
        "gauge",
        ("stream", "kind", "severity"),
        "1 while an episode is open; kind is the view that was most surprising.",
    ),
    MetricSpec("episodes_open", "gauge", ("severity",), "Streams whose episode is open, by severity; all streams."),
    MetricSpec("health", "gauge", ("stream", "verdict"), "1 for each finding about the sensor at its last reading."),
    MetricSpec(
        "skill_ratio",
        "gauge",
        ("stream", "forecaster"),
        "Recent absolute error over that of persistence; < 1 is skill.",
    ),
    MetricSpec("episodes_total", "counter", ("kind", "severity"), "Episodes opened; severity as at the opening."),
    MetricSpec(
        "false_alarms_expected_total",
        "counter",
        (),
        "False alarms that the budget has allowed, to hold episodes against.",
    ),
    MetricSpec("alerts_dropped_total", "counter", (), "Alerts not published because too many were waiting."),
    MetricSpec(
        "alerts_total", "counter", ("outcome",), "Alerts by what became of them: told, or why they were held back."
    ),
    MetricSpec("alerts_held", "gauge", (), "Alerts that are open and held back now."),
    MetricSpec(
        "alerts_judged", "gauge", ("word",), "Alerts that operators judged false or true; to hold against the promise."
    ),
    MetricSpec("alerts_unacknowledged", "gauge", (), "Alerts that are open, were told, and nobody has seen."),
    MetricSpec("commands_total", "counter", ("outcome",), "Words of operators: accepted, or why they were refused."),
    MetricSpec("outbox_depth", "gauge", (), "Messages to publish that the broker has not acknowledged yet."),
    MetricSpec(
        "finetune_runs_total",
        "counter",
        ("outcome",),
        "Fine-tunes of one network: accepted, refused, lost; rolled back; taken over late.",
    ),
    MetricSpec("finetune_lag_rounds", "gauge", (), "Fine-tunes that the network furthest behind is behind."),
    MetricSpec("networks", "gauge", (), "Networks in use; fewer than streams where streams share them."),
    MetricSpec(
        "drifts_total", "counter", (), "Drifts: levels that moved for good, and episodes taken as the new normal."
    ),
    MetricSpec("finetune_duration_seconds", "histogram", (), "Duration of one lesson: up to 32 networks."),
    MetricSpec("step_duration_seconds", "histogram", (), "Duration of scoring one batch of readings."),
    MetricSpec("batch_failures_total", "counter", (), "Batches given up because of an error."),
    MetricSpec(
        "ingest_lag_seconds", "gauge", (), "Longest wait to be scored: of what waits now, and of the last batch."
    ),
    MetricSpec("inbox_depth", "gauge", (), "Messages waiting in the inbox."),
    MetricSpec(
        "inbox_dropped_total", "counter", (), "Messages of QoS 0 dropped, oldest first, because the inbox was full."
    ),
    MetricSpec("streams", "gauge", (), "Streams that are watched."),
    MetricSpec("streams_silent", "gauge", (), "Streams that have been silent for longer than their own pauses allow."),
    MetricSpec("streams_refused_total", "counter", (), "Readings of new streams refused beyond streams.max_streams."),
    MetricSpec("mqtt_connected", "gauge", (), "1 while the broker connection is up."),
    MetricSpec("mqtt_connects_total", "counter", (), "Times the broker accepted our connection."),
    MetricSpec("redelivered_total", "counter", (), "Messages that came again after they had been dealt with, dropped."),
    MetricSpec(
        "degraded",
        "gauge",
        (),
        "1 while the disk is full (nothing is acknowledged), or a damaged database not made up for.",
    ),
    MetricSpec("journal_commit_duration_seconds", "histogram", (), "Duration of one commit, to the disk and back."),
    MetricSpec("journal_damaged_total", "counter", (), "Journal entries that were damaged or missing at the start."),
    MetricSpec("store_quarantined_total", "counter", (), "Databases that were damaged and put aside."),
    MetricSpec("store_size_bytes", "gauge", (), "Size of the database."),
    MetricSpec("disk_free_bytes", "gauge", (), "Room left on the disk that holds the state."),
    MetricSpec("disk_size_bytes", "gauge", (), "Size of the disk that holds the state."),
    MetricSpec("checkpoint_age_seconds", "gauge", (), "Time since the newest snapshot."),
    MetricSpec("checkpoint_size_bytes", "gauge", (), "Bytes that the newest snapshot wrote."),
    MetricSpec("log_position", "gauge", (), "Position that the next reading of the ingest log gets."),
    MetricSpec("log_readings_total", "counter", (), "Readings that the bridge has written to the ingest log."),
    MetricSpec("log_segments_total", "counter", (), "Segments that the bridge has written."),
    MetricSpec("log_bytes_total", "counter", (), "Bytes of these segments."),
    MetricSpec("log_commit_duration_seconds", "histogram", (), "Duration of writing a segment, to the disk and back."),
    MetricSpec(
        "stale_acks_total",
        "counter",
        (),
        "Acknowledgements not sent because their connection was gone; all come again.",
    ),
    MetricSpec(
        "mqtt_failures_total", "counter", (), "Errors of ours on a network thread: a message or a connection lost."
    ),
    MetricSpec("metric_series", "gauge", (), "Streams that have series of their own now."),
    MetricSpec(
        "last_message_timestamp_seconds", "gauge", (), "When the newest message that was scored arrived, Unix seconds."
    ),
    MetricSpec(
        "sacrifice_level",
        "gauge",
        (),
        "What budgets made us give up: 0 nothing, 1 most series of streams, 2 training too, 3 new streams too.",
    ),
    MetricSpec("memory_in_use_bytes", "gauge", (), "Memory of the daemon and of the child that fine-tunes."),
    MetricSpec("memory_budget_bytes", "gauge", (), "Memory that both may use together."),
    MetricSpec("streams_max", "gauge", (), "Streams that may be watched."),
    MetricSpec("ready", "gauge", (), "1 while subscribed and scoring; what /readyz says."),
    MetricSpec(
        "model_info",
        "gauge",
        ("cell", "hidden", "layers", "ensemble", "sharing"),
        "1, with what networks there are as labels.",
    ),
    MetricSpec("build_info", "gauge", ("version", "site"), "1, with the version and the site as labels."),
    MetricSpec("scale_batches_total", "counter", (), "Batches that the Spark job has scored."),
    MetricSpec("scale_batch_duration_seconds", "histogram", (), "Duration of a batch of the Spark job."),
    MetricSpec("scale_position", "gauge", (), "Position in the ingest log of the newest reading that was scored."),
    MetricSpec("scale_lag_seconds", "gauge", (), "Age of the newest reading that the Spark job has scored."),
    MetricSpec("process_resident_memory_bytes", "gauge", (), "Memory of the daemon, without its child.", ""),
    MetricSpec("process_cpu_seconds_total", "counter", (), "Processor time of the daemon, without its child.", ""),
    MetricSpec("process_open_fds", "gauge", (), "Open file descriptors.", ""),
    MetricSpec("process_max_fds", "gauge", (), "Open file descriptors at most.", ""),
    MetricSpec("process_threads", "gauge", (), "Threads.", ""),
    MetricSpec("process_start_time_seconds", "gauge", (), "When the daemon started, Unix seconds.", ""),
)

SPECS = {spec.name: spec for spec in CATALOGUE}
