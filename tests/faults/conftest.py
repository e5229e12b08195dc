"""Fixtures of the fault tests. ``FORETELL_FAULTS=long`` runs their long forms: ``make faults`` sets it."""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_box import PATIENT_BROKER, Box, Ear


@pytest.fixture(scope="session")
def is_long() -> bool:
    """The long forms are asked for."""
    return os.environ.get("FORETELL_FAULTS") == "long"


@pytest.fixture
def within(is_long: bool) -> Callable[[float, float], bool]:  # noqa: FBT001 - a fixture
    """Say whether a time keeps its limit; the short forms run beside much else, and allow ten times as much."""
    return lambda seconds, limit_s: seconds <= limit_s * (1 if is_long else 10)


@pytest.fixture
def box_at(tmp_path: Path) -> Iterator[Callable[..., Box]]:
    """Make daemons for a broker's port, killed at the end; the first has ``tmp_path / box-0`` for its folder."""
    boxes: list[Box] = []

    def make(port: int, kind: type[Box] = Box, **more: Any) -> Box:  # noqa: ANN401 - arguments of Box
        folder = tmp_path / f"box-{len(boxes)}"
        folder.mkdir()
        boxes.append(kind(folder, port, 10_000 + secrets.randbelow(10_000), **more))
        return boxes[-1]

    yield make
    for box in boxes:
        box.kill()


@pytest.fixture
def patient(broker_with: Callable[[str], Any]) -> Any:  # noqa: ANN401 - conftest's class
    """A running mosquitto that drops nothing, however long the daemon is away."""
    return broker_with(PATIENT_BROKER)


@pytest.fixture
def ear(patient: Any) -> Iterator[Ear]:  # noqa: ANN401 - conftest's class
    """An ear on all that daemons publish to the patient broker."""
    ear = Ear(patient.port)
    yield ear
    ear.close()


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Iterator[Callable[..., None]]:
    """Print figures of a test, and add them to the file that ``FORETELL_FIGURES`` names."""
    lines: list[str] = []

    def add(**figures: object) -> None:
        lines.append(f"{request.node.name}: " + ", ".join(f"{name} {value}" for name, value in figures.items()))

    yield add
    for line in lines:
        print(line)  # noqa: T201 - it is what is wanted
    if (path := os.environ.get("FORETELL_FIGURES")) and lines:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
