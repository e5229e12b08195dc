"""Addresses of this machine alone, told apart from those that others reach. It asks no name server."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Say whether a host is surely this machine: ``localhost`` or a loopback address; another name never is.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("broker.example")
        (True, True, True, False)
    """
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
