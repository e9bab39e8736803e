"""What may be an email address, and which two are the same."""

from __future__ import annotations

import pytest

from appliance.errors import InvalidInput
from appliance.operations import emails


@pytest.mark.parametrize(
    "email",
    ["a@b", "admin@localhost", "ada.l+x@example.co.uk", "o'neil@example.com", "用户@例子.公司"],
)
def test_addresses_are_accepted(email: str) -> None:
    """A domain needs no dot, and letters are those of any script."""
    assert email == emails.key(email)


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "a@b@c",
        "ada @example.com",
        " ada@example.com",
        "ada@example.com\n",
        "ada\0@example.com",
        "ada\ud800@example.com",
        "ada@exa\u200bmple.com",
        "x" * 65 + "@example.com",
        "a@" + "b" * 253,
    ],
)
def test_other_texts_are_refused(email: str) -> None:
    """No space, control or invisible character, no second @, at most 64 and 254 characters."""
    with pytest.raises(InvalidInput, match="email address"):
        emails.key(email)


def test_the_longest_address_is_accepted() -> None:
    """254 characters are what mail can carry."""
    longest = "a@" + "b" * 252

    assert longest == emails.key(longest)


def test_writing_does_not_matter() -> None:
    """Case and the composition of accents do not make another mailbox."""
    assert emails.key("ada@example.com") == emails.key("ADA@Example.COM")
    assert emails.key("zo\u00eb@example.com") == emails.key("zoe\u0308@example.com")
