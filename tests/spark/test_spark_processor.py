"""Spark's processor without a JVM: pyspark's own tester drives it. Skipped where pyspark is missing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spark_contract import readings_of, settings_for

from pipeline.scaleout.envelopes import cut

REASON = "pyspark is not installed here; run: make test-spark"
pd = pytest.importorskip("pandas", reason=REASON)
streaming = pytest.importorskip("pyspark.sql.streaming", reason=REASON)


class Job:
    """Two shards' job, of which the first is looked at; 20 readings of each stream come in each batch."""

    def __init__(self, folder: Path) -> None:
        from pipeline.scaleout.spark import processor

        self.processor = processor
        settings = settings_for(folder, n_journal=45)
        self.logs = [dict(cut(readings_of(number, number + 1), 2, "")) for number in range(4)]
        self.tester = streaming.TwsTester(processor.ShardProcessor(settings.model_dump_json(), str(folder)))
        self.forget()

    def forget(self) -> None:
        """Be another worker."""
        self.processor.kept_shards.clear()

    def score(self, number: int) -> bytes:
        """Score a batch."""
        frame = pd.DataFrame({"shard": [0], "first": [number], "envelope": [self.logs[number][0]]})
        return np.asarray(self.tester.testInPandas(0, frame)["score"], np.float64).tobytes()

    def mark(self) -> Any:  # noqa: ANN401 - pyspark's tuple
        """Return what names the state."""
        return self.tester.peekValueState(self.processor.MARK, 0)

    def since(self) -> list[Any]:
        """Return the envelopes since the snapshot."""
        return list(self.tester.peekListState(self.processor.SINCE, 0))


def test_a_worker_that_remembers_nothing_scores_the_same(tmp_path: Path) -> None:
    job, n_since = Job(tmp_path), []
    remembered = []
    for number in range(4):
        remembered.append(job.score(number))
        n_since.append(len(job.since()))
    assert n_since == [1, 2, 0, 1]  # a snapshot was due after 60 readings of each stream
    other = Job(tmp_path)
    taken_up = []
    for number in range(4):
        taken_up.append(other.score(number))
        other.forget()
    assert taken_up == remembered


def test_an_attempt_that_was_given_up_leaves_nothing_behind(tmp_path: Path) -> None:
    undisturbed = Job(tmp_path)
    expected = [undisturbed.score(0), undisturbed.score(1)]
    job = Job(tmp_path)
    job.score(0)
    mark, since = job.mark(), job.since()
    job.score(1)  # and Spark gives it up: the store is as before, the worker is not
    job.tester.updateValueState(job.processor.MARK, 0, mark)
    job.tester.updateListState(job.processor.SINCE, 0, since)
    assert job.score(1) == expected[1]
