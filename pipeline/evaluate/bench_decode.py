"""What decoding costs: microseconds per flat JSON message beyond the JSON parser, both timed in turn in one run.

Comes in: nothing. Goes out: a line per form of message. The best of many rounds counts, in processor time of this
thread: noise only ever slows down.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import thread_time

from pipeline.decode.memory import Memory
from pipeline.decode.payloads import decode
from pipeline.decode.topics import Route

#: What a flat message may cost beyond ``json.loads``, microseconds.
MOST_US = 12.0
_ROUTES = (Route.parse("plant/{device}", "{device}"),)
_ARRIVAL_S = 1_772_359_300.0
_MESSAGES, _ROUNDS = 2000, 15
_FIELDS: dict[str, dict[str, object]] = {
    "1 reading": {"value": 61.2},
    "5 readings": {"flow": 61.2, "return": 48.1, "pressure_bar": 1.62, "burner": 1, "gas_m3": 18_230.1},
    "5 readings, 3 words": {
        "a": 1.5,
        "b": 2.5,
        "c": 3.5,
        "d": 4.5,
        "e": 5.5,
        "state": "ON",
        "mode": "auto",
        "id": "x1",
    },
}


@dataclass(frozen=True)
class DecodeCost:
    """What one form of message costs.

    Attributes:
        message: The form.
        json_us: ``json.loads`` alone, microseconds per message.
        decode_us: The whole decoder, from topic and bytes to named readings with their times.
        beyond_us: What it costs beyond ``json.loads``.
        ratio: Decoder over ``json.loads``.
    """

    message: str
    json_us: float
    decode_us: float
    beyond_us: float
    ratio: float

    def as_dict(self) -> dict[str, float | str]:
        """Return the columns by name."""
        return asdict(self)


def bench_decode(n_rounds: int = _ROUNDS) -> list[DecodeCost]:
    """Measure every form of message."""
    return [_measure(name, fields, n_rounds) for name, fields in _FIELDS.items()]


def _measure(name: str, fields: dict[str, object], n_rounds: int) -> DecodeCost:
    payloads = [json.dumps({"time": 1_772_359_200 + i} | fields).encode() for i in range(_MESSAGES)]
    memory = Memory()

    def parse() -> None:
        for payload in payloads:
            json.loads(payload)

    def decode_all() -> None:
        for payload in payloads:
            decode("plant/boiler", payload, _ARRIVAL_S, _ROUTES, memory)

    times = [(_seconds(parse), _seconds(decode_all)) for _ in range(n_rounds)]
    json_us, decode_us = (min(column) / _MESSAGES * 1e6 for column in zip(*times, strict=True))
    return DecodeCost(name, json_us, decode_us, decode_us - json_us, decode_us / json_us)


def _seconds(work: Callable[[], None]) -> float:
    start = thread_time()
    work()
    return thread_time() - start
