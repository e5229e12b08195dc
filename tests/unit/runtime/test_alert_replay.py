"""A decision of the daemon is taken again from its own store, to the last bit, long after the journal was trimmed."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.main import main
from pipeline.core.errors import ForetellError, UsageError
from pipeline.core.records import Event, Readings
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.alert_replay import retake
from pipeline.runtime.follow_up import FollowUp, News
from pipeline.runtime.keeper import Keeper
from pipeline.runtime.session import Session
from pipeline.sinks.alerts import alert_json
from pipeline.sinks.outbox import Outbox
from pipeline.store.store import Store

START = 1_772_359_200.0
CONFIG = """
store: {{path: {folder}, checkpoint_s: 1, journal_mb: 8, evidence_mb: 64}}
streams: {{window_len: 256}}
forecast: {{hidden: 8, ensemble: 1}}
training: {{every: 480}}
detection: {{n_warmup: 100, n_settled: 200, n_rest_most: 100, false_alarms_per_stream: 1 per hour}}
"""


class Kept:
    """A session with its keeper, as the daemon drives it."""

    def __init__(self, folder: Path) -> None:
        self.settings: Settings = parse_settings(CONFIG.format(folder=folder), "test")
        self.store = Store(folder, self.settings.store)
        self.session = Session(self.settings)
        self.follow_up = FollowUp(self.settings)
        self.seconds = 0.0
        self.keeper = Keeper(self.session, self.follow_up, Outbox(1000), self.store, lambda: self.seconds)
        assert self.keeper.restore() == []
        self.told: dict[str, str] = {}

    def take(self, i: int) -> None:
        """Deal with one batch of a pump that jumps for a while."""
        times = START + 60.0 * (10.0 * i + np.arange(10.0))
        noise = np.random.default_rng(i).normal(0.0, 0.1, 10)
        value = 20 + np.sin(2 * math.pi * times / 7200.0) + noise + (9.0 if 60 <= i < 63 else 0.0)
        readings = Readings(["pump/t"], np.zeros(10, np.int32), times, value, np.zeros(10, np.uint8))
        _, note = self.keeper.sift([])
        note(readings, float(times[-1]))
        news: News = self.follow_up.gather(readings, self.session.process(readings, float(times[-1])), float(times[-1]))
        self.keeper.pin(news)
        for alert in news.alerts:
            if alert.event.event is Event.OPEN:
                self.told[alert.event.episode] = alert_json(alert, self.settings.site)
        if i in (20, 50):
            self.session.fine_tune()
        self.keeper.commit([])
        if i % 8 == 0:  # snapshots are taken, and what came before them is trimmed
            self.seconds += 1e4
            self.keeper.checkpoint()
            self.keeper._checkpoints.wait()  # type: ignore[union-attr]  # noqa: SLF001
            self.keeper.checkpoint()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, str]:
    """Alerts by episode, as they were told; snapshots before and after."""
    kept = Kept(folder)
    for i in range(80):
        kept.take(i)
    with kept.store._connection as connection:  # noqa: SLF001 - as if the journal had become too large
        kept.store._trim(0)  # noqa: SLF001
        (n_left,) = connection.execute("SELECT count(*) FROM journal").fetchone()
    assert 0 < n_left < 60
    kept.keeper.close()
    assert len(kept.told) >= 1
    return kept.told


def test_every_decision_comes_out_the_same_to_the_last_bit(folder: Path, told: dict[str, str]) -> None:
    for episode, alert in told.items():
        retaken = retake(folder, episode[:8])
        assert retaken.is_same
        assert retaken.alert == alert
        assert retaken.has_snapshot
        assert retaken.n_entries < 30


def test_the_command_says_so(
    folder: Path,
    told: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "edge.yaml"
    config.write_text(f"store: {{path: {folder}}}\n")  # its other settings do not matter: those in force were kept
    monkeypatch.setattr(sys, "argv", ["foretell", "replay", "--alert", next(iter(told)), "-c", str(config)])
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "pump/t" in shown
    assert "the same to the last bit" in shown


def test_an_id_that_is_not_there_names_those_that_are(folder: Path, told: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=next(reversed(told))):
        retake(folder, "ffffffff")
    with pytest.raises(UsageError, match="holds no store"):
        retake(tmp_path, "ffffffff")


def test_a_snapshot_that_was_damaged_is_an_error_in_one_line(folder: Path, told: dict[str, str]) -> None:
    states = list((folder / "states").iterdir())
    kept = {file: file.read_bytes() for file in states}
    try:
        for file in states:
            file.write_bytes(kept[file][:-1] + b"x")
        with pytest.raises(ForetellError, match="damaged"):
            retake(folder, next(iter(told)))
    finally:
        for file, data in kept.items():
            file.write_bytes(data)
