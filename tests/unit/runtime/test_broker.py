import asyncio
import socket

import pytest

from pipeline.core.errors import UsageError
from pipeline.runtime import broker
from pipeline.runtime.broker import HOST, free_port, loopback_broker, require_amqtt


def test_a_free_port_can_be_bound() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, free_port()))


def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"pip install 'foretell\[demo\]'"):
        require_amqtt()


def test_the_broker_listens_on_loopback_only_while_its_block_runs() -> None:
    async def visit() -> int:
        async with loopback_broker() as running:
            reader, writer = await asyncio.open_connection(HOST, running.port)
            assert not running.has_subscriber()
            writer.close()
            await reader.read()
            return running.port

    port = asyncio.run(visit())
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, port)) != 0
