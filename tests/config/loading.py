"""How the tests of configuration load it."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config import (
    DatabaseSettings,
    load,
)
from appliance.errors import InvalidConfiguration


def write(directory: Path, text: str) -> None:
    (directory / "compozy.yaml").write_text(text)


def chosen(cwd: Path, **environ: str) -> DatabaseSettings:
    return load({}, cwd, environ).settings.database


def refusal(cwd: Path, *flags: tuple[str, str], **environ: str) -> str:
    with pytest.raises(InvalidConfiguration) as caught:
        load(dict(flags), cwd, environ)
    assert caught.value.exit_code == 78
    return caught.value.message
