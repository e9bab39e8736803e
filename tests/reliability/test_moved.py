"""Move everything to PostgreSQL and back, with kill -9 in the middle of each move."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

from appliance.config import DatabaseSettings
from appliance.store import snapshot
from appliance.store.tables import TABLES, Tables
from tests.postgres_server import url_of

from .history import History, Outcome
from .load import Load
from .oracle import judge, judge_file
from .serving import Server
from .test_waiting import ANSWER, command, start, until
from .tiers import sized
from .verdict import Verdict

KILLS = sized(2, 10, 50)
NOT_EMPTY = 73


def rows(settings: DatabaseSettings) -> int:
    """Return how many rows there are in a migrated database."""
    with snapshot(settings) as tx:
        return sum(len(list(Tables(tx).rows(table))) for table in TABLES)


def move(server: Server, target: DatabaseSettings, dice: random.Random, verdict: Verdict) -> None:
    """Move what *server* has, after some attempts that are killed: each leaves nothing, or all."""
    whole, where = rows(server.database), url_of(target) if target.conninfo else target.path
    for _ in range(KILLS):
        with server.started("move", MOVE_TO=where) as process:
            time.sleep(dice.uniform(0.3, 2))
            process.kill()
        verdict.faults += 1
        if rows(target) not in (0, whole):
            verdict.findings.corrupt.append(f"{rows(target)} of {whole} rows were moved")
        if rows(target):
            return
    done = server.command("move", MOVE_TO=where)
    assert 0 == done.returncode, done.stderr
    again = server.command("move", MOVE_TO=where)
    assert NOT_EMPTY == again.returncode, again.stderr


def test_what_was_moved_goes_on(
    tmp_path: Path,
    postgres_settings: DatabaseSettings,
    seed: str,
    conclude: Callable[[Verdict], None],
) -> None:
    """Nothing acknowledged is lost, keys work, and a run that waits goes on in its new home."""
    dice, verdict = random.Random(seed), Verdict("Move, killed and repeated")
    (tmp_path / "back").mkdir(0o700)
    first = DatabaseSettings(path=str(tmp_path / "data" / "app.db"))
    last = DatabaseSettings(path=str(tmp_path / "back" / "app.db"))
    history = History(tmp_path / "history")
    homes = [Server(tmp_path, settings) for settings in (first, postgres_settings, last)]
    with homes[0].running() as process, Load(homes[0], history, seed):
        waiting = [start(homes[0], "approval", question="now?") for _ in homes[1:]]
        time.sleep(2)
        process.terminate()
        process.wait(30)
    for source, target, exec_id in zip(homes, homes[1:], waiting, strict=False):
        move(source, target.database, dice, verdict)
        with target.running() as process:
            command(target, exec_id, "signals", ANSWER)
            until(target, exec_id, "SUCCESS")
            verdict.add(judge(target, history, 0))
            process.terminate()
            process.wait(30)
    verdict.add(judge_file(Path(last.path)))
    verdict.acknowledged = history.count(Outcome.OK)
    conclude(verdict)
