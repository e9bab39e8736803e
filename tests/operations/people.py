"""People that tests work with."""

from __future__ import annotations

from appliance.operations.actors import SYSTEM, Actor, Role
from appliance.operations.identity import Identity
from appliance.operations.users import create_user

PASSWORD = "correct horse"


class Time:
    """Both clocks in one, which moves only when told."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now_us(self) -> int:
        return int(self.seconds * 1_000_000)

    def monotonic(self) -> float:
        return self.seconds


async def member(
    identity: Identity,
    email: str = "ada@example.com",
    *,
    role: Role = "user",
    password: str | None = None,
) -> Actor:
    """Create a user and return the actor that a session of that user gives."""
    user = await create_user(identity, SYSTEM, email=email, role=role, password=password)
    return Actor(user.id, user.email, user.role)
