"""What is counted as one party."""

from __future__ import annotations

from appliance.operations.addresses import network


def test_ipv4_counts_for_itself() -> None:
    """Also where it arrived at a socket of IPv6: otherwise all of IPv4 would be one party."""
    assert "192.0.2.7" == network("192.0.2.7") == network("::ffff:192.0.2.7")


def test_ipv6_counts_by_its_64_bits() -> None:
    """One client has 2^64 addresses, so a single one says nothing."""
    assert "2001:db8:0:1::/64" == network("2001:db8:0:1::1") == network("2001:db8:0:1:ffff::2")
    assert network("2001:db8::1") != network("2001:db8:0:1::1")
    assert "fe80::/64" == network("fe80::1%eth0")


def test_what_is_no_address_is_a_name() -> None:
    """A client without one, such as a socket of Unix, is not an error."""
    assert ["", "somewhere", "a:b"] == [network(""), network("somewhere"), network("a:b")]
