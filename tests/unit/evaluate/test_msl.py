"""MSL: channels stream training before test, commands are context, and sequences are counted as Telemanom counts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import UsageError
from pipeline.core.records import U8
from pipeline.core.settings import Settings
from pipeline.evaluate.events import EventCounts
from pipeline.evaluate.msl import (
    BUFFER,
    STEP_S,
    TELEMANOM,
    MslRun,
    Watch,
    Watched,
    blind_f1,
    busiest,
    evaluate_msl,
    judge,
    msl_settings,
    recording,
    sequences,
    watch,
)
from pipeline.evaluate.msl_files import Channel, read_msl
from pipeline.evaluate.msl_report import as_json, channels_table, strips, summary_lines
from pipeline.runtime.replay import replay
from pipeline.runtime.session import Session

QUICK = Settings.model_validate({"training": {"steps": 1, "every": 96}})


def channel(n_train: int = 600, n_test: int = 700, labels: tuple[tuple[float, float], ...] = ((395, 420),)) -> Channel:
    """Noise that a command raises by one, and one reading far out in the test part, if it is so long."""
    rng = np.random.default_rng(1)
    n = n_train + n_test
    commands = np.zeros((n, 4), np.uint8)
    commands[:, 1] = np.arange(n) // 7 % 2
    commands[:, 2] = np.arange(n) // 30 % 2
    commands[n_train + 50 :, 3] = 1  # never sent in training
    value = rng.normal(size=n) + commands[:, 1]
    value[n_train + 400 : n_train + 401] += 60
    return Channel("M-9", value[:n_train], value[n_train:], commands[:n_train], commands[n_train:], labels)


def test_the_commands_that_change_most_in_training_are_chosen_and_idle_ones_never() -> None:
    own = channel()
    assert busiest(own.train_commands, 8) == [1, 2]
    assert busiest(own.train_commands, 1) == [1]
    assert busiest(np.zeros((0, 3), np.uint8), 2) == []


def test_telemetry_is_streamed_whole_and_commands_where_they_change() -> None:
    own = channel()
    readings = recording(own, n_commands=8).readings
    assert list(readings.names) == ["M-9/telemetry", "M-9/command-1", "M-9/command-2"]
    telemetry, sent = readings.stream == 0, readings.stream == 1
    assert readings.value[telemetry].tolist() == [*own.train, *own.test]
    assert readings.time[telemetry].tolist() == (np.arange(len(own)) * STEP_S).tolist()
    assert readings.value[sent].tolist()[:4] == [0.0, 1.0, 0.0, 1.0]
    assert readings.time[sent].tolist()[:4] == [0.0, 7 * STEP_S, 14 * STEP_S, 21 * STEP_S]


def test_commands_reach_the_forecaster_of_telemetry_alone() -> None:
    settings = msl_settings(QUICK, 8)
    session = Session(settings)
    replay([recording(channel(200, 20, ()), 8)], settings, session=session)
    names = list(session.state.table.names)
    source = session.state.context.source
    wired = [names[slot] for slot in source[names.index("M-9/telemetry")] if slot >= 0]
    assert wired == ["M-9/command-1", "M-9/command-2"]
    assert (source[names.index("M-9/command-1")] == -1).all()
    assert msl_settings(QUICK, 0) == QUICK


def test_a_planted_anomaly_is_found_whoever_else_is_watched() -> None:
    own, other = channel(), replace(channel(), name="M-8", labels=())
    (run,) = evaluate_msl([own], QUICK, [1], n_processes=1)
    assert run.counts.n_found == 1
    assert run.results[0].delays[0] == 5
    (together,) = evaluate_msl([other, own], QUICK, [1], n_processes=2)
    again, alone = together.results[1], run.results[0]
    assert (again.counts, again.exact, again.delays, again.episodes) == (
        alone.counts,
        alone.exact,
        alone.delays,
        alone.episodes,
    )
    assert again.vus_pr == pytest.approx(alone.vus_pr, abs=1e-6)  # rounding: vectors of another length


def test_what_is_said_of_the_test_part_is_known_without_its_end() -> None:
    own = channel()
    short = replace(own, test=own.test[:450], test_commands=own.test_commands[:450])
    (whole,), (first,) = (watch(Watch((c,), msl_settings(QUICK, 8), 8)) for c in (own, short))
    # Rounding alone: how many streams have a reading in a tick changes the order of sums.
    assert np.allclose(first.score, whole.score[:450], rtol=0, atol=1e-6, equal_nan=True)


def test_episodes_that_opened_in_training_are_no_predictions() -> None:
    own = channel(600, 200, ())
    own.train[-3:] += 60
    (watched,) = watch(Watch((own,), QUICK, 0))
    assert all(first >= 0 for first, _ in watched.episodes)


def scored(*episodes: tuple[float, float], n: int = 700) -> Watched:
    return Watched(episodes, np.zeros(n))


def test_episodes_widened_by_the_buffer_meet_a_label_once_and_join_each_other() -> None:
    own = channel(labels=((300, 320), (600, 650)))
    result = judge(own, scored((200, 200), (380, 390), (430, 430)))
    assert result.counts == EventCounts(n_labels=2, n_found=1, n_false=0)  # one sequence, 100 to 530
    assert result.exact == EventCounts(n_labels=2, n_found=0, n_false=3)
    assert sequences([(150, 160), (361, 361), (640, 690)], 700) == [(50, 461), (540, 699)]


def test_episodes_right_behind_the_splice_are_neither_found_nor_false() -> None:
    result = judge(channel(labels=((20, 90),)), scored((5, 60), (BUFFER - 1, BUFFER + 300), (500, 510)))
    assert result.counts == EventCounts(n_labels=1, n_found=0, n_false=1)
    assert (result.n_settling, result.n_alerts) == (2, 1)
    assert result.alerts_per_day == pytest.approx(86400 / (600 * STEP_S))


def test_delays_count_from_the_begin_of_the_label() -> None:
    result = judge(channel(labels=((300, 350), (400, 500))), scored((320, 330), (390, 410)))
    assert result.delays == (20.0, 0.0)


def test_blind_alerts_find_what_their_widened_sequences_cover() -> None:
    own = channel(labels=((300, 400),))
    assert blind_f1([own], 6) == 1.0  # every reading is covered: one sequence
    assert 0 < blind_f1([own], 2) < 1
    assert blind_f1([own], 0) == 0.0


def test_reports_say_the_same_in_words_and_in_json() -> None:
    own = channel()
    results = (judge(own, scored((405, 440), (600, 610))),)
    runs = [MslRun(seed, results, blind_f1=0.1) for seed in (1, 2)]
    lines = list(summary_lines(runs, took_s=1.0))
    assert "1 channels, 700 test readings, 2 seeds" in lines[0]
    assert "F1 1.000 (worst seed 1.000), precision 1.000, recall 1.000, 1 of 1 found, 0 false alarms" in lines[1]
    assert "F1 0.667" in lines[2]
    assert "F1 0.794, precision 0.926, recall 0.694, 25 of 36 found" in "\n".join(lines)
    assert channels_table(runs).row_count == 1
    document = json.loads(json.dumps(as_json(runs), allow_nan=False))
    assert document["f1"] == document["f1_worst"] == 1.0
    assert document["seeds"][0]["channels"][0]["episodes"]["n_false"] == 1
    assert document["telemanom"]["n_found"] == TELEMANOM.n_found
    assert strips([own], runs[0])[0].alerts == ((405, 440), (600, 610))


def write(folder: Path, own: Channel, **changed: object) -> None:
    arrays: dict[str, object] = {
        "train_value": own.train.astype(np.float32),
        "test_value": own.test.astype(np.float32),
        "train_commands": own.train_commands,
        "test_commands": own.test_commands,
    }
    np.savez(folder / f"{own.name}.npz", allow_pickle=True, **(arrays | changed))  # type: ignore[arg-type]
    labels = {own.name: {"anomaly_sequences": [list(map(int, span)) for span in own.labels], "class": ["point"]}}
    (folder / "labels.json").write_text(json.dumps(labels))


def test_channels_are_read_as_they_were_written(tmp_path: Path) -> None:
    own = channel()
    write(tmp_path, own)
    (read,) = read_msl(tmp_path, ["M-*"])
    assert (read.name, read.labels, len(read)) == (own.name, own.labels, 1300)
    assert np.allclose(read.test, own.test, rtol=1e-6)
    assert (read.train_commands == own.train_commands).all()


ONES: U8 = np.ones((700, 4), np.uint8)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"test_value": np.full(700, np.nan)}, "no numbers"),
        ({"test_value": np.zeros(600)}, "do not fit"),
        ({"test_value": np.array(["a"] * 700)}, "do not fit"),
        ({"test_value": np.array([None] * 700)}, "holds no channel"),  # only pickle could read it
        ({"test_value": np.zeros(300), "test_commands": ONES[:300]}, "outside its test part"),
        ({"test_commands": ONES[:, :2]}, "other commands"),
        ({"test_commands": 2 * ONES}, "other than 0 and 1"),
    ],
)
def test_malformed_channels_are_refused_with_a_reason(tmp_path: Path, changed: dict[str, object], problem: str) -> None:
    write(tmp_path, channel(), **changed)
    with pytest.raises(UsageError, match=problem):
        read_msl(tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("not json", "no labelled sequences"),
        ("[]", "no labelled sequences"),
        ("{}", "labels no channel"),
        ('{"M-9": {"anomaly_sequences": [[1]]}}', "no labelled sequences"),
        ('{"../M-9": {"anomaly_sequences": [[1, 2]]}}', "no labelled sequences"),
        ('{"M-1": {"anomaly_sequences": [[1, 2]]}}', "cannot be read"),
    ],
)
def test_malformed_labels_are_refused_with_a_reason(tmp_path: Path, text: str, problem: str) -> None:
    write(tmp_path, channel())
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(UsageError, match=problem):
        read_msl(tmp_path)


def test_a_pattern_that_fits_nothing_and_a_file_that_is_no_archive_are_refused(tmp_path: Path) -> None:
    write(tmp_path, channel())
    with pytest.raises(UsageError, match="fits no channel"):
        read_msl(tmp_path, ["Q-*"])
    (tmp_path / "M-9.npz").write_text("nothing")
    with pytest.raises(UsageError, match="M-9"):
        read_msl(tmp_path)


def test_the_public_channels_hold_what_was_published(data_dir: Path) -> None:
    channels = read_msl(data_dir / "msl")
    assert len(channels) == 27
    assert sum(len(own.labels) for own in channels) == TELEMANOM.n_labels
