"""Torch, a second and 140 MB, is loaded where networks need it, and nowhere else: in replay, the daemon's trainer."""

import csv
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.compiled import OFF
from pipeline.core.records import F64, Readings
from pipeline.core.settings import Settings
from pipeline.forecast import compiled
from pipeline.forecast.network import network_for
from pipeline.runtime.session import Session
from pipeline.runtime.tuner import Tuner

N, LIMIT_S = 400, 120.0
#: Says on stderr whether torch was loaded, and on how many threads it works.
REPLAY = (
    "import sys\nfrom pipeline.cli.main import main\n"
    "try:\n    main()\n"
    "finally:\n    print(sys.modules['torch'].get_num_threads() if 'torch' in sys.modules else None, file=sys.stderr)"
)
needs_helper = pytest.mark.skipif(
    not compiled.serves(network_for(Settings().forecast)),
    reason="the compiled helper was not built: no C compiler at the installation",
)
needs_proc = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at child processes in /proc")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recording, long enough to be fine-tuned on, and configurations."""
    value = np.sin(np.arange(N) / 9) + np.random.default_rng(1).normal(size=N) / 10
    rows = "".join(f"{1_400_030_040 + 60 * i},{v}\n" for i, v in enumerate(value.tolist()))
    (tmp_path / "wave.csv").write_text("timestamp,value\n" + rows)
    (tmp_path / "taught.yaml").write_text("training: {steps: 2}\n")
    (tmp_path / "untaught.yaml").write_text("training: {enabled: false}\n")
    (tmp_path / "gru.yaml").write_text("forecast: {cell: gru}\n")
    return tmp_path


def replayed(folder: Path, *options: str, **environment: str) -> str:
    """Replay the recording; return what was said on stderr."""
    command = [sys.executable, "-W", "error", "-c", REPLAY, "replay", "wave.csv", "--scores", "scores.csv", *options]
    # torch would take as many threads as there are cores: that it takes one is not for the environment to say
    env = {name: text for name, text in os.environ.items() if name != "OMP_NUM_THREADS"} | environment
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stderr.strip()


def scores(folder: Path) -> dict[str, list[float]]:
    with (folder / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name] or "nan") for row in rows] for name in ("forecast", "lower", "upper", "score")}


@needs_helper
@pytest.mark.parametrize(("config", "tolerance"), [("untaught.yaml", 1e-3), ("taught.yaml", 0.1)])
def test_a_replay_loads_torch_where_there_is_no_helper_only_and_finds_the_same(
    folder: Path, config: str, tolerance: float
) -> None:
    """What is taught grows apart from the last bits on: each backend's own numbers are other tests' business."""
    assert replayed(folder, "-c", config) == "None"
    ours = scores(folder)
    assert replayed(folder, "-c", config, **{OFF: "0"}) == "1"
    for name, theirs in scores(folder).items():
        np.testing.assert_allclose(ours[name], theirs, rtol=0, atol=tolerance, err_msg=name)
    assert np.isfinite(ours["score"]).any()


def test_a_replay_with_networks_that_are_not_the_helpers_business_loads_torch(folder: Path) -> None:
    assert replayed(folder, "-c", "gru.yaml") == "1"


def teacher_loads_torch(forecast: dict[str, object]) -> bool:
    """Have a lesson taught in a child; return whether it has mapped torch's libraries."""
    settings = Settings.model_validate({"forecast": {"hidden": 6} | forecast, "training": {"steps": 2}})
    session, n = Session(settings), 250
    noise: F64 = np.random.default_rng(1).standard_normal(n)
    session.process(
        Readings(["s"], np.zeros(n, np.int32), np.arange(n, dtype=np.float64) * 60, noise, np.zeros(n, np.uint8)),
        np.inf,
    )
    with closing(Tuner(settings)) as tuner:
        deadline = time.monotonic() + LIMIT_S
        while not session.fine_tunes["accepted"]:
            tuner.turn(session)
            assert time.monotonic() < deadline, tuner.lost
            time.sleep(0.01)
        return "libtorch" in Path(f"/proc/{tuner.pid}/maps").read_text()


@needs_helper
@needs_proc
def test_the_trainer_does_without() -> None:
    assert not teacher_loads_torch({})


@needs_proc
@pytest.mark.parametrize("is_switched_off", [False, True])
def test_a_trainer_that_needs_torch_has_it_before_its_memory_is_limited(
    monkeypatch: pytest.MonkeyPatch,
    is_switched_off: bool,  # noqa: FBT001 - a case
) -> None:
    if is_switched_off:
        monkeypatch.setenv(OFF, "0")
    assert teacher_loads_torch({} if is_switched_off else {"cell": "gru"})
