"""Grafana's dashboards as code: ``make dashboards`` writes the JSON files beside this one.

Comes in: nothing but this file. Goes out: dashboards for Grafana 10 and newer, without ids of any installation; the
data source is a variable. Needs grafana-foundation-sdk, which only developers install.
"""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from panels import (
    DASHED,
    DEVICE,
    HERE,
    SOURCE,
    STREAM,
    Override,
    Panel,
    base,
    color,
    lines,
    number,
    placed,
    states,
    stream_variable,
    table_of,
    variables,
)


def main() -> None:
    """Write every dashboard beside this file, or into the folder that the one argument names."""
    folder = Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent
    for name, built in dashboards().items():
        (folder / f"{name}.json").write_text(built, encoding="utf-8")


def dashboards() -> dict[str, str]:
    """Return the JSON text of every dashboard by its file's name."""
    made = {"foretell-fleet": _fleet(), "foretell-stream": _stream(), "foretell-operations": _operations()}
    return {
        name: json.dumps(json.loads(json.dumps(each.build(), cls=JSONEncoder)), indent=1, sort_keys=True) + "\n"
        for name, each in made.items()
    }


def _fleet() -> dashboard.Dashboard:
    count = f"sum(foretell_episodes_open{{{HERE}}})"
    numbers = [
        number("Streams", f"sum(foretell_streams{{{HERE}}})", "Streams that are watched."),
        number("Open episodes", count, "Streams whose episode is open now.", alarm_at=1),
        number("Ready", f"min(foretell_ready{{{HERE}}})", "1 while every daemon scores.", good_at=1),
        number("Ingest lag", f"max(foretell_ingest_lag_seconds{{{HERE}}})", "How long a message waited.", "s", 10),
        number(
            "Sacrifice level",
            f"max(foretell_sacrifice_level{{{HERE}}})",
            "0 nothing is given up; 1 most series of streams, 2 training too, 3 new streams too.",
            alarm_at=1,
        ),
        number(
            "Readings per second",
            f'sum(rate(foretell_readings_total{{{HERE}, outcome="accepted"}}[$__rate_interval]))',
            "Readings that were scored.",
        ),
    ]
    promised = f"sum(increase(foretell_false_alarms_expected_total{{{HERE}}}[$__range]))"
    observed = f"sum(increase(foretell_episodes_total{{{HERE}}}[$__range]))"
    rest: list[Panel] = [
        lines(
            "Open episodes by severity",
            {"{{severity}}": f"sum by (severity) (foretell_episodes_open{{{HERE}}})"},
            "All streams, those without series of their own included.",
        ),
        lines(
            "Episodes against promised false alarms, in the time shown",
            {"raised": observed, "promised false": promised},
            "Raised holds true alerts too: a healthy plant stays near what was promised.",
        ),
        table_of(
            "Most surprising streams",
            f"topk(15, foretell_score{{{DEVICE}}})",
            "Score: how rare the last reading is, in tenfolds.",
        ),
        lines(
            "What became of alerts",
            {"{{outcome}}": f"sum by (outcome) (increase(foretell_alerts_total{{{HERE}}}[$__range]))"},
            "Told, or held back: silence, maintenance, expected, judged false, cooldown.",
        ),
        lines(
            "What operators said",
            {
                "judged {{word}}": f"sum by (word) (foretell_alerts_judged{{{HERE}}})",
                "open and seen by nobody": f"sum(foretell_alerts_unacknowledged{{{HERE}}})",
                "held back": f"sum(foretell_alerts_held{{{HERE}}})",
            },
            "False ones are the observed beside the promised.",
        ),
        table_of(
            "Open episodes",
            f"foretell_episode_open{{{DEVICE}}} or foretell_streams{{{HERE}}} * 0",
            "Kind: what was most surprising. A row without a stream stands for none.",
        ),
        lines(
            "Skill of forecasters, median over streams",
            {
                "{{forecaster}}": f"quantile by (forecaster) (0.5, foretell_skill_ratio{{{DEVICE}}})",
            },
            "Recent absolute error over that of persistence: below 1 is skill.",
        ),
        lines(
            "Findings about sensors",
            {"{{verdict}}": f"count by (verdict) (foretell_health{{{DEVICE}}}) or sum(foretell_streams{{{HERE}}}) * 0"},
            "Streams with a verdict; a line without a name is zero.",
        ),
    ]
    return placed(base("Foretell: fleet", "foretell-fleet", variables("device")), numbers, rest)


def _stream() -> dashboard.Dashboard:
    band: list[Override] = [
        ("lower", {"custom.lineWidth": 0}),
        ("upper", {"custom.lineWidth": 0, "custom.fillBelowTo": "lower", "custom.fillOpacity": 20, **color("blue")}),
        ("forecast", {**DASHED, **color("blue")}),
        ("reading", {"custom.lineWidth": 2, **color("text")}),
    ]
    level: list[Override] = [("alert level", {**DASHED, **color("red")}), ("score", color("orange"))]
    panels: list[Panel] = [
        lines(
            "$stream: reading and forecast",
            {
                "lower": f"foretell_forecast_lower{{{STREAM}}}",
                "upper": f"foretell_forecast_upper{{{STREAM}}}",
                "forecast": f"foretell_forecast_value{{{STREAM}}}",
                "reading": f"foretell_reading_value{{{STREAM}}}",
            },
            "The forecast was made before the reading arrived.",
            overrides=band,
        ),
        lines(
            "Score against alert level",
            {"score": f"foretell_score{{{STREAM}}}", "alert level": f"foretell_alert_level{{{STREAM}}}"},
            "How rare the reading is, in tenfolds; at the level an episode opens.",
            overrides=level,
        ),
        lines(
            "Residual",
            {"residual": f"foretell_residual_value{{{STREAM}}}"},
            "Reading minus forecast, in the sensor's unit.",
        ),
        lines(
            "Skill",
            {"{{forecaster}}": f"foretell_skill_ratio{{{STREAM}}}"},
            "Recent absolute error over that of persistence: below 1 is skill.",
        ),
        states(
            "Episode",
            "{{kind}}, {{severity}}",
            f"foretell_episode_open{{{STREAM}}} or foretell_reading_value{{{STREAM}}} * 0",
            "While an episode is open; the row without a name is the stream itself.",
        ),
        states(
            "Health",
            "{{verdict}}",
            f"foretell_health{{{STREAM}}} or foretell_reading_value{{{STREAM}}} * 0",
            "Findings about the sensor and its clock; the row without a name is the stream itself.",
        ),
    ]
    built = base("Foretell: stream", "foretell-stream", [*variables("device"), stream_variable()])
    built.annotation(
        dashboard.AnnotationQuery()
        .name("Episodes")
        .datasource(SOURCE)
        .enable(enable=True)
        .icon_color("orange")
        .expr(f"foretell_episode_open{{{STREAM}}}")
    )
    return placed(built, [], panels)


def _operations() -> dashboard.Dashboard:
    step = f"sum by (le) (rate(foretell_step_duration_seconds_bucket{{{HERE}}}[$__rate_interval]))"
    tune = f"sum by (le) (rate(foretell_finetune_duration_seconds_bucket{{{HERE}}}[$__rate_interval]))"
    commit = f"sum by (le) (rate(foretell_journal_commit_duration_seconds_bucket{{{HERE}}}[$__rate_interval]))"
    rejected = f'foretell_messages_total{{{HERE}, outcome!="accepted"}}'
    panels: list[Panel] = [
        lines("Messages by outcome", {"{{outcome}}": _rates("outcome", "foretell_messages_total")}, "Per second."),
        lines("Readings by outcome", {"{{outcome}}": _rates("outcome", "foretell_readings_total")}, "Per second."),
        lines(
            "Rejected messages by reason",
            {"{{outcome}}": f"sum by (outcome) (increase({rejected}[$__rate_interval]))"},
            "The log and foretell status show one of each kind.",
        ),
        lines(
            "Inbox",
            {
                "waiting": f"sum(foretell_inbox_depth{{{HERE}}})",
                "dropped": f"sum(increase(foretell_inbox_dropped_total{{{HERE}}}[$__rate_interval]))",
            },
            "Messages that wait to be scored, and those that had to go.",
        ),
        lines(
            "Broker",
            {
                "connected": f"min(foretell_mqtt_connected{{{HERE}}})",
                "connects": f"sum(increase(foretell_mqtt_connects_total{{{HERE}}}[$__rate_interval]))",
                "lost to errors": f"sum(increase(foretell_mqtt_failures_total{{{HERE}}}[$__rate_interval]))",
            },
            "The connection, and how often it had to come back.",
        ),
        lines(
            "Alerts on their way",
            {
                "waiting": f"sum(foretell_outbox_depth{{{HERE}}})",
                "dropped": f"sum(increase(foretell_alerts_dropped_total{{{HERE}}}[$__rate_interval]))",
            },
            "Messages that the broker has not acknowledged yet.",
        ),
        lines(
            "Scoring one batch",
            {"median": f"histogram_quantile(0.5, {step})", "p99": f"histogram_quantile(0.99, {step})"},
            "From readings to scores.",
            unit="s",
        ),
        lines(
            "Commits to disk",
            {"median": f"histogram_quantile(0.5, {commit})", "p99": f"histogram_quantile(0.99, {commit})"},
            "Readings are acknowledged once they are on disk.",
            unit="s",
        ),
        lines(
            "State on disk",
            {
                "database": f"sum(foretell_store_size_bytes{{{HERE}}})",
                "snapshot": f"sum(foretell_checkpoint_size_bytes{{{HERE}}})",
                "room left": f"min(foretell_disk_free_bytes{{{HERE}}})",
            },
            "The journal is bounded by store.journal_mb and journal_days.",
            unit="bytes",
        ),
        lines(
            "Trouble with the state",
            {
                "disk full": f"max(foretell_degraded{{{HERE}}})",
                "databases put aside": f"sum(foretell_store_quarantined_total{{{HERE}}})",
                "entries damaged": f"sum(foretell_journal_damaged_total{{{HERE}}})",
            },
            "All of them stay at 0.",
        ),
        lines(
            "Age of the newest snapshot",
            {"age": f"max(foretell_checkpoint_age_seconds{{{HERE}}})"},
            "What is younger is replayed from the journal after a crash.",
            unit="s",
        ),
        lines(
            "Fine-tunes by outcome", {"{{outcome}}": _rates("outcome", "foretell_finetune_runs_total")}, "Per second."
        ),
        lines(
            "Duration of a lesson",
            {"median": f"histogram_quantile(0.5, {tune})", "p99": f"histogram_quantile(0.99, {tune})"},
            "Up to 32 networks.",
            unit="s",
        ),
        lines(
            "Networks and their training",
            {
                "networks": f"sum(foretell_networks{{{HERE}}})",
                "fine-tunes behind": f"max(foretell_finetune_lag_rounds{{{HERE}}})",
                "drifts": f"sum(increase(foretell_drifts_total{{{HERE}}}[$__rate_interval]))",
            },
            "Behind by more than one or two: raise training.budget_percent.",
        ),
        lines(
            "Memory",
            {
                "daemon": f'sum(process_resident_memory_bytes{{{HERE}, job=~"foretell.*"}})',
                "daemon and child": f"sum(foretell_memory_in_use_bytes{{{HERE}}})",
                "budget": f"sum(foretell_memory_budget_bytes{{{HERE}}})",
            },
            "Beyond the budget things are given up: see the sacrifice level.",
            unit="bytes",
            overrides=[("budget", {**DASHED, **color("red")})],
        ),
        lines(
            "Streams against their budget",
            {
                "watched": f"sum(foretell_streams{{{HERE}}})",
                "at most": f"sum(foretell_streams_max{{{HERE}}})",
                "with series": f"sum(foretell_metric_series{{{HERE}}})",
                "refused readings": f"sum(increase(foretell_streams_refused_total{{{HERE}}}[$__rate_interval]))",
            },
            "streams.max_streams and metrics.max_streams set the budgets.",
            overrides=[("at most", {**DASHED, **color("red")})],
        ),
        lines(
            "Processor, descriptors, threads",
            {
                "cores": f'sum(rate(process_cpu_seconds_total{{{HERE}, job=~"foretell.*"}}[$__rate_interval]))',
                "descriptors": f'sum(process_open_fds{{{HERE}, job=~"foretell.*"}})',
                "threads": f'sum(process_threads{{{HERE}, job=~"foretell.*"}})',
            },
            "Of the daemon, without its child.",
        ),
        lines(
            "Batches given up",
            {"failed": f"sum(increase(foretell_batch_failures_total{{{HERE}}}[$__rate_interval]))"},
            "Errors of ours; the log has them.",
        ),
    ]
    return placed(base("Foretell: operations", "foretell-operations", variables()), [], panels)


def _rates(label: str, metric: str) -> str:
    return f"sum by ({label}) (rate({metric}{{{HERE}}}[$__rate_interval]))"


if __name__ == "__main__":
    main()
