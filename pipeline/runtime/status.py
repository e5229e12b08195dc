"""What ``/status.json`` and ``foretell status`` show: the daemon's state in one small document.

Comes in: the last view of the fleet, counts, connections and life signs. Goes out: plain values for JSON, bounded
in size. This module refuses to know how they are served or printed.
"""

import math
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from pipeline.core.records import Health
from pipeline.runtime.intake import Sample
from pipeline.runtime.life import Life
from pipeline.sinks.alerts import iso_time
from pipeline.sources.mqtt import MqttSource

if TYPE_CHECKING:  # a bridge has no session, and no torch
    from pipeline.runtime.session import FleetView

#: Version of the keys; raised when one changes its meaning or goes away.
STATUS_VERSION = 1
#: Open episodes and streams with verdicts that are listed at most; their numbers are given in full.
MAX_LISTED = 100


def status_document(life: Life, view: "FleetView", figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document.

    Args:
        life: Whether the daemon lives and is ready.
        view: The last step of every stream.
        figures: Further keys, plain values already.

    Returns:
        ``ready``, ``live``, ``why``; ``n_streams``; ``episodes`` with ``n_open`` and the ``open`` ones, most severe
        first; ``health`` with ``n_streams`` and ``streams`` (name and verdicts); and the figures; ``version``.
    """
    worst = sorted(view.episodes, key=lambda each: each.level - each.peak_score)
    found = [(name, Health(bits)) for name, bits in zip(view.names, view.health.tolist(), strict=True) if bits]
    return {
        "ready": life.is_ready,
        "live": life.is_live,
        "why": life.why,
        "n_streams": len(view.names),
        "episodes": {
            "n_open": len(worst),
            "open": [
                {
                    "stream": each.stream,
                    "episode": each.episode,
                    "kind": each.kind,
                    "severity": each.severity,
                    "opened_at": iso_time(each.opened_s),
                    "peak_score": _number(each.peak_score),
                    "level": _number(each.level),
                }
                for each in worst[:MAX_LISTED]
            ],
        },
        "health": {
            "n_streams": len(found),
            "streams": [
                {"stream": name, "verdicts": [str(verdict.name).lower() for verdict in health]}
                for name, health in found[:MAX_LISTED]
            ],
        },
        **figures,
        "version": STATUS_VERSION,
    }


def edge_figures(source: MqttSource, broker: str) -> dict[str, Any]:
    """Return what there is to say of the input connection: ``mqtt``."""
    connection = source.connection
    return {
        "mqtt": {
            "connected": connection.is_connected,
            "subscribed": source.is_subscribed,
            "broker": broker,
            "n_connects": connection.n_connects,
        }
    }


def foretell_version() -> str:
    """Return the version of the installed distribution; ``unknown`` when run from a bare checkout."""
    try:
        return version("foretell")
    except PackageNotFoundError:
        return "unknown"


def rejection_samples(counts: Mapping[str, int], last: Mapping[str, Sample]) -> list[dict[str, Any]]:
    """Return each kind of rejection with its number and the newest message that met it, most frequent first."""
    return [
        {
            "reason": reason,
            "n": n,
            "topic": last[reason].topic if reason in last else None,
            "payload": last[reason].payload if reason in last else None,
            "size_bytes": last[reason].size_bytes if reason in last else None,
            "at": iso_time(last[reason].arrival_s) if reason in last else None,
            "detail": last[reason].detail if reason in last else None,
        }
        for reason, n in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        if n and reason not in {"accepted", "ignored", "metadata"}
    ]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
