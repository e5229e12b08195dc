"""Readings per second of the engine beside other libraries' detectors: the same readings, one core each, in one run.

Comes in: nothing. Goes out: a line per library. The libraries run in the environment that ``make peers`` makes, one
process each; what one of them answers is checked, not believed. Refuses to know the terminal.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time

import numpy as np

from pipeline.core.errors import ForetellError, printable
from pipeline.core.records import Readings
from pipeline.evaluate.bench import warmed_up
from pipeline.evaluate.bench_peers_worker import PEERS
from pipeline.runtime.parts import parts
from pipeline.runtime.session import Session

N_STREAMS, N_FIRST, N_TIMED = 1_000, 20, 10
_N_TUNED = 48  # readings of each stream over which fine-tunes are counted in: the default schedule has one in so many
_SCRIPT = Path(__file__).with_name("bench_peers_worker.py")
_LIMIT_S = 900.0


@dataclass(frozen=True)
class PeerResult:
    """One line of the comparison.

    Attributes:
        peer: Library and detector.
        readings_per_s: What it deals with in a second, one model per stream.
        engine_ratio: The engine's rate over it, a network pair per stream, without fine-tunes.
        tuned_ratio: The same with all fine-tunes of the default schedule counted in.
        fleet_ratio: The engine's rate with one network pair for all, over it.
    """

    peer: str
    readings_per_s: float
    engine_ratio: float
    tuned_ratio: float
    fleet_ratio: float

    def as_dict(self) -> dict[str, float | str]:
        """Return the columns by name."""
        return {"bench": "peers", **asdict(self)}


@dataclass(frozen=True)
class EngineRates:
    """Readings per second of the engine on one core: a network pair per stream, with fine-tunes, and for a fleet."""

    stream: float
    tuned: float
    fleet: float


def bench_peers(
    python: Path, on_result: Callable[[PeerResult], None] = lambda _: None, n_streams: int = N_STREAMS
) -> tuple[EngineRates, list[PeerResult]]:
    """Measure the engine, then each peer.

    Args:
        python: Interpreter of the environment that ``make peers`` made.
        on_result: Told each result.
        n_streams: Streams, one model of a peer each.

    Raises:
        ForetellError: A peer ended early, or gave no figure.
    """
    value = noisy_waves(n_streams, N_FIRST + N_TIMED)
    rates = EngineRates(_rate(n_streams, "stream"), _tuned_rate(n_streams), _rate(n_streams, "fleet"))
    found = []
    for peer in PEERS:
        rate = _asked(python, peer, value)
        found.append(PeerResult(peer, rate, rates.stream / rate, rates.tuned / rate, rates.fleet / rate))
        on_result(found[-1])
    return rates, found


def noisy_waves(n_streams: int, n: int, first: int = 0) -> list[list[float]]:
    """Return readings by time, then by stream: waves of other phases, with noise."""
    rng = np.random.default_rng(first)
    at = np.arange(first, first + n)[:, None] / 9 + np.arange(n_streams)
    waves: list[list[float]] = (np.sin(at) + rng.normal(0, 0.1, at.shape)).tolist()
    return waves


def _batches(session: Session, n_each: int) -> Iterator[Readings]:
    """Yield the next readings of all streams, ``n_each`` of each, a minute apart."""
    names = [str(session.state.table.names[slot]) for slot in session.state.table.live]
    stream = np.tile(np.arange(len(names), dtype=np.int32), n_each)
    while True:
        first = int(session.state.windows.n[0])
        time = np.repeat(60.0 * np.arange(first, first + n_each), len(names))
        value = np.array(noisy_waves(len(names), n_each, first)).ravel()
        yield Readings(names, stream, time, value, np.zeros(len(value), np.uint8))


def _rate(n_streams: int, sharing: str) -> float:
    """Return readings per second of processor time, everything on but fine-tunes."""
    session = warmed_up(n_streams, sharing)
    spent_s = []
    batches = _batches(session, N_TIMED)
    for _ in range(5):
        batch = next(batches)
        began_s = process_time()
        session.process(batch, now=np.inf)
        spent_s.append(process_time() - began_s)
    return n_streams * N_TIMED / min(spent_s)


def _tuned_rate(n_streams: int) -> float:
    """Return readings per second of processor time with the fine-tunes that fall due."""
    session = warmed_up(n_streams, "stream")
    batches = _batches(session, _N_TUNED)
    spent_s = 0.0
    for i in range(2):  # in the first one their turns begin
        batch = next(batches)
        began_s = process_time()
        for rows in parts(session, batch):
            session.process(batch.rows(rows), now=np.inf)
            session.fine_tune()
        spent_s = process_time() - began_s if i else 0.0
    return n_streams * _N_TUNED / spent_s


def _asked(python: Path, peer: str, value: list[list[float]]) -> float:
    """Return what a peer does in a second."""
    asked = json.dumps({"peer": peer, "value": value, "n_first": N_FIRST})
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, no shell
            [str(python), "-P", "-W", "ignore", str(_SCRIPT)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            input=asked,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=True,
        )
        rate = float(json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        raise ForetellError(f"{peer}: no figure within {_LIMIT_S:.0f} s") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ForetellError(f"{peer}: ended early: {printable(said)}; make its environment anew: make peers") from None
    except (ValueError, IndexError, TypeError):
        raise ForetellError(f"{peer}: gave no figure; make its environment anew: make peers") from None
    if not rate > 0:
        raise ForetellError(f"{peer}: gave {rate} readings a second")
    return rate
