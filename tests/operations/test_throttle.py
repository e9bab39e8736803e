"""How guessing is slowed, on a clock that moves only when told."""

from __future__ import annotations

import pytest

from appliance.errors import TooManyRequests
from appliance.operations import throttle
from appliance.operations.throttle import Backoff, Throttle

from .people import Time

DAY_S = 86_400
ACCOUNT = "ada@example.com"
HOME = "192.0.2.1"


@pytest.fixture
def door(time: Time) -> Throttle:
    return Throttle(monotonic=time.monotonic)


def admitted(door: Throttle, account: str, address: str) -> bool:
    try:
        door.admit(account, address)
    except TooManyRequests:
        return False
    return True


def guesses_in_a_day(door: Throttle, time: Time, account: str, addresses: int) -> int:
    """Guess every four seconds, from one of some addresses after the other."""
    count = 0
    for second in range(0, DAY_S, 4):
        time.seconds += 4
        count += admitted(
            door, account, f"10.0.{second // 4 % addresses // 250}.{second // 4 % addresses % 250}"
        )
    return count


def test_the_first_failures_are_free(door: Throttle) -> None:
    """Five slips of the finger cost nothing; the sixth has to wait for a second."""
    assert [True] * 6 == [admitted(door, ACCOUNT, HOME) for _ in range(6)]

    with pytest.raises(TooManyRequests) as refusal:
        door.admit(ACCOUNT, HOME)
    assert 1 == refusal.value.details["retry_after"]


def test_each_failure_doubles_the_delay(door: Throttle, time: Time) -> None:
    """1 s, 2 s, 4 s, up to 15 minutes and not more."""
    for _ in range(5):
        door.admit(ACCOUNT, HOME)
    waits = []
    for _ in range(13):
        door.admit(ACCOUNT, HOME)
        with pytest.raises(TooManyRequests) as refusal:
            door.admit(ACCOUNT, HOME)
        waits.append(refusal.value.details["retry_after"])
        time.seconds += waits[-1]

    assert [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900] == waits


def test_what_is_refused_does_not_count(door: Throttle, time: Time) -> None:
    """Knocking on a shut door does not keep it shut longer."""
    for _ in range(6):
        door.admit(ACCOUNT, HOME)
    assert [False] * 100 == [admitted(door, ACCOUNT, HOME) for _ in range(100)]

    time.seconds += 1
    assert admitted(door, ACCOUNT, HOME)


@pytest.mark.parametrize("addresses", [1, 1000])
def test_an_account_is_guessed_a_hundred_times_a_day(
    door: Throttle, time: Time, addresses: int
) -> None:
    """However many addresses take part, one account sees about a hundred guesses a day."""
    assert guesses_in_a_day(door, time, ACCOUNT, addresses) < 115


def test_an_address_guesses_a_hundred_times_a_day(door: Throttle, time: Time) -> None:
    """However many accounts are tried, one address makes about a hundred guesses a day."""
    count = 0
    for second in range(0, DAY_S, 4):
        time.seconds += 4
        count += admitted(door, f"user{second}@example.com", HOME)

    assert count < 130


def test_a_familiar_address_is_not_kept_out(door: Throttle) -> None:
    """Who logged in from here before still can while strangers guess, even by the same proxy."""
    door.succeeded(door.admit(ACCOUNT, HOME))
    for n in range(100):
        admitted(door, ACCOUNT, f"198.51.100.{n}")
        admitted(door, f"user{n}@example.com", HOME)
    assert not admitted(door, ACCOUNT, "203.0.113.9")
    assert not admitted(door, "somebody@example.com", HOME)

    assert admitted(door, ACCOUNT, HOME)


def test_a_familiar_address_is_slowed_as_well(door: Throttle, time: Time) -> None:
    """Having logged in once does not allow to guess for ever."""
    door.succeeded(door.admit(ACCOUNT, HOME))

    assert guesses_in_a_day(door, time, ACCOUNT, 1) < 115
    assert [True] * 6 + [False] == [admitted(door, "b@example.com", HOME) for _ in range(7)]


def test_nothing_is_locked_for_good(door: Throttle, time: Time) -> None:
    """After any number of failures fifteen quiet minutes let one in, and an hour forgets all."""
    guesses_in_a_day(door, time, ACCOUNT, 1)

    time.seconds += 900
    assert admitted(door, ACCOUNT, HOME)
    time.seconds += 3600
    assert [True] * 6 == [admitted(door, ACCOUNT, HOME) for _ in range(6)]


def test_success_forgets_the_account_but_not_the_address(door: Throttle) -> None:
    """Logging in to one's own account does not buy guesses at others'."""
    for n in range(20):
        door.admit(f"user{n}@example.com", HOME)
    door.succeeded(door.admit(ACCOUNT, HOME))

    assert admitted(door, "one@example.com", HOME)
    assert not admitted(door, "two@example.com", HOME)


def test_a_burst_counts_before_it_is_answered(door: Throttle) -> None:
    """A thousand guesses at once are no more than the free ones, as each counts when it begins."""
    assert 6 == sum(admitted(door, ACCOUNT, f"10.0.{n >> 8}.{n & 255}") for n in range(1000))


def test_an_undecided_attempt_does_not_count(door: Throttle) -> None:
    """When the database fails, its users are not slowed for it."""
    for _ in range(100):
        door.withdraw(door.admit(ACCOUNT, HOME))

    assert [True] * 6 == [admitted(door, ACCOUNT, HOME) for _ in range(6)]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("unix", "unix", True),
        ("", "192.0.2.1", False),
    ],
)
def test_who_owns_an_address(door: Throttle, first: str, second: str, *, same: bool) -> None:
    """A network of IPv6 is one party; anything that is no address stands for itself."""
    for n in range(21):
        door.admit(f"user{n}@example.com", first)

    assert same != admitted(door, ACCOUNT, second)


def test_memory_is_bounded(time: Time) -> None:
    """The name that was idle longest is forgotten first."""
    backoff = Backoff(0, time.monotonic)
    for n in range(throttle.CAPACITY):
        backoff.add(str(n))
    backoff.add("0")
    backoff.add("new")

    assert throttle.CAPACITY == len(backoff)
    assert (2.0, 0.0, 1.0) == tuple(backoff.wait_s(name) for name in ("0", "1", "new"))


def test_familiar_pairs_are_bounded(door: Throttle) -> None:
    """Logging in to many accounts does not fill the memory."""
    for n in range(throttle.CAPACITY + 5):
        door.succeeded(door.admit(f"user{n}@example.com", HOME))

    assert throttle.CAPACITY == len(door._familiar)
