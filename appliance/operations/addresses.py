"""Network addresses: what one party can be expected to own, so that it is counted as one."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address


def network(host: str) -> str:
    """Return an IPv4 address as it is, of an IPv6 address its /64; what is no address stays as it is.

    An IPv4 address that arrived at an IPv6 socket (`::ffff:192.0.2.7`) is an IPv4 address.
    """
    try:
        parsed = ip_address(host) if ":" in host else None
    except ValueError:
        return host
    if not isinstance(parsed, IPv6Address):
        return host
    return str(parsed.ipv4_mapped or IPv6Network((int(parsed), 64), strict=False))
