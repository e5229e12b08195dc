"""Finds a broker: asks the usual ports of some hosts whether MQTT is spoken there.

Comes in: host names. Goes out: where a broker answered, and whether it wants TLS and a password. Nothing is published
or subscribed, no password is sent, and certificates are not judged: that is for the connection that follows.
"""

import secrets
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

PLAIN_PORT, TLS_PORT = 1883, 8883
_TIMEOUT_S = 1.5
_CONNACK, _CONNACK_BYTES = 0x20, 4
_ACCEPTED, _BAD_PASSWORD, _NOT_AUTHORIZED = 0, 4, 5


@dataclass(frozen=True, slots=True)
class FoundBroker:
    """A broker that answered.

    Attributes:
        host: As it was asked for.
        port: Its port.
        is_tls: It speaks TLS there.
        wants_password: It refuses clients without a name and password.
    """

    host: str
    port: int
    is_tls: bool
    wants_password: bool


def find_broker(hosts: Iterable[str], ports: Iterable[int] = (TLS_PORT, PLAIN_PORT)) -> FoundBroker | None:
    """Return the first broker that answers, each host's TLS port before its plain one; None for none.

    Args:
        hosts: Names or addresses, in the order wanted.
        ports: Ports to ask; whether TLS is spoken is found out.

    Example:
        >>> find_broker([]) is None
        True
    """
    wanted = tuple(ports)
    for host in hosts:
        for port in wanted:
            for is_tls in (True, False) if port != PLAIN_PORT else (False,):
                answer = _ask(host, port, is_tls=is_tls)
                if answer is not None:
                    return FoundBroker(host, port, is_tls, answer in {_BAD_PASSWORD, _NOT_AUTHORIZED})
    return None


def connect_packet(client_id: str) -> bytes:
    r"""Return the packet with which a client of MQTT 3.1.1 begins, for a session that is not kept.

    Example:
        >>> connect_packet("a").hex(" ")
        '10 0d 00 04 4d 51 54 54 04 02 00 05 00 01 61'
    """
    name = client_id.encode()
    body = b"\x00\x04MQTT\x04\x02\x00\x05" + len(name).to_bytes(2) + name
    return bytes([0x10, len(body)]) + body


def _ask(host: str, port: int, *, is_tls: bool) -> int | None:
    """Return the code of a broker's answer; None where nobody speaks MQTT."""
    try:
        with socket.create_connection((host, port), _TIMEOUT_S) as plain:
            if not is_tls:
                return _greeted(plain)
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing secret is sent
            with context.wrap_socket(plain, server_hostname=host) as wrapped:
                return _greeted(wrapped)
    except (OSError, ValueError):
        return None


def _greeted(sock: socket.socket) -> int | None:
    sock.settimeout(_TIMEOUT_S)
    sock.sendall(connect_packet(f"foretell-{secrets.token_hex(4)}"))
    answer = b""
    while len(answer) < _CONNACK_BYTES:
        part = sock.recv(_CONNACK_BYTES - len(answer))
        if not part:
            return None
        answer += part
    if answer[0] != _CONNACK:
        return None
    sock.sendall(b"\xe0\x00")  # DISCONNECT: no last will, nothing to log as an error
    return answer[3]
