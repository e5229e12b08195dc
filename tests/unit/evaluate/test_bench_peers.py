"""The comparison with other libraries: their processes' answers are checked, and what fails says how to mend it."""

import sys
from pathlib import Path

import pytest

from pipeline.core.errors import ForetellError
from pipeline.evaluate import bench_peers
from pipeline.evaluate.bench_peers import noisy_waves
from pipeline.evaluate.bench_peers_worker import PEERS, measure

VALUE = noisy_waves(3, bench_peers.N_FIRST + 4)


@pytest.mark.parametrize("peer", [name for name in PEERS if name.startswith("river")])
def test_a_peer_scores_and_learns_every_reading_of_every_stream(peer: str) -> None:
    assert measure(PEERS[peer], VALUE, 20) > 0


def test_all_of_it_on_few_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """With this very Python, which holds river."""
    monkeypatch.setattr(bench_peers, "PEERS", ("river HalfSpaceTrees",))
    engine, (result,) = bench_peers.bench_peers(Path(sys.executable), n_streams=8)
    for rate, ratio in ((engine.stream, result.engine_ratio), (engine.tuned, result.tuned_ratio)):
        assert ratio == pytest.approx(rate / result.readings_per_s)
    assert result.fleet_ratio == pytest.approx(engine.fleet / result.readings_per_s)


def test_a_library_that_is_not_there_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_peers, "PEERS", ("PySAD xStream",))
    with pytest.raises(ForetellError, match=r"PySAD xStream: ended early: .*pysad.*make peers"):
        bench_peers.bench_peers(Path(sys.executable), n_streams=2)


def test_an_answer_that_is_no_figure_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "talker.py"
    script.write_text("print('hello')")
    monkeypatch.setattr(bench_peers, "_SCRIPT", script)
    with pytest.raises(ForetellError, match="gave no figure"):
        bench_peers.bench_peers(Path(sys.executable), n_streams=2)
