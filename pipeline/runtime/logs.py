"""Logging as JSON lines: one object per line, whatever is in the fields.

Comes in: log records, with ``extra={"fields": {...}}`` for what belongs to the event. Goes out: one
line each with ``time``, ``level``, ``event`` and the fields. Control characters and foreign text
arrive escaped, so nobody can forge a line.
"""

import json
import logging
import math
from typing import TextIO

from pipeline.sinks.alerts import iso_time

_RESERVED = ("time", "level", "event")


class JsonFormatter(logging.Formatter):
    r"""Formats a record as one JSON object on one line.

    Example:
        >>> record = logging.makeLogRecord({"msg": "lost\n", "levelname": "INFO", "fields": {"n": 1}})
        >>> record.created = 0.0
        >>> JsonFormatter().format(record)
        '{"time": "1970-01-01T00:00:00.000Z", "level": "info", "event": "lost\\n", "n": 1}'
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, object] = {
            "time": iso_time(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        fields = getattr(record, "fields", {})
        line |= {name: value for name, value in fields.items() if name not in _RESERVED}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(_finite(line), default=str, allow_nan=False)


def configure_logging(level: str, stream: TextIO) -> None:
    """Write everything that is logged in this process to ``stream`` as JSON lines.

    Args:
        level: Least severe level written: debug, info, warning or error.
        stream: Text stream, such as standard output.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger("paho").setLevel(logging.WARNING)  # its debug lines name every packet


def _finite(value: object) -> object:
    """Replace numbers JSON does not know by null."""
    if isinstance(value, dict):
        return {str(name): _finite(each) for name, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
