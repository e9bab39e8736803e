"""Configuration: flags > environment > `.env` > compozy.yaml > defaults, read once at start."""

from __future__ import annotations

from appliance.config.settings import (
    CliSettings,
    DatabaseSettings,
    RuntimeSettings,
    ServerSettings,
    Settings,
)

__all__ = [
    "CliSettings",
    "DatabaseSettings",
    "RuntimeSettings",
    "ServerSettings",
    "Settings",
]
