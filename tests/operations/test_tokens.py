"""The form of keys and session tokens."""

from __future__ import annotations

import hashlib
import math
import re
import string

from hypothesis import example, given
from hypothesis import strategies as st

from appliance.operations import tokens

ALPHABET = string.digits + string.ascii_letters
KEY = tokens.new_key().text
POSITIONS = st.integers(0, len(KEY) - 1)


def test_a_key_has_its_form() -> None:
    """`cpzy_`, 8 characters to show, at least 190 secret bits, 6 of checksum."""
    key = tokens.new_key()

    assert re.fullmatch(r"cpzy_[0-9A-Za-z]{46}", key.text)
    assert key.text[:13] == key.prefix
    assert hashlib.sha256(key.text.encode()).hexdigest() == key.digest == tokens.digest(key.text)
    assert 190 <= math.log2(len(ALPHABET)) * (len(key.text) - len(key.prefix) - 6)


def test_a_session_is_told_from_a_key() -> None:
    """The marker says which it is."""
    assert tokens.new_session().text.startswith("cpzs_")
    assert tokens.is_session(tokens.new_session().text)
    assert not tokens.is_session(tokens.new_key().text)


def test_what_is_made_is_well_formed() -> None:
    """No fresh token is refused, and none comes twice."""
    made = [make().text for make in (tokens.new_key, tokens.new_session) for _ in range(200)]

    assert all(map(tokens.well_formed, made))
    assert 400 == len(set(made))


def test_every_wrong_letter_is_found() -> None:
    """Any one character replaced by any other of the alphabet is refused, wherever it stands."""
    for position, right in enumerate(KEY):
        for wrong in ALPHABET + "_-":
            if wrong != right:
                text = KEY[:position] + wrong + KEY[position + 1 :]
                assert not tokens.well_formed(text), text


@given(POSITIONS, st.characters())
@example(10, "\ud800")
def test_every_wrong_character_is_found(position: int, wrong: str) -> None:
    """Any one character replaced by any character at all is refused, and none is an error."""
    text = KEY[:position] + wrong + KEY[position + 1 :]

    assert tokens.well_formed(text) == (text == KEY)
    assert 64 == len(tokens.digest(text))


@given(st.binary(min_size=32, max_size=32), st.integers(0, 43))
def test_every_swap_in_the_body_is_found(seed: bytes, position: int) -> None:
    """Two neighbours exchanged before the checksum are refused, in every key."""
    body = "cpzy_" + "".join(ALPHABET[byte % 62] for byte in seed + seed[:8])
    text = body + tokens._checksum(body)
    swapped = text[:position] + text[position + 1] + text[position] + text[position + 2 :]

    assert tokens.well_formed(text)
    assert tokens.well_formed(swapped) == (swapped == text)


@given(st.integers(0, len(KEY) - 1), st.text(alphabet=ALPHABET, min_size=1))
def test_a_piece_of_a_key_is_found(cut: int, more: str) -> None:
    """A key cut off, or with something after it, is refused."""
    assert not tokens.well_formed(KEY[:cut])
    assert not tokens.well_formed(KEY + more)


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    """Nothing breaks the check."""
    assert not tokens.well_formed(text)


def test_the_representation_of_the_checksum_is_unique() -> None:
    """Checksums of every size fill six characters."""
    assert {6} == {len(tokens._checksum(str(number))) for number in range(2000)}
