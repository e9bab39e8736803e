"""Rules of what a text means as a value."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config import (
    values,
)
from tests.config.loading import chosen, refusal


class TestValues:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [("5s", 5.0), ("250ms", 0.25), ("1m30s", 90.0), ("1.5h", 5400.0), (".5s", 0.5)],
    )
    def test_durations(self, text: str, expected: float) -> None:
        """Durations have Go's form."""
        assert expected == pytest.approx(values.seconds(text))

    @pytest.mark.parametrize("text", ["5000", "0", "0s", "-5s", "5 s", "5d", "", "s", "99999h"])
    def test_durations_refused(self, text: str) -> None:
        """A bare number has no unit; nothing is no time to wait."""
        with pytest.raises(ValueError, match="with its unit"):
            values.seconds(text)

    def test_bare_duration_is_explained(self, tmp_path: Path) -> None:
        """The sentence says what was seen and what is wanted."""
        assert (
            'SERVER_TIMEOUT in the environment: server.timeout is "30", but it must be a duration'
            ' with its unit, such as "5s", "250ms" or "1m30s".'
            == refusal(tmp_path, SERVER_TIMEOUT="30")
        )

    def test_busy_timeout(self, tmp_path: Path) -> None:
        """A bare whole number of busy_timeout means milliseconds, as Compozy documents it."""
        for text, expected in (("5000", 5.0), ("250ms", 0.25), ("2s", 2.0)):
            assert expected == chosen(tmp_path, DB_BUSY_TIMEOUT=text).busy_timeout

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("0", 0),
            ("10485760", 10485760),
            ("512MiB", 1 << 29),
            ("10MB", 10**7),
            ("1 GiB", 1 << 30),
        ],
    )
    def test_sizes(self, text: str, expected: int) -> None:
        """Sizes are bytes, with decimal or binary units."""
        assert expected == values.size(text)

    @pytest.mark.parametrize(
        "environ",
        [
            {"SERVER_PORT": "65536"},
            {"SERVER_PORT": "x"},
            {"SERVER_PORT": "٣"},
            {"SERVER_MAX_BODY": "1XB"},
            {"SERVER_CORS_ENABLED": "maybe"},
            {"RUNTIME_LOG_LEVEL": "loud"},
            {"DB_MAX_OPEN_CONNS": "0"},
        ],
        ids=str,
    )
    def test_wrong_values(self, tmp_path: Path, environ: dict[str, str]) -> None:
        """A wrong value is named with its place, what was seen and what is wanted."""
        ((name, value),) = environ.items()
        message = refusal(tmp_path, **environ)
        assert message.startswith(f"{name} in the environment: ")
        assert f'is "{value}", but it must be ' in message

    @given(st.floats(min_value=0.001, max_value=1e6))
    def test_seconds_of_any_number(self, number: float) -> None:
        """A decimal number with a unit is that many units."""
        assert number == pytest.approx(values.seconds(f"{number:f}s"), abs=1e-6)
