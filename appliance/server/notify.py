"""Messages to the service manager (sd_notify): a datagram to the socket that it names, or nothing."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping

from appliance.clock import MICROSECONDS


class Notifier:
    """Speaks to whoever started the process. Without a manager every message is dropped."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._watchdog = self._address and _watchdog_seconds(environ)

    def send(self, message: str) -> None:
        """Send `READY=1`, `STOPPING=1` and the like; a manager that is gone does not matter."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.sendto(message.encode(), self._address)
        except OSError:
            return

    async def keep_alive(self) -> None:
        """Tell the watchdog twice per period that the event loop turns, if there is a watchdog."""
        while self._watchdog:
            self.send("WATCHDOG=1")
            await asyncio.sleep(self._watchdog / 2)


def _watchdog_seconds(environ: Mapping[str, str]) -> float:
    """Return the period of the watchdog, 0 when there is none for this process."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    period = environ.get("WATCHDOG_USEC", "")
    return int(period) / MICROSECONDS if period.isdecimal() else 0.0
