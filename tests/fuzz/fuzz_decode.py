"""Fuzzing of the decoder with atheris: whatever arrives is decoded or refused, quickly. ``make fuzz`` runs it.

An input is a byte that chooses the topic's route, the topic, a zero byte, and the payload. The golden messages are the
first inputs. An exception, a reading that breaks the decoder's promise, or 50 ms of processor time end the run.
"""

import atexit
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

IS_PLAIN = sys.argv[1:] == ["--time"]
if not IS_PLAIN:
    import atheris

with nullcontext() if IS_PLAIN else atheris.instrument_imports(include=["pipeline.decode"]):
    from pipeline.decode.mapping import Mapping
    from pipeline.decode.memory import Memory
    from pipeline.decode.payloads import Decoded, decode
    from pipeline.decode.registry import PROFILES
    from pipeline.decode.topics import Route

ARRIVAL_S = 1_772_359_300.0
LIMIT_S = 0.05
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "decode"
NAME = re.compile(r"[A-Za-z0-9_./-]{1,128}")
MAPPED = replace(Route.parse("{rest}", ""), mapping=Mapping.parse("a[*]", "id", "n", ("v", "b[0].c"), "t", "u"))
#: The first is what users have; the others force a profile on whatever comes.
ROUTES = [Route.parse("{rest}", ""), *(replace(MAPPED, profile=name) for name in PROFILES)]
PROPERTIES = [("content-type", "application/senml+cbor"), ("time", "2026-03-01T10:00:00Z")]
#: As large as payloads may be, and repetitive: what takes time that grows faster than the payload shows here.
BIG = [
    b"[" * 65_000,
    b"1" * 65_000,
    b'{"a":' * 10_000,
    b'{"t":"' + b"9" * 60_000 + b'"}',
    b"\x81" * 65_000,
    b"a=1 " * 16_000,
]
BIG += [
    b"a a=1," + b"a=1," * 16_000,
    b"a a=1\n" * 10_000,
    b'a a="' + b'\\"' * 30_000,
    b"[" + b'{"n":"a","v":1},' * 4_000,
]

slowest_s = 0.0


def one_input(data: bytes) -> None:
    """Decode one input twice: with a memory that is fresh, and with what it remembers then."""
    global slowest_s  # noqa: PLW0603 - atheris calls a function, and ends the process itself
    which, (topic_bytes, _, payload) = data[:1], data[1:].partition(b"\0")
    route, topic = ROUTES[(which or b"\0")[0] % len(ROUTES)], topic_bytes.decode("utf-8", "replace")
    memory = Memory()
    for properties in ((), PROPERTIES):
        started_s = time.thread_time()
        decoded = decode(topic, payload, ARRIVAL_S, [route], memory, properties)
        took_s = time.thread_time() - started_s
        check(decoded)
        if took_s > slowest_s:
            slowest_s = took_s
            sys.stderr.write(f"slowest so far: {took_s * 1000:.2f} ms, {len(payload)} bytes on {topic[:40]!r}\n")
        if not IS_PLAIN and took_s > LIMIT_S and (plain_s := seconds_plainly(data)) > LIMIT_S:
            raise RuntimeError(f"{plain_s * 1000:.0f} ms for one message")


def seconds_plainly(data: bytes) -> float:
    """Return what the same input takes in a process of its own: instrumented code is several times slower."""
    done = subprocess.run([sys.executable, __file__, "--time"], input=data, capture_output=True, check=True)
    return float(done.stdout)


def check(decoded: object) -> None:
    """Raise unless all readings are finite and named within the allow-list."""
    for name, time_s, value in decoded.readings if isinstance(decoded, Decoded) else ():
        if not (NAME.fullmatch(name) and math.isfinite(time_s) and math.isfinite(value)):
            raise RuntimeError(f"{name!r} {time_s!r} {value!r}")


def corpus() -> str:
    """Return a folder with the golden messages as inputs; it goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="foretell-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    cases = GOLDEN.glob("*/*/payload")
    for i, case in enumerate(cases):
        (folder / str(i)).write_bytes(b"\0" + (case.parent / "topic").read_bytes().strip() + b"\0" + case.read_bytes())
    return str(folder)


if __name__ == "__main__" and IS_PLAIN:
    one = sys.stdin.buffer.read()
    one_input(one)  # imports and caches are not the message's
    slowest_s = 0.0
    one_input(one)
    sys.stdout.write(str(slowest_s))
elif __name__ == "__main__":
    for big in BIG:
        one_input(b"\0a/b\0" + big)
    options = ["-max_len=4096", "-rss_limit_mb=2048", "-timeout=10", "-print_final_stats=1"]
    atheris.Setup([*sys.argv, *options, corpus()], one_input)
    atheris.Fuzz()
