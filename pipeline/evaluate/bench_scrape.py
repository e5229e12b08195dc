"""What scrapes cost: how long one takes with thousands of streams, and whether readings wait for it.

Comes in: nothing. Goes out: times, with and without a scraper, in turns of one run. The readings are the daemon's
batches at a steady pace; the scraper is another process, as Prometheus is. Refuses to know the terminal.
"""

import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from itertools import count

import numpy as np

from pipeline.core.records import F64, Readings
from pipeline.core.settings import Settings
from pipeline.runtime.clocks import SystemClock
from pipeline.runtime.lag import SWITCH_S, Lag
from pipeline.runtime.session import Session
from pipeline.runtime.telemetry import Telemetry
from pipeline.sinks.exporter import Exporter
from pipeline.sources.inbox import Inbox

N_STREAMS = 5_000
#: Readings of a batch, and seconds between two: 5,000 readings per second.
BATCH, PAUSE_S = 500, 0.1
#: Seconds between two scrapes (Prometheus' default is 60), and between two snapshots, as in the daemon.
SCRAPE_S, REFRESH_S = 1.0, 0.5
_SCRAPER = """
import sys, time, urllib.request
while True:
    began = time.perf_counter()
    with urllib.request.urlopen(sys.argv[1], timeout=30) as answer:
        size = len(answer.read())
    print(time.perf_counter() - began, size, flush=True)
    time.sleep(float(sys.argv[2]))
"""


@dataclass(frozen=True, slots=True)
class ScrapeCost:
    """What scraping costs.

    Attributes:
        n_streams: Streams that are watched.
        n_with_series: Streams that have series of their own.
        n_scrapes: Scrapes that were timed.
        median_ms: Their median time, from request to the last byte.
        worst_ms: The longest.
        size_bytes: Size of an answer.
        alone_p99_ms: 99 % of batches were scored so long after they were due, nobody scraping.
        scraped_p99_ms: The same while somebody scrapes.
    """

    n_streams: int
    n_with_series: int
    n_scrapes: int
    median_ms: float
    worst_ms: float
    size_bytes: int
    alone_p99_ms: float
    scraped_p99_ms: float

    def as_dict(self) -> dict[str, float | int | str]:
        """Return the figures by name."""
        return {"bench": "scrape", **asdict(self)}


class _Fleet:
    """Streams that are scored in batches, and an endpoint that shows them."""

    def __init__(self, n_streams: int, n_with_series: int) -> None:
        settings = Settings.model_validate(
            {
                "forecast": {"sharing": "fleet"},
                "streams": {"max_streams": n_streams, "window_len": 256},
                "metrics": {"max_streams": n_with_series},
            }
        )
        self._session, self._telemetry, self._exporter = (
            Session(settings),
            Telemetry(settings, Lag(SystemClock(), Inbox(1))),
            Exporter(),
        )
        self._names = [f"hall-{i // 20}/sensor-{i % 20}" for i in range(n_streams)]
        self._random = np.random.default_rng(1)
        self._row = 0
        self.port = self._exporter.start(settings.metrics, 0)

    def warm_up(self) -> None:
        """Give every stream its first scores."""
        for _ in range(self._session.settings.detection.n_warmup + 8):
            self.score(len(self._names))
        self.refresh()

    def score(self, n: int) -> None:
        """Score the next ``n`` readings, stream after stream; no more than there are streams."""
        size = len(self._names)
        rows = np.arange(self._row, self._row + n)
        self._row += n
        time_s = 60.0 * (rows // size).astype(np.float64)
        value: F64 = np.sin(time_s / 3600 + rows % size) + self._random.normal(0, 0.1, n)
        names = [self._names[i] for i in (rows % size).tolist()]  # as they come: those of the batch alone
        readings = Readings(names, np.arange(n, dtype=np.int32), time_s, value, np.zeros(n, np.uint8))
        self._session.process(readings, float(time_s[-1]))

    def refresh(self) -> None:
        """Make a snapshot for the endpoint, as the daemon's worker does."""
        self._exporter.publish(self._telemetry.snapshot(self._session, self._session.view(), {}, {}))

    def waits(self, seconds: float) -> list[float]:
        """Score batches at a steady pace; return how long after it was due each was done, seconds."""
        began_s = refreshed_s = time.perf_counter()
        waited: list[float] = []
        for i in count():
            due_s = began_s + i * PAUSE_S
            if due_s > began_s + seconds:
                return waited
            time.sleep(max(0.0, due_s - time.perf_counter()))
            self.score(BATCH)
            waited.append(time.perf_counter() - due_s)
            if time.perf_counter() - refreshed_s >= REFRESH_S:
                self.refresh()
                refreshed_s = time.perf_counter()
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Free the port."""
        self._exporter.stop()


def bench_scrape(n_with_series: int, n_streams: int = N_STREAMS, turns: int = 3, turn_s: float = 6.0) -> ScrapeCost:
    """Measure with and without a scraper, in turns.

    Args:
        n_with_series: Streams with series of their own.
        n_streams: Streams.
        turns: Turns of either kind.
        turn_s: How long one takes, seconds.
    """
    fleet, switch_s = _Fleet(n_streams, n_with_series), sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)  # as the daemon does
    try:
        fleet.warm_up()
        alone: list[float] = []
        scraped: list[float] = []
        told: list[tuple[float, int]] = []
        for _ in range(turns):
            alone += fleet.waits(turn_s)
            command = [sys.executable, "-c", _SCRAPER, f"http://127.0.0.1:{fleet.port}/metrics", str(SCRAPE_S)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as scraper:  # noqa: S603 - our own
                scraped += fleet.waits(turn_s)
                scraper.terminate()
                lines = scraper.communicate()[0].splitlines()
            told += [(float(line.split()[0]), int(line.split()[1])) for line in lines if len(line.split()) == 2]  # noqa: PLR2004 - a whole line
    finally:
        sys.setswitchinterval(switch_s)
        fleet.close()
    took_s = [seconds for seconds, _ in told]
    return ScrapeCost(
        n_streams=n_streams,
        n_with_series=n_with_series,
        n_scrapes=len(told),
        median_ms=1e3 * float(np.median(took_s)),
        worst_ms=1e3 * max(took_s),
        size_bytes=told[-1][1],
        alone_p99_ms=1e3 * float(np.percentile(alone, 99)),
        scraped_p99_ms=1e3 * float(np.percentile(scraped, 99)),
    )
