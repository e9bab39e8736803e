"""What actors may do."""

from __future__ import annotations

import pytest

from appliance.errors import Forbidden, InvalidInput
from appliance.operations.actors import NOBODY, SYSTEM, Role, check_role, least, require_admin


def test_only_admins_pass() -> None:
    """The appliance itself is an admin, somebody unknown is not."""
    require_admin(SYSTEM)
    with pytest.raises(Forbidden):
        require_admin(NOBODY)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("admin", "admin", "admin"),
        ("admin", "user", "user"),
        ("user", "admin", "user"),
        ("user", "user", "user"),
    ],
)
def test_two_limits_give_the_lower(first: Role, second: Role, expected: Role) -> None:
    """A key cannot do more than its user, nor a user more than the key allows."""
    assert expected == least(first, second)


def test_a_role_is_admin_or_user() -> None:
    """Anything else is refused by name."""
    check_role("admin")
    check_role("user")
    with pytest.raises(InvalidInput, match="'guest'"):
        check_role("guest")
