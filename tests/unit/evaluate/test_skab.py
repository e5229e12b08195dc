"""SKAB: its changepoint score as its own evaluator gives it, and alerts of a device beside as many blind ones."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from pipeline.core.records import F64
from pipeline.core.settings import Settings
from pipeline.evaluate.blind import N_PHASES, blind_alerts
from pipeline.evaluate.skab import Watch, evaluate_skab, watch
from pipeline.evaluate.skab_files import Experiment, read_skab
from pipeline.evaluate.skab_judge import N_CLEAN, SkabRun, Watched, is_clean, judge, windows_of
from pipeline.evaluate.skab_metric import PROFILES, WINDOW_S, is_outside, nab_scores, windows, worth
from pipeline.evaluate.skab_report import as_json, files_table, levels_table, strips, summary_lines

QUICK = Settings.model_validate({"training": {"steps": 1, "every": 96}})
N = 800
CHANGE = 600


def experiment(name: str = "valve1/0", change: int | None = CHANGE, n: int = N, sensors: int = 3) -> Experiment:
    """Noise on every sensor; from the change on two of them are far higher, for 120 rows."""
    value = np.stack([np.random.default_rng(i).normal(size=n) for i in range(sensors)], axis=1)
    is_anomalous, is_change = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    if change is not None:
        is_anomalous[change : change + 120] = True
        is_change[[change, change + 120]] = True
        value[change : change + 120, :2] += 40
    time = 1e9 + np.arange(n, dtype=np.float64)
    return Experiment(name, tuple(f"s{i}" for i in range(sensors)), time, value, is_anomalous, is_change)


def scored(own: Experiment, **at: float) -> Watched:
    score = np.full(len(own), 1.0)
    for row, height in at.items():
        score[int(row.removeprefix("row"))] = height
    return Watched(score, score - 5.0, score > 4.0)


def test_silence_is_worth_nothing_and_alerts_at_the_changes_are_worth_everything() -> None:
    spans = [windows(np.array([100.0, 300.0])), windows(np.array([50.0]))]
    silent = nab_scores([np.zeros(0), np.zeros(0)], spans)
    perfect = nab_scores([np.array([100.0, 300.0]), np.array([50.0])], spans)
    assert list(silent.values()) == [0.0, 0.0, 0.0]
    assert list(perfect.values()) == pytest.approx([100.0, 100.0, 100.0])
    assert np.isnan(nab_scores([np.zeros(1)], [[]])["standard"])


def test_false_alarms_cost_as_each_profile_says() -> None:
    spans = [windows(np.array([100.0]))]
    one = nab_scores([np.array([10.0, 20.0, 100.0])], spans)
    assert one["standard"] == pytest.approx(100 * (1 - 0.22 + 1) / 2)
    assert one["low FP"] == pytest.approx(100 * (1 - 0.44 + 1) / 2)
    assert one["low FN"] == pytest.approx(100 * (1 - 0.22 + 2) / 3)


def test_only_the_first_alert_in_a_window_counts_and_the_later_it_is_the_less() -> None:
    spans = [windows(np.array([100.0]))]
    scores = [nab_scores([np.array(at)], spans)["standard"] for at in ([101.0], [101.0, 150.0], [130.0], [160.0])]
    assert scores[0] == scores[1]
    assert scores[0] > scores[2] > scores[3]
    assert scores[3] == pytest.approx(100 * (1 - 0.11) / 2)


def test_a_window_that_another_reaches_into_begins_where_that_one_ends() -> None:
    spans = windows(np.array([573.0, 630.0, 917.0]))
    assert spans == [(573.0, 633.0), (633.0, 690.0), (917.0, 977.0)]
    assert is_outside(np.array([572.0, 573.0, 633.0, 690.0, 691.0]), spans).tolist() == [True, *3 * [False], True]


def _skab(changes: list[float], alerts: list[float], found: float, false: float, missed: float) -> float:
    """Score one recording the long way round, second by second, as SKAB's evaluator describes it."""
    bounds = [[change, change + WINDOW_S] for change in changes]
    for left, right in zip(bounds, bounds[1:], strict=False):  # noqa: RUF007 - the pairs change while we go
        right[0] = max(left[1], right[0])
    table = np.linspace(-np.pi / 2, np.pi / 2, 1000)
    heights = (found - false) / 2 * -np.tanh(table) / np.tanh(np.pi / 2) + (found - false) / 2 + false
    total = 0.0
    for start, end in bounds:
        inside = [at for at in alerts if start <= at <= end]
        total += heights[min(int((inside[0] - start) / (end - start) * 1000), 999)] if inside else missed
    total += false * sum(not any(start <= at <= end for start, end in bounds) for at in alerts)
    return float(100 * (total - missed * len(bounds)) / ((found - missed) * len(bounds)))


@given(
    changes=st.lists(st.integers(0, 900), min_size=1, max_size=5, unique=True).map(sorted),
    alerts=st.lists(st.integers(0, 1000), max_size=20, unique=True).map(sorted),
)
def test_scores_agree_with_the_evaluator_described_second_by_second(changes: list[int], alerts: list[int]) -> None:
    if any(0 < after - before < 2 for before, after in zip(changes, changes[1:], strict=False)):  # noqa: RUF007
        return
    times, at = np.array(changes, np.float64), np.array(alerts, np.float64)
    spans = windows(times)
    if any(last <= first for first, last in spans):
        return
    scores = nab_scores([at], [spans])
    for name, weights in PROFILES.items():
        expected = _skab(times.tolist(), at.tolist(), weights.found, weights.false, weights.missed)
        assert scores[name] == pytest.approx(expected)


@given(st.floats(0, 60))
def test_an_alert_is_worth_between_a_hit_and_a_false_alarm(late: float) -> None:
    standard = PROFILES["standard"]
    assert standard.false - 1e-9 <= worth(100 + late, (100.0, 160.0), standard) <= standard.found + 1e-9


@given(st.integers(0, 40), st.lists(st.integers(1, 300), min_size=1, max_size=6))
def test_there_are_as_many_blind_alerts_as_asked_for(n_alerts: int, lengths: list[int]) -> None:
    phases = list(blind_alerts(n_alerts, lengths))
    assert len(phases) == N_PHASES
    for phase in phases:
        assert sum(map(len, phase)) == min(n_alerts, sum(lengths))
        assert all((at >= 0).all() and (at < n).all() for at, n in zip(phase, lengths, strict=True))


def test_the_device_alerts_at_the_change_and_leads_blind_alerts() -> None:
    own, clean = experiment(), experiment("anomaly-free/run", change=None)
    run = judge(1, [own, clean], [scored(own, row601=9.0, row721=9.0), scored(clean)])
    assert run.own.n_alerts == 2
    assert run.own.scores["standard"] > 97
    assert run.own.lead > 50
    assert run.own.n_clean_alerts == 0
    assert (run.files[0].n_met, run.files[0].alerts, run.files[0].n_outside) == (2, (601, 721), 0)
    assert run.files[1].n_changes == 0


def test_alerts_in_the_first_rows_do_not_count_and_those_in_clean_rows_are_false_alarms() -> None:
    own, clean = experiment(), experiment("anomaly-free/run", change=None)
    run = judge(1, [own, clean], [scored(own, row300=9.0, row500=9.0), scored(clean, row500=9.0)])
    assert run.own.n_alerts == 1  # those of the clean run are no try at a change
    assert run.own.n_clean_alerts == 2
    assert run.own.clean_h == pytest.approx((200 + 19 + 400) / 3600)  # 19 rows behind the last window
    assert run.own.clean_alerts_per_hour == pytest.approx(2 / run.own.clean_h)


def test_alerts_are_matched_in_number_to_the_changes_whatever_they_are_worth() -> None:
    own = experiment()
    watched = scored(own, row420=2.0, row500=3.0, row560=7.0, row605=4.0, row660=5.0)
    run = judge(1, [own], [watched])
    assert run.matched.n_alerts == 2
    assert run.matched.level == pytest.approx(5.0)  # 7.0 and 5.0 are there, 4.0 is not
    assert run.matched.scores["standard"] < run.at[0].scores["standard"]


def test_rows_are_clean_before_a_change_and_behind_its_window() -> None:
    rows = np.flatnonzero(is_clean(experiment()))
    assert rows.tolist() == [*range(N_CLEAN, CHANGE), *range(CHANGE + 120 + 61, N)]
    assert windows_of(experiment(change=None)) == []


def test_a_claim_row_by_row_stands_beside_always_on() -> None:
    own = experiment()
    inside = {f"row{row}": 9.0 for row in range(CHANGE, CHANGE + 60)}
    run = judge(1, [own], [scored(own, **inside)])
    assert run.state.missed_rate == pytest.approx(0.5)
    assert run.state.false_alarm_rate == 0.0
    assert run.state.f1 == pytest.approx(2 / 3)
    assert (run.always_on.missed_rate, run.always_on.false_alarm_rate) == (0.0, 1.0)
    assert run.always_on.f1 == pytest.approx(2 * 120 / (400 + 120))


def test_a_device_is_as_strange_as_its_strangest_sensor_less_what_several_cost() -> None:
    one, three = (watch(Watch(experiment(sensors=n), QUICK)) for n in (1, 3))
    shared = np.isfinite(one.score) & np.isfinite(three.score)
    assert shared[N_CLEAN:].all()
    assert (three.score[shared] >= one.score[shared] - np.log10(3) - 1e-3).all()  # the first sensor is the same
    assert np.nanmax(three.score[CHANGE : CHANGE + 60]) > np.nanmax(three.score[N_CLEAN:CHANGE])


def test_experiments_do_not_touch_each_other() -> None:
    own, other = experiment("valve1/1"), experiment("valve1/2", sensors=1)
    (alone,) = evaluate_skab([own], QUICK, [1], n_processes=1)
    (beside,) = evaluate_skab([other, own], QUICK, [1], n_processes=2)
    assert beside.files[1] == alone.files[0]
    assert any(at.n_alerts for at in alone.at)


def two_runs() -> tuple[list[Experiment], list[SkabRun]]:
    own, clean = experiment(), experiment("anomaly-free/run", change=None)
    watched = [scored(own, row605=9.0, row450=6.0), scored(clean, row700=9.0)]
    return [own, clean], [judge(seed, [own, clean], watched) for seed in (1, 2)]


def test_reports_say_the_same_in_words_and_in_json() -> None:
    experiments, runs = two_runs()
    text = "\n".join(summary_lines(runs, took_s=1.0))
    assert "2 experiments, 800 rows after the first 400 of each, 2 seeds" in text
    assert f"lead of the standard profile {runs[0].own.lead:+.1f}, worst seed {runs[0].own.lead:+.1f}" in text
    assert f"at about as many alerts as changes: {runs[0].matched.n_alerts} alerts" in text
    assert "always on, which wins this: F1 0.46, false 100%, missed 0%" in text
    assert files_table(runs).row_count == 2
    assert levels_table(runs).row_count == 2 + len(runs[0].at)
    document = json.loads(json.dumps(as_json(runs), allow_nan=False))
    assert document["lead"] == document["lead_worst"] == runs[0].matched.lead
    assert document["seeds"][1]["files"][0]["alert_rows"] == [450, 605]
    drawn = strips(experiments, runs[0])
    assert drawn[0].alerts == ((450.0, 450.0), (605.0, 605.0))
    assert drawn[0].labels == ((600.0, 660.0), (720.0, 780.0))


def write(folder: Path, name: str, rows: F64, header: str = "datetime;a;b;anomaly;changepoint") -> None:
    path = folder / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"2020-03-09 10:{i // 60:02}:{i % 60:02};" + ";".join(map(str, row)) for i, row in enumerate(rows.tolist())
    ]
    path.write_text("\n".join([header, *lines, ""]))


def table(n: int = 50) -> F64:
    rows = np.random.default_rng(1).normal(size=(n, 4))
    rows[:, 2:] = 0
    rows[20:30, 2] = rows[20, 3] = rows[30, 3] = 1
    return rows


def test_experiments_are_read_in_the_order_of_their_numbers_the_clean_one_last(tmp_path: Path) -> None:
    for name in ("valve1/10", "valve1/2"):
        write(tmp_path, name, table())
    write(tmp_path, "anomaly-free/anomaly-free", table()[:, :2], header="datetime;a;b")
    found = read_skab(tmp_path)
    assert [own.name for own in found] == ["valve1/2", "valve1/10", "anomaly-free/anomaly-free"]
    assert found[0].sensors == ("a", "b")
    assert np.flatnonzero(found[0].is_change).tolist() == [20, 30]
    assert found[0].is_anomalous.sum() == 10
    assert not found[2].is_change.any()
    assert [own.name for own in read_skab(tmp_path, ["*/10"])] == ["valve1/10"]


def test_malformed_experiments_are_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no \.csv file"):
        read_skab(tmp_path)
    write(tmp_path, "valve1/0", table())
    with pytest.raises(UsageError, match="fits no experiment"):
        read_skab(tmp_path, ["valve2/*"])
    rows = table()
    rows[:, 3] = 0
    write(tmp_path, "valve1/0", rows)
    with pytest.raises(UsageError, match="no column changepoint with a change"):
        read_skab(tmp_path)
    path = tmp_path / "valve1" / "0.csv"
    write(tmp_path, "valve1/0", table())
    whole = path.read_text()
    for old, new in ((";0.0;0.0\n", ";0.0\n"), (";0.0;0.0\n", ";0.0;\n"), (";0.0;0.0\n", ";0.0;x\n")):
        path.write_text(whole.replace(old, new, 1))
        with pytest.raises(UsageError, match="every sensor and moment"):
            read_skab(tmp_path)
    write(tmp_path, "valve1/0", table()[::-1])
    path.write_text("\n".join([path.read_text().splitlines()[0], *path.read_text().splitlines()[:0:-1]]))
    with pytest.raises(UsageError, match="out of order"):
        read_skab(tmp_path)


def test_the_public_experiments_hold_their_changes(data_dir: Path) -> None:
    found = read_skab(data_dir / "skab")
    assert len(found) == 17
    assert sum(int(own.is_change.sum()) for own in found) == 63
    assert all(len(own.sensors) == 8 for own in found)
