"""Durable execution: a deterministic core that decides, and a runner around it that acts."""
