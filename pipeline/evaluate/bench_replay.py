"""A replay from Parquet to Parquet, end to end, beside the engine alone on the same readings, in one run.

Comes in: nothing. Goes out: a line per sharing. The recording is written first, which is not timed; then both take it
in turn, and the best of each counts.
"""

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time

import numpy as np

from pipeline.core.records import Readings
from pipeline.core.settings import Settings
from pipeline.evaluate.bench import white_noise
from pipeline.runtime.replay import replay
from pipeline.runtime.replay_batches import batches
from pipeline.runtime.session import Session
from pipeline.sinks.scores import write_scores
from pipeline.sources.recording import read_recording

N_STREAMS = 1_000
_TICKS, _ROUNDS = 240, 3


@dataclass(frozen=True)
class ReplayCost:
    """What a replay costs end to end.

    Attributes:
        sharing: ``stream`` (a network each) or ``fleet`` (one for all).
        readings_per_s: Read, scored and written, everything on but fine-tuning.
        engine_per_s: Scored alone, by a session that is as new.
        read_us: Microseconds per reading for reading the recording.
        write_us: Likewise for writing the scores.
        ratio: End to end over the engine alone.
    """

    sharing: str
    readings_per_s: float
    engine_per_s: float
    read_us: float
    write_us: float
    ratio: float

    def as_dict(self) -> dict[str, float | str]:
        """Return the columns by name."""
        return {"bench": "replay", **asdict(self)}


def bench_replay(sharing: str, n_streams: int = N_STREAMS, n_ticks: int = _TICKS) -> ReplayCost:
    """Measure it: processor time, as the figure is of one core."""
    text = {"streams": {"max_streams": n_streams}, "forecast": {"sharing": sharing}, "training": {"enabled": False}}
    settings = Settings.model_validate(text)
    readings = next(white_noise(n_streams, n_ticks))
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        recording, scores = Path(folder) / "readings.parquet", Path(folder) / "scores.parquet"
        _write(recording, readings)
        for _ in range(_ROUNDS):
            engine_s = _seconds(lambda: _score(settings, readings))
            rounds.append((engine_s, *_end_to_end(settings, recording, scores)))
    engine_s, read_s, score_s, write_s = (min(times) for times in zip(*rounds, strict=True))
    n, whole_s = len(readings), read_s + score_s + write_s
    us = 1e6 / n
    return ReplayCost(sharing, n / whole_s, n / engine_s, read_s * us, write_s * us, engine_s / whole_s)


def _write(path: Path, readings: Readings) -> None:
    """Write readings as a recording: a row each, the stream by name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = pa.DictionaryArray.from_arrays(readings.stream, pa.array(list(readings.names), pa.string()))
    time = pa.array((readings.time * 1e3).astype("datetime64[ms]"), pa.timestamp("ms", tz="UTC"))
    pq.write_table(pa.table({"stream": stream.cast(pa.string()), "timestamp": time, "value": readings.value}), path)


def _score(settings: Settings, readings: Readings) -> None:
    """Score readings as a replay does, and nothing else."""
    session = Session(settings)
    for rows in batches(readings, settings):
        session.process(readings.rows(rows), np.inf)


def _end_to_end(settings: Settings, recording: Path, scores: Path) -> tuple[float, float, float]:
    """Return the seconds for reading, for the replay itself, and for writing."""
    began_s = process_time()
    read = read_recording(recording)
    read_s = process_time() - began_s
    began_s = process_time()
    result = replay([read], settings)
    score_s = process_time() - began_s
    return read_s, score_s, _seconds(lambda: write_scores(scores, result.readings, result.steps))


def _seconds(work: Callable[[], object]) -> float:
    """Return the processor time that work takes, of this process."""
    began_s = process_time()
    work()
    return process_time() - began_s
