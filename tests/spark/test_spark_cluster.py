"""A standalone master with two workers, one of which is killed; and how much of the plain loop's speed is left."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from spark_contract import (
    IS_LONG,
    N_BATCH,
    PATIENCE_S,
    command,
    compare,
    config,
    environment,
    measured_rate,
    missing,
    run_scale,
    say,
    write_log,
)

from pipeline.runtime.broker import free_port

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing() or "there is a Spark"),
    pytest.mark.xdist_group("spark"),
    pytest.mark.skipif(not IS_LONG, reason="takes minutes; run: make test-spark"),
]
LEAST_RATIO = 0.4


def test_a_worker_is_killed_and_the_job_goes_on(tmp_path: Path) -> None:
    write_log(tmp_path)
    commits = tmp_path / "live" / "checkpoint" / "commits"
    with ExitStack() as stack:
        port = free_port()
        stack.enter_context(_spark_class(tmp_path, "master.Master", "--host", "127.0.0.1", "--port", str(port)))
        master = f"spark://127.0.0.1:{port}"
        worker = ("worker.Worker", "--host", "127.0.0.1", "-c", "1", "-m", "2g", "-d", ".", master)
        doomed, _ = (stack.enter_context(_spark_class(tmp_path / name, *worker)) for name in ("a", "b"))
        log = stack.enter_context((tmp_path / "job.log").open("wb"))
        job = stack.enter_context(
            subprocess.Popen(
                command("backfill", "-c", config(tmp_path, master=master)), stdout=log, stderr=log, env=environment()
            )
        )
        _wait_for(commits / "1", job)
        time.sleep(0.5)  # into the batch
        assert all(any((tmp_path / name).glob("app-*")) for name in ("a", "b")), "one of them had nothing to do"
        os.killpg(doomed.pid, signal.SIGKILL)
        assert not (commits / "7").exists(), "the job was over already"
        assert job.wait(PATIENCE_S) == 0, (tmp_path / "job.log").read_text()[-3000:]
    say("one of two workers killed", compare(tmp_path / "live"))


def test_envelopes_keep_much_of_the_plain_loops_speed(tmp_path: Path) -> None:
    write_log(tmp_path)
    before = measured_rate()
    said = run_scale("backfill", "-c", config(tmp_path))
    plain = (before + measured_rate()) / 2
    lines = [json.loads(line) for line in said.splitlines() if '"batch scored"' in line]
    at_s = [datetime.fromisoformat(line["time"]).timestamp() for line in lines]
    took_s = median(later - earlier for earlier, later in pairwise(at_s[1:]))
    spark = N_BATCH / took_s
    say("envelopes", f"{spark:,.0f} readings/s, plain loop {plain:,.0f}, {spark / plain:.0%}")
    assert spark >= LEAST_RATIO * plain


@contextmanager
def _spark_class(folder: Path, name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon of Spark's own on loopback; all of it is killed at the end."""
    import pyspark

    folder.mkdir(exist_ok=True)
    program = Path(pyspark.__file__).parent / "bin" / "spark-class"
    web = ("--webui-port", str(free_port()))
    line = [str(program), f"org.apache.spark.deploy.{name}", *web, *arguments]
    with (
        (folder / "daemon.log").open("wb") as log,
        subprocess.Popen(line, stdout=log, stderr=log, start_new_session=True, env=environment(), cwd=folder) as daemon,
    ):
        try:
            yield daemon
        finally:
            if daemon.poll() is None:
                os.killpg(daemon.pid, signal.SIGKILL)


def _wait_for(path: Path, job: subprocess.Popen[bytes]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert job.poll() is None
        assert time.monotonic() < until_s
        time.sleep(0.05)
