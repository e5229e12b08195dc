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


def is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def test_the_broker_listens_on_loopback_alone_and_only_while_its_block_runs() -> None:
    async def visit() -> int:
        async with loopback_broker() as running:
            assert not running.has_subscriber()
            assert not is_free(HOST, running.port)
            assert is_free("127.0.0.2", running.port)  # it did not take every address
            return running.port

    port = asyncio.run(visit())
    assert is_free(HOST, port)
