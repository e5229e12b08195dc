"""The flow's compiled helper beside numpy's: the same to the last bit, but for exponentials and the like."""

import copy
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import DTypeLike

from pipeline.core.records import F64, Batch, Readings, Steps
from pipeline.core.settings import Settings
from pipeline.flow import compiled
from pipeline.flow.compiled import columns
from pipeline.flow.engine import update
from pipeline.flow.state import State
from pipeline.runtime.session import Session

HEADER = Path(compiled.__file__).with_name("tick.h")
SMALL = {"n_warmup": 100, "n_settled": 100, "n_quarantine": 40, "quarantine_level": 4, "n_rest": 5}
N_STREAMS, N_READINGS = 12, 900  # so many that blocks of scores come out of their waiting
LSTM = {"horizon_long": 40, "ensemble": 2, "context": [{"stream": "s1", "inputs": ["s0"]}]}
FORECASTS = {"lstm": LSTM, "alone": {}, "gru": {"cell": "gru", "hidden": 5, "ensemble": 2}}
needs_helper = pytest.mark.skipif(
    not compiled.serves(Session(Settings()).model), reason="the compiled helper was not built: no C compiler"
)


def signals() -> F64:
    """Return readings of all kinds, a quarter of an hour apart, NaN where there is none, shape (T, S)."""
    rng, t = np.random.default_rng(5), np.arange(N_READINGS)
    found = rng.normal(size=(N_READINGS, N_STREAMS))
    found[:, 1] += 5 * np.sin(2 * np.pi * t / 96)
    found[:, 2] = 3.5  # at rest
    found[:, 3] = np.cumsum(rng.poisson(2, N_READINGS)) * 1e6  # a counter
    found[:, 4] = np.where(rng.random(N_READINGS) < 0.03, 1e9, found[:, 4] * 1e-6)
    found[:, 5] = np.round(found[:, 5]) - 4
    found[:-30, 6] = np.nan  # young
    found[-1:, 7] = np.nan  # one reading fewer
    found[200:260, 8] = np.nan  # a gap
    found[:-3, 9] = np.nan  # younger
    found[:, 10] = 10 * (t % 96 > 40) + 0.01 * found[:, 10]
    return found


def settings_of(forecast: str) -> Settings:
    detection = SMALL | {"false_alarms_per_stream": "1 per hour"}
    streams = {"window_len": 128, "max_streams": N_STREAMS}
    return Settings.model_validate({"streams": streams, "forecast": FORECASTS[forecast], "detection": detection})


def batches(n_parts: int) -> list[Readings]:
    """Return the readings of ``signals`` in parts, in each of them a stream's in a row, some times uncertain."""
    names, values, rng = [f"s{i}" for i in range(N_STREAMS)], signals(), np.random.default_rng(2)
    found = []
    for part in np.array_split(np.arange(N_READINGS), n_parts):
        stream, row = np.nonzero(~np.isnan(values[part]).T)
        time: F64 = 1.7e9 + 900.0 * part[row].astype(np.float64) + rng.choice([0.0, 100.0], len(row))
        flags = 2 * (rng.random(len(row)) < 0.02)  # TIME_UNCERTAIN
        value = values[part][row, stream]
        found.append(Readings(names, stream.astype(np.int32), time, value, flags.astype(np.uint8)))
    return found


def play(forecast: str, parts: list[Readings]) -> tuple[Session, list[Steps]]:
    session = Session(settings_of(forecast), has_detail=True)
    return session, [session.process(readings, now=np.inf) for readings in parts]


def assert_alike(one: State, other: State, *, rtol: float) -> None:
    for stage, part in one.parts().items():
        for name, array in part.arrays().items():
            theirs = other.parts()[stage].arrays()[name]
            assert np.allclose(array, theirs, rtol=rtol, atol=1e-12, equal_nan=True), f"{stage}.{name}"


@needs_helper
@pytest.mark.parametrize("forecast", FORECASTS)
@pytest.mark.parametrize("n_parts", [20, 600])
def test_ticks_are_those_of_the_engine(forecast: str, n_parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = batches(n_parts)
    ours, steps = play(forecast, parts)
    monkeypatch.setattr(compiled, "serves", lambda _: False)
    theirs, expected = play(forecast, parts)
    assert_alike(ours.state, theirs.state, rtol=1e-6)
    for name in ("outcome", "health", "forecast", "lower", "upper", "score", "level", "event", "opened"):
        one, other = (np.concatenate([getattr(step, name) for step in each]) for each in (steps, expected))
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12, err_msg=name)
    for name in ("forecasts", "shown", "half_widths", "views"):
        one, other = (np.concatenate([getattr(step.detail, name) for step in each]) for each in (steps, expected))
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9, err_msg=name)
    opened, theirs_opened = (
        [(event.event, event.stream, event.opened_s, event.onset_s) for step in each for event in step.events]
        for each in (steps, expected)
    )
    assert opened == theirs_opened != []
    told, theirs_told = ([str(event) for step in each for event in step.health_events] for each in (steps, expected))
    assert told == theirs_told
    assert ours.state.counters.is_counter.any(), "a counter was found"
    assert (ours.state.season.n_bins > 0).any(), "a season was found"


@needs_helper
def test_where_columns_lie_is_looked_up_again_after_growth_and_with_other_settings() -> None:
    session, _ = play("alone", batches(40)[:2])
    desk = compiled.Desk.of(session.model, session.state)
    assert compiled.Desk.of(session.model, session.state) is desk
    for part in session.state.parts().values():
        part.grow(64)
    grown = compiled.Desk.of(session.model, session.state)
    assert grown is not desk
    session.take_settings(settings_of("alone"))
    assert compiled.Desk.of(session.model, session.state) is not grown
    assert copy.deepcopy(session.state).desk is None


@needs_helper
def test_streams_that_are_not_there_and_columns_that_do_not_fit_are_refused() -> None:
    session, _ = play("alone", batches(40)[:2])
    desk, one = compiled.Desk.of(session.model, session.state), np.ones(1)
    for slot in (session.state.capacity, -1):
        batch = Batch(np.array([slot], np.int32), np.zeros(1, np.int64), one * 2e9, one, np.zeros(1, np.uint8))
        with pytest.raises(IndexError, match="stream"):
            list(desk.run(batch, np.zeros(1, np.int64), np.array([0, 1]), Steps.blank(1)))
    with pytest.raises(IndexError, match="row"):
        list(desk.run(batch, np.ones(1, np.int64), np.array([0, 1]), Steps.blank(1)))
    with pytest.raises(ValueError, match="do not fit"):
        list(desk.run(batch, np.zeros(1, np.int64), np.array([0, 1]), Steps.blank(2)))
    session.state.drift.block = np.zeros((session.state.capacity, 2, 4))
    with pytest.raises(ValueError, match=r"Drift\.block"):
        compiled.Desk.of(session.model, session.state)


def test_an_empty_batch_leaves_everything_as_it_is() -> None:
    session, _ = play("alone", batches(40)[:2])
    before = copy.deepcopy(session.state)
    none = np.zeros(0)
    empty = Batch(none.astype(np.int32), none.astype(np.int64), none, none, none.astype(np.uint8))
    update(session.model, session.state, empty, np.inf)
    assert_alike(session.state, before, rtol=0)


def test_columns_are_in_the_order_of_the_c_structures() -> None:
    session = Session(settings_of("lstm"))
    state = session.state
    kinds = {
        "d": "double",
        "f": "float",
        "l": "int64_t",
        "i": "int32_t",
        "?": "uint8_t",
        "b": "int8_t",
        "H": "uint16_t",
    }
    structures = {
        name: [
            (kind, each.strip(" *"))
            for kind, names in re.findall(r"(?:const )?(\w+) ([^;]*);", text)
            for each in names.split(",")
        ]
        for text, name in re.findall(
            r"typedef struct \{([^}]*)\} (\w+);", re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
        )
    }

    def typed(names: Iterable[str], dtype_of: Callable[[str], DTypeLike]) -> list[tuple[str, str]]:
        return [(kinds[np.dtype(dtype_of(name)).char], name) for name in names]

    for stage, names in (*columns.STAGES.items(), ("bank", columns.BANK)):
        part = session.model.bank if stage == "bank" else getattr(state, stage)
        own = structures.pop(type(part).__name__)
        assert own == typed(names.split(), lambda name, part=part: getattr(part, name).dtype), stage  # type: ignore[misc]
    tick = columns.of_tick(2, 1)
    assert structures.pop("Columns") == typed(tick, lambda name: tick[name][0])
    functions = re.findall(r"int \(\*(\w+)\)", HEADER.read_text())
    assert functions == [field[0] for field in columns.Others._fields_]
    structures.pop("Others")
    for structure in (columns.Shard, columns.Rows, columns.Sizes, columns.Rules, columns.Run):
        theirs = [re.sub(r"\[.*", "", name) for _, name in structures.pop(structure.__name__)]
        assert theirs == [field[0] for field in structure._fields_]
    assert not structures
