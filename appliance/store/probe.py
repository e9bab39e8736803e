"""A write whose only use is to prove that writes are acknowledged."""

from __future__ import annotations

from appliance.store.database import Transaction


class Probe:
    """The one row of `probe`, in the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def write(self, at_us: int) -> None:
        """Replace the row."""
        self._tx.run("write_probe", at=at_us)
