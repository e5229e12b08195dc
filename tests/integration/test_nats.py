"""A real nats-server: what its MQTT listener is given comes out of JetStream once, in order, and scores."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_nats import N_SHARDS, Server, nats_program, publish, wait_for

from pipeline.core.errors import ForetellError
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.broker import free_port
from pipeline.scaleout.envelopes import cut
from pipeline.scaleout.jetstream import bounds, fetch
from pipeline.scaleout.messages import decoded
from pipeline.scaleout.partitions import Marks, advance, spans
from pipeline.scaleout.segments import Logged
from pipeline.scaleout.shard import Shard

nats = pytest.importorskip("nats", reason="nats-py is not installed")
pytestmark = pytest.mark.broker


@pytest.fixture
def server(tmp_path: Path, repository: Path) -> Iterator[Server]:
    program = nats_program()
    if program is None:
        missing = "nats-server is not installed; on Debian: apt-get install nats-server"
        pytest.skip(missing)
    server = Server(
        program, tmp_path, (repository / "docker" / "nats.conf").read_text("utf-8"), (free_port(), free_port())
    )
    server.start()
    yield server
    server.kill()


def read(settings: Settings, start: Marks, end: Marks) -> list[Logged]:
    nats_settings = settings.scale.nats
    return [
        decoded(fetch(nats_settings, span.partition, span.start, span.end), span, settings)
        for span in spans(start, end, [])
    ]


def test_messages_of_all_partitions_are_scored_once_and_in_order_also_after_kill_9_of_the_server(
    server: Server,
) -> None:
    settings = server.settings()
    start = Marks(tuple(first for first, _ in bounds(settings.scale.nats)))
    assert start.next == (1, 1, 1, 1)
    publish(server, 1200)
    middle = advance(start, wait_for(settings, 1200), 1000, [])
    assert sum(middle.next) < 1204, "a batch is bounded"
    first = read(settings, start, middle)
    server.kill()
    server.start()
    publish(server, 300, 1200)
    end = advance(middle, wait_for(settings, 1500), None, [])
    again = read(settings, start, middle)
    parts = [*first, *read(settings, middle, end)]

    assert [list(cut(each, N_SHARDS, "")) for each in again] == [list(cut(each, N_SHARDS, "")) for each in first]
    assert len(first) > 1, "devices are in several partitions"
    values = sorted(value for part in parts for value in part.readings.value.tolist())
    assert values == list(range(1500))
    shards = [Shard(settings, lambda _name: pytest.fail("there are no networks")) for _ in range(N_SHARDS)]
    for part in parts:
        assert (part.seq[1:] > part.seq[:-1]).all()
        for number, envelope in cut(part, N_SHARDS, ""):
            scored = shards[number].take(envelope)
            assert (scored.steps.outcome == 0).all()
    assert sum(shard.session.counts["accepted"] for shard in shards) == 1500


def test_what_is_not_kept_any_more_is_told(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    settings = server.settings()
    bounds(settings.scale.nats)
    publish(server, 300)
    ends = wait_for(settings, 300)

    async def purge() -> None:
        client = await nats.connect(settings.scale.nats.url)
        await client.jetstream().purge_stream("foretell-0", seq=11)
        await client.close()

    asyncio.run(purge())
    with caplog.at_level(logging.ERROR):
        found = fetch(settings.scale.nats, 0, 1, ends[0])
        assert fetch(settings.scale.nats, 0, 1, 5) == []
    assert [number for number, _ in found] == list(range(11, ends[0]))
    assert [record.__dict__["fields"]["n_missing"] for record in caplog.records] == [10, 4]


def test_a_server_that_is_not_there_is_one_clear_line() -> None:
    port = free_port()
    settings = parse_settings(f"{{scale: {{nats: {{url: 'nats://127.0.0.1:{port}'}}}}}}", "f")
    with pytest.raises(ForetellError, match=f"NATS at nats://127.0.0.1:{port}: "):
        bounds(settings.scale.nats)
