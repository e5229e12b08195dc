"""Branches go on as their origin would, leave it alone, and are watched until something is seen."""

import numpy as np
import pytest

from pipeline.core.errors import UsageError
from pipeline.core.records import F64, Health, Readings
from pipeline.core.settings import Settings
from pipeline.evaluate.branching import branched, check_apart
from pipeline.evaluate.watching import Tail, watch
from pipeline.flow.snapshot import pack, pack_model
from pipeline.runtime.replay import replay
from pipeline.runtime.session import Session
from pipeline.sources.recording import Recording

N, MORE = 288, 192
QUICK = Settings.model_validate(
    {"training": {"steps": 1, "every": 96}, "detection": {"n_warmup": 100, "n_settled": 200}}
)
TIME: F64 = 1e9 + 60.0 * np.arange(N + MORE, dtype=np.float64)
VALUE = np.random.default_rng(5).standard_normal((2, N + MORE)) + 20


def recording(name: str, time: F64, value: F64) -> Recording:
    n = len(time)
    return Recording("", Readings([name], np.zeros(n, np.int32), time, value, np.zeros(n, np.uint8)), {})


def run(session: Session, streams: dict[str, F64], part: slice) -> F64:
    """Replay a part of each stream; return the scores."""
    parts = [recording(name, TIME[part], value[part]) for name, value in streams.items()]
    return replay(parts, session.settings, session=session).steps.score


@pytest.fixture(scope="module")
def session() -> Session:
    """Two streams, past their warm-up and fine-tuned; tests change branches of it only."""
    session = Session(QUICK)
    run(session, {"a": VALUE[0], "b": VALUE[1]}, slice(0, N))
    return session


def test_a_branch_goes_on_as_its_origin_does(session: Session) -> None:
    branch = branched(session, ["b", "a", "b"], ["x", "y", "z"])
    rest = slice(N, N + MORE)
    unbranched = Session(QUICK)
    run(unbranched, {"a": VALUE[0], "b": VALUE[1]}, slice(0, N))
    of_branch = run(branch, {"x": VALUE[1], "y": VALUE[0], "z": VALUE[1]}, rest).reshape(3, -1)
    of_session = run(unbranched, {"a": VALUE[0], "b": VALUE[1]}, rest).reshape(2, -1)
    assert np.isfinite(of_session).all()
    assert np.allclose(of_branch, of_session[[1, 0, 1]], rtol=0, atol=1e-5)  # float32 sums in another order


def test_whatever_happens_in_a_branch_its_origin_is_as_it_was(session: Session) -> None:
    before = pack(session.state), pack_model(session.model)
    branch = branched(session, ["a"], ["x"])
    watch(branch, [Tail("x", TIME[N:], VALUE[0, N:] + 100, Health(0))])
    assert (pack(session.state), pack_model(session.model)) == before


def test_an_episode_is_seen_at_its_reading_and_the_stream_is_read_no_further(session: Session) -> None:
    branch = branched(session, ["a", "a"], ["jumps", "rests"])
    value = VALUE[0, N:].copy()
    value[50:] += 40
    read: list[int] = []
    tails = [Tail("jumps", TIME[N:], value, Health(0)), Tail("rests", TIME[N:], VALUE[0, N:], Health(0))]
    jumps, rests = watch(branch, tails, read.append)
    assert jumps.episode == jumps.first == 50
    assert np.isnan(jumps.verdict)
    assert np.isnan(rests.first)
    assert read == [192, 96]  # both streams, then the one in which nothing was seen


def test_only_verdicts_asked_for_count_and_only_when_given_anew(session: Session) -> None:
    late = TIME[N:] + 60.0 * 40
    branch = branched(session, ["a", "a"], ["x", "y"])
    asked, not_asked = watch(
        branch, [Tail("x", late, VALUE[0, N:], Health.GAP), Tail("y", late, VALUE[0, N:], Health.NOT_FINITE)]
    )
    assert (asked.verdict, asked.first) == (0, 0)
    assert np.isnan(not_asked.verdict)
    stands = branched(branch, ["x"], ["z"])
    stands.state.ledger.health[:] = Health.GAP
    silent_again = np.concatenate((late[-96:] + 1e4, late[-96:] + 3e4))
    again = watch(stands, [Tail("z", silent_again, VALUE[0, N : N + MORE], Health.GAP)])[0]
    assert again.verdict == 96


def test_an_empty_tail_is_never_seen(session: Session) -> None:
    branch = branched(session, ["a"], ["x"])
    assert np.isnan(watch(branch, [Tail("x", TIME[:0], VALUE[0, :0], Health(0))])[0].first)
    assert watch(branched(session, [], []), []) == []


@pytest.mark.parametrize(
    "forecast", [{"sharing": "fleet"}, {"sharing": "auto"}, {"context": [{"stream": "*", "inputs": ["weather"]}]}]
)
def test_streams_that_touch_each_other_are_refused(forecast: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="streams touch each other"):
        check_apart(Settings.model_validate({"forecast": forecast}))
