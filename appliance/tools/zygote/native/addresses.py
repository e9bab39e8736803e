"""Which addresses of the network may be fetched from: public ones, and those that were allowed."""

from __future__ import annotations

import ipaddress
import socket
import threading
from queue import SimpleQueue
from typing import Any, Union

from ..refusal import Refusal

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]  # noqa: UP007 - runs on 3.9

# fmt: off
NOT_PUBLIC = tuple(map(ipaddress.ip_network, (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32",
    "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
    "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)))
"""Loopback, private, link-local, metadata, multicast, documentation, tunnels that hide an address.

Written out because `ipaddress` answers differently from version to version.
"""
# fmt: on

GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""How networks with IPv6 alone write an IPv4 address."""


def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a host, in the order to try them. Raises Refusal.

    In a thread, for the resolver cannot be interrupted where it runs.
    """
    answer: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_resolve, args=(host, port, answer), daemon=True).start()
    found = answer.get()
    if isinstance(found, Exception):
        reason = getattr(found, "strerror", None) or found
        raise Refusal("Internal", f"The host {host!r} cannot be found: {reason}.")
    return [ipaddress.ip_address(each.partition("%")[0]) for each in dict.fromkeys(found)]


def _resolve(host: str, port: int, answer: SimpleQueue[Any]) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        answer.put([str(address[0]) for *_, address in found])
    except (OSError, ValueError) as error:
        answer.put(error)


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the public network, whatever the way it is written."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in TRANSLATED:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address not in GLOBAL_V6:
            return False
    return not any(
        address in network for network in NOT_PUBLIC if network.version == address.version
    )


def is_allowed(host: str, address: Address, private_hosts: tuple[str, ...]) -> bool:
    """Tell whether a name, an address or a network was allowed that is not public."""
    return any(
        each == "*" or each.lower() == host or _holds(each, address) for each in private_hosts
    )


def _holds(network: str, address: Address) -> bool:
    try:
        found = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
    return found.version == address.version and address in found


def permitted(host: str, port: int, private_hosts: tuple[str, ...]) -> list[Address]:
    """Return the addresses of a host that may be connected to. Raises Refusal if there is none."""
    found = resolve(host, port)
    allowed = [each for each in found if is_public(each) or is_allowed(host, each, private_hosts)]
    if not allowed:
        raise refused(host)
    return allowed


def refused(host: str) -> Refusal:
    """Return the refusal of a host that is not public."""
    msg = (
        f"The host {host!r} is not on the public network;"
        " runtime.native_tools.fetch.private_hosts can allow it."
    )
    return Refusal("PermissionDenied", msg)
