"""Much at once: a storm of deliveries to a webhook, and many schedules that are due together."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.reliability.serving import Server


class Storm(NamedTuple):
    """What became of the deliveries of a storm."""

    answers: Counter[int]
    seconds: float
    sent_s: float


async def _storm(url: str, rate: int, seconds: float, lines: int = 20) -> Storm:
    """Send *rate* deliveries each second, whatever is answered, over a few kept connections."""
    at = urlsplit(url)
    answers: Counter[int] = Counter()
    total = int(rate * seconds)
    asked = (
        b"POST /api/v0/hooks/storm HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b'content-length: 10\r\n\r\n{"n": 1}  '
    )
    begin = time.monotonic()
    sent = begin

    async def one(number: int) -> None:
        nonlocal sent
        reader, writer = await asyncio.open_connection(at.hostname, at.port)
        mine = range(number, total, lines)
        reading = asyncio.ensure_future(_count(reader, len(mine), answers))
        for delivery in mine:
            wait = begin + delivery / rate - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            writer.write(asked)
            sent = time.monotonic()
        await reading
        writer.close()

    async with asyncio.timeout(seconds * 12 + 60):
        await asyncio.gather(*(one(number) for number in range(lines)))
    return Storm(answers, time.monotonic() - begin, sent - begin)


async def _count(reader: asyncio.StreamReader, expected: int, answers: Counter[int]) -> None:
    for _ in range(expected):
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        answers[int(head.split(b" ", 2)[1])] += 1


def storm(url: str, rate: int, seconds: float) -> Storm:
    """Let a storm come from a process of its own, to the webhook `storm` of the server at *url*."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_come, (url, rate, seconds))


def _come(url: str, rate: int, seconds: float) -> Storm:
    return asyncio.run(_storm(url, rate, seconds))


def stored(server: Server) -> int:
    """Count the runs that are in the database."""
    with sqlite3.connect(server.home / "app.db") as db:
        (count,) = db.execute("SELECT count(*) FROM workflow_states").fetchone()
    return int(count)


def scheduled(home: Path, count: int) -> Path:
    """Write a project of *count* workflows that are all due at the beginning of a minute."""
    project = home / "project"
    project.mkdir()
    for number in range(count):
        workflow = {
            "id": f"w{number}",
            "schedule": {"cron": "0 * * * * *"},
            "tasks": [{"id": "step", "type": "aggregate", "outputs": {"done": True}}],
        }
        (project / f"w{number}.yaml").write_text(json.dumps(workflow))
    sources = [{"source": f"./w{number}.yaml"} for number in range(count)]
    (project / "compozy.yaml").write_text(json.dumps({"name": "many", "workflows": sources}))
    return project
