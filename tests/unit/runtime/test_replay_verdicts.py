"""The table of health verdicts that a replay prints: raised and cleared are one row."""

from rich.console import Console

from pipeline.core.records import Health, HealthEvent
from pipeline.runtime.replay_verdicts import verdict_table, verdicts_held

STUCK = HealthEvent("pump/t", Health.STUCK, raised=True, at_s=120.0, since_s=60.0, text="has not moved")
MOVES = HealthEvent("pump/t", Health.STUCK, raised=False, at_s=600.0, since_s=60.0, text="moves again")
NOISY = HealthEvent("fan/rpm", Health.NOISY, raised=True, at_s=300.0, since_s=240.0, text="jitters by [3]")


def test_a_verdict_goes_from_raised_to_cleared_or_to_the_end() -> None:
    again = HealthEvent("pump/t", Health.STUCK, raised=True, at_s=900.0, since_s=800.0, text="has not moved")
    held = verdicts_held([STUCK, NOISY, MOVES, again])
    assert [(one.raised, one.end_s) for one in held] == [(STUCK, 600.0), (again, None), (NOISY, None)]


def test_a_clearing_without_its_beginning_is_no_row() -> None:
    assert verdicts_held([MOVES]) == []


def test_the_table_says_which_since_when_until_when_and_why() -> None:
    console = Console(width=200, record=True)
    console.print(verdict_table(verdicts_held([STUCK, MOVES, NOISY])))
    text = " ".join(console.export_text().split())
    assert "pump/t stuck 1970-01-01 00:01:00 1970-01-01 00:10:00 has not moved" in text
    assert "fan/rpm noisy 1970-01-01 00:04:00 still jitters by [3]" in text
