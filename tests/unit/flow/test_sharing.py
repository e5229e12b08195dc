"""Who shares a network: kinds, merging, and that nobody else's numbers change with it."""

import numpy as np
import pytest

from pipeline.core.records import F64, Readings, Steps
from pipeline.core.settings import Settings
from pipeline.flow.forecasting import rebuild
from pipeline.flow.sharing import admit, evict, kind_of, merge_kinds, networks
from pipeline.flow.snapshot import pack, pack_model, unpack, unpack_model
from pipeline.runtime.session import Session

CHUNK = 48
FLOWS = [f"plant/{i}/flow" for i in range(4)]
OTHERS = ["hall/heat", "hall/light"]


def session_of(sharing: str, *, kinds: tuple[str, ...] = (), max_networks: int = 2000, ensemble: int = 1) -> Session:
    forecast = {"hidden": 4, "sharing": sharing, "kinds": kinds, "max_networks": max_networks, "ensemble": ensemble}
    return Session(
        Settings.model_validate(
            {
                "streams": {"window_len": 128},
                "forecast": forecast,
                "training": {"takeover": 0, "every": CHUNK, "window": 32, "steps": 1, "batch": 4},
                "detection": {"n_warmup": 100, "n_kept": 64},
            }
        )
    )


def group_of(session: Session, *names: str) -> list[int]:
    found: list[int] = session.state.ledger.group[admit(session.model, session.state, names)].tolist()
    return found


def values(name: str, n: int) -> F64:
    """Return readings that are a function of the name."""
    rng = np.random.default_rng(sum(map(ord, name)))
    return rng.normal(0, 0.3, n) + np.sin(np.arange(n) / rng.uniform(3, 9))


def feed(session: Session, names: list[str], first: int, n: int) -> Steps:
    stream = np.tile(np.arange(len(names), dtype=np.int32), n)
    time = np.repeat(60.0 * np.arange(first, first + n), len(names))
    value = np.stack([values(name, first + n)[first:] for name in names], axis=1).ravel()
    return session.process(Readings(names, stream, time, value, np.zeros(len(time), np.uint8)), now=np.inf)


def play(session: Session, names: list[str], first: int, n_chunks: int) -> list[Steps]:
    """Drive a session as replay does."""
    parts = []
    for start in range(first, first + n_chunks * CHUNK, CHUNK):
        parts.append(feed(session, names, start, CHUNK))
        session.fine_tune()
    return parts


def assert_same_steps(found: list[Steps], expected: list[Steps]) -> None:
    """Compare the steps of the last two streams of each batch."""
    for a, b in zip(found, expected, strict=True):
        for column in ("forecast", "lower", "upper", "score", "event"):
            one, other = (getattr(steps, column).reshape(CHUNK, -1)[:, -2:] for steps in (a, b))
            assert one == pytest.approx(other, rel=1e-6, abs=1e-6, nan_ok=True), column


def test_a_stream_shares_with_its_kind_its_fleet_or_nobody() -> None:
    names = [*FLOWS, *OTHERS]
    for sharing, expected in (("stream", 6), ("auto", 6), ("group", 3), ("fleet", 1)):
        session = session_of(sharing)
        groups = group_of(session, *names)
        assert len(set(groups)) == session.n_networks() == expected, sharing
    session = session_of("group")
    assert len(set(group_of(session, *FLOWS))) == 1


def test_kinds_are_patterns_first_and_last_parts_of_names_else() -> None:
    session = session_of("group", kinds=("hall/*", "plant/0/*"))
    groups = group_of(session, "plant/1/flow", "hall/heat", "hall/flow", "plant/0/flow", "plant/2/flow", "flow")
    assert groups == [groups[0], groups[1], groups[1], groups[3], groups[0], groups[0]]
    assert len(set(groups)) == 3
    assert kind_of("hall/flow", session.settings.forecast) == "hall/*"


def test_kinds_keep_to_their_networks_however_late_their_streams_come() -> None:
    at_once, late = session_of("group"), session_of("group")
    together = group_of(at_once, *FLOWS, *OTHERS)
    for name in (*FLOWS[:1], *OTHERS, *FLOWS[1:]):
        group_of(late, name)
    apart = group_of(late, *FLOWS, *OTHERS)
    for i in range(6):
        assert [together[i] == group for group in together] == [apart[i] == group for group in apart]
        assert np.array_equal(at_once.model.bank.weights[together[i]], late.model.bank.weights[apart[i]])


@pytest.mark.parametrize("sharing", ["stream", "group", "auto"])
@pytest.mark.parametrize("ensemble", [1, 2])
def test_growing_and_evicting_streams_of_other_kinds_changes_nobodys_numbers(sharing: str, ensemble: int) -> None:
    busy, quiet = session_of(sharing, ensemble=ensemble), session_of(sharing, ensemble=ensemble)
    expected = play(quiet, OTHERS, 0, 6)
    found = play(busy, [FLOWS[0], *OTHERS], 0, 2)
    assert_same_steps(found, expected[:2])
    found = play(busy, [*FLOWS, *(f"more/{i}/flow" for i in range(20)), *OTHERS], 2 * CHUNK, 2)
    assert_same_steps(found, expected[2:4])
    evict(busy.model, busy.state, [*FLOWS[:3], "more/1/flow", "more/7/flow"])
    found = play(busy, ["new/flow", *OTHERS], 4 * CHUNK, 2)
    assert_same_steps(found, expected[4:])


def test_regrouping_a_kind_changes_nobody_elses_numbers() -> None:
    merged, apart = session_of("auto"), session_of("auto")
    for session in (merged, apart):
        play(session, [*FLOWS, *OTHERS], 0, 3)
    assert merge_kinds(merged.model, merged.state, 3) == 3
    found, expected = (play(session, [*FLOWS, *OTHERS], 3 * CHUNK, 3) for session in (merged, apart))
    assert_same_steps(found, expected)
    one, other = (parts[0].forecast.reshape(CHUNK, -1)[1:, :4] for parts in (found, expected))
    assert not np.allclose(one, other), "of those who now share, they do change"


def test_the_longest_trained_network_goes_on_and_hidden_states_are_those_of_a_rebuild() -> None:
    session = session_of("auto")
    play(session, FLOWS[2:3], 0, 3)
    play(session, FLOWS, 3 * CHUNK, 1)
    oldest = group_of(session, FLOWS[2])[0]
    weights = session.model.bank.weights[oldest].copy()
    assert merge_kinds(session.model, session.state, 1) == 3
    assert group_of(session, *FLOWS) == [oldest] * 4
    assert np.array_equal(session.model.bank.weights[oldest], weights)
    hidden = session.state.pending.hidden[:4].copy()
    rebuild(session.model, session.state, np.arange(4))
    assert np.allclose(session.state.pending.hidden[:4], hidden, rtol=0, atol=1e-6)


def test_the_largest_kind_is_merged_first_and_no_more_than_needed() -> None:
    session = session_of("auto")
    lights = [f"room/{i}/light" for i in range(3)]
    group_of(session, *lights, *FLOWS, "hall/heat")
    assert merge_kinds(session.model, session.state, 5) == 3
    assert len(set(group_of(session, *FLOWS))) == 1
    assert len(set(group_of(session, *lights))) == 3
    assert merge_kinds(session.model, session.state, 4) == 2
    assert len(set(group_of(session, *lights))) == 1
    assert merge_kinds(session.model, session.state, 1) == 0, "streams of different kinds never share"
    assert len(networks(session.state)) == 3


def test_beyond_the_budget_of_networks_auto_merges_and_the_kinds_new_streams_join() -> None:
    session = session_of("auto", max_networks=4)
    play(session, [*FLOWS, *OTHERS], 0, 1)
    assert session.n_networks() == 3
    shared = group_of(session, FLOWS[0])[0]
    assert group_of(session, "plant/9/flow", "attic/heat")[0] == shared
    assert session.n_networks() == 4
    play(session, [*FLOWS, *OTHERS], CHUNK, 1)
    assert session.n_networks() == 4, "within the budget nothing is merged"


def test_within_the_budget_auto_gives_every_stream_its_own() -> None:
    session = session_of("auto", max_networks=6)
    play(session, [*FLOWS, *OTHERS], 0, 2)
    assert session.n_networks() == 6


def test_a_stream_of_a_merged_kind_that_leaves_and_comes_back_shares_again() -> None:
    session = session_of("auto")
    play(session, FLOWS, 0, 1)
    merge_kinds(session.model, session.state, 1)
    shared = group_of(session, FLOWS[0])
    evict(session.model, session.state, FLOWS[1:3])
    assert group_of(session, *FLOWS) == shared * 4


def test_the_network_of_a_kind_that_has_left_is_given_away() -> None:
    session = session_of("group")
    group_of(session, *FLOWS, *OTHERS)
    (group,) = set(group_of(session, *FLOWS))
    evict(session.model, session.state, FLOWS)
    assert group_of(session, "x/wind") == [group]
    assert session.n_networks() == 3


@pytest.mark.parametrize("sharing", ["group", "fleet", "auto"])
def test_a_session_that_shares_goes_on_the_same_after_packing(sharing: str) -> None:
    session = session_of(sharing, max_networks=4)
    play(session, [*FLOWS, *OTHERS], 0, 3)
    resumed = session_of(sharing, max_networks=4)
    resumed.state = unpack(pack(session.state), session.settings)
    resumed.model = unpack_model(pack_model(session.model), session.settings)
    for each in (session, resumed):
        play(each, [*FLOWS, "late/flow", *OTHERS, "late/heat"], 3 * CHUNK, 3)
    assert pack(resumed.state) == pack(session.state)
    assert pack_model(resumed.model) == pack_model(session.model)
