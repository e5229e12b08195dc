"""Home Assistant's discovery: a message that makes a binary sensor of a stream's alert.

Comes in: names. Goes out: one retained message a stream. The sensor is on while the alert need be minded: what somebody
judged false, expects or silenced turns it off. Pure.
"""

import json
import re
from zlib import crc32

from pipeline.sinks.outgoing import Outgoing, outgoing

_OTHER = re.compile(r"[^A-Za-z0-9_-]")


def discovery(prefix: str, base: str, site: str, stream: str, device: str) -> Outgoing:
    """Return the message that makes Home Assistant know a stream's alert.

    Args:
        prefix: First part of its discovery topics: ``homeassistant``.
        base: First parts of ours: ``foretell/home``.
        site: Name of the plant or house.
        stream: Stream name.
        device: Device that the stream belongs to.

    Example:
        >>> discovery("homeassistant", "foretell/home", "home", "pump-1/flow", "pump-1").topic
        'homeassistant/binary_sensor/foretell_home/pump-1_flow_d5e0674d/config'
    """
    own = f"{_OTHER.sub('_', stream)}_{crc32(stream.encode()):08x}"  # two streams stay two
    state = f"{base}/state/{stream}"
    config = {
        "name": f"{stream.rpartition('/')[2]} anomaly",
        "unique_id": f"foretell_{site}_{own}",
        "state_topic": state,
        "value_template": "{{ 'ON' if value_json.is_alert else 'OFF' }}",
        "json_attributes_topic": state,
        "device_class": "problem",
        "device": {
            "identifiers": [f"foretell_{site}_{device}"],
            "name": device,
            "manufacturer": "Foretell",
            "suggested_area": site,
        },
    }
    topic = f"{prefix}/binary_sensor/foretell_{site}/{own}/config"
    return outgoing(topic, json.dumps(config), retain=True, severity=0)
