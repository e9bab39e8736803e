"""Configuration: flags > environment > `.env` > compozy.yaml > defaults, read once at start."""

from __future__ import annotations

from appliance.config.knowledge import check_knowledge
from appliance.config.loading import Loaded, load
from appliance.config.settings import (
    CliSettings,
    DatabaseSettings,
    NodeSettings,
    RateLimitSettings,
    RuntimeSettings,
    ServerSettings,
    Settings,
    StreamSettings,
    WebhookSettings,
)

__all__ = [
    "CliSettings",
    "DatabaseSettings",
    "Loaded",
    "NodeSettings",
    "RateLimitSettings",
    "RuntimeSettings",
    "ServerSettings",
    "Settings",
    "StreamSettings",
    "WebhookSettings",
    "check_knowledge",
    "load",
]
