"""Golden messages: a folder per family of publishers, a folder per case, traps among them.

A case is ``topic``, ``payload`` and ``expected.json``. ``before.jsonl`` holds messages that came first,
``options.json`` the topic's settings and how the message came. Adding a case needs no code.
"""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.settings import Settings
from pipeline.decode.memory import Memory
from pipeline.decode.payloads import Decoded, Ignored, Rejection, decode
from pipeline.runtime.routes import checked_routes

ROOT = Path(__file__).resolve().parents[2] / "golden" / "decode"
CASES = sorted(folder for folder in ROOT.glob("*/*") if folder.is_dir())
ARRIVAL_S = 1_772_359_300.0
#: The rows of the table of formats, and what is our own beside them.
FAMILIES = {
    *("bare_value", "zigbee2mqtt", "tasmota", "rtl_433", "shelly2", "home_assistant_discovery", "homie"),
    *("zwave_js_ui", "victron", "thingsboard", "things_stack", "chirpstack", "sparkplug_b", "senml", "influx"),
    *("edgex", "hono", "ditto", "meshtastic", "last_will", "ignored", "plain", "mapping"),
}
ROUTE_KEYS = ("topic", "stream", "profile", "timezone", "mapping")


def test_every_family_has_two_cases_and_one_of_them_is_a_trap() -> None:
    assert {folder.parent.name for folder in CASES} == FAMILIES
    for family in FAMILIES:
        names = [folder.name for folder in CASES if folder.parent.name == family]
        assert len(names) >= 2, family
        assert any(name.startswith("trap_") for name in names), family


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_a_golden_message_is_read_as_expected(folder: Path) -> None:
    assert told(folder) == json.loads((folder / "expected.json").read_text("utf-8"))


def told(folder: Path) -> dict[str, Any]:
    """Return what a case decodes to, in the form of ``expected.json``."""
    options = json.loads(read(folder / "options.json", b"{}"))
    route = {"topic": "{rest}"} | {key: value for key, value in options.items() if key in ROUTE_KEYS}
    routes = checked_routes(Settings.model_validate({"mqtt": {"topics": [route]}, "alerts": {"publish": False}}))
    properties = [tuple(pair) for pair in options.get("properties", [])]
    if "content_type" in options:
        properties.append(("content-type", options["content_type"]))
    memory, arrival_s = Memory(), options.get("arrival_s", ARRIVAL_S)
    for line in read(folder / "before.jsonl", b"").splitlines():
        before = json.loads(line)
        decode(before["topic"], base64.b64decode(before["payload_base64"]), arrival_s, routes, memory)
    topic = (folder / "topic").read_text("utf-8").removesuffix("\n")
    return as_json(decode(topic, (folder / "payload").read_bytes(), arrival_s, routes, memory, properties))


def as_json(decoded: Decoded | Rejection | Ignored) -> dict[str, Any]:
    if isinstance(decoded, Ignored):
        return {"outcome": "ignored"}
    if isinstance(decoded, Rejection):
        asked = [request.topic for request in decoded.requests]
        refused: dict[str, Any] = {"outcome": decoded.reason.value, "profile": decoded.profile, "asked": asked}
        return {key: value for key, value in refused.items() if value}
    shown: dict[str, Any] = {
        "outcome": "accepted",
        "profile": decoded.profile,
        "readings": [list(reading) for reading in decoded.readings],
        "skipped": [skip.value for skip in decoded.skipped],
        "arrival_timed": decoded.is_arrival_timed,
        "priors": {name: list(prior) for name, prior in decoded.priors.items()},
        "asked": [request.topic for request in decoded.requests],
        "lost": decoded.n_lost,
        "dead": list(decoded.dead),
    }
    return {key: value for key, value in shown.items() if value or key == "readings"}


def read(path: Path, otherwise: bytes) -> bytes:
    return path.read_bytes() if path.exists() else otherwise
