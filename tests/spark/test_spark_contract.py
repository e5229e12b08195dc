"""One contract for every back end: the same readings give the same scores and episodes, whatever was killed meanwhile.

The short form takes 200,000 readings, ``FORETELL_SPARK=long`` (make test-spark) two million over 5,000 streams.
"""

import sys
from pathlib import Path

import pytest
from spark_contract import compare, config, missing, run_scale, run_until_killed, write_log

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing() or "there is a Spark"),
    pytest.mark.xdist_group("spark"),
]


def test_killed_twice_in_the_middle_of_a_batch_nothing_is_lost_nor_counted_twice(tmp_path: Path) -> None:
    write_log(tmp_path)
    arguments = ("backfill", "-c", config(tmp_path))
    for batch in (1, 2):
        run_until_killed(tmp_path / "live", batch, *arguments)
    said = run_scale(*arguments)
    sys.stdout.write(f"\nkilled twice: {compare(tmp_path / 'live')}; {said.splitlines()[-1]}\n")
