"""What publishers say of their streams goes with their readings: into the log, through envelopes, to the shard."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.priors import Prior
from pipeline.core.records import Health, Readings
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.intake import take_in
from pipeline.runtime.routes import checked_routes
from pipeline.scaleout.envelopes import cut
from pipeline.scaleout.gathering import Gathered
from pipeline.scaleout.segments import Logged, read_segment, write_segment
from pipeline.scaleout.shard import Shard
from pipeline.sources.inbox import Message

pytest.importorskip("pyarrow")
LIMITS = Prior("°C", -40.0, 85.0)
FLEET = Settings.model_validate({"forecast": {"sharing": "fleet"}, "streams": {"window_len": 256}})


def logged(first: int, value: float, told: dict[str, Prior]) -> Logged:
    readings = Readings(
        ["a", "b"], np.array([0, 1], np.int32), np.full(2, 1e9 + first), np.full(2, value), np.zeros(2, np.uint8)
    )
    return Logged(np.arange(first, first + 2), readings.time, readings, told)


def shard_after(*parts: Logged, n_shards: int = 1) -> dict[int, Shard]:
    shards: dict[int, Shard] = {}
    for part in parts:
        for number, envelope in cut(part, n_shards, ""):
            shard = shards.setdefault(number, Shard(FLEET, lambda _name: pytest.fail("there are no networks")))
            shard.take(envelope)
    return shards


def test_what_was_told_is_in_the_segment(tmp_path: Path) -> None:
    told = {"a": LIMITS, "b": Prior(is_counter=True)}
    assert read_segment(write_segment(tmp_path, logged(0, 1.0, told))).told == told
    assert read_segment(write_segment(tmp_path, logged(2, 1.0, {}))).told == {}


def test_limits_hold_in_the_shard_from_then_on_and_after_it_was_taken_up_again() -> None:
    (shard,) = shard_after(logged(0, 20.0, {"a": LIMITS})).values()
    again = Shard.resume(FLEET, lambda _name: pytest.fail("there are no networks"), shard.snapshot())
    for each in (shard, again):
        assert each.session.told == {"a": LIMITS}
        ((_, envelope),) = cut(logged(2, 99.0, {}), 1, "")
        health = each.take(envelope).steps.health.tolist()
        assert [bool(bits & Health.OUT_OF_RANGE) for bits in health] == [True, False]


def test_each_shard_hears_of_its_own_streams_alone() -> None:
    shards = shard_after(logged(0, 20.0, {"a": LIMITS, "b": LIMITS}), n_shards=2)
    assert sorted(name for shard in shards.values() for name in shard.session.told) == ["a", "b"]
    for shard in shards.values():
        assert set(shard.session.told) == set(filter(None, shard.session.state.table.names))


def test_the_bridge_gathers_what_messages_tell() -> None:
    config = "{mqtt: {topics: [{topic: 's/{x}', profile: mapping, mapping: {values: [t], unit: u}}]}}"
    routes = checked_routes(parse_settings(config, "f"))
    message = Message("s/a", '{"t": 20.5, "u": "°C"}'.encode(), retained=False, arrival_s=1e9)
    intake = take_in([message], routes)
    gathered = Gathered()
    gathered.add(intake.readings, np.array([1e9]), intake.priors)
    (name,) = intake.readings.names
    assert gathered.logged(0).told == {name: Prior("°C")}
    gathered.clear()
    gathered.add(intake.readings, np.array([1e9]))
    assert gathered.logged(0).told == {}
