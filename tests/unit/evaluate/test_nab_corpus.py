"""NAB's folder is read as it is, and what is wrong with it is told in one line."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.errors import UsageError
from pipeline.evaluate.nab import evaluate_nab
from pipeline.evaluate.nab_alerts import Scored, raise_alerts
from pipeline.evaluate.nab_corpus import NabFiles, read_nab, read_published
from pipeline.evaluate.nab_files import check_results, write_alerts

N = 60
PROFILES = {"standard": {"CostMatrix": {"tpWeight": 1.0, "fpWeight": 0.11, "fnWeight": 1.0, "tnWeight": 1.0}}}
WINDOW = ["2014-04-01 00:30:00.000000", "2014-04-01 00:39:00.000000"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files of an hour, a reading a minute, one with a window of ten readings."""
    (tmp_path / "labels").mkdir()
    for name in ("one/a.csv", "two/b.csv"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True)
        rows = "".join(f"2014-04-01 00:{minute:02}:00,{minute / 8}\n" for minute in range(N))
        path.write_text("timestamp,value\n" + rows)
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps({"two/b.csv": [WINDOW], "one/a.csv": []}))
    (tmp_path / "profiles.json").write_text(json.dumps(PROFILES))
    return tmp_path


def read(folder: Path, *patterns: str) -> NabFiles:
    return read_nab(folder, patterns, pytest.fail)


def test_files_windows_and_profiles_are_read(folder: Path) -> None:
    files = read(folder)
    assert list(files.names) == ["one/a.csv", "two/b.csv"]
    assert [len(recording.readings) for recording in files.recordings] == [N, N]
    assert np.flatnonzero(files.corpus.files[1].window == 0).tolist() == list(range(30, 40))
    assert files.corpus.n_windows.tolist() == [0, 1]
    assert [(p.name, p.tp, p.fp, p.fn) for p in files.profiles] == [("standard", 1.0, 0.11, 1.0)]


@pytest.mark.parametrize("pattern", ["two/b.csv", "b.csv", "b", "two", "t*", "*/b*"])
def test_files_are_chosen_by_name_folder_or_pattern(folder: Path, pattern: str) -> None:
    assert list(read(folder, pattern).names) == ["two/b.csv"]


def test_a_pattern_that_fits_nothing_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"--files c\*: fits no labelled file; .*one/a\.csv"):
        read(folder, "a", "c*")


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("profiles.json", "{", "holds no profiles; write them as"),
        ("profiles.json", "{}", "holds no profiles; write them as"),
        ("profiles.json", '{"standard": {"CostMatrix": {"tpWeight": 1}}}', "holds no profiles"),
        ("profiles.json", json.dumps(PROFILES).replace("0.11", "-1"), "holds no profiles"),
        ("profiles.json", json.dumps(PROFILES).replace("0.11", "NaN"), "holds no profiles"),
        ("labels/combined_windows.json", "[]", "holds no labelled windows"),
        ("labels/combined_windows.json", "{}", "labels no file"),
        ("labels/combined_windows.json", '{"one/c.csv": []}', "not all labelled files can be read"),
        ("labels/combined_windows.json", '{"../profiles.json": []}', "names no file below data"),
        ("labels/combined_windows.json", '{"/etc/hosts": []}', "names no file below data"),
        ("data/two/b.csv", "timestamp,value\n2014-04-01 00:30:00,1\n", "b.csv: does not fit its labels: no row"),
        ("data/two/b.csv", "timestamp,x,y\n2014-04-01 00:30:00,1,2\n", "b.csv: holds several streams"),
    ],
)
def test_what_does_not_fit_is_told(folder: Path, path: str, text: str, message: str) -> None:
    (folder / path).write_text(text)
    with pytest.raises(UsageError) as told:
        read_nab(folder, [], lambda _: None)
    assert message in str(told.value)


def test_a_missing_part_is_told(folder: Path) -> None:
    (folder / "profiles.json").unlink()
    with pytest.raises(UsageError, match=r"profiles\.json: cannot be read: No such file"):
        read(folder)


def test_published_scores_are_scored_and_are_nothing_where_there_are_none(folder: Path) -> None:
    files = read(folder)
    assert read_published(folder, files) == []
    (folder / "published_scores").mkdir()
    arrays: dict[str, Any] = {"one/a.csv": np.zeros(N), "two/b.csv": np.isin(np.arange(N), [30]) / 2}
    np.savez(folder / "published_scores" / "other.npz", **arrays)
    (other,) = read_published(folder, files)
    assert (other.name, other.by["standard"].score, other.by["standard"].level) == ("other", 100.0, 0.5)


@pytest.mark.parametrize("scores", [np.zeros(N - 1), np.full(N, np.nan), None, np.array(["x"] * N)])
def test_published_scores_that_do_not_fit_are_refused(folder: Path, scores: object) -> None:
    (folder / "published_scores").mkdir()
    arrays: dict[str, Any] = {"one/a.csv": np.zeros(N)}
    arrays |= {} if scores is None else {"two/b.csv": scores}
    np.savez(folder / "published_scores" / "other.npz", **arrays)
    with pytest.raises(UsageError, match=r"other\.npz: does not fit the recordings"):
        read_published(folder, read(folder))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"text"])
def test_a_broken_archive_of_scores_is_refused(folder: Path, content: bytes) -> None:
    (folder / "published_scores").mkdir()
    (folder / "published_scores" / "other.npz").write_bytes(content)
    with pytest.raises(UsageError, match=r"other\.npz: does not fit the recordings"):
        read_published(folder, read(folder))


def test_alerts_are_written_as_nab_reads_them(folder: Path) -> None:
    files = read(folder)
    score = np.isin(np.arange(N), [30]).astype(np.float64) * 5
    run = [
        Scored(own.readings.time, own.readings.value, score * float(i), np.ones(N, np.bool_), np.zeros(N, np.bool_))
        for i, own in enumerate(files.recordings)
    ]
    found = evaluate_nab(files.names, files.corpus, {1: run}, files.profiles, raise_alerts)
    results = folder / "results"
    write_alerts(results, files, found, {1: run}, raise_alerts)
    written = sorted(path.relative_to(results).as_posix() for path in results.rglob("*.csv"))
    assert written == ["foretellStandard/one/foretellStandard_a.csv", "foretellStandard/two/foretellStandard_b.csv"]
    with (results / written[1]).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[30] == {"timestamp": "2014-04-01 00:30:00", "value": "3.75", "anomaly_score": "1.0", "label": "1"}
    assert [row["anomaly_score"] for row in rows].count("1.0") == 1
    assert [row["label"] for row in rows].count("1") == 10
    assert len(rows) == N


def test_a_folder_of_results_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--results"):
        check_results(None, None, tmp_path / "file")
    with pytest.raises(UsageError, match="--json"):
        check_results(tmp_path / "figures.txt", None, None)
