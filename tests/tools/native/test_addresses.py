"""Which addresses are public."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from appliance.tools.zygote.native import fetch
from appliance.tools.zygote.native.addresses import is_public
from appliance.tools.zygote.native.grant import Grant
from appliance.tools.zygote.refusal import Refusal


@pytest.mark.parametrize(
    ("address", "public"),
    [
        *((each, True) for each in ("8.8.8.8", "1.1.1.1", "93.184.216.34", "172.32.0.1")),
        *(
            (each, True)
            for each in (
                "2606:4700::1111",
                "2a00:1450:4001::1",
                "64:ff9b::808:808",
                "::ffff:8.8.8.8",
            )
        ),
        *((each, False) for each in ("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.255.255.255")),
        *((each, False) for each in ("169.254.169.254", "172.16.0.1", "172.31.255.255")),
        *((each, False) for each in ("192.168.0.1", "192.0.0.8", "198.18.0.1", "224.0.0.1")),
        *((each, False) for each in ("240.0.0.1", "255.255.255.255", "168.63.129.16")),
        *((each, False) for each in ("100.100.100.200", "203.0.113.1", "192.88.99.1")),
        *((each, False) for each in ("::", "::1", "::ffff:10.0.0.1")),
        *((each, False) for each in ("fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1")),
        *((each, False) for each in ("2001::1", "2001:db8::1", "2002:7f00:1::", "::7f00:1")),
        *((each, False) for each in ("64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "3fff::1")),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    """Nothing that means this machine, its network, a metadata service or a tunnel."""
    assert public == is_public(ipaddress.ip_address(address))


def test_a_public_address_of_this_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What listens on every address is not meant for those who come by one of them from here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        real = socket.create_connection
        monkeypatch.setattr(
            socket, "create_connection", lambda address: real(("127.0.0.1", address[1]))
        )
        target = fetch.Target("http", "box.test", port, "/")
        address = ipaddress.ip_address("8.8.8.8")

        with pytest.raises(Refusal, match="not on the public network"):
            fetch._connected(Grant("/"), target, [address])
        fetch._connected(Grant("/", private_hosts=("box.test",)), target, [address]).close()
