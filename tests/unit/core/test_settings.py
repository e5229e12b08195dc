"""Settings from YAML: every error names file, line, key and a remedy, and nothing hostile gets through."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from pipeline.core.settings import Settings, parse_settings

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

BAD = {
    "an unknown key with a near name": ("mqtt:\n  prot: 1", "f:2: mqtt.prot is not a setting; did you mean mqtt.port?"),
    "an unknown key with no near name": (
        "metrics:\n  zzz: 1",
        "f:2: metrics.zzz is not a setting; settings here are: ",
    ),
    "an unknown section": ("\nmqt: {}", "f:2: mqt is not a setting; did you mean mqtt?"),
    "an unknown key in a list item": (
        "mqtt:\n  topics:\n    - topic: a\n    - topic: b\n      strem: x",
        "f:5: mqtt.topics.1.strem is not a setting; did you mean mqtt.topics.1.stream?",
    ),
    "a repeated key": ("site: a\nsite: b", "f:2: site is set twice, first in line 1"),
    "a repeated nested key": ("mqtt:\n  port: 1\n  qos: 1\n  port: 2", "f:4: mqtt.port is set twice, first in line 2"),
    "a value above its range": ("mqtt:\n  port: 70000", "f:2: mqtt.port (given: 70000): "),
    "a value outside its choices": ("runtime:\n  log_level: loud", "f:2: runtime.log_level (given: 'loud'): "),
    "a wrong type": ("mqtt:\n  port: [1]", "f:2: mqtt.port: "),
    "a number where text is due": ("site: 7", "f:1: site (given: 7): "),
    "an infinite number": ("streams:\n  future_s: .inf", "f:2: streams.future_s (given: inf): "),
    "not a number": ("streams:\n  max_abs_value: .nan", "f:2: streams.max_abs_value (given: nan): "),
    "text in place of a section": ("mqtt: here", "f:1: mqtt must hold settings of its own"),
    "an empty section": ("site: a\nmqtt:\n", "f:2: mqtt must hold settings of its own"),
    "a number in place of a list": ("mqtt:\n  topics: 5", "f:2: mqtt.topics must hold a list"),
    "an empty list": ("mqtt:\n  topics: []", "f:2: mqtt.topics: "),
    "rests in the wrong order": (
        "detection:\n  n_rest: 50\n  n_rest_most: 40",
        "f:1: detection: n_rest_most must not be smaller than n_rest",
    ),
    "a budget that is no rate": (
        "detection:\n  false_alarms_per_stream: seldom",
        "f:2: detection.false_alarms_per_stream (given: 'seldom'): must be a rate such as '1 per 30 days'",
    ),
    "a budget of nothing": (
        "detection:\n  false_alarms_per_stream: 0 per day",
        "f:2: detection.false_alarms_per_stream (given: '0 per day'): must be a rate",
    ),
    "a budget without a time": (
        "detection:\n  false_alarms_per_stream: 3",
        "f:2: detection.false_alarms_per_stream (given: 3): ",
    ),
    "a quarantine of what is usual": (
        "detection:\n  quarantine_level: 1.5",
        "f:2: detection.quarantine_level (given: 1.5): ",
    ),
    "a memory too short for a tail": ("detection:\n  n_kept: 10", "f:2: detection.n_kept (given: 10): "),
    "a rest of more than all the time": ("detection:\n  rest_share: 1.1", "f:2: detection.rest_share (given: 1.1): "),
    "a window too short to train on": ("streams:\n  window_len: 128\ntraining:\n  window: 512", "f:1: settings: "),
    "a window that holds next to nothing": ("streams:\n  window_len: 64", "f:2: streams.window_len (given: 64): "),
    "a key that is no text": ("1: 2", "f:1: 1 (given: 1): "),
    "a list at the top": ("- a", "f:1: holds no settings"),
    "a tab": ("mqtt:\n\tport: 1", "f:2: not YAML: found character '\\t'"),
    "two documents": ("site: a\n---\nsite: b", "f:2: not YAML: "),
    "an anchor that unfolds to a billion": (LAUGHS, "f:2: not YAML: aliases are not supported"),
    "an anchor that contains itself": ("site: &a [*a]", "f:1: not YAML: aliases are not supported"),
    "nesting without end": ("[" * 50_000, "f:1: not YAML: nested deeper than 12 levels"),
    "a date that does not exist": ("\nsite: 2026-13-45", "f:2: not YAML: not a valid timestamp"),
    "a number of 5,000 digits": ("site: " + "9" * 5000, "f:1: not YAML: not a valid int"),
    "a tag that would run code": ("site: !!python/object/apply:os.system [ls]", "f:1: not YAML: "),
    "a list as key": ("? [a]\n: b", "f:1: not YAML: "),
    "a control character": ("site: a\nx: \x00", "f:2: not YAML: character U+0000"),
    "an escape sequence in a key": ('"\\e[31m": 1', "f:1: \\x1b[31m is not a setting"),
    "a lone surrogate": ('mqtt: {host: "\\ud800"}', "f:1: mqtt.host (given: "),
    "a very long value": ("mqtt: {port: " + "x" * 5000 + "}", "f:1: mqtt.port (given: 'xxx"),
}


@pytest.mark.parametrize(("text", "expected"), BAD.values(), ids=BAD.keys())
def test_an_error_is_one_line_with_file_line_key_and_remedy(text: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_settings(text, "f")
    message = str(caught.value)
    assert message.startswith(expected)
    assert re.search(r"; \S", message), "no remedy"
    assert message.isprintable()
    assert len(message) < 1000
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "{}", "\ufeffsite: home\n"])
def test_missing_keys_mean_defaults(text: str) -> None:
    assert parse_settings(text, "f") == Settings()


def test_given_keys_change_only_themselves() -> None:
    settings = parse_settings("mqtt: {port: 8883, topics: [{topic: 'a/{rest}'}]}\ntraining: {learning_rate: 1e-3}", "f")
    assert settings.mqtt.port == 8883
    assert settings.mqtt.topics[0].topic == "a/{rest}"
    assert settings.training.learning_rate == 1e-3
    assert settings.mqtt.host == Settings().mqtt.host


@pytest.mark.parametrize(("text", "seconds"), [("{}", 30 * 86_400), ("{false_alarms_per_stream: 2 per week}", 302_400)])
def test_a_budget_is_a_time_to_one_false_alarm(text: str, seconds: float) -> None:
    assert parse_settings(f"detection: {text}", "f").detection.seconds_per_false_alarm == seconds


def test_settings_do_not_change_after_loading() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().mqtt.port = 1  # type: ignore[misc]  # that mypy refuses it too is the point


@given(st.text(max_size=200) | st.text("abmqt:-[]{}&*!<>?|%\"' \n\t0.", max_size=60))
def test_any_text_gives_settings_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(parse_settings(text, "f"), Settings)


def test_the_length_of_windows_follows_from_who_shares_a_network_unless_it_is_said() -> None:
    lengths = {"stream": 4096, "auto": 4096, "group": 1024, "fleet": 256}
    for sharing, length in lengths.items():
        assert parse_settings(f"forecast: {{sharing: {sharing}}}", "f").window_len == length
        assert (
            parse_settings(f"{{forecast: {{sharing: {sharing}}}, streams: {{window_len: 300}}}}", "f").window_len == 300
        )
    rare = parse_settings("{forecast: {sharing: fleet}, training: {every: 200, window: 64}}", "f")
    assert rare.window_len == 128 + 64 + 32 + 200
