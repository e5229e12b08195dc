"""What the tests against a real Spark share: a recording, its plain run, jobs as processes, and the comparison."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from statistics import median

import numpy as np
import pyarrow.parquet as pq
import yaml

from pipeline.core.records import F64, EpisodeEvent, Readings
from pipeline.core.settings import Settings
from pipeline.runtime.replay import replay
from pipeline.runtime.session import Session
from pipeline.scaleout.segments import Logged, write_segment
from pipeline.sources.recording import Recording

IS_LONG = os.environ.get("FORETELL_SPARK") == "long"
#: Streams, readings of each, shards, segments of the log, readings per batch.
N_STREAMS, N_READINGS, N_SHARDS, N_SEGMENTS, N_BATCH = (
    (5_000, 400, 6, 40, 250_000) if IS_LONG else (500, 400, 2, 20, 50_000)
)
N_ROWS = N_STREAMS * N_READINGS
TOLERANCE = 1e-5
PATIENCE_S = 1200.0


def missing() -> str:
    """Say why there can be no Spark here; empty where there can."""
    if find_spec("pyspark") is None:
        return "pyspark is not installed here; run: make test-spark"
    return "" if which("java") else "there is no java; run: make test-spark"


def settings_for(folder: Path, **scale: object) -> Settings:
    """Return the settings of a contract run: episodes within 400 readings, as configs/scale.yaml but for that."""
    scale = {"folder": str(folder), "shards": N_SHARDS, "partitions": 2, "batch_readings": N_BATCH, **scale}
    return Settings.model_validate(
        {
            "streams": {"window_len": 512, "max_streams": 100_000},
            "forecast": {"sharing": "fleet"},
            "training": {"enabled": False},
            "detection": {"n_warmup": 100, "n_settled": 100},
            "alerts": {"publish": False},
            "metrics": {"enabled": False},
            "scale": scale,
        }
    )


def config(folder: Path, **scale: object) -> Path:
    """Write those settings as a configuration file."""
    path = folder / "scale.yaml"
    path.write_text(yaml.safe_dump(settings_for(folder, **scale).model_dump(mode="json", exclude_defaults=True)))
    return path


@cache
def recording() -> Logged:
    """Return readings of all streams, minute after minute: waves and noise, and a level that moves in one of 20."""
    rng = np.random.default_rng(7)
    minute = np.arange(float(N_READINGS))[:, None]
    value = np.sin(minute / 20 + np.arange(N_STREAMS)) + 0.1 * rng.normal(size=(N_READINGS, N_STREAMS))
    onset = rng.integers(150, 350, N_STREAMS)
    is_faulty = np.arange(N_STREAMS) % 20 == 3
    value += np.where((minute >= onset) & (minute < onset + 30) & is_faulty, 4.0, 0.0)
    time_s = np.repeat(1.7e9 + 60.0 * minute[:, 0], N_STREAMS)
    stream = np.tile(np.arange(N_STREAMS, dtype=np.int32), N_READINGS)
    names = [f"plant/device-{i // 4}/sensor-{i % 4}" for i in range(N_STREAMS)]
    return Logged(
        np.arange(N_ROWS), time_s, Readings(names, stream, time_s, value.reshape(-1), np.zeros(N_ROWS, np.uint8))
    )


def write_log(folder: Path, first: int = 0, last: int = N_SEGMENTS) -> None:
    """Write some of the segments of the recording."""
    for number in range(first, last):
        write_segment(folder / "log", readings_of(number, number + 1))


def readings_of(first: int, last: int) -> Logged:
    """Return the readings of some of the segments."""
    size = N_ROWS // N_SEGMENTS
    return recording().rows(slice(first * size, last * size))


@dataclass(frozen=True, slots=True)
class Plain:
    """The recording through ``foretell replay``: what every back end must come to."""

    score: F64
    episodes: set[tuple[str, str, str]]


@cache
def plain() -> Plain:
    """Replay the recording."""
    result = replay([Recording("recording", recording().readings, {})], settings_for(Path("unused")))
    return Plain(result.steps.score, episodes_of(result.steps.events))


def measured_rate() -> float:
    """Return readings per second of the plain loop: one session, a batch of Spark's size after the other."""
    session = Session(settings_for(Path("unused")))
    readings = recording().readings
    parts = [readings.rows(slice(at, at + N_BATCH)) for at in range(0, N_ROWS, N_BATCH)]
    took_s = []
    for part in parts:
        began_s = time.perf_counter()
        session.process(part, float("inf"))
        took_s.append(time.perf_counter() - began_s)
    return N_BATCH / median(took_s[1:])


def episodes_of(events: Sequence[EpisodeEvent]) -> set[tuple[str, str, str]]:
    """Return stream, episode, and whether it opened or closed."""
    return {(event.stream, event.episode, event.event.name.lower()) for event in events}


def command(*arguments: str | Path) -> list[str]:
    """Return the command line of ``foretell scale``."""
    return [sys.executable, "-c", "from pipeline.cli.main import main; main()", "scale", *map(str, arguments)]


def run_scale(*arguments: str | Path) -> str:
    """Run ``foretell scale`` to its end, and return what it said."""
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=environment()
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def environment() -> dict[str, str]:
    """Return the environment of a job: this code, loopback only."""
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root, "SPARK_LOCAL_IP": "127.0.0.1", "OMP_NUM_THREADS": "1"}


def run_until_killed(output: Path, batch: int, *arguments: str | Path) -> None:
    """Run ``foretell scale``, and kill driver and JVM with -9 in the middle of a batch."""
    commits, offsets = output / "checkpoint" / "commits", output / "checkpoint" / "offsets"
    with (
        (output.parent / "killed.log").open("wb") as log,
        subprocess.Popen(
            command(*arguments), stdout=log, stderr=log, start_new_session=True, env=environment()
        ) as process,
    ):
        until_s = time.monotonic() + PATIENCE_S
        while not (offsets / str(batch)).exists():
            assert process.poll() is None, (output.parent / "killed.log").read_text()[-3000:]
            assert time.monotonic() < until_s
            time.sleep(0.02)
        time.sleep(0.5)  # into the batch
        os.killpg(process.pid, signal.SIGKILL)
    assert not (commits / str(batch)).exists(), "the batch was over already"


def scores_in(output: Path) -> tuple[F64, int]:
    """Return the score of every reading by position, and how many rows there are."""
    files = sorted((output / "scores").glob("batch=*/*.parquet"))
    tables = [pq.read_table(path, columns=["seq", "score", "stream"], partitioning=None) for path in files]
    score = np.full(N_ROWS, -1.0)
    n = 0
    names = np.array(recording().readings.names)[recording().readings.stream]
    for table in tables:
        seq = table["seq"].to_numpy()
        assert (names[seq] == table["stream"].to_numpy()).all()
        score[seq] = table["score"].to_numpy()
        n += len(seq)
    return score, n


def alerts_in(output: Path) -> set[tuple[str, str, str]]:
    """Return stream, episode and event of every alert that was written; each must be there once."""
    rows = [
        json.loads(text)
        for path in sorted((output / "alerts").glob("batch=*/alerts.parquet"))
        for text in pq.read_table(path, columns=["alert"], partitioning=None)["alert"].to_pylist()
    ]
    found = {(row["stream"], row["episode"], row["event"]) for row in rows}
    assert len(found) == len(rows)
    return found


def say(what: str, figures: str) -> None:
    """Print what was found: figures are what these tests are for."""
    sys.stdout.write(f"\n{what}: {figures}\n")


def compare(output: Path) -> str:
    """Hold what a job wrote against the plain run; return the figures."""
    score, n = scores_in(output)
    expected = plain()
    lost = int((score == -1.0).sum())
    assert (lost, n) == (0, N_ROWS), f"{lost} lost, {n - N_ROWS + lost} duplicated"
    return compare_scores(score) + compare_episodes(alerts_in(output), expected)


def compare_scores(score: F64) -> str:
    """Hold scores against the plain run's."""
    expected = plain().score
    assert (np.isnan(score) == np.isnan(expected)).all()
    worst = float(np.nanmax(np.abs(score - expected)))
    assert worst < TOLERANCE
    return f"{N_ROWS:,} readings of {N_STREAMS:,} streams, 0 lost, 0 duplicated, largest difference {worst:.1e}"


def compare_episodes(found: set[tuple[str, str, str]], expected: Plain) -> str:
    """Hold episodes against the plain run's."""
    assert len(expected.episodes) > N_STREAMS // 100
    assert found == expected.episodes
    return f", {len(found)} openings and closings of episodes alike"
