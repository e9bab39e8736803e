"""Compozy Appliance: a durable workflow server in one file."""

from __future__ import annotations

__version__ = "0.1.0"
