"""One contract for every back end: the same readings give the same scores and episodes, whatever was killed meanwhile.

The short form takes 200,000 readings, ``FORETELL_SPARK=long`` (make test-spark) two million over 5,000 streams.
"""

from pathlib import Path

import numpy as np
import pytest
from spark_contract import (
    N_ROWS,
    N_SEGMENTS,
    TOLERANCE,
    alerts_in,
    compare,
    compare_episodes,
    compare_scores,
    config,
    episodes_of,
    missing,
    plain,
    readings_of,
    run_scale,
    run_until_killed,
    say,
    scores_in,
    settings_for,
    write_log,
)

from pipeline.runtime.follow_up import FollowUp
from pipeline.runtime.restore import restore
from pipeline.runtime.session import Session
from pipeline.scaleout.stores import export_state
from pipeline.store.store import Store

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing() or "there is a Spark"),
    pytest.mark.xdist_group("spark"),
]


def test_killed_twice_in_the_middle_of_a_batch_nothing_is_lost_nor_counted_twice(tmp_path: Path) -> None:
    write_log(tmp_path)
    arguments = ("backfill", "-c", config(tmp_path))
    for batch in (1, 2):
        run_until_killed(tmp_path / "live", batch, *arguments)
    run_scale(*arguments)
    say("killed twice", compare(tmp_path / "live"))


def test_another_number_of_partitions_changes_nothing(tmp_path: Path) -> None:
    configuration = config(tmp_path)
    write_log(tmp_path, last=N_SEGMENTS // 2)
    run_scale("backfill", "-c", configuration)
    assert "6 partitions" in run_scale("repartition", "-c", configuration, "6")
    write_log(tmp_path, first=N_SEGMENTS // 2)
    run_scale("backfill", "-c", configuration)
    say("2 partitions, then 6", compare(tmp_path / "live"))


def test_from_a_daemon_to_spark_and_back(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    third, two_thirds = N_SEGMENTS // 3, 2 * N_SEGMENTS // 3
    before, after = readings_of(0, third), readings_of(two_thirds, N_SEGMENTS)
    session = Session(settings)
    events = []
    score = np.full(N_ROWS, -1.0)
    steps = session.process(before.readings, float("inf"))
    score[before.seq] = steps.score
    events += steps.events
    export_state(tmp_path / "daemon", session)
    configuration = config(tmp_path)
    run_scale("import-state", "-c", configuration, "--from", tmp_path / "daemon")
    write_log(tmp_path, third, two_thirds)
    run_scale("backfill", "-c", configuration)
    of_spark, n = scores_in(tmp_path / "live")
    assert n == N_ROWS - len(before) - len(after)
    run_scale("export-state", "-c", configuration, "--to", tmp_path / "again")
    last = Session(settings)
    store = Store(tmp_path / "again", settings.store)
    try:
        assert restore(store, last, FollowUp(settings)).why == ""
    finally:
        store.close()
    steps = last.process(after.readings, float("inf"))
    score[after.seq] = steps.score
    events += steps.events
    score = np.where(of_spark == -1.0, score, of_spark)
    found = compare_scores(score) + compare_episodes(episodes_of(events) | alerts_in(tmp_path / "live"), plain())
    say("daemon, Spark, daemon", found)


def test_networks_that_were_fine_tuned_half_way_are_in_force_again_when_history_is_scored_again(tmp_path: Path) -> None:
    configuration = config(tmp_path)
    write_log(tmp_path, last=N_SEGMENTS // 2)
    run_scale("backfill", "-c", configuration)
    said = run_scale("fine-tune", "-c", configuration, "--rounds", "4", "--streams", "32")
    assert f"in force from position {N_ROWS // 2:,} on" in said
    write_log(tmp_path, first=N_SEGMENTS // 2)
    n_done = len(list((tmp_path / "live" / "checkpoint" / "commits").glob("[0-9]*")))
    run_until_killed(tmp_path / "live", n_done, "backfill", "-c", configuration)
    run_scale("backfill", "-c", configuration)
    run_scale("backfill", "-c", configuration, "--output", tmp_path / "again")
    (live, n_live), (again, n_again) = scores_in(tmp_path / "live"), scores_in(tmp_path / "again")
    assert n_live == n_again == N_ROWS
    assert live.tobytes() == again.tobytes()
    assert alerts_in(tmp_path / "live") == alerts_in(tmp_path / "again")
    half = N_ROWS // 2
    assert np.array_equal(live[:half], plain().score[:half], equal_nan=True)
    changed = np.nanmax(np.abs(live[half:] - plain().score[half:]))
    assert changed > TOLERANCE
    say("fine-tuned half way, killed, scored again", f"{N_ROWS:,} scores the same to the last bit")
