"""Signatures of webhooks against published vectors, and against everything that is nearly right."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import InvalidSignature
from appliance.language.model import Verify
from appliance.operations import signatures

GITHUB_SECRET = b"It's a Secret to Everybody"
GITHUB_BODY = b"Hello, World!"
GITHUB_DIGEST = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
"""From GitHub's documentation, "Validating webhook deliveries"."""
RFC_KEY, RFC_BODY = b"Jefe", b"what do ya want for nothing?"
RFC_DIGEST = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
"""From RFC 4231, test case 2."""
STRIPE_HEADER = (
    "t=1492774577,"
    "v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd,"
    "v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"
)
"""From Stripe's documentation, which does not tell the secret of it."""
STRIPE_SECRET, STRIPE_BODY = b"whsec_test", b'{"id":"evt_1"}'
STRIPE_DIGEST = "7656fc2882a7ca0a651666b36bf2f2f22ee204f54f608f227498a2419f2890b2"
"""printf '%s' '1492774577.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test"""
SIGNED_AT = 1492774577
GITHUB = Verify(strategy="github")
STRIPE = Verify(strategy="stripe")
HMAC = Verify(strategy="hmac", header="X-Bank-Sign")


def check(rules: Verify, text: str, secret: bytes, body: bytes, *, now_s: float = SIGNED_AT) -> str:
    header = rules.header or signatures.HEADERS[rules.strategy]
    headers = {header.lower(): text}
    return signatures.verify(rules, secret, headers, body, now_s=now_s, skew_s=300)


def refused(*arguments: Any, **named: Any) -> str:
    with pytest.raises(InvalidSignature) as caught:
        check(*arguments, **named)
    return caught.value.message


def test_the_vector_of_github() -> None:
    """What GitHub's documentation calculates is accepted, without its prefix it is not."""
    proof = check(GITHUB, f"sha256={GITHUB_DIGEST}", GITHUB_SECRET, GITHUB_BODY)
    assert GITHUB_DIGEST == proof
    assert "form" in refused(GITHUB, GITHUB_DIGEST, GITHUB_SECRET, GITHUB_BODY)
    assert "form" in refused(GITHUB, f"sha1={GITHUB_DIGEST}", GITHUB_SECRET, GITHUB_BODY)


@pytest.mark.parametrize(
    "text", [RFC_DIGEST, RFC_DIGEST.upper(), f"sha256={RFC_DIGEST}", f" {RFC_DIGEST} "]
)
def test_the_vector_of_the_rfc(text: str) -> None:
    """A plain digest is hex in either case, with or without the name of the algorithm."""
    assert RFC_DIGEST == check(HMAC, text, RFC_KEY, RFC_BODY)


@pytest.mark.parametrize("rules", [STRIPE, HMAC])
def test_a_signed_time(rules: Verify) -> None:
    """The time is part of what is signed, and good for the skew in both directions."""
    text = f"t={SIGNED_AT},v1={STRIPE_DIGEST}"
    for off in (-300, 0, 300):
        assert STRIPE_DIGEST == check(
            rules, text, STRIPE_SECRET, STRIPE_BODY, now_s=SIGNED_AT + off
        )
    for off in (-301, 301, 86_400):
        message = refused(rules, text, STRIPE_SECRET, STRIPE_BODY, now_s=SIGNED_AT + off)
        assert "300 seconds" in message
    other = f"t={SIGNED_AT + 1},v1={STRIPE_DIGEST}"
    assert "does not fit" in refused(rules, other, STRIPE_SECRET, STRIPE_BODY)


def test_one_of_several_digests_is_enough() -> None:
    """While a secret is replaced Stripe signs with both; schemes that are not v1 do not count."""
    wrong = "0" * 64
    text = f"t={SIGNED_AT},v1={wrong},v0={wrong},v1={STRIPE_DIGEST}"
    assert STRIPE_DIGEST == check(STRIPE, text, STRIPE_SECRET, STRIPE_BODY)
    downgraded = f"t={SIGNED_AT},v0={STRIPE_DIGEST}"
    assert "form" in refused(STRIPE, downgraded, STRIPE_SECRET, STRIPE_BODY)
    assert "does not fit" in refused(STRIPE, STRIPE_HEADER, STRIPE_SECRET, STRIPE_BODY)


@pytest.mark.parametrize(
    "text",
    [
        STRIPE_DIGEST,
        f"v1={STRIPE_DIGEST}",
        f"t=,v1={STRIPE_DIGEST}",
        f"t=now,v1={STRIPE_DIGEST}",
        f"t=-1,v1={STRIPE_DIGEST}",
        f"t={SIGNED_AT},t={SIGNED_AT},v1={STRIPE_DIGEST}",
        f"t={SIGNED_AT},v1={STRIPE_DIGEST[:-1]}",
        f"t={'9' * 40},v1={STRIPE_DIGEST}",
        f"t={SIGNED_AT}",
        "ä=ö,\x00",
    ],
)
def test_what_is_no_signature_is_refused(text: str) -> None:
    """Without a time, with two, or with half a digest: it proves nothing, and nothing breaks."""
    assert "form" in refused(STRIPE, text, STRIPE_SECRET, STRIPE_BODY)


@pytest.mark.parametrize("rules", [GITHUB, STRIPE, HMAC])
def test_a_missing_header_is_named(rules: Verify) -> None:
    """Whoever sets a webhook up is told which header was expected."""
    header = rules.header or signatures.HEADERS[rules.strategy]
    with pytest.raises(InvalidSignature, match=header):
        signatures.verify(rules, b"k", {}, b"{}", now_s=0, skew_s=300)


@given(
    secret=st.binary(min_size=1),
    body=st.binary(min_size=1),
    where=st.integers(0),
    bit=st.integers(0, 7),
)
def test_no_changed_byte_passes(secret: bytes, body: bytes, where: int, bit: int) -> None:
    """One bit of the body, of the digest or of the time, and the delivery is refused."""
    digest = signatures.sign(secret, body, str(SIGNED_AT))
    header = f"t={SIGNED_AT},v1={digest}"
    assert digest == check(STRIPE, header, secret, body)
    changed = flipped(body, where, bit)
    refused(STRIPE, header, secret, changed)
    digit = "0123456789abcdef"[int(digest[where % 64], 16) ^ 1 << bit % 4]
    wrong = digest[: where % 64] + digit + digest[where % 64 + 1 :]
    refused(STRIPE, f"t={SIGNED_AT},v1={wrong}", secret, body)
    refused(STRIPE, f"t={SIGNED_AT ^ 1 << bit},v1={digest}", secret, body)
    refused(HMAC, digest, secret, body)


def flipped(body: bytes, where: int, bit: int) -> bytes:
    changed = bytearray(body)
    changed[where % len(body)] ^= 1 << bit
    return bytes(changed)


@given(st.text())
def test_no_header_breaks_it(text: str) -> None:
    """Whatever a stranger writes into the header, the answer is a refusal."""
    for rules in (GITHUB, STRIPE, HMAC):
        refused(rules, text, b"secret", b"{}")
