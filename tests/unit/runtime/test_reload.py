"""A new configuration for a running session: decisions change, its state does not."""

import numpy as np

from pipeline.core.records import Readings
from pipeline.core.settings import Settings, parse_settings
from pipeline.flow.snapshot import pack
from pipeline.runtime.reload import LIVE, merged
from pipeline.runtime.session import Session


def test_every_live_setting_exists() -> None:
    for section, keys in LIVE.items():
        assert set(keys) <= set(type(getattr(Settings(), section)).model_fields), section


def test_what_state_was_made_from_waits_for_a_restart() -> None:
    wanted = parse_settings("{site: mill, streams: {max_streams: 9}, detection: {n_kept: 64, n_quiet: 40}}", "f")
    settings, changed, left = merged(Settings(), wanted)
    assert changed == ["detection.n_quiet"]
    assert set(left) == {"site", "streams.max_streams", "detection.n_kept"}
    assert settings == Settings().model_copy(
        update={"detection": Settings().detection.model_copy(update={"n_quiet": 40})}
    )


def test_another_budget_moves_the_alert_level_and_leaves_the_state_alone() -> None:
    """The state is the same to the byte before and after; the next reading is held against the new budget."""
    noise = np.random.default_rng(1).normal(size=700)

    def played(session: Session, begin: int, end: int) -> None:
        for i in range(begin, end):
            one = Readings(["t"], np.zeros(1, np.int32), np.array([60.0 * i]), noise[i : i + 1], np.zeros(1, np.uint8))
            session.process(one, now=1e9)

    session = Session(Settings())
    played(session, 0, 600)
    before, level = pack(session.state), session.view().level[0]
    wanted = parse_settings('detection: {false_alarms_per_stream: "1 per 1 days"}', "f")
    session.take_settings(merged(session.settings, wanted)[0])
    assert pack(session.state) == before
    played(session, 600, 601)
    assert session.view().level[0] < level


def test_what_is_held_back_changes_live() -> None:
    text = "alerts: {cooldown_s: 60, false_days: 1, silences: [{match: 'press-*', days: [sat]}], topic_prefix: other}"
    settings, changed, left = merged(Settings(), parse_settings(text, "edge.yaml"))
    assert sorted(changed) == ["alerts.cooldown_s", "alerts.false_days", "alerts.silences"]
    assert left == ["alerts.topic_prefix"]
    assert [each.match for each in settings.alerts.silences] == ["press-*"]
