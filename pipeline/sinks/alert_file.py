"""The alerts file: one alert per line, as JSON, exactly as the daemon publishes it.

Comes in: alerts in order of time. Goes out: a JSON-lines file. Refuses to know how an alert came about.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.core.alert_records import Alert
from pipeline.sinks.alerts import alert_json
from pipeline.sinks.outfile import check_outfile, replacing

SUFFIXES = (".jsonl", ".ndjson")


def check_alerts_file(path: Path) -> None:
    """Refuse an alerts file that could not be written, before the work begins.

    Raises:
        UsageError: Unknown suffix, or an unwritable place.
    """
    check_outfile(path, SUFFIXES, "--alerts")


def write_alerts(path: Path, alerts: Sequence[Alert], site: str) -> None:
    """Write one line per alert; the file appears under its name when it is complete.

    Raises:
        OSError: The file cannot be written.
    """
    with replacing(path) as draft, draft.open("w", encoding="utf-8") as file:
        file.writelines(f"{alert_json(told, site)}\n" for told in alerts)
