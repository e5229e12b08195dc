"""Which settings may change while the daemon runs, and taking them over.

Comes in: the settings in force and those of the file now. Goes out: the settings to go on with, and the keys that
need a restart. Decisions change live; what networks, state and connections were made from does not.
"""

from collections.abc import Iterator
from typing import Any

from pipeline.core.settings import Settings

#: Sections and keys that take effect at once.
LIVE = {
    "detection": (
        "false_alarms_per_stream",
        "n_warmup",
        "n_settled",
        "rest_share",
        "n_rest",
        "n_rest_most",
        "close_margin",
        "n_quiet",
        "quarantine_level",
        "n_quarantine",
    ),
    "alerts": ("publish", "streams", "cooldown_s", "false_days", "silences"),
    "metrics": ("max_streams",),
    "runtime": ("log_level",),
}


def merged(now: Settings, wanted: Settings) -> tuple[Settings, list[str], list[str]]:
    """Take over what may change live.

    Args:
        now: Settings in force.
        wanted: Settings of the file.

    Returns:
        Settings to go on with, the keys that changed, and those that would need a restart.

    Example:
        >>> from pipeline.core.settings import parse_settings
        >>> wanted = parse_settings("{detection: {n_rest: 30}, mqtt: {port: 1884}}", "f")
        >>> settings, changed, left = merged(Settings(), wanted)
        >>> settings.detection.n_rest, changed, left
        (30, ['detection.n_rest'], ['mqtt.port'])
    """
    changed, left = [], []
    sections: dict[str, Any] = {}
    for section, key, value in _differences(now, wanted):
        if key in LIVE.get(section, ()):
            changed.append(f"{section}.{key}")
            sections.setdefault(section, {})[key] = value
        else:
            left.append(f"{section}.{key}" if key else section)
    update = {name: getattr(now, name).model_copy(update=values) for name, values in sections.items()}
    return now.model_copy(update=update), changed, left


def _differences(now: Settings, wanted: Settings) -> Iterator[tuple[str, str, Any]]:
    """Yield section, key and new value of all that differs; a setting outside sections has no key."""
    for section in Settings.model_fields:
        old, new = getattr(now, section), getattr(wanted, section)
        if not hasattr(old, "model_fields_set"):
            if old != new:
                yield section, "", new
            continue
        for key in type(old).model_fields:
            if getattr(old, key) != getattr(new, key):
                yield section, key, getattr(new, key)
