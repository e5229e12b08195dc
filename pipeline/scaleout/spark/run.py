"""The driver in the foreground: runs the job until the log ends or somebody stops it, and shows how it goes."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pyspark.errors import StreamingQueryException
from pyspark.sql.streaming import StreamingQuery

from pipeline.core.errors import ForetellError, printable
from pipeline.core.settings import Settings
from pipeline.scaleout.figures import Figures
from pipeline.scaleout.folders import Folders, check_output, check_settings
from pipeline.scaleout.outcome import BatchOutcome
from pipeline.scaleout.spark.job import start
from pipeline.scaleout.spark.session import spark_session
from pipeline.scaleout.told import Teller
from pipeline.sinks.exporter import Exporter
from pipeline.store.files import lock_folder

_LOOK_S = 0.2
_MAX_WORDS = 600

_log = logging.getLogger(__name__)


def run_live(settings: Settings) -> Figures:
    """Score what the bridge writes, until SIGTERM or SIGINT; alerts go out over MQTT.

    Returns:
        What was scored.

    Raises:
        UsageError: Settings that shards cannot keep, an output of another job, or a job that runs already.
        ForetellError: The job failed.
    """
    return _run(settings, Folders.of(settings), is_live=True)


def run_history(settings: Settings, output: Path | None) -> Figures:
    """Score the log as it is now, from its beginning or from where this output ends; nothing is published.

    Raises:
        UsageError: Settings that shards cannot keep, an output of another job, or a job that runs already.
        ForetellError: The job failed.
    """
    return _run(settings, Folders.of(settings, output), is_live=False)


def _run(settings: Settings, folders: Folders, *, is_live: bool) -> Figures:
    check_settings(settings)
    check_output(folders)
    figures = Figures(settings.site)
    with ExitStack() as stack:
        stack.callback(os.close, lock_folder(folders.output))
        folders.log.mkdir(parents=True, exist_ok=True)
        exporter = Exporter()
        if is_live and settings.metrics.enabled:
            exporter.publish(figures.snapshot())
            exporter.start(settings.metrics, settings.metrics.port)
            stack.callback(exporter.stop)
        teller = Teller(settings) if is_live and settings.alerts.publish else None
        if teller is not None:
            stack.callback(teller.close)

        def on_batch(batch: int, outcome: BatchOutcome) -> None:
            if teller is not None:
                teller.tell(outcome.alerts)
            figures.take(outcome)
            fields = {"batch": batch, "position": outcome.position, "n_readings": sum(outcome.counts.values())}
            _log.info("batch scored", extra={"fields": fields | {"n_alerts": len(outcome.alerts)}})

        stopped = stack.enter_context(_stop_on_signals())
        spark = stack.enter_context(spark_session(settings, f"foretell {settings.site}"))
        query = start(spark, settings, folders, on_batch, is_live=is_live)
        _follow(query, figures, exporter, stopped)
    return figures


def _follow(query: StreamingQuery, figures: Figures, exporter: Exporter, stopped: threading.Event) -> None:
    """Wait for the end of a job, and show meanwhile how it goes.

    Raises:
        ForetellError: It failed.
    """
    try:
        while not query.awaitTermination(_LOOK_S):
            figures.observe(query.lastProgress)
            exporter.publish(figures.snapshot())
            if stopped.is_set():
                query.stop()
        figures.observe(query.lastProgress)
    except StreamingQueryException as error:
        raise ForetellError(f"the job failed: {printable(str(error), _MAX_WORDS)}") from None


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and SIGINT set; a second signal ends the process at once."""
    stopped = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}

    def stop(_number: int, _frame: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        stopped.set()

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
